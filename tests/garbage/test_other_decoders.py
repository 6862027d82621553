"""The decoders of states, homes, replies between regions, tokens of the gateway, and files."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from antiphon import scenario
from antiphon.backup_file import Heading, Lost, read_heading, read_lines, write_backup
from antiphon.feeds.lines import BadFeed, FeedLine, read_feed
from antiphon.problems import Problem
from domain.registry import REGISTRY
from eventstore.commits import to_image
from eventstore.errors import EventStoreError, StoreUnavailable
from eventstore.requests import Decision
from handlers.access import Access, Caller, Refused
from handlers.envelope import CommandReader
from handlers.forwarding import Forwarding
from handlers.settings import Settings
from projections.homes import Homes, HomesStore
from projections.regions import ControlStore, Topology
from tests.commits import a_commit
from tests.garbage.strategies import bodies, texts, torn, values, written
from tests.handlers.network import ACTIVATION, REGIONS
from tests.handlers.test_settings import VALID

some = settings(
    max_examples=100,
    deadline=None,
    # The fixture is a directory, which each example writes its own file into.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
REQUEST = CommandReader(REGISTRY, max_bytes=10_000).read(
    json.dumps(ACTIVATION), idempotency_key=None, correlation_id=None, traceparent=None
)
REPLY = {"commit": to_image(a_commit()), "duplicate": False, "attempts": 1}
REFUSAL = {"refused": "KeyReused", "message": "used before"}


@some
@given(body=bodies(REPLY) | bodies(REFUSAL))
@example(body='{"refused":[],"message":"m"}')
@example(body='{"refused":"KeyReused"}')
@example(body=json.dumps(REPLY | {"attempts": None}))
@example(body=json.dumps(REPLY | {"commit": 1}))
def test_what_a_home_answers_is_a_decision_or_a_refusal_or_unknown(body: str):
    raw = io.BytesIO(body.encode("utf-8", "surrogatepass"))
    home: Any = SimpleNamespace(invoke=lambda **_: {"Payload": raw})
    forwarding = Forwarding(lambda _region: home, function="f", origin=REGIONS[0])
    try:
        decision = forwarding.decide(REGIONS[1], REQUEST, b"{}")
    except EventStoreError as error:
        assert str(error)  # noqa: PT017 - any of them is right
        return
    assert isinstance(decision, Decision)
    assert isinstance(decision.attempts, int)


def holding(text: str) -> Any:
    """Return a client of a table whose item has this text."""
    item = {"k": {"S": "x"}, "d": {"S": text}, "v": {"N": "1"}}
    return SimpleNamespace(get_item=lambda **_: {"Item": item})


@some
@given(text=bodies(Topology.all_active(REGIONS).model_dump(mode="json")))
def test_the_regions_states_are_understood_or_not_gone_by(text: str):
    try:
        topology = ControlStore(holding(text), table="t", regions=REGIONS).read()
    except StoreUnavailable:
        return
    assert set(topology.standings) == set(REGIONS)


@some
@given(text=bodies(Homes.spread(REGIONS).model_dump(mode="json")))
def test_the_homes_are_understood_or_not_gone_by(text: str):
    try:
        homes = HomesStore(holding(text), table="t").read()
    except StoreUnavailable:
        return
    assert len(homes.slots) == len(Homes.spread(REGIONS).slots)


SCRIPT = """seed: 7
steps:
  - {at: 5s, action: cut, a: us-east-1, b: ap-south-1, for: 20s}
  - {at: 500ms, action: throttle, region: eu-west-1, rate: 0.3, for: 20s}
