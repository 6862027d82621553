"""A producer on the local regions: activate subscribers, and book each answer exactly once.

Start the regions with `make run`, then, in another terminal: .venv/bin/python examples/producer.py
"""

import argparse
import secrets
import sqlite3

from boto3.session import Session

from antiphon.client import Answer, Answers, Producer, SqliteInbox
from domain.subscriber import ActivateSubscriber

NAME = "crm-example"
ORDERS = 3


def main() -> None:
    """Send three activations, and book their answers as they come."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--base-port", type=int, default=8100)
    options.add_argument("--aws-port", type=int, default=4566)
    given = options.parse_args()

    # The nearest region first. While it gives no result, the same command goes to the next.
    regions = [f"http://localhost:{given.base_port + number}" for number in (1, 2, 3)]
    database = sqlite3.connect("producer.db")
    database.execute("CREATE TABLE IF NOT EXISTS orders (command_id TEXT PRIMARY KEY, state TEXT)")

    run = secrets.token_hex(4)
    with Producer(regions, name=NAME) as producer:
        for number in range(ORDERS):
            command = ActivateSubscriber(
                imsi=f"26201{secrets.randbelow(10**10):010d}",
                msisdn="+4915112345678",
                iccid="8949020000012345670",
                service_profile="consumer-5g",
            )
            reply = producer.send(command, command_id=f"order-{run}-{number}")
            print(f"{reply.status} in {reply.region}, sequence {reply.sequence}")

    def book(answer: Answer) -> None:
        if answer.command.producer != NAME:
            return
        # In one transaction with the note that this answer was seen: never booked twice.
        database.execute(
            "INSERT INTO orders VALUES (?, ?)", (answer.command.command_id, answer.outcome)
        )
        print(f"{answer.command.command_id} {answer.outcome} in {', '.join(answer.regions)}")

    sqs = Session(aws_access_key_id="any", aws_secret_access_key="any").client(
        "sqs", region_name="us-east-1", endpoint_url=f"http://localhost:{given.aws_port}"
    )
    # The mailbox of all producers: this takes out the others' answers, too. For a queue of your
    # own, add a rule to the bus `antiphon`.
    queue_url = sqs.get_queue_url(QueueName="antiphon-answers")["QueueUrl"]
    answers = Answers(sqs, queue_url=queue_url, inbox=SqliteInbox(database))
    mine = "SELECT count(*) FROM orders WHERE command_id LIKE ?"
    while database.execute(mine, (f"order-{run}-%",)).fetchone()[0] < ORDERS:
        answers.take(book)


if __name__ == "__main__":
    main()
