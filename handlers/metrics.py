"""What the functions measure, each metric once, and the lines that CloudWatch makes metrics of.

A line in the embedded metric format goes to the function's log: no AWS call, some microseconds.
Measuring never fails what is measured. No dimension and no value is personal data.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

logger = Logger(service="metrics")

NAMESPACE = "Antiphon"
# What CloudWatch takes of one metric in one line.
_VALUES_A_LINE = 100


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; with dimensions there is also one over all of them, for alarms."""

    name: str
    unit: Literal["Count", "Milliseconds"]
    dimensions: tuple[str, ...] = ()


COMMANDS_DECIDED = Metric("CommandsDecided", "Count", ("outcome",))
COMMANDS_REFUSED = Metric("CommandsRefused", "Count", ("code",))
COMMANDS_NOT_TAKEN = Metric("CommandsNotTaken", "Count")
DUPLICATE_COMMANDS = Metric("DuplicateCommands", "Count")
CONFLICTS = Metric("Conflicts", "Count")
COMMIT_LATENCY = Metric("CommitLatency", "Milliseconds")
APPLY_LAG = Metric("ApplyLag", "Milliseconds", ("origin", "projection"))
ACKNOWLEDGE_LATENCY = Metric("AcknowledgeLatency", "Milliseconds", ("region",))
ANSWER_LATENCY = Metric("AnswerLatency", "Milliseconds")
GAPS_FILLED = Metric("GapsFilled", "Count")
APPLIES_TO_REPEAT = Metric("AppliesToRepeat", "Count")
LOG_CHANGES = Metric("LogChanges", "Count")
PENDING_ANSWERS = Metric("PendingAnswers", "Count")
OLDEST_OVERDUE_ANSWER = Metric("OldestOverdueAnswer", "Milliseconds")
LAGGING_COMMITS = Metric("LaggingCommits", "Count", ("region",))
DEAD_LETTERS = Metric("DeadLetters", "Count", ("source",))
DEAD_LETTERS_WAITING = Metric("DeadLettersWaiting", "Count")
REBUILT_COMMITS = Metric("RebuiltCommits", "Count", ("projection",))
CLOCK_AHEAD = Metric("ClockAhead", "Milliseconds")
METRICS = tuple(one for one in globals().values() if isinstance(one, Metric))


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a metric, with a value for each of its dimensions."""

    metric: Metric
    value: float
    dimensions: Mapping[str, str] = field(default_factory=dict)


def elapsed(metric: Metric, ms: float, **dimensions: str) -> Iterator[Measured]:
    """Yield a time that passed between two clocks; below zero one of them is wrong, and told so."""
    if ms < 0:
        yield Measured(CLOCK_AHEAD, -ms)
    yield Measured(metric, max(ms, 0.0), dimensions)


def counted(metric: Metric, count: int, **dimensions: str) -> Iterator[Measured]:
    """Yield a count, unless there is nothing to count."""
    if count:
        yield Measured(metric, count, dimensions)


class Meter:
    """Writes what was measured to the log. Safe to share between threads.

    Args:
        function: whose log it is; stands in every line, as no dimension.
        write: takes one line.
        now_ms: the wall clock, in ms since 1970.

    """

    def __init__(
        self, *, function: str, write: Callable[[str], None], now_ms: Callable[[], int]
    ) -> None:
        self._function = function
        self._write = write
        self._now_ms = now_ms
        # Keeps nothing: all that it makes a line of is given to it.
        self._provider = AmazonCloudWatchEMFProvider(namespace=NAMESPACE)

    def tell(self, measured: Iterable[Measured]) -> None:
        """Write values, those of the same dimensions together; never fails."""
        try:
            for line in self._lines(measured):
                self._write(line)
        except Exception as error:  # noqa: BLE001 - what was done is done, measured or not
            logger.warning("not measured", reason=type(error).__name__)

    def _lines(self, measured: Iterable[Measured]) -> Iterator[str]:
        together: dict[tuple[tuple[str, str], ...], dict[Metric, list[float]]] = {}
        for one in measured:
            assert one.dimensions.keys() == set(one.metric.dimensions)
            values = together.setdefault(tuple(one.dimensions.items()), {})
            values.setdefault(one.metric, []).append(float(one.value))
        for dimensions, by_metric in together.items():
            longest = max(len(values) for values in by_metric.values())
            for start in range(0, longest, _VALUES_A_LINE):
                end = start + _VALUES_A_LINE
                part = {m: values[start:end] for m, values in by_metric.items() if values[start:]}
                yield self._line(dict(dimensions), part)

    def _line(self, dimensions: dict[str, str], by_metric: Mapping[Metric, list[float]]) -> str:
        told: Any = self._provider.serialize_metric_set(
            metrics={
                metric.name: {"Unit": metric.unit, "StorageResolution": 60, "Value": values}
                for metric, values in by_metric.items()
            },
            dimensions=dimensions,
            metadata={"function": self._function},
        )
        told["_aws"]["Timestamp"] = self._now_ms()
        if dimensions:
            # Once more over all dimensions: an alarm looks at one metric, not at each of many.
            told["_aws"]["CloudWatchMetrics"][0]["Dimensions"].append([])
        return orjson.dumps(told).decode()
