"""Least privilege of the functions, in both directions: no call is denied, no permission unneeded.

What is missing fails the call that needs it, here and in every simulated run. What is unneeded
fails here: the scenes need each permission of each role, or it has to go.
"""

import pytest

from infra.deploy.stacks import template_of
from tests.permissions import (
    FUNCTIONS,
    Permitted,
    granted_to,
    needed_by_lambda,
    permitted,
)
from tests.privileges import scenes


@pytest.fixture(scope="module", autouse=True)
def played() -> None:
    scenes.play_all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_what_its_function_calls_and_nothing_besides(function: str):
    assert permitted(function).denied == []
    granted, by_lambda = granted_to(function).keys(), needed_by_lambda(function)
    assert sorted(granted - permitted(function).used - by_lambda) == [], "nothing needs these"
    assert sorted(by_lambda - granted) == [], "Lambda itself needs these"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_allowed_twice_or_here_besides_everywhere(function: str):
    granted = granted_to(function)
    assert [one for one, times in granted.items() if times > 1] == []
    everywhere = {(one.action, one.resource) for one in granted if one.anywhere}
    here = {(one.action, one.resource) for one in granted if not one.anywhere}
    assert sorted(here & everywhere) == []


def test_a_call_that_its_role_does_not_allow_fails_as_aws_would_deny_it():
    check = Permitted("queries").check
    check("dynamodb:Query", "antiphon-views/by-l1", here=True)
    for action, resource, here in [
        ("dynamodb:PutItem", "antiphon-events", True),
        ("dynamodb:GetItem", "antiphon-views/by-l1", True),
        ("dynamodb:GetItem", "antiphon-views", False),
        ("kms:Decrypt", "alias/of-something-else", True),
        ("kms:GenerateDataKeyWithoutPlaintext", "alias/antiphon-personal", True),
    ]:
        with pytest.raises(AssertionError, match="does not allow"):
            check(action, resource, here=here)


def test_roles_keep_one_managed_policy_below_what_iam_takes_by_default():
    for name, resource in template_of("region.yaml")["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            assert len(resource["Properties"]["ManagedPolicyArns"]) < 10, name
