"""Garbage among what is sent to a function: it is told or set aside, and what is good goes on."""

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.commits import Commit, to_image
from handlers import commands
from tests.commits import AGGREGATE, a_commit
from tests.dynamodb.regions import InProcessRegions
from tests.garbage.strategies import bodies, spoiled, texts, torn, values
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
_numbers = itertools.count(1)
some = settings(max_examples=100, deadline=None)
# Of an aggregate that nobody else uses; what it says may even be true.
BAD = a_commit(events=2)
BAD_LANE = {"again": False, "commits": [to_image(BAD)]}
BAD_ACK = {
    "region": EU,
    "applied_at_ms": 1_700_000_000_000,
    "acks": [{"commit": BAD.commit_id, "recorded_at_ms": BAD.recorded_at_ms}],
}


@pytest.fixture(scope="module")
def network() -> Network:
    """One network for all examples: garbage must not spoil it for what comes later."""
    return Network(InProcessRegions())  # type: ignore[arg-type]


def activation() -> dict[str, Any]:
    """Return a command of a subscriber that no test has used yet."""
    data = {**ACTIVATION["data"], "imsi": f"26201{next(_numbers):010d}"}
    return {**ACTIVATION, "data": data}


def decided(network: Network) -> Commit:
    """Have a command decided, and return its commit; nothing of it has been delivered."""
    _, told = network[US].post(activation())
    network.messages.clear()
    aggregate_id, _, position = told["commit"].rpartition(".")
    commit = network.log.get(aggregate_id, int(position), consistent=True)
    assert commit is not None
    return commit


def stream_record(name: str, image: Any, commit: Commit) -> dict[str, Any]:
    key = {"a": {"S": commit.aggregate_id}, "q": {"N": str(commit.position)}}
    return {
        "eventSource": "aws:dynamodb",
        "eventName": "INSERT",
        "dynamodb": {"SequenceNumber": name, "Keys": key, "NewImage": image},
    }


def message(name: str, body: str, **more: Any) -> dict[str, Any]:
    return {"eventSource": "aws:sqs", "messageId": name, "body": body, **more}


def failed(told: dict[str, Any]) -> set[str]:
    return {failure["itemIdentifier"] for failure in told["batchItemFailures"]}


def has_applied(network: Network, region: str, commit: Commit) -> bool:
    status, told = network[region].get(f"/commands/{commit.commit_id}")
    assert status == 200
    views = network[region].deps.views_of(region)
    projections = network[region].deps.projections
    read = views.read_many([(p, commit.aggregate_id) for p in projections])
    return any(view.applied == commit.last_position for view in read.values()) and bool(told)


@some
@given(image=values | spoiled(to_image(BAD)))
def test_a_garbage_record_of_the_stream_stops_nobody_else(network: Network, image: Any):
    good = decided(network)

    told = network[EU]._projector(
        {
            "Records": [
                stream_record("bad", image, BAD),
                stream_record("good", to_image(good), good),
            ]
        },
        None,
    )

    assert failed(told) <= {"bad"}
    assert has_applied(network, EU, good)


@some
@given(body=bodies(BAD_LANE))
def test_a_garbage_message_of_the_lane_stops_nobody_else(network: Network, body: str):
    good = decided(network)
    lane = json.dumps({"again": False, "commits": [to_image(good)]})

    told = network[EU]._projector({"Records": [message("bad", body), message("good", lane)]}, None)

    assert failed(told) <= {"bad"}
    assert has_applied(network, EU, good)


@some
@given(body=bodies(BAD_ACK), region=st.sampled_from(REGIONS))
def test_a_garbage_acknowledgement_stops_no_answer(network: Network, body: str, region: str):
    good = decided(network)
    lane = json.dumps({"again": False, "commits": [to_image(good)]})
    for name in REGIONS:
        network[name].project(lane)
    acks = network.take(US, "acks")
    assert len(acks) == 3

    told = network[US]._responder(
        {
            "Records": [
                message("bad", body.replace(EU, region)),
                *(message(f"good {n}", ack) for n, ack in enumerate(acks)),
            ]
        },
        None,
    )

    assert failed(told) <= {"bad"}
    answered = [answer["command"]["commit"] for answer in network[US].answers]
    assert answered.count(good.commit_id) == 1


def attributes(*parts: Any) -> dict[str, Any]:
    names = ("Idempotency-Key", "X-Correlation-Id", "traceparent", "Antiphon-First-Received-Ms")
    given = zip(names, parts, strict=True)
    return {name: {"stringValue": text} for name, text in given if text is not None}


@some
@given(
    body=bodies(ACTIVATION).filter(lambda text: "\ud800" not in text and "\udfff" not in text),
    parts=st.tuples(*[st.none() | texts] * 4),
)
def test_a_garbage_command_of_the_queue_stops_nobody_else(
    network: Network, body: str, parts: tuple[Any, ...]
):
    good = activation()
    about = {"MessageGroupId": "g", "SentTimestamp": "1700000000000"}

    told = network[US].take_from_queue(
        message("bad", body, attributes=about, messageAttributes=attributes(*parts)),
        message("good", json.dumps(good), attributes={**about, "MessageGroupId": "h"}),
    )

    assert set(told) <= {"bad"}
    aggregate_id = network[US].deps.keys.aggregate_id("sub", good["data"]["imsi"])
    assert network.log.head(aggregate_id, consistent=True) is not None


