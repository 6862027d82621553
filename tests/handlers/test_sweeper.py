"""Pull is the proof: whatever is lost between regions, the answer comes."""

from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS


MINUTE_MS = 60_000


def test_lost_acknowledgements_are_replaced_by_looking(network: Network):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")
    assert network[US].sweep()["looked_at"] == 0, "not overdue yet"

    network[US].later(ms=MINUTE_MS)

    assert network[US].sweep() == {"looked_at": 1, "answered": 1, "lagging": {}}
    [answer] = network[US].answers
    assert sorted(answer["regions"]) == sorted(REGIONS)


def test_a_region_that_lags_is_woken_and_nothing_is_answered_before_it_has_applied(
    network: Network,
):
    network[US].post(ACTIVATION)
    network.take(AP, "lane")
    network.settle()
    network[US].later(ms=MINUTE_MS)

    assert network[US].sweep() == {"looked_at": 1, "answered": 0, "lagging": {AP: 1}}
    assert network[US].answers == []

    network.settle()
    assert len(network[US].answers) == 1


def test_a_body_that_was_stored_but_not_published_is_published_as_stored(network: Network):
    network[US].post(ACTIVATION)
    network[US].bus.refusing = True
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network[US].acknowledge(*network.take(US, "acks"))
    _, told = network[US].post(ACTIVATION)
    stored = network[US].get(f"/commands/{told['commit']}")[1]["answer"]
    network[US].bus.refusing = False
    # The state moves on; the answer stays what it was.
    network[US].post({**ACTIVATION, "command_id": "more"})
    network[US].later(ms=MINUTE_MS)

    network[US].sweep()

    assert network[US].answers[0] == stored


def test_what_is_answered_is_not_swept(network: Network):
    network[US].post(ACTIVATION)
    network.settle()
    network[US].later(ms=MINUTE_MS)

    assert network[US].sweep()["looked_at"] == 0
