"""Applications of the library on its recorders: settings, tables, ciphers, upcasting."""

from typing import Any, ClassVar
from uuid import UUID

import pytest
from eventsourcing.application import Application
from eventsourcing.cipher import AESCipher
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    InfrastructureFactoryError,
    JSONTranscoder,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.utils import get_topic

from eventstore.recorders import DynamoDBApplicationRecorder, DynamoDBFactory, OrjsonTranscoder
from infra.deploy.stacks import TEMPLATES

SECRET = "the secret of these tests"


class Sim(Aggregate):
    def __init__(self, iccid: str, puk: str) -> None:
        self.iccid = iccid
        self.puk = puk
        self.locked = False

    class Locked(Aggregate.Event):
        """At version 2 it says why."""

        reason: str
        class_version = 2

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["reason"] = "unknown"

        def apply(self, aggregate: Any) -> None:
            aggregate.locked = self.reason

    @event("Unlocked")
    def unlock(self) -> None:
        self.locked = False


class Sims(Application[UUID]):
    is_snapshotting_enabled = True
    snapshotting_intervals: ClassVar = {Sim: 10}


class OwnRecorder(DynamoDBApplicationRecorder):
    """A recorder that an application chose."""


@pytest.fixture
def env(engine: Any, installation: Any, monkeypatch: Any) -> dict[str, str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return {
        "PERSISTENCE_MODULE": "eventstore.recorders",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": engine.url,
        "ANTIPHON_SECRET": SECRET,
        "ANTIPHON_RECORDER_EVENTS_TABLE": installation.events_table,
        "ANTIPHON_RECORDER_REGIONAL_TABLE": installation.regional_table,
    }


def test_an_application_with_cipher_and_compressor_stores_nothing_that_can_be_read(
    env: dict[str, str], installation: Any
):
    env |= {"CIPHER_KEY": AESCipher.create_key(16), "COMPRESSOR_TOPIC": "zlib"}
    sim = Sim(iccid="8949020000012345670", puk="12345678")
    with Sims(env=env) as sims:
        sims.save(sim)
        sims.take_snapshot(sim.id)

    with Sims(env=env) as elsewhere:
        assert elsewhere.repository.get(sim.id).puk == "12345678"
    snapshots = installation.real.scan(TableName=installation.regional_table)["Items"]
    assert len(snapshots) == 1
    assert b"12345678" not in repr([installation.items(), snapshots]).encode()


def test_an_event_stored_at_version_1_is_read_at_version_2(env: dict[str, str]):
    sims, sim = Sims(env=env), Sim(iccid="1", puk="2")
    sims.save(sim)
    stored_at_version_1 = b'{"timestamp":{"_type_":"datetime_iso","_data_":"2026-01-01T00:00:00"}}'
    sims.recorder.insert_events(
        [StoredEvent(sim.id, 2, get_topic(Sim.Locked), stored_at_version_1)]
    )

    assert sims.repository.get(sim.id).locked == "unknown"


def test_snapshots_are_taken_at_their_interval_and_used(env: dict[str, str], installation: Any):
    sims, sim = Sims(env=env), Sim(iccid="1", puk="2")
    for _ in range(12):
        sim.unlock()
    sims.save(sim)
    assert sims.snapshots is not None

    assert [s.originator_version for s in sims.snapshots.get(sim.id)] == [10]
    assert sims.repository.get(sim.id).version == 13
    assert sims.repository.get(sim.id, version=4).version == 4


def test_the_name_of_an_application_goes_before_its_settings(env: dict[str, str]):
    env["SIMS_ANTIPHON_RECORDER_READS"] = "eventual"

    factory = Sims(env=env).factory

    assert isinstance(factory, DynamoDBFactory)
    assert factory.settings.reads == "eventual"


def test_every_setting_that_is_missing_or_wrong_is_named_and_the_secret_is_not_told():
    wrong = {
        "PERSISTENCE_MODULE": "eventstore.recorders",
        "ANTIPHON_SECRET": "too short",
        "ANTIPHON_RECORDER_EVENTS_TABLE": "a table",
        "ANTIPHON_RECORDER_WRITE_TRIES": "0",
        "ANTIPHON_RECORDER_READS": "sometimes",
        "AWS_REGION": "",
    }

    with pytest.raises(InfrastructureFactoryError) as refused:
        Sims(env=wrong)

    for variable in set(wrong) - {"PERSISTENCE_MODULE"}:
        assert f"{variable}: " in str(refused.value)
    assert "too short" not in str(refused.value)


def test_snapshots_without_a_regional_table_are_refused_at_the_start(env: dict[str, str]):
    del env["ANTIPHON_RECORDER_REGIONAL_TABLE"]

    with pytest.raises(InfrastructureFactoryError, match="ANTIPHON_RECORDER_REGIONAL_TABLE"):
        Sims(env=env)


def test_tables_are_made_only_where_asked_for(env: dict[str, str], installation: Any):
    env["ANTIPHON_RECORDER_EVENTS_TABLE"] = f"{installation.events_table}-new"
    with pytest.raises(ProgrammingError, match="ResourceNotFoundException"):
        Sims(env=env).save(Sim(iccid="1", puk="2"))

    Sims(env=env | {"CREATE_TABLE": "y"}).save(Sim(iccid="1", puk="2"))


def test_transcoder_and_recorder_are_those_that_the_environment_names(env: dict[str, str]):
    assert type(Sims(env=env).mapper.transcoder) is OrjsonTranscoder
    chosen = Sims(
        env=env
        | {
            "TRANSCODER_TOPIC": get_topic(JSONTranscoder),
            "APPLICATION_RECORDER_TOPIC": get_topic(OwnRecorder),
        }
    )
    assert type(chosen.mapper.transcoder) is JSONTranscoder
    assert type(chosen.recorder) is OwnRecorder


def test_an_aggregate_recorder_of_another_purpose_keeps_its_events_apart(
    env: dict[str, str], events: Any
):
    factory = DynamoDBFactory(env)
    factory.aggregate_recorder("audit").insert_events(events(0))

    assert factory.aggregate_recorder().select_events("sim-1") == []
    assert factory.aggregate_recorder("audit").select_events("sim-1") == events(0)


def test_an_application_runs_on_the_tables_of_the_template(env: dict[str, str], engine: Any):
    cloudformation = engine.client("cloudformation")
    parameters = {
        "MakesGlobalTable": "true",
        "FirstRegion": "us-east-1",
        "SecondRegion": "eu-west-1",
        "ThirdRegion": "ap-south-1",
    }
    cloudformation.create_stack(
        StackName="recorders",
        TemplateBody=(TEMPLATES / "recorders.yaml").read_text(),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="recorders", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    env["ANTIPHON_RECORDER_EVENTS_TABLE"] = "antiphon-recorder-events"
    env["ANTIPHON_RECORDER_REGIONAL_TABLE"] = "antiphon-recorder-regional"

    sims, sim = Sims(env=env), Sim(iccid="1", puk="2")
    sims.save(sim)
    sims.take_snapshot(sim.id)

    assert sims.repository.get(sim.id).iccid == "1"
