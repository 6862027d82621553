"""The records of a run can be kept and come back as they were."""

from tests.simulation.history import (
    Appended,
    Final,
    History,
    Invoked,
    KeptMessage,
    Lost,
    Recorder,
    Terms,
)
from tests.simulation.history_json import digest, from_json, to_json


def a_history(body: bytes = b"\x00\xff") -> History:
    times = iter((0.0, 1.5, 1.5))
    recorder = Recorder(lambda: next(times))
    recorder.take(Invoked, op="1", kind="command", region="us-east-1", body="{}")
    recorder.take(Appended, region="us-east-1", item={"a": {"S": "sub.x"}, "k": {"B": body}})
    recorder.take(Lost, op="1", why="the region died")
    return recorder.finish(
        Terms(secret="s", regions=("us-east-1", "eu-west-1"), lost=frozenset({"eu-west-1"})),
        Final(
            log=({"e": {"L": [{"M": {"d": {"B": b"{}"}}}]}},),
            views={"us-east-1": ({"k": {"S": "a"}},)},
            kept=(KeptMessage(region="us-east-1", place="q", body="b"),),
        ),
    )


def test_records_get_their_steps_and_times_in_order():
    assert [(r.step, r.at_ms) for r in a_history().records] == [(1, 0.0), (2, 1.5), (3, 1.5)]


def test_a_history_comes_back_from_json_as_it_was():
    assert from_json(to_json(a_history())) == a_history()


def test_the_digest_tells_histories_apart():
    assert digest(a_history()) == digest(a_history())
    assert digest(a_history()) != digest(a_history(b"\x00\xfe"))
