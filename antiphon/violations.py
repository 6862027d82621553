"""One thing that is not as Antiphon promises: what, where, which key; and one that is only late.

What is on its way is no violation, however long it takes while something stops it: it is told
as not settled, with what stops it.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["log", "view", "answer", "result", "stale"]


class Violation(BaseModel):
    """One broken promise.

    `where` is a region or "log"; `key` names the aggregate, commit, item or command it is
    about. Stale is a kind of its own: it is what Antiphon exists to prevent.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    where: str
    key: str
    text: str

    @property
    def line(self) -> str:
        """The violation on one line."""
        return f"{self.kind:<6}  {self.where:<14}  {self.key}: {self.text}"


class Unsettled(BaseModel):
    """Something that may be on its way still, and why it is thought to be."""

    model_config = ConfigDict(frozen=True)

    where: str
    key: str
    text: str
    because: str

    @property
    def line(self) -> str:
        """What lacks, on one line."""
        return f"{self.where:<14}  {self.key}: {self.text} ({self.because})"
