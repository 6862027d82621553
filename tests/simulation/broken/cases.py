"""Broken runs: each alters the sound one in one thing, for one invariant to refuse.

`breaks` notes them; `test_invariants` tries them all.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.altered import records, with_record
from tests.simulation.history import History, Invoked, Returned
from tests.simulation.sound import ELEMENT, IMSI

SUBSCRIBER, NETWORK_ELEMENT = f"/subscribers/{IMSI}", f"/network-elements/{ELEMENT}"
Alter = Callable[[History], History]


@dataclass(frozen=True)
class Case:
    """A way to alter the sound run, and the invariant that must refuse what comes of it.

    `saying` is in the text of the violation: it is refused for the right reason.
    """

    invariant: str
    alter: Alter
    saying: str = ""

    @property
    def id(self) -> str:
        return f"{self.invariant}: {self.alter.__name__}"


CASES: list[Case] = []


def breaks(invariant: str, *, saying: str = "") -> Callable[[Alter], Alter]:
    """Say that the altered run must be refused by this invariant, in these words among others."""

    def note(alter: Alter) -> Alter:
        CASES.append(Case(invariant, alter, saying))
        return alter

    return note


def replies(history: History) -> list[Returned]:
    """Return the answers to commands, in order."""
    ops = {sent.op for sent in records(history, Invoked, kind="command")}
    return [answer for answer in records(history, Returned) if answer.op in ops]


def problem(status: int, code: str) -> str:
    """Return the body of a problem."""
    return json.dumps({"status": status, "code": code})


def conflict(history: History, number: int, *, after_ms: float) -> History:
    """Return the run in which a command is told a conflict, so long after it was sent."""
    answer = replies(history)[number]
    [sent] = records(history, Invoked, op=answer.op)
    body, at_ms = problem(409, "conflict"), sent.at_ms + after_ms
    return with_record(history, answer, status=409, body=body, at_ms=at_ms)
