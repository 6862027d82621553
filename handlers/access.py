"""Who may what: the caller of each request, by HTTP or by queue, and what it is granted.

The gateway proves who calls, by IAM or a JWT; SQS says who sent a message. Nothing is decided
and nothing read for a caller without a grant for it, and no command in another producer's name.
Under KEY, which is for development, the key that comes along is the caller. Never trust a
header here: whatever a caller can write itself says nothing about who it is.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from eventstore.requests import CommandRequest

Authorization = Literal["IAM", "JWT", "KEY", "NONE"]
# What a grant may say; docs/SECURITY.md lists it.
GRANT = r"read|operate|send:\*|send:[A-Za-z]+(\.\*)?|as:\*|as:[\x21-\x7e]{1,128}"
# In a token the grants stand among other scopes, as of the resource server `antiphon`.
SCOPE_PREFIX = "antiphon/"
_ROLE_SESSION = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d+):assumed-role/([^/]+)/")
_SCOPES = re.compile(r"[^\s,\[\]]+")


class Refused(ValueError):
    """A caller that is unknown, or not granted what it asks for: `code` is stable."""

    def __init__(self, code: Literal["unauthenticated", "forbidden"], detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by the name that grants know it by, and its grants.

    Attributes:
        own_name: the one producer in whose name it may send without a grant for that.

    """

    name: str
    grants: frozenset[str]
    own_name: str

    def check_reads(self) -> None:
        """Raise Refused unless it may ask queries."""
        if "read" not in self.grants:
            raise Refused("forbidden", f"{self.name} has no grant to read; it needs `read`")

    def check_operates(self) -> None:
        """Raise Refused unless it may see what a region owes and what lies there dead."""
        if "operate" not in self.grants:
            raise Refused("forbidden", f"{self.name} is no operator; it needs `operate`")

    def check_sends_any(self) -> None:
        """Raise Refused if it may send no command at all, whatever the body says."""
        if not any(grant.startswith("send:") for grant in self.grants):
            raise Refused("forbidden", f"{self.name} has no grant to send commands")

    def check_sends(self, request: "CommandRequest") -> None:
        """Raise Refused unless it may send this command, in the name of its producer."""
        command, aggregate = type(request.command).__name__, request.aggregate.name
        if self.grants.isdisjoint({"send:*", f"send:{command}", f"send:{aggregate}.*"}):
            raise Refused(
                "forbidden",
                f"{self.name} may not send {command}; it needs `send:{command}` "
                f"or `send:{aggregate}.*`",
            )
        named = request.producer
        if named != self.own_name and self.grants.isdisjoint({"as:*", f"as:{named}"}):
            raise Refused(
                "forbidden",
                f"{self.name} may not send in the name of another producer; "
                "send as yourself, or have an `as:` grant of that name",
            )


EVERYONE = Caller("everyone", frozenset({"read", "operate", "send:*", "as:*"}), own_name="")


class Access:
    """Knows the callers of one function.

    Args:
        kind: how callers are told apart; under NONE everyone may do everything.
        grants: by the caller's name. That is, under IAM, the ARN of a user, or of a role
            without its path; under JWT the token's `sub`; under KEY `key:` and the SHA-256 of
            the key; for messages, the unique id of a user or role (SQS's SenderId).
        replayer: the unique id of the role that replays dead letters, on an operator's order.

    """

    def __init__(
        self, kind: Authorization, grants: Mapping[str, Sequence[str]], *, replayer: str = ""
    ) -> None:
        self._kind = kind
        self._grants = {name: frozenset(words) for name, words in grants.items()}
        self._replayer = replayer

    def by_http(self, event: Mapping[str, Any]) -> Caller:
        """Return who makes a request.

        Raises:
            Refused: nobody has said who it is (`unauthenticated`).

        """
        proven = (event.get("requestContext") or {}).get("authorizer") or {}
        match self._kind:
            case "NONE":
                return EVERYONE
            case "IAM":
                name = _without_session(_text((proven.get("iam") or {}).get("userArn")))
                return self._known(name, own_name=name.rpartition("/")[2])
            case "JWT":
                claims = (proven.get("jwt") or {}).get("claims") or {}
                name = _text(claims.get("sub"))
                return self._known(name, own_name=name, more=_scopes(claims))
            case "KEY":
                name = _key_name(event.get("headers") or {})
                return self._known(name if name in self._grants else "", own_name="")

    def by_queue(self, message: Mapping[str, Any]) -> Caller:
        """Return who has sent a message, as SQS knows it.

        Raises:
            Refused: SQS does not say.

        """
        if self._kind in {"NONE", "KEY"}:
            # Under KEY, too: where keys are checked, as on the local regions, SQS knows nobody.
            return EVERYONE
        name = _text(message["attributes"].get("SenderId")).partition(":")[0]
        if name and name == self._replayer:
            # Its letter was a command that had come in, and who replays it is an operator.
            return EVERYONE
        return self._known(name, own_name=name)

    def _known(self, name: str, *, own_name: str, more: frozenset[str] = frozenset()) -> Caller:
        if not name:
            raise Refused("unauthenticated", "say who you are: see docs/SECURITY.md")
        return Caller(name, self._grants.get(name, frozenset()) | more, own_name)


def name_of_key(key: str) -> str:
    """Return the name that grants know the bearer of a development key by."""
    return f"key:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _key_name(headers: Mapping[str, str]) -> str:
    given = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
    scheme, _, key = given.partition(" ")
    return name_of_key(key.strip()) if scheme.lower() == "bearer" else ""


def _without_session(arn: str) -> str:
    """Return the role of a session, which is what is granted something; a user as it is."""
    session = _ROLE_SESSION.match(arn)
    if session is None:
        return arn
    return f"arn:{session['partition']}:iam::{session['account']}:role/{session[3]}"


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the grants among a token's scopes, which some issuers call `scp`."""
    told = f"{claims.get('scope') or ''} {claims.get('scp') or ''}"
    return frozenset(
        scope.removeprefix(SCOPE_PREFIX)
        for scope in _SCOPES.findall(told)
        if scope.startswith(SCOPE_PREFIX)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
