"""What a subscriber does on every command in every state, as the table in its module says."""

import pytest

from domain.subscriber import (
    SUBSCRIBER,
    ActivateSubscriber,
    ChangeMsisdn,
    ChangeServiceProfile,
    ForgetSubscriber,
    MsisdnChanged,
    ResumeSubscriber,
    ServiceProfileChanged,
    SubscriberActivated,
    SubscriberForgotten,
    SubscriberResumed,
    SubscriberSuspended,
    SubscriberTerminated,
    SuspendSubscriber,
    TerminateSubscriber,
)

IMSI = "262011234567890"
DATA = {
    "imsi": IMSI,
    "msisdn": "+4915112345678",
    "iccid": "8949020000012345670",
    "service_profile": "consumer-5g",
}
OTHER_MSISDN = "+4915112345679"

ACTIVATED = SubscriberActivated(**DATA)
SUSPENDED = SubscriberSuspended(reason="lost")
TERMINATED = SubscriberTerminated(reason="moved away")
PASTS = {
    "unknown": (),
    "active": (ACTIVATED,),
    "suspended": (ACTIVATED, SUSPENDED),
    "terminated": (ACTIVATED, TERMINATED),
    "forgotten": (ACTIVATED, SubscriberForgotten()),
}

ACTIVATE = ActivateSubscriber(**DATA)
ACTIVATE_OTHERWISE = ActivateSubscriber(**DATA | {"service_profile": "consumer-4g"})
CHANGE_PROFILE = ChangeServiceProfile(imsi=IMSI, service_profile="business-5g")
SAME_PROFILE = ChangeServiceProfile(imsi=IMSI, service_profile="consumer-5g")
CHANGE_MSISDN = ChangeMsisdn(imsi=IMSI, msisdn=OTHER_MSISDN)
SAME_MSISDN = ChangeMsisdn(imsi=IMSI, msisdn=DATA["msisdn"])
SUSPEND = SuspendSubscriber(imsi=IMSI, reason="lost")
SUSPEND_OTHERWISE = SuspendSubscriber(imsi=IMSI, reason="fraud")
RESUME = ResumeSubscriber(imsi=IMSI)
TERMINATE = TerminateSubscriber(imsi=IMSI, reason="moved away")
TERMINATE_OTHERWISE = TerminateSubscriber(imsi=IMSI, reason="fraud")
FORGET = ForgetSubscriber(imsi=IMSI)

PROFILE_CHANGED = ServiceProfileChanged(service_profile="business-5g")
MSISDN_CHANGED = MsisdnChanged(msisdn=OTHER_MSISDN)
SUSPENDED_FOR_FRAUD = SubscriberSuspended(reason="fraud")
TERMINATED_FOR_FRAUD = SubscriberTerminated(reason="fraud")
RESUMED = SubscriberResumed()

NOTHING = None
UNKNOWN, ENDED, PAUSED = "unknown_subscriber", "subscriber_terminated", "subscriber_suspended"
FORGOTTEN, GONE = SubscriberForgotten(), "subscriber_forgotten"
# Command: what comes of it for an unknown, an active, a suspended, a terminated subscriber, and
# for one who is forgotten.
TABLE = [
    (ACTIVATE, ACTIVATED, NOTHING, PAUSED, ENDED, GONE),
    (
        ACTIVATE_OTHERWISE,
        SubscriberActivated(**ACTIVATE_OTHERWISE.model_dump()),
        "already_active",
        PAUSED,
        ENDED,
        GONE,
    ),
    (CHANGE_PROFILE, UNKNOWN, PROFILE_CHANGED, PAUSED, ENDED, GONE),
    (SAME_PROFILE, UNKNOWN, NOTHING, NOTHING, ENDED, GONE),
    (CHANGE_MSISDN, UNKNOWN, MSISDN_CHANGED, PAUSED, ENDED, GONE),
    (SAME_MSISDN, UNKNOWN, NOTHING, NOTHING, ENDED, GONE),
    (SUSPEND, UNKNOWN, SUSPENDED, NOTHING, ENDED, GONE),
    (SUSPEND_OTHERWISE, UNKNOWN, SUSPENDED_FOR_FRAUD, "already_suspended", ENDED, GONE),
    (RESUME, UNKNOWN, NOTHING, RESUMED, ENDED, GONE),
    (TERMINATE, UNKNOWN, TERMINATED, TERMINATED, NOTHING, GONE),
    (TERMINATE_OTHERWISE, UNKNOWN, TERMINATED_FOR_FRAUD, TERMINATED_FOR_FRAUD, ENDED, GONE),
    (FORGET, UNKNOWN, FORGOTTEN, FORGOTTEN, FORGOTTEN, NOTHING),
]
PAIRS = [
    pytest.param(past, command, outcome, id=f"{status}-{command!r}")
    for command, *outcomes in TABLE
    for (status, past), outcome in zip(PASTS.items(), outcomes, strict=True)
]


@pytest.fixture
def aggregate():
    return SUBSCRIBER


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
    assert {type(command) for command, *_ in TABLE} == set(SUBSCRIBER.commands)


def test_an_active_subscriber_has_the_data_of_its_activation(given):
    state = given().when(ACTIVATE).then(ACTIVATED)
    assert state.model_dump() == DATA | {"status": "active", "reason": None}


def test_a_changed_number_is_the_number(given):
    state = given(ACTIVATED).when(CHANGE_MSISDN).then(MSISDN_CHANGED)
    assert state.msisdn == OTHER_MSISDN


def test_a_changed_profile_is_the_profile(given):
    state = given(ACTIVATED).when(CHANGE_PROFILE).then(PROFILE_CHANGED)
    assert state.service_profile == "business-5g"


def test_a_suspension_keeps_its_reason_until_the_subscriber_is_resumed(given):
    state = given(ACTIVATED).when(SUSPEND).then(SUSPENDED)
    assert (state.status, state.reason) == ("suspended", "lost")
    state = given(ACTIVATED, SUSPENDED).when(RESUME).then(RESUMED)
    assert (state.status, state.reason) == ("active", None)


def test_a_termination_replaces_the_reason_of_a_suspension(given):
    state = given(ACTIVATED, SUSPENDED).when(TERMINATE).then(TERMINATED)
    assert (state.status, state.reason) == ("terminated", "moved away")


def test_an_activation_is_refused_once_the_number_has_changed(given):
    given(ACTIVATED, MSISDN_CHANGED).when(ACTIVATE).then_refused("already_active")


def test_no_refusal_names_a_number_of_the_subscriber(given):
    for past in PASTS.values():
        for command, *_ in TABLE:
            refused = given(*past).when(command).refused
            assert not refused or not any(character.isdigit() for character in str(refused))


def test_the_natural_key_of_every_command_is_the_imsi():
    assert {SUBSCRIBER.natural_key(command) for command, *_ in TABLE} == {IMSI}


def test_a_log_that_does_not_begin_with_an_activation_cannot_be_folded():
    with pytest.raises(AssertionError, match="activation"):
        SUBSCRIBER.evolve(None, SubscriberResumed())


def test_nothing_of_before_is_left_of_a_forgotten_subscriber(given):
    state = given(ACTIVATED, TERMINATED).when(FORGET).then(FORGOTTEN)
    before = {*DATA.values(), "moved away"}
    assert state.status == "forgotten"
    assert not before & set(state.model_dump().values())
