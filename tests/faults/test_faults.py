"""Each fault, and pairs of them, while a feed with duplicates plays into all regions at once.

While it lasts, what cannot be answered safely is late or refused for now, never wrong. When it
is over every command has its one answer, and the log, the views and the answers agree.
"""

from dataclasses import dataclass

import pytest

from tests.faults.playing import Outcome, System

US, EU, AP = ("us-east-1", "eu-west-1", "ap-south-1")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scenario, and what of it a producer or reader must have met."""

    name: str
    steps: str
    refuses: bool = False
    ends_connections: bool = False


CUT = f"- {{at: 1s, action: cut, a: {EU}, b: {AP}, for: 8s}}\n"
ISOLATE = f"- {{at: 1s, action: cut, a: {AP}, for: 9s}}\n"
KILL = f"- {{at: 2s, action: kill, region: {US}, for: 7s}}\n"
REPEAT = "- {at: 0s, action: repeat, rate: 0.5, for: 10s}\n"
LOSE_ANSWERS = "- {at: 0s, action: lose, answers: 0.25, for: 10s}\n"
SLOW = f"- {{at: 0s, action: slow, region: {AP}, ms: 900, for: 10s}}\n"
SKEW = f"- {{at: 0s, action: skew, region: {EU}, ms: 600000, for: 10s}}\n"


def throttle(service: str) -> str:
    """Half of the calls to a service are refused, in two regions."""
    return "".join(
        f"- {{at: 0s, action: throttle, region: {region}, services: [{service}], rate: 0.5,"
        " for: 10s}\n"
        for region in (US, EU)
    )


# What `make test` plays; each is at its worst where two things go wrong at once.
SELECTED = [
    Case(name="isolated region", steps=ISOLATE, refuses=True),
    Case(name="lost answers", steps=LOSE_ANSWERS),
    Case(name="throttled buses", steps=throttle("events")),
    Case(name="cut and kill", steps=CUT + KILL, refuses=True, ends_connections=True),
]
# What only `make faults` plays.
OTHERS = [
    Case(name="cut link", steps=CUT),
    Case(
        name="delay with jitter",
        steps=f"- {{at: 0s, action: delay, a: {US}, ms: 400, jitter_ms: 900, for: 10s}}\n",
    ),
    Case(name="lost requests", steps="- {at: 0s, action: lose, requests: 0.25, for: 10s}\n"),
    Case(name="repeated calls", steps=REPEAT),
    Case(name="throttled tables", steps=throttle("dynamodb")),
    Case(name="throttled queues", steps=throttle("sqs")),
    Case(name="slow region", steps=SLOW),
    Case(name="killed region", steps=KILL, ends_connections=True),
    Case(name="clock ahead", steps=SKEW),
    Case(
        name="clock behind",
        steps=f"- {{at: 0s, action: skew, region: {US}, ms: -600000, for: 10s}}\n",
    ),
    Case(name="cut and repeated calls", steps=ISOLATE + REPEAT, refuses=True),
    Case(
        name="throttled tables and kill",
        steps=throttle("dynamodb") + KILL,
        ends_connections=True,
    ),
    Case(name="clock ahead and cut", steps=SKEW + ISOLATE, refuses=True),
    Case(name="slow region and lost answers", steps=SLOW + LOSE_ANSWERS),
    Case(name="killed origin and repeated calls", steps=KILL + REPEAT, ends_connections=True),
    Case(
        name="killed twice",
        steps=KILL + f"- {{at: 11s, action: kill, region: {US}, for: 3s}}\n",
        ends_connections=True,
    ),
]
CASES = [*SELECTED, *OTHERS]


def seed_of(case: Case) -> int:
    """The feed of a case: other subjects than those of any other."""
    return 7_001 + CASES.index(case)


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=case.name) for case in SELECTED),
        *(pytest.param(case, id=case.name, marks=pytest.mark.long) for case in OTHERS),
    ],
)
def test_every_answer_comes_and_is_right_and_no_reply_was_wrong(system: System, case: Case):
    outcome = system.play(case.steps, seed=seed_of(case))

    assert outcome.replies.wrong == []
    assert outcome.violations == []
    assert outcome.verdict.good, outcome.verdict.violations
    assert_it_was_felt(case, outcome)


def assert_it_was_felt(case: Case, outcome: Outcome) -> None:
    """A fault that nobody met proves nothing."""
    assert outcome.replies.seen["202"] > 0
    if case.refuses:
        assert outcome.replies.seen["503"] > 0
    if case.ends_connections:
        assert outcome.connections_ended > 0
