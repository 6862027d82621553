"""What the observer reads in clear: it looks at what is decided and told, not at how it is kept."""

from typing import Any

from antiphon.opening import opened
from eventstore.sealing import Sealing
from eventstore.subject_keys import SubjectKeys
from projections.letter_messages import Messages
from tests.dynamodb.kms import InProcessKms
from tests.dynamodb.values import Item
from tests.simulation.deployment import KMS_KEY
from tests.simulation.engine import Engine

_FOR_EVER_S = float("inf")


class Opening:
    """Opens items of one run by the keys in its journal, which take no time to read here."""

    def __init__(self, journal: Engine) -> None:
        client: Any = journal
        keys = SubjectKeys(
            client,
            InProcessKms(KMS_KEY),
            table="antiphon-keys",
            kms_key=KMS_KEY,
            elapsed_s=lambda: 0.0,
            fresh_s=_FOR_EVER_S,
            random_bytes=_none,
        )
        self.cipher = Sealing(keys, tags=frozenset({"sub"}))

    def __call__(self, item: Item) -> Item:
        """Return an item as it would stand in clear."""
        if "xs" in item:
            return self._letter(item)
        [clear] = opened([item], self.cipher)
        return clear

    def _letter(self, item: Item) -> Item:
        payload, beside = Messages(self.cipher).read(item)
        kept = {name: value for name, value in item.items() if name not in {"x", "xs"}}
        if payload is not None:
            kept["b"] = {"S": payload}
        return kept | {"ba": {"M": {name: {"S": text} for name, text in beside.items()}}}


def _none(count: int) -> bytes:
    raise AssertionError(f"who only watches makes no key of {count} bytes")
