"""Garbage for decoders: made up, and made from what is valid by spoiling a part of it."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

# What has broken decoders before: digits that are none to a database, separators that are
# parts of ids, ends of strings, halves of characters, words that mean something somewhere.
NASTY_TEXTS = [
    "", " ", "\x00", "\ud800", "\udfff\ud800", "\N{ARABIC-INDIC DIGIT ONE}", "1_000", "+1", "-0",
    "1e5", "1e999", "0x1", "NaN", "Infinity", "null", "true", "1.5", ".", "..", "a.b.1", "#", "|",
    "sub.", "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa", "9" * 19, "9" * 400, "9" * 5000, "x" * 3000,
    "\N{SNOWMAN}", "\uffff", "\n", "1\n", "ACtivateSubscriber", "2026-11-23T10:00:00Z",
]  # fmt: skip
NASTY_NUMBERS = [
    0, -1, 1, 25, 26, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**18, 10**30, 10**130,
    0.5, -0.0, 1e300, 1e-300, float("inf"), float("nan"), True,
]  # fmt: skip

texts = st.sampled_from(NASTY_TEXTS) | st.text(max_size=30)
scalars = (
    st.none() | st.booleans() | st.sampled_from(NASTY_NUMBERS) | st.integers() | st.floats() | texts
)
# JSON as Python's own reader lets it through, which is more than JSON is.
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Yield where every part of a value stands, itself included."""
    yield here
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, part in inner:
        yield from paths(part, (*here, key))


def replaced(value: Any, path: Path, part: Any) -> Any:
    """Return a copy of a value with another part at a path."""
    if not path:
        return part
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], part)
    return copy


def without(value: Any, path: Path) -> Any:
    """Return a copy of a value that lacks the part at a path."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(value[path[0]], path[1:])
    return copy


def at(value: Any, path: Path) -> Any:
    """Return the part of a value at a path."""
    for key in path:
        value = value[key]
    return value


@st.composite
def spoiled(draw: st.DrawFn, valid: Any) -> Any:
    """Draw a valid value with one to three of its parts spoiled."""
    value = valid
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(value))))
        part = at(value, path)
        match draw(st.sampled_from(["replace", "drop", "wrap", "repeat", "tear", "retype"])):
            case "drop" if path:
                value = without(value, path)
            case "wrap":
                value = replaced(value, path, draw(st.sampled_from([[part], {"S": part}])))
            case "repeat" if isinstance(part, list):
                value = replaced(value, path, part * 30)
            case "tear" if isinstance(part, str):
                value = replaced(value, path, draw(torn(part)))
            case "retype" if isinstance(part, dict) and len(part) == 1:
                # One of DynamoDB's types instead of another, or something else of the type.
                kind = draw(st.sampled_from(["S", "N", "B", "M", "L", *part]))
                value = replaced(value, path, {kind: draw(scalars)})
            case _:
                value = replaced(value, path, draw(values))
    return value


def written(value: Any) -> str:
    """Return a value as JSON text, also where JSON has no such value."""
    return json.dumps(value, ensure_ascii=False)


@st.composite
def deepened(draw: st.DrawFn, text: str) -> str:
    """Draw JSON text with lists within lists somewhere, more than a reader may go into."""
    starts = [at for at, character in enumerate(text) if character in ":[,"]
    start = draw(st.sampled_from(starts or [0])) + 1
    levels = draw(st.sampled_from([120, 260, 1000, 1025, 5000]))
    end = min([at for at in range(start, len(text)) if text[at] in ",}]"] or [start])
    return text[:start] + "[" * levels + "]" * levels + text[end:]


@st.composite
def torn(draw: st.DrawFn, text: str) -> str:
    """Draw a text with a part cut out and another put in its place."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 12)))
    return text[:start] + draw(texts) + text[end:]


def bodies(valid: Any) -> st.SearchStrategy[str]:
    """Draw message bodies: garbage, valid ones spoiled within, valid ones torn as text."""
    text = written(valid)
    return texts | values.map(written) | spoiled(valid).map(written) | torn(text) | deepened(text)
