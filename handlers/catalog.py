"""What the product brings: subscribers and network elements, registered as extensions are."""

from typing import Literal

from domain.identifiers import ElementId, Imsi, Msisdn, Site
from domain.network_element import NETWORK_ELEMENT
from domain.subscriber import SUBSCRIBER
from handlers.extension import Extension, ListBy, Resource
from projections.network_inventory import BY_SITE, NETWORK_INVENTORY, site_key
from projections.registry import PROJECTIONS
from projections.subscriber_view import (
    BY_MSISDN,
    BY_STATUS,
    SUBSCRIBER_VIEW,
    msisdn_key,
    status_key,
)

SUBSCRIBERS = Resource(
    path="subscribers",
    name="subscriber",
    key_name="imsi",
    key_type=Imsi,
    aggregate=SUBSCRIBER,
    view=SUBSCRIBER_VIEW,
    lists={
        "msisdn": ListBy(type=Msisdn, index=BY_MSISDN, key=msisdn_key),
        "status": ListBy(
            type=Literal["active", "suspended", "terminated"],
            index=BY_STATUS,
            key=lambda _keys, status: status_key(status),
        ),
    },
)

NETWORK_ELEMENTS = Resource(
    path="network-elements",
    name="network element",
    key_name="element_id",
    key_type=ElementId,
    aggregate=NETWORK_ELEMENT,
    view=NETWORK_INVENTORY,
    lists={"site": ListBy(type=Site, index=BY_SITE, key=lambda _keys, site: site_key(site))},
)

BUILT_IN = Extension(
    aggregates=(SUBSCRIBER, NETWORK_ELEMENT),
    projections=PROJECTIONS,
    resources=(SUBSCRIBERS, NETWORK_ELEMENTS),
)
