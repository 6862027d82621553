"""The engines that a contract runs on, by name; which of them are here, and what each lacks."""

import functools

from tests.dynamodb.dynamodb_local import Absent, fetched

IN_PROCESS = "in-process"
MOTO = "moto"
MINISTACK = "ministack"
DYNAMODB_LOCAL = "dynamodb-local"
# The engines that are servers are called by both transports: boto3, and the lean client.
LEAN = "-lean"
SERVERS = frozenset({MINISTACK, DYNAMODB_LOCAL})

# moto has no lock around its tables: of sixteen racing conditional puts several win. So a
# race proves nothing there, and tests that race are made for the other engines only.
SINGLE_THREADED = frozenset({MOTO})


@functools.cache
def why_no_dynamodb_local() -> str | None:
    """Return what DynamoDB Local lacks on this machine, None if it can run."""
    try:
        fetched()
    except Absent as absent:
        return str(absent)
    return None


def engines(*, racing: bool) -> list[str]:
    """Return the engines that are here; for a test that races, those that can."""
    here = [IN_PROCESS, MOTO, MINISTACK]
    if why_no_dynamodb_local() is None:
        here.append(DYNAMODB_LOCAL)
    here += [one + LEAN for one in here if one in SERVERS]
    return [one for one in here if not (racing and one in SINGLE_THREADED)]


def is_server(name: str) -> bool:
    """Say whether an engine is one of its own process, by whichever transport it is called."""
    return name.removesuffix(LEAN) in SERVERS
