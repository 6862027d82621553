"""What happens to a made-up subscriber: mostly what happens to real ones, and some mistakes.

Which outcome a command has is not decided here; see `lanes`.
"""

import random
from collections.abc import Callable

from antiphon.feeds.lanes import Lane
from antiphon.feeds.numbering import Operator
from domain.aggregate import Command
from domain.subscriber import (
    ActivateSubscriber,
    ChangeMsisdn,
    ChangeServiceProfile,
    ResumeSubscriber,
    Subscriber,
    SuspendSubscriber,
    TerminateSubscriber,
)

PROFILES = ("consumer-4g", "consumer-5g", "business-5g", "prepaid-basic", "iot-nb", "iot-ltem")
PAUSES = ("non-payment", "lost-or-stolen", "customer-request", "fraud-review")
ENDS = ("port-out", "contract-ended", "end-of-trial")
EARLY = 0.1
# How many steps may follow an activation, and how likely each number is.
LENGTHS = ((0, 1, 2, 3, 4, 5), (26, 30, 21, 12, 7, 4))

Move = Callable[[Subscriber, Operator, random.Random], list[Command]]


def play_subscriber(lane: Lane, operator: Operator, imsi: str) -> None:
    """Fill a lane with the commands for one subscriber of an operator."""
    rng = lane.rng
    if rng.random() < EARLY:
        too_early: list[Command] = [
            ChangeServiceProfile(imsi=imsi, service_profile=rng.choice(PROFILES)),
            SuspendSubscriber(imsi=imsi, reason=rng.choice(PAUSES)),
            TerminateSubscriber(imsi=imsi, reason=rng.choice(ENDS)),
        ]
        lane.send([rng.choice(too_early)])
    activation = ActivateSubscriber(
        imsi=imsi,
        msisdn=operator.msisdn(rng),
        iccid=operator.iccid(rng),
        service_profile=rng.choice(PROFILES),
    )
    lane.send([activation])
    for _ in range(rng.choices(*LENGTHS)[0]):
        if lane.state is not None:
            weights, moves = zip(*MOVES[lane.state.status], strict=True)
            commands = rng.choices(moves, weights)[0](lane.state, operator, rng)
            lane.send(commands if lane.may_burst else commands[:1])
    lane.send_again()


def _other(values: tuple[str, ...], value: str | None, rng: random.Random) -> str:
    return rng.choice([other for other in values if other != value])


def _change_profile(now: Subscriber, _: Operator, rng: random.Random) -> list[Command]:
    profile = _other(PROFILES, now.service_profile, rng)
    return [ChangeServiceProfile(imsi=now.imsi, service_profile=profile)]


def _change_msisdn(now: Subscriber, operator: Operator, rng: random.Random) -> list[Command]:
    return [ChangeMsisdn(imsi=now.imsi, msisdn=operator.msisdn(rng))]


def _suspend(now: Subscriber, _: Operator, rng: random.Random) -> list[Command]:
    return [SuspendSubscriber(imsi=now.imsi, reason=_other(PAUSES, now.reason, rng))]


def _resume(now: Subscriber, _operator: Operator, _rng: random.Random) -> list[Command]:
    return [ResumeSubscriber(imsi=now.imsi)]


def _terminate(now: Subscriber, _: Operator, rng: random.Random) -> list[Command]:
    return [TerminateSubscriber(imsi=now.imsi, reason=_other(ENDS, now.reason, rng))]


def _activate_otherwise(now: Subscriber, operator: Operator, rng: random.Random) -> list[Command]:
    """Activate with another SIM card, as a system does that lost the first order."""
    data = now.model_dump(include={"imsi", "msisdn", "service_profile"})
    return [ActivateSubscriber(iccid=operator.iccid(rng), **data)]


def _nothing_new(now: Subscriber, _: Operator, rng: random.Random) -> list[Command]:
    """Ask for what is so already, as a nightly reconciliation does."""
    same: list[Command] = [
        ChangeServiceProfile(imsi=now.imsi, service_profile=now.service_profile),
        ChangeMsisdn(imsi=now.imsi, msisdn=now.msisdn),
    ]
    if now.status == "active":
        data = now.model_dump(include={"imsi", "msisdn", "iccid", "service_profile"})
        same.append(ActivateSubscriber(**data))
    elif now.reason is not None:
        same.append(SuspendSubscriber(imsi=now.imsi, reason=now.reason))
    return [rng.choice(same)]


def _same_end(now: Subscriber, _operator: Operator, _rng: random.Random) -> list[Command]:
    return [TerminateSubscriber(imsi=now.imsi, reason=now.reason or ENDS[0])]


def _change_at_once(now: Subscriber, operator: Operator, rng: random.Random) -> list[Command]:
    """Let the shop, the call centre and the fraud desk act at the same moment."""
    makers = [_change_msisdn, _change_profile, _suspend]
    return [make(now, operator, rng)[0] for make in rng.sample(makers, rng.choice((2, 2, 3)))]


def _resume_at_once(now: Subscriber, operator: Operator, rng: random.Random) -> list[Command]:
    """Resume while another desk terminates or changes the profile."""
    rival = rng.choice((_terminate, _change_profile))
    return [_resume(now, operator, rng)[0], rival(now, operator, rng)[0]]


MOVES: dict[str, list[tuple[float, Move]]] = {
    "active": [
        (3, _change_profile),
        (3, _change_msisdn),
        (3, _suspend),
        (1, _terminate),
        (1, _activate_otherwise),
        (1, _nothing_new),
        (2.5, _change_at_once),
    ],
    "suspended": [
        (5, _resume),
        (1, _change_profile),
        (1, _suspend),
        (1, _terminate),
        (1, _nothing_new),
        (2, _resume_at_once),
    ],
    "terminated": [
        (3, _resume),
        (1, _change_msisdn),
        (1, _same_end),
        (1, _activate_otherwise),
    ],
}
