"""The stream of a replica and what Lambda's mapping does with it, by infra.local's rules.

Records of one item come in order; records of different items may come in another order than
they were written, within a bound, and some come twice. A batch that fails comes again from its
lowest failed record on; what is too old moves to the on-failure destination, whole.
"""

import base64
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.shard import Discarded, Record, Shard, StreamMapping
from tests.dynamodb.in_process import Change
from tests.simulation.virtual_time import VirtualTime

_WINDOW = 6
# The pause doubles while a batch fails: what is refused for an hour costs few looks.
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 250.0, 60_000.0
Invoke = Callable[[dict[str, Any]], Any]


@dataclass(slots=True, kw_only=True)
class StreamWeather:
    """How often (0 to 1) records are repeated or reordered, and how late they are read."""

    repeats: float
    reorders: float
    delay_ms: float


class FunctionFailed(Exception):
    """The function raised, crashed or took too long."""


class Stream:
    """One shard of one replica's stream, with the task that hands it to the projector."""

    def __init__(
        self,
        time: VirtualTime,
        mapping: StreamMapping,
        *,
        chance: random.Random,
        weather: StreamWeather,
        invoke: Invoke,
        wall_ms: Callable[[], int],
        given_up: Callable[[Discarded], None],
        met: Callable[[str], None],
    ) -> None:
        self._time = time
        self._shard = Shard(mapping)
        self._waiting: deque[Record] = deque()
        self._chance = chance
        self._weather = weather
        self._invoke = invoke
        self._wall_ms = wall_ms
        self._given_up = given_up
        self._met = met
        self._numbers = 0
        self._running = False
        self.stopped = False

    @property
    def is_quiet(self) -> bool:
        return not (self._waiting or self._shard.batch() or self._running)

    def show(self, change: Change) -> None:
        """Take a record that the replica's stream has from now on."""
        self._numbers += 1
        record = self._record(change, self._numbers)
        self._insert(record)
        if self._chance.random() < self._weather.repeats:
            self._met("fault: stream record repeated")
            self._numbers += 1
            self._waiting.append(self._record(change, self._numbers))
        self.ring()

    def _insert(self, record: Record) -> None:
        """Put a record a few places further ahead, but never before one of the same item."""
        at = len(self._waiting)
        if self._chance.random() < self._weather.reorders:
            item = record["dynamodb"]["Keys"]
            for _ in range(self._chance.randint(1, _WINDOW)):
                if at == 0 or self._waiting[at - 1]["dynamodb"]["Keys"] == item:
                    break
                at -= 1
            if at < len(self._waiting):
                self._met("fault: stream records reordered")
        self._waiting.insert(at, record)

    def _record(self, change: Change, number: int) -> Record:
        image = {name: _image(value) for name, value in (change.new or {}).items()}
        return {
            "eventSource": "aws:dynamodb",
            "eventName": change.kind,
            "dynamodb": {
                "SequenceNumber": str(number),
                "Keys": change.key,
                "NewImage": image,
                **({"OldImage": _old(change)} if change.old is not None else {}),
                "ApproximateCreationDateTime": self._wall_ms() / 1000,
            },
        }

    def ring(self) -> None:
        """See to it that what is there is handed over."""
        if not (self._running or self.stopped) and (self._waiting or self._shard.batch()):
            self._running = True
            self._time.start(self._run, after_ms=self._chance.uniform(5, self._weather.delay_ms))

    def _run(self) -> None:
        pause_ms = _FIRST_PAUSE_MS
        try:
            while not self.stopped:
                if self._shard.has_room and self._waiting:
                    records = list(self._waiting)
                    self._waiting.clear()
                    self._shard.add(records)
                self._note(self._shard.too_old(now_s=self._wall_ms() / 1000))
                batch = self._shard.batch()
                if not batch:
                    return
                if self._hand_over(batch):
                    pause_ms = _FIRST_PAUSE_MS
                    self._time.sleep(self._chance.uniform(1, 20))
                else:
                    self._time.sleep(pause_ms)
                    pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
        finally:
            self._running = False

    def _hand_over(self, batch: list[Record]) -> bool:
        """Invoke the function; False if something of the batch comes again."""
        try:
            answer = self._invoke({"Records": batch})
        except FunctionFailed:
            self._met("stream batch failed")
            self._note(self._shard.failed())
            return False
        failed = bool(answer["batchItemFailures"])
        if failed:
            self._met("stream batch comes again from a checkpoint")
        self._note(self._shard.answered(answer))
        return not failed

    def _note(self, discarded: Discarded | None) -> None:
        if discarded is not None:
            self._met("fault: stream records given up")
            self._given_up(discarded)


def _old(change: Change) -> dict[str, Any]:
    return {name: _image(value) for name, value in (change.old or {}).items()}


def _image(value: dict[str, Any]) -> dict[str, Any]:
    """Return an attribute as a stream shows it: binary values as base64 text."""
    match value:
        case {"B": raw}:
            return {"B": base64.b64encode(raw).decode()}
        case {"M": entries}:
            return {"M": {name: _image(entry) for name, entry in entries.items()}}
        case {"L": entries}:
            return {"L": [_image(entry) for entry in entries]}
        case _:
            return value
