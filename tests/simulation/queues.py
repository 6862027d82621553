"""SQS: queues that deliver at least once, in any order, to a function that polls them.

A message that is not deleted comes again after its visibility time-out, and after so many times
moves to the dead queue. A FIFO queue hands out a group's messages in order, and none behind one
that is under way. Nothing is lost but what is older than the retention.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.deployment import QueueTerms
from tests.simulation.virtual_time import VirtualTime


@dataclass(slots=True, kw_only=True)
class Message:
    """One message; `visible_ms` is when it can be received (again)."""

    id: str
    body: str
    attributes: dict[str, str]
    group: str
    sent_ms: float
    visible_ms: float
    receives: int = 0


@dataclass(slots=True, kw_only=True)
class QueueWeather:
    """How often (0 to 1) a message is delivered twice or late."""

    repeats: float
    delays: float


class Queue:
    """One queue of one region."""

    def __init__(
        self,
        time: VirtualTime,
        terms: QueueTerms,
        *,
        region: str,
        chance: random.Random,
        weather: QueueWeather,
        wall_ms: Callable[[], int],
        bury: Callable[[str, Message], None],
        met: Callable[[str], None],
    ) -> None:
        self.terms = terms
        self.region = region
        self.messages: dict[str, Message] = {}
        self.on_visible: Callable[[], None] = lambda: None
        self._time = time
        self._chance = chance
        self._weather = weather
        self._wall_ms = wall_ms
        self._bury = bury
        self._met = met
        self._numbers = 0

    def send(self, body: str, more: dict[str, Any]) -> dict[str, Any]:
        """Take a message, as SendMessage does."""
        attributes = {
            name: value["StringValue"] for name, value in more.get("MessageAttributes", {}).items()
        }
        delay_ms = more.get("DelaySeconds", 0) * 1000.0
        message_id = self._put(body, attributes, more.get("MessageGroupId", ""), delay_ms)
        if not self.terms.fifo and self._chance.random() < self._weather.repeats:
            self._met(f"fault: message repeated {self.terms.name}")
            later_ms = delay_ms + self._chance.choice((5.0, 500.0, 30_000.0))
            self._put(body, attributes, "", later_ms, message_id=message_id)
        return {"MessageId": message_id}

    def _put(
        self,
        body: str,
        attributes: dict[str, str],
        group: str,
        delay_ms: float,
        *,
        message_id: str | None = None,
    ) -> str:
        self._numbers += 1
        receipt = f"{self.terms.name}-{self.region}-{self._numbers}"
        if self._chance.random() < self._weather.delays and not self.terms.fifo:
            delay_ms += self._chance.expovariate(1 / 2_000)
        message = Message(
            id=message_id or receipt,
            body=body,
            attributes=attributes,
            group=group,
            sent_ms=self._time.now_ms,
            visible_ms=self._time.now_ms + delay_ms,
        )
        self.messages[receipt] = message
        self._time.at(message.visible_ms, self._ring)
        return message.id

    def put_aside(self, message: Message) -> None:
        """Take a message that another queue has given up."""
        self._put(message.body, message.attributes, message.group, 0.0)

    def _ring(self) -> None:
        self.on_visible()

    def has_visible(self) -> bool:
        """Say whether there is anything to receive, as far as that can be told cheaply."""
        now_ms = self._time.now_ms
        return any(message.visible_ms <= now_ms for message in self.messages.values())

    def receive(self, most: int) -> list[tuple[str, Message]]:
        """Return messages with their receipts, at most so many; they are in flight then."""
        now_ms = self._time.now_ms
        held_up: set[str] = set()
        ready: list[tuple[str, Message]] = []
        for receipt, message in list(self.messages.items()):
            if now_ms - message.sent_ms > self.terms.retention_s * 1000:
                self._met(f"fault: message too old {self.terms.name}")
                del self.messages[receipt]
            elif message.visible_ms > now_ms or message.group in held_up:
                held_up |= {message.group} if self.terms.fifo else set()
            elif self.terms.most_receives and message.receives >= self.terms.most_receives:
                self._met(f"fault: message to the dead queue {self.terms.name}")
                del self.messages[receipt]
                self._bury(self.terms.dead, message)
            else:
                ready.append((receipt, message))
        if not self.terms.fifo:
            self._chance.shuffle(ready)
        taken = ready[:most]
        for _, message in taken:
            message.receives += 1
            message.visible_ms = now_ms + self.terms.visibility_s * 1000
            self._time.at(message.visible_ms, self._ring)
            if message.receives > 1:
                self._met(f"message received again {self.terms.name}")
        return taken

    def record(self, receipt: str, message: Message) -> dict[str, Any]:
        """Return a message as a function gets it."""
        return {
            "messageId": message.id,
            "receiptHandle": receipt,
            "body": message.body,
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{self.region}:000000000000:{self.terms.name}",
            "attributes": {
                "MessageGroupId": message.group,
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(self._wall_ms() - int(self._time.now_ms - message.sent_ms)),
            },
            "messageAttributes": {
                name: {"stringValue": value, "dataType": "String"}
                for name, value in message.attributes.items()
            },
        }

    def delete(self, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            self.messages.pop(receipt, None)
        if self.terms.fifo and self.messages:
            # What waited behind these in their groups.
            self._ring()

    def change_visibility(self, receipt: str, seconds: int) -> dict[str, Any]:
        """Have a message received again that much later, as ChangeMessageVisibility does."""
        message = self.messages.get(receipt)
        if message is not None:
            message.visible_ms = self._time.now_ms + seconds * 1000.0
            self._time.at(message.visible_ms, self._ring)
        return {}
