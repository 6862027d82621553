"""The contract tests that the `eventsourcing` library ships, unmodified, on a real engine.

They are imported as modules, so that only the cases below run, not the library's abstract
ones. What is left out needs a total order or a transaction over the events of a global table.
"""

import itertools
from typing import Any

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    NotSupportedError,
    Transcoding,
    UUIDAsHex,
)
from eventsourcing.tests import application as library_applications
from eventsourcing.tests import persistence as library
from eventsourcing.utils import Environment

from eventstore import recorders

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _an_engine(request: pytest.FixtureRequest, engine: Any, monkeypatch: Any) -> None:
    """Give each test case the environment of an engine, with tables of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    number = next(_numbers)
    request.instance.env = Environment(
        "Contracts",
        {
            "PERSISTENCE_MODULE": "eventstore.recorders",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": engine.url,
            "ANTIPHON_SECRET": "the secret of the contract tests",
            "ANTIPHON_RECORDER_EVENTS_TABLE": f"contract-events-{number}",
            "ANTIPHON_RECORDER_REGIONAL_TABLE": f"contract-regional-{number}",
            "CREATE_TABLE": "y",
        },
    )


class TestAggregateRecorder(library.AggregateRecorderTestCase):
    env: Environment

    def create_recorder(self) -> AggregateRecorder:
        return recorders.DynamoDBFactory(self.env).aggregate_recorder()


class TestAggregateRecorderFromVersionZero(TestAggregateRecorder):
    INITIAL_VERSION = 0


class TestAggregateRecorderFromAnyVersion(TestAggregateRecorder):
    INITIAL_VERSION = 41


class TestAggregateRecorderWithTextIds(TestAggregateRecorder):
    def new_originator_id(self) -> str:
        return f"sim/{super().new_originator_id()}"


class TestAggregateRecorderReadingTheRegionsReplica(TestAggregateRecorder):
    def create_recorder(self) -> AggregateRecorder:
        self.env["ANTIPHON_RECORDER_READS"] = "eventual"
        return super().create_recorder()


class TestApplicationRecorderAsAggregateRecorder(TestAggregateRecorder):
    def create_recorder(self) -> AggregateRecorder:
        return recorders.DynamoDBFactory(self.env).application_recorder()


class TestSnapshotRecorder(TestAggregateRecorder):
    def create_recorder(self) -> AggregateRecorder:
        return recorders.DynamoDBFactory(self.env).aggregate_recorder("snapshots")


class TestTrackingRecorder(library.TrackingRecorderTestCase):
    env: Environment

    def create_recorder(self) -> recorders.DynamoDBTrackingRecorder:
        return recorders.DynamoDBFactory(self.env).tracking_recorder()


class TrackingRecorderOfAView(recorders.DynamoDBTrackingRecorder):
    """A subclass, as a projection's view would be."""


class TestFactory(library.InfrastructureFactoryTestCase[recorders.DynamoDBFactory]):
    env: Environment

    # There is no process recorder; that the factory says so is tested below.
    test_create_process_recorder = None  # type: ignore[assignment]

    def expected_factory_class(self) -> type[recorders.DynamoDBFactory]:
        return recorders.DynamoDBFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return recorders.DynamoDBAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return recorders.DynamoDBApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[recorders.DynamoDBTrackingRecorder]:
        return recorders.DynamoDBTrackingRecorder

    def tracking_recorder_subclass(self) -> type[recorders.DynamoDBTrackingRecorder]:
        return TrackingRecorderOfAView

    def expected_process_recorder_class(self) -> Any:
        raise AssertionError("no process recorder is offered")

    def test_there_is_no_process_recorder_and_the_factory_says_why(self) -> None:
        with pytest.raises(NotSupportedError, match="has no transactions"):
            self.factory.process_recorder()


class DictAsDict(Transcoding):
    type = library.Mydict
    name = "mydict"

    def encode(self, obj: Any) -> dict[Any, Any]:
        return dict(obj)

    def decode(self, data: dict[Any, Any]) -> Any:
        return library.Mydict(data)


class ListAsList(Transcoding):
    type = library.MyList
    name = "mylist"

    def encode(self, obj: Any) -> list[Any]:
        return list(obj)

    def decode(self, data: list[Any]) -> Any:
        return library.MyList(data)


class TextAsText(Transcoding):
    type = library.MyStr
    name = "mystr"

    def encode(self, obj: Any) -> str:
        return str(obj)

    def decode(self, data: str) -> Any:
        return library.MyStr(data)


class NumberAsNumber(Transcoding):
    type = library.MyInt
    name = "myint"

    def encode(self, obj: Any) -> int:
        return int(obj)

    def decode(self, data: int) -> Any:
        return library.MyInt(data)


class TestTranscoder(library.TranscoderTestCase):
    env: Environment

    def construct_transcoder(self) -> recorders.OrjsonTranscoder:
        transcoder = recorders.OrjsonTranscoder()
        for transcoding in (
            library.CustomType1AsDict(),
            library.CustomType2AsDict(),
            UUIDAsHex(),
            DictAsDict(),
            ListAsList(),
            TextAsText(),
            NumberAsNumber(),
        ):
            transcoder.register(transcoding)
        return transcoder


# The library expects one of its own deprecated names to warn, and looks at the warning.
@pytest.mark.filterwarnings("default::DeprecationWarning")
class TestApplication(library_applications.ApplicationTestCase):
    env: Environment

    # Asks for the numbers that events have among those of all aggregates.
    test_save_returns_recording_event = None  # type: ignore[assignment]
    # Saves events of two aggregates in one call.
    test_application_with_cached_aggregates_not_fastforward = None  # type: ignore[assignment]

    @pytest.fixture(autouse=True)
    def _in_the_process_environment(self, monkeypatch: Any, _an_engine: None) -> None:
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)
