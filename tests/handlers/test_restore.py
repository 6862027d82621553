"""A backup put into a new installation: the log whole, answers as they were, nothing twice."""

import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from antiphon.backup import lines_of
from antiphon.backup_file import Heading, Lost, read_heading, read_lines, write_backup
from antiphon.problems import Problem
from antiphon.restore import put_back
from eventstore.key_copies import KeyCopies
from projections.regions import RegionState, Topology
from projections.restoring import Kept, RestoreRefused, Restoring, restoring
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.audited import NetworkSource, audit, delete, items
from tests.handlers.bodies import activation
from tests.handlers.forgetter import drive, forgetting
from tests.handlers.network import ACTIVATION, REGIONS, Crash, Network
from tests.handlers.operator import Operator

US, EU, AP = REGIONS


def changed(number: int) -> dict[str, Any]:
    return {
        **ACTIVATION,
        "type": "ChangeServiceProfile",
        "command_id": f"p{number}",
        "data": {"imsi": ACTIVATION["data"]["imsi"], "service_profile": f"profile-{number}"},
    }


@pytest.fixture
def old(network: Network) -> Network:
    """An installation that has answered some commands, and owes the answer to the last."""
    network[US].post(ACTIVATION)
    for number, region in enumerate(REGIONS):
        network[region].post(changed(number))
        network[region].post(activation(number))
    network.settle()
    network[EU].post(changed(9))
    return network


@pytest.fixture
def new() -> Network:
    return Network(InProcessRegions())


def copies_of(network: Network) -> KeyCopies:
    deps = network[US].deps
    return KeyCopies(deps.subject_keys, deps.keys)


def backed_up(network: Network, file: Path, *, lost: bool = False) -> Path:
    source = NetworkSource(network)
    topology = network.states.read()
    heading = Heading(
        taken_at="2026-11-24T10:00:00+00:00",
        regions=REGIONS,
        fingerprint=network[US].deps.keys.fingerprint,
        generation=1,
        topology=topology,
    )
    cipher = network[US].deps.cipher
    lines = lines_of(source, topology, lost=lost, copies=copies_of(network), cipher=cipher)
    write_backup(file, heading, lines)
    return file


def restored(network: Network, lines: Iterator[Kept | Lost]) -> None:
    """Put lines back and bring them to every region as the stream does."""
    put_back(network[US].deps, lines, silent=True)
    stream(network)


def stream(network: Network) -> None:
    scan = items(network, US, "events")
    for item in sorted(scan, key=lambda one: int(one["q"]["N"])):
        commit = network.log.get(item["a"]["S"], int(item["q"]["N"]), consistent=True)
        assert commit is not None
        for region in REGIONS:
            network[region].stream(commit)
    network.settle()


def all_answers(network: Network) -> list[dict[str, Any]]:
    return [answer for region in REGIONS for answer in network[region].answers]


def test_what_was_answered_is_kept_and_what_was_owed_is_given(
    old: Network, new: Network, tmp_path: Path
):
    file = backed_up(old, tmp_path / "backup.gz")

    restored(new, read_lines(file))

    assert items(new, US, "events") == items(old, US, "events")
    [given] = all_answers(new)
    assert given["command"]["command_id"] == "p9"
    assert audit(new).good
    # A duplicate gets the first result, with the answer that was sent back then.
    before = next(a for a in old[US].answers if a["command"]["command_id"] == "p0")
    _, again = new[AP].post(changed(0))
    assert again["duplicate"]
    assert again["commit"] == before["command"]["commit"]
    assert new[EU].get(f"/commands/{again['commit']}")[1]["answer"] == before
    old.settle()
    assert given["answer_id"] == old[EU].answers[-1]["answer_id"]


def test_commands_go_on_where_the_restored_log_ends(old: Network, new: Network, tmp_path: Path):
    restored(new, read_lines(backed_up(old, tmp_path / "backup.gz")))
    _, told = new[AP].post(changed(10))
    new.settle()
    assert told["sequence"] == 6
    assert audit(new).good


@pytest.mark.parametrize("call", [0, 1, 7, 14])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restore_that_is_killed_goes_on_and_gives_no_answer_twice(
    old: Network, new: Network, tmp_path: Path, call: int, when: str
):
    lines = list(read_lines(backed_up(old, tmp_path / "backup.gz")))
    new.crashes.plan(call=call, when=when)
    to = Restoring(
        log=new.log,
        responses_of=new[US].deps.responses_of,
        pause=lambda: None,
        put_key=partial(copies_of(new).put_back, at_ms=1),
    )
    with pytest.raises(Crash):
        to.put([line for line in lines if isinstance(line, Kept)])
    new.crashes.plan(call=-1, when="never")
    # The regions go on meanwhile with what is there.
    stream(new)

    restored(new, iter(lines))

    assert [answer["command"]["command_id"] for answer in all_answers(new)] == ["p9"]
    assert audit(new).good


