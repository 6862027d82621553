"""Faults on real engines: what is lost, repeated, refused, slow, and what a wrong clock shows."""

import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

US, EU, AP = ("us-east-1", "eu-west-1", "ap-south-1")
EVENTS = "antiphon-events"
ACCOUNT = "000000000000"


@pytest.fixture
def calm(running):
    yield running
    running.wan(action="calm")


def item(aggregate: str) -> dict:
    return {"a": {"S": aggregate}, "q": {"N": "1"}}


def put(client, aggregate: str) -> None:
    client.put_item(
        TableName=EVENTS, Item=item(aggregate), ConditionExpression="attribute_not_exists(a)"
    )


def is_in_the_log(running, aggregate: str) -> bool:
    found = running.dynamodb(US).get_item(
        TableName=EVENTS, Key=item(aggregate), ConsistentRead=True
    )
    return "Item" in found


@pytest.fixture
def queue(calm, request):
    """A queue of its own in eu-west-1, its URL, and how many messages are in it."""
    sqs = calm.client("sqs", EU)
    name = f"q{abs(hash(request.node.name))}"
    sqs.create_queue(QueueName=name)
    url = f"https://sqs.{EU}.amazonaws.com/{ACCOUNT}/{name}"

    def waiting() -> int:
        told = sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(told["Attributes"]["ApproximateNumberOfMessages"])

    return url, waiting


@pytest.mark.parametrize(("fault", "arrived"), [("requests", 0), ("answers", 1)])
def test_a_lost_call_fails_and_only_a_lost_answer_was_carried_out(calm, queue, fault, arrived):
    url, waiting = queue
    calm.wan(action="lose", a=US, b=EU, **{fault: 1})
    with pytest.raises(BotoCoreError):
        calm.client("sqs", EU, caller=US).send_message(QueueUrl=url, MessageBody="one")
    assert waiting() == arrived
    calm.client("sqs", EU, caller=AP).send_message(QueueUrl=url, MessageBody="another way")
    calm.client("sqs", EU, caller=EU).send_message(QueueUrl=url, MessageBody="no way at all")
    assert waiting() == arrived + 2


def test_a_repeated_call_is_carried_out_twice(calm, queue):
    url, waiting = queue
    calm.wan(action="repeat", a=US, b=EU, rate=1)
    calm.client("sqs", EU, caller=US).send_message(QueueUrl=url, MessageBody="one")
    assert waiting() == 2


@pytest.mark.parametrize(("fault", "stored"), [("requests", False), ("answers", True)])
def test_a_write_to_a_global_table_is_lost_on_its_way_to_the_majority(calm, fresh, fault, stored):
    calm.wan(action="lose", a=US, b=EU, **{fault: 1})
    with pytest.raises(BotoCoreError):
        put(calm.dynamodb(US, inside=True), fresh)
    assert is_in_the_log(calm, fresh) is stored
    # ap-south-1 agrees with eu-west-1, over a link that is sound.
    put(calm.dynamodb(AP, inside=True), f"{fresh}.2")


def test_a_repeated_conditional_write_is_told_what_its_first_try_was_told(calm, fresh):
    calm.wan(action="repeat", rate=1)
    put(calm.dynamodb(US, inside=True), fresh)
    assert is_in_the_log(calm, fresh)


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("dynamodb", lambda client: client.list_tables(), "ThrottlingException"),
        ("sqs", lambda client: client.list_queues(), "RequestThrottled"),
        ("events", lambda client: client.list_event_buses(), "ThrottlingException"),
    ],
)
def test_a_throttled_service_refuses_functions_in_its_own_words(calm, service, call, code):
    calm.wan(action="throttle", region=EU, services=[service], rate=1)
    with pytest.raises(ClientError) as raised:
        call(calm.client(service, EU, caller=EU))
    assert raised.value.response["Error"]["Code"] == code
    # Neither the outside world nor another region is a function of this one's account.
    call(calm.client(service, EU))
    call(calm.client(service, US, caller=US))


