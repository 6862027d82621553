"""Which changes of a table's members DynamoDB makes, and what a replica's table is made of."""

from typing import Any

import pytest

from infra.local.table_answers import Refused
from infra.local.table_definitions import (
    Members,
    definition_of,
    members_after,
    read_change,
    with_members,
)

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ALONE = Members(replicas=(US,))
STRONG = Members(replicas=REGIONS, mode="STRONG")
EVENTUAL = Members(replicas=(US, EU), mode="EVENTUAL")


def after(before: Members, **request: Any) -> Members:
    return members_after(before, read_change(request), name="t", here=US, known=REGIONS)


def creates(*regions: str) -> list[dict]:
    return [{"Create": {"RegionName": region}} for region in regions]


def deletes(*regions: str) -> list[dict]:
    return [{"Delete": {"RegionName": region}} for region in regions]


@pytest.mark.parametrize(
    ("before", "request_", "members"),
    [
        (ALONE, {"ReplicaUpdates": creates(EU)}, EVENTUAL),
        (
            ALONE,
            {"ReplicaUpdates": creates(EU, AP), "MultiRegionConsistency": "STRONG"},
            STRONG,
        ),
        (
            ALONE,
            {
                "ReplicaUpdates": creates(EU),
                "GlobalTableWitnessUpdates": creates(AP),
                "MultiRegionConsistency": "STRONG",
            },
            Members(replicas=(US, EU), witness=AP, mode="STRONG"),
        ),
        (
            EVENTUAL,
            {"ReplicaUpdates": creates(AP), "MultiRegionConsistency": "EVENTUAL"},
            Members(replicas=REGIONS, mode="EVENTUAL"),
        ),
        (EVENTUAL, {"ReplicaUpdates": deletes(EU)}, ALONE),
        (STRONG, {"ReplicaUpdates": deletes(EU, AP)}, ALONE),
        (
            Members(replicas=(US, EU), witness=AP, mode="STRONG"),
            {"ReplicaUpdates": deletes(EU), "GlobalTableWitnessUpdates": deletes(AP)},
            ALONE,
        ),
    ],
)
def test_a_change_that_dynamodb_makes(before, request_, members):
    assert after(before, **request_) == members


@pytest.mark.parametrize(
    ("before", "request_", "why"),
    [
        (ALONE, {"MultiRegionConsistency": "WEAK"}, "enum value set"),
        (ALONE, {"ReplicaUpdates": [{"Create": {}}]}, "RegionName"),
        (ALONE, {"ReplicaUpdates": creates(EU, EU)}, "once"),
        (ALONE, {"ReplicaUpdates": creates("mars-1")}, "mars-1"),
        (ALONE, {"ReplicaUpdates": creates(US)}, "local region"),
        (ALONE, {"ReplicaUpdates": deletes(EU)}, "not found"),
        (ALONE, {"GlobalTableWitnessUpdates": creates(AP)}, "witness"),
        (ALONE, {"GlobalTableWitnessUpdates": creates(EU, AP)}, "one witness"),
        (EVENTUAL, {"ReplicaUpdates": creates(EU)}, "already existed"),
        (EVENTUAL, {"MultiRegionConsistency": "STRONG"}, "cannot be changed"),
        (STRONG, {"MultiRegionConsistency": "EVENTUAL"}, "cannot be changed"),
        (STRONG, {"ReplicaUpdates": deletes(AP)}, "together"),
        (STRONG, {"GlobalTableWitnessUpdates": creates(AP)}, "both"),
        (STRONG, {"GlobalTableWitnessUpdates": deletes(AP)}, "witness"),
        (
            Members(replicas=(US, EU), witness=AP, mode="STRONG"),
            {"ReplicaUpdates": deletes(EU)},
            "together",
        ),
    ],
)
def test_a_change_that_dynamodb_refuses(before, request_, why):
    with pytest.raises(Refused, match=why) as raised:
        after(before, **request_)
    assert b"ValidationException" in raised.value.answer.body


def test_a_replica_is_made_like_the_table_that_is_there():
    described = {
        "TableName": "t",
        "TableArn": "arn",
        "ItemCount": 5,
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "ProvisionedThroughput": {
            "ReadCapacityUnits": 3,
            "WriteCapacityUnits": 4,
            "NumberOfDecreasesToday": 0,
        },
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "i",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "IndexStatus": "ACTIVE",
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
            }
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    }
    assert definition_of(described, view=None) == {
        "TableName": "t",
        "AttributeDefinitions": described["AttributeDefinitions"],
        "KeySchema": described["KeySchema"],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "i",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
            }
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    }
    journal = definition_of(described, view="NEW_AND_OLD_IMAGES")
    assert journal["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_a_description_names_the_other_replicas_and_the_witness():
    members = Members(replicas=(US, EU), witness=AP, mode="STRONG")
    described = with_members({"TableName": "t"}, members, here=EU)
    assert described == {
        "TableName": "t",
        "GlobalTableVersion": "2019.11.21",
        "MultiRegionConsistency": "STRONG",
        "Replicas": [{"RegionName": US, "ReplicaStatus": "ACTIVE"}],
        "GlobalTableWitnesses": [{"RegionName": AP, "WitnessStatus": "ACTIVE"}],
    }


def test_a_witness_may_be_where_no_replica_can_be():
    def asked(**request: Any) -> Members:
        change = read_change({**request, "MultiRegionConsistency": "STRONG"})
        return members_after(ALONE, change, name="t", here=US, known=(US, EU), witnesses=REGIONS)

    members = asked(ReplicaUpdates=creates(EU), GlobalTableWitnessUpdates=creates(AP))
    assert members == Members(replicas=(US, EU), witness=AP, mode="STRONG")
    with pytest.raises(Refused) as refused:
        asked(ReplicaUpdates=creates(EU, AP))
    assert b"Region ap-south-1 is not available here" in refused.value.answer.body
