"""`POST /commands`: take Event A, append its decision, and hold the reply for Event B if asked.

A reply of 202 says that the command is in the log, in more than one region; it never says
that it is answered. Everything that is not recorded is told as a problem with a code.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from aws_lambda_powertools import Logger

from eventstore.consistency import token_of
from eventstore.errors import CorruptLog, EventStoreError, NotHome, StoreUnavailable
from eventstore.requests import CommandRequest, Decision
from handlers.access import Refused
from handlers.dependencies import Dependencies
from handlers.envelope import BadCommand, CommandReader
from handlers.forwarding import told_of, told_of_error
from handlers.measuring import of_decision, of_failure
from handlers.problems import (
    BAD_COMMANDS,
    CONTENT_TYPE,
    Problem,
    problem_of,
    problem_of_caller,
)
from handlers.waiting import await_answer
from projections.answers import status_of

logger = Logger(service="commands")

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("event_store", "queues", "control")

# What is left of a function's time when waiting ends: enough to look once more and to reply.
MARGIN_S = 4.0
_STATUS = {"accepted": 202, "answered": 200, "unchanged": 200, "rejected": 409, "superseded": 409}


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of the HTTP route `POST /commands` (payload format 2.0)."""
    reader = CommandReader(deps.registry, max_bytes=deps.settings.body_bytes)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        if "forwarded" in event:
            # Of what comes in by HTTP no caller can give the event such a part.
            return _forwarded(deps, reader, event["forwarded"])
        received_at_ms = deps.edge.now_ms()
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        try:
            caller = deps.access.by_http(event)
            caller.check_sends_any()
            body = _body(event)
            request = reader.read(
                body,
                idempotency_key=headers.get("idempotency-key"),
                correlation_id=headers.get("x-correlation-id"),
                traceparent=headers.get("traceparent"),
                xray=headers.get("x-amzn-trace-id"),
                first_received_ms=received_at_ms,
            )
            caller.check_sends(request)
            # Not by old states: what a leaving region takes must be known to have an end.
            deps.control.current().check_serves(deps.settings.region)
            decision = decide(deps, request, body)
        except Refused as refused:
            deps.meter.tell(of_failure(refused))
            return _told(problem_of_caller(refused))
        except BadCommand as bad:
            deps.meter.tell(of_failure(bad))
            return _told(Problem(BAD_COMMANDS[bad.code], bad.code, bad.detail, bad.errors))
        except EventStoreError as error:
            deps.meter.tell(of_failure(error))
            problem = problem_of(error)
            if problem is None:
                logger.exception("the log of an aggregate is corrupt")
                raise
            if isinstance(error, StoreUnavailable):
                logger.warning("command not taken", reason=str(error))
            return _told(problem)
        wait_s = min(_wait_s(headers, deps.settings.wait_s), time_left_s(context) - MARGIN_S)
        return _reply(deps, request, decision, wait_s=wait_s)

    return handle


def decide(deps: Dependencies, request: CommandRequest, body: bytes) -> Decision:
    """Decide a command, here or in its home; raises: as `EventStore.decide`.

    Whoever decides it measures it, and sends a fresh commit on its fast lane. A duplicate's first
    commit went its way before.
    """
    try:
        decision = deps.event_store.decide(request)
    except NotHome as elsewhere:
        if request.origin is not None:
            # It was sent on to here: who did so, or this region, does not know the homes of now.
            raise
        return deps.forwarding.decide(elsewhere.home, request, body)
    committed_at_ms = deps.edge.now_ms()
    deps.meter.tell(of_decision(decision, committed_at_ms=committed_at_ms))
    if not decision.duplicate:
        deps.queues.hasten(
            _on_the_lane(deps),
            decision.commit,
            committed_at_ms=committed_at_ms,
            within_s=deps.settings.lane_ms / 1000,
        )
    return decision


def _on_the_lane(deps: Dependencies) -> list[str]:
    """Return the regions that a fresh commit is sent to, ahead of their streams."""
    if deps.has_homes:
        # A commit is applied once it is in a region's own replica: of all, it is only in this.
        return [deps.settings.region]
    # Not to a drained one: nobody waits for it, and if it is lost every reply would.
    required = deps.control.known().required(deps.settings.region)
    return [region for region in deps.settings.regions if region in required]


def _forwarded(
    deps: Dependencies, reader: CommandReader, sent: Mapping[str, Any]
) -> dict[str, Any]:
    """Decide a command that another region has sent on; return what that region is told."""
    try:
        body = base64.b64decode(sent["body"], validate=True)
        request = reader.read(
            body,
            idempotency_key=sent["idempotency_key"],
            correlation_id=sent["correlation_id"],
            traceparent=sent["traceparent"],
            first_received_ms=sent["first_received_ms"],
        )
        if not deps.control.current().takes_queued(deps.settings.region):
            raise StoreUnavailable(f"{deps.settings.region} takes no commands now")
        decision = decide(deps, replace(request, origin=str(sent["origin"])), body)
    except CorruptLog:
        logger.exception("the log of an aggregate is corrupt")
        raise
    except EventStoreError as error:
        logger.warning("command not taken", reason=str(error), origin=sent["origin"])
        return told_of_error(error)
    return told_of(decision)


def _reply(
    deps: Dependencies, request: CommandRequest, decision: Decision, *, wait_s: float
) -> dict[str, Any]:
    commit = decision.commit
    body_b = await_answer(deps, commit, wait_s=wait_s) if wait_s > 0 else None
    answer = orjson.loads(body_b) if body_b else None
    body: dict[str, Any] = {
        "status": commit.outcome,
        "aggregate_id": commit.aggregate_id,
        "sequence": commit.sequence,
        "commit": commit.commit_id,
        "consistency_token": token_of(deps.keys, commit),
        "region": deps.settings.region,
        "duplicate": decision.duplicate,
        "answer": answer,
    }
    if commit.refusal is not None:
        body |= commit.refusal
    status = _STATUS[commit.outcome]
    if answer:
        body["status"] = status_of(answer)
        status = _STATUS[body["status"]]
    logger.info(
        "command decided",
        outcome=commit.outcome,
        commit=commit.commit_id,
        correlation_id=request.correlation_id,
        duplicate=decision.duplicate,
        attempts=decision.attempts,
    )
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": "application/json",
            "Antiphon-Attempts": str(decision.attempts),
            "X-Correlation-Id": commit.correlation_id,
        },
        "body": orjson.dumps(body).decode(),
    }


def time_left_s(context: Any) -> float:
    """Return the seconds until the function is ended, as its context tells."""
    left_ms = getattr(context, "get_remaining_time_in_millis", None)
    return left_ms() / 1000 if left_ms is not None else float("inf")


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCommand("malformed", "the body is not base64") from error


def _wait_s(headers: Mapping[str, str], most_s: int) -> float:
    """Return the seconds of `Prefer: wait=N`; a preference that is none is ignored."""
    for preference in headers.get("prefer", "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.strip().lower() == "wait" and value.strip().isascii() and value.strip().isdigit():
            return float(min(int(value.strip()[:4]), most_s))
    return 0.0


def _told(problem: Problem) -> dict[str, Any]:
    return {
        "statusCode": problem.status,
        "headers": {"Content-Type": CONTENT_TYPE, **problem.headers()},
        "body": problem.body(),
    }
