"""What a function is told by its environment: the only place that reads it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from eventstore.identity import SECRET_MIN_BYTES

Name = Annotated[str, StringConstraints(min_length=3, max_length=255)]
FUNCTIONS = ("commands", "command_queue", "projector", "responder", "sweeper", "queries")


class Settings(BaseSettings):
    """The settings of one function. Each is an environment variable `ANTIPHON_<NAME>`.

    Attributes:
        function: the module of `handlers` to run.
        region: the function's own region (`AWS_REGION`).
        regions: all regions, separated by commas; every one of them must apply a command
            before it is answered.
        mode: STRONG, the only mode of this version.
        secret: what identifiers, tokens and consistency tokens are keyed with.
        account: the AWS account id, for the URLs of queues.
        append_tries, append_s: how often and how long (seconds) an append is tried.
        lane_ms: how long (ms) a reply waits for the fast lane to take a commit.

    """

    model_config = SettingsConfigDict(env_prefix="ANTIPHON_", frozen=True, extra="ignore")

    function: Literal["commands", "command_queue", "projector", "responder", "sweeper", "queries"]
    region: Annotated[str, Field(validation_alias="AWS_REGION", min_length=4)]
    regions: Annotated[tuple[str, ...], NoDecode, Field(min_length=2, max_length=5)]
    mode: Literal["STRONG"]
    secret: SecretStr
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    events_table: Name
    views_table: Name
    responses_table: Name
    bus: Name
    lane_queue: Name
    acks_queue: Name
    dead_commands_queue: Name
    append_tries: Annotated[int, Field(ge=1, le=100)] = 32
    append_s: Annotated[float, Field(gt=0, le=25)] = 8.0
    lane_ms: Annotated[int, Field(ge=0, le=2000)] = 300

    @field_validator("regions", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

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
        return cls(**given, AWS_REGION=region)  # type: ignore[arg-type]
