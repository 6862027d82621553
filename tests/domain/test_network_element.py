"""What a network element does on every command in every state, and its revisions."""

import pytest
from pydantic import ValidationError

from domain.configuration import MAX_PARAMETERS_BYTES, canonical
from domain.network_element import (
    KEPT_REVISIONS,
    NETWORK_ELEMENT,
    ApplyConfiguration,
    ConfigurationApplied,
    ConfigurationRolledBack,
    DecommissionNetworkElement,
    NetworkElementDecommissioned,
    NetworkElementRegistered,
    RegisterNetworkElement,
    RollBackConfiguration,
)

ID = "gnb-ber-0001"
DATA = {"element_id": ID, "kind": "gnb", "site": "ber-mitte-3", "plmn": "262-01"}
P1, P2, P3 = ({"nRPCI": 211, "txPower": power} for power in (40, 43, 46))
MAX_STATE_BYTES = 256 * 1024


def apply(base_revision, parameters):
    return ApplyConfiguration(element_id=ID, base_revision=base_revision, parameters=parameters)


def roll_back(revision):
    return RollBackConfiguration(element_id=ID, revision=revision)


def decommission(reason):
    return DecommissionNetworkElement(element_id=ID, reason=reason)


def applied(revision, parameters):
    return ConfigurationApplied(
        revision=revision, base_revision=revision - 1, parameters=parameters
    )


def rolled_back(revision, to, parameters):
    return ConfigurationRolledBack(revision=revision, rolled_back_to=to, parameters=parameters)


def registered(**fields: str):
    mcc, mnc = fields.pop("plmn").split("-")
    return NetworkElementRegistered(**fields, mcc=mcc, mnc=mnc)


REGISTERED = registered(**DATA)
CONFIGURED = (REGISTERED, applied(1, P1), applied(2, P2))
DECOMMISSIONED = NetworkElementDecommissioned(reason="site closed")
PASTS = {
    "unknown": (),
    "without-configuration": (REGISTERED,),
    "configured": CONFIGURED,
    "rolled-back": (*CONFIGURED, rolled_back(3, 1, P1)),
    "decommissioned": (*CONFIGURED, DECOMMISSIONED),
}
NOTHING = None
UNKNOWN, GONE, STALE, NO_REVISION = (
    "unknown_element",
    "element_decommissioned",
    "stale_revision",
    "unknown_revision",
)
REGISTER = RegisterNetworkElement(**DATA)
REGISTER_ELSEWHERE = RegisterNetworkElement(**DATA | {"site": "ber-mitte-4"})
ELSEWHERE = registered(**DATA | {"site": "ber-mitte-4"})
# Command: what comes of it in each of the states above.
TABLE = [
    (REGISTER, REGISTERED, NOTHING, NOTHING, NOTHING, GONE),
    (REGISTER_ELSEWHERE, ELSEWHERE, *3 * ["already_registered"], GONE),
    (apply(0, P1), UNKNOWN, applied(1, P1), STALE, STALE, GONE),
    (apply(1, P2), UNKNOWN, STALE, NOTHING, STALE, GONE),
    (apply(1, P3), UNKNOWN, STALE, STALE, STALE, GONE),
    (apply(2, P1), UNKNOWN, STALE, applied(3, P1), STALE, GONE),
    (apply(2, P2), UNKNOWN, STALE, NOTHING, STALE, GONE),
    (apply(3, P1), UNKNOWN, STALE, STALE, NOTHING, GONE),
    (apply(3, P3), UNKNOWN, STALE, STALE, applied(4, P3), GONE),
    (roll_back(0), UNKNOWN, NO_REVISION, NO_REVISION, NO_REVISION, GONE),
    (roll_back(1), UNKNOWN, NO_REVISION, rolled_back(3, 1, P1), NOTHING, GONE),
    (roll_back(2), UNKNOWN, NO_REVISION, NOTHING, rolled_back(4, 2, P2), GONE),
    (roll_back(3), UNKNOWN, NO_REVISION, NO_REVISION, NOTHING, GONE),
    (decommission("site closed"), UNKNOWN, *3 * [DECOMMISSIONED], NOTHING),
    (
        decommission("sold"),
        UNKNOWN,
        *3 * [NetworkElementDecommissioned(reason="sold")],
        GONE,
    ),
]
PAIRS = [
    pytest.param(past, command, outcome, id=f"{status}-{command!r}")
    for command, *outcomes in TABLE
    for (status, past), outcome in zip(PASTS.items(), outcomes, strict=True)
]


