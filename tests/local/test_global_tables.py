"""Global tables of anyone's own, through the WAN: made, described, changed, refused.

Called from the outside world as any SDK would call AWS; each refusal is DynamoDB's own error.
"""

import base64
import json
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from infra.local.engine_calls import authorization

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


def create(client, name: str, **more: Any) -> None:
    client.create_table(
        **{
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            **more,
        }
    )


def replicate(client, name: str, *regions: str, **more: Any):
    updates = [{"Create": {"RegionName": region}} for region in regions]
    return client.update_table(
        TableName=name, **({"ReplicaUpdates": updates} if updates else {}), **more
    )


def put(client, name: str, key: str, **attributes: str) -> None:
    item = {"k": {"S": key}} | {part: {"S": value} for part, value in attributes.items()}
    client.put_item(TableName=name, Item=item)


def read(client, name: str, key: str, *, consistent: bool = True):
    answer = client.get_item(TableName=name, Key={"k": {"S": key}}, ConsistentRead=consistent)
    item = answer.get("Item")
    return item and {part: value["S"] for part, value in item.items() if part != "k"}


def refusal_of(call) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call()
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def stream_of(running, region: str, name: str) -> list[dict]:
    """All records of a replica's stream, by the streams API."""
    arn = running.dynamodb(region).describe_table(TableName=name)["Table"]["LatestStreamArn"]
    streams = running.client("dynamodbstreams", region)
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shards[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = []
    while page := (answer := streams.get_records(ShardIterator=iterator, Limit=3))["Records"]:
        records += page
        iterator = answer["NextShardIterator"]
    return records


@pytest.fixture
def table(request) -> str:
    """A table name that no other test uses."""
    return f"t-{abs(hash(request.node.name)):x}"


@pytest.fixture
def eventual(running, table) -> str:
    """An MREC table with a replica in every region."""
    create(running.dynamodb(US), table)
    replicate(running.dynamodb(US), table, EU, AP)
    return table


@pytest.fixture
def strong(running, table) -> str:
    """An MRSC table with a replica in every region."""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    create(running.dynamodb(US), table, StreamSpecification=stream)
    replicate(running.dynamodb(US), table, EU, AP, MultiRegionConsistency="STRONG")
    return table


# Made by UpdateTable.


def test_an_eventual_table_is_described_by_every_region_with_its_other_replicas(running, eventual):
    for region in REGIONS:
        described = running.dynamodb(region).describe_table(TableName=eventual)["Table"]
        assert described["GlobalTableVersion"] == "2019.11.21"
        assert described["MultiRegionConsistency"] == "EVENTUAL"
        assert {
            (replica["RegionName"], replica["ReplicaStatus"]) for replica in described["Replicas"]
        } == {(other, "ACTIVE") for other in REGIONS if other != region}
        assert f":{region}:" in described["LatestStreamArn"]
        assert described["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_a_strong_table_with_a_witness_says_so_and_the_witness_has_no_table(running, table):
    us = running.dynamodb(US)
    create(us, table)
    answer = replicate(
        us,
        table,
        EU,
        MultiRegionConsistency="STRONG",
        GlobalTableWitnessUpdates=[{"Create": {"RegionName": AP}}],
    )
    described = running.dynamodb(EU).describe_table(TableName=table)["Table"]
    assert answer["TableDescription"]["MultiRegionConsistency"] == "STRONG"
    assert described["MultiRegionConsistency"] == "STRONG"
    assert described["GlobalTableWitnesses"] == [{"RegionName": AP, "WitnessStatus": "ACTIVE"}]
    put(us, table, "k", v="1")
    assert read(running.dynamodb(EU), table, "k") == {"v": "1"}
    code, _ = refusal_of(lambda: read(running.dynamodb(AP), table, "k"))
    assert code == "ResourceNotFoundException"


def test_a_table_that_is_not_global_is_described_and_served_as_its_engine_does(running, table):
    us = running.dynamodb(US)
    create(us, table)
    assert "Replicas" not in us.describe_table(TableName=table)["Table"]
    us.update_table(TableName=table, DeletionProtectionEnabled=True)
    put(us, table, "k", v="1")
    assert read(us, table, "k") == {"v": "1"}
    code, _ = refusal_of(lambda: running.dynamodb(EU).describe_table(TableName=table))
    assert code == "ResourceNotFoundException"


def test_what_a_table_holds_comes_to_a_replica_that_is_added(running, table):
    us = running.dynamodb(US)
    create(us, table)
    for number in range(30):
        put(us, table, f"k{number}", v=str(number))
    replicate(us, table, EU)
    assert {read(running.dynamodb(EU), table, f"k{number}")["v"] for number in range(30)} == {
        str(number) for number in range(30)
    }
    replicate(running.dynamodb(EU), table, AP)
    assert read(running.dynamodb(AP), table, "k7") == {"v": "7"}
    put(running.dynamodb(AP), table, "k7", v="new")
    running.eventually(
        lambda: read(us, table, "k7") == read(running.dynamodb(EU), table, "k7") == {"v": "new"},
        within_s=3,
    )


def test_a_replica_that_is_deleted_is_gone_and_the_others_go_on(running, eventual):
    us, eu = running.dynamodb(US), running.dynamodb(EU)
    us.update_table(TableName=eventual, ReplicaUpdates=[{"Delete": {"RegionName": AP}}])
    running.dynamodb(EU).describe_table(TableName=eventual)
    code, _ = refusal_of(lambda: running.dynamodb(AP).describe_table(TableName=eventual))
    assert code == "ResourceNotFoundException"
    put(us, eventual, "k", v="1")
    running.eventually(lambda: read(eu, eventual, "k"), within_s=3)
    eu.delete_table(TableName=eventual)
    described = us.describe_table(TableName=eventual)["Table"]
    assert "Replicas" not in described
    assert read(us, eventual, "k") == {"v": "1"}


def test_a_strong_table_becomes_a_regional_one_when_all_others_go_and_holds_everything(
    running, strong
):
    put(running.dynamodb(AP), strong, "k", v="1")
    gone = [{"Delete": {"RegionName": region}} for region in (EU, AP)]
    running.dynamodb(US).update_table(TableName=strong, ReplicaUpdates=gone)
    assert read(running.dynamodb(US), strong, "k") == {"v": "1"}
    assert "Replicas" not in running.dynamodb(US).describe_table(TableName=strong)["Table"]


def test_what_replicas_have_in_common_is_changed_for_all_of_them(running, eventual):
    running.dynamodb(EU).update_table(
        TableName=eventual,
        AttributeDefinitions=[
            {"AttributeName": "k", "AttributeType": "S"},
            {"AttributeName": "v", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-v",
                    "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    running.dynamodb(US).update_time_to_live(
        TableName=eventual, TimeToLiveSpecification={"Enabled": True, "AttributeName": "x"}
    )
    for region in REGIONS:
        client = running.dynamodb(region)
        described = client.describe_table(TableName=eventual)["Table"]
        assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["by-v"]
        ttl = client.describe_time_to_live(TableName=eventual)["TimeToLiveDescription"]
        assert ttl["AttributeName"] == "x"


# Refused.

INDEX = {
    "IndexName": "by-v",
    "KeySchema": [
        {"AttributeName": "k", "KeyType": "HASH"},
        {"AttributeName": "v", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "ALL"},
}
KEYED_TWICE = {
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("k", "r", "v")
    ],
    "KeySchema": [
        {"AttributeName": "k", "KeyType": "HASH"},
        {"AttributeName": "r", "KeyType": "RANGE"},
    ],
    "LocalSecondaryIndexes": [INDEX],
}


@pytest.mark.parametrize(
    ("regions", "more", "why"),
    [
        (["mars-1"], {}, "mars-1"),
        ([US], {}, "local region"),
        ([EU, EU], {}, "once"),
        ([], {"MultiRegionConsistency": "EVENTUAL"}, "another replica"),
        ([EU], {"MultiRegionConsistency": "STRONG"}, "exactly three"),
        (
            [EU],
            {
                "MultiRegionConsistency": "STRONG",
                "GlobalTableWitnessUpdates": [{"Create": {"RegionName": EU}}],
            },
            "both",
        ),
        ([EU], {"GlobalTableWitnessUpdates": [{"Create": {"RegionName": AP}}]}, "witness"),
    ],
)
def test_what_dynamodb_refuses_is_refused_and_nothing_is_made(running, table, regions, more, why):
    us = running.dynamodb(US)
    create(us, table)
    code, message = refusal_of(lambda: replicate(us, table, *regions, **more))
    assert code == "ValidationException"
    assert why in message
    assert "Replicas" not in us.describe_table(TableName=table)["Table"]
    for region in (EU, AP):
        assert table not in running.dynamodb(region).list_tables()["TableNames"]


def test_a_table_that_does_not_exist_gets_no_replica(running, table):
    code, _ = refusal_of(lambda: replicate(running.dynamodb(US), table, EU))
    assert code == "ResourceNotFoundException"


def test_a_replica_that_exists_already_is_refused(running, eventual):
    code, message = refusal_of(lambda: replicate(running.dynamodb(US), eventual, EU))
    assert (code, "already existed" in message) == ("ValidationException", True)


def test_a_replica_is_not_made_over_a_table_that_is_there_and_none_is_left_half_way(running, table):
    create(running.dynamodb(US), table)
    create(running.dynamodb(AP), table)
    put(running.dynamodb(AP), table, "k", v="its own")
    code, message = refusal_of(lambda: replicate(running.dynamodb(US), table, EU, AP))
    assert (code, "already existed" in message) == ("ValidationException", True)
    assert read(running.dynamodb(AP), table, "k") == {"v": "its own"}
    assert table not in running.dynamodb(EU).list_tables()["TableNames"]


def test_a_replica_that_does_not_exist_cannot_be_deleted(running, table):
    us = running.dynamodb(US)
    create(us, table)
    replicate(us, table, EU)
    gone = [{"Delete": {"RegionName": AP}}]
    code, message = refusal_of(lambda: us.update_table(TableName=table, ReplicaUpdates=gone))
    assert (code, "not found" in message) == ("ValidationException", True)


def test_the_mode_of_a_global_table_never_changes(running, eventual):
    us = running.dynamodb(US)
    code, message = refusal_of(
        lambda: us.update_table(TableName=eventual, MultiRegionConsistency="STRONG")
    )
    assert (code, "cannot be changed" in message) == ("ValidationException", True)


def test_a_table_with_items_cannot_become_strong(running, table):
    us = running.dynamodb(US)
    create(us, table)
    put(us, table, "k", v="1")
    code, message = refusal_of(
        lambda: replicate(us, table, EU, AP, MultiRegionConsistency="STRONG")
    )
    assert (code, "must be empty" in message) == ("ValidationException", True)


def test_a_table_with_a_local_index_cannot_become_strong(running, table):
    us = running.dynamodb(US)
    create(us, table, **KEYED_TWICE)
    code, message = refusal_of(
        lambda: replicate(us, table, EU, AP, MultiRegionConsistency="STRONG")
    )
    assert (code, "local secondary" in message) == ("ValidationException", True)


def test_time_to_live_and_a_strong_table_exclude_each_other(running, strong, table):
    ttl = {"Enabled": True, "AttributeName": "x"}
    us = running.dynamodb(US)
    code, message = refusal_of(
        lambda: us.update_time_to_live(TableName=strong, TimeToLiveSpecification=ttl)
    )
    assert (code, "Time to Live" in message) == ("ValidationException", True)
    other = f"{table}-ttl"
    create(us, other)
    us.update_time_to_live(TableName=other, TimeToLiveSpecification=ttl)
    code, message = refusal_of(
        lambda: replicate(us, other, EU, AP, MultiRegionConsistency="STRONG")
    )
    assert (code, "Time to Live" in message) == ("ValidationException", True)


def test_one_replica_of_a_strong_table_cannot_go_alone(running, strong):
    gone = [{"Delete": {"RegionName": AP}}]
    us = running.dynamodb(US)
    code, _ = refusal_of(lambda: us.update_table(TableName=strong, ReplicaUpdates=gone))
    assert code == "ValidationException"
    code, _ = refusal_of(lambda: running.dynamodb(AP).delete_table(TableName=strong))
    assert code == "ValidationException"
    put(us, strong, "k", v="1")
    assert read(running.dynamodb(AP), strong, "k") == {"v": "1"}


def test_a_body_with_a_part_of_the_wrong_type_is_refused_and_nothing_is_written(running, strong):
    answer = httpx.post(
        f"http://127.0.0.1:{running.config.aws_port}/",
        json={"TableName": strong, "Item": ["k"]},
        headers={
            "X-Amz-Target": "DynamoDB_20120810.PutItem",
            "Authorization": authorization(region=EU, service="dynamodb"),
        },
    )
    assert (answer.status_code, "SerializationException" in answer.text) == (400, True)
    assert running.dynamodb(EU).scan(TableName=strong)["Items"] == []


# Made by CloudFormation.


def stack(running, name: str, properties: dict) -> tuple[str, str]:
    """Make a stack of one global table in us-east-1. Returns: its status and why."""
    client = running.client("cloudformation", US)
    template = {
        "Resources": {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": properties}}
    }
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))

    def ended():
        status = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return not status.endswith("_IN_PROGRESS") and status

    status = running.eventually(ended, within_s=20)
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    return status, " ".join(str(event.get("ResourceStatusReason", "")) for event in events)


def properties_of(table: str, *regions: str, **more: Any) -> dict:
    return {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Replicas": [{"Region": region} for region in regions],
        **more,
    }


def test_a_stack_in_one_region_makes_changes_and_deletes_the_replicas_in_all(running, table):
    status, why = stack(running, table, properties_of(table, US, EU))
    assert status == "CREATE_COMPLETE", why
    put(running.dynamodb(EU), table, "k", v="1")
    running.eventually(lambda: read(running.dynamodb(US), table, "k"), within_s=3)

    client = running.client("cloudformation", US)
    wider = properties_of(table, US, AP)
    template = {"Resources": {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": wider}}}
    client.update_stack(StackName=table, TemplateBody=json.dumps(template))
    running.eventually(lambda: _exists(running, AP, table), within_s=20)
    running.eventually(lambda: not _exists(running, EU, table), within_s=20)
    assert read(running.dynamodb(AP), table, "k") == {"v": "1"}

    client.delete_stack(StackName=table)
    for region in REGIONS:
        running.eventually(lambda r=region: not _exists(running, r, table), within_s=20)


def _exists(running, region: str, table: str) -> bool:
    return table in running.dynamodb(region).list_tables()["TableNames"]


@pytest.mark.parametrize(
    ("regions", "more", "why"),
    [
        ((US, EU), {"MultiRegionConsistency": "STRONG"}, "exactly three"),
        ((EU, AP), {}, "the region of the stack"),
        ((US, "mars-1"), {}, "mars-1"),
    ],
)
def test_a_stack_that_dynamodb_refuses_fails_with_its_reason_and_leaves_nothing(
    running, table, regions, more, why
):
    status, said = stack(running, table, properties_of(table, *regions, **more))
    assert status == "ROLLBACK_COMPLETE"
    assert why in said
    assert not any(_exists(running, region, table) for region in REGIONS)


def test_a_stack_makes_a_strong_table_with_a_witness(running, table):
    witness = {"MultiRegionConsistency": "STRONG", "GlobalTableWitnesses": [{"Region": AP}]}
    status, why = stack(running, table, properties_of(table, US, EU, **witness))
    assert status == "CREATE_COMPLETE", why
    described = running.dynamodb(EU).describe_table(TableName=table)["Table"]
    assert described["MultiRegionConsistency"] == "STRONG"
    assert described["GlobalTableWitnesses"][0]["RegionName"] == AP


# The streams of strong tables.


def test_the_streams_of_a_strong_table_are_identical_on_every_replica(running, strong):
    for number in range(8):
        client = running.dynamodb(REGIONS[number % 3])
        put(client, strong, f"k{number % 2}", v=str(number))
    running.dynamodb(AP).delete_item(TableName=strong, Key={"k": {"S": "k0"}})

    def changes(region: str) -> list[tuple]:
        return [
            (record["eventName"], record["dynamodb"]["SequenceNumber"], record["dynamodb"]["Keys"])
            for record in stream_of(running, region, strong)
        ]

    running.eventually(lambda: all(len(changes(region)) == 9 for region in REGIONS), within_s=5)
    assert changes(US) == changes(EU) == changes(AP)
    assert [name for name, *_ in changes(US)] == ["INSERT"] * 2 + ["MODIFY"] * 6 + ["REMOVE"]
    assert {record["awsRegion"] for record in stream_of(running, AP, strong)} == {AP}


def test_a_replica_that_is_cut_off_shows_no_record_before_it_is_back(running, strong):
    put(running.dynamodb(US), strong, "before", v="1")
    running.eventually(lambda: len(stream_of(running, AP, strong)) == 1, within_s=5)
    running.wan(action="cut", a=AP)
    put(running.dynamodb(US), strong, "meanwhile", v="1")
    running.eventually(lambda: len(stream_of(running, EU, strong)) == 2, within_s=5)
    assert len(stream_of(running, AP, strong)) == 1
    running.wan(action="heal")
    running.eventually(lambda: len(stream_of(running, AP, strong)) == 2, within_s=5)


def test_a_stream_can_be_read_from_any_record_on_and_from_now_on(running, strong):
    for number in range(4):
        put(running.dynamodb(US), strong, f"k{number}", v="1")
    running.eventually(lambda: len(stream_of(running, EU, strong)) == 4, within_s=5)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in stream_of(running, EU, strong)]
    arn = running.dynamodb(EU).describe_table(TableName=strong)["Table"]["LatestStreamArn"]
    streams = running.client("dynamodbstreams", EU)
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    assert shard["SequenceNumberRange"]["StartingSequenceNumber"] == numbers[0]

    def opened(**where: str) -> str:
        place = {"StreamArn": arn, "ShardId": shard["ShardId"], **where}
        return streams.get_shard_iterator(**place)["ShardIterator"]

    def found(iterator: str) -> list[str]:
        records = streams.get_records(ShardIterator=iterator)["Records"]
        return [record["dynamodb"]["SequenceNumber"] for record in records]

    at, after = "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"
    assert found(opened(ShardIteratorType=at, SequenceNumber=numbers[2])) == numbers[2:]
    assert found(opened(ShardIteratorType=after, SequenceNumber=numbers[2])) == numbers[3:]
    latest = opened(ShardIteratorType="LATEST")
    assert found(latest) == []
    put(running.dynamodb(AP), strong, "later", v="1")
    running.eventually(lambda: len(found(latest)) == 1, within_s=5)


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ({"ShardId": "shardId-00000000000000000009-00000000"}, "ResourceNotFoundException"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "x" * 21}, "Validation"),
    ],
)
def test_a_stream_position_that_is_none_is_refused(running, strong, where, error):
    arn = running.dynamodb(EU).describe_table(TableName=strong)["Table"]["LatestStreamArn"]
    streams = running.client("dynamodbstreams", EU)
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "LATEST"}
    code, _ = refusal_of(lambda: streams.get_shard_iterator(**{**place, **where}))
    assert error in code


