"""Regions without tables of states and keys ask those that have them, whoever answers."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from eventstore.errors import StoreUnavailable
from handlers.dependencies import Dependencies
from handlers.settings import Settings
from handlers.shared_tables import FirstThatAnswers
from projections.homes import HomesStore
from tests.dynamodb import tables
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.test_settings import VALID

US, EU, AP, FAR, WEST = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1", "us-west-2")


class Asked:
    """Regions that answer with their name, unless they are out of reach."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.calls: list[str] = []
        self.error: Callable[[], Exception] = lambda: EndpointConnectionError(endpoint_url="there")

    def client_of(self, region: str) -> Any:
        def get_item(**_request: Any) -> str:
            self.calls.append(region)
            if region in self.away:
                raise self.error()
            return region

        return SimpleNamespace(get_item=get_item)


def test_the_nearest_is_asked_as_long_as_it_answers():
    asked = Asked()
    tables_there = FirstThatAnswers(asked.client_of, (AP, US, EU))
    assert [tables_there.get_item() for _ in range(3)] == [AP, AP, AP]


def test_the_next_is_asked_where_one_is_out_of_reach_and_stays_the_first():
    asked = Asked()
    tables_there = FirstThatAnswers(asked.client_of, (AP, US, EU))
    asked.away = {AP, US}

    assert [tables_there.get_item() for _ in range(2)] == [EU, EU]

    # Nobody waits for those two again, until the one that answers falls silent.
    assert asked.calls == [AP, US, EU, EU]
    asked.away = {EU}
    assert tables_there.get_item() == AP


def test_where_nobody_answers_it_is_told_of_each():
    asked = Asked()
    asked.away = {AP, US, EU}
    with pytest.raises(StoreUnavailable, match=r"ask ap-south-1.*ask us-east-1.*ask eu-west-1"):
        FirstThatAnswers(asked.client_of, (AP, US, EU)).get_item()


def test_what_is_wrong_with_the_request_is_wrong_everywhere_and_not_sent_again():
    asked = Asked()
    asked.away = {AP}
    refused = {"Error": {"Code": "ConditionalCheckFailedException"}}
    asked.error = lambda: ClientError(refused, "PutItem")  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        FirstThatAnswers(asked.client_of, (AP, US)).get_item()
    assert asked.calls == [AP]


def settings(region: str, states_in: str) -> Settings:
    regions = ",".join((US, EU, AP, FAR, WEST))
    return Settings.of(
        VALID
        | {
            "ANTIPHON_REGIONS": regions,
            "ANTIPHON_MODE": "EVENTUAL",
            "ANTIPHON_STATES_IN": states_in,
        },
        region=region,
    )


def test_a_region_with_the_tables_uses_its_own_and_another_those_of_the_nearest():
    engine = InProcessRegions()
    for region in (US, EU, AP):
        tables.create(engine.client("dynamodb", region), "control", name="control")
    clients: Any = SimpleNamespace(
        dynamodb=lambda region: engine.client("dynamodb", region), kms=lambda _region: None
    )
    own = Dependencies(settings(US, f"{US},{EU},{AP}"), clients)
    far = Dependencies(settings(FAR, f"{EU},{US},{AP}"), clients)

    assert own.shared_of(US) is engine.client("dynamodb", US)
    assert own.shared_of(EU) is engine.client("dynamodb", EU)
    far.shared_of(FAR).put_item(TableName="control", Item={"k": {"S": "one"}})

    # States, homes and keys are read there, too, and nowhere else.
    home = HomesStore(engine.client("dynamodb", EU), table="control")  # type: ignore[arg-type]
    assert home.spread((US, EU))
    assert set(far.homes.current().slots) == set(home.read().slots)
    assert far.control.current().serving == (US, EU, AP, FAR, WEST)
    tables.create(engine.client("dynamodb", EU), "keys", name="keys")
    far.keys_of(FAR).destroy("sub.x", at_ms=1)
    assert far.keys_of(EU).is_forgotten("sub.x", consistent=True)

    key = {"TableName": "control", "Key": {"k": {"S": "one"}}}
    assert "Item" in engine.client("dynamodb", EU).get_item(**key)
    assert "Item" not in engine.client("dynamodb", US).get_item(**key)
    # What every region has of its own is asked for there.
    assert far.dynamodb(FAR) is engine.client("dynamodb", FAR)


def test_states_are_in_regions_that_there_are():
    with pytest.raises(ValueError, match="states_in names eu-north-1, which regions does not"):
        settings(FAR, f"{US},{EU},eu-north-1")
