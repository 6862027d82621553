"""Feeds: real numbers, enough of everything, and expectations that are proved, not believed.

What may come of a command is worked out here a second time, from the file alone: lines of
one subject are decided in order, those of a burst in every order, duplicates once.
"""

from collections import Counter, defaultdict
from functools import cache, reduce
from importlib.resources import files
from itertools import groupby, permutations, product
from random import Random

import phonenumbers
import pytest
import stdnum.imsi
from pydantic import TypeAdapter

from antiphon.feeds.generate import bundled, generate
from antiphon.feeds.lines import BadFeed, bundled_feed, read_feed, write_line
from antiphon.feeds.numbering import OPERATORS
from domain.aggregate import CommandRefused
from domain.identifiers import Iccid, Imsi, Msisdn, Plmn
from domain.registry import REGISTRY

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


@cache
def bundled_lines():
    return tuple(bundled_feed())


def made(commands, *, seed=5, regions=REGIONS, duplicates=0.2):
    return list(generate(commands, seed=seed, regions=regions, duplicates=duplicates))


def steps_by_subject(lines):
    """Return each subject's steps: a line by itself, or the lines of a burst."""
    subjects = defaultdict(list)
    for line in lines:
        subjects[line.subject].append(line)
    for own in subjects.values():
        keyed = [(line.burst or f"line {place}", line) for place, line in enumerate(own)]
        yield [[line for _, line in step] for _, step in groupby(keyed, key=lambda pair: pair[0])]


def passed(identifier, value):
    return TypeAdapter(identifier).validate_python(value)


def identity(line):
    return line.command.producer, line.command.command_id


def decided(world, line):
    """Return the world after one more line; a world is (state, outcome by command)."""
    state, outcomes = world
    if identity(line) in outcomes:
        return world
    aggregate, model = REGISTRY.aggregate_of_command(line.command.type)
    command = model.model_validate(line.command.data)
    try:
        events = aggregate.decide(state, command, now=None)
        outcome = "accepted" if events else "unchanged"
    except CommandRefused:
        events, outcome = (), "rejected"
    for event in events:
        state = aggregate.evolve(state, event)
    return state, outcomes | {identity(line): outcome}


def worlds_of(steps):
    """Return every end that the steps of one subject can come to, the same ends once."""
    worlds = [(None, {})]
    for step in steps:
        ends = {}
        for world, order in product(worlds, permutations(step)):
            end = reduce(decided, order, world)
            ends[repr(end)] = end
        worlds = list(ends.values())
    return worlds


def assert_expectations_are_exact(lines):
    for steps in steps_by_subject(lines):
        outcomes = [world_outcomes for _, world_outcomes in worlds_of(steps)]
        for line in (line for step in steps for line in step):
            possible = {world[identity(line)] for world in outcomes}
            assert set(line.expect) == possible, line
            assert len(line.expect) == len(possible)


def bursts_of(lines):
    return [step for steps in steps_by_subject(lines) for step in steps if len(step) > 1]


def test_the_bundled_feed_is_what_the_generator_makes():
    stored = files("antiphon.feeds").joinpath("operators.jsonl").read_bytes()
    assert stored == b"".join(write_line(line) for line in bundled()), (
        "make it again: python -m antiphon.feeds > antiphon/feeds/operators.jsonl"
    )


def test_the_bundled_feed_names_regions_by_place_only():
    stored = files("antiphon.feeds").joinpath("operators.jsonl").read_text()
    assert not [region for region in REGIONS if region in stored]
    assert stored.isascii()


def test_every_expectation_of_the_bundled_feed_is_possible_and_none_is_missing():
    assert_expectations_are_exact(bundled_lines())


def test_the_proof_sees_a_wrong_expectation():
    lines = list(bundled_lines())
    for wrong in (["rejected"], ["accepted", "rejected"]):
        spoiled = [lines[0].model_copy(update={"expect": wrong}), *lines[1:]]
        with pytest.raises(AssertionError):
            assert_expectations_are_exact(spoiled)


