"""The rules of DynamoDB's global tables, for the local regions and for the simulation alike.

Pure: no input or output, no clock, chance from a seed; every method that depends on time is
told it, in milliseconds. The rules order, delay, merge and resolve the writes that engines
have evaluated; they evaluate no expression and carry nothing themselves.
"""

from infra.local.replication.deliveries import Deliveries
from infra.local.replication.eventual import Arrival, EventualReplication
from infra.local.replication.links import (
    ROUND_TRIPS_MS,
    UNKNOWN_ROUND_TRIP_MS,
    Link,
    Links,
    Route,
    round_trip_ms,
    round_trips,
)
from infra.local.replication.strong import StrongReplication

__all__ = [
    "ROUND_TRIPS_MS",
    "UNKNOWN_ROUND_TRIP_MS",
    "Arrival",
    "Deliveries",
    "EventualReplication",
    "Link",
    "Links",
    "Route",
    "StrongReplication",
    "round_trip_ms",
    "round_trips",
]
