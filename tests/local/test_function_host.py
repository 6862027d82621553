"""Functions as the engines run them: from HTTP and Lambda's API into the resident process."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_runs_its_own_functions(running, region):
    answer = running.http(region)
    assert answer.status_code == 200
    assert answer.json()["region"] == region


def test_posts_to_commands_reach_one_function_and_all_else_the_other(running):
    def function(method: str, path: str) -> str:
        return running.http(US, path, method=method, json={}).json()["function"]

    assert function("POST", "/commands") == "commands"
    assert function("GET", "/commands/abc") == "queries"
    assert function("GET", "/") == "queries"
    assert function("POST", "/commands/abc") == "queries"


def test_requests_that_wait_for_an_answer_hold_up_no_other(running):
    with ThreadPoolExecutor(80) as pool:
        started = time.monotonic()
        waiting = [pool.submit(running.http, US, "/?wait=3") for _ in range(80)]
        time.sleep(0.5)
        for _ in range(10):
            assert running.http(US, "/").status_code == 200
        assert time.monotonic() - started < 2.5
        assert {answer.result().status_code for answer in waiting} == {200}
    assert time.monotonic() - started < 10


def test_a_function_that_raises_is_a_function_error_and_the_next_call_works(running):
    client = running.client("lambda", US)
    running.behave(US, "sweeper", **{"raise": "the sea is rough"})
    answer = client.invoke(FunctionName="antiphon-sweeper", Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    assert "the sea is rough" in json.load(answer["Payload"])["errorMessage"]
    running.behave(US, "sweeper")
    answer = client.invoke(FunctionName="antiphon-sweeper", Payload=b"{}")
    assert "FunctionError" not in answer


def test_an_api_whose_function_raises_answers_as_api_gateway_does(running):
    running.behave(US, "commands", **{"raise": "no"})
    answer = running.http(US, "/commands", method="POST", json={})
    running.behave(US, "commands")
    assert answer.status_code in {500, 502}
    assert running.http(US, "/commands", method="POST", json={}).status_code == 200


def test_a_function_knows_how_much_time_it_has_left(running):
    running.http(US, "/commands", method="POST", json={})
    left_ms = running.invocations(US, "commands")[-1]["left_ms"]
    assert 0 < left_ms <= 29_000


def test_a_function_is_told_what_api_gateway_would_tell_it(running):
    running.http(
        US,
        "/commands?a=1&b=%20x",
        method="POST",
        content=b'{"type": "x"}',
        headers={"Content-Type": "application/json", "Idempotency-Key": "k-1"},
    )
    event = running.invocations(US, "commands")[-1]["event"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == "POST /commands"
    assert event["rawPath"] == "/commands"
    assert event["rawQueryString"] == "a=1&b=%20x"
    assert event["headers"]["idempotency-key"] == "k-1"
    assert event["body"] == '{"type": "x"}'
    assert event["isBase64Encoded"] is False
    assert event["requestContext"]["http"]["method"] == "POST"
