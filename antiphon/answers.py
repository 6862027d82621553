"""`antiphon answers`: the answers as they are published, without taking them from anybody.

Follows by a rule and a queue of its own in every region, removed when it ends. The queue
`antiphon-answers` is the producers' mailbox and is left alone.
"""

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from queue import Empty, Queue
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import dependencies_of
from antiphon.ledger import DETAIL_TYPES
from antiphon.mailboxes import BATCH, POLL_S
from antiphon.reading import published_answers
from antiphon.signals import signals_as_interrupts
from antiphon.terminal import output, say

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BUS = "antiphon"
PATTERN = '{"source": ["antiphon"]}'
OUTCOME_STYLES = {
    "CommandAnswered": ("answered", "green"),
    "CommandRejected": ("refused", "red"),
    "CommandUnchanged": ("unchanged", "yellow"),
    "CommandSuperseded": ("superseded", "magenta"),
}
# Type and detail of one answer.
Told = tuple[str, Mapping[str, Any]]


def answers(
    *,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on until Ctrl-C, or show the latest.")
    ] = True,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Stop after so many answers.")
    ] = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show answers as they are published in any region."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    if not follow:
        for told in latest_answers(connection, count or 20):
            show(told, as_json=as_json)
        return
    with signals_as_interrupts(), ExitStack() as stack:
        arrived: Queue[Told] = Queue()
        stop = threading.Event()
        for region in connection.regions:
            queue_url = stack.enter_context(own_queue(connection, region))
            reader = threading.Thread(
                target=_read_queue, args=(connection.sqs(region), queue_url, arrived, stop)
            )
            reader.start()
            # Unwound in reverse: readers end before their queues are removed.
            stack.callback(reader.join)
            stack.callback(stop.set)
        if not as_json:
            say("Following the answers of all regions; Ctrl-C ends it.", style="dim")
        try:
            _show_arriving(arrived, count=count, as_json=as_json)
        except KeyboardInterrupt:
            say("")


def _show_arriving(arrived: "Queue[Told]", *, count: int | None, as_json: bool) -> None:
    shown = 0
    while count is None or shown < count:
        try:
            told = arrived.get(timeout=POLL_S)
        except Empty:
            continue
        show(told, as_json=as_json)
        shown += 1


def show(told: Told, *, as_json: bool) -> None:
    """Print one answer on one line."""
    detail_type, detail = told
    if as_json:
        line = orjson.dumps({"detail-type": detail_type, "detail": detail}, default=str).decode()
        output.print(line, markup=False, soft_wrap=True)
        return
    label, style = OUTCOME_STYLES.get(detail_type, (detail_type, ""))
    command = detail.get("command", {})
    regions = detail.get("regions") or {}
    output.print(
        Text.assemble(
            (f"{detail.get('answered_at', ''):<24}  ", "dim"),
            (f"{label:<10}", style),
            f"  {detail.get('origin', ''):<12}  {command.get('type', ''):<26}",
            f"  {command.get('command_id', ''):<24}  sequence {detail.get('sequence', '?')}",
            (f"  applied in {len(regions)} regions", "dim"),
        ),
        soft_wrap=True,
    )


def latest_answers(connection: Connection, count: int) -> list[Told]:
    """The last answers published, oldest first, from the response tables of all regions."""
    cipher = dependencies_of(connection, connection.regions[0]).cipher
    bodies = [
        body
        for region in connection.regions
        for body in published_answers(connection.dynamodb(region), cipher)
    ]
    bodies.sort(key=lambda body: str(body.get("answered_at")))
    return [(DETAIL_TYPES.get(str(body.get("outcome")), ""), body) for body in bodies[-count:]]


@contextmanager
def own_queue(connection: Connection, region: str) -> Iterator[str]:
    """Give a queue that receives every answer of a region, and remove it afterwards."""
    name = f"antiphon-follow-{secrets.token_hex(6)}"
    sqs, events = connection.sqs(region), connection.events(region)
    with ExitStack() as stack:
        queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
        stack.callback(sqs.delete_queue, QueueUrl=queue_url)
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        rule = events.put_rule(Name=name, EventBusName=BUS, EventPattern=PATTERN, State="ENABLED")
        stack.callback(events.delete_rule, Name=name, EventBusName=BUS)
        policy = _only_this_rule(queue_arn=queue_arn, rule_arn=rule["RuleArn"])
        sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
        events.put_targets(
            Rule=name, EventBusName=BUS, Targets=[{"Id": "follow", "Arn": queue_arn}]
        )
        stack.callback(events.remove_targets, Rule=name, EventBusName=BUS, Ids=["follow"])
        yield queue_url


def _only_this_rule(*, queue_arn: str, rule_arn: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return orjson.dumps({"Version": "2012-10-17", "Statement": [statement]}).decode()


def _read_queue(
    client: "SQSClient", queue_url: str, arrived: "Queue[Told]", stop: threading.Event
) -> None:
    """Hand over what comes into the queue until told to stop."""
    while not stop.is_set():
        try:
            received = client.receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=POLL_S
            )
            for message in received.get("Messages", []):
                envelope = orjson.loads(message["Body"])
                client.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                arrived.put((envelope["detail-type"], envelope["detail"]))
        except (BotoCoreError, ClientError):
            # Cut off for now: what is in the queue stays there.
            stop.wait(POLL_S)
