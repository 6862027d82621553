"""Clients of AWS as the operator's own profile and environment say, and the regions' HTTP APIs."""

from __future__ import annotations

from functools import cache
from typing import Any

from boto3.session import Session
from botocore.config import Config

from infra.deploy.rollout import Clients


def clients_of(session: Session, *, endpoint: str | None = None) -> Clients:
    """Return what makes a client of a service in a region, each once.

    Args: endpoint: of an engine in place of AWS.
    """

    @cache
    def client(service: str, region: str) -> Any:
        # The stubs know a client only by a literal name, which this is not.
        return session.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 5},
                s3={"addressing_style": "auto" if endpoint is None else "path"},
            ),
        )

    return client
