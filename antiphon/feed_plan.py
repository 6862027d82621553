"""From the lines of a feed to what is sent where and when.

One subject's lines keep their order; lines of one burst, and one line for several regions,
are sent at the same moment. The same lines, regions and seed always give the same plan.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import orjson

from antiphon.feeds.lines import BadFeed, FeedLine, bundled_feed, read_feed
from antiphon.player import Delivery, Step, Subject
from antiphon.problems import Problem


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A feed ready to be played: its subjects, and how many distinct commands they hold."""

    subjects: Sequence[Subject]
    commands: int

    @property
    def title(self) -> str:
        """What is played, in a few words."""
        deliveries = sum(len(step) for subject in self.subjects for step in subject)
        repeats = deliveries - self.commands
        and_repeats = f" and {repeats} duplicates" if repeats else ""
        return f"{self.commands} commands{and_repeats} for {len(self.subjects)} subjects"


def bundled_lines() -> list[FeedLine]:
    """The feed that comes with Antiphon."""
    return list(bundled_feed())


def lines_of_file(file: Path) -> list[FeedLine]:
    """Read a feed from a file; raises Problem, naming the line, if it cannot be played."""
    try:
        lines = list(read_feed(file.read_bytes().splitlines()))
    except OSError as error:
        raise Problem(f"cannot read {file}: {error.strerror}") from error
    except BadFeed as error:
        raise Problem(f"{file}: {error}") from error
    if not lines:
        raise Problem(f"{file} holds no commands")
    return lines


def plan_feed(
    lines: Iterable[FeedLine],
    *,
    regions: Sequence[str],
    spread: bool = True,
    duplicates: float = 0.0,
    seed: int = 1,
) -> Plan:
    """Say what is sent where, in which order and what of it together.

    Args:
        lines: the feed, in its order.
        regions: the region list; lines name places in it, counted round if it is short.
        spread: False sends everything to the first region.
        duplicates: the share of lines for one region that also goes to another one, 0 to 1.
        seed: decides which.

    """
    chance = random.Random(seed)  # noqa: S311 - a test feed, to be repeatable
    by_subject: dict[str, list[FeedLine]] = defaultdict(list)
    for line in lines:
        by_subject[line.subject].append(line)
    subjects = []
    keys = set()
    for of_subject in by_subject.values():
        subject = []
        for together in _bursts(of_subject):
            step: Step = tuple(
                delivery
                for line in together
                for delivery in _deliveries(line, regions if spread else regions[:1])
            )
            if len(step) == 1 and len(regions) > 1 and chance.random() < duplicates:
                elsewhere = chance.choice([r for r in regions if r != step[0].region])
                step = (step[0], replace(step[0], region=elsewhere))
            subject.append(step)
            keys |= {delivery.key for delivery in step}
        subjects.append(subject)
    return Plan(subjects=subjects, commands=len(keys))


def _bursts(lines: Iterable[FeedLine]) -> Iterator[list[FeedLine]]:
    """Yield the lines of one subject, those of one burst together."""
    numbered = enumerate(lines)
    # A line without a burst is alone, so it is grouped by its own number.
    for _, group in groupby(
        numbered, key=lambda one: (one[1].burst, one[1].burst is None and one[0])
    ):
        yield [line for _, line in group]


def _deliveries(line: FeedLine, regions: Sequence[str]) -> Iterator[Delivery]:
    """Yield one delivery for each region that a line goes to."""
    for region in dict.fromkeys(regions[place % len(regions)] for place in line.regions):
        yield Delivery(
            key=_key(line),
            type=line.command.type,
            command_id=line.command.command_id,
            region=region,
            body=line.body(),
            path=_path(line),
            expect=frozenset(line.expect),
            idempotency_key=line.idempotency_key,
        )


def _key(line: FeedLine) -> str:
    """What makes two lines the same command: what the event store's tokens are made of."""
    command = line.command.model_dump(exclude={"occurred_at"})
    if line.idempotency_key is not None:
        command["command_id"] = f"key:{line.idempotency_key}"
    return orjson.dumps([line.subject, command], option=orjson.OPT_SORT_KEYS).decode()


def _path(line: FeedLine) -> str:
    """Where the subject of a line is read."""
    kind = "network-elements" if "element_id" in line.command.data else "subscribers"
    return f"/{kind}/{quote(line.subject, safe='')}"
