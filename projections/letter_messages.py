"""The message that a dead letter holds: sealed, since it may tell of a subject.

Once the subject is forgotten there is no message any more; the letter stays. Messages of an
earlier version stand in clear and are read as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.commits import Item
from eventstore.errors import SubjectForgotten
from eventstore.sealing import UNKNOWN, Cipher

# What an update removes, to remove the message.
ATTRIBUTES = ("b", "ba", "x", "xs")


@dataclass(frozen=True, slots=True)
class Messages:
    """Stores and reads the messages of one region's letters."""

    cipher: Cipher

    def stored(
        self,
        letter_id: str,
        payload: str | None,
        beside: Mapping[str, str],
        *,
        subject: str | None,
    ) -> Item:
        """Return the attributes that hold a message; none if there is nothing that can be kept.

        Args:
            letter_id: the letter that it is kept in.
            payload: the message.
            beside: what stood beside it.
            subject: of whom it may tell; None where all that is personal is sealed already.

        Raises:
            StoreUnavailable: the subject's key cannot be had now.

        """
        if payload is None and not beside:
            return {}
        if subject is None or not self.cipher.covers(subject):
            kept: Item = {} if payload is None else {"b": {"S": payload}}
            if beside:
                kept["ba"] = {"M": {name: {"S": text} for name, text in beside.items()}}
            return kept
        clear, place = orjson.dumps([payload, dict(beside)]), _place(letter_id)
        try:
            sealed = self.cipher.seal_derived(subject, clear, place=place)
        except SubjectForgotten:
            return {}
        if sealed is None:
            # Of nobody known yet: a message may tell of a subject before anything else does.
            subject, sealed = UNKNOWN, self.cipher.seal(UNKNOWN, clear, place=place)
        return {"x": {"B": sealed}, "xs": {"S": subject}}

    def read(self, item: Mapping[str, Any]) -> tuple[str | None, Mapping[str, str]]:
        """Return the message of a letter and what stood beside it, as far as they are kept."""
        if "x" not in item:
            return in_clear(item)
        sealed, place = bytes(item["x"]["B"]), _place(item["id"]["S"])
        clear = self.cipher.open(item["xs"]["S"], sealed, place=place)
        if clear is None:
            return None, {}
        payload, beside = orjson.loads(clear)
        return payload, beside


def in_clear(item: Mapping[str, Any]) -> tuple[str | None, Mapping[str, str]]:
    """Return the message of a letter as far as it is not sealed, and what stood beside it."""
    beside = item.get("ba", {"M": {}})["M"]
    return item.get("b", {}).get("S"), {name: text["S"] for name, text in beside.items()}


def _place(letter_id: str) -> str:
    return f"letter {letter_id}"
