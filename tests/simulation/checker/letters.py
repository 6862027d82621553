"""Dead letters: what was set aside or given up is whole, and nothing is forgotten for it."""

import base64
from collections.abc import Iterator
from typing import Any

import orjson

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.identifiers import canonical
from tests.simulation.checker.index import Index
from tests.simulation.checker.log import read_commit
from tests.simulation.history import Item, KeptMessage

_NAME = "letters-lose-nothing"


def check(index: Index, found: Findings) -> None:
    """Look at every letter and every dead message; then at whether the run came to rest."""
    terms, final = index.history.terms, index.history.final
    for region, letters in final.letters.items():
        for letter in letters:
            _letter(index, region, letter, found)
    for message in final.kept:
        wrong = list(_wrong(index, message))
        about = f"{message.place} in {message.region}"
        found.expect(_NAME, not wrong, "; ".join(wrong), about=about)
    for aggregate in terms.poisoned:
        _poisoned(index, aggregate, found)
    text = f"{len(final.unfinished)} still moved: {', '.join(final.unfinished[:5])}"
    found.expect("came-to-rest", not final.unfinished, text)


def _letter(index: Index, region: str, letter: Item, found: Findings) -> None:
    """A letter's place is in the log, and the message that it holds is whole."""
    wrong: list[str] = []
    about = letter.get("id", letter.get("a", {"S": "a letter"}))["S"]
    if "a" in letter and "p" in letter:
        chain = index.chains.get(letter["a"]["S"])
        position = int(letter["p"]["N"])
        if chain is None or all(commit.position != position for commit in chain.every):
            wrong.append(f"its place, {position} of {letter['a']['S']}, is not in the log")
    source = letter.get("sr", {"S": ""})["S"]
    if "b" in letter and source in _OF_MESSAGES:
        attributes = {name: text["S"] for name, text in letter.get("ba", {"M": {}})["M"].items()}
        message = KeptMessage(
            region=region, place=source, body=letter["b"]["S"], attributes=attributes
        )
        wrong += _wrong(index, message)
    found.expect(_NAME, not wrong, f"in {region}: {'; '.join(wrong)}", about=about)


_OF_MESSAGES = ("commands", "lane", "acks", "bus")


def _poisoned(index: Index, aggregate: str, found: Findings) -> None:
    """What cannot be applied has a letter in every region that stopped at it."""
    chain = index.chains.get(aggregate)
    if chain is None:
        return
    terms, final = index.history.terms, index.history.final
    for region in terms.regions:
        if region in terms.lost:
            continue
        applied = index.applied_at(region, aggregate, _END)
        behind = any(one < chain.head for one in applied.values())
        letters = final.letters.get(region, ())
        told = any(letter.get("a", {}).get("S") == aggregate for letter in letters)
        text = f"{region} stands at {applied} of {chain.head}, and has no letter that says so"
        found.expect(_NAME, told or not behind, text, about=aggregate)


_END = 2**62


def _wrong(index: Index, message: KeptMessage) -> Iterator[str]:
    """Yield what is not whole in a dead message: by what its queue carries."""
    if "commands" in message.place:
        yield from _wrong_command(index, message)
        return
    body: Any = index.body(message.body)
    if not isinstance(body, dict):
        yield "its body cannot be read"
    elif "acks" in message.place:
        yield from (
            f"it acknowledges {ack['commit']}, which is not in the log"
            for ack in body["acks"]
            if ack["commit"] not in index.commits
        )
    elif "detail" in body:
        published = (index.body(record.body) for record in index.published)
        if all(canonical(body["detail"]) != canonical(one) for one in published):
            yield "it delivers an answer that nobody published"
    else:
        images = body.get("commits")
        if images is None:
            images = [r["dynamodb"].get("NewImage", {}) for r in body.get("Records", [])]
        yield from _wrong_images(index, images)


_SEALED = {"N": "2"}


def _wrong_images(index: Index, images: list[Any]) -> Iterator[str]:
    if not images:
        yield "it holds no commit"
    for image in images:
        if image.get("f") == _SEALED:
            # Of what is sealed there is only to see whether it is the commit that the log has.
            place = f"{image['a']['S']}.{image['q']['N']}"
            known = index.commits.get(place)
            if known is None or known.token != base64.b64decode(image["k"]["B"]):
                yield f"{place} in it is not what the log has"
            continue
        try:
            commit = read_commit(image)
        except (ValueError, orjson.JSONDecodeError) as error:
            yield f"a commit in it cannot be read: {error}"
            continue
        known = index.commits.get(commit.id)
        if known is None or (known.token, known.events) != (commit.token, commit.events):
            yield f"{commit.id} in it is not what the log has"


def _wrong_command(index: Index, message: KeptMessage) -> Iterator[str]:
    sent = [
        call
        for call in index.calls
        if call.sent.kind == "queue"
        and call.sent.region == message.region
        and call.sent.body == message.body
    ]
    if not sent:
        yield "nobody sent it like this"
    elif not any(_same_attributes(call.sent.headers, message) for call in sent):
        yield "it lost what identifies it"


def _same_attributes(headers: Any, message: KeptMessage) -> bool:
    carried = ("Idempotency-Key", "X-Correlation-Id", "traceparent")
    sent = {name.lower(): value for name, value in headers.items()}
    return all(sent.get(name.lower()) == message.attributes.get(name) for name in carried)
