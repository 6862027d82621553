"""What each step of a command costs, through the real handlers: asserted, and reported.

The order of the tests is that of the report.
"""

from typing import Any

import pytest

from tests.benchmarks.conftest import Costs, Measure
from tests.dynamodb.metering import Used, total
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]
ONE_PUT = Used(requests=1, write_units=1)


def command(kind: str, number: int, **data: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "command_id": f"c{number}",
        "producer": "crm-emea",
        "data": {"imsi": IMSI, **data},
    }


def change(number: int) -> dict[str, Any]:
    return command("ChangeServiceProfile", number, service_profile=f"profile-{number}")


def of(used: Costs, table: str) -> Used:
    """Return what was used of one kind of table."""
    return total({place: one for place, one in used.items() if place[1].startswith(f"{table}-")})


@pytest.fixture
def warm(network: Network) -> Network:
    """America has just decided a command of the subscriber."""
    assert network[US].post(ACTIVATION)[0] == 202
    _know_the_builds(network)
    return network


def _know_the_builds(network: Network) -> None:
    """Have each region store which builds are live, once, with its first commit; and read it."""
    held = dict(network.messages)
    network.messages.clear()
    data = {**ACTIVATION["data"], "imsi": "262019999999999"}
    assert network[US].post({**ACTIVATION, "data": data})[0] == 202
    network.settle()
    network[US].bus.published.clear()
    network.messages.update(held)
    for name in REGIONS:
        network[name].deps.builds_of(name).current()


def test_a_usual_command_is_one_request_no_read_and_one_write_unit(warm: Network, measure: Measure):
    with measure("usual command, warm") as used:
        assert warm[US].post(change(1))[0] == 202

    assert total(used) == ONE_PUT


def test_a_usual_command_that_seals_something_costs_no_more(warm: Network, measure: Measure):
    with measure("command that seals something") as used:
        assert warm[US].post(command("ChangeMsisdn", 1, msisdn="+4915112345679"))[0] == 202

    assert total(used) == ONE_PUT


def test_the_first_command_of_a_subscriber_makes_its_key(warm: Network, measure: Measure):
    data = {**ACTIVATION["data"], "imsi": "262011234567899"}
    with measure("first command of a subscriber") as used:
        assert warm[US].post({**ACTIVATION, "data": data})[0] == 202

    # Looked for near by, then put: only the put waits for another region.
    assert of(used, "keys") == Used(requests=2, read_units=0.5, write_units=1)


def test_knowing_the_regions_states_is_one_read_in_seconds_and_none_per_command(
    warm: Network, measure: Measure
):
    warm.states_grow_old()

    with measure("command that reads the regions' states again") as used:
        assert warm[US].post(change(0))[0] == 202

    assert of(used, "control") == Used(requests=1, read_units=1)
    assert of(used, "events") == ONE_PUT
    with measure("the commands after it", commands=20) as used:
        for number in range(1, 21):
            assert warm[US].post(change(number))[0] == 202
    assert of(used, "control") == Used()


def test_a_refusal_costs_what_a_command_costs(warm: Network, measure: Measure):
    with measure("refused command, warm") as used:
        assert warm[US].post(command("ResumeSubscriber", 1))[0] in {200, 409}

    assert total(used) == ONE_PUT


def test_a_no_op_costs_what_a_command_costs(warm: Network, measure: Measure):
    with measure("no-op, warm") as used:
        assert warm[US].post({**ACTIVATION, "command_id": "again"})[0] == 200

    assert total(used) == ONE_PUT


def test_a_duplicate_reads_its_first_commit_and_writes_nothing(warm: Network, measure: Measure):
    with measure("duplicate, warm") as used:
        assert warm[US].post(ACTIVATION)[1]["duplicate"] is True

    assert total(used) == Used(requests=1, read_units=0.5)


def test_an_expectation_that_holds_costs_nothing_more(warm: Network, measure: Measure):
    with measure("expected_sequence, met, warm") as used:
        assert warm[US].post({**change(1), "expected_sequence": 1})[0] == 202

    assert total(used) == ONE_PUT


def test_a_dependency_on_another_aggregate_is_one_consistent_read(warm: Network, measure: Measure):
    element = {
        "type": "RegisterNetworkElement",
        "command_id": "r",
        "producer": "oss",
        "data": {"element_id": "gnb-1", "kind": "gnb", "site": "ber-1", "plmn": "262-01"},
    }
    token = warm[US].post(element)[1]["consistency_token"]

    with measure("depends_on another aggregate, warm") as used:
        assert warm[US].post({**change(1), "depends_on": token})[0] == 202

    assert total(used) == ONE_PUT + Used(requests=1, read_units=1)


