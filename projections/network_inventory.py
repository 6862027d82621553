"""The network inventory: each network element as it is now, found by id or site.

It shows the current configuration and the revisions that can be rolled back to; the
parameters of those stay in the log.
"""

from collections.abc import Mapping
from typing import assert_never, cast

from domain.network_element import (
    KEPT_REVISIONS,
    NETWORK_ELEMENT,
    ConfigurationApplied,
    ConfigurationRolledBack,
    NetworkElementDecommissioned,
    NetworkElementEvent,
    NetworkElementRegistered,
)
from eventstore.identity import Keys
from projections.answers import iso
from projections.projection import Change, Document, Projection

BY_SITE = "l1"


def apply(document: Document | None, change: Change) -> Document | None:
    """Return the view of a network element after one more commit."""
    for event in change.events:
        document = _after(document or {}, cast("NetworkElementEvent", event))
        document["changed_at"] = iso(change.commit.recorded_at_ms)
    return document


def _after(document: Document, event: NetworkElementEvent) -> Document:
    match event:
        case NetworkElementRegistered():
            registered = {**event.model_dump(exclude={"mcc", "mnc"}), "plmn": event.plmn}
            configured = {"revision": 0, "parameters": {}, "revisions": []}
            return {**registered, "status": "in_service", "reason": None, **configured}
        case ConfigurationApplied() | ConfigurationRolledBack():
            return {
                **document,
                "revision": event.revision,
                "parameters": event.parameters,
                "revisions": [*document["revisions"], event.revision][-KEPT_REVISIONS:],
            }
        case NetworkElementDecommissioned(reason=reason):
            return {**document, "status": "decommissioned", "reason": reason}
        case _:
            assert_never(event)


def site_key(site: str) -> str:
    """Return the list key of a site."""
    return f"site#{site}"


def list_keys(document: Document, _keys: Keys) -> Mapping[str, str]:
    """Return the list that an element stands in."""
    return {BY_SITE: site_key(document["site"])}


NETWORK_INVENTORY = Projection(
    name="network-inventory",
    version=1,
    tags=frozenset({NETWORK_ELEMENT.tag}),
    apply=apply,
    list_keys=list_keys,
    shows_state=True,
)
