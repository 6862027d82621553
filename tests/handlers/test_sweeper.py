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


def test_an_answer_is_pending_before_any_acknowledgement_is_heard(network: Network):
    network[US].post(ACTIVATION)
    network[US].project(*network.take(US, "lane"))
    network.take(US, "acks")
    network[US].later(ms=MINUTE_MS)

    # Nobody else has applied it, and nothing was heard: yet it is known to be owed.
    assert network[US].sweep()["looked_at"] == 1


DAY_MS = 24 * 3_600_000


def test_what_is_folded_again_long_after_is_not_answered_again(network: Network):
    network[US].post(ACTIVATION)
    network.settle()
    commit_id = network[US].answers[0]["command"]["commit"]
    client = network[US].deps.responses_of(US)._client
    client.delete_item(
        TableName=network[US].deps.settings.responses_table, Key={"c": {"S": commit_id}}
    )
    # Eight days later the views are folded from the start: the answer has expired, not failed.
    for name in REGIONS:
        network[name].later(ms=8 * DAY_MS)
    views = network[US].deps.views_of(US)
    for item in client.scan(TableName=views._table)["Items"]:
        client.delete_item(TableName=views._table, Key={"k": item["k"], "s": item["s"]})
    network[US].post({**ACTIVATION, "command_id": "later"})
    network.settle()
    network[US].later(ms=MINUTE_MS)
    network[US].sweep()

    assert [a["command"]["commit"] for a in network[US].answers].count(commit_id) == 1
    status, told = network[EU].post(ACTIVATION, {"Prefer": "wait=1"})
    assert (status, told["duplicate"], told["answer"]) == (202, True, None)


def test_one_answer_that_cannot_be_made_holds_up_no_other(network: Network):
    posted = []
    for number in range(6):
        data = {**ACTIVATION["data"], "imsi": f"26201123456789{number}"}
        posted.append(network[US].post({**ACTIVATION, "data": data})[1])
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    # The log of one is damaged after it was applied, and every acknowledgement is lost.
    spoilt = posted[0]
    table = network[US].deps.settings.events_table
    network.log._client.update_item(
        TableName=table,
        Key={"a": {"S": spoilt["aggregate_id"]}, "q": {"N": "1"}},
        UpdateExpression="SET f = :f",
        ExpressionAttributeValues={":f": {"N": "99"}},
    )
    acks = network.take(US, "acks")
    network[US].later(ms=MINUTE_MS)

    first = network[US].sweep()
    assert (first["looked_at"], first["answered"]) == (6, 5)
    assert network[US].acknowledge(*acks) == []
    assert network[US].sweep()["looked_at"] == 0, "it is looked at again later, not at once"


def test_pending_items_of_no_commit_do_not_starve_the_others(network: Network):
    letters = "abcdefghij"
    for number in range(60):
        ghost = f"sub.{'a' * 24}{letters[number // 10]}{letters[number % 10]}.1"
        network[US].deps.responses_of(US).gather(ghost, {}, due_ms=0)
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")
    network[US].later(ms=MINUTE_MS)

    for _ in range(2):
        network[US].sweep()

    assert len(network[US].answers) == 1


def test_what_another_region_has_answered_is_closed_where_an_acknowledgement_went_astray(
    network: Network,
):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    acks = network.take(US, "acks")
    # As sent by who has not heard yet that this region does not answer for the other any more.
    network[AP].acknowledge(*acks)
    network[AP].later(ms=MINUTE_MS)
    assert network[AP].sweep() == {"looked_at": 1, "answered": 0, "lagging": {}}
    assert network[AP].answers == []

    network[US].acknowledge(*acks)
    network[AP].later(ms=10 * MINUTE_MS)

    assert network[AP].sweep() == {"looked_at": 1, "answered": 1, "lagging": {}}
    assert network[AP].deps.responses_of(AP).backlog().pending == 0
    assert network[AP].answers == []
    assert len(network[US].answers) == 1
