"""One table in memory: its items in key order, its global secondary indexes, its pages.

Knows keys, order and sizes; nothing here knows requests, conditions or capacity.
"""

import bisect
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.dynamodb.values import (
    Item,
    NotValid,
    Unsupported,
    Value,
    copied,
    kind_of,
    order_of,
    size_of,
)

MAX_ITEM_BYTES = 400 * 1024
PAGE_BYTES = 1024 * 1024
_MAX_KEY_BYTES = (2048, 1024)


@dataclass(frozen=True)
class KeySchema:
    """The attributes that make a key: one, or two of which the second sorts."""

    attributes: tuple[str, ...]

    @classmethod
    def of(cls, declared: list[dict[str, str]]) -> "KeySchema":
        return cls(tuple(part["AttributeName"] for part in declared))

    def of_item(self, item: Mapping[str, Value]) -> Item:
        return {name: item[name] for name in self.attributes if name in item}

    def order(self, item: Mapping[str, Value]) -> tuple[Any, ...]:
        return tuple([order_of(item[name]) for name in self.attributes])


@dataclass(frozen=True)
class Bounds:
    """Where a run of places starts and ends: both turn true once, in the order of places."""

    reached: Callable[[tuple[Any, ...]], bool] = lambda _place: True
    passed: Callable[[tuple[Any, ...]], bool] = lambda _place: False


