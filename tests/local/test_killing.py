"""A region that is killed: silent while it is dead, whole when it lives, and no failure."""

import time

import httpx
import pytest
from botocore.exceptions import BotoCoreError

US, EU, AP = ("us-east-1", "eu-west-1", "ap-south-1")
EVENTS = "antiphon-events"


def item(aggregate: str, position: int = 1) -> dict:
    return {"a": {"S": aggregate}, "q": {"N": str(position)}}


def put(client, aggregate: str, position: int = 1) -> None:
    client.put_item(TableName=EVENTS, Item=item(aggregate, position))


def state_of(running, region: str) -> dict:
    _, state = running.wan()
    return next(one for one in state["faults"] if one["region"] == region)


@pytest.fixture
def killed(running):
    """The regions, with ap-south-1 killed; it lives again after the test."""
    status, state = running.wan(action="kill", region=AP)
    assert status == 200, state
    yield running
    running.wan(action="calm")
    assert not state_of(running, AP)["killed"]


def test_a_killed_region_ends_every_connection_without_a_word(killed):
    with pytest.raises(httpx.RemoteProtocolError):
        killed.http(AP)
    with pytest.raises(BotoCoreError):
        killed.dynamodb(AP).describe_table(TableName=EVENTS)
    assert killed.http(US).status_code == 200


def test_all_links_of_a_killed_region_are_cut_and_the_others_go_on(killed, fresh):
    _, state = killed.wan()
    assert [(one["a"], one["b"]) for one in state["links"] if not one["cut"]] == [(US, EU)]
    put(killed.dynamodb(US), fresh)


def test_what_was_written_meanwhile_reaches_a_region_that_lives_again(killed, fresh):
    put(killed.dynamodb(US), fresh)
    status, _ = killed.wan(action="start", region=AP)
    assert status == 200
    near = killed.dynamodb(AP)
    killed.eventually(
        lambda: near.get_item(TableName=EVENTS, Key=item(fresh)).get("Item"), within_s=10
    )
    # And its own functions are told of it, by the stream, where their checkpoint was.
    killed.eventually(lambda: killed.stream_records(AP, fresh), within_s=15)
    assert killed.http(AP).status_code == 200


def test_what_was_durable_is_there_again(running, fresh):
    put(running.dynamodb(AP), fresh)
    near = running.dynamodb(AP)
    running.eventually(
        lambda: near.get_item(TableName=EVENTS, Key=item(fresh)).get("Item"), within_s=10
    )
    running.wan(action="kill", region=AP)
    running.wan(action="start", region=AP)
    assert near.get_item(TableName=EVENTS, Key=item(fresh))["Item"] == item(fresh)


def test_an_invocation_that_was_running_is_gone_and_comes_again(running, fresh):
    running.behave(EU, "projector", sleep_s=5)
    put(running.dynamodb(US), fresh)
    running.eventually(lambda: running.stream_records(EU, fresh), within_s=10)
    started = time.monotonic()
    running.wan(action="kill", region=EU)
    running.behave(EU, "projector")
    running.wan(action="start", region=EU)
    running.eventually(lambda: len(running.stream_records(EU, fresh)) == 2, within_s=15)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("orders", "told"),
    [
        ([{"action": "kill", "region": "mars-1"}], "mars-1 is not one of us-east-1, eu-west-1"),
        ([{"action": "start", "region": US}], "us-east-1 is running; there is nothing to start"),
        (
            [{"action": "kill", "region": AP}] * 2,
            "ap-south-1 is killed already; start it with: antiphon region start ap-south-1",
        ),
    ],
)
def test_what_cannot_be_killed_or_started_is_told(running, orders, told):
    for order in orders:
        status, answer = running.wan(**order)
    running.wan(action="calm")
    assert status == 400
    assert told in answer["message"]
