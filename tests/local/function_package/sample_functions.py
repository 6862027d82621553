"""Functions that do nothing but what the tests of the local regions need to see.

Imported by the function host in place of the real handlers, never by a test.
Each invocation is written to a file of its region and function; a file beside
it tells the function how to behave.
"""

import json
import os
import time
from pathlib import Path

# Written by the fixture that starts the regions.
from recording import DIRECTORY

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]  # noqa: TID251 - where an SDK would look


def build_handler(environment, region):
    """Make one function's handler, as handlers.entry does for the real ones."""
    function = environment["ANTIPHON_FUNCTION"]
    recorded = Path(DIRECTORY) / f"{region}.{function}.jsonl"
    behaviour = Path(DIRECTORY) / f"{region}.{function}.behaviour"

    def handler(event, context):
        received = {
            "at": time.time(),
            "event": event,
            "left_ms": context.get_remaining_time_in_millis(),
        }
        with recorded.open("a") as file:
            file.write(json.dumps(received) + "\n")
        wanted = json.loads(behaviour.read_text()) if behaviour.exists() else {}
        time.sleep(wanted.get("sleep_s", 0))
        if wanted.get("raise"):
            raise RuntimeError(wanted["raise"])
        if "Records" in event:
            return {"batchItemFailures": _failures(event["Records"], wanted.get("fail", []))}
        return _http_answer(event, function=function, region=region)

    return handler


def _failures(records, failing):
    return [
        {"itemIdentifier": record["dynamodb"]["SequenceNumber"]}
        for record in records
        if "dynamodb" in record and record["dynamodb"]["Keys"]["a"]["S"] in failing
    ]


def _http_answer(event, *, function, region):
    wait = float(event.get("queryStringParameters", {}).get("wait", 0))
    time.sleep(wait)
    body = {
        "function": function,
        "region": region,
        "path": event.get("rawPath"),
        "query": event.get("rawQueryString"),
        "bytes": len(event.get("body") or ""),
        "endpoint": ENDPOINT,
    }
    return {"statusCode": 200, "headers": {"X-Sample": "yes"}, "body": json.dumps(body)}
