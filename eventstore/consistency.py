"""Consistency tokens: what an accepted command returns, and what a reader asks for.

A token names one commit and carries a MAC, so nobody can make a reader wait for a commit
that never was. It holds no personal data: the aggregate id in it is a keyed hash.
"""

import re
from dataclasses import dataclass

from eventstore.chain import chain_after
from eventstore.commits import AGGREGATE_ID, EPOCH_SPAN, Commit
from eventstore.errors import InvalidToken, Superseded
from eventstore.identity import Keys
from eventstore.log import CommitLog

_VERSION = "1"
_MAX_LENGTH = 256
_PAYLOAD = re.compile(rf"{_VERSION}\|({AGGREGATE_ID})\|([0-9]{{1,18}})\|([0-9]{{1,18}})".encode())


@dataclass(frozen=True, slots=True)
class ConsistencyToken:
    """One commit of one aggregate: the positions of its first and its last event."""

    aggregate_id: str
    position: int
    last_position: int

    @property
    def sequence(self) -> int:
        return self.last_position % EPOCH_SPAN

    @property
    def commit_id(self) -> str:
        return f"{self.aggregate_id}.{self.position}"


def token_of(keys: Keys, commit: Commit) -> str:
    """Return the consistency token of a commit: the same text from every region."""
    return token_at(
        keys,
        aggregate_id=commit.aggregate_id,
        position=commit.position,
        last_position=commit.last_position,
    )


def token_at(keys: Keys, *, aggregate_id: str, position: int, last_position: int) -> str:
    """Return the token of a commit given by its positions."""
    return keys.seal(f"{_VERSION}|{aggregate_id}|{position}|{last_position}".encode())


def read_token(keys: Keys, text: str) -> ConsistencyToken:
    """Read a token.

    Raises:
        InvalidToken: it was not issued by this installation, or it is damaged.

    """
    payload = keys.unseal(text) if len(text) <= _MAX_LENGTH else None
    named = None if payload is None else _PAYLOAD.fullmatch(payload)
    if named is None:
        raise InvalidToken("the consistency token was not issued here, or it is damaged")
    aggregate_id, position, last_position = named.groups()
    return ConsistencyToken(aggregate_id.decode(), int(position), int(last_position))


def is_reached(token: ConsistencyToken, log: CommitLog, *, branches: bool) -> bool:
    """Say whether the commit of a token is in the log, read consistently.

    Args:
        token: of any aggregate.
        log: of this region.
        branches: whether commits may be superseded: in EVENTUAL mode.

    Raises:
        Superseded: it is there, and counts for nothing.

    """
    there = log.get(token.aggregate_id, token.position, consistent=True)
    if there is None or not branches:
        return there is not None
    chain = chain_after(0, list(log.read(token.aggregate_id, consistent=True)))
    if any(commit.position == token.position for commit in chain.superseded):
        raise Superseded("the commit that the token names was superseded")
    return True
