"""What the recorders are told by an application's environment, checked at its start.

The library's own environment is read, which an `Application` makes of the process's and of
its `env`; each name may be prefixed by the application's, as everywhere in that library.
"""

from typing import Annotated, Literal, Self

from eventsourcing.persistence import InfrastructureFactoryError
from eventsourcing.utils import Environment
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)

from eventstore.identity import SECRET_MIN_BYTES

TableName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")]
VARIABLES = {
    "region": "AWS_REGION",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "secret": "ANTIPHON_SECRET",
    "events_table": "ANTIPHON_RECORDER_EVENTS_TABLE",
    "regional_table": "ANTIPHON_RECORDER_REGIONAL_TABLE",
    "reads": "ANTIPHON_RECORDER_READS",
    "write_tries": "ANTIPHON_RECORDER_WRITE_TRIES",
    "write_s": "ANTIPHON_RECORDER_WRITE_S",
    "write_pause_s": "ANTIPHON_RECORDER_WRITE_PAUSE_S",
    "known_tails": "ANTIPHON_RECORDER_KNOWN_TAILS",
    "create_tables": "CREATE_TABLE",
}


class RecorderSettings(BaseModel):
    """The settings of one application; `VARIABLES` names the variable of each.

    Attributes:
        region: the AWS region to work in.
        endpoint_url: where DynamoDB is, if not where AWS has it.
        secret: what originator ids are keyed with, the same in every region, for ever.
        events_table: the global table of the events, of its own.
        regional_table: the table of this region for snapshots and tracking.
        reads: whether events are read `strong`, as of the log's head, or `eventual`.
        write_tries, write_s, write_pause_s: how often, and how long (seconds), a write of
            unknown outcome is repeated, and the pause before it is, times the tries so far.
        known_tails: of how many originators the end is remembered.
        create_tables: whether to make tables that are not there, of this region alone.

    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    region: Annotated[str, Field(min_length=4)]
    endpoint_url: str | None = None
    secret: SecretStr
    events_table: TableName
    regional_table: TableName | None = None
    reads: Literal["strong", "eventual"] = "strong"
    write_tries: Annotated[int, Field(ge=1, le=100)] = 8
    write_s: Annotated[float, Field(gt=0, le=60)] = 8.0
    write_pause_s: Annotated[float, Field(ge=0, le=1)] = 0.05
    known_tails: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    create_tables: bool = False

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < SECRET_MIN_BYTES:
            raise ValueError(f"needs at least {SECRET_MIN_BYTES} bytes")
        return value

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Return the settings that an environment gives; empty values count as absent.

        Raises:
            InfrastructureFactoryError: one is missing or wrong; the message names each.

        """
        told = {name: env.get(variable) for name, variable in VARIABLES.items()}
        try:
            return cls.model_validate({name: value for name, value in told.items() if value})
        except ValidationError as error:
            wrong = "; ".join(
                f"{VARIABLES[str(fault['loc'][0])]}: {fault['msg']}" for fault in error.errors()
            )
            raise InfrastructureFactoryError(f"the recorders cannot start: {wrong}") from error
