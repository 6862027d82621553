"""Views that are left unread: DynamoDB gives what it can, and the rest is asked for again."""

import pytest

from eventstore.errors import StoreUnavailable
from eventstore.identity import Keys
from projections.bounds import ReadBounds
from projections.projection import Projection
from projections.views import View, ViewStore
from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB

SHOWN = Projection(name="shown", version=1, tags=None, apply=lambda document, _: document)
AGGREGATES = [f"sub.{number:026d}" for number in range(10)]


@pytest.fixture
def dynamodb() -> InProcessDynamoDB:
    return InProcessDynamoDB()


@pytest.fixture
def views(dynamodb: InProcessDynamoDB) -> ViewStore:
    store = ViewStore(
        dynamodb,  # type: ignore[arg-type]
        table=tables.create(dynamodb, "views"),
        keys=Keys(b"a secret of the tests"),
        bounds=ReadBounds(view_read_tries=3),
    )
    for number, aggregate_id in enumerate(AGGREGATES, start=1):
        store.write(SHOWN, aggregate_id, before=0, view=View(number, number, {}), rows={})
    return store


def test_what_is_left_unread_is_read_again(dynamodb: InProcessDynamoDB, views: ViewStore):
    dynamodb.leave_unread = [9, 4]

    read = views.read_many([(SHOWN, aggregate_id) for aggregate_id in AGGREGATES])

    assert [read["shown#1", a].applied for a in AGGREGATES] == list(range(1, 11))


def test_what_stays_unread_is_no_empty_view(dynamodb: InProcessDynamoDB, views: ViewStore):
    dynamodb.leave_unread = [9, 4, 1]

    with pytest.raises(StoreUnavailable):
        views.read_many([(SHOWN, aggregate_id) for aggregate_id in AGGREGATES])