"""


@some
@given(text=torn(SCRIPT) | texts | values.map(written))
def test_a_scenario_is_read_or_its_mistake_told(text: str):
    try:
        read = scenario.read(text, name="s.yaml", regions=REGIONS)
    except Problem as problem:
        assert "s.yaml" in str(problem)  # noqa: PT017 - or it is read
        return
    assert isinstance(read, scenario.Scenario)


FEED = {"command": ACTIVATION, "region": REGIONS[0]}


@some
@given(line=bodies(FEED) | bodies(ACTIVATION))
def test_a_line_of_a_feed_is_read_or_named(line: str):
    try:
        read = list(read_feed([line.encode("utf-8", "surrogatepass")]))
    except BadFeed as bad:
        assert "line 1" in str(bad)  # noqa: PT017 - or it is read
        return
    assert all(isinstance(one, FeedLine) for one in read)


@some
@given(at=st.floats(0, 1), flip=st.integers(0, 255), kept=st.floats(0, 1), more=st.binary())
@example(at=0.0, flip=0, kept=0.0, more=b"")
def test_a_backup_is_whole_or_refused(
    tmp_path: Path, at: float, flip: int, kept: float, more: bytes
):
    file = tmp_path / "backup"
    file.unlink(missing_ok=True)
    heading = Heading(
        taken_at="2026-11-24T00:00:00Z",
        regions=REGIONS,
        fingerprint="f",
        generation=1,
        topology=Topology.all_active(REGIONS),
    )
    lost = Lost(region=REGIONS[0], answer={"c": "x.1"})
    write_backup(file, heading, [lost])
    raw = bytearray(file.read_bytes())
    raw[int(at * (len(raw) - 1))] ^= flip
    file.write_bytes(bytes(raw[: int(kept * len(raw))]) + more)
    try:
        read = read_heading(file), list(read_lines(file))
    except Problem as problem:
        assert str(file) in str(problem)  # noqa: PT017 - or it is whole
        return
    # What gzip does not look at, such as the time in its header, may have changed.
    assert read == (heading, [lost])


@some
@given(text=bodies({"arn:aws:iam::1:role/a": ["read", "send:Subscriber.*"]}))
def test_grants_are_read_or_refused_at_the_start(text: str):
    try:
        read = Settings.of(VALID | {"ANTIPHON_GRANTS": text}, region="eu-west-1").grants
    except ValueError:
        return
    assert all(isinstance(words, tuple) for words in read.values())


PROVEN = {
    "requestContext": {
        "authorizer": {
            "iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/crm/session"},
            "jwt": {"claims": {"sub": "crm", "scope": "antiphon/read"}},
        }
    },
    "headers": {"authorization": "Bearer key"},
}


@some
@given(kind=st.sampled_from(["IAM", "JWT", "KEY"]), value=texts | values, data=st.data())
def test_a_caller_is_known_or_refused(kind: Any, value: Any, data: Any):
    """Of what the gateway has proven, and of the header that the caller itself writes."""
    event = json.loads(json.dumps(PROVEN))
    spot = data.draw(st.sampled_from(["userArn", "sub", "scope", "header"]))
    proven = event["requestContext"]["authorizer"]
    if spot == "userArn":
        proven["iam"]["userArn"] = value
    elif spot == "header":
        event["headers"]["authorization"] = value if isinstance(value, str) else "Bearer x"
    else:
        proven["jwt"]["claims"][spot] = value
    try:
        caller = Access(kind, {}).by_http(event)
    except Refused as refused:
        assert refused.code == "unauthenticated"  # noqa: PT017 - or it is known
        return
    assert isinstance(caller, Caller)
    assert kind != "KEY"
    assert caller.name


def test_what_is_valid_passes_them_all():
    raw: Any = SimpleNamespace(
        invoke=lambda **_: {"Payload": io.BytesIO(json.dumps(REPLY).encode())}
    )
    forwarding = Forwarding(lambda _region: raw, function="f", origin=REGIONS[0])
    assert forwarding.decide(REGIONS[1], REQUEST, b"{}").commit == a_commit()
    states = Topology.all_active(REGIONS).model_dump_json()
    assert ControlStore(holding(states), table="t", regions=REGIONS).read().serving
    assert HomesStore(holding(Homes.spread(REGIONS).model_dump_json()), table="t").read().slots
    assert scenario.read(SCRIPT, name="s.yaml", regions=REGIONS).seed == 7