def test_the_bundled_feed_has_enough_of_everything():
    lines = bundled_lines()
    commands = {identity(line): line for line in lines}
    assert len(commands) >= 360
    assert len({line.subject for line in lines if "imsi" in line.command.data}) >= 100
    assert len({line.subject for line in lines if "element_id" in line.command.data}) >= 25
    types = Counter(line.command.type for line in commands.values())
    known = {model.__name__ for aggregate in REGISTRY.aggregates for model in aggregate.commands}
    # Forgetting is an operator's, who does more than send a command.
    forgets = {aggregate.forget.__name__ for aggregate in REGISTRY.aggregates if aggregate.forget}
    assert set(types) == known - forgets
    assert min(types.values()) >= 4
    sure = Counter(line.expect[0] for line in commands.values() if len(line.expect) == 1)
    assert sure["rejected"] >= 25
    assert sure["unchanged"] >= 10
    assert len(bursts_of(lines)) >= 20
    places = Counter(place for line in lines for place in line.regions)
    assert set(places) == {0, 1, 2}
    assert min(places.values()) >= len(lines) / 4


def test_about_a_tenth_of_the_bundled_feed_goes_to_several_regions_at_once():
    several = Counter(len(line.regions) for line in bundled_lines() if len(line.regions) > 1)
    assert set(several) == {2, 3}
    assert 0.08 <= several.total() / len(bundled_lines()) <= 0.13


def test_late_duplicates_are_the_same_bytes_from_another_region():
    first, late = {}, []
    for line in bundled_lines():
        if identity(line) in first:
            late.append((first[identity(line)], line))
        first.setdefault(identity(line), line)
    assert len(late) >= 5
    for original, again in late:
        assert again.body() == original.body()
        assert again.expect == original.expect
        assert not set(again.regions) & set(original.regions)


def test_a_burst_is_two_or_three_commands_to_one_aggregate_from_different_regions():
    by_number = defaultdict(list)
    for place, line in enumerate(bundled_lines()):
        if line.burst is not None:
            by_number[line.burst].append((place, line))
    assert len(by_number) == len(bursts_of(bundled_lines()))
    for burst in by_number.values():
        places, lines = zip(*burst, strict=True)
        assert 2 <= len(lines) <= 3
        assert list(places) == list(range(places[0], places[0] + len(lines)))
        assert len({line.subject for line in lines}) == 1
        assert len({line.regions[0] for line in lines}) == len(lines)


def test_of_configurations_for_one_revision_at_once_exactly_one_is_accepted():
    races = 0
    for steps in steps_by_subject(bundled_lines()):
        worlds = worlds_of(steps)
        for step in steps:
            bases = {line.command.data.get("base_revision") for line in step}
            if len(step) == 1 or len(bases) != 1 or None in bases:
                continue
            told = [Counter(outcomes[identity(line)] for line in step) for _, outcomes in worlds]
            assert all(outcomes["accepted"] <= 1 for outcomes in told)
            races += all(outcomes["accepted"] == 1 for outcomes in told)
    assert races >= 5


@pytest.mark.parametrize("source", ["bundled", "made"])
def test_every_command_passes_the_domain_and_is_canonical(source):
    for line in bundled_lines() if source == "bundled" else made(500):
        _, model = REGISTRY.aggregate_of_command(line.command.type)
        assert model.model_validate(line.command.data).model_dump(mode="json") == line.command.data


def test_the_subscribers_are_of_at_least_twelve_countries():
    numbers = {
        line.command.data["msisdn"] for line in bundled_lines() if "msisdn" in line.body().decode()
    }
    countries = {phonenumbers.region_code_for_number(phonenumbers.parse(n)) for n in numbers}
    assert len(countries) >= 12
    subjects = {line.subject for line in bundled_lines() if "imsi" in line.command.data}
    assert len({stdnum.imsi.info(imsi)["country"] for imsi in subjects}) >= 12