@pytest.fixture
def aggregate():
    return NETWORK_ELEMENT


@pytest.mark.parametrize(("past", "command", "outcome"), PAIRS)
def test_every_command_in_every_state_does_what_the_table_says(given, past, command, outcome):
    decided = given(*past).when(command)
    if outcome is NOTHING:
        decided.then_nothing()
    elif isinstance(outcome, str):
        decided.then_refused(outcome)
    else:
        decided.then(outcome)


def test_the_table_has_every_command():
    assert {type(command) for command, *_ in TABLE} == set(NETWORK_ELEMENT.commands)


def test_a_registered_element_is_at_revision_zero(given):
    state = given().when(REGISTER).then(REGISTERED)
    assert (state.status, state.revision, state.parameters) == ("in_service", 0, {})
    assert state.revisions == ()


def test_an_applied_configuration_is_the_current_one(given):
    state = given(REGISTERED, applied(1, P1)).when(apply(1, P2)).then(applied(2, P2))
    assert (state.revision, state.parameters) == (2, P2)
    assert [revision.revision for revision in state.revisions] == [1, 2]


def test_of_two_configurations_for_one_revision_only_the_first_applies(given):
    given(REGISTERED).when(apply(0, P1)).then(applied(1, P1))
    given(REGISTERED, applied(1, P1)).when(apply(0, P2)).then_refused("stale_revision")


def test_the_same_parameters_by_a_roll_back_are_not_an_earlier_decision(given):
    past = (REGISTERED, applied(1, P1), applied(2, P2), rolled_back(3, 1, P1))
    given(*past).when(apply(2, P1)).then_refused("stale_revision")


def test_true_and_one_are_different_parameters(given):
    past = (REGISTERED, applied(1, {"barred": 1}))
    changed = applied(2, {"barred": True})
    state = given(*past).when(apply(1, {"barred": True})).then(changed)
    assert state.parameters["barred"] is True
    given(*past).when(apply(0, {"barred": True})).then_refused("stale_revision")


def test_a_roll_back_reaches_the_last_32_revisions_and_no_further(given):
    past = (REGISTERED, *(applied(n, {"n": n}) for n in range(1, KEPT_REVISIONS + 3)))
    newest = KEPT_REVISIONS + 2
    oldest = newest - KEPT_REVISIONS + 1
    given(*past).when(roll_back(oldest - 1)).then_refused("unknown_revision")
    given(*past).when(roll_back(newest + 1)).then_refused("unknown_revision")
    state = (
        given(*past).when(roll_back(oldest)).then(rolled_back(newest + 1, oldest, {"n": oldest}))
    )
    assert len(state.revisions) == KEPT_REVISIONS
    assert state.parameters == {"n": oldest}


def test_a_decommissioned_element_keeps_its_reason(given):
    state = (
        given(*CONFIGURED)
        .when(decommission("sold"))
        .then(NetworkElementDecommissioned(reason="sold"))
    )
    assert (state.status, state.reason) == ("decommissioned", "sold")


def test_the_largest_state_stays_below_its_bound(given):
    room = MAX_PARAMETERS_BYTES - len(canonical({"n": 10_000, "fill": ""}))
    largest = [{"n": 10_000 + n, "fill": '"' * (room // 2)} for n in range(KEPT_REVISIONS + 1)]
    assert apply(0, largest[0]).parameters == largest[0]
    past = [applied(n, parameters) for n, parameters in enumerate(largest, start=1)]
    state = given(REGISTERED, *past).state
    assert len(state.revisions) == KEPT_REVISIONS
    size = len(state.model_dump_json())
    assert KEPT_REVISIONS * (MAX_PARAMETERS_BYTES - 2) < size < MAX_STATE_BYTES


@pytest.mark.parametrize("revision", [-1, 10**12, True, 1.0, "1", None])
def test_a_revision_is_a_whole_number_within_bounds(revision):
    with pytest.raises(ValidationError):
        apply(revision, P1)
    with pytest.raises(ValidationError):
        roll_back(revision)


def test_a_kind_outside_3gpp_is_no_network_element():
    with pytest.raises(ValidationError, match="kind"):
        RegisterNetworkElement(**DATA | {"kind": "toaster"})


def test_the_natural_key_of_every_command_is_the_element_id():
    assert {NETWORK_ELEMENT.natural_key(command) for command, *_ in TABLE} == {ID}


def test_a_log_that_does_not_begin_with_a_registration_cannot_be_folded():
    with pytest.raises(AssertionError, match="registration"):
        NETWORK_ELEMENT.evolve(None, DECOMMISSIONED)
