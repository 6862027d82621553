"""The bounds of the read side, each with its unit and default. `handlers.settings` sets them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ReadBounds(BaseModel):
    """How long, how often and how much. All are checked when they are set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def may_be_forgotten(self, recorded_at_ms: int, *, now_ms: int) -> bool:
        """Say whether the answer to a commit of this time may have expired.

        Whatever would open its response item must not: it would be answered again, from a
        later state. An answer that is still owed is pending, and does not expire.
        """
        return recorded_at_ms < now_ms - self.answer_kept_s * 1000

    view_write_tries: Annotated[
        int, Field(ge=1, le=100, description="Tries of a view's write while others write it too")
    ] = 8
    view_read_tries: Annotated[
        int, Field(ge=1, le=100, description="Tries of a batch of views while reads are throttled")
    ] = 5
    commits_a_write: Annotated[
        int, Field(ge=1, le=99, description="Commits that one write of a view applies")
    ] = 50
    bytes_a_write: Annotated[
        int, Field(ge=150_000, le=3_500_000, description="Bytes of events that one write applies")
    ] = 2_000_000
    answer_due_ms: Annotated[
        int, Field(ge=500, le=600_000, description="Milliseconds until an answer is overdue")
    ] = 5_000
    publish_claim_ms: Annotated[
        int,
        Field(
            ge=100,
            le=60_000,
            description="Milliseconds that whoever stored an answer has, alone, to publish it",
        ),
    ] = 3_000
    sweep_again_ms: Annotated[
        int,
        Field(
            ge=500, le=600_000, description="Milliseconds until an overdue answer is swept again"
        ),
    ] = 15_000
    sweep_answers: Annotated[
        int, Field(ge=8, le=10_000, description="Overdue answers that one sweep looks at")
    ] = 400
    answer_kept_s: Annotated[
        int,
        Field(
            ge=2 * 86_400,
            le=366 * 86_400,
            # Streams and queues redeliver for a day: an answer must not be forgotten sooner,
            # or a straggler would have it made again.
            description="Seconds that a published answer is kept, two days at least",
        ),
    ] = 7 * 86_400
    sweep_ms: Annotated[
        int, Field(ge=1_000, le=840_000, description="Milliseconds that one sweep may take")
    ] = 40_000
    read_poll_ms: Annotated[
        int,
        Field(ge=5, le=1_000, description="Milliseconds between two looks for a token's commit"),
    ] = 50
    control_fresh_s: Annotated[
        float,
        Field(
            ge=1,
            le=300,
            # Draining and returning hold every state longer than this, so it is also what
            # an operator waits for.
            description="Seconds for which a function may go by the regions' states it has read",
        ),
    ] = 10.0
    homes_fresh_s: Annotated[
        float,
        Field(
            ge=0.5,
            le=60,
            # A move of an aggregate to another region waits longer than this.
            description="Seconds for which a region may append by the homes it has read (EVENTUAL)",
        ),
    ] = 3.0
    builds_fresh_s: Annotated[
        float,
        Field(
            ge=0.5,
            le=60,
            description="Seconds for which a function may go by the live builds it has read",
        ),
    ] = 2.0
    builds_hold_s: Annotated[
        float,
        Field(
            ge=1,
            le=600,
            # What was acknowledged or read by the phase before must be over by then: its
            # freshness, and the time-outs of the calls that went by it.
            description="Seconds that each phase of a rebuild is held, longer than what is fresh",
        ),
    ] = 15.0
    letter_kept_s: Annotated[
        int,
        Field(
            ge=86_400,
            le=366 * 86_400,
            description="Seconds that a dead letter is still listed once it was dealt with",
        ),
    ] = 30 * 86_400


READ_BOUNDS = ReadBounds()
