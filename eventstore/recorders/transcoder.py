"""A transcoder of the library that loses no types: tuples and subclasses come back as stored.

It writes what the library's `JSONTranscoder` writes, through orjson: plain JSON values as
they are, every other type as `{"_type_": name, "_data_": value}` by its registered transcoding.
What JSON cannot hold, and what no transcoding is registered for, is refused, never bent.
"""

import math
from typing import Any

import orjson
from eventsourcing.persistence import JSONTranscoder, Transcoding

_TYPE, _DATA = "_type_", "_data_"
_PLAIN = frozenset({str, int, bool, type(None)})


class TupleAsList(Transcoding):
    """Keeps a tuple as a list under its name."""

    type = tuple
    name = "tuple_as_list"

    def encode(self, obj: tuple[Any, ...]) -> list[Any]:
        return list(obj)

    def decode(self, data: list[Any]) -> tuple[Any, ...]:
        return tuple(data)


class OrjsonTranscoder(JSONTranscoder):
    """Encodes and decodes the state of events and snapshots. Safe to share between threads."""

    def __init__(self) -> None:
        super().__init__()
        self.register(TupleAsList())

    def encode(self, obj: Any) -> bytes:
        """Return the JSON of a value.

        Raises:
            TranscodingNotRegisteredError: a type in it has no transcoding.
            TypeError: a key is no text, or an integer has more than 64 bits.
            ValueError: a number is not finite.

        """
        return orjson.dumps(self._plain(obj))

    def decode(self, data: bytes) -> Any:
        """Return the value that was encoded.

        Raises:
            TranscodingNotRegisteredError: a name in it has no transcoding.
            ValueError: the data is no JSON.

        """
        return self._typed(orjson.loads(data))

    def _plain(self, obj: Any) -> Any:
        kind = type(obj)
        if kind in _PLAIN:
            return obj
        if kind is dict:
            return {key: self._plain(value) for key, value in obj.items()}
        if kind is list:
            return [self._plain(value) for value in obj]
        if kind is float:
            # orjson would write null, and another value would come back.
            if not math.isfinite(obj):
                raise ValueError(f"JSON has no number {obj}")
            return obj
        wrapped = self._encode_obj(obj)
        return {_TYPE: wrapped[_TYPE], _DATA: self._plain(wrapped[_DATA])}

    def _typed(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._decode_obj({key: self._typed(held) for key, held in value.items()})
        if isinstance(value, list):
            return [self._typed(held) for held in value]
        return value
