"""Answers are worked on once, however often they are delivered and wherever a crash comes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from moto import mock_aws

from antiphon.client import Answer, Answers, NotAnAnswer, SqliteInbox
from tests.handlers.network import ACTIVATION, REGIONS, Network


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", "us-east-1")  # noqa: TID251 - the tests' own edge


@pytest.fixture
def queue_url(sqs: Any) -> str:
    url: str = sqs.create_queue(QueueName="mine", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    return url


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "producer.db")
    connection.execute("CREATE TABLE booked (command_id TEXT)")
    yield connection
    connection.close()


@pytest.fixture
def answers(sqs: Any, queue_url: str, database: sqlite3.Connection) -> Answers:
    return Answers(sqs, queue_url=queue_url, inbox=SqliteInbox(database))


@pytest.fixture
def body(network: Network) -> str:
    network["us-east-1"].post(ACTIVATION)
    network.settle()
    detail = network["us-east-1"].answers[0]
    return orjson.dumps({"detail-type": "CommandAnswered", "detail": detail}).decode()


def booked(database: sqlite3.Connection) -> list[str]:
    return [row[0] for row in database.execute("SELECT command_id FROM booked")]


def waiting(sqs: Any, queue_url: str) -> int:
    return len(sqs.receive_message(QueueUrl=queue_url).get("Messages", []))


def test_an_answer_that_comes_twice_is_handled_once(
    sqs: Any, queue_url: str, database: sqlite3.Connection, answers: Answers, body: str
):
    def book(answer: Answer) -> None:
        assert set(answer.regions) == set(REGIONS)
        database.execute("INSERT INTO booked VALUES (?)", (answer.command.command_id,))

    handled = []
    for _ in range(2):
        sqs.send_message(QueueUrl=queue_url, MessageBody=body)
        handled.append(answers.take(book, wait_s=0))

    assert handled == [1, 0]
    assert booked(database) == ["prov-0001"]
    assert waiting(sqs, queue_url) == 0


def test_what_a_handler_did_before_it_failed_is_undone_and_the_answer_comes_again(
    sqs: Any, queue_url: str, database: sqlite3.Connection, answers: Answers, body: str
):
    sqs.send_message(QueueUrl=queue_url, MessageBody=body)
    fails = [True, False]

    def book(answer: Answer) -> None:
        database.execute("INSERT INTO booked VALUES (?)", (answer.command.command_id,))
        if fails.pop(0):
            raise RuntimeError("the billing system is away")

    with pytest.raises(RuntimeError, match="billing"):
        answers.take(book, wait_s=0)
    assert booked(database) == []
    assert answers.take(book, wait_s=0) == 1

    assert booked(database) == ["prov-0001"]
    assert waiting(sqs, queue_url) == 0


def test_a_crash_before_the_message_is_deleted_does_nothing_twice(
    sqs: Any, queue_url: str, database: sqlite3.Connection, answers: Answers, body: str
):
    sqs.send_message(QueueUrl=queue_url, MessageBody=body)
    delete, sqs.delete_message = sqs.delete_message, lambda **_: 1 / 0
    seen = []
    with pytest.raises(ZeroDivisionError):
        answers.take(lambda answer: seen.append(answer.answer_id), wait_s=0)
    sqs.delete_message = delete

    assert answers.take(lambda answer: seen.append(answer.answer_id), wait_s=0) == 0
    assert len(seen) == 1
    assert waiting(sqs, queue_url) == 0


@pytest.mark.parametrize("garbage", ["no JSON", "[]", "{}", '{"detail": {"answer_id": "x"}}'])
def test_what_is_no_answer_stays_in_the_queue(
    sqs: Any, queue_url: str, answers: Answers, garbage: str
):
    sqs.send_message(QueueUrl=queue_url, MessageBody=garbage)

    with pytest.raises(NotAnAnswer, match="holds no answer"):
        answers.take(lambda _: None, wait_s=0)

    assert waiting(sqs, queue_url) == 1


def test_an_inbox_forgets_what_no_queue_can_deliver_any_more(database: sqlite3.Connection):
    inbox = SqliteInbox(database)
    with inbox.once("old"):
        pass
    database.execute("UPDATE antiphon_inbox SET noted_at = noted_at - 40 * 86400")
    database.commit()
    with inbox.once("new"):
        pass

    inbox.prune(days=30)

    with inbox.once("old") as old, pytest.raises(sqlite3.OperationalError), inbox.once("new"):
        pass  # Not within another transaction.
    with inbox.once("new") as new:
        assert (old, new) == (True, False)
