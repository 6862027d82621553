"""`antiphon --on FILE`: the acts of operators go to the deployment of a file, and nowhere else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.connection import Connection, identify, work_on
from antiphon.deployed import DeployedConnection
from antiphon.problems import Problem
from infra.deploy.system import System

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
FILE = f"regions: [{', '.join(REGIONS)}]\n"


class OneStack:
    """A session whose CloudFormation has the stack of one region, and whose rest is not asked."""

    def client(self, service: str, *, region_name: str, **_more: Any) -> Any:
        def describe_stacks(*, StackName: str) -> Any:  # noqa: N803 - as boto3's
            if region_name != EU:
                return {"Stacks": []}
            outputs = [{"OutputKey": "ApiEndpoint", "OutputValue": "https://eu.example"}]
            made = {"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
            return {"Stacks": [made] if StackName == "antiphon-region" else []}

        assert service == "cloudformation"
        meta = SimpleNamespace(region_name=region_name)
        return SimpleNamespace(describe_stacks=describe_stacks, meta=meta)

    def get_credentials(self) -> None:
        return None


@pytest.fixture
def connection() -> DeployedConnection:
    return DeployedConnection(System(regions=REGIONS, mode="strong"), OneStack())  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "antiphon.yaml"
    path.write_text(FILE)
    return path


def sentence_of(*words: str) -> str:
    told = CliRunner().invoke(app, list(words))
    assert told.exit_code == 2, told.output
    return " ".join(told.output.split())


def test_the_address_of_a_region_is_its_stack_s_and_where_there_is_none_that_is_said(
    connection: DeployedConnection,
):
    assert connection.url(EU) == "https://eu.example"
    with pytest.raises(Problem, match="no stack antiphon-region in us-east-1; deploy first"):
        connection.url(US)


def test_without_credentials_or_a_token_nothing_is_sent(connection: DeployedConnection):
    with pytest.raises(Problem, match="no AWS credentials"):
        connection.http(EU)
    identify("a token")
    try:
        with connection.http(EU) as client:
            assert client.base_url == "https://eu.example"
    finally:
        identify(None)


def test_the_network_of_a_deployment_is_nobody_s_to_break(
    connection: DeployedConnection, file: Path
):
    assert connection.wan().regions == REGIONS
    with pytest.raises(Problem, match="cut: only the regions on this machine"):
        connection.change_wan("cut", a=US, b=EU)
    assert "only the regions on this machine" in sentence_of("--on", str(file), "wan", "heal")


def test_a_file_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path):
    missing = str(tmp_path / "none.yaml")
    assert "none.yaml cannot be read" in sentence_of("--on", missing, "region", "show")


def test_whoever_names_no_file_works_on_the_local_regions_again(file: Path):
    opened = []
    work_on(lambda: opened.append(1) or Connection(base_port=1, aws_port=1, regions=()))  # type: ignore[func-returns-value]
    assert "no regions answer" in sentence_of("region", "show", "--aws-port", "9")
    assert opened == []
