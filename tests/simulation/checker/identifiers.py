"""The identifiers of an installation, worked out anew from its secret and the documents.

The checker must not ask the code that it checks who is who. The forms are permanent, so this
needs no change once it is right; that it is right, the histories of a sound system show.
"""

import base64
import hmac
from typing import Any

import orjson

EPOCH_SPAN = 10**12
_PURPOSES = ("aggregate", "token", "content", "answer", "index", "mac")


class Identifiers:
    """Names aggregates, commands, answers, list keys and tokens as the system must."""

    def __init__(self, secret: str) -> None:
        self._keys = {
            purpose: hmac.digest(secret.encode(), b"antiphon:" + purpose.encode(), "sha256")
            for purpose in _PURPOSES
        }

    def aggregate_id(self, tag: str, natural_key: str) -> str:
        return f"{tag}.{_letters(self._hash('aggregate', tag, natural_key))}"

    def key_token(self, *, producer: str, aggregate: str, key: str) -> bytes:
        return self._hash("token", "key", producer, aggregate, key)[:16]

    def content_token(
        self, *, producer: str, aggregate: str, command_id: str, kind: str, data: Any
    ) -> bytes:
        parts = ("content", producer, aggregate, command_id, kind, canonical(data))
        return self._hash("token", *parts)[:16]

    def content_hash(self, *, kind: str, data: Any, preconditions: Any) -> bytes:
        return self._hash("content", kind, canonical(data), canonical(preconditions))[:16]

    def answer_id(self, *, token: bytes, position: int, outcome: str) -> str:
        return _letters(self._hash("answer", token, str(position), outcome))

    def index_key(self, kind: str, value: str) -> str:
        return f"{kind}#{_letters(self._hash('index', kind, value))}"

    def consistency_token(self, aggregate: str, position: int, last: int) -> str:
        payload = f"1|{aggregate}|{position}|{last}".encode()
        raw = self._hash("mac", payload)[:16] + payload
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def read_token(self, text: str) -> tuple[str, int, int] | None:
        """Return (aggregate, position, last position), None for what was never issued here."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            _, aggregate, position, last = raw[16:].decode().split("|")
            named = (aggregate, int(position), int(last))
        except ValueError:
            return None
        return named if self.consistency_token(*named) == text else None

    def _hash(self, purpose: str, *parts: bytes | str) -> bytes:
        whole = bytearray()
        for part in parts:
            raw = part.encode() if isinstance(part, str) else part
            whole += len(raw).to_bytes(4, "big") + raw
        return hmac.digest(self._keys[purpose], whole, "sha256")


def canonical(value: Any) -> bytes:
    """Return the one spelling of a value: tells 1 from 1.0 and from true, too."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _letters(digest: bytes) -> str:
    return base64.b32encode(digest).decode().lower()[:26]
