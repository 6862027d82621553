"""Send a feed: each subject's commands in order, subjects side by side, every result noted.

The same body is sent again, under the same identity, until a region gives a final result;
that is always safe. It decides nothing about right or wrong: see `judgement`.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from antiphon.connection import Connection
from antiphon.ledger import Arrival, Ledger, Played, Receipt, TokenRead
from antiphon.mailboxes import Mailbox, watch_mailbox
from antiphon.results import body_of, conflicts_in, may_send_again, receipt_of, retry_after_s

MAX_BACKOFF_S = 5.0
LOOK_S = 0.05
STATUS_LOOK_S = 1.0
READ_WAIT_MS = 20_000

# The detail type of an answer, by what `GET /commands/{commit}` says of its command.
STATUS_DETAIL_TYPES = {
    "answered": "CommandAnswered",
    "rejected": "CommandRejected",
    "unchanged": "CommandUnchanged",
}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One command for one region; `key` is equal for equal commands, `path` reads its aggregate."""

    key: str
    type: str
    command_id: str
    region: str
    body: bytes
    path: str
    expect: frozenset[str]
    idempotency_key: str | None = None


# What is sent at the same time, and a subject's steps in their order.
Step = tuple[Delivery, ...]
Subject = Sequence[Step]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast and how patiently a feed is played."""

    rate_per_s: float = 8.0
    at_once: int = 12
    patience_s: float = 600.0
    first_backoff_s: float = 0.2
    # Every how many accepted commands one is read back in another region; 0 reads none.
    read_every: int = 5


class Player:
    """Plays one feed into the regions of one connection and fills a ledger."""

    def __init__(self, connection: Connection, *, ledger: Ledger, pace: Pace) -> None:
        """Take what is played into, what is written, and how fast."""
        self._connection = connection
        self._ledger = ledger
        self._pace = pace
        self._places = asyncio.Semaphore(pace.at_once)
        self._next_turn_s = 0.0
        self._accepted = 0
        self._last_news_s = 0.0
        self._http = connection.async_http(connections=4 * pace.at_once)
        self._deliveries: dict[str, Delivery] = {}
        self._again: set[asyncio.Task[Receipt]] = set()
        ledger.on_superseded = self._send_again

    async def play(self, subjects: Sequence[Subject], mailboxes: Sequence[Mailbox]) -> None:
        """Send everything, then wait for the answers until all are there or patience is over.

        Patience counts from the last result or answer that came: a cut link may hold up
        everything for long, and nothing is wrong with a feed that then goes on.
        """
        self._last_news_s = self._next_turn_s = time.monotonic()
        async with self._http:
            watchers = [
                asyncio.create_task(watch_mailbox(mailbox, self._arrived)) for mailbox in mailboxes
            ]
            try:
                async with asyncio.TaskGroup() as sending:
                    for subject in subjects:
                        sending.create_task(self._play_subject(subject, sending))
                await self._settle()
            finally:
                for task in (*watchers, *self._again):
                    task.cancel()
                await asyncio.gather(*watchers, *self._again, return_exceptions=True)

    def _arrived(self, arrival: Arrival) -> None:
        self._last_news_s = time.monotonic()
        self._ledger.arrived(arrival)

    def _send_again(self, played: Played) -> None:
        """Send a superseded command once more, as its producer does: it is decided anew."""
        task = asyncio.create_task(self._deliver(self._deliveries[played.key]))
        self._again.add(task)
        task.add_done_callback(self._again.discard)

    async def _play_subject(self, subject: Subject, sending: asyncio.TaskGroup) -> None:
        """Play the steps of one subject: the next only after every result of the one before."""
        async with self._places:
            for step in subject:
                await self._turn(len(step))
                receipts = await asyncio.gather(*(self._deliver(delivery) for delivery in step))
                for delivery, receipt in zip(step, receipts, strict=True):
                    if self._is_sample(receipt):
                        sending.create_task(self._read_elsewhere(delivery, receipt))

    async def _turn(self, commands: int) -> None:
        """Wait for a slot, so that no more than the rate is sent."""
        now = time.monotonic()
        slot = max(self._next_turn_s, now)
        self._next_turn_s = slot + commands / self._pace.rate_per_s
        await asyncio.sleep(slot - now)

    async def _deliver(self, delivery: Delivery) -> Receipt:
        """Send one command to one region until it gives a final result, and note that."""
        played = self._ledger.command(
            delivery.key,
            about=delivery.path,
            type_=delivery.type,
            command_id=delivery.command_id,
            expect=delivery.expect,
        )
        self._deliveries.setdefault(delivery.key, delivery)
        started = time.monotonic()
        self._ledger.sent(played, at_s=started)
        backoff_s, sends, conflicts = self._pace.first_backoff_s, 0, 0
        while True:
            sends += 1
            response = await self._post(delivery)
            conflicts += conflicts_in(response)
            wait_s = max(backoff_s, retry_after_s(response))
            over = time.monotonic() + wait_s - started > self._pace.patience_s
            if over or not may_send_again(response, expect=delivery.expect, sends=sends):
                break
            await asyncio.sleep(wait_s)
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
        receipt = receipt_of(response, region=delivery.region, sends=sends, conflicts=conflicts)
        self._last_news_s = time.monotonic()
        self._ledger.received(played, receipt)
        return receipt

    async def _post(self, delivery: Delivery) -> httpx.Response | None:
        headers = {"Content-Type": "application/json"}
        if delivery.idempotency_key is not None:
            headers["Idempotency-Key"] = delivery.idempotency_key
        url = self._connection.url(delivery.region) + "/commands"
        try:
            return await self._http.post(url, content=delivery.body, headers=headers)
        except httpx.TransportError:
            return None

    def _is_sample(self, receipt: Receipt) -> bool:
        if receipt.outcome != "accepted" or receipt.duplicate or not self._pace.read_every:
            return False
        self._accepted += 1
        return self._accepted % self._pace.read_every == 0

    async def _read_elsewhere(self, delivery: Delivery, receipt: Receipt) -> None:
        """Read the aggregate in another region with the token: read-your-writes, anywhere."""
        regions = [name for name in self._connection.regions if name != delivery.region]
        if not regions or receipt.token is None or receipt.sequence is None:
            return
        region = regions[(self._accepted // self._pace.read_every) % len(regions)]
        try:
            response = await self._http.get(
                self._connection.url(region) + delivery.path,
                params={"wait_ms": READ_WAIT_MS},
                headers={"Consistency-Token": receipt.token},
            )
        except httpx.TransportError:
            return
        applied = body_of(response).get("applied_sequence")
        self._ledger.commands[delivery.key].reads.append(
            TokenRead(
                region=region,
                status=response.status_code,
                sequence=receipt.sequence,
                applied_sequence=applied if isinstance(applied, int) else None,
            )
        )

    async def _settle(self) -> None:
        """Wait until every commit has its answer; bounded by patience since the last news."""
        next_look_s = time.monotonic()
        while (unanswered := self._ledger.unanswered) or self._again:
            now = time.monotonic()
            if now - self._last_news_s > self._pace.patience_s:
                return
            if now >= next_look_s:
                for played in unanswered:
                    await self._look_for_earlier_answer(played)
                next_look_s = time.monotonic() + STATUS_LOOK_S
            await asyncio.sleep(LOOK_S)

    async def _look_for_earlier_answer(self, played: Played) -> None:
        """Ask for the answer of a command that was recorded before this play began.

        Its answer went to the mailbox then, and no other will come: the same feed played
        again finds everything decided and answered.
        """
        receipt = played.recorded
        if receipt is None or not all(receipt.duplicate for receipt in played.receipts):
            return
        try:
            url = f"{self._connection.url(receipt.region)}/commands/{receipt.commit}"
            told = body_of(await self._http.get(url))
        except httpx.TransportError:
            return
        answer, detail_type = told.get("answer"), STATUS_DETAIL_TYPES.get(str(told.get("status")))
        if isinstance(answer, Mapping) and detail_type is not None:
            region = str(answer.get("origin"))
            self._ledger.arrived(
                Arrival(region=region, at_s=None, detail_type=detail_type, detail=answer)
            )
