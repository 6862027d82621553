"""The decoders of what tables hold besides the log: read, or told apart from what was read.

A table holds what DynamoDB can hold, so garbage is items whose attributes are of another type,
torn, or not there; and for what regions do with it, the error that its decoder documents.
"""

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.subscriber import SUBSCRIBER, Subscriber
from eventstore.errors import CorruptLog, StoreUnavailable
from eventstore.folding import Fold
from eventstore.snapshots import Snapshots
from eventstore.subject_keys import KEY_BYTES, ROOT, SubjectKeys
from projections.builds import RESERVED, BuildState, BuildStore
from projections.ways import Way
from tests.commits import AGGREGATE
from tests.dynamodb.kms import InProcessKms
from tests.garbage.strategies import NASTY_TEXTS, bodies

some = settings(max_examples=150, deadline=None)
texts = st.sampled_from([one for one in NASTY_TEXTS if one.isprintable()])


attributes: Any = st.recursive(
    st.one_of(
        texts.map(lambda one: {"S": one}),
        st.integers(-(10**18), 10**18).map(lambda one: {"N": str(one)}),
        st.sampled_from(["1.5", "1E+30", "-0.1"]).map(lambda one: {"N": one}),
        st.binary(max_size=40).map(lambda one: {"B": one}),
        st.booleans().map(lambda one: {"BOOL": one}),
        st.just({"NULL": True}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda one: {"L": one}),
        st.dictionaries(texts, inner, max_size=3).map(lambda one: {"M": one}),
    ),
    max_leaves=4,
)


@st.composite
def damaged(draw: st.DrawFn, item: dict[str, Any], *, keys: frozenset[str]) -> dict[str, Any]:
    """Draw an item of which attributes are lost or of another type; its key is what it was."""
    names = draw(st.lists(st.sampled_from(sorted(item.keys() - keys)), max_size=3, unique=True))
    found = dict(item)
    for name in names:
        if draw(st.booleans()):
            del found[name]
        else:
            found[name] = draw(attributes)
    return found


class _Kept:
    """A client of a table that keeps what was put, and gives a query what it is told to."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def put_item(self, **request: Any) -> None:
        self.items.append(request["Item"])

    def query(self, **_request: Any) -> dict[str, Any]:
        return {"Items": self.items}


def snapshot_items() -> list[dict[str, Any]]:
    """Return the items of a snapshot as they are stored: the state, and a page of tokens."""
    client = _Kept()
    fold = Fold(
        state=None,
        last_position=12,
        changed_at=12,
        tokens=_with_tokens(),
        newest_ms=1_700_000_000_000,
        tail=(12, b"k" * 16),
    )
    assert Snapshots(client, table="t", window_ms=1).save(SUBSCRIBER, AGGREGATE, fold)  # type: ignore[arg-type]
    return client.items


def _with_tokens() -> Any:
    return SimpleNamespace(page=lambda **_: b"")


SNAPSHOT = snapshot_items()


@some
@given(data=st.data())
def test_a_snapshot_is_trusted_or_as_if_there_were_none(data: Any):
    client = _Kept()
    client.items = [data.draw(damaged(one, keys=frozenset("as"))) for one in SNAPSHOT]
    snapshots = Snapshots(client, table="t", window_ms=10**13)  # type: ignore[arg-type]
    fold = snapshots.load(SUBSCRIBER, AGGREGATE, now_ms=1_700_000_000_000)
    assert fold is None or isinstance(fold.state, Subscriber | None)


@some
@given(text=bodies(BuildState(live="1").model_dump(mode="json")), item=st.data())
def test_the_builds_are_understood_or_not_gone_by(text: str, item: Any):
    stored = {"k": {"S": RESERVED}, "s": {"S": "activity"}, "d": {"S": text}}
    client = _Kept()
    client.items = [item.draw(damaged(stored, keys=frozenset("ks")))]
    try:
        states = BuildStore(client, table="t").read()  # type: ignore[arg-type]
    except StoreUnavailable:
        return
    assert all(isinstance(one, BuildState) for one in states.values())


@some
@given(text=bodies({"arrived": 3, "applied": {"activity": 4}}))
def test_a_way_is_read_or_left_aside(text: str):
    assert isinstance(Way.read(text), Way)


@some
@given(data=st.data())
def test_a_key_is_unwrapped_or_the_log_cannot_be_read(data: Any):
    """Never by another key: what is sealed would be taken for damaged."""
    table: dict[str, dict[str, Any]] = {}
    client = SimpleNamespace(
        get_item=lambda **asked: (
            {"Item": item} if (item := table.get(asked["Key"]["a"]["S"])) else {}
        ),
        put_item=lambda **put: table.setdefault(put["Item"]["a"]["S"], put["Item"]),
    )

    def keys() -> SubjectKeys:
        return SubjectKeys(
            client,  # type: ignore[arg-type]
            InProcessKms("alias/k"),
            table="t",
            kms_key="alias/k",
            elapsed_s=lambda: 0.0,
            fresh_s=60,
            random_bytes=lambda count: b"r" * count,
        )

    made = keys().for_sealing(AGGREGATE)
    assert len(made) == KEY_BYTES
    name = data.draw(st.sampled_from([AGGREGATE, ROOT]))
    table[name] = data.draw(damaged(table[name], keys=frozenset("a")))
    try:
        found = keys().for_opening(AGGREGATE)
    except (CorruptLog, StoreUnavailable):
        return
    assert found in {None, made}


def test_what_is_valid_passes_them_all():
    client = _Kept()
    client.items = SNAPSHOT
    loaded = Snapshots(client, table="t", window_ms=10**13).load(  # type: ignore[arg-type]
        SUBSCRIBER, AGGREGATE, now_ms=1_700_000_000_000
    )
    assert loaded is not None
    assert loaded.last_position == 12
    client.items = [
        {"k": {"S": RESERVED}, "s": {"S": "a"}, "d": {"S": BuildState(live="1").model_dump_json()}}
    ]
    assert BuildStore(client, table="t").read() == {"a": BuildState(live="1")}  # type: ignore[arg-type]
