"""Batches: one failure stops one aggregate, and the log is never taken on trust."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from eventstore.commits import Commit, RecordedEvent
from eventstore.errors import StoreUnavailable
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS


def activated(network: Network, imsi: str) -> Commit:
    body = {**ACTIVATION, "data": {**ACTIVATION["data"], "imsi": imsi}}
    _, told = network[US].post(body)
    commit = network.log.get(told["aggregate_id"], 1, consistent=True)
    assert commit is not None
    return commit


def test_a_poisoned_aggregate_does_not_stop_the_others(network: Network):
    good, other = (activated(network, f"26201123456789{n}") for n in (0, 1))
    poisoned = replace(good, events=(RecordedEvent("Subscriber.Unheard", 1, b"{}"),))

    # Nothing to deliver again, which would hold up the stream: a letter says what stopped.
    assert network[EU].stream(poisoned, other) == []

    [letter] = network[EU].deps.projector.letters.all()
    assert (letter.aggregate_id, letter.position) == (good.aggregate_id, 1)
    assert "CorruptLog" in letter.error
    assert network[EU].get("/subscribers/262011234567891")[0] == 200
    assert network[EU].get("/subscribers/262011234567890")[0] == 404


def test_an_aggregate_set_aside_goes_on_from_where_it_stands(network: Network):
    good = activated(network, "262011234567890")
    network[EU].stream(replace(good, events=(RecordedEvent("Subscriber.Unheard", 1, b"{}"),)))

    assert network[EU].stream(good) == []

    assert network[EU].get("/subscribers/262011234567890")[0] == 200


def test_a_passing_failure_is_reported_and_files_no_letter(network: Network):
    good = activated(network, "262011234567890")

    class Throttled:
        def __getattr__(self, name: str) -> Any:
            raise StoreUnavailable("throttled")

    projector = network[EU].deps.projector
    object.__setattr__(projector, "responses", Throttled())
    commit = replace(good, origin=EU)
    assert network[EU].stream(commit) == ["0"]

    assert list(projector.letters.all()) == []


def test_a_corrupt_stream_record_sets_its_aggregate_aside_alone(network: Network):
    corrupt, other = (activated(network, f"26201123456789{n}") for n in (0, 1))

    assert network[EU].stream(corrupt, other, spoil={0: {"e": {"S": "no list"}}}) == []

    [letter] = network[EU].deps.projector.letters.all()
    assert letter.aggregate_id == corrupt.aggregate_id
    assert network[EU].get("/subscribers/262011234567891")[0] == 200


def test_a_commit_whose_predecessor_is_not_in_the_log_is_set_aside_not_applied(network: Network):
    first = activated(network, "262011234567890")
    orphan = replace(first, position=9, predecessor=8)

    assert network[EU].stream(orphan) == []
    [letter] = network[EU].deps.projector.letters.all()
    assert "hole" in letter.error
    assert network[EU].get("/subscribers/262011234567890")[0] == 404


@pytest.mark.parametrize("body", ["", "{", "[1]", '[{"a":{"S":"x"}}]', "null"])
def test_a_lane_message_that_is_none_is_reported(network: Network, body: str):
    assert network[EU].project(body) == ["0"]


@pytest.mark.parametrize("body", ["", "{}", '{"region":"x","applied_at_ms":1,"acks":[]}'])
def test_an_acknowledgement_that_is_none_is_reported(network: Network, body: str):
    assert network[US].acknowledge(body) == ["0"]


def test_a_change_of_the_log_is_alarmed_and_never_applied(
    network: Network, caplog: pytest.LogCaptureFixture
):
    commit = activated(network, "262011234567890")

    assert network[EU].stream(commit, event_name="REMOVE") == []

    assert "the log was changed" in caplog.text
    assert network[EU].get("/subscribers/262011234567890")[0] == 404


def test_a_long_gap_is_applied_in_several_writes(network: Network):
    activated(network, "262011234567890")
    change: dict[str, Any] = {"type": "ChangeServiceProfile", "producer": "crm-emea"}
    for number in range(120):
        data = {"imsi": "262011234567890", "service_profile": f"p-{number}"}
        network[US].post({**change, "command_id": str(number), "data": data})
    *_, last = network.take(EU, "lane")

    assert network[EU].project(last) == []

    _, view = network[EU].get("/subscribers/262011234567890")
    assert (view["service_profile"], view["applied_sequence"]) == ("p-119", 121)
    _, page = network[EU].get("/subscribers/262011234567890/timeline", limit="200")
    assert [row["sequence"] for row in page["items"]] == list(range(121, 0, -1))


def client_error(code: str, **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}, **more}, "TransactWriteItems")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "set_aside"),
    [
        (
            client_error(
                "TransactionCanceledException",
                CancellationReasons=[{"Code": "None"}, {"Code": "ThrottlingError"}],
            ),
            False,
        ),
        (client_error("AccessDeniedException"), False),
        (client_error("ResourceNotFoundException"), False),
        (client_error("ValidationException"), True),
    ],
)
def test_only_what_is_wrong_with_the_data_is_set_aside(
    network: Network, error: ClientError, *, set_aside: bool
):
    commit = activated(network, "262011234567890")
    projector = network[EU].deps.projector
    client = projector.applier.views._client

    class Failing:
        def transact_write_items(self, **_: Any) -> None:
            raise error

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

    projector.applier.views._client = Failing()  # type: ignore[assignment]
    assert network[EU].stream(commit) == ([] if set_aside else ["0"])
    projector.applier.views._client = client

    assert len(list(projector.letters.all())) == (1 if set_aside else 0)
    assert network[EU].stream(commit) == []
    assert network[EU].get("/subscribers/262011234567890/timeline")[0] == 200


def test_an_unreadable_view_stops_its_aggregate_alone(network: Network):
    bad, good = (activated(network, f"26201123456789{n}") for n in (0, 1))
    network[EU].stream(bad)
    views = network[EU].deps.projector.applier.views
    key = {"k": {"S": f"subscriber-view#1#{bad.aggregate_id}"}, "s": {"S": "head"}}
    views._client.update_item(
        TableName=views._table,
        Key=key,
        UpdateExpression="SET x = :x",
        ExpressionAttributeValues={":x": {"B": b"not sealed here"}},
    )

    assert network[EU].stream(bad, good) == []

    assert [one.aggregate_id for one in network[EU].deps.projector.letters.all()] == [
        bad.aggregate_id
    ]
    assert network[EU].get("/subscribers/262011234567891")[0] == 200


def test_what_an_origin_has_not_heard_is_on_its_way_once(network: Network):
    commit = activated(network, "262011234567890")
    network.unreachable.add(US)

    for _ in range(5):
        network[AP].stream(commit)
    assert len(network.take(AP, "later")) == 1


def test_an_origin_that_is_no_region_any_more_holds_up_nobody(network: Network):
    commit = replace(activated(network, "262011234567890"), origin="sa-east-1")

    assert network[AP].stream(commit) == []
    assert network[AP].get("/subscribers/262011234567890")[0] == 200


def test_no_number_of_a_subscriber_stands_in_a_log_line_or_a_letter(
    network: Network, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    good = activated(network, "262011234567890")
    wrong = b'{"imsi":"262011234567890","msisdn":7,"iccid":"8949020000012345670"}'
    event = RecordedEvent("Subscriber.SubscriberActivated", 1, wrong)

    network[EU].stream(replace(good, events=(event,)))

    [letter] = network[EU].deps.projector.letters.all()
    assert "cannot be read" in letter.error
    logged = caplog.text + "".join(str(record.exc_text) for record in caplog.records)
    assert "aggregate set aside" in logged
    for text in (logged, letter.error, *capsys.readouterr()):
        assert "262011234567890" not in text


def test_projectors_at_one_aggregate_at_once_apply_each_commit_once(network: Network):
    activated(network, "262011234567890")
    change: dict[str, Any] = {"type": "ChangeServiceProfile", "producer": "crm-emea"}
    for number in range(20):
        data = {"imsi": "262011234567890", "service_profile": f"p-{number}"}
        network[US].post({**change, "command_id": str(number), "data": data})
    lane = network.take(EU, "lane")

    with ThreadPoolExecutor(8) as pool:
        shuffled = [lane[n::8] + lane[:n] for n in range(8)]
        failed = list(pool.map(lambda bodies: network[EU].project(*bodies), shuffled))
    if any(failed):
        # Contended more often than the tries allow: delivered again, as the queue does.
        assert network[EU].project(*lane) == []

    _, view = network[EU].get("/subscribers/262011234567890")
    assert (view["service_profile"], view["applied_sequence"]) == ("p-19", 21)
    _, page = network[EU].get("/subscribers/262011234567890/timeline", limit="200")
    assert [row["sequence"] for row in page["items"]] == list(range(21, 0, -1))


def test_an_acknowledgement_batch_fails_only_where_it_could_not_be_dealt_with(network: Network):
    activated(network, "262011234567890")
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    acks = network.take(US, "acks")

    assert network[US].acknowledge("{", *acks) == ["0"]
    assert len(network[US].answers) == 1
