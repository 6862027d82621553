"""Properties of every decider, over any sequence of commands to one aggregate."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import network_element as ne
from domain import subscriber as sub
from domain.aggregate import CommandRefused

NOW = datetime(2026, 11, 23, tzinfo=UTC)
IMSI, ELEMENT_ID = "262011234567890", "upf-fra-2"

MSISDNS = st.sampled_from(["+4915112345678", "+4915112345679"])
PROFILES = st.sampled_from(["consumer-5g", "iot"])
REASONS = st.sampled_from(["lost", "fraud"])
SUBSCRIBER_COMMANDS = st.one_of(
    st.builds(
        sub.ActivateSubscriber,
        imsi=st.just(IMSI),
        msisdn=MSISDNS,
        iccid=st.just("8949020000012345670"),
        service_profile=PROFILES,
    ),
    st.builds(sub.ChangeServiceProfile, imsi=st.just(IMSI), service_profile=PROFILES),
    st.builds(sub.ChangeMsisdn, imsi=st.just(IMSI), msisdn=MSISDNS),
    st.builds(sub.SuspendSubscriber, imsi=st.just(IMSI), reason=REASONS),
    st.builds(sub.ResumeSubscriber, imsi=st.just(IMSI)),
    st.builds(sub.TerminateSubscriber, imsi=st.just(IMSI), reason=REASONS),
    st.builds(sub.ForgetSubscriber, imsi=st.just(IMSI)),
)
ID = st.just(ELEMENT_ID)
REVISIONS = st.integers(0, 8)
# 1, 1.0 and True are equal in Python and different configurations.
PARAMETERS = st.fixed_dictionaries({"load": st.sampled_from([0, 1, True, 1.0, "1"])})
ELEMENT_COMMANDS = st.one_of(
    st.builds(
        ne.RegisterNetworkElement,
        element_id=ID,
        kind=st.sampled_from(["upf", "smf"]),
        site=st.just("fra-1"),
        plmn=st.just("262-01"),
    ),
    st.builds(ne.ApplyConfiguration, element_id=ID, base_revision=REVISIONS, parameters=PARAMETERS),
    st.builds(ne.RollBackConfiguration, element_id=ID, revision=REVISIONS),
    st.builds(ne.DecommissionNetworkElement, element_id=ID, reason=REASONS),
)
CASES = [
    pytest.param(sub.SUBSCRIBER, SUBSCRIBER_COMMANDS, id="subscriber"),
    pytest.param(ne.NETWORK_ELEMENT, ELEMENT_COMMANDS, id="network-element"),
]
SOMETIMES = st.data()


def decided(aggregate, state, command):
    """Return (events, state after them, reason of a refusal)."""
    try:
        events = aggregate.decide(state, command, now=NOW)
    except CommandRefused as refused:
        return (), state, refused.reason
    for event in events:
        state = aggregate.evolve(state, event)
    return events, state, None


def steps(aggregate, commands):
    """Yield (state before, command, events, state after, reason) for each command."""
    state = None
    for command in commands:
        events, after, reason = decided(aggregate, state, command)
        yield state, command, events, after, reason
        state = after


@pytest.mark.parametrize(("aggregate", "commands"), CASES)
@given(data=SOMETIMES)
def test_the_same_command_again_gives_the_same_no_or_nothing(aggregate, commands, data):
    for _, command, _, after, reason in steps(aggregate, data.draw(st.lists(commands))):
        again, unmoved, refused = decided(aggregate, after, command)
        assert (again, unmoved, refused) == ((), after, reason)


@pytest.mark.parametrize(("aggregate", "commands"), CASES)
@given(data=SOMETIMES)
def test_an_event_always_changes_the_state(aggregate, commands, data):
    for before, _, events, after, _ in steps(aggregate, data.draw(st.lists(commands))):
        if events:
            assert before is None or after.model_dump_json() != before.model_dump_json()


@pytest.mark.parametrize(("aggregate", "commands"), CASES)
@given(data=SOMETIMES)
def test_stored_events_fold_to_the_same_state(aggregate, commands, data):
    folded = None
    for _, _, events, after, _ in steps(aggregate, data.draw(st.lists(commands))):
        for event in events:
            topic, stored = aggregate.topic(type(event)), event.model_dump_json()
            read = aggregate.event_class(topic).model_validate_json(stored)
            folded = aggregate.evolve(folded, read)
        if after is not None:
            told = after.model_dump_json()
            assert folded.model_dump_json() == told
            assert aggregate.state.model_validate_json(told) == after


@pytest.mark.parametrize(
    ("aggregate", "commands", "end"),
    [
        pytest.param(sub.SUBSCRIBER, SUBSCRIBER_COMMANDS, "forgotten", id="subscriber"),
        pytest.param(ne.NETWORK_ELEMENT, ELEMENT_COMMANDS, "decommissioned", id="network-element"),
    ],
)
@given(data=SOMETIMES)
def test_the_end_is_final(aggregate, commands, end, data):
    for before, _, events, _, _ in steps(aggregate, data.draw(st.lists(commands))):
        if before is not None and before.status == end:
            assert events == ()


@given(st.lists(SUBSCRIBER_COMMANDS))
def test_a_subscriber_has_a_reason_exactly_while_it_is_not_active(commands):
    for *_, after, _ in steps(sub.SUBSCRIBER, commands):
        if after is not None:
            assert (after.imsi == IMSI) == (after.status != "forgotten")
            assert (after.reason is None) == (after.status in {"active", "forgotten"})


@given(st.lists(SUBSCRIBER_COMMANDS))
def test_number_and_profile_change_only_while_a_subscriber_is_active(commands):
    for before, _, _, after, _ in steps(sub.SUBSCRIBER, commands):
        if before is not None and before.status != "active":
            same = (before.msisdn, before.service_profile)
            forgotten = after.status == "forgotten"
            assert forgotten or (after.msisdn, after.service_profile) == same


@given(st.lists(SUBSCRIBER_COMMANDS))
def test_a_terminated_subscriber_can_only_be_forgotten(commands):
    for before, command, events, _, _ in steps(sub.SUBSCRIBER, commands):
        if before is not None and before.status == "terminated" and events:
            assert isinstance(command, sub.ForgetSubscriber)


@given(st.lists(ELEMENT_COMMANDS))
def test_a_revision_follows_the_one_before_and_the_last_ones_are_kept(commands):
    for before, _, events, after, _ in steps(ne.NETWORK_ELEMENT, commands):
        if after is None:
            continue
        configured = [event for event in events if hasattr(event, "revision")]
        assert after.revision == (before.revision if before else 0) + len(configured)
        kept = range(max(1, after.revision - ne.KEPT_REVISIONS + 1), after.revision + 1)
        assert [revision.revision for revision in after.revisions] == list(kept)
        if after.revisions:
            assert after.parameters == after.revisions[-1].parameters


@given(st.lists(ELEMENT_COMMANDS), PARAMETERS, PARAMETERS)
def test_at_most_one_of_two_configurations_for_one_revision_applies(commands, one, other):
    *_, (_, _, _, state, _) = [(0, 0, 0, None, 0), *steps(ne.NETWORK_ELEMENT, commands)]
    base = state.revision if state else 0
    applied = 0
    for parameters in (one, other):
        command = ne.ApplyConfiguration(
            element_id=ELEMENT_ID, base_revision=base, parameters=parameters
        )
        events, state, _ = decided(ne.NETWORK_ELEMENT, state, command)
        applied += len(events)
    assert applied <= 1
