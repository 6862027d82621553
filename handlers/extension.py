"""What a team adds to Antiphon by modules and registration: aggregates, projections, resources.

A module named in `ANTIPHON_EXTENSIONS` holds one `EXTENSION`. What the product brings itself is
registered the same way (`catalog.py`), so an extension can do whatever the product can.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.aggregate import Aggregate
from domain.registry import Registry
from eventstore.identity import Keys
from projections.projection import Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBy:
    """A list of a resource by one query parameter.

    Args:
        type: the parameter's type, annotated as pydantic takes it.
        index: the index attribute of the view that holds the list key, `l1` or `l2`.
        key: (installation's keys, value) -> list key, the same as the view's `list_keys` gives.

    """

    type: Any
    index: str
    key: Callable[[Keys, Any], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What the query API shows of one aggregate under `/<path>`.

    Args:
        path: such as "subscribers": one of them is `/subscribers/{imsi}`.
        name: one of them, for messages, such as "subscriber".
        key_name: the path parameter, such as "imsi".
        key_type: its type, annotated as pydantic takes it.
        aggregate: what its log holds.
        view: the projection that shows it.
        lists: its lists, by query parameter; a request gives exactly one.

    """

    path: str
    name: str
    key_name: str
    key_type: Any
    aggregate: Aggregate[Any]
    view: Projection
    lists: Mapping[str, ListBy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """Aggregates with their projections and resources."""

    aggregates: Sequence[Aggregate[Any]]
    projections: Sequence[Projection]
    resources: Sequence[Resource]


class BadExtension(ValueError):
    """An extension does not fit; the message says which, and what to change."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that one installation knows: the product's own and its extensions'."""

    registry: Registry
    projections: tuple[Projection, ...]
    resources: tuple[Resource, ...]


def catalog_of(extensions: Sequence[Extension]) -> Catalog:
    """Return the catalog of these extensions, the product's own first.

    Raises:
        BadExtension: two share a name, a tag, a command or a path, or an aggregate has not
            exactly one projection that shows its state.

    """
    try:
        registry = Registry([a for extension in extensions for a in extension.aggregates])
    except ValueError as error:
        raise BadExtension(str(error)) from error
    projections = tuple(p for extension in extensions for p in extension.projections)
    resources = tuple(r for extension in extensions for r in extension.resources)
    # Two versions of one projection stand side by side while one replaces the other.
    _require_distinct("projections", [f"{p.name} (version {p.version})" for p in projections])
    _require_distinct("resources", [r.path for r in resources])
    for aggregate in registry.aggregates:
        showing = {p.name for p in projections if p.shows_state and p.covers(aggregate.tag + ".")}
        if len(showing) != 1:
            raise BadExtension(
                f"{aggregate.name} needs exactly one projection with shows_state=True, "
                f"for Event B to take its state from; it has {', '.join(sorted(showing)) or 'none'}"
            )
    return Catalog(registry, projections, resources)


def load_extension(module: str) -> Extension:
    """Return the `EXTENSION` of a module.

    Raises:
        BadExtension: the module cannot be imported, or holds none.

    """
    try:
        extension = importlib.import_module(module).EXTENSION
    except ImportError as error:
        raise BadExtension(f"the extension {module!r} cannot be imported: {error}") from error
    except AttributeError as error:
        raise BadExtension(f"the module {module!r} has no EXTENSION") from error
    if not isinstance(extension, Extension):
        raise BadExtension(f"EXTENSION of {module!r} is no handlers.extension.Extension")
    return extension


def _require_distinct(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadExtension(f"two {what} have the name {', '.join(twice)}")
