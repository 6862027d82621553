"""What a local run consists of, as the caller chooses it.

Values only: nothing here opens, starts or reads anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from handlers.access import name_of_key
from infra.deploy.states import MEMBERS, MOST_REGIONS

DEFAULT_REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """What to run, and where.

    Attributes:
        regions: two to five; three, or two and a witness, where the event table is strong.
        witness: a region without functions and without data that can be read, which takes part in
            writes of the strong tables in place of a third; named if there are two regions.
        mode: how the event table is replicated; the control table is always strong.
        wan: "realistic" has the round trips of `replication.ROUND_TRIPS_MS`, "none" has none.
        base_port: region number n, counted from 1, listens on base_port + n.
        aws_port: the AWS endpoint of the outside world, for all regions.
        seed: of the chance by which faults strike; the same seed, the same chances.
        directory: where the logs go, under `logs/<base_port>`.
        secret: what identifiers are keyed with; None makes a new one, and what was recorded
            under another is not found again.
        generation: one more after each restore of the log.
        development_key: what callers of the HTTP API must show as their bearer token; None lets
            everyone do everything.
        builder: "module:attribute" that makes a function's handler, called with
            the function's environment and its region.
        console: module of the process that serves the operators' console on the base port; none
            if left out.
        builder_path: further directories that `builder` may be imported from.
        package: the functions' package to run instead of this checkout, built for this machine.
        settings: variables of the functions' environment besides those of the template.
    """

    regions: tuple[str, ...] = DEFAULT_REGIONS
    witness: str | None = None
    mode: Literal["strong", "eventual"] = "strong"
    wan: Literal["realistic", "none"] = "realistic"
    base_port: int = 8100
    aws_port: int = 4566
    seed: int = 1
    directory: Path = Path(".antiphon")
    secret: str | None = field(default=None, repr=False)
    generation: int = 1
    development_key: str | None = field(default=None, repr=False)
    builder: str = "handlers.entry:build_handler"
    console: str | None = None
    builder_path: tuple[Path, ...] = ()
    package: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def access(self) -> dict[str, str]:
        """The parameters of the region's stack that say who may call, and what."""
        if self.development_key is None:
            return {"Authorization": "NONE"}
        developer = {name_of_key(self.development_key): ["read", "operate", "send:*", "as:*"]}
        return {"Authorization": "KEY", "Grants": json.dumps(developer)}

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.mode not in {"strong", "eventual"}:
            raise ValueError(f"there is no mode {self.mode!r}: it is 'strong' or 'eventual'")
        members = [*self.regions, *([self.witness] if self.witness else [])]
        if len(set(members)) != len(members):
            raise ValueError(f"a region is named twice: {', '.join(members)}")
        two = len(self.regions) == MEMBERS - 1
        most = MOST_REGIONS if self.mode == "eventual" else MEMBERS
        # In eventual mode, too: the control table is strongly consistent.
        if not MEMBERS - 1 <= len(self.regions) <= most or two != (self.witness is not None):
            raise ValueError(
                f"{MEMBERS} regions are needed, or two and a witness; in eventual mode there may "
                f"be {MOST_REGIONS}, without a witness: {', '.join(members)}"
            )
