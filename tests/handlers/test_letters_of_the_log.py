"""Dead letters that are places in the log: aggregates, answers, and the log itself."""

import json
from dataclasses import replace
from typing import Any

import pytest

from eventstore.commits import Commit, RecordedEvent, to_image
from eventstore.errors import StoreUnavailable
from projections.lane import lane_messages
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
MINUTE_MS = 60_000
IMSI = ACTIVATION["data"]["imsi"]


def spoil(network: Network, commit: Commit) -> None:
    """Damage a commit in the log, as no append of ours can."""
    _write(network, commit, {"L": [{"M": {"t": {"S": "Subscriber.Unheard"}}}]})


def repair(network: Network, commit: Commit) -> None:
    events = [
        {"M": {"t": {"S": e.topic}, "v": {"N": str(e.version)}, "d": {"B": e.data}}}
        for e in commit.events
    ]
    _write(network, commit, {"L": events})


def _write(network: Network, commit: Commit, events: Any) -> None:
    network.log._client.update_item(
        TableName=network.log._table,
        Key={"a": {"S": commit.aggregate_id}, "q": {"N": str(commit.position)}},
        UpdateExpression="SET e = :e",
        ExpressionAttributeValues={":e": events},
    )


def test_an_aggregate_is_replayed_from_the_log_once_that_is_whole_again(network: Network):
    first = network.posted()
    second = network.posted(command_id="2")
    spoil(network, first)
    network.messages.clear()
    assert network[EU].stream(second) == []
    [letter] = network[EU].letters.values()
    assert (letter.source, letter.aggregate_id) == ("projector", first.aggregate_id)
    assert letter.traceparent == second.traceparent
    assert letter.correlation_id == second.correlation_id

    # Replaying what is still broken is one more attempt, and changes nothing.
    assert network[EU].order("replay", letter.letter_id)[0] == "replaying"
    network[EU].project(*network.take(EU, "lane"))
    assert network[EU].order("look", letter.letter_id)[0] == "failed"
    assert network[EU].letters[letter.letter_id].attempts == 2

    repair(network, first)
    assert network[EU].order("replay", letter.letter_id)[0] == "replaying"
    network[EU].project(*network.take(EU, "lane"))
    assert network[EU].order("look", letter.letter_id)[0] == "done"
    assert network[EU].get(f"/subscribers/{IMSI}")[1]["applied_sequence"] == 2


def test_replaying_twice_does_nothing_more(network: Network):
    commit = network.posted()
    network.messages.clear()
    network[EU].stream(replace(commit, events=(RecordedEvent("Subscriber.Unheard", 1, b"{}"),)))
    [letter_id] = network[EU].letters

    assert network[EU].order("replay", letter_id)[0] == "replaying"
    assert network[EU].order("replay", letter_id)[0] == "replaying"
    assert len(network.messages[EU, "lane"]) == 1, "it is under way already"
    network[EU].project(*network.take(EU, "lane"))
    assert network[EU].order("replay", letter_id)[0] == "done"
    assert network[EU].order("replay", letter_id)[0] == "done"
    assert network.messages[EU, "lane"] == []
    assert network[EU].letters[letter_id].state == "done"


def test_a_replay_that_got_lost_may_be_repeated_after_a_while(network: Network):
    commit = network.posted()
    network.messages.clear()
    network[EU].stream(replace(commit, events=(RecordedEvent("Subscriber.Unheard", 1, b"{}"),)))
    [letter_id] = network[EU].letters
    network[EU].order("replay", letter_id)
    network.take(EU, "lane")

    network[EU].later(ms=2 * MINUTE_MS)
    network[EU].order("replay", letter_id)

    assert len(network.messages[EU, "lane"]) == 1


def test_a_letter_ends_by_itself_when_its_aggregate_has_caught_up(network: Network):
    commit = network.posted()
    network.messages.clear()
    network[EU].stream(replace(commit, events=(RecordedEvent("Subscriber.Unheard", 1, b"{}"),)))
    assert network[EU].settle_letters() == {"waiting": 1, "ended": 0}

    network[EU].stream(commit)

    assert network[EU].settle_letters() == {"waiting": 1, "ended": 1}
    assert network[EU].settle_letters() == {"waiting": 0, "ended": 0}


