"""One key for each subject; destroying it makes all that is sealed of the subject unreadable.

The key stands in the global table `antiphon-keys`, wrapped by the installation's root key, which
only KMS can unwrap. Two regions that make a key at once have one: what is stored wins. Keys are
kept in memory for `fresh_s` at most, so a destroyed one soon opens nothing anywhere. What was
destroyed leaves a mark: no key is ever made for that subject again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from eventstore.aws_errors import error_code, passing_errors_translated
from eventstore.errors import CorruptLog, StoreUnavailable, SubjectForgotten

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# AES-SIV with AES-256 takes two keys of 32 bytes as one.
KEY_BYTES = 64
ROOT = "root#1"
_MOST_KEPT = 10_000
_BATCH_KEYS = 100
_BATCH_TRIES = 5
# Says to KMS, and to the logs that it writes, what the root key is for.
_CONTEXT = {"antiphon": "root key"}
Item = dict[str, Any]


class Kms(Protocol):
    """The operations of KMS that are used, as boto3's client has them."""

    def generate_data_key_without_plaintext(self, **request: Any) -> Mapping[str, Any]:
        """Make a key; return it wrapped as `CiphertextBlob`."""
        ...

    def decrypt(self, **request: Any) -> Mapping[str, Any]:
        """Unwrap a `CiphertextBlob`; return the key as `Plaintext`."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as read at a moment of the monotonic clock; None if it was destroyed."""

    key: bytes | None
    at_s: float


