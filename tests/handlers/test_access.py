"""Who calls, and what it may: nothing is decided or read for a caller without a grant for it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from antiphon.dlq import FORBIDDEN
from eventstore.requests import CommandRequest
from handlers import status
from handlers.access import EVERYONE, Access, Caller, Refused, name_of_key
from handlers.envelope import CommandReader
from handlers.settings import Settings
from infra.local.configuration import LocalConfig
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.eventual import EventualNetwork
from tests.handlers.network import ACTIVATION, REGIONS, REPLAYER, Network
from tests.handlers.test_settings import VALID

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]
ROLE = "arn:aws:iam::123456789012:role/crm-emea"
SESSION = "arn:aws:sts::123456789012:assumed-role/crm-emea/i-0abc"

GRANTS = {
    ROLE: ["send:ActivateSubscriber"],
    "arn:aws:iam::123456789012:role/oss": ["send:NetworkElement.*", "as:oss-1", "read"],
    "arn:aws:iam::123456789012:role/reader": ["read"],
    "arn:aws:iam::123456789012:role/operator": ["operate"],
    "AROACRM": ["send:Subscriber.*", "as:crm-emea"],
}


class Guarded(Network):
    """Regions that know their callers by IAM."""

    authorization = "IAM"
    grants = GRANTS


class GuardedEventual(EventualNetwork):
    """The same in EVENTUAL mode, where a command goes on to its home."""

    authorization = "IAM"
    grants = GRANTS


@pytest.fixture
def guarded() -> Network:
    return Guarded(InProcessRegions())


def by_iam(arn: str) -> dict[str, Any]:
    return {"authorizer": {"iam": {"userArn": arn, "accountId": "123456789012"}}}


def posted(
    network: Network, body: Mapping[str, Any], *, context: Any, region: str = US, **headers: str
) -> tuple[int, dict[str, Any]]:
    event = {"body": json.dumps(body), "headers": headers, "requestContext": context}
    reply = network[region]._commands(event, None)
    return reply["statusCode"], json.loads(reply["body"])


def asked(network: Network, path: str, *, context: Any) -> tuple[int, dict[str, Any]]:
    http = {"http": {"method": "GET", "path": path}, "stage": "$default"}
    event = {"version": "2.0", "rawPath": path, "headers": {}, "requestContext": http | context}
    reply = network[US]._queries(event, None)
    return reply["statusCode"], json.loads(reply["body"])


def nothing_was_decided(network: Network) -> bool:
    keys = network[US].deps.keys
    heads = [
        network.log.head(keys.aggregate_id("sub", IMSI), consistent=True),
        network.log.head(keys.aggregate_id("net", "gnb-1"), consistent=True),
    ]
    return heads == [None, None] and not network.messages


# Who it is.


def caller(kind: Any, context: Any, **headers: str) -> Caller:
    access = Access(kind, {name_of_key("sesame-sesame"): ["read"], ROLE: ["read"]})
    return access.by_http({"headers": headers, "requestContext": context})


def by_jwt(**claims: Any) -> dict[str, Any]:
    return {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}


def test_a_session_of_a_role_is_the_role():
    assert caller("IAM", by_iam(SESSION)) == Caller(ROLE, frozenset({"read"}), "crm-emea")


def test_a_user_is_itself_under_its_path():
    user = "arn:aws:iam::123456789012:user/division/ann"
    assert caller("IAM", by_iam(user)) == Caller(user, frozenset(), "ann")


@pytest.mark.parametrize("claim", ["scope", "scp"])
@pytest.mark.parametrize(
    "told", ["openid antiphon/read antiphon/send:*", "[openid antiphon/read antiphon/send:*]"]
)
def test_a_tokens_grants_are_among_its_scopes(claim: str, told: str):
    found = caller("JWT", by_jwt(sub="crm", **{claim: told}))
    assert found == Caller("crm", frozenset({"read", "send:*"}), "crm")


def test_a_development_key_is_known_by_its_hash():
    found = caller("KEY", {}, Authorization="Bearer sesame-sesame")
    assert (found.name, found.grants) == (name_of_key("sesame-sesame"), {"read"})


@pytest.mark.parametrize(
    ("kind", "context", "headers"),
    [
        ("IAM", {}, {}),
        ("IAM", None, {}),
        ("IAM", {"authorizer": None}, {}),
        ("IAM", {"authorizer": {"iam": {"userArn": None}}}, {}),
        # What another authorizer proves, or a header says, proves nothing.
        ("IAM", by_jwt(sub="crm"), {"Authorization": f"Bearer {ROLE}"}),
        ("JWT", by_iam(ROLE), {}),
        ("JWT", by_jwt(scope="antiphon/read"), {}),
        ("KEY", by_iam(ROLE), {}),
        ("KEY", {}, {"Authorization": "Bearer other"}),
        ("KEY", {}, {"Authorization": "Basic sesame-sesame"}),
        # A hash is no secret: it stands in the stack's parameters.
        ("KEY", {}, {"Authorization": f"Bearer {name_of_key('sesame-sesame')}"}),
    ],
)
def test_who_has_not_proven_who_it_is_is_nobody(kind: Any, context: Any, headers: dict[str, str]):
    with pytest.raises(Refused) as refused:
        caller(kind, context, **headers)
    assert refused.value.code == "unauthenticated"


def test_without_a_setting_nobody_is_let_in():
    assert Settings.of(VALID, region="eu-west-1").authorization == "IAM"


@pytest.mark.parametrize(
    "grants", ["no JSON", '["read"]', '{"a": "read"}', '{"a": ["write"]}', '{"a": ["send:a b"]}']
)
def test_grants_that_say_nothing_are_refused_at_the_start(grants: str):
    with pytest.raises(ValueError, match="grants"):
        Settings.of(VALID | {"ANTIPHON_GRANTS": grants}, region="eu-west-1")


def test_a_local_run_with_a_key_grants_its_bearer_everything_and_nobody_else_anything():
    given = LocalConfig(development_key="sesame-sesame").access
    access = Access("KEY", json.loads(given["Grants"]))

    found = access.by_http({"headers": {"authorization": "bearer sesame-sesame"}})

    assert (given["Authorization"], found.grants) == ("KEY", EVERYONE.grants)
    with pytest.raises(Refused):
        access.by_http({"headers": {}})
    assert LocalConfig().access == {"Authorization": "NONE"}
    assert "sesame" not in repr(LocalConfig(development_key="sesame-sesame")) + str(given)


# What it may send.

READER = CommandReader(Network(InProcessRegions())[US].deps.registry, max_bytes=10_000)


def request(producer: str = "crm-emea") -> CommandRequest:
    body = json.dumps(ACTIVATION | {"producer": producer})
    return READER.read(body, idempotency_key=None, correlation_id=None, traceparent=None)


@pytest.mark.parametrize("grant", ["send:*", "send:ActivateSubscriber", "send:Subscriber.*"])
def test_a_grant_is_of_a_command_of_an_aggregate_or_of_all(grant: str):
    Caller("n", frozenset({grant}), "crm-emea").check_sends(request())


@pytest.mark.parametrize(
    "grant",
    ["read", "as:*", "send:SuspendSubscriber", "send:Subscriber", "send:NetworkElement.*"],
)
def test_no_other_grant_lets_a_command_be_sent(grant: str):
    with pytest.raises(Refused, match="ActivateSubscriber"):
        Caller("n", frozenset({grant}), "crm-emea").check_sends(request())


def test_in_anothers_name_only_with_a_grant_of_that_name():
    mine = Caller("n", frozenset({"send:*"}), "crm-emea")
    granted = Caller("n", frozenset({"send:*", "as:other"}), "crm-emea")
    mine.check_sends(request("crm-emea"))
    granted.check_sends(request("other"))
    for one, name in ((mine, "other"), (granted, "third"), (granted, "oth")):
        with pytest.raises(Refused, match="name of another producer"):
            one.check_sends(request(name))


def test_what_is_granted_is_decided(guarded: Network):
    status, told = posted(guarded, ACTIVATION, context=by_iam(SESSION))
    assert (status, told["status"]) == (202, "accepted")


@pytest.mark.parametrize(
    ("context", "change", "status"),
    [
        ({}, {}, 401),
        (by_iam("arn:aws:iam::123456789012:role/unknown"), {}, 403),
        (by_iam("arn:aws:iam::123456789012:role/reader"), {}, 403),
        (by_iam("arn:aws:iam::123456789012:role/oss"), {}, 403),
        (by_iam(SESSION), {"producer": "crm-apac"}, 403),
        (by_iam(SESSION), {"type": "TerminateSubscriber"}, 403),
    ],
)
def test_without_a_grant_nothing_is_decided(
    guarded: Network, context: Any, change: dict[str, str], status: int
):
    body = ACTIVATION | change
    if "type" in change:
        body |= {"data": {"imsi": IMSI, "reason": "fraud"}}

    got, problem = posted(guarded, body, context=context)

    assert (got, problem["status"]) == (status, status)
    assert problem["code"] == {401: "unauthenticated", 403: "forbidden"}[status]
    assert nothing_was_decided(guarded)


def test_who_may_send_nothing_is_not_even_read(guarded: Network):
    event = {
        "body": "no JSON",
        "requestContext": by_iam("arn:aws:iam::123456789012:role/reader"),
    }
    assert guarded[US]._commands(event, None)["statusCode"] == 403


# What it may ask.


@pytest.mark.parametrize("path", [f"/subscribers/{IMSI}", "/commands/sub.x.1", "/nothing"])
def test_queries_need_a_grant_to_read(guarded: Network, path: str):
    assert asked(guarded, path, context={})[0] == 401
    assert asked(guarded, path, context=by_iam(SESSION))[0] == 403
    reader = by_iam("arn:aws:iam::123456789012:role/reader")
    assert asked(guarded, path, context=reader)[0] == 404


def test_how_a_region_is_needs_a_grant_to_operate(guarded: Network):
    handler = status.make_handler(guarded[US].deps)
    http = {"http": {"method": "GET", "path": "/status"}, "stage": "$default"}
    event = {"version": "2.0", "rawPath": "/status", "headers": {}}

    def told(context: Any) -> int:
        code: int = handler(event | {"requestContext": http | context}, None)["statusCode"]
        return code

    assert told({}) == 401
    assert told(by_iam("arn:aws:iam::123456789012:role/reader")) == 403
    assert told(by_iam("arn:aws:iam::123456789012:role/operator")) == 200


def test_whether_a_region_serves_is_told_to_everyone(guarded: Network):
    assert asked(guarded, "/health", context={})[0] == 200


# By queue, and between regions.


def message(body: Mapping[str, Any], **attributes: str) -> dict[str, Any]:
    about = {"MessageGroupId": "g", "SentTimestamp": "1700000000000", **attributes}
    return {"messageId": "m1", "body": json.dumps(body), "attributes": about}


def test_a_message_is_of_who_sqs_says_has_sent_it(guarded: Network):
    assert guarded[US].take_from_queue(message(ACTIVATION, SenderId="AROACRM:session")) == []
    assert not nothing_was_decided(guarded)


@pytest.mark.parametrize("sender", [{}, {"SenderId": "AROAOTHER:AROACRM"}, {"SenderId": ROLE}])
def test_a_message_without_a_grant_is_set_aside_undecided(guarded: Network, sender: dict[str, str]):
    assert guarded[US].take_from_queue(message(ACTIVATION, **sender)) == []

    extra, *_ = guarded.extras[US, "dead"]
    # What `antiphon dlq replay --all` knows it by.
    assert extra["MessageAttributes"]["Antiphon-Error"]["StringValue"].startswith(FORBIDDEN)
    [buried] = guarded.take(US, "dead")
    assert json.loads(buried) == ACTIVATION
    assert nothing_was_decided(guarded)


def test_what_an_operator_replays_needs_no_grant_of_its_producer(guarded: Network):
    assert guarded[US].take_from_queue(message(ACTIVATION, SenderId=f"{REPLAYER}:f")) == []
    assert not nothing_was_decided(guarded)


def not_at_home() -> tuple[EventualNetwork, str, str]:
    """Return regions, the home of the subscriber, and a region that is not it."""
    network = GuardedEventual(InProcessRegions())
    home = network[US].deps.homes.home_of(network[US].deps.keys.aggregate_id("sub", IMSI))
    return network, home, next(region for region in REGIONS if region != home)


def test_a_command_that_goes_on_to_its_home_keeps_its_producer():
    network, home, origin = not_at_home()

    status, told = posted(network, ACTIVATION, context=by_iam(SESSION), region=origin)

    assert status == 202
    aggregate_id, _, position = told["commit"].rpartition(".")
    log = network[home].deps.log_of(home)
    commit = log.get(aggregate_id, int(position), consistent=True)
    assert commit is not None
    assert (commit.command.producer, commit.origin) == ("crm-emea", origin)


def test_what_is_refused_at_its_origin_goes_on_to_no_home():
    network, home, origin = not_at_home()
    calls: list[str] = []
    network[origin].deps.forwarding._functions = calls.append  # type: ignore[assignment]

    status, _ = posted(
        network, ACTIVATION | {"producer": "other"}, context=by_iam(SESSION), region=origin
    )

    assert (status, calls) == (403, [])
    aggregate_id = network[home].deps.keys.aggregate_id("sub", IMSI)
    assert network[home].deps.log_of(home).head(aggregate_id, consistent=True) is None


def test_no_request_by_http_passes_for_one_that_another_region_has_sent_on(guarded: Network):
    forged = {"forwarded": {"body": "e30=", "origin": EU}, **ACTIVATION}
    status, problem = posted(guarded, forged, context=by_iam(SESSION), forwarded="for=eu-west-1")
    assert (status, problem["code"]) == (422, "invalid")
    assert nothing_was_decided(guarded)


def test_everyone_is_granted_all_there_is():
    EVERYONE.check_reads()
    EVERYONE.check_operates()
    EVERYONE.check_sends_any()
    EVERYONE.check_sends(request("anybody"))