@pytest.mark.parametrize("source", ["projector", "stream"])
def test_what_stands_for_the_log_is_never_dropped(network: Network, source: str):
    commit = network.posted()
    if source == "projector":
        poisoned = replace(commit, events=(RecordedEvent("Subscriber.Unheard", 1, b"{}"),))
        network[EU].stream(poisoned)
    else:
        discard(network, commit)
    [letter_id] = network[EU].letters

    outcome, why = network[EU].order("drop", letter_id, by="eva", reason="no time")

    assert outcome == "refused"
    assert "rebuild" in why
    assert network[EU].letters[letter_id].waits


def test_what_the_log_never_had_may_be_dropped(network: Network):
    commit = network.posted()
    network[EU].project(*lane_messages([replace(commit, position=9, predecessor=8)]))
    [letter_id] = network[EU].letters
    network[EU].stream(commit)

    # The aggregate stands where its log ends, which is not where the letter says.
    assert network[EU].settle_letters() == {"waiting": 1, "ended": 0}
    assert network[EU].order("drop", letter_id, by="eva", reason="forged")[0] == "dropped"


def test_what_the_log_has_is_not_dropped_though_it_cannot_be_read(network: Network):
    commit = network.posted()
    spoil(network, commit)
    network[EU].stream(commit, spoil={0: {"e": {"S": "no list"}}})
    [letter_id] = network[EU].letters

    assert network[EU].order("drop", letter_id, by="eva", reason="x")[0] == "refused"
    outcome, why = network[EU].order("replay", letter_id)
    assert (outcome, "CorruptLog" in why) == ("failed", True)
    assert network[EU].letters[letter_id].attempts == 2


def test_a_stream_record_without_an_image_sets_its_aggregate_aside_alone(network: Network):
    commit = network.posted()
    record = {
        "eventSource": "aws:dynamodb",
        "eventName": "INSERT",
        "dynamodb": {
            "SequenceNumber": "1",
            "Keys": {"a": {"S": commit.aggregate_id}, "q": {"N": "1"}},
        },
    }

    assert network[EU]._projector({"Records": [record]}, None) == {"batchItemFailures": []}

    [letter] = network[EU].letters.values()
    assert (letter.aggregate_id, letter.position) == (commit.aggregate_id, 1)
    assert "CorruptLog" in letter.error


def test_lane_messages_that_were_given_up_become_one_letter_an_aggregate(network: Network):
    commits = [network.posted(), network.posted(command_id="2")]
    [body] = lane_messages(reversed(commits))

    assert network[EU].bury("lane-dead", body) == []

    [letter] = network[EU].letters.values()
    assert (letter.source, letter.position, letter.payload) == ("projector", 1, None)


def discard(network: Network, *commits: Commit, key: str = "aws/lambda/x%3D1/one") -> list[str]:
    """Have the stream's mapping of a region give records up."""
    records = [
        {
            "eventName": "INSERT",
            "dynamodb": {
                "Keys": {"a": {"S": c.aggregate_id}, "q": {"N": str(c.position)}},
                "NewImage": to_image(c),
            },
        }
        for c in commits
    ]
    context = {"condition": "MaxRecordAgeExceeded", "approximateInvokeCount": 40}
    told = {"requestContext": context, "payload": json.dumps({"Records": records})}
    network.discards["discarded", "aws/lambda/x=1/one"] = json.dumps(told).encode()
    one = {"bucket": {"name": "discarded"}, "object": {"key": key}}
    return network[EU].bury("discarded", json.dumps({"Records": [{"s3": one}]}))


def test_records_that_the_stream_gave_up_are_kept_with_their_first_record(network: Network):
    first, second = network.posted(), network.posted(command_id="2")
    other = network.posted(data={**ACTIVATION["data"], "imsi": "262011234567891"})
    network.messages.clear()

    assert discard(network, second, first, other) == []

    letters = network[EU].letters
    assert len(letters) == 2
    letter = letters[f"stream.{first.aggregate_id}"]
    assert (letter.position, letter.kept_at) == (1, "discarded/aws/lambda/x=1/one")
    assert letter.error == "MaxRecordAgeExceeded after 40 deliveries"
    assert json.loads(letter.payload or "")["dynamodb"]["NewImage"] == to_image(first)
    assert letter.correlation_id == first.correlation_id

    assert network[EU].order("replay", letter.letter_id)[0] == "replaying"
    assert network[EU].project(*network.take(EU, "lane")) == []
    assert network[EU].order("replay", letter.letter_id)[0] == "done"
    assert network[EU].get(f"/subscribers/{IMSI}")[1]["applied_sequence"] == 2


