"""The cipher of personal data: what is sealed of a subject can be read only with its key.

AES-SIV, which needs no random number: the same text of the same place always makes the same
bytes, so that whatever is put twice is equal to itself. The place is part of the seal, so sealed
bytes moved to another subject, item or field cannot be opened. A destroyed key opens nothing.
"""

from collections.abc import Iterable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from eventstore.errors import CorruptLog
from eventstore.subject_keys import SubjectKeys

# Stands for a subject that cannot be told, such as that of a message that cannot be read.
UNKNOWN = "unknown"


class Cipher(Protocol):
    """Seals and opens what is personal of a subject: an aggregate, named by its id."""

    def covers(self, aggregate_id: str) -> bool:
        """Say whether anything of this aggregate is personal, and so sealed wherever it stands."""
        ...

    def seal(self, aggregate_id: str, clear: bytes, *, place: str) -> bytes:
        """Return `clear` so that only the subject's key opens it, and only at this place.

        Raises:
            SubjectForgotten: the key is destroyed; there is no way to keep `clear`.
            StoreUnavailable: the key cannot be had now.

        """
        ...

    def seal_derived(self, aggregate_id: str, clear: bytes, *, place: str) -> bytes | None:
        """Seal what was made of a subject's events; None if it can be kept as it is.

        That is where the subject has nothing personal, or no key: of whom nothing was ever sealed,
        nothing personal can have been read, unless it stands in the log in clear already.

        Raises:
            SubjectForgotten, StoreUnavailable: as `seal`.

        """
        ...

    def open(self, aggregate_id: str, sealed: bytes, *, place: str) -> bytes | None:
        """Return what was sealed at this place; None once the subject is forgotten.

        Raises:
            CorruptLog: it is not what was sealed here.
            StoreUnavailable: the key cannot be had now.

        """
        ...

    def ready(self, aggregate_ids: Iterable[str]) -> None:
        """Get the keys of many subjects at once, so that they need not be got one by one."""
        ...


class InClear:
    """No cipher: keeps everything as it is, and can open nothing. For what nobody is named in."""

    def covers(self, aggregate_id: str) -> bool:  # noqa: ARG002 - none
        return False

    def seal(self, aggregate_id: str, clear: bytes, *, place: str) -> bytes:
        raise AssertionError(f"{aggregate_id} has nothing to seal at {place}: {len(clear)} bytes")

    def seal_derived(self, aggregate_id: str, clear: bytes, *, place: str) -> bytes | None:  # noqa: ARG002 - kept as it is
        return None

    def open(self, aggregate_id: str, sealed: bytes, *, place: str) -> bytes | None:
        raise CorruptLog(f"{len(sealed)} sealed bytes of {aggregate_id} at {place}, and no keys")

    def ready(self, aggregate_ids: Iterable[str]) -> None:
        pass


class Sealing:
    """The cipher of an installation. Safe to share between threads.

    Args:
        keys: one key for each subject.
        tags: of the aggregates that have personal data.

    """

    def __init__(self, keys: SubjectKeys, *, tags: frozenset[str]) -> None:
        self._keys = keys
        self._tags = tags | {UNKNOWN}

    def covers(self, aggregate_id: str) -> bool:
        return aggregate_id.partition(".")[0] in self._tags

    def seal(self, aggregate_id: str, clear: bytes, *, place: str) -> bytes:
        return _sealed(self._keys.for_sealing(aggregate_id), aggregate_id, clear, place)

    def seal_derived(self, aggregate_id: str, clear: bytes, *, place: str) -> bytes | None:
        if not self.covers(aggregate_id):
            return None
        key = self._keys.for_sealing_more(aggregate_id)
        return None if key is None else _sealed(key, aggregate_id, clear, place)

    def open(self, aggregate_id: str, sealed: bytes, *, place: str) -> bytes | None:
        key = self._keys.for_opening(aggregate_id)
        if key is None:
            return None
        try:
            return AESSIV(key).decrypt(sealed, _bound_to(aggregate_id, place))
        except (InvalidTag, ValueError) as error:
            at = f"{aggregate_id} at {place}"
            raise CorruptLog(f"what is sealed of {at} was not sealed there") from error

    def ready(self, aggregate_ids: Iterable[str]) -> None:
        self._keys.read_ahead(one for one in aggregate_ids if self.covers(one))


def _sealed(key: bytes, aggregate_id: str, clear: bytes, place: str) -> bytes:
    return AESSIV(key).encrypt(clear, _bound_to(aggregate_id, place))


def _bound_to(aggregate_id: str, place: str) -> list[bytes]:
    return [aggregate_id.encode(), place.encode()]


IN_CLEAR = InClear()
