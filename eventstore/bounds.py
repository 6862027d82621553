"""The bounds of the write side, each with its unit and default. `handlers.settings` sets them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Bounds(BaseModel):
    """How long, how often and how much. All are checked when they are set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    append_tries: Annotated[
        int, Field(ge=1, le=1000, description="Tries of an append before `conflict`")
    ] = 32
    append_s: Annotated[
        float, Field(gt=0, le=25, description="Seconds that all tries of an append may take")
    ] = 8.0
    append_pause_s: Annotated[
        float, Field(ge=0, le=1, description="Seconds before an append is tried again, times tries")
    ] = 0.05
    token_window_s: Annotated[
        int,
        Field(ge=3600, le=30 * 86_400, description="Seconds that a duplicate is surely recognised"),
    ] = 48 * 3600
    clock_skew_s: Annotated[
        int, Field(ge=1, le=3600, description="Seconds by which clocks may disagree")
    ] = 300
    snapshot_every: Annotated[
        int, Field(ge=10, le=10_000, description="Events between two snapshots of an aggregate")
    ] = 200
    state_bytes: Annotated[
        int, Field(ge=1024, le=256 * 1024, description="Bytes that an aggregate's state may have")
    ] = 256 * 1024
    keys_fresh_s: Annotated[
        float,
        Field(
            gt=0, le=600, description="Seconds for which a subject's key that was read may be used"
        ),
    ] = 10.0
    warm_aggregates: Annotated[
        int, Field(ge=1, le=1_000_000, description="Aggregates kept in memory")
    ] = 2_000
    warm_tokens: Annotated[
        int, Field(ge=1_000, le=10_000_000, description="Tokens kept in memory, of all aggregates")
    ] = 400_000
