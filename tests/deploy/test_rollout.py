"""Deploying and destroying, on an engine with CloudFormation; and what is refused before."""

from dataclasses import replace

import pytest
from botocore.exceptions import NoCredentialsError

from infra.deploy.removal import Removal
from infra.deploy.rollout import GLOBAL_STACK, REGION_STACK, Rollout
from infra.deploy.stacks import Stack, StackFailed, template_of
from infra.deploy.system import Refused, System
from tests.deploy.conftest import REGIONS, TABLES

US, EU, AP = REGIONS
ACCOUNT = "000000000000"
# Whatever is in it: the engine runs no function here.
CODE = b"PK\x05\x06" + bytes(18)


def rollout_of(system: System, clients) -> Rollout:
    return Rollout(
        system=system,
        clients=clients,
        code=CODE,
        progress=lambda _text: None,
        pause_s=0.02,
        # The engine's CloudFormation knows neither replicas of keys nor alarms of several metrics.
        more={"StreamMappingEnabled": "false", "PersonalKeyArn": ""},
        with_alarms=False,
    )


def removal_of(system: System, clients) -> Removal:
    return Removal(
        system=system, clients=clients, account=ACCOUNT, progress=lambda _text: None, pause_s=0.02
    )


@pytest.fixture
def empty(system, clients):
    """An account without Antiphon, before and after."""
    yield
    removal_of(system, clients).run(TABLES)


def make_replicas(clients) -> None:
    """What DynamoDB does by itself; the engine's CloudFormation makes one replica, unprotected."""
    for table in TABLES:
        clients("dynamodb", US).update_table(
            TableName=table,
            ReplicaUpdates=[{"Create": {"RegionName": region}} for region in (EU, AP)],
        )
        for region in REGIONS:
            clients("dynamodb", region).update_table(
                TableName=table, DeletionProtectionEnabled=True
            )


def statuses(clients) -> set[str | None]:
    named = [*[(region, REGION_STACK) for region in REGIONS], (US, GLOBAL_STACK)]
    return {Stack(clients("cloudformation", at), name).status() for at, name in named}


def test_it_deploys_does_nothing_the_second_time_and_takes_everything_away(system, clients, empty):
    told: list[str] = []
    rollout = replace(rollout_of(system, clients), progress=told.append)
    rollout.deploy_global()
    make_replicas(clients)
    told.clear()
    rollout.run()

    assert statuses(clients) == {"CREATE_COMPLETE"}
    # The global stack first, then region after region, in the order of the file.
    done = [line.split(":")[0] for line in told if line.endswith((": done", "nothing to change"))]
    assert done == [
        f"stack {GLOBAL_STACK} in {US}",
        *[f"stack {REGION_STACK} in {region}" for region in REGIONS],
    ]
    # Each region's functions read the stream of their own replica, and have the one secret.
    for region in REGIONS:
        mapped = clients("lambda", region).list_event_source_mappings()["EventSourceMappings"]
        (stream,) = [one for one in mapped if ":dynamodb:" in one["EventSourceArn"]]
        assert f":{region}:" in stream["EventSourceArn"]
        function = clients("lambda", region).get_function_configuration(
            FunctionName="antiphon-projector"
        )
        given = function["Environment"]["Variables"]["ANTIPHON_SECRET"]
        assert given == system.secret_file.read_text()
        assert function["Architectures"] == ["arm64"]

    told.clear()
    rollout.run()
    assert told
    assert all(line.endswith("nothing to change") for line in told), told

    with pytest.raises(Refused, match="antiphon-control, antiphon-events, antiphon-keys are prot"):
        removal_of(system, clients).run(())
    with pytest.raises(Refused, match="antiphon-keys is protected"):
        removal_of(system, clients).run(TABLES[:2])
    assert statuses(clients) == {"CREATE_COMPLETE"}

    removal_of(system, clients).run(TABLES)
    assert statuses(clients) == {None}
    for region in REGIONS:
        left = [
            *clients("dynamodb", region).list_tables()["TableNames"],
            *clients("sqs", region).list_queues().get("QueueUrls", []),
            *[one["Name"] for one in clients("s3", region).list_buckets()["Buckets"]],
            *[one["AliasName"] for one in clients("kms", region).list_aliases()["Aliases"]],
        ]
        assert not [name for name in left if "antiphon" in name]
    # Interrupted just before its end, it would find nothing more to do.
    removal_of(system, clients).run(())


def test_another_secret_than_the_deployed_one_is_refused_before_anything_is_changed(
    system, clients, empty
):
    rollout = rollout_of(system, clients)
    with pytest.raises(Refused, match="us-east-1 must be deployed to before eu-west-1"):
        rollout.run(only=EU)
    assert not system.secret_file.exists()
    rollout.deploy_global()
    make_replicas(clients)
    rollout.run(only=US)
    secret = system.secret_file.read_text()
    system.secret_file.write_text("another secret that is as long as one must be")
    with pytest.raises(Refused, match="holds another secret than what is deployed"):
        rollout.run()
    assert Stack(clients("cloudformation", EU), REGION_STACK).status() is None
    # Whoever has no file deploys with what is there; nobody makes a new one.
    system.secret_file.unlink()
    rollout.run(only=EU)
    function = clients("lambda", EU).get_function_configuration(FunctionName="antiphon-projector")
    assert function["Environment"]["Variables"]["ANTIPHON_SECRET"] == secret
    assert not system.secret_file.exists()


def test_neither_mode_nor_regions_of_a_table_that_is_there_are_changed(system, clients, empty):
    rollout_of(system, clients).deploy_global()
    make_replicas(clients)
    eventual = system.model_copy(update={"mode": "eventual"})
    with pytest.raises(Refused, match="is there and STRONG; DynamoDB never changes the mode"):
        rollout_of(eventual, clients).run()
    moved = system.model_copy(update={"regions": (US, EU, "eu-west-2")})
    with pytest.raises(Refused, match="adds none to a strong table and takes none away"):
        rollout_of(moved, clients).run()
    for region in (US, EU, "eu-west-2"):
        assert Stack(clients("cloudformation", region), REGION_STACK).status() is None


def test_missing_credentials_are_told_before_anything_is_made(system):
    class Nobody:
        def get_caller_identity(self):
            raise NoCredentialsError

    asked = []

    def clients(service, _region):
        asked.append(service)
        return Nobody()

    with pytest.raises(Refused, match=r"no credentials that us-east-1 takes.*AWS_PROFILE"):
        rollout_of(system, clients).run()
    assert set(asked) == {"sts"}
    assert not system.secret_file.exists()


def test_a_stack_that_fails_says_which_resource_and_why(clients):
    stack = Stack(clients("cloudformation", US), "antiphon-fails", pause_s=0.02)
    template = template_of("alarms.yaml")
    # What the engine does not know fails on it as a mistake would on AWS.
    with pytest.raises(StackFailed, match=r"stack antiphon-fails in us-east-1 ended as .*Failing"):
        stack.put(template, {})
    with pytest.raises(StackFailed, match=r"has failed before .*delete the stack"):
        stack.put(template, {})
    assert stack.delete()
    assert stack.status() is None
