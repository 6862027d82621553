"""What a response means to a player, whatever a region sends."""

import httpx
import pytest

from antiphon.results import conflicts_in, may_send_again, receipt_of, retry_after_s

COMMIT = {"status": "accepted", "commit": "sub.a.1", "sequence": 1, "duplicate": True}
PROBLEM = {"code": "invalid", "detail": "no"}
NOTHING = frozenset[str]()


def response(status: int = 202, body: object = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=named)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("accepted", "accepted"),
        ("answered", "accepted"),
        ("unchanged", "unchanged"),
        ("rejected", "rejected"),
    ],
)
def test_a_commit_is_a_receipt_with_its_outcome(status, outcome):
    receipt = receipt_of(
        response(body=COMMIT | {"status": status}), region="r", sends=1, conflicts=0
    )
    assert (receipt.outcome, receipt.commit, receipt.duplicate) == (outcome, "sub.a.1", True)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (response(422, PROBLEM), "invalid"),
        (response(500, ["no object"]), "http_500"),
        (httpx.Response(502, text="<html>"), "http_502"),
        (response(202, {"status": "accepted"}), "http_202"),
        (None, "no_response"),
    ],
)
def test_what_is_no_commit_is_a_receipt_with_a_code(answer, outcome):
    receipt = receipt_of(answer, region="r", sends=1, conflicts=0)
    assert (receipt.outcome, receipt.commit) == (outcome, None)


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (None, True),
        (response(429, {"code": "throttled"}), True),
        (response(503, {"code": "unavailable"}), True),
        (response(500, None), True),
        (response(409, {"code": "conflict"}), True),
        (response(409, COMMIT | {"status": "rejected"}), False),
        (response(202, COMMIT), False),
        (response(422, PROBLEM), False),
    ],
)
def test_only_what_is_not_decided_yet_is_sent_again(answer, again):
    assert may_send_again(answer, expect=NOTHING, sends=1) is again


def test_a_code_that_the_feed_expects_is_final():
    conflict = response(409, {"code": "conflict"})
    assert not may_send_again(conflict, expect=frozenset({"conflict"}), sends=1)


def test_a_conflict_that_stays_is_given_up():
    assert not may_send_again(response(409, {"code": "conflict"}), expect=NOTHING, sends=8)


@pytest.mark.parametrize(
    ("answer", "conflicts"),
    [
        (response(202, COMMIT, Antiphon_Attempts="3"), 2),
        (response(202, COMMIT), 0),
        (response(202, COMMIT, Antiphon_Attempts="many"), 0),
        (response(409, {"code": "conflict"}), 1),
        (None, 0),
    ],
)
def test_conflicts_are_the_appends_that_lost(answer, conflicts):
    assert conflicts_in(answer) == conflicts


@pytest.mark.parametrize(("asked", "waits_s"), [("2", 2), ("86400", 30), ("soon", 0), ("-1", 0)])
def test_a_region_may_ask_for_patience_within_bounds(asked, waits_s):
    assert retry_after_s(response(503, PROBLEM, Retry_After=asked)) == waits_s
