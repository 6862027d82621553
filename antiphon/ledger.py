"""What happened while a feed was played: sends, HTTP results, answers, reads with a token.

Kept in memory by one player, in one thread. It records and matches; whether what happened
was right is `judgement`'s to say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MS_PER_S = 1_000

# The detail types of the bus, by the outcome that HTTP told.
DETAIL_TYPES = {
    "accepted": "CommandAnswered",
    "rejected": "CommandRejected",
    "unchanged": "CommandUnchanged",
}
# Told of a command that a region had accepted when it was evicted: it has no effect that counts.
SUPERSEDED = "CommandSuperseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The final HTTP result of sending a command to one region, retries included.

    `outcome` is accepted, unchanged or rejected for what was recorded, else the code of the
    problem. `conflicts` counts the appends that lost against another writer, `sends` our
    requests.
    """

    region: str
    outcome: str
    commit: str | None = None
    sequence: int | None = None
    token: str | None = None
    duplicate: bool = False
    reason: str | None = None
    conflicts: int = 0
    sends: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One answer out of the mailbox of `region`; `at_s` None if it was told to an earlier play."""

    region: str
    at_s: float | None
    detail_type: str
    detail: Mapping[str, Any]

    @property
    def commit(self) -> str:
        """The commit that this answers, empty if the answer does not say."""
        command = self.detail.get("command")
        return str(command.get("commit", "")) if isinstance(command, Mapping) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRead:
    """A read in another region with the token of a command just accepted."""

    region: str
    status: int
    sequence: int
    applied_sequence: int | None


@dataclass(kw_only=True)
class Played:
    """One distinct command, with everything that came of it.

    Attributes:
        key: equal for equal commands.
        about: what reads its aggregate.
        superseded: its commits that were told to have no effect; it was sent again then.

    """

    key: str
    about: str
    type: str
    command_id: str
    expect: frozenset[str]
    first_sent_s: float | None = None
    receipts: list[Receipt] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    reads: list[TokenRead] = field(default_factory=list)
    superseded: set[str] = field(default_factory=set)

    @property
    def title(self) -> str:
        """How messages name this command: nothing personal in it."""
        return f"{self.type} {self.command_id}"

    @property
    def recorded(self) -> Receipt | None:
        """The first result that is a commit which counts."""
        return next((one for one in self.valid_receipts if one.commit is not None), None)

    @property
    def valid_receipts(self) -> list[Receipt]:
        """The results but for those that were superseded."""
        return [one for one in self.receipts if one.commit not in self.superseded]

    @property
    def latency_ms(self) -> float | None:
        """From the first send to the first arrival; None without both in this play."""
        arrived = self.arrivals[0].at_s if self.arrivals else None
        if arrived is None or self.first_sent_s is None:
            return None
        return (arrived - self.first_sent_s) * MS_PER_S


class Ledger:
    """Commands, results and answers, matched by commit in whichever order they come."""

    def __init__(self, *, on_answer: Callable[[Played], None] = lambda _played: None) -> None:
        """`on_answer` is told of each command once, when its first answer is matched."""
        # Told of each command whose commit was superseded, once for each such commit.
        self.on_superseded: Callable[[Played], None] = lambda _played: None
        self.commands: dict[str, Played] = {}
        self._by_commit: dict[str, Played] = {}
        self._early: dict[str, list[Arrival]] = {}
        self._unanswered: dict[str, Played] = {}
        self._on_answer = on_answer

    def command(
        self, key: str, *, about: str, type_: str, command_id: str, expect: frozenset[str]
    ) -> Played:
        """Return the command with this key: equal commands, played twice, are one."""
        return self.commands.setdefault(
            key, Played(key=key, about=about, type=type_, command_id=command_id, expect=expect)
        )

    def sent(self, played: Played, *, at_s: float) -> None:
        """Note when a command was first sent."""
        if played.first_sent_s is None:
            played.first_sent_s = at_s

    def received(self, played: Played, receipt: Receipt) -> None:
        """Note an HTTP result, and match the answers that were faster than it."""
        played.receipts.append(receipt)
        if receipt.commit is not None:
            owner = self._by_commit.setdefault(receipt.commit, played)
            if not owner.arrivals and receipt.commit not in owner.superseded:
                self._unanswered[receipt.commit] = owner
            for arrival in self._early.pop(receipt.commit, []):
                self._match(owner, arrival)

    def arrived(self, arrival: Arrival) -> None:
        """Note an answer, which may come before the HTTP result that names its commit."""
        played = self._by_commit.get(arrival.commit)
        if played is None:
            self._early.setdefault(arrival.commit, []).append(arrival)
        else:
            self._match(played, arrival)

    def _match(self, played: Played, arrival: Arrival) -> None:
        if arrival.detail_type == SUPERSEDED:
            self._unanswered.pop(arrival.commit, None)
            if arrival.commit not in played.superseded:
                played.superseded.add(arrival.commit)
                self.on_superseded(played)
            return
        played.arrivals.append(arrival)
        self._unanswered.pop(arrival.commit, None)
        if len(played.arrivals) == 1:
            self._on_answer(played)

    @property
    def unmatched(self) -> int:
        """How many answers came for commands that this play has no result of."""
        return sum(len(arrivals) for arrivals in self._early.values())

    @property
    def unanswered(self) -> list[Played]:
        """The commands whose commit has no answer yet."""
        return list(self._unanswered.values())
