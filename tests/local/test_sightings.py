"""What calls of the functions say about commits; the calls as the functions make them."""

import json

from infra.local.sightings import committed, refused_entries, sightings

US, AP = "us-east-1", "ap-south-1"
AGGREGATE = "s.abcdefghijklmnopqrstuvwxyz"


def see(target: str, content: object) -> list:
    return sightings(target, json.dumps(content).encode(), region=US, caller=AP)


def head(position: int = 7, first: int = 6, **more: object) -> dict:
    return {
        "k": {"S": f"subscriber-view#1.2#{AGGREGATE}"},
        "s": {"S": "head"},
        "n": {"N": str(position)},
        "f": {"N": str(first)},
        **more,
    }


def test_a_put_of_a_view_is_applied_up_to_its_position():
    (one,) = see(
        "DynamoDB_20120810.PutItem", {"TableName": "antiphon-views", "Item": head(d={"S": "{}"})}
    )
    assert (one.kind, one.commit, one.region) == ("applied", f"{AGGREGATE}.6", US)
    assert (one.projection, one.position) == ("subscriber-view", 7)


def test_of_a_transaction_the_head_counts_and_its_rows_do_not():
    row = {"k": {"S": f"activity#1#{AGGREGATE}"}, "s": {"S": "0" * 20}, "d": {"S": "{}"}}
    puts = [{"Put": {"TableName": "antiphon-views", "Item": item}} for item in (head(), row)]
    assert len(see("DynamoDB_20120810.TransactWriteItems", {"TransactItems": puts})) == 1


def test_an_acknowledgement_goes_from_who_calls_to_who_is_called():
    message = {"region": AP, "applied_at_ms": 1, "acks": [{"commit": "s.a.1"}, {"commit": "s.b.2"}]}
    told = see(
        "AmazonSQS.SendMessage",
        {
            "QueueUrl": f"https://sqs.{US}.amazonaws.com/0/antiphon-acks",
            "MessageBody": json.dumps(message),
        },
    )
    assert [(one.commit, one.region, one.to) for one in told] == [
        ("s.a.1", AP, US),
        ("s.b.2", AP, US),
    ]


def test_another_queue_s_messages_say_nothing():
    url = f"https://sqs.{US}.amazonaws.com/0/antiphon-lane"
    assert see("AmazonSQS.SendMessage", {"QueueUrl": url, "MessageBody": '{"acks": []}'}) == []


def test_answers_are_known_by_their_entries():
    detail = json.dumps({"command": {"commit": "s.a.1"}})
    told = see("AWSEvents.PutEvents", {"Entries": [{"Detail": detail}, {"Detail": detail}]})
    assert [(one.kind, one.commit, one.entry) for one in told] == [
        ("answered", "s.a.1", 0),
        ("answered", "s.a.1", 1),
    ]
    assert refused_entries(b'{"Entries":[{"EventId":"1"},{"ErrorCode":"Throttled"}]}') == {1}


def test_what_cannot_be_read_is_not_seen_and_breaks_nothing():
    for body in (
        b"",
        b"\xff",
        b"[]",
        b"null",
        b'{"antiphon-views": 1}',
        b'{"Item": "antiphon-views"}',
    ):
        for target in ("DynamoDB_20120810.PutItem", "AmazonSQS.SendMessage", "AWSEvents.PutEvents"):
            assert sightings(target, body, region=US, caller=AP) == []


def test_a_commit_is_its_place_and_the_type_of_its_command():
    image = {
        "a": {"S": AGGREGATE},
        "q": {"N": "3"},
        "e": {"L": [{"M": {"t": {"S": "Refused"}, "d": {"B": "x"}}}]},
        "m": {"M": {"t": {"S": "ResumeSubscriber"}, "i": {"S": "1"}}},
    }
    found = committed(image)
    assert found is not None
    assert (found.commit, found.type, found.outcome) == (
        f"{AGGREGATE}.3",
        "ResumeSubscriber",
        "rejected",
    )
    assert committed({"k": {"S": "regions"}}) is None
