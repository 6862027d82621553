"""A projection is built anew while the region serves: nothing is lost, answered early or twice."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from eventstore.errors import StoreUnavailable
from eventstore.scanning import LogSegments
from projections.builds import Builds, BuildState, BuildUnknown, Phase, Registered
from projections.checkpoints import Checkpoint
from projections.holding import Holds
from projections.rebuild import BehindError, Rebuild, RebuildRefused, TooSoon
from projections.subscriber_view import SUBSCRIBER_VIEW
from projections.views import ViewStore
from tests.handlers.network import ACTIVATION, REGIONS, Crash, Network

US, EU, AP = REGIONS
NAME = "subscriber-view"
SEGMENTS = 3


@dataclass
class Elapsed:
    """A clock that moves when a test says so."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def rebuild(network: Network) -> Rebuild:
    return rebuild_of(network)


def rebuild_of(network: Network) -> Rebuild:
    """Europe's rebuilds; the log of this network is in one place for all."""
    deps = network[EU].deps
    scan = LogSegments(network.log._client, table=deps.settings.events_table)
    holds = Holds(elapsed_s=Elapsed(), hold_s=deps.settings.builds_hold_s)
    return replace(deps.rebuild, scan=scan, holds=holds)


def subscriber(number: int) -> dict:
    data = {**ACTIVATION["data"], "imsi": f"26201123456789{number}"}
    return {**ACTIVATION, "data": data}


def change(number: int, profile: str) -> dict:
    data = {"imsi": f"26201123456789{number}", "service_profile": profile}
    return {
        **ACTIVATION,
        "type": "ChangeServiceProfile",
        "command_id": f"change-{number}-{profile}",
        "data": data,
    }


def forget_what_is_known(network: Network) -> None:
    """Let every function see the states as they are now: the time that they are held is over."""
    for name in REGIONS:
        for known in network[name].deps._builds.values():
            known._read = None


def hold(network: Network, rebuild: Rebuild) -> None:
    """Let the time pass for which a phase is held."""
    rebuild.holds.elapsed_s.now_s += rebuild.held_for_s(NAME)
    forget_what_is_known(network)


def whole_pass(network: Network, rebuild: Rebuild) -> None:
    hold(network, rebuild)
    for segment in range(SEGMENTS):
        while not rebuild.step(NAME, segment=segment, segments=SEGMENTS).done:
            pass


def switched(network: Network, rebuild: Rebuild) -> None:
    rebuild.begin(NAME)
    whole_pass(network, rebuild)
    rebuild.write_both(NAME)
    whole_pass(network, rebuild)
    rebuild.switch(NAME)
    forget_what_is_known(network)


def views_of(network: Network, label: str) -> dict[str, int]:
    """The applied position of every aggregate in one build, in Europe."""
    client = network[EU].deps._clients.dynamodb(EU)
    table = network[EU].deps.settings.views_table
    items = client.scan(TableName=table)["Items"]
    prefix = f"{NAME}#{label}#"
    return {
        item["k"]["S"].removeprefix(prefix): int(item["n"]["N"])
        for item in items
        if item["k"]["S"].startswith(prefix) and "n" in item
    }


def profile_in(network: Network, number: int, **query: str) -> str:
    status, told = network[EU].get(f"/subscribers/26201123456789{number}", **query)
    assert status == 200, told
    return told["service_profile"]


def test_readers_get_the_new_build_and_it_is_the_old_one_over_again(
    network: Network, rebuild: Rebuild
):
    for number in range(5):
        network[US].post(subscriber(number))
    network.settle()
    old = views_of(network, "1")

    switched(network, rebuild)

    assert len(old) == 5
    assert views_of(network, "1.1") == old
    assert rebuild.state(NAME).live == "1.1"
    assert profile_in(network, 3) == "consumer-5g"


