"""`antiphon dlq`: what it lists, hides and asks, and the orders that it gives."""

import time

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.cli import app

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
IMSI = "262011234567890"
AGGREGATE = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa"
COMMAND, PLACE = "commands.one", f"projector.{AGGREGATE}"


def dlq(system, *words: str, answer: str | None = None):
    return CliRunner().invoke(app, ["dlq", *words, *system.ports], input=answer)


@pytest.fixture
def letters(system):
    """Two letters in the west: a command that failed just now, an aggregate of long ago."""
    now = str(int(time.time() * 1000))
    command = {
        "id": {"S": COMMAND},
        "sr": {"S": "commands"},
        "e": {"S": "invalid: data.imsi: required"},
        "n": {"N": "3"},
        "t": {"N": now},
        "l": {"N": now},
        "b": {"S": f'{{"imsi": "{IMSI}"}}'},
        "ba": {"M": {"Antiphon-Group": {"S": IMSI}}},
    }
    place = {
        "id": {"S": PLACE},
        "sr": {"S": "projector"},
        "e": {"S": "CorruptLog: a hole"},
        "n": {"N": "1"},
        "t": {"N": "1000"},
        "l": {"N": "1000"},
        "a": {"S": AGGREGATE},
        "p": {"N": "7"},
    }
    system.tables[WEST, "antiphon-letters"] = [command, place]
    return {COMMAND: command, PLACE: place}


def listed(result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [one["letter"] for one in orjson.loads(result.stdout)]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], [PLACE, COMMAND]),
        (["--source", "commands"], [COMMAND]),
        (["--aggregate", AGGREGATE], [PLACE]),
        (["--since", "1h"], [COMMAND]),
        (["--since", "1970-01-01T00:00:01+00:00"], [PLACE, COMMAND]),
        (["--since", "1970-01-01T00:00:02+00:00"], [COMMAND]),
        (["--region", EAST], []),
        (["--region", WEST], [PLACE, COMMAND]),
        (["--source", "commands", "--aggregate", AGGREGATE], []),
    ],
)
def test_a_list_shows_what_the_filters_take_oldest_first(system, letters, filters, found):
    assert listed(dlq(system, "list", "--json", *filters)) == found


def test_a_list_shows_nothing_personal(system, letters):
    for words in (["list"], ["list", "--json"], ["show", COMMAND], ["show", COMMAND, "--json"]):
        result = dlq(system, *words)
        assert result.exit_code == 0
        assert COMMAND in result.output
        assert IMSI not in result.output


def test_what_a_letter_holds_is_shown_where_that_is_asked_for(system, letters):
    assert "--reveal" in dlq(system, "show", COMMAND).output
    assert IMSI in dlq(system, "show", COMMAND, "--reveal").output
    [told] = orjson.loads(dlq(system, "show", COMMAND, "--reveal", "--json").stdout)
    assert told["payload"] == f'{{"imsi": "{IMSI}"}}'
    assert told["attributes"] == {"Antiphon-Group": IMSI}
    [place] = orjson.loads(dlq(system, "show", PLACE, "--json").stdout)
    assert (place["commit"], place["attempts"]) == (f"{AGGREGATE}.7", 1)


def test_letters_that_have_ended_are_listed_only_when_asked_for(system, letters):
    letters[PLACE]["ed"] = {"N": "2000"}
    assert listed(dlq(system, "list", "--json")) == [COMMAND]
    assert listed(dlq(system, "list", "--json", "--ended")) == [PLACE, COMMAND]


def test_who_dropped_what_is_listed(system, letters):
    audit = {"id": {"S": f"dropped#000000000002000#{COMMAND}"}, "sr": {"S": "commands"}}
    audit |= {"e": {"S": "x"}, "ed": {"N": "2000"}, "db": {"S": "eva"}, "wy": {"S": "sent twice"}}
    system.tables[WEST, "antiphon-letters"].append(audit)
    assert listed(dlq(system, "list", "--json")) == [PLACE, COMMAND]
    [told] = orjson.loads(dlq(system, "list", "--dropped", "--json").stdout)
    assert (told["letter"], told["dropped_by"]) == (COMMAND, "eva")
    assert (told["reason"], told["dropped_at"]) == ("sent twice", "1970-01-01T00:00:02Z")
    assert "sent twice" in dlq(system, "list", "--dropped").output


def test_an_empty_list_says_so(system):
    assert "No dead letters." in dlq(system, "list").output
    assert "No such dead letters." in dlq(system, "list", "--since", "1h").output
    assert "No letter was ever dropped." in dlq(system, "list", "--dropped").output


