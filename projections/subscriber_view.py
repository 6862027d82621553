"""The subscriber view: each subscriber as they are now, found by IMSI, number or status.

Lists go by keyed hash: no number stands in a key. Two subscribers may show one number for a
while (it moved from one to the other); that a number has one holder is not promised.
"""

from collections.abc import Mapping
from typing import assert_never, cast

from domain.subscriber import (
    SUBSCRIBER,
    MsisdnChanged,
    ServiceProfileChanged,
    SubscriberActivated,
    SubscriberEvent,
    SubscriberForgotten,
    SubscriberResumed,
    SubscriberSuspended,
    SubscriberTerminated,
)
from eventstore.identity import Keys
from projections.answers import iso
from projections.projection import Change, Document, Projection

BY_MSISDN = "l1"
BY_STATUS = "l2"


def apply(document: Document | None, change: Change) -> Document | None:
    """Return the view of a subscriber after one more commit."""
    for event in change.events:
        document = _after(document or {}, cast("SubscriberEvent", event))
        document["changed_at"] = iso(change.commit.recorded_at_ms)
    return document


def _after(document: Document, event: SubscriberEvent) -> Document:
    match event:
        case SubscriberActivated():
            return {**event.model_dump(), "status": "active", "reason": None}
        case ServiceProfileChanged() | MsisdnChanged():
            return {**document, **event.model_dump()}
        case SubscriberSuspended(reason=reason):
            return {**document, "status": "suspended", "reason": reason}
        case SubscriberResumed():
            return {**document, "status": "active", "reason": None}
        case SubscriberTerminated(reason=reason):
            return {**document, "status": "terminated", "reason": reason}
        case SubscriberForgotten():
            # Nobody asks: of whoever is forgotten there is no document.
            return document
        case _:
            assert_never(event)


def msisdn_key(keys: Keys, msisdn: str) -> str:
    """Return the list key of a number, in E.164."""
    return keys.index_key("msisdn", msisdn)


def status_key(status: str) -> str:
    """Return the list key of a status."""
    return f"status#{status}"


def list_keys(document: Document, keys: Keys) -> Mapping[str, str]:
    """Return the lists that a subscriber stands in."""
    return {
        BY_MSISDN: msisdn_key(keys, document["msisdn"]),
        BY_STATUS: status_key(document["status"]),
    }


SUBSCRIBER_VIEW = Projection(
    name="subscriber-view",
    version=1,
    tags=frozenset({SUBSCRIBER.tag}),
    apply=apply,
    list_keys=list_keys,
    shows_state=True,
)
