"""Reading: eventual may be old and says so by its sequence; a token or `strong` never is."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eventstore.identity import Keys
from handlers.queries import make_handler
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]
PATH = f"/subscribers/{IMSI}"
ELEMENT = {
    "type": "RegisterNetworkElement",
    "command_id": "r1",
    "producer": "oss",
    "data": {"element_id": "gnb-1", "kind": "gnb", "site": "ber-1", "plmn": "262-01"},
}


def changed_in_us_applied_nowhere_else(network: Network) -> str:
    """Activate everywhere, then change the profile in America only; return its token."""
    network[US].post(ACTIVATION)
    network.settle()
    _, told = network[US].post(
        {
            "type": "ChangeServiceProfile",
            "command_id": "2",
            "producer": "crm-emea",
            "data": {"imsi": IMSI, "service_profile": "gold"},
        }
    )
    network[US].project(*network.take(US, "lane"))
    token: str = told["consistency_token"]
    return token


def test_an_eventual_read_shows_what_the_region_has(network: Network):
    changed_in_us_applied_nowhere_else(network)

    _, near = network[US].get(PATH)
    _, far = network[EU].get(PATH)

    assert (near["service_profile"], near["applied_sequence"]) == ("gold", 2)
    assert (far["service_profile"], far["applied_sequence"]) == ("consumer-5g", 1)
    assert far["region"] == EU


def test_a_read_with_a_token_never_answers_from_before_it(network: Network):
    token = changed_in_us_applied_nowhere_else(network)

    status, problem = network[EU].get(PATH, {"Consistency-Token": token}, wait_ms="0")
    assert (status, problem["code"]) == (503, "not_caught_up")

    network.settle()
    status, view = network[EU].get(PATH, {"Consistency-Token": token}, wait_ms="0")
    assert (status, view["service_profile"], view["stale"]) == (200, "gold", False)


def test_a_reader_that_asks_for_stale_gets_it_marked(network: Network):
    token = changed_in_us_applied_nowhere_else(network)

    status, view = network[EU].get(
        PATH, {"Consistency-Token": token}, wait_ms="0", on_timeout="stale"
    )

    assert (status, view["service_profile"], view["stale"]) == (200, "consumer-5g", True)


def test_a_token_that_is_not_reached_is_never_a_404(network: Network):
    _, told = network[US].post(ACTIVATION)
    headers = {"Consistency-Token": told["consistency_token"]}

    assert network[EU].get(PATH, headers, wait_ms="0")[0] == 503
    status, view = network[EU].get(PATH, headers, wait_ms="0", on_timeout="stale")
    assert (status, view["stale"], view["applied_sequence"]) == (200, True, 0)
    assert network[EU].get(PATH)[0] == 404


def test_a_strong_read_is_as_of_the_head_though_the_region_lags(network: Network):
    changed_in_us_applied_nowhere_else(network)

    status, view = network[AP].get(PATH, consistency="strong")

    assert (status, view["service_profile"], view["applied_sequence"]) == (200, "gold", 2)


def test_the_token_of_a_read_serves_a_later_read_elsewhere(network: Network):
    changed_in_us_applied_nowhere_else(network)
    _, view = network[US].get(PATH)
    headers = {"Consistency-Token": view["consistency_token"]}

    assert network[EU].get(PATH, headers, wait_ms="0")[0] == 503


@pytest.mark.parametrize("spoil", [lambda t: t[:-2], lambda t: "A" + t[1:], lambda _: "x"])
def test_a_forged_token_is_refused(network: Network, spoil: Any):
    token = changed_in_us_applied_nowhere_else(network)

    status, problem = network[US].get(PATH, {"Consistency-Token": spoil(token)})

    assert (status, problem["code"]) == (422, "invalid_token")


def test_a_token_of_another_installation_is_refused(network: Network):
    network[US].post(ACTIVATION)
    aggregate_id = network[US].deps.keys.aggregate_id("sub", IMSI)
    forged = Keys(b"another secret of 16").seal(f"1|{aggregate_id}|1|1".encode())

    assert network[US].get(PATH, {"Consistency-Token": forged})[0] == 422


def test_a_token_of_another_aggregate_is_refused(network: Network):
    token = changed_in_us_applied_nowhere_else(network)

    status, problem = network[US].get("/network-elements/gnb-1", {"Consistency-Token": token})

    assert (status, problem["code"]) == (422, "invalid_token")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/subscribers/12", {}),
        ("/subscribers/262011234567890", {"wait_ms": "20001"}),
        ("/subscribers/262011234567890", {"wait_ms": "soon"}),
        ("/subscribers/262011234567890", {"consistency": "weak"}),
        ("/subscribers", {}),
        ("/subscribers", {"status": "gone"}),
        ("/subscribers", {"status": "active", "msisdn": "+4915112345678"}),
        ("/subscribers", {"msisdn": "+49"}),
        ("/subscribers", {"status": "active", "limit": "0"}),
        ("/network-elements", {}),
        ("/network-elements/UPPER", {}),
    ],
)
def test_a_query_that_is_not_valid_says_so(network: Network, path: str, query: dict[str, str]):
    status, problem = network[US].get(path, **query)

    assert (status, problem["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    "path",
    [
        "/subscribers/262011234567899",
        "/subscribers/262011234567899/timeline",
        "/network-elements/no-such",
        "/commands/no-such",
        "/commands/sub.aaaaaaaaaaaaaaaaaaaaaaaaaa.1",
        "/commands/sub.aaaaaaaaaaaaaaaaaaaaaaaaaa.9999999999999999999999",
        "/nowhere",
    ],
)
def test_what_is_unknown_is_a_404(network: Network, path: str):
    status, problem = network[US].get(path)

    assert (status, problem["code"]) == (404, "not_found")


def test_lists_find_subscribers_by_number_and_status(network: Network):
    network[US].post(ACTIVATION)
    network.settle()
    number = {"msisdn": "+4915112345678"}

    [by_number] = network[AP].get("/subscribers", **number)[1]["items"]
    [by_status] = network[AP].get("/subscribers", status="active")[1]["items"]

    assert by_number["imsi"] == by_status["imsi"] == IMSI
    assert network[AP].get("/subscribers", status="suspended")[1]["items"] == []


def test_a_number_that_was_changed_is_no_longer_found(network: Network):
    network[US].post(ACTIVATION)
    number = {"imsi": IMSI, "msisdn": "+4915112345679"}
    network[EU].post(
        {"type": "ChangeMsisdn", "command_id": "2", "producer": "crm-emea", "data": number}
    )
    network.settle()

    assert network[AP].get("/subscribers", msisdn="+4915112345678")[1]["items"] == []
    assert len(network[AP].get("/subscribers", msisdn="+4915112345679")[1]["items"]) == 1


def test_a_list_goes_on_by_cursor_and_a_foreign_cursor_is_refused(network: Network):
    for number in range(5):
        data = {**ELEMENT["data"], "element_id": f"gnb-{number}"}
        network[US].post({**ELEMENT, "command_id": str(number), "data": data})
    network.settle()

    seen: list[str] = []
    query = {"site": "ber-1", "limit": "2"}
    for _ in range(3):
        _, page = network[EU].get("/network-elements", **query)
        seen += [item["element_id"] for item in page["items"]]
        if page["next"]:
            query["cursor"] = page["next"]

    assert page["next"] is None
    assert sorted(seen) == [f"gnb-{number}" for number in range(5)]
    status, problem = network[EU].get(
        "/network-elements", **{**query, "site": "ber-2", "cursor": query["cursor"]}
    )
    assert (status, problem["code"]) == (422, "invalid_token")


def test_a_commands_status_is_told_in_any_region(network: Network):
    _, told = network[US].post(ACTIVATION)
    network.settle(without=[AP])
    path = f"/commands/{told['commit']}"

    _, waiting = network[AP].get(path)
    assert (waiting["status"], waiting["answer"]) == ("accepted", None)
    assert sorted(waiting["acknowledgements"]) == sorted([US, EU])

    network.settle()
    _, answered = network[AP].get(path)
    assert answered["status"] == "answered"
    assert answered["answer"] == network[US].answers[0]


def test_health_names_the_region(network: Network):
    assert network[AP].get("/health") == (
        200,
        {
            "status": "ok",
            "state": "active",
            "region": AP,
            "regions": list(REGIONS),
            "serving": list(REGIONS),
            "mode": "STRONG",
        },
    )


def test_the_openapi_document_is_valid_and_holds_every_command(network: Network):
    from openapi_spec_validator import validate  # noqa: PLC0415 - slow to import

    _, document = network[US].get("/openapi.json")

    validate(document)
    commands = [c.__name__ for a in network[US].deps.registry.aggregates for c in a.commands]
    body = document["paths"]["/commands"]["post"]["requestBody"]["content"]["application/json"]
    assert sorted(body["schema"]["discriminator"]["mapping"]) == sorted(commands)
    assert "/subscribers/{imsi}" in document["paths"]


def test_history_shows_what_a_subscriber_was(network: Network):
    changed_in_us_applied_nowhere_else(network)

    status, past = network[AP].get(f"{PATH}/history", at_sequence="1")

    assert (status, past["state"]["service_profile"]) == (200, "consumer-5g")
    assert [event["type"] for event in past["events"]] == ["SubscriberActivated"]
    _, now = network[AP].get(f"{PATH}/history")
    assert (now["state"]["service_profile"], now["as_of_sequence"]) == ("gold", 2)
    _, long_ago = network[AP].get(f"{PATH}/history", at_time="2000-01-01T00:00:00Z")
    assert (long_ago["state"], long_ago["as_of_sequence"]) == (None, 0)


@pytest.mark.parametrize(
    "query",
    [
        {"at_sequence": "-1"},
        {"at_time": "yesterday"},
        {"at_sequence": "1", "at_time": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_history_that_cannot_be_asked_for_says_so(network: Network, query: dict[str, str]):
    assert network[AP].get(f"{PATH}/history", **query)[0] == 422


def test_the_history_of_what_never_was_is_a_404(network: Network):
    assert network[AP].get(f"{PATH}/history")[0] == 404


def test_a_consistency_token_is_no_cursor(network: Network):
    token = changed_in_us_applied_nowhere_else(network)

    status, problem = network[US].get("/subscribers", status="active", cursor=token)

    assert (status, problem["code"]) == (422, "invalid_token")


def test_sixteen_first_requests_at_once_are_all_answered(network: Network):
    network[US].post(ACTIVATION)
    network.settle()
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            handle = make_handler(network[US].deps)
            network[US]._queries = handle
            with ThreadPoolExecutor(16) as pool:
                statuses = list(pool.map(lambda _: network[US].get(PATH)[0], range(32)))
            assert statuses == [200] * 32
    finally:
        sys.setswitchinterval(switch_s)


def test_every_error_is_documented_as_the_problem_that_is_sent(network: Network):
    _, document = network[US].get("/openapi.json")

    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, routes in document["paths"].items():
        for route in routes.values():
            for status, told in route["responses"].items():
                # A region that does not serve tells its state by 503, not that it failed.
                problem = int(status) >= 400 and (path, status) != ("/health", "503")
                assert ("application/problem+json" in told.get("content", {})) == problem, path


def test_an_eventual_read_does_not_claim_to_be_fresh(network: Network):
    changed_in_us_applied_nowhere_else(network)

    assert network[EU].get(PATH)[1]["stale"] is None
    assert network[EU].get(PATH, consistency="strong")[1]["stale"] is False


def test_a_list_is_stable_while_others_come_and_go(network: Network):
    def register(number: int, site: str = "ber-1") -> None:
        data = {**ELEMENT["data"], "element_id": f"gnb-{number}", "site": site}
        network[US].post({**ELEMENT, "command_id": str(number), "data": data})

    for number in range(6):
        register(number)
    network.settle()
    _, first = network[EU].get("/network-elements", site="ber-1", limit="3")
    # New ones come, and one that was listed changes.
    for number in range(6, 12):
        register(number)
    listed = first["items"][0]["element_id"]
    gone = {"element_id": listed, "reason": "closed"}
    network[US].post(
        {"type": "DecommissionNetworkElement", "command_id": "d", "producer": "o", "data": gone}
    )
    network.settle()

    seen = [item["element_id"] for item in first["items"]]
    cursor = first["next"]
    while cursor:
        _, page = network[EU].get("/network-elements", site="ber-1", limit="3", cursor=cursor)
        seen += [item["element_id"] for item in page["items"]]
        cursor = page["next"]

    assert len(seen) == len(set(seen)), "nothing twice"
    assert {f"gnb-{number}" for number in range(6)} <= set(seen), "nothing of before left out"


def test_the_document_tells_where_somebody_may_be_gone(network: Network):
    _, told = network[EU].get("/openapi.json")

    gone = {
        path
        for path, routes in told["paths"].items()
        for route in routes.values()
        if "410" in route["responses"]
    }
    one = "/subscribers/{imsi}"
    assert gone == {one, f"{one}/timeline", f"{one}/history"}
