"""The streams of the running regions, given to functions as Lambda's mapping gives them."""

import base64
import time

import pytest

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
EVENTS = "antiphon-events"


def put(running, aggregate: str, *positions: int, region: str = US) -> None:
    for position in positions:
        running.dynamodb(region).put_item(
            TableName=EVENTS,
            Item={"a": {"S": aggregate}, "q": {"N": str(position)}, "k": {"B": b"\x00\xff"}},
        )


def batches(running, region: str, aggregate: str) -> list[list[int]]:
    """The positions of an aggregate, by invocation of the projector that had any."""
    found = [
        [
            int(record["dynamodb"]["Keys"]["q"]["N"])
            for record in invocation["event"]["Records"]
            if record.get("dynamodb", {}).get("Keys", {}).get("a", {}).get("S") == aggregate
        ]
        for invocation in running.invocations(region, "projector")
    ]
    return [batch for batch in found if batch]


def distinct(running, region: str, aggregate: str) -> set[int]:
    return {position for batch in batches(running, region, aggregate) for position in batch}


def test_a_record_has_the_form_that_lambda_gives_it(running, fresh):
    put(running, fresh, 1)
    records = running.eventually(lambda: running.stream_records(EU, fresh), within_s=3)
    (record,) = records
    stream_arn = running.dynamodb(EU).describe_table(TableName=EVENTS)["Table"]["LatestStreamArn"]
    change = record["dynamodb"]
    assert record["eventID"]
    assert record["eventName"] == "INSERT"
    assert record["eventSource"] == "aws:dynamodb"
    assert record["eventSourceARN"] == stream_arn
    assert record["awsRegion"] == EU
    assert change["Keys"] == {"a": {"S": fresh}, "q": {"N": "1"}}
    assert change["NewImage"]["k"] == {"B": base64.b64encode(b"\x00\xff").decode()}
    assert "OldImage" not in change
    assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert int(change["SequenceNumber"]) > 0
    assert abs(change["ApproximateCreationDateTime"] - time.time()) < 60


def test_a_stream_is_read_several_times_a_second(running, fresh):
    took_s = []
    for position in range(1, 6):
        put(running, fresh, position)
        started = time.monotonic()
        running.eventually(lambda p=position: p in distinct(running, US, fresh), within_s=3)
        took_s.append(time.monotonic() - started)
    # At most one poll and the way there; the best of five, for the machine's sake.
    assert min(took_s) < 0.6


def test_from_the_lowest_failed_record_on_all_come_again_and_nothing_is_lost(running, fresh):
    poisoned = f"{fresh}.poisoned"
    running.behave(US, "projector", fail=[poisoned])
    put(running, fresh, 1)
    put(running, poisoned, 1)
    put(running, fresh, 2, 3)
    running.eventually(lambda: len(batches(running, US, poisoned)) >= 3, within_s=10)
    # What came before the failed record was checkpointed: it was given once, whatever had
    # been written by then.
    assert len([batch for batch in batches(running, US, fresh) if 1 in batch]) == 1
    running.behave(US, "projector")
    running.eventually(lambda: 3 in distinct(running, US, fresh), within_s=10)
    put(running, fresh, 4)
    running.eventually(lambda: 4 in distinct(running, US, fresh), within_s=10)
    assert distinct(running, US, fresh) == {1, 2, 3, 4}
    # The other regions were not held up.
    assert distinct(running, EU, fresh) == {1, 2, 3, 4}


def test_a_function_that_raises_is_given_the_records_again_in_smaller_batches(running, fresh):
    running.behave(AP, "projector", **{"raise": "not today"})
    put(running, fresh, *range(1, 9))
    running.eventually(
        lambda: batches(running, AP, fresh) and batches(running, AP, fresh)[-1] == [1],
        within_s=10,
    )
    tried = len(batches(running, AP, fresh))
    running.behave(AP, "projector")

    def succeeded() -> list[int]:
        since = [position for batch in batches(running, AP, fresh)[tried:] for position in batch]
        # The attempt that was under way at the change may have been the last to fail.
        return since[1:] if since[:2] == [1, 1] else since

    running.eventually(lambda: 8 in succeeded(), within_s=15)
    assert sorted(set(succeeded())) == list(range(1, 9))
    assert succeeded() == sorted(succeeded())


@pytest.mark.parametrize("region", REGIONS)
def test_the_engines_do_not_read_the_stream_themselves(running, region):
    mappings = running.client("lambda", region).list_event_source_mappings(
        FunctionName="antiphon-projector"
    )["EventSourceMappings"]
    (stream,) = [mapping for mapping in mappings if ":dynamodb:" in mapping["EventSourceArn"]]
    assert stream["State"] == "Disabled"
    assert stream["LastProcessingResult"] == "No records processed"
