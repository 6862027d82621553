"""What Lambda's stream mapping does with the records of one shard; the decisions, not the calls.

Pure: no input or output, no clock. Guarantees what the mapping guarantees: every
record is handed to the function, in order and at least once, until it succeeds
or is discarded by a rule of the mapping; nothing behind a failed record is
handed over before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
# Lambda's names for why a batch was given up.
RETRIES_EXHAUSTED = "RetryAttemptsExhausted"
TOO_OLD = "MaxRecordAgeExceeded"


@dataclass(frozen=True, kw_only=True)
class StreamMapping:
    """An event source mapping, as far as a stream's shard is concerned."""

    uuid: str
    function: str
    function_arn: str
    stream_arn: str
    batch_size: int
    bisect: bool
    reports_failures: bool
    # None: for as long as the stream keeps a record.
    max_retries: int | None
    max_age_s: int | None
    destination: str | None

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> StreamMapping:
        """Read what GetEventSourceMapping says."""
        on_failure = (configuration.get("DestinationConfig") or {}).get("OnFailure") or {}
        arn = str(configuration["FunctionArn"])
        return cls(
            uuid=str(configuration["UUID"]),
            function=arn.split(":")[6],
            function_arn=arn,
            stream_arn=str(configuration["EventSourceArn"]),
            batch_size=int(configuration.get("BatchSize") or 100),
            bisect=bool(configuration.get("BisectBatchOnFunctionError")),
            reports_failures="ReportBatchItemFailures"
            in (configuration.get("FunctionResponseTypes") or ()),
            max_retries=_limit(configuration.get("MaximumRetryAttempts")),
            max_age_s=_limit(configuration.get("MaximumRecordAgeInSeconds")),
            destination=on_failure.get("Destination"),
        )


def _limit(value: Any) -> int | None:
    """A limit of the mapping, where -1 and nothing mean none."""
    return None if value is None or int(value) < 0 else int(value)


@dataclass(frozen=True, kw_only=True)
class Discarded:
    """Records that the mapping gives up, and why."""

    records: list[Record]
    condition: str
    attempts: int


@dataclass(kw_only=True)
class _Batch:
    records: list[Record]
    attempts: int = 0


class Shard:
    """The records of a shard that have been read and are not done with."""

    def __init__(self, mapping: StreamMapping) -> None:
        self._mapping = mapping
        self._batches: deque[_Batch] = deque()

    @property
    def has_room(self) -> bool:
        """Whether to read on: a full batch is enough to have at hand."""
        return sum(len(batch.records) for batch in self._batches) < self._mapping.batch_size

    def add(self, records: Sequence[Record]) -> None:
        """Take the next records of the shard, in its order."""
        waiting = list(records)
        if self._batches and self._batches[-1].attempts == 0 and len(self._batches) == 1:
            # Nothing has been tried yet: fill the batch up.
            waiting = self._batches.pop().records + waiting
        size = self._mapping.batch_size
        for start in range(0, len(waiting), size):
            self._batches.append(_Batch(records=waiting[start : start + size]))

    def batch(self) -> list[Record]:
        """The records to hand to the function now; empty when there are none."""
        return self._batches[0].records if self._batches else []

    def succeeded(self) -> None:
        """The function took the whole batch."""
        self._batches.popleft()

    def answered(self, answer: Any) -> Discarded | None:
        """The function returned; what it reports as failed is handed to it again.

        As in Lambda, the lowest failed record is the checkpoint: all from it on
        comes again. A report that names nothing known fails the whole batch.
        """
        failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
        if not self._mapping.reports_failures or not failures:
            self.succeeded()
            return None
        batch = self._batches[0]
        positions = {
            record["dynamodb"]["SequenceNumber"]: position
            for position, record in enumerate(batch.records)
        }
        failed = [positions.get(failure.get("itemIdentifier")) for failure in failures]
        known = [position for position in failed if position is not None]
        if len(known) < len(failed):
            return self.failed()
        checkpoint = min(known)
        del batch.records[:checkpoint]
        if checkpoint:
            # What now comes first has not been the reason of the earlier attempts.
            batch.attempts = 0
        return self._tried()

    def failed(self) -> Discarded | None:
        """The function raised: hand the batch over again, in halves if so configured."""
        batch = self._batches[0]
        if self._mapping.bisect and len(batch.records) > 1:
            # Splitting does not count as an attempt.
            self._batches.popleft()
            middle = len(batch.records) // 2
            self._batches.appendleft(
                _Batch(records=batch.records[middle:], attempts=batch.attempts)
            )
            self._batches.appendleft(
                _Batch(records=batch.records[:middle], attempts=batch.attempts)
            )
            return None
        return self._tried()

    def too_old(self, *, now_s: float) -> Discarded | None:
        """Give up those first records of the batch that the mapping holds to be too old."""
        if self._mapping.max_age_s is None or not self._batches:
            return None
        batch = self._batches[0]
        oldest_s = now_s - self._mapping.max_age_s
        old = 0
        while old < len(batch.records) and _created_s(batch.records[old]) < oldest_s:
            old += 1
        if old == 0:
            return None
        discarded = Discarded(
            records=batch.records[:old], condition=TOO_OLD, attempts=batch.attempts
        )
        del batch.records[:old]
        if not batch.records:
            self._batches.popleft()
        return discarded

    def _tried(self) -> Discarded | None:
        batch = self._batches[0]
        batch.attempts += 1
        limit = self._mapping.max_retries
        # The first attempt is not a retry.
        if limit is None or batch.attempts <= limit:
            return None
        self._batches.popleft()
        return Discarded(
            records=batch.records, condition=RETRIES_EXHAUSTED, attempts=batch.attempts
        )


def _created_s(record: Record) -> float:
    return float(record["dynamodb"]["ApproximateCreationDateTime"])
