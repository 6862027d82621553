"""The in-process DynamoDB as the simulation runs it, with what a replica and a verdict need."""

from collections.abc import Sequence

from tests.dynamodb import tables
from tests.dynamodb.in_process import Change, InProcessDynamoDB
from tests.dynamodb.values import Item


class Engine(InProcessDynamoDB):
    """A DynamoDB with tables as the templates declare them, under the names that they have there.

    Requests are taken as well-formed: the same code has them checked in the stores' contracts.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(trusting=True)
        for name in names:
            tables.create(self, name, name=f"antiphon-{name}")

    def key_names(self, table: str) -> tuple[str, ...]:
        """Return the attributes that make a table's key."""
        return self._tables[table].key.attributes

    def copy_in(self, change: Change) -> None:
        """Take over what changed in another engine, as a replica does."""
        self._tables[change.table].replace(change.old, change.new)

    def items(self, table: str) -> tuple[Item, ...]:
        """Return every item of a table, by key."""
        return tuple(self._tables[table].items.everything())

    def holds_index(self, table: str, index: str) -> bool:
        """Say whether any item of a table stands in one of its indexes."""
        return bool(self._tables[table].indexes[index])
