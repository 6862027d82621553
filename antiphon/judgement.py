"""Was everything right that came back for a feed? Pure: a ledger in, violations out.

An empty list means that every command has its result, every commit its one answer, and
no answer and no read was older than what it confirms. It judges what a producer can see;
what the tables hold is `verification`'s matter.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import orjson

from antiphon.ledger import DETAIL_TYPES, Arrival, Ledger, Played, Receipt
from antiphon.violations import Kind, Violation

OK = 200
CONFLICT = 409
# A read may be refused for now; that is late, not wrong.
LATE = frozenset({429, 503})


def judge(
    ledger: Ledger,
    *,
    regions: Iterable[str],
    drained: Iterable[str] = (),
    adopters: Mapping[str, Collection[str]] | None = None,
) -> list[Violation]:
    """Return what was not right, in the order of the feed.

    Args:
        ledger: what was sent and what came back.
        regions: all regions.
        drained: those that an answer may leave out if it says so.
        adopters: by region, those that have answered for it while it was lost.

    """
    required, may_leave_out = frozenset(regions), frozenset(drained)
    places = {r: frozenset({r, *(adopters or {}).get(r, ())}) for r in required}
    # What comes after a command that had no effect may find another state than the feed meant.
    unsure = {played.about for played in ledger.commands.values() if played.superseded}
    violations: list[Violation] = []
    owners: dict[str, Played] = {}
    for played in ledger.commands.values():
        violations += _receipts(played, is_sure=played.about not in unsure)
        receipt = played.recorded
        if receipt is not None:
            violations += _answers(
                played, receipt, required=required, may_leave_out=may_leave_out, places=places
            )
            violations += _reads(played)
            owner = owners.setdefault(str(receipt.commit), played)
            if owner is not played:
                text = f"commit {receipt.commit} is also that of {owner.title}"
                violations.append(_violation(played, receipt.region, text))
    return violations


def _violation(played: Played, where: str, text: str, kind: Kind = "result") -> Violation:
    return Violation(kind=kind, where=where, key=played.title, text=text)


def _receipts(played: Played, *, is_sure: bool) -> Iterator[Violation]:
    """Every delivery must have the first result, and one that the feed expects."""
    if not played.receipts:
        yield _violation(played, "everywhere", "no HTTP result came")
        return
    if not played.valid_receipts:
        text = f"{_told(played.receipts[0])} was superseded, and it was never decided anew"
        yield _violation(played, played.receipts[0].region, text)
        return
    first = played.recorded or played.valid_receipts[0]
    for receipt in played.valid_receipts:
        if (receipt.commit, receipt.outcome) != (first.commit, first.outcome):
            text = (
                f"said {_told(receipt)}, but {first.region} said {_told(first)}; "
                "a duplicate must get the first result"
            )
            yield _violation(played, receipt.region, text)
    if is_sure and first.outcome not in played.expect:
        text = f"said {_told(first)}; the feed expects {' or '.join(sorted(played.expect))}"
        yield _violation(played, first.region, text)


def _told(receipt: Receipt) -> str:
    because = f" ({receipt.reason})" if receipt.reason else ""
    commit = f", commit {receipt.commit}" if receipt.commit else ""
    return f"{receipt.outcome}{because}{commit}"


def _answers(
    played: Played,
    receipt: Receipt,
    *,
    required: frozenset[str],
    may_leave_out: frozenset[str],
    places: Mapping[str, frozenset[str]],
) -> Iterator[Violation]:
    """One answer for each commit, with the outcome that HTTP told, never from before it."""
    if not played.arrivals:
        text = f"no answer came; HTTP said {_told(receipt)}"
        yield _violation(played, receipt.region, text, "answer")
        return
    arrival = played.arrivals[0]
    for region in {other.region for other in played.arrivals}:
        # Who adopts a region whose tables cannot be read may answer once more what it had answered.
        bodies = {_body(other) for other in played.arrivals if other.region == region}
        if len(bodies) > 1:
            text = f"commit {receipt.commit} was answered with different bodies"
            yield _violation(played, arrival.region, text, "answer")
    regions = {other.region for other in played.arrivals}
    origin = places.get(str(arrival.detail.get("origin")), frozenset())
    if len(regions) > 1 and not regions <= origin:
        told = ", ".join(sorted(regions))
        text = f"commit {receipt.commit} was answered in several regions: {told}"
        yield _violation(played, arrival.region, text, "answer")
    for text in _wrong(arrival, receipt, origin):
        yield _violation(played, arrival.region, text, "answer")
    as_of, sequence = arrival.detail.get("as_of_sequence"), receipt.sequence
    if not isinstance(as_of, int) or sequence is None or as_of < sequence:
        text = f"its answer shows the state as of sequence {as_of}, the command is {sequence}"
        yield _violation(played, arrival.region, text, "stale")
    left_out = may_leave_out & set(arrival.detail.get("drained") or ())
    missing = required - left_out - set(arrival.detail.get("regions") or ())
    if missing:
        text = f"it was answered before {', '.join(sorted(missing))} had applied it"
        yield _violation(played, arrival.region, text, "stale")


def _wrong(arrival: Arrival, receipt: Receipt, places: frozenset[str]) -> Iterator[str]:
    detail = arrival.detail
    if arrival.detail_type != DETAIL_TYPES.get(receipt.outcome):
        yield f"HTTP said {receipt.outcome}, the answer is {arrival.detail_type}"
    if arrival.region not in places:
        yield f"the answer of origin {detail.get('origin')} came out in {arrival.region}"
    if detail.get("sequence") != receipt.sequence:
        yield f"the answer has sequence {detail.get('sequence')}, HTTP said {receipt.sequence}"
    if not detail.get("answer_id"):
        yield "the answer has no answer_id"


def _body(arrival: Arrival) -> bytes:
    content = [arrival.detail_type, arrival.detail]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)


def _reads(played: Played) -> Iterator[Violation]:
    """Whoever reads with a token must find at least what the token stands for."""
    for read in played.reads:
        if read.status == OK and (read.applied_sequence or 0) < read.sequence:
            text = (
                f"a read with its token came from sequence {read.applied_sequence}, "
                f"the token stands for {read.sequence}"
            )
            yield _violation(played, read.region, text, "stale")
        elif read.status == CONFLICT and played.superseded:
            continue
        elif read.status != OK and read.status not in LATE:
            yield _violation(played, read.region, f"a read with its token gave HTTP {read.status}")
