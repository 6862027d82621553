"""Which region each record of a journal came from, which its stream does not say.

A write is entered before it goes to the journal, and said to be over when it has come back.
Remembers a write only until its record is read, or until it is certain that it made none: a
put that changes nothing makes none, however often it is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.local.table_calls import Key


@dataclass(eq=False, frozen=True, kw_only=True, slots=True)
class Write:
    """A region's write of one item."""

    key: Key
    region: str


class Writers:
    """The writes of one table whose records the journal has still to show."""

    def __init__(self) -> None:
        self._by_key: dict[Key, list[Write]] = {}
        self._over: list[Write] = []

    def enter(self, key: Key, region: str) -> Write:
        """Remember that a write of `key` is on its way from `region`."""
        write = Write(key=key, region=region)
        self._by_key.setdefault(key, []).append(write)
        return write

    def over(self, write: Write) -> None:
        """Note that a write has come back, whatever became of it."""
        self._over.append(write)

    def take(self, key: Key) -> str | None:
        """The region whose write of `key` is the next in the journal, if known."""
        writes = self._by_key.get(key)
        if not writes:
            return None
        region = writes[0].region
        self.forget(writes[:1])
        return region

    def take_over(self) -> list[Write]:
        """The writes that are over since the last call: what they made can be read now."""
        over, self._over = self._over, []
        return over

    def forget(self, writes: list[Write]) -> None:
        """Forget writes of which no record is to come, those that were taken already included."""
        for write in writes:
            left = self._by_key.get(write.key, [])
            if write in left:
                left.remove(write)
                if not left:
                    del self._by_key[write.key]

    def remembered(self) -> int:
        """How many writes are remembered."""
        return sum(map(len, self._by_key.values()))