def test_a_batch_that_was_given_up_and_is_told_twice_is_one_attempt(network: Network):
    commit = network.posted()
    discard(network, commit)
    discard(network, commit)

    assert [letter.attempts for letter in network[EU].letters.values()] == [1]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"payload": "{}"}', b'{"payload": 7}'])
def test_an_object_that_no_mapping_wrote_is_a_letter_that_names_it(network: Network, body: bytes):
    commit = network.posted()
    discard(network, commit)
    network.discards["discarded", "odd"] = body
    one = {"bucket": {"name": "discarded"}, "object": {"key": "odd"}}

    assert network[EU].bury("discarded", json.dumps({"Records": [{"s3": one}]})) == []

    [odd] = [one for one in network[EU].letters.values() if one.aggregate_id is None]
    assert odd.kept_at == "discarded/odd"
    assert network[EU].order("replay", odd.letter_id)[0] == "refused"
    assert network[EU].order("drop", odd.letter_id, by="eva", reason="not ours")[0] == "dropped"


def test_an_object_that_is_gone_is_told_and_does_not_hold_up_its_queue(network: Network):
    one = {"bucket": {"name": "discarded"}, "object": {"key": "gone"}}

    assert network[EU].bury("discarded", json.dumps({"Records": [{"s3": one}]})) == []

    [letter] = network[EU].letters.values()
    assert (letter.kept_at, letter.error) == ("discarded/gone", "the object is gone")


def test_the_test_message_of_s3_is_no_letter(network: Network):
    assert network[EU].bury("discarded", '{"Event":"s3:TestEvent"}') == []
    assert network[EU].letters == {}


def test_what_a_change_of_the_log_destroyed_is_kept_until_it_is_back(network: Network):
    commit = network.posted()
    key = {"a": {"S": commit.aggregate_id}, "q": {"N": "1"}}
    change = {"SequenceNumber": "7", "Keys": key, "OldImage": to_image(commit)}
    record = {"eventSource": "aws:dynamodb", "eventName": "REMOVE", "dynamodb": change}
    table = network.log._table
    [item] = network.log._client.scan(TableName=table)["Items"]
    network.log._client.delete_item(TableName=table, Key=key)

    for _ in range(2):
        assert network[EU]._projector({"Records": [record]}, None) == {"batchItemFailures": []}

    [letter] = network[EU].letters.values()
    assert (letter.source, letter.attempts) == ("log", 1)
    assert json.loads(letter.payload or "") == to_image(commit)
    assert network[EU].order("replay", letter.letter_id)[0] == "refused"
    network.log._client.put_item(TableName=table, Item=item)
    assert network[EU].order("replay", letter.letter_id)[0] == "done"


def test_a_change_of_the_log_that_is_right_may_be_dropped(network: Network):
    commit = network.posted()
    before = to_image(replace(commit, correlation_id="not this"))
    key = {"a": {"S": commit.aggregate_id}, "q": {"N": "1"}}
    change = {"SequenceNumber": "7", "Keys": key, "OldImage": before}
    record = {"eventSource": "aws:dynamodb", "eventName": "MODIFY", "dynamodb": change}
    network[EU]._projector({"Records": [record]}, None)
    [letter_id] = network[EU].letters

    assert network[EU].order("replay", letter_id)[0] == "refused"
    assert network[EU].order("drop", letter_id, by="eva", reason="I repaired it")[0] == "dropped"


# Answers.


def test_an_answer_that_cannot_be_made_is_one_letter_whoever_finds_it(network: Network):
    commit = network.posted()
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    spoil(network, commit)
    network[US].acknowledge(*network.take(US, "acks"))
    network[US].later(ms=MINUTE_MS)
    network[US].sweep()

    [letter] = network[US].letters.values()
    assert (letter.source, letter.commit_id) == ("sweeper", commit.commit_id)
    assert letter.attempts >= 2
    assert "CorruptLog" in letter.error
    assert network[US].order("drop", letter.letter_id, by="eva", reason="x")[0] == "refused"

    repair(network, commit)
    # Without the replay the sweeper would leave it alone for a while yet.
    assert network[US].sweep()["looked_at"] == 0
    assert network[US].order("replay", letter.letter_id)[0] == "replaying"
    network[US].sweep()
    assert network[US].order("replay", letter.letter_id)[0] == "done"
    assert len(network[US].answers) == 1


def test_an_answer_that_fails_in_passing_is_no_letter(network: Network):
    network.posted()
    network.settle()
    failing = {"sub.x.1": StoreUnavailable("throttled")}

    network[US].deps.file_unanswerable(failing, source="responder")

    assert network[US].letters == {}
