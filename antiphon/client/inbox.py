"""Which answers were worked on already: an inbox, kept in the producer's own database.

Queues deliver at least once, and an answer keeps its `answer_id` however often it comes. Noting
the id in the same transaction as what the answer leads to makes the effect happen once.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

S_PER_DAY = 86_400


class Inbox(Protocol):
    """Answers by id, noted together with what they lead to."""

    def once(self, answer_id: str) -> AbstractContextManager[bool]:
        """Open a transaction that notes the id; give whether it is new.

        What is done within, in the same database, is kept with the note, or neither is: an
        error within takes both back.
        """
        ...


class SqliteInbox:
    """An inbox in the producer's SQLite database.

    Args:
        connection: the one that the producer writes with while it handles an answer; it must
            not be in a transaction of its own then.

    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        with connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS antiphon_inbox"
                " (answer_id TEXT PRIMARY KEY, noted_at INTEGER NOT NULL) WITHOUT ROWID"
            )

    @contextmanager
    def once(self, answer_id: str) -> Iterator[bool]:
        """Open a transaction that notes the id; give whether it is new."""
        # IMMEDIATE: of two consumers with one id the second waits for the first's outcome.
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            noted = self._connection.execute(
                "INSERT OR IGNORE INTO antiphon_inbox VALUES (?, ?)", (answer_id, int(time.time()))
            )
            yield noted.rowcount == 1

    def prune(self, *, days: int = 30) -> None:
        """Forget ids that are older than this; queues keep a message for 14 days at the most."""
        with self._connection:
            self._connection.execute(
                "DELETE FROM antiphon_inbox WHERE noted_at < ?",
                (int(time.time()) - days * S_PER_DAY,),
            )
