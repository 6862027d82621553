"""A scenario: which faults begin when, and for how long, read from a YAML file.

Every mistake is told with its file, line and reason before anything is started. Reads and
checks only; `scenario_player` has it happen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from antiphon.problems import Problem
from infra.local.actions import NAMES, Action, Calm, Kill, Start, read_action, reasons, told

SHIPPED = resources.files("antiphon") / "scenarios"
SUFFIX = ".yaml"
EXAMPLE = "{at: 5s, action: cut, a: us-east-1, for: 10s}"
MAX_S = 86_400
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|)")
_DEFAULT_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happens, so many seconds after the scenario begins."""

    at_s: float
    action: Action
    line: int

    def __str__(self) -> str:
        return told(self.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that happens, in the order of time; `seed` is of the chance by which it does."""

    name: str
    moments: tuple[Moment, ...]
    seed: int = _DEFAULT_SEED

    @property
    def ends_s(self) -> float:
        """When the last thing happens."""
        return self.moments[-1].at_s if self.moments else 0.0


def shipped() -> list[str]:
    """The names of the scenarios that come with Antiphon."""
    names = (entry.name for entry in SHIPPED.iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


def load(name: str, *, regions: Sequence[str]) -> Scenario:
    """Read a file, or the scenario of this name that comes with Antiphon.

    Raises Problem with the file, the line and the reason of a mistake.
    """
    path = Path(name)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(f"{name}: cannot be read: {error}") from error
    elif name in shipped():
        text = (SHIPPED / f"{name}{SUFFIX}").read_text(encoding="utf-8")
    else:
        raise Problem(
            f"there is no file {name}, nor a scenario of that name; "
            f"those that come with Antiphon: {', '.join(shipped())}"
        )
    return read(text, name=name, regions=regions)


def read(text: str, *, name: str, regions: Sequence[str]) -> Scenario:
    """Read a scenario from YAML. Raises Problem with the line and the reason of a mistake."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Problem(f"{name}:{line}: this is no YAML: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise Problem(f"{name}:1: this is no YAML: {error}") from error
    return _Reader(name=name, regions=tuple(regions)).scenario(root)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    name: str
    regions: tuple[str, ...]
    dead: set[str] = field(default_factory=set)

    def scenario(self, root: yaml.Node | None) -> Scenario:
        seed, steps = _DEFAULT_SEED, root
        if isinstance(root, yaml.MappingNode):
            entries = self._entries(root)
            if unknown := entries.keys() - {"seed", "steps"}:
                first = min(unknown, key=lambda key: _line(entries[key]))
                raise self._mistake(entries[first], f"{first}: a scenario has seed and steps")
            steps = entries.get("steps")
            seed = self._seed(entries["seed"]) if "seed" in entries else seed
        if not isinstance(steps, yaml.SequenceNode) or not steps.value:
            raise self._mistake(steps or root, f"there are no steps; a step is {EXAMPLE}")
        moments = sorted(
            (moment for step in steps.value for moment in self._moments(step)),
            key=lambda moment: moment.at_s,
        )
        self._check_lives(moments)
        return Scenario(name=self.name, moments=tuple(moments), seed=seed)

    def _moments(self, step: yaml.Node) -> Iterator[Moment]:
        """Yield what a step does, and what undoes it if it is for a time only."""
        if not isinstance(step, yaml.MappingNode):
            raise self._mistake(step, f"a step is {EXAMPLE}")
        entries = self._entries(step)
        if "at" not in entries:
            raise self._mistake(step, "at is missing: when the step happens, such as 5s")
        at_s = self._seconds(entries.pop("at"), "at")
        lasting = entries.pop("for", None)
        action = self._action(step, entries)
        yield Moment(at_s=at_s, action=action, line=_line(step))
        if lasting is None:
            return
        undo = action.undo()
        if undo is None:
            raise self._mistake(lasting, f"for: {action.action} does not last; leave it out")
        ends_s = at_s + self._seconds(lasting, "for")
        yield Moment(at_s=ends_s, action=undo, line=_line(step))

    def _action(self, step: yaml.Node, entries: Mapping[str, yaml.Node]) -> Action:
        content = {key: self._value(node) for key, node in entries.items()}
        kind = content.get("action")
        if kind not in NAMES:
            node = entries.get("action", step)
            said = "action is missing" if kind is None else f"there is no action {kind!r}"
            raise self._mistake(node, f"{said}; there are: {', '.join(NAMES)}")
        for key in ("a", "b", "region"):
            if key in content and content[key] not in self.regions:
                known = ", ".join(self.regions)
                raise self._mistake(entries[key], f"no region {content[key]}; there are {known}")
        if content.get("a") is not None and content.get("a") == content.get("b"):
            raise self._mistake(entries["b"], f"{content['a']} has no link to itself")
        try:
            return read_action(content)
        except ValidationError as error:
            at = next((str(part) for part in error.errors()[0]["loc"] if part in entries), "")
            raise self._mistake(entries.get(at, step), "; ".join(reasons(error))) from error

    def _check_lives(self, moments: Iterable[Moment]) -> None:
        """Raise Problem for a region that is killed when dead, or started when alive."""
        for moment in moments:
            match moment.action:
                case Kill(region=region) if region in self.dead:
                    raise self._at(moment.line, f"{region} is killed already at {moment.at_s:g} s")
                case Start(region=region) if region not in self.dead:
                    raise self._at(moment.line, f"{region} is not killed at {moment.at_s:g} s")
                case Kill(region=region):
                    self.dead.add(region)
                case Start(region=region):
                    self.dead.discard(region)
                case Calm():
                    self.dead.clear()

    def _entries(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._mistake(
                    key, f"a name is expected before the colon; a step is {EXAMPLE}"
                )
            if key.value in entries:
                raise self._mistake(key, f"{key.value} is given twice")
            entries[key.value] = value
        return entries

    def _value(self, node: yaml.Node) -> Any:
        try:
            return yaml.safe_load(yaml.serialize(node, Dumper=yaml.SafeDumper))
        except (yaml.YAMLError, ValueError, AttributeError) as error:
            # The last two from values that are no date or number, though they claim to be.
            raise self._mistake(node, f"this cannot be read: {error}") from error

    def _seconds(self, node: yaml.Node, what: str) -> float:
        text = str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""
        found = _DURATION.fullmatch(text)
        seconds = float(found[1]) * _UNITS[found[2]] if found else MAX_S + 1
        if seconds > MAX_S:
            raise self._mistake(node, f"{what}: a time is such as 5s, 500ms or 2m, not {text!r}")
        return seconds

    def _seed(self, node: yaml.Node) -> int:
        seed = self._value(node)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise self._mistake(node, "seed: it must be a whole number")
        return seed

    def _mistake(self, node: yaml.Node | None, why: str) -> Problem:
        return self._at(1 if node is None else _line(node), why)

    def _at(self, line: int, why: str) -> Problem:
        return Problem(f"{self.name}:{line}: {why}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
