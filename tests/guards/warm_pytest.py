"""Runs pytest again and again, each time in a fork of a process that has loaded the libraries.

Each line of its input is a JSON array of a directory and pytest's arguments; it answers with a JSON
array of the exit code and what pytest printed. Nothing of the project is loaded before the fork, so
each run sees the project as it lies in that directory. Loading the libraries takes seconds, a run
of one test much less.
"""

import json
import os
import sys
import tempfile
import warnings

import pytest

LIBRARIES = (
    "aws_lambda_powertools.event_handler.openapi.models",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.metrics",
    "boto3.session",
    "botocore.client",
    "botocore.httpsession",
    "cryptography.hazmat.primitives.ciphers.aead",
    "greenlet",
    "httpx",
    "hypothesis.strategies",
    "orjson",
    "phonenumbers",
    "pydantic",
    "stdnum",
    "typer",
    "xml.etree.ElementTree",
    "yaml",
)


def run(directory: str, arguments: list[str]) -> tuple[int, str]:
    """Run pytest in a fork.

    Returns:
        The exit code, negative for a signal, and what it printed.
    """
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if not child:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            os.chdir(directory)
            sys.path.insert(0, directory)
            sys.dont_write_bytecode = True
            code = 3
            try:
                code = int(pytest.main(arguments))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                # Nothing of the parent's own ends here.
                os._exit(code)
        _, status = os.waitpid(child, 0)
        printed.seek(0)
        return os.waitstatus_to_exitcode(status), printed.read().decode(errors="replace")


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in LIBRARIES:
            __import__(library)
    for line in sys.stdin:
        directory, arguments = json.loads(line)
        print(json.dumps(run(directory, arguments)), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
