"""botocore's descriptions of the services that functions call, read in a third of the time.

botocore looks through the folders of all its services, some four hundred, and keeps the order of
keys by a class of its own, before it makes a first client. The descriptions are the same ones,
found where botocore finds them: `AWS_DATA_PATH` and the user's own models hold as ever.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from botocore.loaders import JSONFileLoader, Loader, create_loader

if TYPE_CHECKING:
    from botocore.session import Session

# What clients can be made of; the lean ones stand on such clients too.
SERVICES = ("dynamodb", "events", "kms", "lambda", "s3", "sqs")

_READERS: dict[str, Callable[[bytes], bytes]] = {".json": bytes, ".json.gz": gzip.decompress}


class _Files(JSONFileLoader):  # type: ignore[misc,unused-ignore]
    """Reads a description; a dict keeps the order of its keys by itself."""

    def load_file(self, file_path: str) -> Any:
        for suffix, read in _READERS.items():
            file = Path(file_path + suffix)
            if file.is_file():
                return orjson.loads(read(file.read_bytes()))
        return None


class _OurServices(Loader):  # type: ignore[misc,unused-ignore]
    """Knows by name what others would be looked for."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - of every type
        return list(SERVICES)


def read_fast(session: "Session") -> None:
    """Have a session read descriptions this way, which then knows `SERVICES` only."""
    usual = create_loader(session.get_config_variable("data_path"))
    loader = _OurServices(
        extra_search_paths=usual.search_paths,
        file_loader=_Files(),
        include_default_search_paths=False,
    )
    session.register_component("data_loader", loader)
