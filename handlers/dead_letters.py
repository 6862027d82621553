"""The function of the dead letters: takes them in from every queue, and carries out orders.

A message is deleted from its dead-letter queue only once its letter is stored. Every few minutes
it ends the letters of which the cause is gone. Orders come by direct invocation, from whoever may
invoke it: `{"order": "replay", "letter": id}`, `look`, and `drop` with `by` and `reason`.
"""

from collections.abc import Callable
from typing import Any, Literal

from aws_lambda_powertools import Logger
from pydantic import BaseModel, ConfigDict, ValidationError

from eventstore.errors import described
from handlers.commands import MARGIN_S, time_left_s
from handlers.dependencies import Dependencies
from handlers.intake import Intake, Message
from handlers.metrics import DEAD_LETTERS_WAITING, Measured
from handlers.replays import Replays
from handlers.settling import Settling

logger = Logger(service="dead_letters")

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("letters",)

_SETTLE_S = 40.0


class Order(BaseModel):
    """What an operator asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: Literal["replay", "look", "drop"]
    letter: str
    by: str = ""
    reason: str = ""


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of the queues' batches, of the schedule, and of orders."""
    intake, replays, settling = Intake(deps), Replays(deps), Settling(deps)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        if "Records" in event:
            failed = [m["messageId"] for m in event["Records"] if not _take_in(deps, intake, m)]
            return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
        if "order" in event:
            return _carry_out(replays, event)
        left_s = min(time_left_s(context) - MARGIN_S, _SETTLE_S)
        waiting = list(deps.letters.waiting())
        until_ms = deps.edge.now_ms() + int(left_s * 1000)
        ended = settling.end_all_settled(waiting, until_ms=until_ms)
        # Zero, too: its lack says that nobody looks.
        deps.meter.tell([Measured(DEAD_LETTERS_WAITING, len(waiting) - ended)])
        return {"waiting": len(waiting), "ended": ended}

    return handle


def _take_in(deps: Dependencies, intake: Intake, message: Message) -> bool:
    """Keep what a message tells of; False if it must stay in its queue for now."""
    try:
        for filing in intake.read(message):
            deps.letters.file(filing, at_ms=deps.edge.now_ms())
            logger.error("dead letter", source=filing.source, letter=filing.letter_id)
    except Exception as error:  # noqa: BLE001 - whatever it is, the message stays in its queue
        logger.error(
            "dead letter not taken in", message_id=message["messageId"], reason=described(error)
        )
        return False
    return True


def _carry_out(replays: Replays, event: dict[str, Any]) -> dict[str, Any]:
    try:
        order = Order.model_validate(event)
    except ValidationError as error:
        return {"outcome": "refused", "detail": f"not an order: {error.error_count()} errors"}
    if order.order == "drop":
        told = replays.drop(order.letter, by=order.by, reason=order.reason)
    elif order.order == "look":
        told = replays.look(order.letter)
    else:
        told = replays.replay(order.letter)
    logger.warning("order", order=order.order, letter=order.letter, outcome=told.outcome)
    return told.model_dump()
