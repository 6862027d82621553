"""One CloudFormation stack: make it, change it, delete it, and wait until that is so.

Doing it again changes nothing. What fails is told with the reason of the first resource that
failed, in CloudFormation's own words. Two deployments at once are for CloudFormation to refuse.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

TEMPLATES = Path(__file__).resolve().parents[1] / "sam"
# CloudFormation's bound of a template that comes in the request itself.
MAX_TEMPLATE_BYTES = 51_200
# A stack with a global table takes minutes; one that is stuck should not hold an operator all day.
STACK_TIMEOUT_S = 3_600.0
_PAUSE_S = 5.0


class StackFailed(Exception):
    """A stack is not as it should be; says which, where and why."""


def template_of(name: str) -> dict[str, Any]:
    """Return a template of infra/sam, its short forms of functions written out."""
    parsed: dict[str, Any] = yaml_parse((TEMPLATES / name).read_text())
    return parsed


def body_of(template: Mapping[str, Any]) -> str:
    """Return a template without its comments and blanks, as CloudFormation is sent it."""
    body = json.dumps(template, separators=(",", ":"))
    if len(body) > MAX_TEMPLATE_BYTES:
        raise StackFailed(
            f"a template of {len(body)} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES}: split it"
        )
    return body


class Stack:
    """One stack by name, in the region of its client."""

    def __init__(
        self,
        client: CloudFormationClient,
        name: str,
        *,
        pause_s: float = _PAUSE_S,
        timeout_s: float = STACK_TIMEOUT_S,
    ) -> None:
        self._client = client
        self._name = name
        self._pause_s = pause_s
        self._timeout_s = timeout_s

    def status(self) -> str | None:
        """Return its status, None if there is no such stack."""
        found = self._described()
        return None if found is None else str(found["StackStatus"])

    def outputs(self) -> dict[str, str]:
        """Return its outputs; raises StackFailed if there is no such stack."""
        found = self._described()
        if found is None:
            raise StackFailed(f"there is no {self._where()}")
        return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}

    def put(
        self,
        template: Mapping[str, Any],
        parameters: Mapping[str, str],
        *,
        progress: Callable[[str], None] = lambda _text: None,
    ) -> bool:
        """Make the stack or change it, and wait for the end of that.

        Returns: whether anything had to be done.
        Raises: StackFailed.

        """
        before = self.status()
        if before == "ROLLBACK_COMPLETE":
            raise StackFailed(
                f"making {self._where()} has failed before ({self._reason()}); delete the stack, "
                "and of its tables and queues what it has left behind, and deploy again"
            )
        if before is not None and not before.endswith("_COMPLETE"):
            raise StackFailed(f"{self._where()} is {before}; deploy again when that has ended")
        given = [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in sorted(parameters.items())
        ]
        call: Any = self._client.create_stack if before is None else self._client.update_stack
        try:
            call(
                StackName=self._name,
                TemplateBody=body_of(template),
                Parameters=given,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return False
            raise StackFailed(f"{self._where()} was refused: {error}") from error
        self._wait(progress, until={"CREATE_COMPLETE", "UPDATE_COMPLETE"})
        return True

    def delete(self, *, progress: Callable[[str], None] = lambda _text: None) -> bool:
        """Delete the stack and wait until it is gone; what it retains stays.

        Returns: whether there was one.
        """
        if self.status() is None:
            return False
        self._client.delete_stack(StackName=self._name)
        self._wait(progress, until={None})
        return True

    def _wait(self, progress: Callable[[str], None], *, until: set[str | None]) -> None:
        deadline, told = time.monotonic() + self._timeout_s, ""
        while (status := self.status()) not in until:
            # A clean-up after an update is no failure: the stack is as it was asked for.
            if status is None or not status.endswith("_IN_PROGRESS"):
                raise StackFailed(f"{self._where()} ended as {status}: {self._reason()}")
            if status != told:
                progress(f"{self._where()}: {status}")
                told = status
            if time.monotonic() > deadline:
                raise StackFailed(f"{self._where()} is {status} after {self._timeout_s:.0f} s")
            time.sleep(self._pause_s)

    def _described(self) -> Any:
        try:
            stacks = self._client.describe_stacks(StackName=self._name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return next((one for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"), None)

    def _reason(self) -> str:
        """The first resource that failed last, in CloudFormation's own words."""
        events = self._client.describe_stack_events(StackName=self._name)["StackEvents"]
        failed = [
            event
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
            and "cancelled" not in event.get("ResourceStatusReason", "")
        ]
        first = min(failed, key=lambda event: event["Timestamp"], default=None)
        if first is None:
            return "no resource says why"
        return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason')}"

    def _where(self) -> str:
        return f"stack {self._name} in {self._client.meta.region_name}"
