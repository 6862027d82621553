"""Commits as a log has them, made for benchmarks: subscribers that are activated and changed."""

from collections.abc import Iterator

from eventstore.commits import CommandStamp, Commit, RecordedEvent
from eventstore.identity import Keys

KEYS = Keys(b"a secret of the benchmarks")
NOW_MS = 1_795_000_000_000
_ACTIVATED = RecordedEvent(
    "Subscriber.SubscriberActivated",
    1,
    b'{"imsi":"262011234567890","msisdn":"+4915112345678",'
    b'"iccid":"8949020000012345670","service_profile":"consumer-5g"}',
)


def commits_of(subscriber: int, *, events: int, every_ms: int = 60_000) -> Iterator[Commit]:
    """Yield the commits of one subscriber, one event each, the last of them recorded just now."""
    aggregate_id = KEYS.aggregate_id("sub", f"subscriber {subscriber}")
    for position in range(1, events + 1):
        profile = b'{"service_profile":"profile-%d"}' % position
        changed = RecordedEvent("Subscriber.ServiceProfileChanged", 1, profile)
        yield Commit(
            aggregate_id=aggregate_id,
            position=position,
            predecessor=position - 1,
            events=(_ACTIVATED if position == 1 else changed,),
            token=KEYS.aggregate_id("sub", f"{subscriber}.{position}").encode()[-16:],
            content_hash=bytes(16),
            command=CommandStamp(
                type="ChangeServiceProfile", command_id="1", producer="crm", occurred_at=None
            ),
            origin="us-east-1",
            recorded_at_ms=NOW_MS - (events - position) * every_ms,
            correlation_id="c1",
        )
