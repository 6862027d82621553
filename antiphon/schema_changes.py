"""Which changes of a published schema would break someone who relies on the one before.

What producers send may only be taken more freely; what they are told may only be promised more
narrowly. Anything that cannot be judged counts as breaking. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

# What a schema says to people.
_WORDS = frozenset(
    {"$defs", "$id", "$schema", "title", "description", "default", "examples", "discriminator"}
)
# Judged by the functions below; every other keyword must stay as it is.
_JUDGED = frozenset(
    {"$ref", "additionalProperties", "anyOf", "const", "enum", "items", "oneOf"}
    | {"properties", "required", "type"}
)
_LOWEST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_HIGHEST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def breaking_changes(old: Schema, new: Schema, *, told: bool) -> list[str]:
    """Return a sentence for each breaking change, naming its place.

    Args:
        old: the schema that others rely on.
        new: what is to replace it.
        told: whether it describes what producers are told, not what they send.

    """
    return list(_Comparison(old, new, told=told).changes())


class _Comparison:
    def __init__(self, old: Schema, new: Schema, *, told: bool) -> None:
        self._old, self._new, self._told = old, new, told

    def changes(self) -> Iterator[str]:
        yield from self._compare(self._old, self._new, "$", ())

    def _compare(
        self, old: Schema, new: Schema, place: str, within: tuple[str, ...]
    ) -> Iterator[str]:
        name = old.get("$ref")
        if name is not None:
            if name in within:
                return  # A type that holds itself: compared further out.
            within = (*within, name)
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        yield from self._values(old, new, place)
        yield from self._bounds(old, new, place)
        yield from self._fields(old, new, place, within)
        yield from self._choices(old, new, place, within)
        for keyword in ("items", "additionalProperties"):
            before, after = old.get(keyword, True), new.get(keyword, True)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self._compare(before, after, f"{place}.{keyword}", within)
            elif before != after and not (after is True and not self._told):
                yield f"{place}: {keyword} was {before!r} and is {after!r}"

    def _values(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        for before, after in ((_types(old), _types(new)), (_constants(old), _constants(new))):
            lost = _beyond(after, before) if self._told else _beyond(before, after)
            if lost:
                word = "may now be told" if self._told else "is no longer taken"
                yield f"{place}: {', '.join(sorted(map(str, lost)))} {word}"

    def _bounds(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        for keyword in sorted((old.keys() | new.keys()) - _WORDS - _JUDGED):
            before, after = old.get(keyword), new.get(keyword)
            if before == after:
                continue
            # The absence of a bound is the widest of all.
            wider = after is None or (
                before is not None
                and (
                    (keyword in _LOWEST and after < before)
                    or (keyword in _HIGHEST and after > before)
                )
            )
            narrower = before is None or (
                after is not None
                and (
                    (keyword in _LOWEST and after > before)
                    or (keyword in _HIGHEST and after < before)
                )
            )
            if not (narrower if self._told else wider):
                yield f"{place}: {keyword} was {before!r} and is {after!r}"

    def _fields(
        self, old: Schema, new: Schema, place: str, within: tuple[str, ...]
    ) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in sorted(before.keys() - after.keys()):
            yield f"{place}.{name}: the field is gone"
        required = set(old.get("required", ())), set(new.get("required", ()))
        if self._told:
            for name in sorted(required[0] - required[1]):
                yield f"{place}.{name}: it is no longer always told"
        else:
            for name in sorted(required[1] - required[0]):
                yield f"{place}.{name}: it is now required"
        for name in sorted(before.keys() & after.keys()):
            yield from self._compare(before[name], after[name], f"{place}.{name}", within)

    def _choices(
        self, old: Schema, new: Schema, place: str, within: tuple[str, ...]
    ) -> Iterator[str]:
        before, after = _variants(old), _variants(new)
        missing = after.keys() - before.keys() if self._told else before.keys() - after.keys()
        word = "may now be told" if self._told else "is no longer taken"
        if before or after:
            yield from (f"{place}: {name} {word}" for name in sorted(missing))
        for name in sorted(before.keys() & after.keys()):
            yield from self._compare(before[name], after[name], f"{place}|{name}", within)


def _resolved(schema: Schema, document: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = document["$defs"][reference.rpartition("/")[2]]
    return found


def _types(schema: Schema) -> frozenset[str] | None:
    """The JSON types, None where any will do or the variants tell them."""
    told = schema.get("type")
    return None if told is None else frozenset([told] if isinstance(told, str) else told)


def _constants(schema: Schema) -> frozenset[Any] | None:
    if "const" in schema:
        return frozenset([schema["const"]])
    return frozenset(schema["enum"]) if "enum" in schema else None


def _beyond(these: frozenset[Any] | None, those: frozenset[Any] | None) -> frozenset[Any]:
    """Return what is in these and not in those; None is everything."""
    if those is None:
        return frozenset()
    return frozenset(["anything else"]) if these is None else these - those


def _variants(schema: Schema) -> dict[str, Schema]:
    """The variants of a choice by what tells them apart: a name, else a type."""
    variants = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return {str(one.get("$ref", one.get("type", one))).rpartition("/")[2]: one for one in variants}
