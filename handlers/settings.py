"""What a function is told by its environment: the only place that reads it.

A plain model of pydantic's: `pydantic-settings` would take a tenth of a function's start to import,
and what it adds is the reading of a process's own environment, which the entry does.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from eventstore.bounds import Bounds
from eventstore.identity import SECRET_MIN_BYTES
from handlers.access import GRANT, Authorization
from projections.bounds import ReadBounds

Name = Annotated[str, StringConstraints(min_length=3, max_length=255)]
Grant = Annotated[str, StringConstraints(pattern=f"^(?:{GRANT})$")]


class EdgeBounds(BaseModel):
    """The bounds of the functions themselves, each with its unit and default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: Annotated[
        int, Field(ge=1_000, le=200_000, description="Bytes that a command may have")
    ] = 128 * 1024
    lane_ms: Annotated[
        int,
        Field(ge=0, le=2_000, description="Milliseconds that a reply waits for the fast lane"),
    ] = 300
    answer_poll_ms: Annotated[
        int,
        Field(
            ge=10, le=1_000, description="Milliseconds between two looks for an answer waited for"
        ),
    ] = 60
    prove_after_ms: Annotated[
        int,
        Field(
            ge=50,
            le=20_000,
            description="Milliseconds of waiting until another region proves an answer itself",
        ),
    ] = 1_000
    wait_s: Annotated[
        int, Field(ge=0, le=25, description="Seconds that `Prefer: wait` may hold a reply, at most")
    ] = 20
    redeliver_s: Annotated[
        int,
        Field(
            ge=1, le=900, description="Seconds until an origin out of reach is acknowledged again"
        ),
    ] = 5
    retry_s: Annotated[
        int,
        Field(ge=0, le=900, description="Seconds until a queued command that failed comes again"),
    ] = 5
    replay_again_s: Annotated[
        int,
        Field(
            ge=1,
            le=3_600,
            description="Seconds until a dead letter that is being replayed may be sent again",
        ),
    ] = 60
    send_threads: Annotated[
        int, Field(ge=1, le=200, description="Threads that send to queues side by side")
    ] = 24
    sends_a_region: Annotated[
        int, Field(ge=1, le=200, description="Of those, how many one region may hold")
    ] = 6
    connect_s: Annotated[
        float, Field(gt=0, le=10, description="Seconds to connect to an AWS service")
    ] = 1.0
    read_s: Annotated[
        float, Field(gt=0, le=20, description="Seconds to wait for an AWS service's answer")
    ] = 3.0
    call_tries: Annotated[
        int, Field(ge=1, le=10, description="Tries of one AWS call before it counts as failed")
    ] = 2
    connections: Annotated[
        int, Field(ge=1, le=500, description="Connections kept to one AWS service of one region")
    ] = 50
    transport: Annotated[
        Literal["lean", "boto3"],
        Field(
            description="How DynamoDB and SQS are called: `lean`, or `boto3` at eight times the CPU"
        ),
    ] = "lean"


class Settings(EdgeBounds, ReadBounds, Bounds):
    """The settings of one function. Each is an environment variable `ANTIPHON_<NAME>`.

    Besides its own attributes it has every bound of `eventstore`, `projections` and the edges,
    and can be handed to them as their bounds.

    Attributes:
        function: the module of `handlers` to run.
        region: the function's own region (`AWS_REGION`).
        regions: all regions, separated by commas; every one of them that is not drained must
            apply a command before it is answered.
        mode: how the event table is replicated, which must be the same in all regions: STRONG,
            or EVENTUAL, where each aggregate is appended to in its home region.
        states_in: the regions that have the tables of control and keys, which are strongly
            consistent in either mode, the nearest to this one first; all have them if left out.
        secret: what identifiers, tokens and consistency tokens are keyed with.
        generation: one more with each restore of the log, the same in every region: consistency
            tokens of an earlier one are refused.
        account: the AWS account id, for the URLs of queues.
        extensions: modules that register aggregates and projections, separated by commas.
        authorization: how callers are told apart, the same as at the gateway.
        grants: what each caller may do, as JSON: `{"name": ["read", "send:*", "as:crm"]}`.
        replayer: the unique id of the role that sends dead letters again.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: Literal[
        "commands",
        "command_queue",
        "projector",
        "responder",
        "sweeper",
        "queries",
        "dead_letters",
        "status",
    ]
    region: Annotated[str, Field(validation_alias="AWS_REGION", min_length=4)]
    regions: Annotated[tuple[str, ...], Field(min_length=2, max_length=5)]
    mode: Literal["STRONG", "EVENTUAL"]
    states_in: tuple[str, ...] = ()
    secret: SecretStr
    generation: Annotated[int, Field(ge=1, le=10_000)] = 1
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    events_table: Name
    views_table: Name
    responses_table: Name
    snapshots_table: Name
    letters_table: Name
    control_table: Name
    keys_table: Name
    kms_key: Name
    bus: Name
    lane_queue: Name
    acks_queue: Name
    dead_commands_queue: Name
    # Needed where dead letters are replayed only, and named the same in every deployment.
    commands_queue: Name = "antiphon-commands.fifo"
    answers_queue: Name = "antiphon-answers"
    # Where a command goes on to its home, in EVENTUAL mode.
    commands_function: Name = "antiphon-commands"
    discarded_queue: Name = "antiphon-discarded"
    extensions: tuple[str, ...] = ()
    # Nothing is everyone's unless somebody has said so.
    authorization: Authorization = "IAM"
    grants: Mapping[str, tuple[Grant, ...]] = {}
    replayer: str = ""

    @field_validator("regions", "states_in", "extensions", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("grants", mode="before")
    @classmethod
    def _read_grants(cls, value: Any) -> Any:
        try:
            return orjson.loads(value) if isinstance(value, str) else value
        except orjson.JSONDecodeError as error:
            raise ValueError(f"grants are not JSON: {error}") from error

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < SECRET_MIN_BYTES:
            raise ValueError(f"needs at least {SECRET_MIN_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _own_region_is_listed(self) -> Self:
        if len(set(self.regions)) != len(self.regions):
            raise ValueError("regions names a region twice")
        if self.region not in self.regions:
            raise ValueError(f"regions does not list this region, {self.region}")
        if strangers := sorted(set(self.states_in) - set(self.regions)):
            raise ValueError(f"states_in names {', '.join(strangers)}, which regions does not")
        if self.builds_hold_s <= 2 * self.builds_fresh_s:
            raise ValueError("builds_hold_s must be more than twice builds_fresh_s")
        if self.token_window_s > self.answer_kept_s:
            raise ValueError("token_window_s may not exceed answer_kept_s")
        return self

    @classmethod
    def of(cls, environment: Mapping[str, str], *, region: str) -> Self:
        """Return settings from a given environment instead of the process's own."""
        prefix = "ANTIPHON_"
        given = {
            name.removeprefix(prefix).lower(): value
            for name, value in environment.items()
            if name.startswith(prefix)
        }
        unknown = sorted(given.keys() - cls.model_fields.keys())
        if unknown:
            names = ", ".join(f"{prefix}{name.upper()}" for name in unknown)
            raise ValueError(f"there is no such setting: {names}")
        return cls.model_validate({**given, "AWS_REGION": region})
