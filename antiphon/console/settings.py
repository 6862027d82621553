"""Where the console is and what it watches: handed over by whoever starts it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from antiphon.connection import HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The regions, in their order, and the ports that they are at."""

    regions: tuple[str, ...]
    base_port: int
    aws_port: int
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, handed: dict[str, Any]) -> Self:
        """Read what a process of the local regions was handed."""
        return cls(
            regions=tuple(handed["regions"]),
            base_port=int(handed["base_port"]),
            aws_port=int(handed["aws_port"]),
            key=handed.get("key"),
        )

    @property
    def operations(self) -> Sequence[str] | None:
        """The words before those of an operation: none, for a command finds the local regions."""
        return ()

    @property
    def aws_endpoint(self) -> str:
        """The address of the AWS endpoint, where the WAN's controls are too."""
        return f"http://{HOST}:{self.aws_port}"

    def url(self, region: str) -> str:
        """The address of a region's HTTP API."""
        return f"http://{HOST}:{self.base_port + 1 + self.regions.index(region)}"

    def credentials(self, _region: str, _method: str, _url: str, _body: bytes) -> dict[str, str]:
        """The headers that say to a region who asks; none where everyone may ask."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
