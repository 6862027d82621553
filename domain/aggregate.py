"""What every aggregate is made of: events, a state, commands, and two pure functions.

Events are stored formats: they stay readable for ever, so a change of their fields needs a
new `version` and an upcast; only what is `Personal` in them can be forgotten. Refusals and
no-ops are not events here; the event store records them. Nothing in this module may know a
particular aggregate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, Final, Generic, Protocol, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

S = TypeVar("S", bound=BaseModel)
S_contra = TypeVar("S_contra", bound=BaseModel, contravariant=True)


class _PersonalMark:
    """Marks a type as `Personal`."""


# Text of an event that tells who somebody is. It is stored under a key of its subject's own, and
# reads FORGOTTEN once that key is destroyed; everything else of the event stays readable.
Personal = Annotated[str, _PersonalMark()]
FORGOTTEN: Final = "forgotten"


class Event(BaseModel):
    """Something that happened. Its fields are plain: what was valid then stays readable.

    A numbering plan changes and old numbers may no longer be valid, so only commands check
    against plans. After an event with `forgets`, nothing of before is part of the state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    forgets: ClassVar[bool] = False

    @classmethod
    def upcast(cls, data: dict[str, Any], *, version: int) -> dict[str, Any]:
        """Return today's fields from those stored under an older `version`.

        An event whose `version` went up overrides this. It must be pure, so that an old event
        reads the same for ever and in every region.

        Raises:
            ValueError: this version is newer than the code, or was never given an upcast.

        """
        raise ValueError(
            f"{cls.__name__} has no upcast from {version} to {cls.version}: {data.keys()}"
        )


@cache
def personal_fields(event_class: type[Event]) -> frozenset[str]:
    """Return the names of the fields that are `Personal`.

    Raises:
        ValueError: a field is personal in part only, which would leave it stored as it is.

    """
    found = set()
    for name, field in event_class.model_fields.items():
        if any(isinstance(mark, _PersonalMark) for mark in field.metadata):
            found.add(name)
        elif _mentions_personal(field.annotation):
            raise ValueError(
                f"{event_class.__name__}.{name} has Personal inside another type; "
                "make it a field of its own"
            )
    return frozenset(found)


def _mentions_personal(annotation: Any) -> bool:
    parts = (*get_args(annotation), *getattr(annotation, "__metadata__", ()))
    return any(isinstance(part, _PersonalMark) or _mentions_personal(part) for part in parts)


class Command(BaseModel):
    """Something that is asked for. Its type on the wire is the name of its class."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CommandRefused(Exception):
    """The rules say no: `reason` is a stable snake_case code, `message` a sentence.

    Both are recorded, so neither may hold a subscriber's number.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Decide(Protocol[S_contra]):
    """Decide a command on a state; None means that the aggregate never existed."""

    def __call__(
        self, state: S_contra | None, command: Any, /, *, now: datetime
    ) -> tuple[Event, ...]:
        """Return the events that the command makes; none when there is nothing to do.

        Deciding the same command again after these events gives none.

        Raises:
            CommandRefused: the rules say no.

        """


@dataclass(frozen=True, kw_only=True)
class Aggregate(Generic[S]):
    """One kind of aggregate, as the rest of the system uses it.

    Args:
        name: stands before the event's name in its topic. Permanent.
        tag: stands before every aggregate id. Permanent.
        state: the model of its state.
        events: every class of event that its log may hold.
        commands: every class of command that it decides.
        natural_key: command -> what tells its aggregate from others; personal data perhaps.
        decide: see `Decide`.
        evolve: (state, event) -> state. Never fails on an event that `decide` made.
        fold_version: goes up when `evolve` makes another state of the same events, so that
            snapshots of the old one are left aside.
        forget: the command, of the natural key alone, that gives an event with `forgets`; None
            where nothing is personal.

    """

    name: str
    tag: str
    state: type[S]
    events: tuple[type[Event], ...]
    commands: tuple[type[Command], ...]
    natural_key: Callable[[Any], str]
    decide: Decide[S]
    evolve: Callable[[S | None, Any], S]
    fold_version: int = 1
    forget: type[Command] | None = None

    def evolved(self, state: S | None, event: Event) -> S:
        """Return the state after one more event.

        What forgets is folded on nothing, so that nothing of before can be left in the state.
        """
        return self.evolve(None if event.forgets else state, event)

    @cached_property
    def has_personal_data(self) -> bool:
        return any(personal_fields(event_class) for event_class in self.events)

    def topic(self, event_class: type[Event]) -> str:
        """Return the stored name of one of its classes of events."""
        return f"{self.name}.{event_class.__name__}"

    def event_class(self, topic: str) -> type[Event]:
        """Return the class of a stored name.

        Raises:
            KeyError: no event of this aggregate has that topic.

        """
        return self._classes[topic]

    @cached_property
    def _classes(self) -> dict[str, type[Event]]:
        return {self.topic(event_class): event_class for event_class in self.events}
