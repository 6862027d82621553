"""Least privilege of operators, in both directions, by the command line's own acts.

What is missing fails the act that needs it, here and in every simulated run. What is unneeded
fails here: an act needs each permission of each policy, or it has to go.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.stacks import template_of
from tests.permissions import POLICIES, Permitted, check_of, granted_by, permitted
from tests.privileges import operators
from tests.privileges.installation import Installation
from tests.privileges.operators import Acts
from tests.privileges.scenes import commands_are_answered
from tests.simulation.plan import Mode

# IAM's bound of a managed policy, which does not count blanks.
MOST_CHARACTERS = 6_144


@pytest.fixture(scope="module", autouse=True)
def played(tmp_path_factory: pytest.TempPathFactory) -> None:
    with operators.waiting_is_over_at_once():
        strong = begun("STRONG", "OperatorsPolicy")
        operators.regions_are_moved(strong)
        operators.letters_are_dealt_with(strong)
        operators.read_models_are_rebuilt(strong)
        operators.the_system_is_verified(strong)
        operators.homes_are_moved(begun("EVENTUAL", "OperatorsPolicy"))
        operators.a_subscriber_is_forgotten(begun("STRONG", "ForgettersPolicy"))
        file: Path = tmp_path_factory.mktemp("backup") / "antiphon.gz"
        restored = begun("STRONG", "RestorersPolicy")
        operators.the_log_is_put_elsewhere(restored, file, check_of("RestorersPolicy"))


def begun(mode: Mode, policy: str) -> Acts:
    here = Installation(mode)
    commands_are_answered(here)
    return Acts(here, check_of(policy))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_allows_what_its_acts_call_and_nothing_besides(policy: str):
    assert permitted(policy).denied == []
    assert sorted(granted_by(policy).keys() - permitted(policy).used) == [], "nothing needs these"


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_allowed_twice_and_no_policy_is_longer_than_iam_takes(policy: str):
    assert [one for one, times in granted_by(policy).items() if times > 1] == []
    document = template_of("global.yaml")["Resources"][policy]["Properties"]["PolicyDocument"]
    told = json.dumps(_at_its_longest(document), separators=(",", ":"))
    for name, value in (("AWS::Partition", "aws-us-gov"), ("AWS::AccountId", "1" * 12)):
        told = told.replace(f"${{{name}}}", value)
    assert len(told) < MOST_CHARACTERS


def _at_its_longest(part: Any) -> Any:
    """Return a part of a template as IAM gets it, in as many regions as there may be."""
    match part:
        case {"Fn::If": [_, most, _]}:
            return _at_its_longest(most)
        case {"Ref": name}:
            assert name.endswith("Region")
            return "ap-southeast-1"
        case {"Fn::Sub": text}:
            return text
        case dict():
            return {name: _at_its_longest(value) for name, value in part.items()}
        case list():
            return [_at_its_longest(one) for one in part]
    return part


@pytest.mark.parametrize("policy", POLICIES)
def test_everything_is_allowed_in_the_regions_of_the_deployment_only(policy: str):
    resources = template_of("global.yaml")["Resources"]
    for statement in resources[policy]["Properties"]["PolicyDocument"]["Statement"]:
        regions = statement["Condition"]["StringEquals"]["aws:RequestedRegion"]
        assert {"Ref": "FirstRegion"} in regions
        for number in ("First", "Second", "Third", "Fourth", "Fifth"):
            assert f"{number}Region" in str(regions)


@pytest.mark.parametrize(
    ("policy", "action", "table"),
    [
        ("OperatorsPolicy", "dynamodb:PutItem", "antiphon-events"),
        ("OperatorsPolicy", "dynamodb:UpdateItem", "antiphon-keys"),
        ("ForgettersPolicy", "dynamodb:PutItem", "antiphon-events"),
    ],
)
def test_nobody_but_who_restores_writes_the_log_and_nobody_but_who_forgets_destroys_keys(
    policy: str, action: str, table: str
):
    with pytest.raises(AssertionError, match="does not allow"):
        Permitted(policy).check(action, table, here=True)