def test_a_region_that_is_one_commit_behind_puts_twice_and_reads_nothing(
    warm: Network, measure: Measure
):
    warm[EU].post(ACTIVATION)
    warm[US].post(change(1))

    with measure("command, warm but one commit behind") as used:
        _, told = warm[EU].post(change(2))

    assert told["sequence"] == 3
    assert total(used) == ONE_PUT + ONE_PUT


def test_the_first_command_of_an_aggregate_looks_once_for_each_thing_it_may_be(
    network: Network, measure: Measure
):
    with measure("first command of an aggregate") as used:
        assert network[US].post(ACTIVATION)[0] == 202

    assert of(used, "events") == Used(requests=2, read_units=0.5, write_units=1)
    assert of(used, "snapshots") == Used(requests=1, read_units=1)


def test_a_cold_region_reads_the_log_of_twenty_commands_once(warm: Network, measure: Measure):
    for number in range(1, 20):
        warm[US].post(change(number))

    with measure("command, cold, 20 commands in the log") as used:
        assert warm[EU].post(change(20))[0] == 202

    assert of(used, "events").requests == 2
    assert of(used, "events").read_units <= 2
    assert of(used, "events").write_units == 1


def test_a_cold_region_reads_a_snapshot_instead_of_a_long_log(warm: Network, measure: Measure):
    for number in range(1, 250):
        warm[US].post(change(number))
    # As a new process of the function would: nothing in memory.
    del warm[US].deps.__dict__["event_store"]

    with measure("command, cold, 250 commands in the log") as used:
        assert warm[US].post(change(250))[0] == 202

    # Two hundred commits stand in the snapshot; the rest is one page of the log.
    assert of(used, "snapshots").requests == 1
    assert of(used, "events") == Used(
        requests=2, read_units=of(used, "events").read_units, write_units=1
    )
    assert of(used, "events").read_units <= 4


def test_applying_a_commit_in_a_region(warm: Network, measure: Measure):
    lane = warm.take(EU, "lane")
    _know_the_builds(warm)

    with measure("apply in a region that did not take it") as used:
        assert warm[EU].project(*lane) == []

    # Both views at once, the subscriber's put with two lists, the activity with its row.
    assert of(used, "views") == Used(requests=3, read_units=2, write_units=5, index_units=2)
    assert of(used, "responses") == Used()
    assert of(used, "events") == Used()


def test_applying_a_commit_in_its_region_of_origin_opens_its_answer(
    warm: Network, measure: Measure
):
    lane = warm.take(US, "lane")

    with measure("apply in the region of origin") as used:
        assert warm[US].project(*lane) == []

    assert of(used, "responses") == Used(requests=1, write_units=1, index_units=1)


def test_answering_a_commit(warm: Network, measure: Measure):
    for name in REGIONS:
        warm[name].project(*warm.take(name, "lane"))
    acks = warm.take(US, "acks")

    with measure("answer, three acknowledgements in one batch") as used:
        assert warm[US].acknowledge(*acks) == []

    assert len(warm[US].answers) == 1
    assert of(used, "responses").requests == 3, "gather, store the body, mark as published"
    assert of(used, "events") == Used(requests=1, read_units=0.5)
    assert of(used, "views") == Used(requests=1, read_units=1)


def test_a_whole_command_answered_from_three_regions(warm: Network, measure: Measure):
    warm.settle()

    with measure("everything, three regions, one command") as used:
        warm[US].post(change(1))
        warm.settle()

    assert len(warm[US].answers) == 2
    assert of(used, "events") == Used(requests=2, read_units=0.5, write_units=1)


def test_many_commands_share_the_reads_of_their_batch(network: Network, measure: Measure):
    for number in range(10):
        data = {**ACTIVATION["data"], "imsi": f"26201123456789{number}"}
        assert network[US].post({**ACTIVATION, "data": data})[0] == 202
    lane = network.take(EU, "lane")
    _know_the_builds(network)

    with measure("apply, ten aggregates in one batch", commands=10) as used:
        assert network[EU].project(*lane) == []

    assert of(used, "views") == Used(requests=21, read_units=20, write_units=50, index_units=20)


def test_reading_a_view(warm: Network, measure: Measure):
    warm.settle()

    with measure("GET of one subscriber, eventual") as used:
        assert warm[EU].get(f"/subscribers/{IMSI}")[0] == 200

    assert total(used) == Used(requests=1, read_units=0.5)


def test_reading_a_view_as_of_the_head_of_the_log(warm: Network, measure: Measure):
    warm.settle()

    with measure("GET of one subscriber, strong") as used:
        assert warm[EU].get(f"/subscribers/{IMSI}", consistency="strong")[0] == 200

    assert of(used, "views") == Used(requests=1, read_units=1)
    assert of(used, "events") == Used(requests=1, read_units=1)
