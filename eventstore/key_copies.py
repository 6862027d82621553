"""Copies of subjects' keys for a backup: wrapped by the installation's secret, not by its KMS key.

So whoever restores elsewhere needs the secret and nothing of the old installation. A backup from
before a subject was forgotten can still tell of them: it must not be kept longer than that may be.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from eventstore.errors import CorruptLog
from eventstore.identity import Keys
from eventstore.subject_keys import SubjectKeys

# In the place of a copy: the key was destroyed before.
FORGOTTEN = b""


@dataclass(frozen=True, slots=True)
class KeyCopies:
    """Makes copies in one installation, and puts them back into another of the same secret."""

    keys: SubjectKeys
    secret: Keys

    def copy_of(self, aggregate_id: str) -> bytes:
        """Return a copy of a subject's key; FORGOTTEN if it was destroyed.

        Raises:
            CorruptLog: there is no such key.
            StoreUnavailable: copy it again.

        """
        key = self.keys.for_opening(aggregate_id)
        if key is None:
            return FORGOTTEN
        return AESSIV(self.secret.backup_key).encrypt(key, [aggregate_id.encode()])

    def put_back(self, aggregate_id: str, copy: bytes, *, at_ms: int) -> None:
        """Have a subject's key as it was copied, unless it was destroyed here meanwhile.

        Raises:
            CorruptLog: the copy is damaged, or there is another key.
            StoreUnavailable: put it back again.

        """
        if copy == FORGOTTEN:
            self.keys.destroy(aggregate_id, at_ms=at_ms)
            return
        try:
            key = AESSIV(self.secret.backup_key).decrypt(copy, [aggregate_id.encode()])
        except (InvalidTag, ValueError) as error:
            raise CorruptLog(f"the copy of the key of {aggregate_id} is damaged") from error
        self.keys.put_back(aggregate_id, key)
