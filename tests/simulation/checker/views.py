"""The read side: views move over the log only forward, and at the end they are its fold."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.index import Index
from tests.simulation.checker.log import Chain, iso
from tests.simulation.checker.reads import differences
from tests.simulation.history import Item

_LISTS = ("l1", "l2")


def check(index: Index, found: Findings) -> None:
    """Look at every move of a view, then at every item of every views table at the end."""
    _moves(index, found)
    terms = index.history.terms
    for region in terms.regions:
        if region in terms.lost:
            continue
        items = _by_partition(index.history.final.views.get(region, ()))
        for chain in index.chains.values():
            if chain.aggregate not in terms.poisoned:
                _equal_fold(index, region, chain, items, found)
        _nothing_besides(index, region, items, found)


def _moves(index: Index, found: Findings) -> None:
    at: dict[tuple[str, str], int] = {}
    ends = {a: {c.last: c for c in chain.every} for a, chain in index.chains.items()}
    for record in index.applied:
        place = (record.region, record.key)
        aggregate = record.key.rpartition("#")[2]
        about, steps = f"{record.region} {record.key}", (record.step,)
        before = at.get(place, 0)
        at[place] = record.after
        if record.after == 0:
            live = index.regions.versions.get((record.region, record.key.partition("#")[0]))
            used = live is not None and live.at(record.step) == record.key.split("#")[1]
            text = "the view that readers use was removed"
            found.expect("view-moves-over-the-log", not used, text, about=about, steps=steps)
            continue
        commit = ends.get(aggregate, {}).get(record.after)
        wrong = []
        if record.before != before or record.after <= before:
            wrong.append(f"it moved from {record.before} to {record.after}, standing at {before}")
        if commit is None:
            wrong.append(f"it moved to {record.after}, where no commit ends")
        elif (commit.appended or 0) > record.step:
            wrong.append(f"it moved to {commit.id}, which came later")
        text = "; ".join(wrong)
        found.expect("view-moves-over-the-log", not wrong, text, about=about, steps=steps)


def _by_partition(items: Iterable[Item]) -> dict[str, dict[str, Item]]:
    found: dict[str, dict[str, Item]] = defaultdict(dict)
    for item in items:
        found[item["k"]["S"]][item["s"]["S"]] = item
    return found


def _equal_fold(
    index: Index,
    region: str,
    chain: Chain,
    items: Mapping[str, Mapping[str, Item]],
    found: Findings,
) -> None:
    """The state's view and the timeline of one aggregate in one region, at the end."""
    for projection in (chain.model.view, "activity"):
        version = index.regions.versions[region, projection].at(_END)
        key = f"{projection}#{version}#{chain.aggregate}"
        of_view = items.get(key, {})
        head = of_view.get("head")
        if head is None:
            text = f"{region} has no {projection} of it"
            found.blame("views-equal-fold", text, about=chain.aggregate)
            continue
        wrong = _wrong_head(index, chain, head, projection=projection)
        if chain.forgotten is not None:
            # A region that was lost meanwhile may keep rows, which nobody can read.
            rows = [] if region in index.regions.adopted else [p for p in of_view if p != "head"]
            wrong += [f"{len(rows)} rows are left of somebody forgotten"] if rows else []
        elif projection == "activity":
            wrong += _wrong_rows(chain, of_view)
        text = f"{projection} in {region}: {'; '.join(wrong)}"
        found.expect("views-equal-fold", not wrong, text, about=chain.aggregate)


_END = 2**62


def _wrong_head(index: Index, chain: Chain, head: Item, *, projection: str) -> list[str]:
    last = chain.commits[-1]
    applied, commit = int(head["n"]["N"]), int(head["f"]["N"])
    if (applied, commit) != (last.last, last.position):
        return [f"it stands at {applied}, the log ends at {last.last}"]
    document = orjson.loads(head["d"]["S"]) if "d" in head else None
    if projection == "activity" and chain.forgotten is not None:
        wanted: Any = None
    elif projection == "activity":
        wanted = {"commands": len(chain.commits), "last_at": iso(last.recorded_at_ms)}
    else:
        wanted = chain.documents.get(last.last)
    if (document is None) != (wanted is None):
        return ["it has a document where there is none, or none where there is one"]
    wrong = differences(document or {}, wanted or {})
    said = [f"its document differs from the log: {', '.join(wrong)}"] if wrong else []
    lists = {name: head[name]["S"] for name in _LISTS if name in head}
    keys = _list_keys(index, head["k"]["S"], wanted) if projection != "activity" else {}
    return said if lists == keys else [*said, f"it stands in the lists {lists}, not {keys}"]


def _list_keys(index: Index, key: str, document: dict[str, Any] | None) -> dict[str, str]:
    """Return the list keys that a document must stand under."""
    if document is None:
        return {}
    prefix = key.rpartition("#")[0]
    if "msisdn" in document:
        number = index.names.index_key("msisdn", document["msisdn"])
        return {"l1": f"{prefix}#{number}", "l2": f"{prefix}#status#{document['status']}"}
    return {"l1": f"{prefix}#site#{document['site']}"}


def _wrong_rows(chain: Chain, of_view: Mapping[str, Item]) -> list[str]:
    rows = {place: item for place, item in of_view.items() if place != "head"}
    wrong = []
    for commit in chain.commits:
        item = rows.pop(f"{commit.position:020d}", None)
        if item is None:
            wrong.append(f"the row of {commit.position} is missing")
        elif names := differences(orjson.loads(item["d"]["S"]), commit.row()):
            wrong.append(f"the row of {commit.position} differs: {', '.join(names)}")
    for commit in chain.aside:
        # It was shown before others went on without it: its row says so.
        item = rows.pop(f"{commit.position:020d}", None)
        marked = commit.row() | {"superseded": True}
        if item is not None and (names := differences(orjson.loads(item["d"]["S"]), marked)):
            wrong.append(f"the row of {commit.id}, superseded, differs: {', '.join(names)}")
    return wrong + [f"the row {place} is of no commit" for place in rows]


def _nothing_besides(
    index: Index, region: str, items: Mapping[str, Mapping[str, Item]], found: Findings
) -> None:
    """No view of an aggregate that the log does not have, or that a projection does not cover."""
    for key in items:
        projection, _, rest = key.partition("#")
        if (region, projection) not in index.regions.versions:
            continue
        chain = index.chains.get(rest.rpartition("#")[2])
        covers = chain is not None and projection in (chain.model.view, "activity")
        text = f"{region} has {key}, of nothing in the log"
        found.expect("views-equal-fold", covers, text, about=key)
