"""What can be done to a running system: cut, delay, lose, throttle, kill and so on.

One set of actions for the control address, the command line and scenario files. Says
only what is wanted and how it is undone; nothing here does any of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_MS = 60_000
Rate = Annotated[float, Field(ge=0, le=1, description="0 for never, 1 for every time")]
Milliseconds = Annotated[float, Field(ge=0, le=MAX_MS)]
Service = Literal["dynamodb", "sqs", "events"]
SERVICES: tuple[Service, ...] = ("dynamodb", "sqs", "events")


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def undo(self) -> Action | None:
        """The action that takes this one back; None for one that takes back others."""
        return None


class _OnLinks(_Action):
    """Something about one link (`a` and `b`), every link of `a`, or every link there is."""

    a: str | None = None
    b: str | None = None


class Cut(_OnLinks):
    """Cut links: what crosses them waits for some seconds, and is then lost."""

    action: Literal["cut"] = "cut"
    a: str

    def undo(self) -> Heal:
        """Mend the same links."""
        return Heal(a=self.a, b=self.b)


class Heal(_OnLinks):
    """Mend cut links; without a region also take back every delay."""

    action: Literal["heal"] = "heal"


class Delay(_OnLinks):
    """Give links another round trip: `ms`, and up to `jitter_ms` more each time."""

    action: Literal["delay"] = "delay"
    a: str
    ms: Milliseconds
    jitter_ms: Milliseconds = 0

    def undo(self) -> Undelay:
        """Give the same links their usual round trip back."""
        return Undelay(a=self.a, b=self.b)


class Undelay(_OnLinks):
    """Give links their usual round trip back."""

    action: Literal["undelay"] = "undelay"
    a: str


class Lose(_OnLinks):
    """Lose calls between regions: the request never arrives, or its answer never comes back."""

    action: Literal["lose"] = "lose"
    requests: Rate = 0
    answers: Rate = 0

    def undo(self) -> Lose:
        """Lose nothing on the same links."""
        return Lose(a=self.a, b=self.b)


class Repeat(_OnLinks):
    """Carry out calls between regions twice, as a network does that sends again."""

    action: Literal["repeat"] = "repeat"
    rate: Rate

    def undo(self) -> Repeat:
        """Repeat nothing on the same links."""
        return Repeat(a=self.a, b=self.b, rate=0)


class _InRegion(_Action):
    region: str


class Throttle(_InRegion):
    """Refuse the functions' calls to a region's services as AWS does beyond a quota."""

    action: Literal["throttle"] = "throttle"
    rate: Rate
    services: Annotated[tuple[Service, ...], Field(min_length=1)] = SERVICES

    def undo(self) -> Throttle:
        """Refuse nothing of the same services."""
        return Throttle(region=self.region, rate=0, services=self.services)


class Slow(_InRegion):
    """Make everything in a region take longer by `ms`."""

    action: Literal["slow"] = "slow"
    ms: Milliseconds

    def undo(self) -> Slow:
        """Let the region be as fast as it is."""
        return Slow(region=self.region, ms=0)


class Skew(_InRegion):
    """Set the clock of a region's functions ahead by `ms`, or back."""

    action: Literal["skew"] = "skew"
    ms: Annotated[int, Field(ge=-86_400_000, le=86_400_000)]

    def undo(self) -> Skew:
        """Set the clock right."""
        return Skew(region=self.region, ms=0)


class Kill(_InRegion):
    """Stop a region dead: its functions die, its services freeze, its links are gone."""

    action: Literal["kill"] = "kill"

    def undo(self) -> Start:
        """Start the region again."""
        return Start(region=self.region)


class Start(_InRegion):
    """Start a killed region: what was durable is there again."""

    action: Literal["start"] = "start"


class Calm(_Action):
    """End every fault: mend all links, start all regions, set all clocks right."""

    action: Literal["calm"] = "calm"


Action = Cut | Heal | Delay | Undelay | Lose | Repeat | Throttle | Slow | Skew | Kill | Start | Calm
ACTIONS: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])
NAMES: tuple[str, ...] = tuple(
    kind.model_fields["action"].default
    for kind in (Cut, Heal, Delay, Undelay, Lose, Repeat, Throttle, Slow, Skew, Kill, Start, Calm)
)


def read_action(content: Any) -> Action:
    """Read an action from JSON-like content. Raises: pydantic.ValidationError."""
    return ACTIONS.validate_python(content)


def reasons(error: ValidationError) -> list[str]:
    """What is wrong with an action, field by field, for people: `cut: a: Field required`."""
    return [": ".join([*(str(part) for part in one["loc"]), one["msg"]]) for one in error.errors()]


def told(action: Action) -> str:
    """An action as one line for people: `lose us-east-1 eu-west-1 requests=0.1`."""
    fields = action.model_dump(exclude={"action"}, exclude_none=True, exclude_defaults=True)
    where = [str(fields.pop(name)) for name in ("region", "a", "b") if name in fields]
    how = [f"{name}={_plain(value)}" for name, value in fields.items()]
    return " ".join([action.action, *where, *how])


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
