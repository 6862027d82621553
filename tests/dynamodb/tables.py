"""The tables as the templates declare them: what tests run on is what AWS would get."""

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_TEMPLATES = Path(__file__).resolve().parents[2] / "infra" / "sam"
_TABLES = frozenset({"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"})
# What CreateTable takes of a table's properties; the rest is of no meaning to an engine.
_CREATED_WITH = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
_numbers = itertools.count()


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, such as !Ref, as nothing: no key depends on them."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@functools.cache
def declared() -> Mapping[str, dict[str, Any]]:
    """Return what CreateTable needs for each table of the templates, by its name there."""
    tables: dict[str, dict[str, Any]] = {}
    for template in ("global.yaml", "region.yaml"):
        text = (_TEMPLATES / template).read_text()
        for resource in yaml.load(text, Loader=_Loader)["Resources"].values():  # noqa: S506 - safe
            if resource["Type"] in _TABLES:
                properties = resource["Properties"]
                tables[properties["TableName"]] = {
                    name: properties[name] for name in _CREATED_WITH if name in properties
                }
    return tables


def create(client: Any, table: str, *, name: str | None = None) -> str:
    """Create a table like `antiphon-<table>`, under a name of its own unless one is given."""
    name = name or f"{table}-{next(_numbers)}"
    definition = declared()[f"antiphon-{table}"]
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **definition)
    return name
