"""Which tokens an aggregate's log holds, and where: prefixes in memory, pages at rest.

A prefix only says where to look; the commit there says whether the token is the one. Entries
are true for ever, since nothing leaves a log, so an index may be shared and may only grow.
"""

from collections.abc import Iterable

PREFIX_BYTES = 8
_OFFSET_BYTES = 6
ENTRY_BYTES = PREFIX_BYTES + _OFFSET_BYTES


class TokenIndex:
    """Positions of commits by the first 8 bytes of their tokens."""

    def __init__(self) -> None:
        # One position nearly always; two commits may share a prefix by chance.
        self._positions: dict[bytes, int | tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._positions)

    def add(self, token: bytes, position: int) -> None:
        """Say that the commit at `position` has this token (or a token with this prefix)."""
        prefix = token[:PREFIX_BYTES]
        known = self._positions.setdefault(prefix, position)
        if known != position and position not in self.positions(prefix):
            self._positions[prefix] = (*self.positions(prefix), position)

    def positions(self, token: bytes) -> tuple[int, ...]:
        """Return where a commit with this token may be; nowhere if the token is new."""
        found = self._positions.get(token[:PREFIX_BYTES], ())
        return (found,) if isinstance(found, int) else found

    def page(self, *, after: int, upto: int) -> bytes:
        """Return the entries with `after` < position <= `upto` as a page, by position."""
        entries = sorted(
            (position, prefix)
            # A copy at once: another thread may be adding.
            for prefix, found in list(self._positions.items())
            for position in ((found,) if isinstance(found, int) else found)
            if after < position <= upto
        )
        return b"".join(
            prefix + (position - after).to_bytes(_OFFSET_BYTES, "big")
            for position, prefix in entries
        )

    def add_pages(self, pages: Iterable[tuple[int, bytes]]) -> None:
        """Add the entries of pages, each with the position that it starts after.

        Raises:
            ValueError: a page is cut off.

        """
        for after, page in pages:
            if len(page) % ENTRY_BYTES:
                raise ValueError(f"a token page has {len(page)} bytes")
            for at in range(0, len(page), ENTRY_BYTES):
                entry = page[at : at + ENTRY_BYTES]
                offset = int.from_bytes(entry[PREFIX_BYTES:], "big")
                self.add(entry[:PREFIX_BYTES], after + offset)