class Collections:
    """Items by partition, each partition sorted: what a table and an index both are."""

    def __init__(self, key: KeySchema, primary: KeySchema, *, keys_only: bool = False) -> None:
        self.key = key
        self._primary = primary
        # Places of an index need not be different without the primary key.
        self._ties = key != primary
        self._keys_only = keys_only
        self._partitions: dict[Any, tuple[list[Any], dict[Any, Item]]] = {}
        # The order of a scan, kept, so that a page costs no look at all pages before it.
        self._in_scan: list[tuple[bytes, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._partitions)

    def holds(self, item: Mapping[str, Value]) -> bool:
        """Say whether an item has the attributes of this key: an index is sparse."""
        return all(name in item for name in self.key.attributes)

    def shown(self, item: Item) -> Item:
        """Return what of an item stands here: all of it, or its keys."""
        return (
            {**self.key.of_item(item), **self._primary.of_item(item)} if self._keys_only else item
        )

    def place(self, item: Mapping[str, Value]) -> tuple[Any, tuple[Any, ...]]:
        """Return the partition of an item and its place there; ties go by the primary key."""
        order = self.key.order(item)
        if self._ties:
            return order[0], (*order[1:], *self._primary.order(item))
        return order[0], order[1:]

    def get(self, key: Mapping[str, Value]) -> Item | None:
        partition, place = self.place(key)
        found = self._partitions.get(partition)
        return None if found is None else found[1].get(place)

    def put(self, item: Item) -> None:
        partition, place = self.place(item)
        found = self._partitions.get(partition)
        if found is None:
            found = self._partitions[partition] = ([], {})
            bisect.insort(self._in_scan, (scattered(partition), partition))
        places, items = found
        if place not in items:
            bisect.insort(places, place)
        items[place] = self.shown(item)

    def drop(self, item: Mapping[str, Value]) -> None:
        partition, place = self.place(item)
        places, items = self._partitions[partition]
        del places[bisect.bisect_left(places, place)], items[place]
        if not items:
            del self._partitions[partition]
            at = (scattered(partition), partition)
            del self._in_scan[bisect.bisect_left(self._in_scan, at)]

    def between(
        self,
        partition: Any,
        bounds: "Bounds",
        *,
        after: tuple[Any, ...] | None = None,
        forward: bool = True,
    ) -> Iterator[Item]:
        """Yield a partition's items within bounds of the sort key, from `after` on."""
        places, items = self._partitions.get(partition, ([], {}))
        start = bisect.bisect_left(places, x=True, key=bounds.reached)
        end = bisect.bisect_left(places, x=True, key=bounds.passed)
        if after is not None and forward:
            start = max(start, bisect.bisect_right(places, after))
        elif after is not None:
            end = min(end, bisect.bisect_left(places, after))
        chosen = places[start:end] if forward else places[start:end][::-1]
        return (items[place] for place in chosen)

    def everything(
        self,
        *,
        after: tuple[Any, tuple[Any, ...]] | None = None,
        within: Callable[[bytes], bool] = lambda _scattered: True,
    ) -> Iterator[Item]:
        """Yield all items, the partitions in an order that means nothing, as a scan has them.

        `within` chooses partitions by where they come in a scan.
        """
        first = 0 if after is None else bisect.bisect_left(self._in_scan, (scattered(after[0]),))
        for at, partition in self._in_scan[first:]:
            if not within(at):
                continue
            places, items = self._partitions[partition]
            begun = after is not None and partition == after[0]
            start = bisect.bisect_right(places, after[1]) if after is not None and begun else 0
            for place in places[start:]:
                yield items[place]


def scattered(partition: Any) -> bytes:
    """Return where a partition comes in a scan: by its hash."""
    return hashlib.md5(repr(partition).encode(), usedforsecurity=False).digest()


class Table:
    """The items of one table and of its indexes, always in step.

    A `trusting` one takes requests as well-formed and values as nobody's to change.
    """

    def __init__(self, definition: Mapping[str, Any], *, trusting: bool = False) -> None:
        self.trusting = trusting
        self.name: str = definition["TableName"]
        self.kinds = {
            one["AttributeName"]: one["AttributeType"] for one in definition["AttributeDefinitions"]
        }
        self.key = KeySchema.of(definition["KeySchema"])
        self.items = Collections(self.key, self.key)
        self.indexes: dict[str, Collections] = {}
        for index in definition.get("GlobalSecondaryIndexes", ()):
            held = index["Projection"]["ProjectionType"]
            if held not in {"ALL", "KEYS_ONLY"}:
                raise Unsupported(f"an index that holds {held}")
            key = KeySchema.of(index["KeySchema"])
            keys_only = held == "KEYS_ONLY"
            self.indexes[index["IndexName"]] = Collections(key, self.key, keys_only=keys_only)

    def collections(self, index: str | None) -> Collections:
        if index is None:
            return self.items
        if index not in self.indexes:
            raise NotValid(f"The table does not have the specified index: {index}")
        return self.indexes[index]

    def segment(
        self, number: int, of: int, *, after: tuple[Any, tuple[Any, ...]] | None
    ) -> Iterator[Item]:
        """Yield one segment of a parallel scan: a partition is in one as a whole."""
        return self.items.everything(after=after, within=lambda at: at[0] % of == number)

    def last_key(self, index: str | None, item: Mapping[str, Value]) -> Item:
        """Return where a page ended: the keys of the table, and of the index that was read."""
        return {**self.collections(index).key.of_item(item), **self.key.of_item(item)}

    def place_after(
        self, index: str | None, start: Mapping[str, Value]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return the partition and place that an ExclusiveStartKey names."""
        key = copied(start)
        collections = self.collections(index)
        wanted = {*self.key.attributes, *collections.key.attributes}
        if key.keys() != wanted or any(kind_of(key[n]) != self.kinds[n] for n in wanted):
            raise NotValid("The provided starting key is invalid")
        return collections.place(key)

    def key_of(self, request_key: Mapping[str, Value]) -> Item:
        """Return a key as it is stored; refuse one that is not exactly this table's."""
        if self.trusting:
            return dict(request_key)
        key = copied(request_key)
        if key.keys() != set(self.key.attributes):
            raise NotValid("The provided key element does not match the schema")
        self._check_keys(self.key, key)
        return key

    def item_of(self, item: Mapping[str, Value]) -> Item:
        """Return an item as it is stored; refuse one that this table cannot hold."""
        if self.trusting:
            return dict(item)
        stored = copied(item)
        missing = [name for name in self.key.attributes if name not in stored]
        if missing:
            raise NotValid(f"Missing the key {missing[0]} in the item")
        for collections in (self.items, *self.indexes.values()):
            self._check_keys(collections.key, stored)
        if size_of(stored) > MAX_ITEM_BYTES:
            raise NotValid("Item size has exceeded the maximum allowed size")
        return stored

    def _check_keys(self, key: KeySchema, item: Mapping[str, Value]) -> None:
        for name, longest in zip(key.attributes, _MAX_KEY_BYTES, strict=False):
            if name not in item:
                continue
            if kind_of(item[name]) != self.kinds[name]:
                raise NotValid(
                    f"Type mismatch for key {name}"
                    f" expected: {self.kinds[name]} actual: {kind_of(item[name])}"
                )
            size = size_of({"": item[name]})
            if not size:
                raise NotValid(
                    f"The AttributeValue for a key attribute cannot be empty. Key: {name}"
                )
            if size > longest:
                raise NotValid(f"Size of key {name} has exceeded the maximum of {longest} bytes")

    def replace(self, old: Item | None, new: Item | None) -> None:
        """Put `new` where `old` was, in the table and in every index; either may be None."""
        if new is not None:
            self.items.put(new)
        elif old is not None:
            self.items.drop(old)
        for index in self.indexes.values():
            if old is not None and index.holds(old):
                index.drop(old)
            if new is not None and index.holds(new):
                index.put(new)
