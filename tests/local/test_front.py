"""A region's HTTP API at its own address: nothing of a request or an answer is changed."""

import pytest

US = "us-east-1"
MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("size", [1, MEGABYTE, 5 * MEGABYTE])
def test_bodies_pass_whole(running, size):
    body = b'"' + b"x" * (size - 2) + b'"' if size > 2 else b"1"
    answer = running.http(
        US, "/commands", method="POST", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    assert answer.json()["bytes"] == len(body)


def test_a_body_that_api_gateway_would_not_take_is_refused_as_it_would(running):
    answer = running.http(US, "/commands", method="POST", content=b"x" * (10 * MEGABYTE + 1))
    assert answer.status_code == 413
    assert answer.json() == {"message": "Request Too Long"}


@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        ("/subscribers/262011234567890", "/subscribers/262011234567890"),
        ("/a%2Fb", "/a/b"),
        ("//double", "//double"),
        ("/_ministack/health", "/_ministack/health"),
        ("/$default/x", "/$default/x"),
    ],
)
def test_paths_reach_the_function_and_never_the_engine(running, path, raw_path):
    answer = running.http(US, path)
    assert answer.status_code == 200
    assert answer.json()["path"] == raw_path


def test_headers_of_the_answer_come_back(running):
    answer = running.http(US)
    assert answer.headers["X-Sample"] == "yes"
    assert answer.headers["Content-Type"] == "application/json"


def test_a_query_passes_as_it_is(running):
    assert (
        running.http(US, "/?msisdn=%2B49151&limit=5").json()["query"] == "msisdn=%2B49151&limit=5"
    )
