"""Least privilege: what functions call in simulated runs, against what the templates let them.

A call that a role does not allow fails any simulated run, as AWS would deny it. Here the other
way round: a permission that no call has needed must say who needs it, or go.
"""

import pytest

from infra.deploy.stacks import template_of
from tests.permissions import Permission, check_of, permissions_of, permitted
from tests.simulation.campaign import judge_seed

SIMULATED = ("commands", "command_queue", "projector", "responder", "sweeper", "queries")
RUNS = range(6)
# What Lambda itself does in a function's name.
BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents"}
BY_TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
BY_THE_STREAM = {
    "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
    "dynamodb:ListStreams", "s3:ListBucket", "s3:PutObject",
}  # fmt: skip
BY_A_QUEUE = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
# Asked of a key service that is in the process here, without a name.
BY_KEYS = {"kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"}
# What few runs or none come to, with who does. What is used all the same may stand here.
ELSEWHERE = {
    ("dynamodb:ConditionCheckItem", "antiphon-events"): "a put under a tenure, EVENTUAL mode",
    ("dynamodb:GetItem", "antiphon-events"): "a commit at its home, EVENTUAL mode; a gap",
    ("dynamodb:Query", "antiphon-events"): "the log at a home, EVENTUAL mode; a long gap",
    ("lambda:InvokeFunction", "function:antiphon-commands"): "a command's way home, EVENTUAL mode",
    ("dynamodb:BatchGetItem", "antiphon-keys"): "keys of several subjects at once",
    ("dynamodb:GetItem", "antiphon-views"): "the state that a proven answer tells",
    ("dynamodb:GetItem", "antiphon-responses"): "a duplicate that waits for another's answer",
    ("dynamodb:UpdateItem", "antiphon-responses"): "an answer by proof, of a duplicate that waits",
    ("dynamodb:UpdateItem", "antiphon-letters"): "a poisoned aggregate, an answer that fails",
}


@pytest.fixture(scope="module", autouse=True)
def played() -> None:
    for seed in RUNS:
        assert judge_seed(seed).violations == ()


@pytest.mark.parametrize("function", SIMULATED)
def test_what_a_function_may_do_it_does_or_it_is_known_who_needs_it(function):
    used, unknown = permitted(function).used, []
    for one in sorted(permissions_of(function) - used):
        known = BY_LAMBDA | BY_TRACING | BY_A_QUEUE | BY_KEYS
        if function == "projector":
            known = known | BY_THE_STREAM
        if one.action not in known and (one.action, one.resource) not in ELSEWHERE:
            unknown.append(one)
    assert unknown == [], f"nothing that {function} does has needed these"
    # Most of what it may do is done in a few runs, or this would prove nothing.
    assert len(used) >= 4


@pytest.mark.parametrize("function", [*SIMULATED, "dead_letters", "status"])
def test_a_function_takes_from_the_queues_that_are_mapped_to_it_and_no_other(function):
    resources = template_of("region.yaml")["Resources"]
    (declared,) = [
        one["Properties"]
        for one in resources.values()
        if one["Type"] == "AWS::Serverless::Function"
        and one["Properties"]["Environment"]["Variables"]["ANTIPHON_FUNCTION"] == function
    ]
    mapped = {
        resources[event["Properties"]["Queue"]["Fn::GetAtt"][0]]["Properties"]["QueueName"]
        for event in declared.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    for action in BY_A_QUEUE:
        assert {one.resource for one in permissions_of(function) if one.action == action} == mapped


def test_a_call_that_its_role_does_not_allow_fails_as_aws_would_deny_it():
    check = check_of("queries")
    check("dynamodb:Query", "antiphon-views/by-l1", here=True)
    for action, resource, here in [
        ("dynamodb:PutItem", "antiphon-events", True),
        ("dynamodb:GetItem", "antiphon-views/by-l1", True),
        ("dynamodb:GetItem", "antiphon-views", False),
    ]:
        with pytest.raises(AssertionError, match="does not allow"):
            check(action, resource, here=here)


def test_roles_keep_one_managed_policy_below_what_iam_takes_by_default():
    for name, resource in template_of("region.yaml")["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            assert len(resource["Properties"]["ManagedPolicyArns"]) < 10, name


def test_every_reason_is_for_a_permission_that_somebody_has():
    granted = {
        (one.action, one.resource) for function in SIMULATED for one in permissions_of(function)
    }
    assert set(ELSEWHERE) <= granted
    assert Permission("dynamodb:PutItem", "antiphon-events", anywhere=False) in permissions_of(
        "commands"
    )
