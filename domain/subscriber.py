"""Subscriber: one SIM's subscription, by its IMSI, from activation to termination.

| command              | never existed        | active           | suspended              |
|----------------------|----------------------|------------------|------------------------|
| ActivateSubscriber   | activated            | `already_active` | `subscriber_suspended` |
| ChangeServiceProfile | `unknown_subscriber` | changed          | `subscriber_suspended` |
| ChangeMsisdn         | `unknown_subscriber` | changed          | `subscriber_suspended` |
| SuspendSubscriber    | `unknown_subscriber` | suspended        | `already_suspended`    |
| ResumeSubscriber     | `unknown_subscriber` | nothing          | resumed                |
| TerminateSubscriber  | `unknown_subscriber` | terminated       | terminated             |
| ForgetSubscriber     | `unknown_subscriber` | forgotten        | forgotten              |

What is so already is nothing to do rather than refused: an active subscriber activated with
the same data, the same profile or number, a suspension for the same reason. A terminated one
refuses everything with `subscriber_terminated`, but for the same termination: nothing to do,
and for being forgotten. A forgotten one refuses everything with `subscriber_forgotten`, for ever.
"""

from datetime import datetime
from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict

from domain.aggregate import FORGOTTEN, Aggregate, Command, CommandRefused, Event, Personal
from domain.identifiers import Iccid, Imsi, Msisdn, Reason, ServiceProfile


class SubscriberActivated(Event):
    """The subscription began."""

    imsi: Personal
    msisdn: Personal
    iccid: Personal
    service_profile: str


class ServiceProfileChanged(Event):
    """What the subscriber may use changed."""

    service_profile: str


class MsisdnChanged(Event):
    """The subscriber's number changed."""

    msisdn: Personal


class SubscriberSuspended(Event):
    """The subscription stopped for a time."""

    reason: str


class SubscriberResumed(Event):
    """The suspension ended."""


class SubscriberTerminated(Event):
    """The subscription ended for good."""

    reason: str


class SubscriberForgotten(Event):
    """Who the subscriber was is to be forgotten, everywhere and for ever."""

    forgets = True


SubscriberEvent = (
    SubscriberActivated
    | ServiceProfileChanged
    | MsisdnChanged
    | SubscriberSuspended
    | SubscriberResumed
    | SubscriberTerminated
    | SubscriberForgotten
)


