"""Opens what is sealed in raw items, so that an audit can hold them against each other.

Opened in memory only, item by item. Of a forgotten subject nothing opens: events tell `forgotten`,
documents and bodies are missing. What was tampered with stays as it is, for the audit to find.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from antiphon.verification.source import Item, LogPlace, Source, Table
from eventstore.commits import FORMAT, from_item
from eventstore.errors import CorruptLog
from eventstore.folding import opened_events
from eventstore.sealing import Cipher
from projections.builds import BuildState
from projections.regions import Topology
from projections.response_items import opened_body
from projections.views import opened_document


def opened(items: Iterable[Item], cipher: Cipher) -> Iterator[Item]:
    """Yield items of the log, of views and of responses as they would stand in clear."""
    for item in items:
        try:
            yield _opened(item, cipher)
        except CorruptLog:
            yield item


@dataclass(frozen=True, slots=True)
class Opened:
    """A source whose items are opened as they are read."""

    source: Source
    cipher: Cipher

    @property
    def regions(self) -> Sequence[str]:
        return self.source.regions

    def topology(self) -> Topology:
        return self.source.topology()

    def unreached(self) -> Mapping[str, str]:
        return self.source.unreached()

    def build_states(self, region: str) -> Mapping[str, BuildState]:
        return self.source.build_states(region)

    def log_pages(self) -> Iterator[Sequence[Item]]:
        return (list(opened(page, self.cipher)) for page in self.source.log_pages())

    def log_of(self, aggregate_id: str) -> Sequence[Item]:
        return list(opened(self.source.log_of(aggregate_id), self.cipher))

    def in_log(self, places: Iterable[LogPlace]) -> set[LogPlace]:
        return self.source.in_log(places)

    def get(self, region: str, table: Table, keys: Iterable[Item]) -> list[Item]:
        return list(opened(self.source.get(region, table, keys), self.cipher))

    def pages(self, region: str, table: Table) -> Iterator[Sequence[Item]]:
        return (list(opened(page, self.cipher)) for page in self.source.pages(region, table))


def _opened(item: Item, cipher: Cipher) -> Item:
    if any("s" in event["M"] for event in item.get("e", {}).get("L", ())):
        events = opened_events(from_item(item), cipher)
        told = zip(item["e"]["L"], events, strict=True)
        clear = [{"M": _without(one["M"], "s") | {"d": {"B": event.data}}} for one, event in told]
        return item | {"e": {"L": clear}, "f": {"N": str(FORMAT)}}
    if "x" in item and "k" in item:
        document = opened_document(item, cipher)
        shown = {} if document is None else {"d": {"S": orjson.dumps(document).decode()}}
        return _without(item, "x") | shown
    if "B" in item.get("body", {}):
        body = opened_body(item, cipher)
        return _without(item, "body") | ({} if body is None else {"body": {"S": body}})
    return item


def _without(item: Item, attribute: str) -> Item:
    return {name: value for name, value in item.items() if name != attribute}
