"""Dead letters on running regions: what fails on the way is kept, shown, and goes on after all."""

import itertools
import json
from collections.abc import Callable
from typing import Any

from projections.letters import Letter, LetterStore
from tests.e2e.conftest import REGIONS, Running

US, EU, AP = REGIONS
LETTERS = "antiphon-letters"
_numbers = itertools.count(500)


def activation(command_id: str = "a") -> dict[str, Any]:
    """Return an activation of a subscriber that no other test uses."""
    return {
        "type": "ActivateSubscriber",
        "command_id": command_id,
        "producer": "e2e-letters",
        "data": {
            "imsi": f"26201{next(_numbers):010d}",
            "msisdn": "+4915112345678",
            "iccid": "8949020000012345670",
            "service_profile": "consumer-5g",
        },
    }


def send(running: Running, region: str, queue: str, body: str, **more: Any) -> None:
    sqs = running.aws("sqs", region)
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=body, **more
    )


def letter_of(running: Running, region: str, wanted: Callable[[Letter], bool]) -> Letter:
    """Return the letter that a region has, or gets within seconds."""
    store = LetterStore(running.aws("dynamodb", region), table=LETTERS)
    sqs = running.aws("sqs", region)
    url = sqs.get_queue_url(QueueName="antiphon-answers")["QueueUrl"]
    for _ in range(20):
        found = [letter for letter in store.all() if wanted(letter)]
        if found:
            return found[0]
        # A queue that is asked to wait is the pause: nothing here sleeps.
        sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, VisibilityTimeout=0)
    raise AssertionError(f"no such letter in {region}")


def test_a_message_that_is_no_command_is_kept_whole_in_the_dead_letters(running: Running):
    send(
        running,
        US,
        "antiphon-commands.fifo",
        "{broken",
        MessageGroupId="g",
        MessageDeduplicationId="broken",
    )

    letter = letter_of(running, US, lambda one: one.payload == "{broken")

    assert (letter.source, letter.attempts, letter.state) == ("commands", 1, "open")
    assert "malformed" in letter.error