def test_a_replay_is_an_order_to_the_region_and_is_waited_for(system, letters):
    system.outcomes[PLACE] = ["replaying", "replaying", "done"]
    result = dlq(system, "replay", PLACE, COMMAND, "--json")
    assert result.exit_code == 0
    told = {one["letter"]: (one["region"], one["outcome"]) for one in orjson.loads(result.stdout)}
    assert told == {PLACE: (WEST, "done"), COMMAND: (WEST, "done")}
    assert [order["order"] for _, order in system.orders] == ["replay", "replay", "look", "look"]


def test_a_replay_chooses_by_filters(system, letters):
    assert dlq(system, "replay", "--source", "projector").exit_code == 0
    assert system.orders == [(WEST, {"order": "replay", "letter": PLACE})]
    assert "No such dead letters." in dlq(system, "replay", "--source", "bus").output
    assert dlq(system, "replay", "--all", "--region", WEST).exit_code == 0
    assert len(system.orders) == 3


def test_what_had_no_grant_is_replayed_by_its_name_alone(system, letters):
    letters[COMMAND]["e"] = {"S": "forbidden: AROAX may not send ActivateSubscriber"}

    result = dlq(system, "replay", "--all")

    assert "1 left out" in result.output
    assert [order["letter"] for _, order in system.orders] == [PLACE]
    assert dlq(system, "replay", COMMAND).exit_code == 0
    assert system.orders[-1] == (WEST, {"order": "replay", "letter": COMMAND})


@pytest.mark.parametrize("outcome", ["failed", "refused", "unavailable"])
def test_a_replay_that_did_not_help_ends_with_1(system, letters, outcome):
    system.outcomes[PLACE] = ["replaying", outcome]
    result = dlq(system, "replay", PLACE)
    assert result.exit_code == 1
    assert f"it is {outcome}" in result.output


def test_what_is_still_under_way_when_the_time_is_over_is_no_failure(system, letters):
    system.outcomes[PLACE] = ["replaying"]
    result = dlq(system, "replay", PLACE, "--wait", "0")
    assert result.exit_code == 0
    assert "replaying" in result.output


def test_a_drop_asks_and_says_who_and_why(system, letters):
    drop = ["drop", COMMAND, "--reason", "sent twice", "--by", "eva"]
    assert dlq(system, *drop, answer="n\n").exit_code == 1
    assert system.orders == []
    system.outcomes[COMMAND] = ["dropped"]
    asked = dlq(system, *drop, answer="y\n")
    assert asked.exit_code == 0
    assert "Drop 1 letter" in asked.output
    order = {"order": "drop", "letter": COMMAND, "by": "eva", "reason": "sent twice"}
    assert system.orders == [(WEST, order)]
    assert dlq(system, "drop", COMMAND, "--reason", "x", "--yes").exit_code == 0
    assert system.orders[1][1]["by"], "the user of this machine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "commands.none"], "no letter commands.none in us-east-1, eu-west-1, ap-south-1"),
        (["replay", "commands.none"], "see: antiphon dlq list"),
        (["replay", COMMAND, "--region", EAST], f"no letter {COMMAND} in us-east-1"),
        (["replay"], "name letters, or choose them with --source"),
        (["replay", COMMAND, "--all"], "not both"),
        (["drop", "--reason", "x", "--yes"], "name letters"),
        (["drop", COMMAND, "--reason", " ", "--yes"], "say why"),
        (["drop", COMMAND, "--yes"], "--reason"),
        (["list", "--source", "moon"], "no letters come from moon"),
        (["list", "--since", "soon"], "--since soon is no time"),
        (["list", "--since", "2026-11-24T10:00:00"], "is no time"),
        (["list", "--region", "mars-1"], "no region mars-1 here"),
    ],
)
def test_what_cannot_be_meant_is_told_and_does_nothing(system, letters, words, told):
    result = dlq(system, *words)
    assert result.exit_code == 2
    assert told in result.output
    assert system.orders == []


def test_a_function_that_fails_is_named(system, letters):
    system.outcomes[COMMAND] = ["crash"]
    result = dlq(system, "replay", COMMAND)
    assert result.exit_code == 2
    assert "antiphon-dead-letters in eu-west-1 failed with KeyError" in result.output


def test_status_and_verify_count_the_letters_that_wait(system, letters):
    letters[PLACE]["ed"] = {"N": "2000"}
    ports = system.ports
    status = orjson.loads(CliRunner().invoke(app, ["status", "--json", *ports]).stdout)
    assert status["regions"][1]["dead_letters"]["antiphon-letters"] == 1
    verify = ["verify", "--settle", "0", *ports]
    assert orjson.loads(CliRunner().invoke(app, [*verify, "--json"]).stdout)["dead_letters"] == 1
    assert "dead letters that wait: 1" in CliRunner().invoke(app, verify).output
