"""The producers' client: send commands to any region, consume answers once.

Needs of the product only what it publishes, and may be shipped with producers.
"""

from antiphon.client.answers import Answers, NotAnAnswer
from antiphon.client.inbox import Inbox, SqliteInbox
from antiphon.client.producer import NotRecorded, Producer, Undecided
from antiphon.client.signing import BearerToken, IamSignature
from handlers.published import Answer, Problem, Reply

__all__ = [
    "Answer",
    "Answers",
    "BearerToken",
    "IamSignature",
    "Inbox",
    "NotAnAnswer",
    "NotRecorded",
    "Problem",
    "Producer",
    "Reply",
    "SqliteInbox",
    "Undecided",
]