DISCARDED = {
    "requestContext": {"condition": "MaxRecordAgeExceeded", "approximateInvokeCount": 9},
    "payload": json.dumps({"Records": [stream_record("1", to_image(BAD), BAD)]}),
}
OBJECT = {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}
UNDELIVERED = {"source": "antiphon", "detail": {"answer_id": "a", "command": {"commit": "x.1"}}}


@some
@given(
    data=st.data(),
    queue=st.sampled_from(["dead", "lane-dead", "acks-dead", "answers-dead", "discarded"]),
    parts=st.tuples(*[st.none() | texts] * 4),
)
def test_garbage_in_a_dead_letter_queue_is_kept_or_stays_there(
    network: Network, data: Any, queue: str, parts: tuple[Any, ...]
):
    valid = {
        "dead": ACTIVATION,
        "lane-dead": BAD_LANE,
        "acks-dead": BAD_ACK,
        "answers-dead": UNDELIVERED,
        "discarded": OBJECT,
    }[queue]
    body = data.draw(bodies(valid).filter(lambda t: "\ud800" not in t and "\udfff" not in t))
    network.discards["b", "k"] = data.draw(bodies(DISCARDED)).encode("utf-8", "surrogatepass")
    before = {one.letter_id: one.attempts for one in network[AP].letters.values()}

    told = network[AP].bury(queue, body, messageAttributes=attributes(*parts))

    after = {one.letter_id: one.attempts for one in network[AP].letters.values()}
    kept = after != before
    # What names no commit and no object holds nothing that could be lost.
    empty = queue in {"lane-dead", "discarded"}
    assert kept != bool(told) or (empty and not kept and not told)
    for letter in network[AP].letters.values():
        network[AP].order("look", letter.letter_id)


CONFIGURATION = {
    "type": "ApplyConfiguration",
    "command_id": "c1",
    "producer": "oss",
    "data": {"element_id": "gnb-1", "base_revision": 0, "parameters": {"a": [1, {"b": "c"}]}},
}
HEADERS = ["Idempotency-Key", "X-Correlation-Id", "traceparent", "Content-Type"]


@some
@given(
    body=bodies(ACTIVATION) | bodies(CONFIGURATION),
    headers=st.dictionaries(st.sampled_from(HEADERS), texts),
    encoded=st.booleans(),
)
def test_garbage_by_http_is_told_to_whoever_sent_it(
    network: Network,
    body: str,
    headers: dict[str, str],
    encoded: bool,  # noqa: FBT001
):
    raw = body.encode("utf-8", "surrogatepass")
    sent = base64.b64encode(raw).decode() if encoded else body

    reply = network[US]._commands(
        {"body": sent, "isBase64Encoded": encoded, "headers": headers}, None
    )

    told = json.loads(reply["body"])
    if reply["statusCode"] in {200, 202} or told.get("status") == "rejected":
        assert told["commit"]
    else:
        assert reply["statusCode"] in {400, 409, 413, 422}
        assert told["code"]
        assert told["status"] == reply["statusCode"]


PATHS = [
    "/subscribers/{}",
    "/subscribers/{}/timeline",
    "/subscribers/{}/history",
    "/network-elements/{}",
    "/network-elements/{}/timeline",
    "/commands/{}",
    "/{}",
]
PARAMETERS = {
    "consistency": "strong",
    "wait_ms": "0",
    "on_timeout": "stale",
    "limit": "2",
    "cursor": "",
    "at_sequence": "1",
    "at_time": "2026-11-23T10:00:00Z",
    "msisdn": "+4915112345678",
    "status": "active",
    "site": "ber-1",
}


@pytest.fixture(scope="module")
def known(network: Network) -> dict[str, str]:
    """Return what is there to be asked for, and a token and a cursor of it."""
    first = activation()
    imsi = first["data"]["imsi"]
    network[US].post(first)
    for number in range(3):
        data = {"imsi": imsi, "service_profile": f"profile-{number}"}
        change = {**first, "type": "ChangeServiceProfile", "command_id": f"{number}", "data": data}
        _, told = network[US].post(change)
    network.settle()
    _, page = network[EU].get(f"/subscribers/{imsi}/timeline", limit="2")
    return {
        "imsi": imsi,
        "commit": told["commit"],
        "token": told["consistency_token"],
        "cursor": page["next"],
    }


@some
@given(data=st.data())
def test_a_garbage_query_never_fails_inside(network: Network, known: dict[str, str], data: Any):
    segment = data.draw(
        st.sampled_from([known["imsi"], known["commit"], AGGREGATE])
        | torn(known["imsi"])
        | torn(known["commit"])
        | texts
    )
    path = data.draw(st.sampled_from(PATHS)).format(segment)
    if data.draw(st.booleans()):
        path = data.draw(st.sampled_from(["/subscribers", "/network-elements"]))
    query = {"wait_ms": "0"}
    for name in data.draw(st.lists(st.sampled_from(list(PARAMETERS)), unique=True, max_size=3)):
        valid = known["cursor"] if name == "cursor" else PARAMETERS[name]
        query[name] = data.draw(st.just(valid) | torn(valid) | texts)
    token = data.draw(st.none() | st.just(known["token"]) | torn(known["token"]) | texts)
    headers = {} if token is None else {"Consistency-Token": token}

    status, told = network[EU].get(path, headers, **query)

    assert status in {200, 404, 422}, told
    assert status == 200 or told["code"]


@given(prefer=texts | torn("respond-async, wait=5"))
def test_a_preference_that_is_none_is_ignored_and_none_waits_longer_than_allowed(prefer: str):
    assert 0 <= commands._wait_s({"prefer": prefer}, 20) <= 20
