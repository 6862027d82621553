"""The AWS engines of a local run: one for each region, and one for the journal.

The journal engine holds the strongly consistent global tables in one place,
which is what makes them so; the WAN alone talks to it. An engine that stops loses
everything it had: it holds nothing that a run should outlive.
"""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from infra.local.children import Child, EngineFailed
from infra.local.lifeline import Lifeline
from infra.local.ports import LOOPBACK, address_of, port_of

ACCOUNT = "000000000000"
JOURNAL = "journal"
START_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 2.0
_PROBE_PAUSE_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One running engine."""

    child: Child
    region: str
    url: str


def start_engine(
    *,
    name: str,
    region: str,
    listener: socket.socket,
    functions: Mapping[str, str],
    lifeline: Lifeline,
    run_directory: Path,
    log_directory: Path,
    wan_url: str | None = None,
) -> Engine:
    """Start an engine on `listener`.

    Args:
        functions: where invocations of a function are sent, by function name.
        wan_url: who makes the replicas of global tables; None if nobody does.
    """
    port, url = port_of(listener), address_of(listener)
    child = Child(
        name=f"engine-{name}",
        module="infra.local.engine",
        settings={"wan_url": wan_url},
        listeners=[listener],
        environment={
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": region,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "S3_DATA_DIR": str(run_directory / f"engine-{name}" / "s3"),
            "LOG_LEVEL": "WARNING",
            # AWS's own limit; MiniStack's default depends on the machine's memory.
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
            **{f"MINISTACK_LAMBDA_PROXY_{function}": to for function, to in functions.items()},
        },
        lifeline=lifeline,
        run_directory=run_directory,
        log_directory=log_directory,
    )
    return Engine(child=child, region=region, url=url)


def wait_until_ready(child: Child, url: str) -> None:
    """Wait until `url` answers 200.

    Raises: EngineFailed if the child ends, answers with an error, or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        child.check()
        try:
            with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310 - http
                if answer.status == HTTPStatus.OK:
                    return
        except urllib.error.HTTPError as error:
            raise EngineFailed(f"{child.name}: {error.read().decode(errors='replace')}") from error
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise EngineFailed(f"{child.name} is not ready after {START_TIMEOUT_S:.0f} s")
        time.sleep(_PROBE_PAUSE_S)
