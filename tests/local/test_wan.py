"""Calls through the WAN against real engines: who sees what, when, and what a cut does.

Regions are called through the ports that their own functions use, where calls
take their time, and from the outside world, where they take none.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
EVENTS = "antiphon-events"


def item(aggregate: str, position: int = 1, **attributes: Any) -> dict:
    return {"a": {"S": aggregate}, "q": {"N": str(position)}, **attributes}


def put_if_absent(client, aggregate: str, position: int = 1, **attributes: Any):
    return client.put_item(
        TableName=EVENTS,
        Item=item(aggregate, position, **attributes),
        ConditionExpression="attribute_not_exists(a)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )


def get(client, aggregate: str, position: int = 1, *, consistent: bool = False):
    answer = client.get_item(
        TableName=EVENTS, Key=item(aggregate, position), ConsistentRead=consistent
    )
    return answer.get("Item")


def positions(client, aggregate: str, *, consistent: bool = False) -> list[int]:
    answer = client.query(
        TableName=EVENTS,
        KeyConditionExpression="a = :a",
        ExpressionAttributeValues={":a": {"S": aggregate}},
        ConsistentRead=consistent,
    )
    return [int(found["q"]["N"]) for found in answer["Items"]]


def code_of(call) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.response["Error"]["Code"]


# Fact: conditional writes to an MRSC table are globally current, and concurrent
# writes of one item from two regions give ReplicatedWriteConflictException.


def test_of_writers_racing_for_one_key_in_all_regions_exactly_one_wins(running, fresh):
    def write(region: str, position: int) -> str:
        start.wait()
        try:
            put_if_absent(running.dynamodb(region, inside=True), fresh, position, o={"S": region})
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "won"

    for position in range(1, 9):
        start = threading.Barrier(len(REGIONS))
        with ThreadPoolExecutor(len(REGIONS)) as pool:
            results = list(pool.map(write, REGIONS, [position] * len(REGIONS)))
        winners = [
            region for region, result in zip(REGIONS, results, strict=True) if result == "won"
        ]
        assert len(winners) == 1
        assert set(results) <= {
            "won",
            "ConditionalCheckFailedException",
            "ReplicatedWriteConflictException",
        }
        found = get(running.dynamodb(AP), fresh, position, consistent=True)
        assert found["o"] == {"S": winners[0]}


def test_the_loser_of_a_condition_is_shown_the_item_that_is_there(running, fresh):
    put_if_absent(running.dynamodb(US, inside=True), fresh, k={"B": b"\x00\xff"})
    with pytest.raises(ClientError) as raised:
        put_if_absent(running.dynamodb(AP, inside=True), fresh)
    assert raised.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert raised.value.response["Item"] == item(fresh, k={"B": b"\x00\xff"})


def test_a_write_that_meets_another_regions_write_of_the_item_is_refused_and_may_be_retried(
    running, fresh
):
    running.wan(action="delay", a=US, ms=1000)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(put_if_absent, running.dynamodb(US, inside=True), fresh)
        time.sleep(0.7)  # In the journal since 0.5 s, acknowledged at 1 s.
        second = running.dynamodb(EU)
        assert code_of(lambda: second.put_item(TableName=EVENTS, Item=item(fresh))) == (
            "ReplicatedWriteConflictException"
        )
        first.result()
    second.put_item(TableName=EVENTS, Item=item(fresh))


# Fact: a write waits for at least one other region; latency grows with the
# round trip to the nearest.


@pytest.mark.parametrize(("region", "round_trip_s"), [(US, 0.070), (EU, 0.070), (AP, 0.118)])
def test_a_write_takes_the_round_trip_to_the_nearest_other_region(
    running, fresh, region, round_trip_s
):
    client = running.dynamodb(region, inside=True)
    get(client, fresh)  # The connection is made, so that it is not measured.
    started = time.monotonic()
    put_if_absent(client, fresh)
    assert round_trip_s <= time.monotonic() - started < round_trip_s + 0.5


def test_the_outside_world_waits_for_no_round_trip(running, fresh):
    running.wan(action="delay", a=AP, ms=2000)
    client = running.dynamodb(AP)
    started = time.monotonic()
    put_if_absent(client, fresh)
    assert get(client, fresh, consistent=True)
    assert time.monotonic() - started < 1.5


# Fact: ConsistentRead on an MRSC table is globally current; eventual reads are
# served by the local replica.


def test_an_eventual_read_lags_behind_where_a_strong_read_does_not(running, fresh):
    running.wan(action="delay", a=AP, ms=3000)
    put_if_absent(running.dynamodb(US, inside=True), fresh)
    far = running.dynamodb(AP)
    assert get(far, fresh) is None
    assert positions(far, fresh) == []
    assert get(far, fresh, consistent=True)
    assert positions(far, fresh, consistent=True) == [1]
    running.eventually(lambda: get(far, fresh), within_s=5)


def test_strong_reads_in_a_batch_come_from_the_journal_and_others_from_the_region(running, fresh):
    running.wan(action="cut", a=AP)
    put_if_absent(running.dynamodb(US), fresh)
    views = running.dynamodb(EU)
    views.put_item(
        TableName="antiphon-views", Item={"k": {"S": fresh}, "s": {"S": "view"}, "n": {"N": "1"}}
    )
    running.wan(action="delay", a=EU, ms=5000)
    running.wan(action="heal", a=AP)
    answer = views.batch_get_item(
        RequestItems={
            EVENTS: {"Keys": [item(fresh)], "ConsistentRead": True},
            "antiphon-views": {"Keys": [{"k": {"S": fresh}, "s": {"S": "view"}}]},
        }
    )
    assert [found["a"]["S"] for found in answer["Responses"][EVENTS]] == [fresh]
    assert [found["n"]["N"] for found in answer["Responses"]["antiphon-views"]] == ["1"]


# Fact: every replica holds the same items, and the streams are the same, order included.


EVERY_TYPE = {
    "bytes": {"B": bytes(range(256))},
    "byte_set": {"BS": [b"\x00", b"\xff\xfe"]},
    "number": {"N": "12345678901234567890.12345678901234567"},
    "small": {"N": "-1e-100"},
    "numbers": {"NS": ["1", "-2.5"]},
    "text": {"S": 'späte Antwort 📡 \u0000 \\ "'},
    "texts": {"SS": ["", "ü"]},
    "map": {"M": {"deep": {"L": [{"NULL": True}, {"BOOL": False}, {"M": {}}]}}},
    "empty": {"S": ""},
    "empty_bytes": {"B": b""},
}


def test_every_type_of_attribute_reaches_every_replica_as_it_was_written(running, fresh):
    running.dynamodb(US).put_item(TableName=EVENTS, Item=item(fresh, **EVERY_TYPE))
    journal = get(running.dynamodb(US), fresh, consistent=True)
    assert journal["bytes"] == EVERY_TYPE["bytes"]
    for region in REGIONS:
        replica = running.eventually(lambda r=region: get(running.dynamodb(r), fresh), within_s=3)
        assert replica == journal


def test_updates_deletes_and_batches_reach_the_replicas_too(running, fresh):
    writer, reader = running.dynamodb(EU), running.dynamodb(AP)
    requests = [{"PutRequest": {"Item": item(fresh, position)}} for position in range(1, 4)]
    writer.batch_write_item(RequestItems={EVENTS: requests})
    writer.update_item(
        TableName=EVENTS,
        Key=item(fresh, 2),
        UpdateExpression="SET x = :x",
        ExpressionAttributeValues={":x": {"S": "new"}},
    )
    writer.delete_item(TableName=EVENTS, Key=item(fresh, 3))
    running.eventually(lambda: positions(reader, fresh) == [1, 2], within_s=3)
    assert get(reader, fresh, 2)["x"] == {"S": "new"}


def test_the_functions_of_every_region_are_given_the_same_changes_in_the_same_order(running, fresh):
    def write(region: str) -> None:
        for number in range(5):
            client = running.dynamodb(region, inside=True)
            client.update_item(
                TableName=EVENTS,
                Key=item(fresh),
                UpdateExpression="SET x = :x",
                ExpressionAttributeValues={":x": {"S": f"{region} {number}"}},
            )

    def retried(region: str) -> None:
        # The writers meet; a conflict is retried by what the WAN says of it.
        for number in range(5):
            put = running.dynamodb(region, inside=True).put_item
            changed = item(fresh, x={"S": f"{region} {number}"})
            running.eventually(
                lambda p=put, c=changed: _succeeds(p, TableName=EVENTS, Item=c), within_s=10
            )

    write(EU)
    with ThreadPoolExecutor() as pool:
        list(pool.map(retried, REGIONS))

    def changes(region: str) -> list[tuple[str, str]]:
        return [
            (record["eventName"], record["dynamodb"]["NewImage"]["x"]["S"])
            for record in running.stream_records(region, fresh)
        ]

    running.eventually(lambda: {len(changes(region)) for region in REGIONS} == {20}, within_s=5)
    assert changes(US) == changes(EU) == changes(AP)
    assert [name for name, _ in changes(US)] == ["INSERT"] + ["MODIFY"] * 19


def _succeeds(call, **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ReplicatedWriteConflictException":
            raise
        return False
    return True


def test_partiql_reads_a_global_table_and_is_refused_where_it_would_write(running, fresh):
    put_if_absent(running.dynamodb(US), fresh)
    client = running.dynamodb(AP)
    read = client.execute_statement(
        Statement='SELECT * FROM "antiphon-events" WHERE a = ?',
        Parameters=[{"S": fresh}],
        ConsistentRead=True,
    )
    assert [found["a"]["S"] for found in read["Items"]] == [fresh]
    view = {"k": {"S": fresh}, "s": {"S": "view"}}
    client.put_item(TableName="antiphon-views", Item=view)
    batch = [
        {
            "Statement": 'SELECT * FROM "antiphon-events" WHERE a = ? AND q = ?',
            "Parameters": [{"S": fresh}, {"N": "1"}],
            "ConsistentRead": True,
        },
        {
            "Statement": 'SELECT * FROM "antiphon-views" WHERE k = ? AND s = ?',
            "Parameters": [{"S": fresh}, {"S": "view"}],
            "ConsistentRead": True,
        },
    ]
    answers = client.batch_execute_statement(Statements=batch)["Responses"]
    assert [answer["Item"].get("a", answer["Item"].get("k")) for answer in answers] == [
        {"S": fresh},
        {"S": fresh},
    ]
    refused = code_of(
        lambda: client.execute_statement(
            Statement="INSERT INTO \"antiphon-events\" VALUE {'a': ?, 'q': 2}",
            Parameters=[{"S": fresh}],
        )
    )
    assert refused == "ValidationException"
    assert positions(client, fresh, consistent=True) == [1]


# Fact: MRSC has no transaction APIs.


@pytest.mark.parametrize(
    "transaction",
    [
        lambda client, key: client.transact_write_items(
            TransactItems=[{"Put": {"TableName": EVENTS, "Item": key}}]
        ),
        lambda client, key: client.transact_get_items(
            TransactItems=[{"Get": {"TableName": EVENTS, "Key": key}}]
        ),
        lambda client, key: client.execute_transaction(
            TransactStatements=[
                {
                    "Statement": 'SELECT * FROM "antiphon-events" WHERE a = ? AND q = 1',
                    "Parameters": [key["a"]],
                }
            ]
        ),
    ],
)
def test_transactions_on_a_global_table_are_refused(running, fresh, transaction):
    client = running.dynamodb(US)
    assert code_of(lambda: transaction(client, item(fresh))) == "ValidationException"
    assert get(client, fresh, consistent=True) is None


def test_transactions_on_a_regional_table_work(running, fresh):
    client = running.dynamodb(US)
    view = {"k": {"S": fresh}, "s": {"S": EVENTS}}
    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": "antiphon-views", "Item": view}}]
    )
    assert client.get_item(TableName="antiphon-views", Key=view)["Item"] == view
    other = running.dynamodb(EU).get_item(TableName="antiphon-views", Key=view)
    assert "Item" not in other


# Fact: a region that reaches no other serves eventual reads only.


def test_a_region_cut_off_refuses_writes_and_strong_reads_and_serves_eventual_reads(running, fresh):
    put_if_absent(running.dynamodb(US), fresh)
    isolated = running.dynamodb(AP, inside=True)
    running.eventually(lambda: get(isolated, fresh), within_s=3)
    running.wan(action="cut", a=AP)
    assert code_of(lambda: put_if_absent(isolated, fresh, 2)) == "InternalServerError"
    assert code_of(lambda: get(isolated, fresh, consistent=True)) == "InternalServerError"
    assert get(isolated, fresh)
    put_if_absent(running.dynamodb(EU, inside=True), fresh, 3)
    assert positions(running.dynamodb(US, inside=True), fresh, consistent=True) == [1, 3]


def test_a_write_cut_off_while_it_waits_for_its_answer_may_be_in_the_log_all_the_same(
    running, fresh
):
    running.wan(action="delay", a=US, ms=1000)
    with ThreadPoolExecutor() as pool:
        client = running.dynamodb(US, inside=True)
        answer = pool.submit(code_of, lambda: put_if_absent(client, fresh))
        time.sleep(0.75)  # In the journal since 0.5 s, acknowledged at 1 s.
        running.wan(action="cut", a=US)
        assert answer.result() == "InternalServerError"
    assert get(running.dynamodb(EU), fresh, consistent=True)
    running.wan(action="heal")
    assert code_of(lambda: put_if_absent(running.dynamodb(US), fresh)) == (
        "ConditionalCheckFailedException"
    )


def under_way(running) -> int:
    """How many records of any table some replica has still to get."""
    _, state = running.wan()
    return sum(lag["pending"] for lag in state["replication"])


def test_mending_releases_what_was_held_back_in_the_order_of_the_log(running, fresh):
    running.eventually(lambda: under_way(running) == 0, within_s=5)
    running.wan(action="cut", a=AP)
    for position in range(1, 31):
        put_if_absent(running.dynamodb(US if position % 2 else EU), fresh, position)
    running.eventually(lambda: len(positions(running.dynamodb(EU), fresh)) == 30, within_s=3)
    assert positions(running.dynamodb(AP), fresh) == []
    _, state = running.wan()
    pending = {(lag["origin"], lag["region"]): lag["pending"] for lag in state["replication"]}
    assert pending[US, AP] + pending[EU, AP] == 30
    running.wan(action="heal")
    running.eventually(lambda: len(running.stream_records(AP, fresh)) == 30, within_s=5)
    delivered = [
        int(record["dynamodb"]["Keys"]["q"]["N"]) for record in running.stream_records(AP, fresh)
    ]
    assert delivered == list(range(1, 31))


def test_a_region_whose_link_to_one_other_is_cut_is_reached_through_the_third(running, fresh):
    running.wan(action="cut", a=US, b=AP)
    put_if_absent(running.dynamodb(US, inside=True), fresh)
    running.eventually(lambda: get(running.dynamodb(AP), fresh), within_s=3)


# Calls between regions.


def test_a_call_to_another_region_takes_the_round_trip(running):
    queue = running.client("sqs", AP, caller=US)
    url = f"https://sqs.{AP}.amazonaws.com/000000000000/antiphon-acks"
    started = time.monotonic()
    queue.send_message(QueueUrl=url, MessageBody="far")
    assert 0.182 <= time.monotonic() - started < 0.182 + 0.5


def test_a_message_arrives_in_the_region_that_is_called_and_nowhere_else(running, fresh):
    url = f"https://sqs.{AP}.amazonaws.com/000000000000/antiphon-acks"
    running.client("sqs", AP, caller=EU).send_message(QueueUrl=url, MessageBody=fresh)

    def received(region: str) -> bool:
        return any(
            record.get("body") == fresh
            for invocation in running.invocations(region, "responder")
            for record in invocation["event"]["Records"]
        )

    running.eventually(lambda: received(AP), within_s=3)
    assert not received(US)
    assert not received(EU)


def test_a_call_over_a_cut_link_ends_without_an_answer(running):
    running.wan(action="cut", a=US, b=EU)
    queue = running.client("sqs", EU, caller=US)
    url = f"https://sqs.{EU}.amazonaws.com/000000000000/antiphon-acks"
    with pytest.raises(ConnectionClosedError):
        queue.send_message(QueueUrl=url, MessageBody="lost")


def test_a_call_over_a_link_that_is_mended_in_time_gets_through(running):
    running.wan(action="cut", a=US, b=EU)
    mend = threading.Timer(0.5, lambda: running.wan(action="heal"))
    mend.start()
    started = time.monotonic()
    url = f"https://sqs.{EU}.amazonaws.com/000000000000/antiphon-acks"
    running.client("sqs", EU, caller=US).send_message(QueueUrl=url, MessageBody="late")
    assert time.monotonic() - started > 0.5
    mend.join()


def test_a_region_that_is_not_here_is_an_error_that_names_those_that_are(running):
    client = running.client("dynamodb", "eu-central-1")
    with pytest.raises(ClientError, match="400"):
        client.list_tables()


# The controls.


def test_the_state_shows_regions_links_and_replication(running):
    status, state = running.wan()
    assert status == 200
    assert state["regions"] == list(REGIONS)
    assert {(link["a"], link["b"]): link["rtt_ms"] for link in state["links"]} == {
        (US, EU): 70,
        (US, AP): 182,
        (EU, AP): 118,
    }
    assert {(lag["origin"], lag["region"]) for lag in state["replication"]} == {
        (a, b) for a in REGIONS for b in REGIONS if a != b
    }


def test_what_is_on_its_way_between_regions_is_shown_while_it_is(running):
    running.wan(action="delay", a=US, b=EU, ms=2000)
    url = f"https://sqs.{EU}.amazonaws.com/000000000000/antiphon-acks"

    def shown() -> bool:
        _, state = running.wan()
        return any((one["a"], one["b"]) == (US, EU) for one in state["in_flight"])

    with ThreadPoolExecutor() as pool:
        queue = running.client("sqs", EU, caller=US)
        sent = pool.submit(queue.send_message, QueueUrl=url, MessageBody="slow")
        running.eventually(shown, within_s=1)
        sent.result()
    assert not shown()


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"action": "burn", "a": US}, "action"),
        ({"action": "cut"}, "cut: a: Field required"),
        ({"action": "cut", "a": "mars-1"}, "mars-1"),
        ({"action": "delay", "a": US, "b": EU}, "delay: ms: Field required"),
        ({"action": "delay", "a": US, "b": EU, "ms": -1}, "ms"),
        ({"action": "cut", "a": US, "colour": "red"}, "colour"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_and_changes_nothing(running, order, why):
    _, before = running.wan()
    status, answer = running.wan(**order)
    assert status == 400
    assert why in answer["message"]
    assert running.wan()[1]["links"] == before["links"]


def test_an_order_answers_with_the_links_as_they_then_are(running):
    _, state = running.wan(action="cut", a=US, b=AP)
    assert [(link["a"], link["b"]) for link in state["links"] if link["cut"]] == [(US, AP)]
