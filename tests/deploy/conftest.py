"""A whole engine that stands for an account: all regions in it, each with its own stacks.

What its tables lack of global ones is added here: it makes one replica and forgets the mode.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.system import System

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
TABLES = ("antiphon-events", "antiphon-control", "antiphon-keys")


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(regions=REGIONS, secret_file=tmp_path / "antiphon.secret")


class _Tables:
    """A client of DynamoDB whose global tables say what they are."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe_table(self, TableName: str) -> Any:  # noqa: N803 - as boto3 has it
        found = self._client.describe_table(TableName=TableName)
        if TableName in TABLES:
            found["Table"]["MultiRegionConsistency"] = "STRONG"
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def clients(engine) -> Callable[[str, str], Any]:
    def client(service: str, region: str) -> Any:
        made = engine.client(service, region)
        return _Tables(made) if service == "dynamodb" else made

    return client
