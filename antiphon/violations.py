"""One thing that is not as Antiphon promises: what, where, which key."""

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
