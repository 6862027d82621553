"""A KMS of one key, in this process: what `subject_keys` asks of it, and its refusals.

It wraps for real, with a key that it makes from its name, so that what is wrapped in one region
is unwrapped in another, and a run can be played again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class InProcessKms:
    """The client of a multi-Region key, the same in every region."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id
        self._cipher = AESSIV(hashlib.sha512(key_id.encode()).digest())
        self._made = 0
        self.calls: list[str] = []
        self.disabled = False

    def generate_data_key_without_plaintext(
        self,
        *,
        KeyId: str,  # noqa: N803 - as boto3's
        NumberOfBytes: int,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> dict[str, Any]:
        self._called("GenerateDataKeyWithoutPlaintext", KeyId)
        self._made += 1
        seed = f"{self._key_id} {self._made}".encode()
        made = hashlib.shake_256(seed).digest(NumberOfBytes)
        return {"CiphertextBlob": self._cipher.encrypt(made, [orjson.dumps(EncryptionContext)])}

    def decrypt(
        self,
        *,
        KeyId: str,  # noqa: N803
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> dict[str, Any]:
        self._called("Decrypt", KeyId)
        try:
            context = [orjson.dumps(EncryptionContext)]
            return {"Plaintext": self._cipher.decrypt(CiphertextBlob, context)}
        except InvalidTag:
            raise _refused("InvalidCiphertextException", "Decrypt") from None

    def _called(self, operation: str, key_id: str) -> None:
        self.calls.append(operation)
        if key_id != self._key_id:
            raise _refused("NotFoundException", operation)
        if self.disabled:
            raise _refused("DisabledException", operation)


def _refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)