class SubjectKeys:
    """The keys of all subjects, as one region reaches them. Safe to share between threads.

    Args:
        client: of the region; its table `antiphon-keys` is a global table, consistent in all.
        kms: of the region.
        table: partition key `a`: an aggregate id, or ROOT.
        kms_key: the key that wraps the root key, the same under this name in every region.
        elapsed_s: the monotonic clock.
        fresh_s: seconds for which a key may be gone by.
        random_bytes: count -> as many random bytes.

    """

    def __init__(
        self,
        client: "DynamoDBClient",
        kms: Kms,
        *,
        table: str,
        kms_key: str,
        elapsed_s: Callable[[], float],
        fresh_s: float,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._client = client
        self._kms = kms
        self._table = table
        self._kms_key = kms_key
        self._elapsed_s = elapsed_s
        self._fresh_s = fresh_s
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._roots: dict[str, bytes] = {}

    def for_sealing(self, aggregate_id: str) -> bytes:
        """Return the key of a subject, made now if there is none yet.

        Raises:
            SubjectForgotten: it was destroyed.
            StoreUnavailable: it cannot be had now.

        """
        known = self._fresh(aggregate_id) or self._read_near(aggregate_id)
        # Making one asks all regions by itself, so a read that does is left out before it: that
        # would cost a first command the round trip to another region once more.
        return _usable(aggregate_id, known or self._make(aggregate_id))

    def for_sealing_more(self, aggregate_id: str) -> bytes | None:
        """Return the key of a subject; None if none was ever made, so nothing is sealed of it.

        Raises:
            SubjectForgotten: it was destroyed.
            StoreUnavailable: it cannot be had now.

        """
        known = self._fresh(aggregate_id) or self._read(aggregate_id)
        return None if known is None else _usable(aggregate_id, known)

    def for_opening(self, aggregate_id: str) -> bytes | None:
        """Return the key of a subject of whom something is sealed; None if it was destroyed.

        Raises:
            CorruptLog: there never was one, so the table is not the one that belongs to the log.
            StoreUnavailable: it cannot be had now.

        """
        known = self._fresh(aggregate_id) or self._read(aggregate_id)
        if known is None:
            raise CorruptLog(f"there is no key of {aggregate_id}; restore the table {self._table}")
        return known.key

    def put_back(self, aggregate_id: str, key: bytes) -> None:
        """Store a key that was kept elsewhere, where there is none; what is destroyed stays so.

        Raises:
            CorruptLog: there is another key.
            StoreUnavailable: put it back again.

        """
        known = self._fresh(aggregate_id) or self._read(aggregate_id)
        known = known or self._make(aggregate_id, key)
        if known.key not in {None, key}:
            raise CorruptLog(f"{aggregate_id} has another key here")

    def read_ahead(self, aggregate_ids: Iterable[str]) -> None:
        """Read the keys of many subjects in few requests; those not found are left to be asked."""
        wanted = sorted({one for one in aggregate_ids if self._fresh(one) is None})
        if len(wanted) < 2:  # noqa: PLR2004 - one is read as cheaply by itself
            return
        for start in range(0, len(wanted), _BATCH_KEYS):
            at_s = self._elapsed_s()
            for item in self._batch_get(wanted[start : start + _BATCH_KEYS]):
                self._keep(item["a"]["S"], self._unwrapped(item), at_s)

    def is_forgotten(self, aggregate_id: str, *, consistent: bool) -> bool:
        """Say whether a key was destroyed, as the table has it now; not by what is in memory.

        Without `consistent`, as this region's own replica has it.
        """
        item = self._get(aggregate_id, consistent=consistent)
        return item is not None and "f" in item

    def destroy(self, aggregate_id: str, *, at_ms: int) -> None:
        """Destroy a key for ever. Safe to repeat; the first time stays."""
        with _translated("destroy a key"):
            self._client.update_item(
                TableName=self._table,
                Key={"a": {"S": aggregate_id}},
                UpdateExpression="SET f = if_not_exists(f, :at) REMOVE k, w",
                ExpressionAttributeValues={":at": {"N": str(at_ms)}},
            )
        self._keep(aggregate_id, None, self._elapsed_s())

    def _fresh(self, aggregate_id: str) -> _Known | None:
        with self._lock:
            known = self._known.get(aggregate_id)
            if known is None:
                return None
            self._known.move_to_end(aggregate_id)
        # What was destroyed stays destroyed: only a key grows old.
        young = self._elapsed_s() - known.at_s < self._fresh_s
        return known if known.key is None or young else None

    def _keep(self, aggregate_id: str, key: bytes | None, at_s: float) -> _Known:
        known = _Known(key, at_s)
        with self._lock:
            kept = self._known.get(aggregate_id)
            if kept is not None and kept.key is None:
                return kept
            self._known[aggregate_id] = known
            self._known.move_to_end(aggregate_id)
            if len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return known

    def _read(self, aggregate_id: str) -> _Known | None:
        """Read a key: near by first, then for certain; None if there is none in any region."""
        near = self._read_near(aggregate_id)
        if near is not None:
            return near
        at_s = self._elapsed_s()
        item = self._get(aggregate_id, consistent=True)
        return None if item is None else self._keep(aggregate_id, self._unwrapped(item), at_s)

    def _read_near(self, aggregate_id: str) -> _Known | None:
        # Its age counts from before it was asked for: it was in force at that moment at least.
        at_s = self._elapsed_s()
        item = self._get(aggregate_id, consistent=False)
        return None if item is None else self._keep(aggregate_id, self._unwrapped(item), at_s)

    def _make(self, aggregate_id: str, key: bytes | None = None) -> _Known:
        key, at_s = key or self._random_bytes(KEY_BYTES), self._elapsed_s()
        wrapped = AESSIV(self._root(ROOT)).encrypt(key, [aggregate_id.encode()])
        there = self._put_if_absent(
            {"a": {"S": aggregate_id}, "k": {"B": wrapped}, "w": {"S": ROOT}}
        )
        # Another region was first, or an earlier try of this one: there is one key all the same.
        return self._keep(aggregate_id, key if there is None else self._unwrapped(there), at_s)

    def _unwrapped(self, item: Mapping[str, Any]) -> bytes | None:
        if "f" in item:
            return None
        aggregate_id = item["a"]["S"]
        try:
            root = self._root(item["w"]["S"])
            return AESSIV(root).decrypt(bytes(item["k"]["B"]), [aggregate_id.encode()])
        except (KeyError, InvalidTag, ValueError) as error:
            raise CorruptLog(f"the key of {aggregate_id} cannot be unwrapped") from error

    def _root(self, name: str) -> bytes:
        """Return the root key, made now if the installation has none; kept while this lives."""
        if name not in self._roots:
            found = self._get(name, consistent=False) or self._get(name, consistent=True)
            wrapped = self._new_root(name) if found is None else bytes(found["k"]["B"])
            with _translated("unwrap the root key"):
                opened = self._kms.decrypt(
                    CiphertextBlob=wrapped, KeyId=self._kms_key, EncryptionContext=_CONTEXT
                )
            self._roots[name] = opened["Plaintext"]
        return self._roots[name]

    def _new_root(self, name: str) -> bytes:
        with _translated("make the root key"):
            made = self._kms.generate_data_key_without_plaintext(
                KeyId=self._kms_key, NumberOfBytes=KEY_BYTES, EncryptionContext=_CONTEXT
            )
        wrapped: bytes = made["CiphertextBlob"]
        there = self._put_if_absent({"a": {"S": name}, "k": {"B": wrapped}})
        return wrapped if there is None else bytes(there["k"]["B"])

    def _get(self, name: str, *, consistent: bool) -> Item | None:
        with _translated("read a key"):
            found = self._client.get_item(
                TableName=self._table, Key={"a": {"S": name}}, ConsistentRead=consistent
            )
        return found.get("Item")

    def _batch_get(self, names: list[str]) -> list[Item]:
        items: list[Item] = []
        keys: Any = [{"a": {"S": name}} for name in names]
        for _ in range(_BATCH_TRIES):
            with _translated("read keys"):
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys}})
            items += answer["Responses"].get(self._table, [])
            left = answer.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                break
            keys = left["Keys"]
        return items

    def _put_if_absent(self, item: Item) -> Item | None:
        """Return None if the item is stored now, else the one that already was."""
        try:
            with _translated("store a key"):
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(a)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ClientError as error:
            there: Item = error.response["Item"]  # type: ignore[typeddict-item]
            return there
        return None


def _usable(aggregate_id: str, known: _Known) -> bytes:
    if known.key is None:
        raise SubjectForgotten(f"{aggregate_id} was forgotten: nothing of it can be kept")
    return known.key


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Raise StoreUnavailable for everything but a lost race: without keys, all work waits.

    A missing table or right is no fault of the data: nothing may be set aside because of it.
    """
    try:
        with passing_errors_translated(doing):
            yield
    except ClientError as error:
        code = error_code(error)
        if code == "ConditionalCheckFailedException":
            raise
        hint = "check the table antiphon-keys, the KMS key and the function's rights to both"
        raise StoreUnavailable(f"could not {doing}: {code}; {hint}") from error
