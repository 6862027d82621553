"""Send a command until it is decided: the same bytes again, in the next region if need be.

Sending again is always safe, in any region and however late: the log knows a command by its
content, so a repetition gets the first result. That is why a time-out needs no thought here.
"""

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx
import orjson
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from handlers.published import Answer, Problem, Reply

TIMEOUT_S = 10.0
PATIENCE_S = 60.0
MAX_WAIT_S = 20
LOOK_S = 0.25
_RECORDED = frozenset({200, 202, 409})
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_backoff = wait_random_exponential(multiplier=0.1, max=5.0)
_time = TypeAdapter[datetime](AwareDatetime)


class NotRecorded(Exception):
    """A command that is not in the log, and will not be as it stands: `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        fields = "".join(f"; {error.field}: {error.message}" for error in problem.errors)
        super().__init__(f"{problem.code}: {problem.detail}{fields}")
        self.problem = problem


class Undecided(Exception):
    """No region has said what became of a command. Sending it again is safe."""

    def __init__(self, told: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(told)
        self.retry_after_s = retry_after_s


class Producer:
    """Sends commands. Safe to share between threads; close it, or use it in a `with`.

    Args:
        regions: addresses of the regions' HTTP APIs, the nearest first. The others are used
            while those before them give no result.
        name: who sends; part of what a command is known by, so keep it.
        patience_s: how long to send one command, in s, before giving up with `Undecided`.
        auth: who sends, to the regions: `BearerToken` or `IamSignature`; nobody unless given.
        transport: what carries the requests; httpx's own unless given.

    """

    def __init__(
        self,
        regions: Sequence[str],
        *,
        name: str,
        patience_s: float = PATIENCE_S,
        auth: httpx.Auth | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not regions:
            raise ValueError("give the address of at least one region")
        self._regions = [region.rstrip("/") for region in regions]
        self._name = name
        self._patience_s = patience_s
        self._http = httpx.Client(auth=auth, transport=transport, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        command: BaseModel,
        *,
        command_id: str,
        idempotency_key: str | None = None,
        expected_sequence: int | None = None,
        depends_on: str | None = None,
        occurred_at: datetime | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
        wait_s: int = 0,
    ) -> Reply:
        """Send a command and return what the log has of it; a refusal by the domain is a reply.

        Args:
            command: such as `domain.subscriber.SuspendSubscriber`; its class names its type.
            command_id: your own; keep it when you send the same again after a crash of yours.
            idempotency_key: names the command within its aggregate, whatever its content.
            expected_sequence: the last change that you have seen; refused if there is a newer.
            depends_on: consistency token that must be reached.
            occurred_at: when it happened at your side, with a time zone.
            correlation_id: carried through to the answer.
            traceparent: W3C trace context, carried through to the answer.
            wait_s: how long the region holds its reply for the answer, 0 to 20 s.

        Raises:
            NotRecorded: it is invalid, or `expected_sequence` is not met.
            Undecided: no region had a result within `patience_s`.

        """
        if not 0 <= wait_s <= MAX_WAIT_S:
            raise ValueError(f"wait_s is {wait_s}; it can be 0 to {MAX_WAIT_S}")
        body: dict[str, Any] = {
            "type": type(command).__name__,
            "command_id": command_id,
            "producer": self._name,
            "data": command.model_dump(mode="json"),
            "expected_sequence": expected_sequence,
            "depends_on": depends_on,
            "occurred_at": _time.dump_python(occurred_at, mode="json") if occurred_at else None,
        }
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
            "X-Correlation-Id": correlation_id,
            "traceparent": traceparent,
            "Prefer": f"wait={wait_s}" if wait_s else None,
        }
        request = {
            # The same bytes each time: they are what the log knows the command by.
            "content": orjson.dumps({name: v for name, v in body.items() if v is not None}),
            "headers": {name: value for name, value in headers.items() if value is not None},
            "timeout": TIMEOUT_S + wait_s,
        }
        return self._until_decided(request, conflict_passes=expected_sequence is None)

    def wait(self, reply: Reply, *, wait_s: float) -> Answer | None:
        """Return the answer to a command, or None if none has come within `wait_s` seconds.

        Any region tells it; only the one that the command came in at makes it.
        """
        if reply.answer is not None:
            return reply.answer
        looking = Retrying(
            retry=retry_if_exception_type(Undecided),
            stop=stop_before_delay(wait_s),
            wait=lambda _state: LOOK_S,
            reraise=True,
        )
        try:
            for attempt in looking:
                with attempt:
                    return self._answer(reply.commit, self._region(attempt.retry_state))
        except Undecided:
            return None
        raise AssertionError("a look ends with an answer or without")

    def _until_decided(self, request: dict[str, Any], *, conflict_passes: bool) -> Reply:
        sending = Retrying(
            retry=retry_if_exception_type(Undecided),
            stop=stop_before_delay(self._patience_s),
            wait=_pause_s,
            reraise=True,
        )
        for attempt in sending:
            with attempt:
                region = self._region(attempt.retry_state)
                return self._post(region, request, conflict_passes=conflict_passes)
        raise AssertionError("sending ends with a reply or an error")

    def _region(self, state: RetryCallState) -> str:
        return self._regions[(state.attempt_number - 1) % len(self._regions)]

    def _post(self, region: str, request: dict[str, Any], *, conflict_passes: bool) -> Reply:
        try:
            response = self._http.post(f"{region}/commands", **request)
        except httpx.TransportError as error:
            raise Undecided(f"{region} gave no reply: {error!r}") from error
        if response.status_code in _RECORDED:
            try:
                return Reply.model_validate_json(response.content)
            except ValidationError:
                pass  # A problem has the status 409, too.
        problem = _problem(region, response)
        status = response.status_code
        busy = status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR
        passes = problem.code == "dependency_not_reached" or (
            problem.code == "conflict" and conflict_passes
        )
        if busy or passes:
            after_s = response.headers.get("Retry-After", "0")
            raise Undecided(
                f"{region}: {problem.code}: {problem.detail}",
                retry_after_s=float(after_s) if after_s.isdigit() else 0.0,
            )
        raise NotRecorded(problem)

    def _answer(self, commit: str, region: str) -> Answer:
        try:
            response = self._http.get(f"{region}/commands/{commit}")
        except httpx.TransportError as error:
            raise Undecided(f"{region} gave no reply: {error!r}") from error
        told = orjson.loads(response.content).get("answer") if response.is_success else None
        if told is None:
            raise Undecided(f"{commit} is not answered yet")
        return Answer.model_validate(told)


def _pause_s(state: RetryCallState) -> float:
    """Return what a region asks for, and at least a random pause that grows."""
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, Undecided) else 0.0
    return max(asked_s, _backoff(state))


def _problem(region: str, response: httpx.Response) -> Problem:
    """Return the problem that a region told, or what stands for one that it did not tell."""
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return Problem(
            type="about:blank",
            title="No reply of Antiphon's",
            status=response.status_code,
            code=f"http_{response.status_code}",
            detail=f"what answers at {region} may not be Antiphon: {response.text[:200]!r}",
        )
