"""The schedule's call, once a minute: one sweep over overdue answers."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from eventstore.errors import StoreUnavailable, described
from handlers.dependencies import Dependencies
from projections.failures import SWEEPER

logger = Logger(service="sweeper")


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of the schedule; its result says what the sweep did."""

    def handle(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        try:
            swept = deps.sweeper.sweep()
        except StoreUnavailable as unknown:
            logger.warning("nothing swept", reason=described(unknown))
            return {"looked_at": 0, "answered": 0, "lagging": {}}
        told = {
            "looked_at": swept.looked_at,
            "answered": swept.answered,
            "lagging": dict(swept.lagging),
        }
        for commit_id, error in swept.unanswerable.items():
            logger.error("cannot be answered", commit=commit_id, reason=described(error))
        deps.file_unanswerable(swept.unanswerable, source=SWEEPER)
        if swept.looked_at:
            logger.warning("overdue answers", extra=told)
        return told

    return handle