def test_a_throttled_bus_refuses_entries_one_by_one(calm):
    calm.wan(action="throttle", region=EU, services=["events"], rate=0.5)
    events = calm.client("events", EU, caller=EU)
    entry = {"EventBusName": "antiphon", "Source": "x", "DetailType": "x", "Detail": "{}"}
    mixed = []
    for _ in range(40):
        try:
            told = events.put_events(Entries=[entry] * 6)
        except ClientError:
            # The whole request, as the test before this one has it.
            continue
        failed = [one for one in told["Entries"] if "ErrorCode" in one]
        assert told["FailedEntryCount"] == len(failed)
        assert {one["ErrorCode"] for one in failed} <= {"ThrottlingException"}
        mixed.append(0 < len(failed) < 6)
    assert any(mixed)


def test_a_slow_region_takes_longer_for_everyone_and_others_do_not(calm):
    calm.http(EU)
    calm.wan(action="slow", region=EU, ms=700)
    started = time.monotonic()
    assert calm.http(EU).status_code == 200
    calm.dynamodb(EU).describe_table(TableName=EVENTS)
    assert time.monotonic() - started >= 1.4
    started = time.monotonic()
    calm.http(US)
    assert time.monotonic() - started < 0.7


def test_a_wrong_clock_is_that_of_one_regions_functions_and_spoils_no_deadline(calm):
    def told(region: str) -> dict:
        calm.http(region)
        return calm.invocations(region, "queries")[-1]

    calm.wan(action="skew", region=EU, ms=-3_600_000)
    wrong, right = told(EU), told(US)
    assert wrong["at"] - right["at"] < -3_500
    assert 0 < wrong["left_ms"] <= right["left_ms"] + 1000
    calm.wan(action="calm")
    assert abs(told(EU)["at"] - time.time()) < 60


def test_a_region_whose_clock_was_wrong_wakes_up_with_it(calm):
    calm.wan(action="skew", region=EU, ms=3_600_000)
    calm.wan(action="kill", region=EU)
    calm.wan(action="start", region=EU)
    calm.http(EU)
    assert calm.invocations(EU, "queries")[-1]["at"] > time.time() + 3_500


def test_the_state_tells_every_fault_and_calm_ends_all_of_them(calm):
    _, before = calm.wan()
    for order in (
        {"action": "cut", "a": US, "b": AP},
        {"action": "delay", "a": US, "b": EU, "ms": 90, "jitter_ms": 20},
        {"action": "lose", "a": EU, "b": AP, "requests": 0.1, "answers": 0.2},
        {"action": "repeat", "a": EU, "b": AP, "rate": 0.3},
        {"action": "throttle", "region": US, "services": ["sqs"], "rate": 0.4},
        {"action": "slow", "region": EU, "ms": 5},
        {"action": "skew", "region": EU, "ms": 6},
        {"action": "kill", "region": AP},
    ):
        status, state = calm.wan(**order)
        assert status == 200, state
    near, cut, far = state["links"]
    assert (near["rtt_ms"], near["jitter_ms"], near["cut"]) == (90, 20, False)
    assert cut["cut"]
    assert (far["lost_requests"], far["lost_answers"], far["repeated"]) == (0.1, 0.2, 0.3)
    assert state["faults"][0]["throttled"] == {"sqs": 0.4}
    assert (state["faults"][1]["slow_ms"], state["faults"][1]["skew_ms"]) == (5, 6)
    assert state["faults"][2]["killed"]

    _, after = calm.wan(action="calm")
    for told in ("links", "faults"):
        assert after[told] == before[told]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"action": "explode"}, "there is no action 'explode'; there are: cut, heal, delay"),
        ({"action": "cut"}, "cut: a: Field required"),
        ({"action": "cut", "a": US, "b": "mars-1"}, "mars-1"),
        ({"action": "lose", "requests": 2}, "lose: requests: Input should be less than or equal"),
        ({"action": "throttle", "region": US, "rate": 1, "services": ["s3"]}, "'dynamodb', 'sqs'"),
        ({"action": "slow", "region": "mars-1", "ms": 1}, "mars-1 is not one of us-east-1"),
        ({"action": "skew", "region": US, "ms": 1, "b": EU}, "skew: b: Extra inputs"),
    ],
)
def test_an_order_that_cannot_be_carried_out_says_why(calm, order, told):
    status, answer = calm.wan(**order)
    assert status == 400
    assert told in answer["message"]
