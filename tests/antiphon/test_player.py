"""The player and its judgement against a system over real HTTP, honest and not."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from antiphon.connection import Connection
from antiphon.judgement import judge
from antiphon.ledger import Ledger
from antiphon.mailboxes import Mailbox
from antiphon.player import Delivery, Pace, Player, Subject
from antiphon.scores import score
from antiphon.violations import Violation

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
FAST = Pace(rate_per_s=10_000, patience_s=0.3, first_backoff_s=0.0, read_every=1)
ANY = frozenset({"accepted", "rejected", "unchanged"})


def delivery(command_id: str, region: str = EAST, *, expect=ANY, imsi="262010000000001"):
    body = {
        "type": "SuspendSubscriber",
        "command_id": command_id,
        "producer": "test",
        "data": {"imsi": imsi, "reason": "fraud"},
    }
    return Delivery(
        key=json.dumps(body),
        type="SuspendSubscriber",
        command_id=command_id,
        region=region,
        body=json.dumps(body).encode(),
        path=f"/subscribers/{imsi}",
        expect=expect,
    )


def play(system, *subjects: Subject, pace: Pace = FAST) -> Ledger:
    ledger = Ledger()
    connection = Connection.open(base_port=system.base_port, aws_port=system.aws_port)

    async def playing() -> None:
        mailboxes = [Mailbox.of(connection, region) for region in connection.regions]
        await Player(connection, ledger=ledger, pace=pace).play(subjects, mailboxes)

    asyncio.run(playing())
    return ledger


def judged(system, *subjects: Subject, pace: Pace = FAST) -> list[Violation]:
    return judge(play(system, *subjects, pace=pace), regions=(EAST, WEST, SOUTH))


def single(*deliveries: Delivery) -> Sequence[tuple[Delivery, ...]]:
    return [(one,) for one in deliveries]


def test_an_honest_system_is_judged_right_whatever_it_decides(system):
    subject = single(delivery("a-1"), delivery("refuse-2", WEST), delivery("same-3", SOUTH))
    ledger = play(system, subject)
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    outcomes = [played.recorded.outcome for played in ledger.commands.values()]
    assert outcomes == ["accepted", "rejected", "unchanged"]
    assert all(played.latency_ms > 0 for played in ledger.commands.values())


def test_the_commands_of_a_subject_are_sent_in_their_order(system):
    ids = [f"a-{number}" for number in range(20)]
    play(system, single(*(delivery(one, (EAST, WEST, SOUTH)[len(one) % 3]) for one in ids)))
    assert [command["command_id"] for _, command, _ in system.received] == ids


def test_a_command_for_two_regions_is_one_command_with_one_answer(system):
    ledger = play(system, [(delivery("a-1", EAST), delivery("a-1", WEST))])
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    (played,) = ledger.commands.values()
    assert sorted(receipt.duplicate for receipt in played.receipts) == [False, True]
    scores = score(ledger, wan=wan_of(system), elapsed_s=1.0, violations=[])
    assert (scores.commands, scores.duplicates, scores.answered) == (1, 1, 1)


def wan_of(system):
    return Connection.open(base_port=system.base_port, aws_port=system.aws_port).wan()


def test_a_busy_region_is_sent_the_same_body_again(system):
    system.misbehaviour.busy = {"a-1": 2}
    ledger = play(system, single(delivery("a-1")))
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    assert [command for _, command, _ in system.received] == [system.received[0][1]] * 3
    (played,) = ledger.commands.values()
    assert played.receipts[0].sends == 3


def test_a_lost_race_is_counted_and_tried_again(system):
    system.misbehaviour.conflicts = {"a-1": 1}
    ledger = play(system, single(delivery("a-1")))
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    # One told by the problem, one by the header of the response that followed.
    assert score(ledger, wan=wan_of(system), elapsed_s=1.0, violations=[]).conflicts == 2


def test_a_conflict_that_does_not_pass_is_not_tried_for_ever(system):
    system.misbehaviour.conflicts = {"a-1": 1_000}
    pace = Pace(rate_per_s=10_000, patience_s=60, first_backoff_s=0.0, read_every=0)
    (violation,) = judged(system, single(delivery("a-1")), pace=pace)
    assert "said conflict" in violation.text


def test_the_same_feed_played_again_finds_its_earlier_answers(system):
    subject = single(delivery("a-1"), delivery("refuse-2"))
    play(system, subject)
    ledger = play(system, subject)
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    scores = score(ledger, wan=wan_of(system), elapsed_s=1.0, violations=[])
    assert (scores.answered, scores.answered_earlier, scores.latency) == (2, 2, [])


def test_an_answer_delivered_twice_with_the_same_body_is_fine(system):
    system.misbehaviour.twice = {"a-1"}
    assert judged(system, single(delivery("a-1"))) == []


def test_accepted_commands_are_read_back_in_another_region(system):
    play(system, single(delivery("a-1"), delivery("a-2"), delivery("refuse-3")))
    assert len(system.reads) == 2
    assert EAST not in {region for region, _ in system.reads}


@pytest.mark.parametrize(
    ("misbehaviour", "kind", "text"),
    [
        ({"unanswered": {"a-1"}}, "answer", "no answer came"),
        ({"early": {"a-1"}}, "stale", "as of sequence 0, the command is 1"),
        ({"not_everywhere": {"a-1"}}, "stale", "before ap-south-1 had applied it"),
        ({"changed_the_second_time": {"a-1"}}, "answer", "different bodies"),
        ({"in_another_region": {"a-1"}}, "answer", "came out in"),
        ({"stale_reads": True}, "stale", "a read with its token came from sequence 0"),
    ],
)
def test_a_system_that_breaks_a_promise_is_judged_wrong(system, misbehaviour, kind, text):
    vars(system.misbehaviour).update(misbehaviour)
    violations = judged(system, single(delivery("a-1"), delivery("a-2")))
    found = [one for one in violations if one.key.endswith("a-1")]
    assert [one.kind for one in found] == [kind]
    assert text in found[0].text


def test_an_answer_with_another_outcome_than_http_said_is_wrong(system):
    system.misbehaviour.answered_as_accepted = {"refuse-1"}
    (violation,) = judged(system, single(delivery("refuse-1")))
    assert violation.text == "HTTP said rejected, the answer is CommandAnswered"


def test_a_duplicate_that_gets_another_commit_is_wrong(system):
    system.misbehaviour.decided_again = {"a-1"}
    violations = judged(system, [(delivery("a-1", EAST), delivery("a-1", WEST))])
    assert any("a duplicate must get the first result" in one.text for one in violations)


def test_an_outcome_that_the_feed_does_not_expect_is_wrong(system):
    (violation,) = judged(system, single(delivery("refuse-1", expect=frozenset({"accepted"}))))
    assert "said rejected (not_active)" in violation.text
    assert "the feed expects accepted" in violation.text


def test_what_is_refused_before_the_log_is_no_commit_and_needs_no_answer(system):
    invalid = delivery("invalid-1", expect=frozenset({"invalid"}))
    ledger = play(system, single(invalid))
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    assert score(ledger, wan=wan_of(system), elapsed_s=1.0, violations=[]).not_recorded == 1


def test_a_region_that_is_not_there_is_a_result_that_never_came(system):
    system.close_region(SOUTH)
    (violation,) = judged(system, single(delivery("a-1", SOUTH)))
    assert "said no_response" in violation.text


def test_answers_to_other_producers_commands_are_counted_apart(system):
    stranger = {"command": {"commit": "sub.x.1"}, "origin": EAST}
    system.publish(EAST, {"detail-type": "CommandAnswered", "detail": stranger})
    ledger = play(system, single(delivery("a-1")))
    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    assert ledger.unmatched == 1


def test_an_answer_may_leave_out_a_region_that_was_drained_if_it_says_so(system):
    ledger = play(system, single(delivery("a-1")))
    [played] = ledger.commands.values()
    detail = played.arrivals[0].detail
    del detail["regions"][SOUTH]
    regions = (EAST, WEST, SOUTH)

    [forgotten] = judge(ledger, regions=regions, drained=[SOUTH])
    assert forgotten.text == "it was answered before ap-south-1 had applied it"
    detail["drained"] = [SOUTH]
    assert judge(ledger, regions=regions, drained=[SOUTH]) == []
    [untrue] = judge(ledger, regions=regions)
    assert untrue.text == forgotten.text


def test_a_superseded_command_is_sent_again_and_its_second_decision_is_what_counts(system):
    system.misbehaviour.superseded = {"a-1"}
    ledger = play(system, single(delivery("a-1"), delivery("a-2")))

    assert judge(ledger, regions=(EAST, WEST, SOUTH)) == []
    [played, other] = ledger.commands.values()
    assert [one.commit for one in played.receipts] == [
        *played.superseded,
        played.recorded.commit,
    ]
    assert not other.superseded
    assert score(ledger, wan=wan_of(system), elapsed_s=1.0, violations=[]).superseded == 1


def test_a_superseded_command_that_is_never_decided_anew_is_wrong(system):
    system.misbehaviour.superseded = {"a-1"}
    ledger = play(system, single(delivery("a-1")))
    [played] = ledger.commands.values()
    del played.receipts[1]

    [violation] = judge(ledger, regions=(EAST, WEST, SOUTH))

    assert "was superseded, and it was never decided anew" in violation.text


def test_what_follows_a_superseded_command_may_find_another_state_and_others_may_not(system):
    wanted = frozenset({"accepted"})
    mine = single(delivery("a-1"), delivery("refuse-2", expect=wanted))
    others = single(delivery("refuse-3", expect=wanted, imsi="262010000000002"))
    system.misbehaviour.superseded = {"a-1"}

    [violation] = judged(system, mine, others)

    assert violation.key.endswith("refuse-3")


def test_an_answer_may_come_out_where_its_lost_region_was_adopted_and_nowhere_else(system):
    system.misbehaviour.in_another_region = {"a-1"}
    ledger = play(system, single(delivery("a-1", WEST)))
    regions = (EAST, WEST, SOUTH)

    assert judge(ledger, regions=regions, adopters={WEST: (EAST,)}) == []
    [violation] = judge(ledger, regions=regions, adopters={WEST: (SOUTH,)})
    assert violation.text == "the answer of origin eu-west-1 came out in us-east-1"
