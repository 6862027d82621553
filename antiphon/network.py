"""The network between the local regions and what is wrong with it, as its control tells.

What the command line reads of that: unknown fields are left aside, missing ones mean that
nothing is wrong. Reads nothing itself; `connection` does.
"""

from pydantic import BaseModel


class Link(BaseModel):
    """A link between two regions: its round trip, and what is wrong with it."""

    a: str
    b: str
    rtt_ms: float
    jitter_ms: float = 0.0
    cut: bool = False
    lost_requests: float = 0.0
    lost_answers: float = 0.0
    repeated: float = 0.0


class RegionFaults(BaseModel):
    """What is wrong with a region as a whole."""

    region: str
    killed: bool = False
    slow_ms: float = 0.0
    skew_ms: int = 0
    throttled: dict[str, float] = {}

    def wrong(self) -> list[str]:
        """Each of it in a few words; empty for a sound region."""
        told = ["killed"] if self.killed else []
        told += [f"slower by {self.slow_ms:.0f} ms"] if self.slow_ms else []
        told += [f"its clock off by {self.skew_ms / 1000:+g} s"] if self.skew_ms else []
        return told + [f"{rate:.0%} of {name} refused" for name, rate in self.throttled.items()]


class UnderWay(BaseModel):
    """Calls that are on the way from one region to another."""

    a: str
    b: str
    calls: int


class ReplicationLag(BaseModel):
    """What one region has still to receive from another."""

    origin: str
    region: str
    last_ms: float | None = None
    pending: int = 0


class Wan(BaseModel):
    """The network between the regions, as its control address reports it."""

    regions: tuple[str, ...]
    # Those of a witness, too, which is none of the regions.
    links: tuple[Link, ...] = ()
    replication: tuple[ReplicationLag, ...] = ()
    faults: tuple[RegionFaults, ...] = ()
    in_flight: tuple[UnderWay, ...] = ()

    def is_killed(self, region: str) -> bool:
        """Whether a region is dead."""
        return any(told.killed for told in self.faults if told.region == region)

    def is_calm(self) -> bool:
        """Whether nothing is wrong that somebody ordered, but for other round trips."""
        return not any(told.wrong() for told in self.faults) and not any(
            link.cut or link.lost_requests or link.lost_answers or link.repeated
            for link in self.links
        )

    def is_isolated(self, region: str) -> bool:
        """Whether a region reaches no other."""
        links = [link for link in self.links if region in (link.a, link.b)]
        return bool(links) and all(link.cut for link in links)

    def calls_under_way(self, a: str, b: str) -> int:
        """How many calls are on their way from `a` to `b`."""
        return sum(one.calls for one in self.in_flight if (one.a, one.b) == (a, b))

    def round_trips_ms(self, region: str) -> dict[str, float]:
        """The round trip in ms from `region` to each other one."""
        trips = {}
        for link in self.links:
            if region in (link.a, link.b):
                trips[link.b if link.a == region else link.a] = link.rtt_ms
        return trips

    def answer_floor_ms(self, region: str) -> float:
        """The least an answer from `region` can take: append to the nearest, proof of the farthest.

        An append is durable once the nearest other region has it; the answer then waits
        for the farthest region to apply it and say so.
        """
        trips = self.round_trips_ms(region)
        # A witness makes an append durable as well, but has nothing to apply.
        far = [ms for other, ms in trips.items() if other in self.regions]
        return min(trips.values()) + max(far) if far else 0.0
