"""A deployment: the global stack, then each region's, one after the other; again and again.

All that can be known to fail is found before anything is made. A region's functions are changed
only once the region before has its new ones, so that what a bad version does is seen in one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.secret_file import secret_in
from infra.deploy.stacks import Stack, template_of
from infra.deploy.system import (
    Refused,
    System,
    global_parameters,
    region_parameters,
    states_parameters,
)

GLOBAL_STACK = "antiphon-global"
REGION_STACK = "antiphon-region"
ALARMS_STACK = "antiphon-alarms"
EVENTS_TABLE = "antiphon-events"
# Any of the functions: all have the secret.
A_FUNCTION = "antiphon-responder"
PERSONAL_KEY = "alias/antiphon-personal"

# (service, region) to a client of boto3.
Clients = Callable[[str, str], Any]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Deploys a system.

    Attributes:
        code: the functions' package.
        progress: told in a few words what is being done.
        pause_s: between two looks at a stack that is being changed.
        more: parameters of the regions' stacks that AWS needs no other value of than the
            template's, and other engines do.
        with_alarms: whether to make the alarms, which other engines cannot.
    """

    system: System
    clients: Clients
    code: bytes
    progress: Callable[[str], None]
    pause_s: float = 5.0
    more: Mapping[str, str] = field(default_factory=dict)
    with_alarms: bool = True

    def run(self, only: str | None = None) -> None:
        """Deploy to every region, or to one alone; the global stack comes first in any case.

        Raises: Refused before anything is changed; StackFailed.
        """
        account = self.check()
        if only not in (None, self.system.first) and self._deployed_secret() is None:
            # Or two first deployments at once could each have a secret of their own.
            raise Refused(f"{self.system.first} must be deployed to before {only}")
        secret = self._secret()
        self.deploy_global()
        for region in self.system.regions:
            if only is None or region == only:
                self.deploy_region(region, account=account, secret=secret)

    def check(self) -> str:
        """Find out what would fail. Returns: the account. Raises: Refused."""
        account = account_of(self.system, self.clients)
        self._check_tables()
        return account

    def deploy_global(self) -> None:
        """Make or change the global tables' stack, in the first region."""
        self._put(
            self.system.first,
            GLOBAL_STACK,
            template=template_of("global.yaml"),
            parameters=global_parameters(self.system),
        )

    def deploy_region(self, region: str, *, account: str, secret: str) -> None:
        """Make or change a region's stacks."""
        code = upload_code(self.clients("s3", region), self.code, region=region, account=account)
        first = region == self.system.first
        key = Stack(self.clients("cloudformation", self.system.first), GLOBAL_STACK).outputs()
        self._put(
            region,
            REGION_STACK,
            template=template_of("region.yaml"),
            parameters={
                **region_parameters(self.system),
                **states_parameters(self.system, region),
                **code,
                "Secret": secret,
                "EventsStreamArn": stream_of(self.clients("dynamodb", region)),
                "PersonalKeyArn": "" if first else key["PersonalKeyArn"],
                **self.more,
            },
        )
        if not self.with_alarms:
            return
        topic = self.system.alarm_topics.get(region, "")
        self._put(
            region,
            ALARMS_STACK,
            template=template_of("alarms.yaml"),
            parameters={**self.system.alarms, "AlarmTopicArn": topic},
        )

    def _put(
        self, region: str, name: str, *, template: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> None:
        stack = Stack(self.clients("cloudformation", region), name, pause_s=self.pause_s)
        changed = stack.put(template, parameters, progress=self.progress)
        self.progress(f"stack {name} in {region}: {'done' if changed else 'nothing to change'}")

    def _check_tables(self) -> None:
        """Refuse what a global table that is there can never become."""
        try:
            found = self.clients("dynamodb", self.system.first).describe_table(
                TableName=EVENTS_TABLE
            )["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return
            raise
        mode = str(found.get("MultiRegionConsistency", "EVENTUAL"))
        if mode != self.system.mode.upper():
            raise Refused(
                f"{EVENTS_TABLE} is there and {mode}; DynamoDB never changes the mode of a table. "
                "Back it up and restore it into a new deployment, as docs/OPERATIONS.md says"
            )
        replicas = {one["RegionName"] for one in found.get("Replicas", [])} | {self.system.first}
        if replicas != {self.system.first} and replicas != set(self.system.regions):
            raise Refused(
                f"{EVENTS_TABLE} has replicas in {', '.join(sorted(replicas))}; DynamoDB adds none "
                "to a strong table and takes none away. To leave a region out, drain it; to have "
                "others, back up and restore into a new deployment (docs/DEPLOY.md)"
            )

    def _secret(self) -> str:
        """Return the secret; one that is deployed is never exchanged. Raises: Refused."""
        file, deployed = self.system.secret_file, self._deployed_secret()
        try:
            secret = secret_in(file, make=deployed is None)
        except FileNotFoundError:
            return deployed or ""
        except (OSError, ValueError) as error:
            raise Refused(f"the secret in {file} cannot be read or made: {error}") from error
        if deployed is not None and secret != deployed:
            raise Refused(
                f"{file} holds another secret than what is deployed: no aggregate would be found "
                "again, and duplicates would be decided anew"
            )
        return secret

    def _deployed_secret(self) -> str | None:
        for region in self.system.regions:
            try:
                found = self.clients("lambda", region).get_function_configuration(
                    FunctionName=A_FUNCTION
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
            else:
                return str(found["Environment"]["Variables"]["ANTIPHON_SECRET"])
        return None


def account_of(system: System, clients: Clients) -> str:
    """Return the account that the credentials are of, in every region. Raises: Refused."""
    accounts = {region: _account(clients, region) for region in system.regions}
    if len(set(accounts.values())) != 1:
        raise Refused(f"the credentials are of different accounts: {accounts}")
    return accounts[system.first]


def _account(clients: Clients, region: str) -> str:
    try:
        return str(clients("sts", region).get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"no credentials that {region} takes: {error}. Set AWS_PROFILE or sign in; a "
            "region that is off by default must be switched on in the account first"
        ) from error


def upload_code(s3: Any, code: bytes, *, region: str, account: str) -> dict[str, str]:
    """Put the package where Lambda takes it from, under a name of its content.

    Older ones stay, so that a stack can roll back to them.

    Returns: the parameters of the region's stack that say where.
    """
    bucket = f"antiphon-code-{account}-{region}"
    location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        # us-east-1 is the one region that may not be named as a location.
        s3.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else location))
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
    key = f"functions/{hashlib.sha256(code).hexdigest()}.zip"
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
        s3.put_object(Bucket=bucket, Key=key, Body=code)
    return {"CodeBucket": bucket, "CodeKey": key}


def stream_of(dynamodb: Any) -> str:
    """Return the ARN of the stream of a region's own replica of the log."""
    return str(dynamodb.describe_table(TableName=EVENTS_TABLE)["Table"]["LatestStreamArn"])