def test_there_are_operators_of_at_least_fourteen_countries():
    assert len({operator.country for operator in OPERATORS}) == len(OPERATORS) >= 14


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_an_operators_numbers_are_of_its_country_and_its_network(operator):
    rng = Random(operator.name)
    assert passed(Plmn, operator.plmn) == operator.plmn
    calling_code = operator.calling_code.zfill(2)
    assert operator.issuer.startswith("89" + calling_code)
    for _ in range(50):
        number = phonenumbers.parse(passed(Msisdn, operator.msisdn(rng)))
        assert phonenumbers.region_code_for_number(number) == operator.country
        assert phonenumbers.number_type(number) in {
            phonenumbers.PhoneNumberType.MOBILE,
            phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
        }
        imsi = stdnum.imsi.info(passed(Imsi, operator.imsi(rng)))
        assert f"{imsi['mcc']}-{imsi['mnc']}" == operator.plmn
        assert imsi["status"] == "Operational"
        assert passed(Iccid, operator.iccid(rng)).startswith(operator.issuer)


@pytest.mark.parametrize("commands", [0, 1, 50, 2000])
def test_a_feed_has_exactly_the_commands_asked_for_with_exact_expectations(commands):
    lines = made(commands)
    assert len({identity(line) for line in lines}) == commands
    assert len({line.command.command_id for line in lines}) == commands
    assert_expectations_are_exact(lines)


@pytest.mark.parametrize("regions", [1, 2, 3, 5])
def test_a_feed_uses_every_region_that_there_is_and_no_other(regions):
    lines = made(200, regions=[f"region-{place}" for place in range(regions)])
    assert {place for line in lines for place in line.regions} == set(range(regions))
    assert all(len(line.regions) == len(set(line.regions)) for line in lines)
    assert_expectations_are_exact(lines)


def test_the_same_seed_makes_the_same_feed_and_another_seed_other_subjects():
    assert made(100, seed=1) == made(100, seed=1)
    one, other = ({line.subject for line in made(100, seed=seed)} for seed in (1, 2))
    assert not one & other


@pytest.mark.parametrize("duplicates", [0.0, 0.3, 1.0])
def test_the_share_of_duplicates_is_as_asked_for(duplicates):
    deliveries = Counter()
    for line in made(1000, duplicates=duplicates):
        deliveries[identity(line)] += len(line.regions)
    more_than_once = sum(count > 1 for count in deliveries.values())
    assert more_than_once / 1000 == pytest.approx(duplicates, abs=0.05 * (0 < duplicates < 1))


@pytest.mark.parametrize(
    "wrong", [{"commands": -1}, {"regions": ()}, {"duplicates": -0.1}, {"duplicates": 1.1}]
)
def test_a_feed_that_cannot_be_is_refused_before_the_first_line(wrong):
    with pytest.raises(ValueError, match="a feed has"):
        generate(**{"commands": 1, "seed": 1, "regions": REGIONS, "duplicates": 0.0} | wrong)


def test_a_line_is_the_same_after_a_way_through_a_file():
    lines = made(50)
    written = b"".join(write_line(line) for line in lines)
    assert list(read_feed(written.splitlines())) == lines
    assert list(read_feed(["", *written.decode().split("\n"), "  "])) == lines


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 is no command of a feed: the line"),
        ("{}", "line 2 is no command of a feed: regions"),
        ('{"regions": [], "expect": ["accepted"], "command": {}}', "regions"),
        ('{"regions": [-1], "expect": ["accepted"], "command": {}}', "regions.0"),
        ('{"regions": [0], "expect": ["Fine!"], "command": {}}', "expect.0"),
        ('{"regions": [0], "expect": ["accepted"], "command": {}}', "command.type"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_what_is_wrong(line, complaint):
    good = write_line(bundled_lines()[0])
    with pytest.raises(BadFeed, match=complaint.replace("[", r"\[")):
        list(read_feed([good, line]))


def test_the_order_of_a_command_without_a_subject_is_its_own():
    line = bundled_lines()[0]
    lost = line.model_copy(update={"command": line.command.model_copy(update={"data": {}})})
    assert lost.subject == line.command.command_id
