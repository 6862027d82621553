"""Keyed hashes: no IMSI, MSISDN or ICCID stands in a key, a token, a log line or a metric.

Every hash is an HMAC-SHA256 under a key of its own purpose, derived from one secret that all
regions share. Changing the secret, a purpose or a format orphans what is stored: they are
permanent. Without the secret an identifier cannot be found again by trying all numbers.
"""

import base64
import hmac
from typing import Any

import orjson

_HASH_BYTES = 16
_ID_CHARACTERS = 26
SECRET_MIN_BYTES = 16
_PURPOSES = ("aggregate", "token", "content", "answer", "index", "mac", "cursor", "letter")


def canonical_json(value: Any) -> bytes:
    """Return one byte form for equal values: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class Keys:
    """Make the identifiers and hashes of one installation from its secret.

    `generation` goes up when the log is restored to an earlier time: a consistency token from
    before may be of a commit that is not in the log any more, and whoever comes to stand in
    its place must not pass for it. Nothing else depends on it.
    """

    def __init__(self, secret: bytes, *, generation: int = 1) -> None:
        """Derive a key per purpose; raise ValueError if `secret` is under 16 bytes."""
        if len(secret) < SECRET_MIN_BYTES:
            raise ValueError(f"the secret has {len(secret)} bytes; it needs {SECRET_MIN_BYTES}")
        self.backup_key = hmac.digest(secret, b"antiphon:backup", "sha512")
        self._purpose_keys = {
            purpose: hmac.digest(secret, b"antiphon:" + purpose.encode(), "sha256")
            for purpose in _PURPOSES
        }
        if generation > 1:
            purpose = f"antiphon:mac:{generation}".encode()
            self._purpose_keys["mac"] = hmac.digest(secret, purpose, "sha256")

    def _digest(self, purpose: str, *parts: bytes) -> bytes:
        """Hash the parts, each behind its length, so that no two lists of parts collide."""
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        # In one call, which costs a tenth of a hash that is fed piece by piece.
        return hmac.digest(self._purpose_keys[purpose], message, "sha256")

    def aggregate_id(self, tag: str, natural_key: str) -> str:
        """Return `<tag>.<26 characters>`, the same in every region for one natural key."""
        digest = self._digest("aggregate", tag.encode(), natural_key.encode())
        return f"{tag}.{base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS]}"

    def client_key_token(self, *, producer: str, aggregate_id: str, key: str) -> bytes:
        """Return the idempotency token of an `Idempotency-Key`; its scope is the aggregate."""
        parts = (b"key", producer.encode(), aggregate_id.encode(), key.encode())
        return self._digest("token", *parts)[:_HASH_BYTES]

    def content_token(
        self, *, producer: str, aggregate_id: str, command_id: str, command_type: str, data: Any
    ) -> bytes:
        """Return the idempotency token of a command without a client key: its content."""
        head = (b"content", producer.encode(), aggregate_id.encode())
        rest = (command_id.encode(), command_type.encode(), canonical_json(data))
        return self._digest("token", *head, *rest)[:_HASH_BYTES]

    def content_hash(self, command_type: str, data: Any, preconditions: Any) -> bytes:
        """Return what tells a repeated command from another one under the same key."""
        parts = (command_type.encode(), canonical_json(data), canonical_json(preconditions))
        return self._digest("content", *parts)[:_HASH_BYTES]

    def answer_id(self, *, token: bytes, position: int, outcome: str) -> str:
        """Return the id of Event B: the same in whichever region, however often it is made."""
        digest = self._digest("answer", token, str(position).encode(), outcome.encode())
        return base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS]

    def index_key(self, kind: str, value: str) -> str:
        """Return the list key of a personal value, such as ("msisdn", "+49...")."""
        digest = self._digest("index", kind.encode(), value.encode())
        return f"{kind}#{base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS]}"

    def letter_key(self, *parts: str) -> str:
        """Return what names a dead letter by its content, the same whenever that fails again."""
        digest = self._digest("letter", *(part.encode() for part in parts))
        return base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS]

    @property
    def fingerprint(self) -> str:
        """Tell this secret from others, in any generation, and nothing else of it."""
        return self.letter_key("fingerprint of the secret")

    def seal(self, payload: bytes, *, purpose: str = "mac") -> str:
        """Return `payload` with its MAC, as URL-safe text.

        `purpose` is "mac" for consistency tokens, "cursor" for cursors: one is never the other.
        """
        mac = self._digest(purpose, payload)[:_HASH_BYTES]
        return base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    def unseal(self, text: str, *, purpose: str = "mac") -> bytes | None:
        """Return the payload that `seal` was given, or None if `text` is not its work."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        mac, payload = raw[:_HASH_BYTES], raw[_HASH_BYTES:]
        # The text must also be the one form that `seal` writes: base64 has spare bits.
        genuine = hmac.compare_digest(mac, self._digest(purpose, payload)[:_HASH_BYTES])
        return payload if genuine and self.seal(payload, purpose=purpose) == text else None
