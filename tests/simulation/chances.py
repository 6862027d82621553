"""Chance that one seed decides: a stream of numbers for each thing that needs luck.

Each has its own, so that what one thing does not ask changes nothing for another.
"""

import random


class Chances:
    """Streams of chance of one run, by name."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, random.Random] = {}

    def of(self, name: str) -> random.Random:
        """Return the stream of a name, always the same one."""
        stream = self._streams.get(name)
        if stream is None:
            # A text, which Python hashes the same in every process.
            stream = self._streams[name] = random.Random(f"{self._seed}/{name}")
        return stream
