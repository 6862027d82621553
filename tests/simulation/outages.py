"""Outages of a plan: each begins and ends at its time, and says how."""

from tests.simulation.faults import Outage
from tests.simulation.history import Noted
from tests.simulation.network import Pair, pairs_of
from tests.simulation.world import World


def schedule(world: World, outage: Outage) -> None:
    """Have an outage begin and end when the plan says so."""
    world.time.at(outage.at_ms, lambda: begin(world, outage))
    world.time.at(outage.at_ms + outage.for_ms, lambda: end(world, outage))


def begin(world: World, outage: Outage) -> None:
    """Let the outage begin."""
    world.met(f"outage: {outage.kind}")
    about = " ".join(part for part in (outage.b, outage.site) if part)
    world.observer.record(Noted, what=f"{outage.kind} begins", region=outage.a, about=about)
    match outage.kind:
        case "cut":
            world.network.cut(_pairs(world, outage))
        case "slow":
            world.network.slow((outage.a, outage.b), rtt_ms=outage.ms)
        case "kill":
            world.kill(outage.a)
        case "throttle":
            world.throttled.append((outage.a, outage.site))
        case "refuse_entries":
            world.refusing.append(outage.a)
        case "stall":
            world.stalled.append((outage.a, "commands", outage.site))
        case "lag" if world.eventual is not None:
            world.eventual.delay(outage.a, extra_ms=outage.ms)


def end(world: World, outage: Outage) -> None:
    """Let the outage end."""
    world.observer.record(Noted, what=f"{outage.kind} ends", region=outage.a)
    match outage.kind:
        case "cut":
            world.network.mend(_pairs(world, outage))
        case "slow":
            world.network.slow((outage.a, outage.b), rtt_ms=None)
        case "kill":
            world.revive(outage.a)
        case "throttle":
            world.throttled.remove((outage.a, outage.site))
        case "refuse_entries":
            world.refusing.remove(outage.a)
        case "stall":
            world.stalled.remove((outage.a, "commands", outage.site))
        case "lag" if world.eventual is not None:
            world.eventual.delay(outage.a, extra_ms=0.0)


def _pairs(world: World, outage: Outage) -> list[Pair]:
    return [(outage.a, outage.b)] if outage.b else pairs_of(world.regions, outage.a)