def test_a_record_that_a_stream_has_not_is_told_as_such(running, strong):
    put(running.dynamodb(US), strong, "k", v="1")
    running.eventually(lambda: stream_of(running, EU, strong), within_s=5)
    arn = running.dynamodb(EU).describe_table(TableName=strong)["Table"]["LatestStreamArn"]
    streams = running.client("dynamodbstreams", EU)
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn,
        ShardId=shard["ShardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber="7" * 21,
    )["ShardIterator"]
    code, _ = refusal_of(lambda: streams.get_records(ShardIterator=iterator))
    assert code == "TrimmedDataAccessException"


def test_an_iterator_that_is_made_up_or_of_another_region_is_refused(running, strong):
    arn = running.dynamodb(EU).describe_table(TableName=strong)["Table"]["LatestStreamArn"]
    here, elsewhere = (running.client("dynamodbstreams", region) for region in (EU, AP))
    (shard,) = here.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = here.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    half = "replica-" + base64.urlsafe_b64encode(json.dumps({"table": strong}).encode()).decode()
    for client, token in ((elsewhere, iterator), (here, "replica-AAAA"), (here, half)):
        code, _ = refusal_of(lambda c=client, t=token: c.get_records(ShardIterator=t))
        assert code == "ValidationException"


def test_the_view_of_a_stream_is_that_of_its_table(running, table):
    stream = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    us = running.dynamodb(US)
    create(us, table, StreamSpecification=stream)
    replicate(us, table, EU, AP, MultiRegionConsistency="STRONG")
    put(us, table, "k", v="1")
    running.eventually(lambda: stream_of(running, EU, table), within_s=5)
    (record,) = stream_of(running, EU, table)
    assert record["dynamodb"]["Keys"] == {"k": {"S": "k"}}
    assert "NewImage" not in record["dynamodb"]


def test_a_strong_table_needs_no_stream(running, table):
    us = running.dynamodb(US)
    create(us, table)
    replicate(us, table, EU, AP, MultiRegionConsistency="STRONG")
    assert "LatestStreamArn" not in us.describe_table(TableName=table)["Table"]
    put(running.dynamodb(AP), table, "k", v="1")
    assert read(us, table, "k") == {"v": "1"}
    running.eventually(
        lambda: read(running.dynamodb(EU), table, "k", consistent=False) == {"v": "1"}, within_s=5
    )
