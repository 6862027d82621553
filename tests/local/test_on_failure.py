"""What a stream mapping gives up, as it lies in its destination."""

import asyncio
import json

import pytest

from infra.local.engine_calls import EngineCalls
from infra.local.on_failure import OnFailureLetter
from infra.local.shard import RETRIES_EXHAUSTED, Discarded, StreamMapping

US = "us-east-1"
BUCKET = "antiphon-discarded-000000000000-us-east-1"
RECORDS = [
    {
        "dynamodb": {
            "SequenceNumber": str(number),
            "ApproximateCreationDateTime": 1_800_000_000,
            "NewImage": {"a": {"S": "sub.1"}, "k": {"B": "AP8="}},
        }
    }
    for number in (11, 12)
]


def letter(destination: str) -> OnFailureLetter:
    mapping = StreamMapping.of(
        {
            "UUID": "1f2e",
            "FunctionArn": f"arn:aws:lambda:{US}:000000000000:function:antiphon-projector",
            "EventSourceArn": f"arn:aws:dynamodb:{US}:000000000000:table/antiphon-events/stream/x",
            "DestinationConfig": {"OnFailure": {"Destination": destination}},
        }
    )
    discarded = Discarded(records=RECORDS, condition=RETRIES_EXHAUSTED, attempts=3)
    return OnFailureLetter(mapping, discarded, shard_id="shard-1")


def send(running, destination: str) -> None:
    async def sending() -> None:
        async with EngineCalls() as calls:
            # The AWS endpoint takes a call where its scope says, as an engine does.
            endpoint = f"http://127.0.0.1:{running.config.aws_port}"
            await letter(destination).send(calls, endpoint, region=US)

    asyncio.run(sending())


def check_letter(content: dict) -> None:
    assert content["requestContext"]["condition"] == RETRIES_EXHAUSTED
    assert content["requestContext"]["approximateInvokeCount"] == 3
    batch = content["DDBStreamBatchInfo"]
    assert (batch["startSequenceNumber"], batch["endSequenceNumber"]) == ("11", "12")
    assert batch["batchSize"] == 2
    assert batch["shardId"] == "shard-1"


def test_a_bucket_gets_the_records_whole(running):
    s3 = running.client("s3", US)
    send(running, f"arn:aws:s3:::{BUCKET}")
    (found,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert found["Key"].startswith("aws/lambda/1f2e/shard-1/")
    content = json.loads(s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read())
    check_letter(content)
    assert json.loads(content["payload"]) == {"Records": RECORDS}


def test_a_queue_gets_where_in_the_stream_the_records_are(running):
    sqs = running.client("sqs", US)
    send(running, f"arn:aws:sqs:{US}:000000000000:antiphon-answers")
    url = sqs.get_queue_url(QueueName="antiphon-answers")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    content = json.loads(message["Body"])
    check_letter(content)
    assert "payload" not in content


def test_a_destination_that_cannot_be_served_is_said_so(running):
    with pytest.raises(ValueError, match="S3 and SQS"):
        send(running, f"arn:aws:sns:{US}:000000000000:topic")
