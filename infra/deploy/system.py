"""What is to be deployed, as its file says; refused here is what AWS would never take.

Values and rules only: nothing here calls anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from infra.deploy.stacks import template_of
from infra.deploy.states import MEMBERS, MOST_REGIONS, by_continent, states_in, table_regions

# Of the developer guide, "How DynamoDB global tables work", 2026-11: the three sets in which
# strong tables began, any three of which may go together since, and Mumbai.
STRONG_REGIONS = frozenset(
    {
        "us-east-1", "us-east-2", "us-west-2",
        "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1",
        "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
        "ap-south-1",
    }
)  # fmt: skip
# What deploying finds out itself, or has a place of its own for.
_OWN_PARAMETERS = frozenset(
    {
        "Regions", "Extensions", "EventsStreamArn", "CodeBucket", "CodeKey", "Secret", "Generation",
        "PersonalKeyArn", "Mode", "StatesIn", "Architecture", "AlarmTopicArn",
    }
)  # fmt: skip


def _as_text(value: Any) -> Any:
    """YAML reads 30 and true as what they look like; CloudFormation's parameters are text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


_Text = Annotated[str, BeforeValidator(_as_text)]


class Refused(Exception):
    """What is asked for cannot be; says why. Nothing was made or changed."""


class System(BaseModel):
    """A deployment.

    Attributes:
        regions: those with functions and a replica; the global stack is in the first, and of more
            than three the first three have the regions' states and the keys.
        witness: a region that holds only what a strong table needs to agree, in place of a third.
        secret_file: holds what identifiers are keyed with; made at the first deployment.
        include: directories of modules that go into the functions' package besides Antiphon's.
        extensions: the modules in it that register.
        parameters: of infra/sam/region.yaml, the same in every region.
        alarms: parameters of infra/sam/alarms.yaml.
        alarm_topics: the SNS topic that is told of alarms, by region.
        states_near: whom a region that has no states and keys of its own asks for them first; one
            of the same continent if left out.
        also_strong: regions that strong tables may be in and that this version does not know of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: tuple[str, ...]
    mode: Literal["strong", "eventual"] = "strong"
    witness: str | None = None
    architecture: Literal["arm64", "x86_64"] = "arm64"
    generation: Annotated[int, Field(ge=1, le=10_000)] = 1
    secret_file: Path = Path("antiphon.secret")
    include: tuple[Path, ...] = ()
    extensions: tuple[str, ...] = ()
    parameters: dict[str, _Text] = {}
    alarms: dict[str, _Text] = {}
    alarm_topics: dict[str, str] = {}
    states_near: dict[str, str] = {}
    also_strong: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The region of the global stack."""
        return self.regions[0]

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        members = [*self.regions, *([self.witness] if self.witness else [])]
        if len(set(members)) != len(members):
            raise ValueError(f"a region is named twice: {', '.join(members)}")
        if why := _why_not_so_many(len(self.regions), self.witness, mode=self.mode):
            raise ValueError(why)
        # Of more regions the others need no strong table of their own.
        strong = members[:MEMBERS]
        unknown = [name for name in strong if name not in STRONG_REGIONS | set(self.also_strong)]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: DynamoDB is not known to have strongly consistent global "
                "tables there, which the regions' states need in either mode. Known are "
                f"{', '.join(sorted(STRONG_REGIONS))}; one that was added since may be named "
                "under also_strong"
            )
        self._check_states_near()
        if strangers := sorted(self.alarm_topics.keys() - set(self.regions)):
            raise ValueError(f"alarm_topics names {', '.join(strangers)}, which is not deployed to")
        _check_parameters("region.yaml", self.parameters, under="parameters")
        _check_parameters("alarms.yaml", self.alarms, under="alarms")
        return self

    def _check_states_near(self) -> None:
        have, ask = self.regions[:MEMBERS], set(self.regions[MEMBERS:])
        for region, near in self.states_near.items():
            if region not in ask or near not in have:
                others = ", ".join(sorted(ask)) or "no region: all have their own"
                raise ValueError(
                    f"states_near: {region}: {near}: it says of {others}, "
                    f"which of {', '.join(have)} it asks first"
                )


def system_of(file: Path) -> System:
    """Read a deployment's file; its paths are seen from where it is. Raises: Refused."""
    try:
        told = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"{file} cannot be read: {error}") from error
    try:
        system = System.model_validate(told)
    except ValidationError as error:
        raise Refused(f"{file}: {_sentences(error)}") from error
    here = file.resolve().parent
    return system.model_copy(
        update={
            "secret_file": here / system.secret_file,
            "include": tuple(here / directory for directory in system.include),
        }
    )


def global_parameters(system: System) -> dict[str, str]:
    """Return the parameters of infra/sam/global.yaml."""
    return table_regions(system.regions, witness=system.witness, mode=system.mode)


def region_parameters(system: System) -> dict[str, str]:
    """Return the parameters of infra/sam/region.yaml that are the same in every region."""
    return {
        "Regions": ",".join(system.regions),
        "Mode": system.mode.upper(),
        "Generation": str(system.generation),
        "Extensions": ",".join(system.extensions),
        "Architecture": system.architecture,
        **system.parameters,
    }


def states_parameters(system: System, region: str) -> dict[str, str]:
    """Return the parameters of infra/sam/region.yaml that say whom a region asks for states."""
    near = system.states_near.get(region)

    def distance(here: str, there: str) -> float:
        return -1.0 if there == near else by_continent(here, there)

    return {"StatesIn": ",".join(states_in(system.regions, region, distance=distance))}


def _why_not_so_many(regions: int, witness: str | None, *, mode: str) -> str | None:
    """Return why there cannot be so many regions; None if there can."""
    if regions == MEMBERS - 1 and witness is not None:
        return None
    if witness is None and (
        regions == MEMBERS or (mode == "eventual" and MEMBERS < regions <= MOST_REGIONS)
    ):
        return None
    if witness is None and regions == MEMBERS - 1:
        return (
            "two regions alone cannot agree while one is away: name a third region, or a witness, "
            "which has no functions and holds nothing that can be read"
        )
    told = f"{regions} regions" + (" and a witness" if witness else "")
    return (
        f"{told}: a strongly consistent global table has three replicas, or two and a witness, "
        "and the regions' states are in one in either mode; only with mode eventual are there "
        f"more regions, {MOST_REGIONS} at most and without a witness"
    )


def _check_parameters(template: str, given: Mapping[str, str], *, under: str) -> None:
    known = template_of(template)["Parameters"].keys() - _OWN_PARAMETERS
    if wrong := sorted(given.keys() - known):
        raise ValueError(
            f"{under}: {', '.join(wrong)} cannot be set; there are {', '.join(sorted(known))}"
        )


def _sentences(error: ValidationError) -> str:
    return "; ".join(
        ".".join(str(part) for part in one["loc"]) + (": " if one["loc"] else "") + one["msg"]
        for one in error.errors()
    ).replace("Value error, ", "")
