"""What proves that a region has a commit must hold for every build that a reader may be given."""

from dataclasses import replace

import pytest

from projections.activity import ACTIVITY
from projections.builds import Registered
from projections.projection import Projection
from projections.rebuild import Rebuild
from projections.subscriber_view import SUBSCRIBER_VIEW
from projections.views import ViewStore
from tests.handlers import test_rebuild as rebuilding
from tests.handlers.network import REGIONS, Crash, Network
from tests.handlers.test_rebuild import change, forget_what_is_known, profile_in, subscriber

US, EU, AP = REGIONS
PATH = "/subscribers/262011234567891/timeline"
CHANGED = "change-1-business-5g"


def registered(network: Network, projection: Projection) -> Rebuild:
    """Deploy one more version of a projection everywhere."""
    known = Registered([*network[EU].deps.projections, projection])
    for at in REGIONS:
        for of in REGIONS:
            network[at].deps.builds_of(of)._registered = known
    return replace(rebuilding.rebuild_of(network), registered=known)


def in_both(network: Network, rebuild: Rebuild) -> None:
    network[US].post(subscriber(1))
    network.settle()
    rebuild.begin(rebuilding.NAME)
    rebuilding.whole_pass(network, rebuild)
    rebuild.write_both(rebuilding.NAME)
    rebuilding.whole_pass(network, rebuild)
    forget_what_is_known(network)


def answered(network: Network) -> list[str]:
    """Let the origin look into the regions by itself, and return what it has answered."""
    network[US].acknowledge(*network.take(US, "acks"))
    network[US].later(ms=60_000)
    network[US].sweep()
    return [answer["command"]["command_id"] for answer in network[US].answers]


def test_a_build_that_is_about_to_be_read_is_part_of_the_proof(network: Network):
    def wrong(document, change_):
        if any(type(event).__name__ != "SubscriberActivated" for event in change_.events):
            raise TypeError("the new code is wrong")
        return SUBSCRIBER_VIEW.apply(document, change_)

    def dies(_build, _aggregate_id):
        raise Crash

    rebuild = registered(network, replace(SUBSCRIBER_VIEW, version=2, apply=wrong))
    in_both(network, rebuild)
    network[US].post(change(1, "business-5g"))
    lanes = {name: network.take(name, "lane") for name in REGIONS}
    # It has written the old build, and dies before it can say that the new one is wrong.
    object.__setattr__(network[EU].deps.projector, "break_build", dies)
    with pytest.raises(Crash):
        network[EU].project(*lanes[EU])
    for name in (US, AP):
        network[name].project(*lanes[name])

    told = answered(network)
    rebuild.switch(rebuilding.NAME)
    forget_what_is_known(network)

    assert CHANGED not in told or profile_in(network, 1) == "business-5g"


def test_a_build_that_is_still_read_is_part_of_the_proof(
    network: Network, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rebuilding, "NAME", ACTIVITY.name)
    rebuild = rebuilding.rebuild_of(network)
    in_both(network, rebuild)
    # Europe's readers know the states of now, and may go by them for a while.
    assert network[EU].get(PATH)[0] == 200
    rebuild.switch(ACTIVITY.name)
    network[US].post(change(1, "business-5g"))
    lanes = {name: network.take(name, "lane") for name in REGIONS}
    write = ViewStore.write

    def dies_before_the_old(self, projection, aggregate_id, *, before, view, rows):
        if projection.build == f"{ACTIVITY.name}#1":
            raise Crash
        return write(self, projection, aggregate_id, before=before, view=view, rows=rows)

    with monkeypatch.context() as patched:
        patched.setattr(ViewStore, "write", dies_before_the_old)
        with pytest.raises(Crash):
            network[EU].project(*lanes[EU])
    for name in (US, AP):
        network[name].project(*lanes[name])

    assert CHANGED not in answered(network) or "business-5g" in str(network[EU].get(PATH))


def test_a_region_with_newer_code_makes_answers_late_and_nothing_worse(network: Network):
    newer = Registered([*network[EU].deps.projections, replace(SUBSCRIBER_VIEW, version=2)])
    network[EU].deps.builds_of(EU)._registered = newer
    rebuild = replace(rebuilding.rebuild_of(network), registered=newer)
    rebuilding.switched(network, rebuild)
    network[US].post(subscriber(1))
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")

    assert answered(network) == []
    assert network[US].letters == {}
    assert network[AP].post(subscriber(1), {"prefer": "wait=1"})[0] == 202