def test_a_commit_that_comes_while_the_new_build_is_filled_is_not_lost_to_it(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    whole_pass(network, rebuild)

    network[US].post(change(1, "business-5g"))
    network.settle()
    answers = len(network[US].answers)
    rebuild.write_both(NAME)
    whole_pass(network, rebuild)

    assert views_of(network, "1.1") == views_of(network, "1")
    assert len(network[US].answers) == answers, "nothing is answered because of a rebuild"


def test_from_both_on_a_commit_is_acknowledged_only_after_both_builds_have_it(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    rebuild.write_both(NAME)
    forget_what_is_known(network)

    network[US].post(change(1, "business-5g"))
    network.settle()

    # Its first pass has not even begun: the projector has brought the new build up by itself.
    assert views_of(network, "1.1") == views_of(network, "1")
    assert len(network[US].answers) == 2


def test_the_new_build_is_written_before_the_old_one(network: Network, rebuild: Rebuild):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    rebuild.write_both(NAME)
    forget_what_is_known(network)
    network[US].post(change(1, "business-5g"))
    changes = network[EU].deps._clients.dynamodb(EU)._client.changes
    before = len(changes)

    network.settle()

    heads = [c.key["k"]["S"].rpartition("#")[0] for c in changes[before:] if "n" in (c.new or {})]
    assert [head for head in heads if head.startswith(NAME)] == [f"{NAME}#1.1", f"{NAME}#1"]


def test_readers_cannot_change_over_before_the_second_pass_is_over(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    with pytest.raises(RebuildRefused, match="filling"):
        rebuild.switch(NAME)
    whole_pass(network, rebuild)
    rebuild.write_both(NAME)
    with pytest.raises(RebuildRefused, match="second pass"):
        rebuild.switch(NAME)
    hold(network, rebuild)
    rebuild.step(NAME, segment=0, segments=SEGMENTS)
    with pytest.raises(RebuildRefused, match="second pass"):
        rebuild.switch(NAME)

    assert rebuild.state(NAME).live == "1"


def test_an_aggregate_that_the_new_build_lacks_keeps_readers_where_they_are(
    network: Network, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
):
    network[US].post(subscriber(1))
    network[US].post(subscriber(2))
    network.settle()
    rebuild.begin(NAME)

    def cannot(self, aggregate_id, arrived, *, builds, known):
        raise TypeError("this apply is wrong")

    monkeypatch.setattr(type(rebuild.applier), "bring_up", cannot)
    whole_pass(network, rebuild)

    with pytest.raises(BehindError, match="2 aggregates"):
        rebuild.write_both(NAME)
    rebuild.store.change(
        NAME,
        rebuild.state(NAME),
        rebuild.state(NAME).model_copy(update={"phase": Phase.BOTH}),
    )
    whole_pass(network, rebuild)
    with pytest.raises(BehindError, match="2 aggregates"):
        rebuild.switch(NAME)
    assert rebuild.state(NAME).phase is Phase.BOTH


def test_whoever_goes_on_begins_where_the_segment_was_left(network: Network, rebuild: Rebuild):
    for number in range(6):
        network[US].post(subscriber(number))
    network.settle()
    rebuild.begin(NAME)
    done = [rebuild.step(NAME, segment=n, segments=SEGMENTS).commits for n in range(SEGMENTS)]

    again = rebuild_of(network).begin(NAME)

    assert sum(done) == 6
    assert again.other == "1.1"
    assert rebuild.step(NAME, segment=0, segments=SEGMENTS).commits == 0
    with pytest.raises(RebuildRefused, match="3 segments"):
        rebuild.step(NAME, segment=0, segments=4)


def test_giving_up_leaves_the_old_build_and_the_next_attempt_builds_upon_nothing(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    whole_pass(network, rebuild)

    rebuild.abort(NAME)
    with pytest.raises(RebuildRefused, match=r"1\.1 of subscriber-view is to be removed first"):
        rebuild.begin(NAME)
    hold(network, rebuild)
    assert rebuild.remove(NAME, start=None).deleted == 1
    state = rebuild.begin(NAME)

    assert profile_in(network, 1) == "consumer-5g"
    assert state.live == "1"
    assert state.other == "1.2"


def given_back(network: Network, rebuild: Rebuild) -> None:
    """Give readers the build again that they had before."""
    rebuild.abort(NAME)
    whole_pass(network, rebuild)
    rebuild.switch(NAME)
    forget_what_is_known(network)


def test_after_readers_have_changed_over_they_can_be_brought_back(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    switched(network, rebuild)
    network[US].post(change(1, "business-5g"))
    network.settle()

    given_back(network, rebuild)

    assert rebuild.abort(NAME).live == "1"
    assert profile_in(network, 1) == "business-5g"


def test_readers_who_are_brought_back_do_not_go_back_in_time(
    network: Network, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
):
    network[US].post(subscriber(1))
    network.settle()
    switched(network, rebuild)
    network[US].post(change(1, "business-5g"))
    write = ViewStore.write

    def dies_before_the_old(self, projection, aggregate_id, *, before, view, rows):
        if projection.build == f"{NAME}#1":
            raise Crash
        return write(self, projection, aggregate_id, before=before, view=view, rows=rows)

    with monkeypatch.context() as patched:
        patched.setattr(ViewStore, "write", dies_before_the_old)
        with pytest.raises(Crash):
            network[EU].project(*network.take(EU, "lane"))
    assert profile_in(network, 1) == "business-5g"

    rebuild.abort(NAME)
    with pytest.raises(TooSoon, match="returning"):
        rebuild.step(NAME, segment=0, segments=SEGMENTS)
    forget_what_is_known(network)
    assert profile_in(network, 1) == "business-5g"
    with pytest.raises(RebuildRefused, match="pass over the log is not over"):
        rebuild.switch(NAME)
    whole_pass(network, rebuild)
    rebuild.switch(NAME)
    forget_what_is_known(network)

    assert rebuild.state(NAME).live == "1"
    assert profile_in(network, 1) == "business-5g"


def test_whoever_thinks_better_of_it_keeps_the_new_build_and_may_return_once_more(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    switched(network, rebuild)
    rebuild.abort(NAME)
    whole_pass(network, rebuild)

    assert rebuild.begin(NAME).phase is Phase.SWITCHED
    assert rebuild.begin(NAME).live == "1.1"
    rebuild.abort(NAME)

    # The pass of before says nothing about what came since.
    with pytest.raises(RebuildRefused, match="pass over the log is not over"):
        rebuild.switch(NAME)


def test_the_build_that_readers_have_left_is_written_while_somebody_may_still_read_it(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    switched(network, rebuild)
    for left in ("1", "1.1"):
        with pytest.raises(TooSoon, match="300"):
            rebuild.retire(NAME)
        network[US].post(change(1, f"profile-{left.replace('.', '-')}"))
        network.settle()
        assert views_of(network, left) == views_of(network, rebuild.state(NAME).live)
        if left == "1":
            given_back(network, rebuild)

    hold(network, rebuild)
    assert rebuild.retire(NAME).live == "1"
    assert rebuild.state(NAME).other is None


def with_old_code_that_is_wrong(network: Network, rebuild: Rebuild) -> Rebuild:
    """Give readers version 2 where version 1 cannot apply a change of the profile."""

    def only_activations(document: Any, change_: Any) -> Any:
        if any(type(event).__name__ != "SubscriberActivated" for event in change_.events):
            raise TypeError("the old code is wrong")
        return SUBSCRIBER_VIEW.apply(document, change_)

    others = [one for one in network[EU].deps.projections if one.name != NAME]
    old = replace(SUBSCRIBER_VIEW, apply=only_activations)
    registered = Registered([*others, old, replace(SUBSCRIBER_VIEW, version=2)])
    for at in REGIONS:
        network[at].deps.builds_of(EU)._registered = registered
    rebuild = replace(rebuild, registered=registered)
    projector = network[EU].deps.projector
    break_off = partial(rebuild.store.break_off, holds=replace(rebuild.holds, _seen={}))
    object.__setattr__(projector, "break_build", break_off)
    bounds = projector.applier.bounds.model_copy(update={"commits_a_write": 2})
    object.__setattr__(projector.applier, "bounds", bounds)
    switched(network, rebuild)
    return rebuild


def test_old_code_that_is_wrong_stops_nobody_who_reads_the_new_build(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild = with_old_code_that_is_wrong(network, rebuild)
    for number in range(5):
        network[US].post(change(1, f"profile-{number}"))
    lane = network.take(EU, "lane")

    assert network[EU].project(*lane) == ["0", "1", "2", "3", "4"], "somebody may read the old one"
    assert profile_in(network, 1) == "profile-4"
    assert not network.take(US, "acks")

    rebuild.holds.elapsed_s.now_s += rebuild.holds.hold_s
    assert network[EU].project(*lane) == []
    network.settle()
    assert rebuild.state(NAME).broken in views_of(network, "2")
    assert len(network[US].answers) == 6
    assert not list(network[EU].deps.letters.waiting())
    with pytest.raises(BehindError, match=r"could not be applied to version 1 .* keep version 2"):
        rebuild.abort(NAME)
    hold(network, rebuild)
    assert rebuild.retire(NAME).broken is None


def test_old_code_that_is_wrong_is_not_given_back_to_readers(network: Network, rebuild: Rebuild):
    network[US].post(subscriber(1))
    network.settle()
    rebuild = with_old_code_that_is_wrong(network, rebuild)
    network[US].post(change(1, "business-5g"))
    network[EU].project(*network.take(EU, "lane"))
    # Nobody has marked it yet: the pass over the log finds it.
    rebuild.abort(NAME)
    whole_pass(network, rebuild)

    with pytest.raises(BehindError, match="could not be applied to version 1"):
        rebuild.switch(NAME)

    assert profile_in(network, 1) == "business-5g"
    assert rebuild.begin(NAME).live == "2"


def test_code_without_the_version_that_is_live_gives_nobody_empty_views(network: Network):
    network[US].post(subscriber(1))
    network.settle()
    others = [one for one in network[EU].deps.projections if one.name != NAME]
    registered = Registered([*others, replace(SUBSCRIBER_VIEW, version=2)])
    network[EU].deps.builds_of(EU)._registered = registered
    forget_what_is_known(network)

    status, told = network[EU].get("/subscribers/262011234567891")
    assert (status, told["code"]) == (503, "unavailable")
    with pytest.raises(BuildUnknown, match="version 1 of subscriber-view is in use here, and not"):
        network[EU].deps.builds_of(EU).live(SUBSCRIBER_VIEW)
    network[US].post(change(1, "business-5g"))
    assert network[EU].project(*network.take(EU, "lane")) == ["0"]
    assert network.take(US, "acks") == []


def test_of_two_who_first_write_a_build_the_first_decides_which_is_live(network: Network):
    known = network[EU].deps.builds_of(EU)
    old = known.current()
    assert known._store.change(NAME, BuildState(live=""), BuildState(live="1"))
    known._registered = Registered([replace(SUBSCRIBER_VIEW, version=2)])
    known._read = replace(known._read, value=Builds(known._registered, {}))
    assert known.current().state(NAME).live == "2", "as it was read before"

    settled = known.settled()

    assert old.unstored()
    assert settled.state(NAME).live == "1"


def test_the_old_build_is_deleted_whole_and_nothing_else(network: Network, rebuild: Rebuild):
    for number in range(4):
        network[US].post(subscriber(number))
    network.settle()
    switched(network, rebuild)
    with pytest.raises(RebuildRefused, match="out of use"):
        rebuild.remove(NAME, start=None)
    hold(network, rebuild)
    rebuild.retire(NAME)
    with pytest.raises(TooSoon):
        rebuild.remove(NAME, start=None)
    hold(network, rebuild)

    removed = rebuild.remove(NAME, start=None)

    assert removed.deleted == 4
    assert removed.following is None
    assert views_of(network, "1") == {}
    assert len(views_of(network, "1.1")) == 4
    forget_what_is_known(network)
    assert network[EU].get("/subscribers/262011234567891/timeline")[0] == 200


def test_a_page_goes_on_in_the_new_build(network: Network, rebuild: Rebuild):
    for number in range(4):
        network[US].post(subscriber(number))
    network.settle()
    first = network[EU].get("/subscribers", status="active", limit="2")[1]

    switched(network, rebuild)
    second = network[EU].get("/subscribers", status="active", limit="2", cursor=first["next"])[1]

    shown = [one["imsi"] for one in (*first["items"], *second["items"])]
    assert len(set(shown)) == 4


def test_who_does_not_know_which_builds_are_live_acknowledges_nothing(network: Network):
    network[US].post(subscriber(1))
    lane = network.take(EU, "lane")

    def unreadable() -> Builds:
        raise StoreUnavailable("cut off")

    object.__setattr__(network[EU].deps.projector, "builds", unreadable)

    assert network[EU].project(*lane) == ["0"]
    assert network.take(US, "acks") == []


def test_what_was_applied_to_builds_of_before_is_not_acknowledged(network: Network):
    network[US].post(subscriber(1))
    lane = network.take(EU, "lane")
    registered = Registered([SUBSCRIBER_VIEW])
    old = Builds(registered, {})
    new = Builds(registered, {NAME: network[EU].deps.rebuild.begin(NAME)})
    told = iter([old, new])
    object.__setattr__(network[EU].deps.projector, "builds", lambda: next(told))

    assert network[EU].project(*lane) == ["0"]
    assert network.take(US, "acks") == []


def test_the_second_pass_waits_until_every_projector_writes_both(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    whole_pass(network, rebuild)
    network[EU].deps.builds_of(EU).current()
    rebuild.write_both(NAME)

    # Whoever goes on, also in the place of one who is gone, holds the phase once more.
    rebuild.holds.elapsed_s.now_s += rebuild.holds.hold_s - 1
    for one in (rebuild, rebuild_of(network)):
        with pytest.raises(TooSoon, match="both"):
            one.step(NAME, segment=0, segments=SEGMENTS)
    # A projector that knows the phase before leaves the new build out, and acknowledges.
    network[US].post(change(1, "business-5g"))
    network.settle()
    assert views_of(network, "1.1") != views_of(network, "1")
    whole_pass(network, rebuild)
    rebuild.switch(NAME)
    forget_what_is_known(network)

    assert profile_in(network, 1) == "business-5g"


def wrong_code(_document: object, _change: object) -> dict:
    raise TypeError("the new code is wrong")


def with_wrong_code(network: Network, rebuild: Rebuild) -> Rebuild:
    """Deploy a version 2 of the subscribers that applies nothing, and write it beside the first."""
    new = replace(SUBSCRIBER_VIEW, version=2, apply=wrong_code)
    registered = Registered([*network[EU].deps.projections, new])
    known = network[EU].deps.builds_of(EU)
    known._registered = registered
    rebuild = replace(rebuild, registered=registered)
    rebuild.begin(NAME)
    rebuild.write_both(NAME)
    hold(network, rebuild)
    return rebuild


def test_new_code_that_is_wrong_stops_neither_readers_nor_answers(
    network: Network, rebuild: Rebuild
):
    rebuild = with_wrong_code(network, rebuild)

    network[US].post(subscriber(1))
    network.settle()

    assert len(network[US].answers) == 1
    assert profile_in(network, 1) == "consumer-5g"
    assert not list(network[EU].deps.letters.waiting())
    assert rebuild.state(NAME).broken in views_of(network, "1")
    hold(network, rebuild)
    whole_pass(network, rebuild)
    with pytest.raises(BehindError, match="could not be applied"):
        rebuild.switch(NAME)
    rebuild.abort(NAME)
    assert rebuild.state(NAME).live == "1"


def test_nothing_is_acknowledged_past_a_build_that_readers_could_still_be_given(
    network: Network, rebuild: Rebuild
):
    with_wrong_code(network, rebuild)
    network[US].post(subscriber(1))
    lane = network.take(EU, "lane")

    def unwritable(*_: object) -> None:
        raise StoreUnavailable("cut off")

    object.__setattr__(network[EU].deps.projector, "break_build", unwritable)

    assert network[EU].project(*lane) == ["0"]
    assert network.take(US, "acks") == []


def test_nobody_changes_over_after_a_projector_has_left_the_new_build_behind(
    network: Network, rebuild: Rebuild
):
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(NAME)
    whole_pass(network, rebuild)
    rebuild.write_both(NAME)
    whole_pass(network, rebuild)
    looked_at = rebuild.state(NAME)
    build = rebuild.registered.labelled(NAME, "1.1")

    rebuild.store.break_off(build, next(iter(views_of(network, "1"))), holds=rebuild.holds)

    # Somebody who has looked before that.
    after = looked_at.model_copy(update={"live": "1.1", "other": "1", "phase": Phase.SWITCHED})
    assert not rebuild.store.change(NAME, looked_at, after)
    with pytest.raises(BehindError):
        rebuild.switch(NAME)


def test_a_build_that_is_read_is_broken_by_nobody(network: Network, rebuild: Rebuild):
    switched(network, rebuild)
    for label in ("1", "1.1"):
        build = rebuild.registered.labelled(NAME, label)
        with pytest.raises(StoreUnavailable):
            rebuild.store.break_off(build, "sub.any", holds=rebuild.holds)


def test_more_failures_than_are_kept_by_name_keep_readers_where_they_are(
    network: Network, rebuild: Rebuild
):
    rebuild.begin(NAME)
    place = rebuild._place(NAME, rebuild.state(NAME))
    failed = Checkpoint(segments=1).after(
        start=None, commits=2_000, failed=[f"sub.{n}" for n in range(2_000)], units=1.0
    )
    rebuild.checkpoints.put(place, 0, failed)

    with pytest.raises(BehindError):
        rebuild.write_both(NAME)


def test_segments_of_two_divisions_are_never_a_whole(network: Network, rebuild: Rebuild):
    place = rebuild._place(NAME, rebuild.begin(NAME))
    for segment, segments in ((0, 2), (1, 4)):
        done = Checkpoint(segments=segments, done=True)
        rebuild.checkpoints.put(place, segment, done)

    assert not all(one.done for one in rebuild.checkpoints.all(place))


def test_an_unknown_projection_is_refused_by_the_names_there_are(rebuild: Rebuild):
    with pytest.raises(RebuildRefused, match="network-inventory"):
        rebuild.begin("subscriber-vue")


def test_two_people_do_not_pay_for_the_same_work(rebuild: Rebuild):
    lease = rebuild.checkpoints.take_lease
    assert lease(NAME, who="ada", now_ms=0, lasts_ms=1000) is None
    assert lease(NAME, who="ada", now_ms=500, lasts_ms=1000) is None
    assert lease(NAME, who="bob", now_ms=1400, lasts_ms=1000) == "ada"
    assert lease(NAME, who="bob", now_ms=1501, lasts_ms=1000) is None
    rebuild.checkpoints.release(NAME, who="ada")
    assert lease(NAME, who="ada", now_ms=1600, lasts_ms=1000) == "bob"
