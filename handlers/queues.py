"""Sending between regions by SQS: acknowledgements to an origin, commits to a projector.

A queue's URL is composed, not asked for, so that a region that is cut off can be named.
Sends to several regions run side by side, each bounded by the client's time-outs.
"""

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from eventstore.aws_errors import passing_errors_translated
from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable, described
from handlers.clients import Clients
from handlers.edge import Edge, Task
from handlers.settings import EdgeBounds, Settings
from projections.lane import lane_messages

logger = Logger(service="queues")


class Queues:
    """Sends to the queues of every region. Safe to share between threads."""

    def __init__(self, clients: Clients, settings: Settings, edge: Edge) -> None:
        self._clients = clients
        self._account = settings.account
        self._lane = settings.lane_queue
        self._acks = settings.acks_queue
        self._bounds: EdgeBounds = settings
        self._side_by_side = edge.side_by_side
        self._places: dict[str, threading.BoundedSemaphore] = {}

    def send(self, region: str, queue: str, body: str, **more: Any) -> None:
        """Send one message; raise StoreUnavailable if the region does not take it now."""
        url = f"https://sqs.{region}.amazonaws.com/{self._account}/{queue}"
        with passing_errors_translated(f"send to {queue} in {region}"):
            self._clients.sqs(region).send_message(QueueUrl=url, MessageBody=body, **more)

    def retry_soon(self, record: Mapping[str, Any]) -> None:
        """Have a message that failed delivered again within seconds, not after its time-out.

        Never fails: after its time-out the message comes anyway, and a receipt may have run out
        while its region was slow.
        """
        region, account, queue = record["eventSourceARN"].split(":")[3:6]
        try:
            with passing_errors_translated("retry a message"):
                self._clients.sqs(region).change_message_visibility(
                    QueueUrl=f"https://sqs.{region}.amazonaws.com/{account}/{queue}",
                    ReceiptHandle=record["receiptHandle"],
                    VisibilityTimeout=self._bounds.retry_s,
                )
        except (StoreUnavailable, ClientError) as error:
            logger.warning("not retried soon", queue=queue, reason=described(error))

    def acknowledge(self, bodies: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """Send acknowledgements to their origins; return the origins that did not get all."""
        sending = [(origin, body) for origin, messages in bodies.items() for body in messages]
        errors = self._side_by_side(
            [partial(self.send, origin, self._acks, body) for origin, body in sending]
        )
        unheard: set[str] = set()
        for (origin, _), error in zip(sending, errors, strict=True):
            if error is not None:
                logger.warning("not acknowledged", origin=origin, reason=described(error))
                unheard.add(origin)
        return frozenset(unheard)

    def ring(self, region: str, commit: Commit) -> None:
        """Send a commit to the projector of a region that has not applied it."""
        for body in lane_messages([commit]):
            self.send(region, self._lane, body)

    def redeliver(self, region: str, commits: Sequence[Commit]) -> None:
        """Have commits delivered to the region's projector again, some seconds from now."""
        for body in lane_messages(commits, again=True):
            self.send(region, self._lane, body, DelaySeconds=self._bounds.redeliver_s)

    def hasten(
        self, regions: Sequence[str], commit: Commit, *, committed_at_ms: int, within_s: float
    ) -> None:
        """Send a commit, fresh in the log, to the projectors of all regions, as time allows.

        Never fails: the stream brings the commit anyway. Waits, since a Lambda function is
        frozen once it has answered, and what it has not sent by then stays unsent.
        """
        bodies = lane_messages([commit], committed_at_ms=committed_at_ms)
        sending: list[Task] = [
            partial(self._hasten_one, region, body) for region in regions for body in bodies
        ]
        self._side_by_side(sending, within_s=within_s)

    def _hasten_one(self, region: str, body: str) -> None:
        # A region that does not answer may hold some of the threads, never all.
        places = threading.BoundedSemaphore(self._bounds.sends_a_region)
        place = self._places.setdefault(region, places)
        if not place.acquire(blocking=False):
            return
        try:
            self.send(region, self._lane, body)
        except (StoreUnavailable, ClientError) as error:
            logger.warning("fast lane not taken", region=region, reason=described(error))
        finally:
            place.release()