def test_a_log_that_has_something_else_is_refused_and_left_as_it_is(
    old: Network, new: Network, tmp_path: Path
):
    new[EU].post({**ACTIVATION, "command_id": "another"})
    new.settle()
    before = items(new, US, "events")
    lines = [
        line
        for line in read_lines(backed_up(old, tmp_path / "backup.gz"))
        if isinstance(line, Kept) and line.commit.aggregate_id == before[0]["a"]["S"]
    ]
    with pytest.raises(RestoreRefused, match="another key"):
        restored(new, iter(lines))
    assert items(new, US, "events") == before


def test_what_was_answered_after_the_restored_time_is_named(old: Network, tmp_path: Path):
    old.settle()
    [last] = [a for a in old[EU].answers if a["command"]["command_id"] == "p9"]
    commit = last["command"]["commit"]
    aggregate_id, _, position = commit.rpartition(".")
    delete(old, US, "events", "a", "q", item={"a": {"S": aggregate_id}, "q": {"N": position}})

    lines = list(read_lines(backed_up(old, tmp_path / "backup.gz", lost=True)))

    [told] = [line for line in lines if isinstance(line, Lost)]
    assert (told.region, told.answer["command"]["command_id"]) == (EU, "p9")
    assert told.answer["sent"]
    assert ACTIVATION["data"]["imsi"] not in repr(told)
    # Its answer is not put back: it would stand in the way of that of whoever comes there.
    kept = [line for line in lines if isinstance(line, Kept)]
    assert all(line.commit.commit_id != commit for line in kept)


def test_no_region_serves_before_it_has_applied_the_whole_log(
    old: Network, new: Network, tmp_path: Path
):
    lines = list(read_lines(backed_up(old, tmp_path / "backup.gz")))
    before = new.states.read()
    assert new.states.change(before, restoring(old.states.read(), before, at_ms=1))
    new.states_grow_old()
    assert new[US].post(changed(11))[0] == 503
    put_back(new[US].deps, iter(lines), silent=True)
    operator = Operator(new)
    late = [EU]

    def apply(step: Any) -> None:
        if "behind" in step.told and late:
            late.clear()
            stream(new)

    operator.do(operator.moves.undrain(EU), apply)

    assert not late
    new.states_grow_old()
    assert new.states.read().state(EU) is RegionState.ACTIVE
    assert new[EU].get(f"/subscribers/{ACTIVATION['data']['imsi']}")[1]["applied_sequence"] == 5
    assert new.states.read().state(US) is RegionState.JOINING


def test_who_was_left_out_is_still_known_to_have_been():
    before = Topology.all_active(REGIONS).moved(AP, RegionState.LEAVING, at_ms=1)
    before = before.moved(AP, RegionState.DRAINED, at_ms=2, adopter=EU)
    now = restoring(before, Topology.all_active(REGIONS), at_ms=3)
    assert now.ever_drained == {AP}
    assert now.standings[AP].adopters == (EU,)
    assert {one.state for one in now.standings.values()} == {RegionState.JOINING}
    assert now.required(US) == set(REGIONS)


@pytest.mark.parametrize("harm", ["cut", "altered", "no gzip", "another form"])
def test_a_file_that_is_not_whole_is_refused_before_anything_is_put_back(
    old: Network, tmp_path: Path, harm: str
):
    file = backed_up(old, tmp_path / "backup.gz")
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    altered = orjson.loads(lines[2])
    altered["commit"]["o"] = {"S": AP}
    harmed = {
        "cut": gzip.compress(b"".join(lines[:-1])),
        "altered": gzip.compress(b"".join([*lines[:2], orjson.dumps(altered) + b"\n", *lines[3:]])),
        "no gzip": b"not a backup",
        "another form": gzip.compress(b'{"hello": 1}\n{"lines": 1}\n'),
    }
    file.write_bytes(harmed[harm])
    with pytest.raises(Problem):
        read_heading(file)


def test_a_backup_is_for_its_owner_alone_and_never_written_over(old: Network, tmp_path: Path):
    file = backed_up(old, tmp_path / "backup.gz")
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(Problem, match="never written over"):
        backed_up(old, file)
    assert read_heading(file).regions == REGIONS


def test_commits_of_one_aggregate_stay_in_order_and_pages_too(old: Network, tmp_path: Path):
    positions: dict[str, list[int]] = {}
    for line in read_lines(backed_up(old, tmp_path / "backup.gz")):
        assert isinstance(line, Kept)
        positions.setdefault(line.commit.aggregate_id, []).append(line.commit.position)
    assert all(found == list(range(1, len(found) + 1)) for found in positions.values())
    assert sorted(map(len, positions.values())) == [1, 1, 1, 5]


def test_who_was_forgotten_stays_forgotten_where_the_log_is_restored(
    old: Network, new: Network, tmp_path: Path
):
    old.settle()
    drive(old, forgetting(old))

    restored(new, read_lines(backed_up(old, tmp_path / "backup.gz")))

    assert new[EU].get(f"/subscribers/{ACTIVATION['data']['imsi']}")[0] == 410
    assert new[EU].get("/subscribers/" + activation(1)["data"]["imsi"])[0] == 200
    assert audit(new).good
    with gzip.open(tmp_path / "backup.gz") as told:
        assert ACTIVATION["data"]["imsi"].encode() not in told.read()