class Subscriber(BaseModel):
    """The subscription now; `reason` says why it is suspended or terminated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    imsi: str
    msisdn: str
    iccid: str
    service_profile: str
    status: Literal["active", "suspended", "terminated", "forgotten"] = "active"
    reason: str | None = None


def evolve(state: Subscriber | None, event: SubscriberEvent) -> Subscriber:
    """Return the state after one more event."""
    if isinstance(event, SubscriberActivated):
        return Subscriber(**event.model_dump())
    if isinstance(event, SubscriberForgotten):
        nobody = dict.fromkeys(("imsi", "msisdn", "iccid", "service_profile"), FORGOTTEN)
        return Subscriber(**nobody, status="forgotten")
    assert state is not None, "a subscriber's first event is its activation"
    match event:
        case ServiceProfileChanged() | MsisdnChanged():
            return state.model_copy(update=event.model_dump())
        case SubscriberSuspended(reason=reason):
            return state.model_copy(update={"status": "suspended", "reason": reason})
        case SubscriberResumed():
            return state.model_copy(update={"status": "active", "reason": None})
        case SubscriberTerminated(reason=reason):
            return state.model_copy(update={"status": "terminated", "reason": reason})
        case _:
            assert_never(event)


class ActivateSubscriber(Command):
    """Begin a subscription."""

    imsi: Imsi
    msisdn: Msisdn
    iccid: Iccid
    service_profile: ServiceProfile


class ChangeServiceProfile(Command):
    """Give an active subscriber another service profile."""

    imsi: Imsi
    service_profile: ServiceProfile


class ChangeMsisdn(Command):
    """Give an active subscriber another number."""

    imsi: Imsi
    msisdn: Msisdn


class SuspendSubscriber(Command):
    """Stop an active subscription for a time."""

    imsi: Imsi
    reason: Reason


class ResumeSubscriber(Command):
    """End a suspension."""

    imsi: Imsi


class TerminateSubscriber(Command):
    """End a subscription for good."""

    imsi: Imsi
    reason: Reason


class ForgetSubscriber(Command):
    """Forget who the subscriber was; `antiphon forget` sends it and does the rest."""

    imsi: Imsi


_CommandBeforeTheEnd = (
    ActivateSubscriber
    | ChangeServiceProfile
    | ChangeMsisdn
    | SuspendSubscriber
    | ResumeSubscriber
    | TerminateSubscriber
)
SubscriberCommand = _CommandBeforeTheEnd | ForgetSubscriber


def decide(
    state: Subscriber | None,
    command: SubscriberCommand,
    /,
    *,
    now: datetime,  # noqa: ARG001 - every decider takes it; these rules do not depend on time
) -> tuple[SubscriberEvent, ...]:
    """Return what a command does to a subscriber; the table above is the whole of it."""
    if state is None:
        return _activate(command)
    if isinstance(command, ForgetSubscriber):
        return () if state.status == "forgotten" else (SubscriberForgotten(),)
    if state.status in {"terminated", "forgotten"}:
        return _after_the_end(state, command)
    return _before_the_end(state, command)


def _before_the_end(
    state: Subscriber, command: _CommandBeforeTheEnd
) -> tuple[SubscriberEvent, ...]:
    events: tuple[SubscriberEvent, ...]
    match command:
        case ActivateSubscriber():
            events = _activate_again(state, command)
        case ChangeServiceProfile(service_profile=profile):
            changed = ServiceProfileChanged(service_profile=profile)
            events = () if profile == state.service_profile else _while_active(state, changed)
        case ChangeMsisdn(msisdn=msisdn):
            renumbered = MsisdnChanged(msisdn=msisdn)
            events = () if msisdn == state.msisdn else _while_active(state, renumbered)
        case SuspendSubscriber(reason=reason):
            events = _suspend(state, reason)
        case ResumeSubscriber():
            events = (SubscriberResumed(),) if state.status == "suspended" else ()
        case TerminateSubscriber(reason=reason):
            events = (SubscriberTerminated(reason=reason),)
        case _:
            assert_never(command)
    return events


def _activate(command: SubscriberCommand) -> tuple[SubscriberEvent, ...]:
    if not isinstance(command, ActivateSubscriber):
        raise CommandRefused("unknown_subscriber", "no subscriber with this IMSI was activated")
    return (SubscriberActivated(**command.model_dump()),)


def _activate_again(state: Subscriber, command: ActivateSubscriber) -> tuple[SubscriberEvent, ...]:
    _require_active(state)
    if all(getattr(state, name) == value for name, value in command.model_dump().items()):
        return ()
    raise CommandRefused("already_active", "the subscriber is active with other data")


def _suspend(state: Subscriber, reason: str) -> tuple[SubscriberEvent, ...]:
    if state.status == "active":
        return (SubscriberSuspended(reason=reason),)
    if state.reason == reason:
        return ()
    raise CommandRefused("already_suspended", "the subscriber is suspended for another reason")


def _after_the_end(state: Subscriber, command: SubscriberCommand) -> tuple[SubscriberEvent, ...]:
    if state.status == "forgotten":
        raise CommandRefused("subscriber_forgotten", "the subscriber was forgotten, for good")
    if isinstance(command, TerminateSubscriber) and command.reason == state.reason:
        return ()
    raise CommandRefused("subscriber_terminated", "the subscription ended for good")


def _while_active(state: Subscriber, event: SubscriberEvent) -> tuple[SubscriberEvent, ...]:
    _require_active(state)
    return (event,)


def _require_active(state: Subscriber) -> None:
    if state.status == "suspended":
        raise CommandRefused("subscriber_suspended", "the subscriber is suspended: resume it first")


def _imsi_of(command: SubscriberCommand) -> str:
    return command.imsi


SUBSCRIBER = Aggregate(
    name="Subscriber",
    tag="sub",
    state=Subscriber,
    events=(
        SubscriberActivated,
        ServiceProfileChanged,
        MsisdnChanged,
        SubscriberSuspended,
        SubscriberResumed,
        SubscriberTerminated,
        SubscriberForgotten,
    ),
    commands=(
        ActivateSubscriber,
        ChangeServiceProfile,
        ChangeMsisdn,
        SuspendSubscriber,
        ResumeSubscriber,
        TerminateSubscriber,
        ForgetSubscriber,
    ),
    natural_key=_imsi_of,
    decide=decide,
    evolve=evolve,
    forget=ForgetSubscriber,
)
