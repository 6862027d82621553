"""Deploy the templates of infra/sam to the engines, as they are.

What AWS would get is what the engines get: the package goes to S3, the stacks
are made by CloudFormation from the files. Only the parameters are local: the
stream mapping is off, because the WAN dispatches the streams. Settings that the
templates leave at their defaults may be given besides.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

from infra.local.children import EngineFailed
from infra.local.engines import ACCOUNT, Engine

_PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = _PROJECT / "infra" / "sam"
# What Lambda ships; dependencies are the environment's own here.
PACKAGES = ("domain", "eventstore", "projections", "handlers")

GLOBAL_STACK = "antiphon-global"
REGION_STACK = "antiphon-region"
PERSONAL_KEY = "alias/antiphon-personal"
_CODE_KEY = "antiphon.zip"
_STACK_TIMEOUT_S = 60.0
_STACK_PAUSE_S = 0.05


class Deployment:
    """Puts one engine's stacks in place."""

    def __init__(self, engine: Engine) -> None:
        self._region = engine.region
        self._url = engine.url
        self._session = Session(
            aws_access_key_id="antiphon",
            aws_secret_access_key="local",  # noqa: S106 - protects nothing: engines check no signature
            region_name=engine.region,
        )

    def deploy_global(self, regions: Sequence[str], *, mode: str) -> None:
        """Make the global tables' stack, which owns the replicas of all regions."""
        others = [region for region in regions if region != self._region]
        second, third = [*others, "", ""][:2]
        self._create_stack(
            GLOBAL_STACK,
            template=(TEMPLATES / "global.yaml").read_text(),
            parameters={
                "FirstRegion": self._region,
                "SecondRegion": second,
                "ThirdRegion": third,
                "MultiRegionConsistency": mode.upper(),
            },
        )

    def make_personal_key(self) -> None:
        """Make the global stack's multi-Region key in the engine that all regions share."""
        kms = self._client("kms")
        key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=PERSONAL_KEY, TargetKeyId=key)

    def deploy_region(
        self,
        regions: Sequence[str],
        *,
        mode: str,
        secret: str,
        generation: int,
        access: Mapping[str, str],
        code: bytes,
        settings: Mapping[str, str],
    ) -> None:
        """Upload the package and make the region's stack, its functions with these settings too.

        Args:
            access: the parameters that say who may call its HTTP API, and what.

        """
        bucket = f"antiphon-code-{ACCOUNT}-{self._region}"
        s3 = self._client("s3")
        location = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        # us-east-1 is the one region that may not be named as a location.
        s3.create_bucket(Bucket=bucket, **({} if self._region == "us-east-1" else location))
        s3.put_object(Bucket=bucket, Key=_CODE_KEY, Body=code)
        table = self._client("dynamodb").describe_table(TableName="antiphon-events")["Table"]
        self._create_stack(
            REGION_STACK,
            template=_with_settings("region.yaml", settings),
            parameters={
                "Regions": ",".join(regions),
                "Mode": mode.upper(),
                "EventsStreamArn": table["LatestStreamArn"],
                "CodeBucket": bucket,
                "CodeKey": _CODE_KEY,
                "Secret": secret,
                "Generation": str(generation),
                "StreamMappingEnabled": "false",
                **access,
            },
        )

        self._switch_off_stream_mappings()

    def _switch_off_stream_mappings(self) -> None:
        """Say through Lambda's API too that the stack's stream mappings are off.

        The template did, and the engine's CloudFormation obeys; but it shows
        the mapping as enabled all the same, and the WAN goes by what is shown.
        """
        client = self._client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            if ":dynamodb:" in mapping["EventSourceArn"]:
                client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    def _client(self, service: str) -> Any:
        # The stubs know a client only by a literal name, which this is not.
        return self._session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self._url,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

    def _create_stack(self, name: str, *, template: str, parameters: Mapping[str, str]) -> None:
        cloudformation = self._client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=template,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        deadline = time.monotonic() + _STACK_TIMEOUT_S
        while True:
            stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            status = stack["StackStatus"]
            if status == "CREATE_COMPLETE":
                return
            if status != "CREATE_IN_PROGRESS":
                raise EngineFailed(self._reason(cloudformation, name, status))
            if time.monotonic() > deadline:
                raise EngineFailed(
                    f"stack {name} in {self._region} is not complete after {_STACK_TIMEOUT_S:.0f} s"
                )
            time.sleep(_STACK_PAUSE_S)

    def _reason(self, cloudformation: Any, name: str, status: str) -> str:
        """The first resource that failed, in CloudFormation's own words."""
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        first = min(failed, key=lambda event: event["Timestamp"], default=None)
        why = (
            f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason')}"
            if first
            else "no resource says why"
        )
        return f"stack {name} in {self._region} ended as {status}: {why}"


def checkout() -> bytes:
    """Zip this checkout's part of what Lambda ships: functions run from the checkout itself."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for name in PACKAGES:
            for file in sorted((_PROJECT / name).rglob("*")):
                if file.suffix in {".py", ".typed"}:
                    entry = zipfile.ZipInfo(file.relative_to(_PROJECT).as_posix())
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    into.writestr(entry, file.read_bytes())
    return archive.getvalue()


def function_names() -> tuple[str, ...]:
    """The functions that region.yaml declares, so that the engine knows where to send them."""
    return tuple(
        resource["Properties"]["FunctionName"]
        for resource in _resources("region.yaml")
        if resource["Type"] == "AWS::Serverless::Function"
    )


def _with_settings(template: str, settings: Mapping[str, str]) -> str:
    """Return a template as it is, or with more settings of every function."""
    text = (TEMPLATES / template).read_text()
    if not settings:
        return text
    parsed = yaml_parse(text)
    parsed["Globals"]["Function"]["Environment"]["Variables"] |= settings
    return json.dumps(parsed)


def _resources(template: str) -> list[dict[str, Any]]:
    parsed = yaml_parse((TEMPLATES / template).read_text())
    return list(parsed["Resources"].values())
