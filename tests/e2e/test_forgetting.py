"""A subscriber is forgotten on running regions, and nothing that is stored tells who it was."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.conftest import REGIONS, Running

US, EU, AP = REGIONS
IMSI, OTHER_IMSI = "262019990000001", "262019990000002"
# Numbers that no other test sends.
MSISDNS = ("+4915119990001", "+4915119990002")
ICCID = "8949020000199900016"
SECRETS = (IMSI, *(msisdn.removeprefix("+") for msisdn in MSISDNS), ICCID)
_MAILBOX = "antiphon-answers"


def command(kind: str, imsi: str = IMSI, **data: str) -> dict[str, Any]:
    return {
        "type": kind,
        "command_id": f"{kind}-{len(data)}",
        "producer": "e2e-forgetting",
        "data": {"imsi": imsi, **data},
    }


def activation(imsi: str) -> dict[str, Any]:
    return command(
        "ActivateSubscriber",
        imsi,
        msisdn=MSISDNS[0],
        iccid=ICCID if imsi == IMSI else "8949020000012345670",
        service_profile="consumer-5g",
    )


def stored(running: Running) -> Iterator[tuple[str, str]]:
    """Yield everything that every table and queue of every region holds, and where."""
    for region in REGIONS:
        dynamodb, sqs = running.aws("dynamodb", region), running.aws("sqs", region)
        for table in dynamodb.list_tables()["TableNames"]:
            for page in dynamodb.get_paginator("scan").paginate(TableName=table):
                for item in page["Items"]:
                    yield f"{table} in {region}", repr(item)
        for url in sqs.list_queues().get("QueueUrls", []):
            while messages := sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5
            ).get("Messages"):
                for message in messages:
                    yield f"{url} in {region}", repr(message)


def logged(running: Running, directory: Path) -> Iterator[tuple[str, str]]:
    for file in directory.rglob("*"):
        if file.is_file():
            yield str(file), file.read_bytes().decode(errors="replace")


def found(places: Iterator[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(place, secret) for place, text in places for secret in SECRETS if secret in text}


def test_a_subscriber_is_forgotten_and_no_byte_tells_who_it_was(running: Running):
    first = running.post(US, activation(IMSI), Prefer="wait=20").json()
    assert first["status"] == "answered", first
    assert running.post(EU, activation(OTHER_IMSI), Prefer="wait=20").json()["status"] == "answered"
    change = command("ChangeMsisdn", msisdn=MSISDNS[1])
    assert running.post(EU, change, Prefer="wait=20").json()["status"] == "answered"
    # At rest numbers stand nowhere but in answers that producers have not fetched yet.
    assert {place for place, _ in found(stored(running)) if _MAILBOX not in place} == set()

    forgotten = running.cli("forget", IMSI, "--yes")

    assert forgotten.exit_code == 0, forgotten.output
    assert first["aggregate_id"] in forgotten.output
    # The other one has had the first number too, and its answer waits to be fetched.
    left = {secret for _, secret in found(stored(running))}
    assert left <= {MSISDNS[0].removeprefix("+")}
    assert found(logged(running, running.directory)) == set()
    for region in REGIONS:
        for path in ("", "/timeline", "/history"):
            gone = running.get(region, f"/subscribers/{IMSI}{path}")
            assert (gone.status_code, gone.json()["code"]) == (410, "forgotten")
        assert running.get(region, f"/subscribers/{OTHER_IMSI}").status_code == 200
    refused = running.post(AP, command("ResumeSubscriber"), Prefer="wait=20")
    assert (refused.status_code, refused.json()["reason"]) == (409, "subscriber_forgotten")
    again = running.cli("forget", IMSI, "--yes")
    assert again.exit_code == 0, again.output
    verdict = running.cli("verify", "--json", "--settle", "20")
    assert first["aggregate_id"] not in re.sub(r"\s", "", json.dumps(verdict.output))


def test_forgetting_whom_nobody_knows_changes_nothing(running: Running):
    unknown = running.cli("forget", "262019990000009", "--yes")
    invalid = running.cli("forget", "not-an-imsi", "--yes")
    unasked = running.cli("forget", OTHER_IMSI)

    assert (unknown.exit_code, invalid.exit_code, unasked.exit_code) == (2, 2, 2)
    assert "nothing is known of such a Subscriber" in unknown.output
    assert "nothing is known" in invalid.output
    assert "nothing was changed" in unasked.output
