"""Deploy the templates of infra/sam to the engines, as they are.

What AWS would get is what the engines get, by the code that would bring it there: the
package goes to S3, the stacks are made by CloudFormation. Only the parameters are local: the
stream mapping is off, because the WAN dispatches the streams. Settings that the
templates leave at their defaults may be given besides.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from boto3.session import Session
from botocore.config import Config

from infra.deploy.package import PACKAGES, PROJECT
from infra.deploy.rollout import GLOBAL_STACK, PERSONAL_KEY, REGION_STACK, stream_of, upload_code
from infra.deploy.stacks import Stack, StackFailed, template_of
from infra.deploy.states import states_in, table_regions
from infra.local.children import EngineFailed
from infra.local.engines import ACCOUNT, Engine
from infra.local.replication import round_trip_ms

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

    def deploy_global(self, regions: Sequence[str], *, witness: str | None, mode: str) -> None:
        """Make the global tables' stack, which owns the replicas of all regions."""
        self._put(
            GLOBAL_STACK,
            template=template_of("global.yaml"),
            parameters=table_regions(regions, witness=witness, mode=mode),
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
        code_at = upload_code(self._client("s3"), code, region=self._region, account=ACCOUNT)
        self._put(
            REGION_STACK,
            template=_with_settings(template_of("region.yaml"), settings),
            parameters={
                "Regions": ",".join(regions),
                "Mode": mode.upper(),
                "StatesIn": ",".join(states_in(regions, self._region, distance=round_trip_ms)),
                "EventsStreamArn": stream_of(self._client("dynamodb")),
                **code_at,
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

    def _put(
        self, name: str, *, template: Mapping[str, Any], parameters: Mapping[str, str]
    ) -> None:
        stack = Stack(
            self._client("cloudformation"), name, pause_s=_STACK_PAUSE_S, timeout_s=_STACK_TIMEOUT_S
        )
        try:
            stack.put(template, parameters)
        except StackFailed as error:
            raise EngineFailed(str(error)) from error


def checkout() -> bytes:
    """Zip this checkout's part of what Lambda ships: functions run from the checkout itself."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for name in PACKAGES:
            for file in sorted((PROJECT / name).rglob("*")):
                if file.suffix in {".py", ".typed"}:
                    entry = zipfile.ZipInfo(file.relative_to(PROJECT).as_posix())
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    into.writestr(entry, file.read_bytes())
    return archive.getvalue()


def function_names() -> tuple[str, ...]:
    """The functions that region.yaml declares, so that the engine knows where to send them."""
    return tuple(
        resource["Properties"]["FunctionName"]
        for resource in template_of("region.yaml")["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    )


def _with_settings(template: dict[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return a template with more settings of every function."""
    template["Globals"]["Function"]["Environment"]["Variables"] |= settings
    return template
