"""The registry: everything is found by its stored name, and no two things share one."""

from dataclasses import replace

import pytest

from domain.aggregate import Event, Personal, personal_fields
from domain.network_element import NETWORK_ELEMENT, ApplyConfiguration, ConfigurationApplied
from domain.registry import REGISTRY, Registry, UnknownCommand
from domain.subscriber import (
    SUBSCRIBER,
    ActivateSubscriber,
    SubscriberActivated,
    SubscriberForgotten,
    SubscriberTerminated,
)

DATA = ("imsi", "msisdn", "iccid", "service_profile")


def test_a_command_type_leads_to_its_aggregate_and_class():
    assert REGISTRY.aggregate_of_command("ActivateSubscriber") == (SUBSCRIBER, ActivateSubscriber)
    found = REGISTRY.aggregate_of_command("ApplyConfiguration")
    assert found == (NETWORK_ELEMENT, ApplyConfiguration)


def test_an_unknown_command_is_told_with_those_that_exist():
    with pytest.raises(UnknownCommand, match="'Explode' is not a command") as caught:
        REGISTRY.aggregate_of_command("Explode")
    assert "ActivateSubscriber" in str(caught.value)
    assert "RollBackConfiguration" in str(caught.value)


def test_a_tag_leads_to_its_aggregate():
    assert REGISTRY.aggregate_by_tag("sub") is SUBSCRIBER
    assert REGISTRY.aggregate_by_tag("ne") is NETWORK_ELEMENT
    with pytest.raises(KeyError):
        REGISTRY.aggregate_by_tag("nobody")


@pytest.mark.parametrize(
    ("aggregate", "topic", "event_class"),
    [
        (SUBSCRIBER, "Subscriber.SubscriberActivated", SubscriberActivated),
        (NETWORK_ELEMENT, "NetworkElement.ConfigurationApplied", ConfigurationApplied),
    ],
)
def test_a_topic_is_permanent_and_leads_to_its_event(aggregate, topic, event_class):
    assert aggregate.topic(event_class) == topic
    assert aggregate.event_class(topic) is event_class
    assert REGISTRY.event_class(topic) is event_class


def test_no_aggregate_reads_the_events_of_another():
    with pytest.raises(KeyError):
        SUBSCRIBER.event_class("NetworkElement.ConfigurationApplied")
    with pytest.raises(KeyError):
        REGISTRY.event_class("Subscriber.NobodyKnows")


def test_every_event_of_every_aggregate_has_a_topic_of_its_own():
    topics = [
        aggregate.topic(event) for aggregate in REGISTRY.aggregates for event in aggregate.events
    ]
    assert len(topics) == len(set(topics)) == 11
    assert all(REGISTRY.event_class(topic).version >= 1 for topic in topics)


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (replace(NETWORK_ELEMENT, tag="sub"), "the tag 'sub'"),
        (replace(NETWORK_ELEMENT, name="Subscriber"), "the name 'Subscriber'"),
        (replace(NETWORK_ELEMENT, commands=SUBSCRIBER.commands), "ActivateSubscriber"),
    ],
)
def test_two_aggregates_cannot_share_a_name(second, complaint):
    with pytest.raises(ValueError, match=complaint):
        Registry([SUBSCRIBER, second])


class Named(Event):
    """Somebody got a name."""

    name: Personal


class Listed(Event):
    """Some got names."""

    names: list[Personal]


def test_personal_fields_are_those_declared():
    assert personal_fields(SubscriberActivated) == {"imsi", "msisdn", "iccid"}
    assert personal_fields(ConfigurationApplied) == frozenset()


def test_an_aggregate_with_personal_data_needs_a_command_that_forgets_it():
    unforgettable = replace(NETWORK_ELEMENT, events=(*NETWORK_ELEMENT.events, Named))
    with pytest.raises(ValueError, match="NetworkElement has personal data, and no command"):
        Registry([unforgettable])


def test_what_is_personal_in_part_would_be_stored_as_it_is_and_is_refused():
    careless = replace(NETWORK_ELEMENT, events=(*NETWORK_ELEMENT.events, Listed))
    with pytest.raises(ValueError, match=r"Listed\.names has Personal inside another type"):
        Registry([careless])


def test_what_forgets_is_folded_on_nothing():
    state = SUBSCRIBER.evolve(None, SubscriberActivated(**dict.fromkeys(DATA, "x")))
    seen = []
    curious = replace(SUBSCRIBER, evolve=lambda before, _: seen.append(before))
    curious.evolved(state, SubscriberForgotten())
    curious.evolved(state, SubscriberTerminated(reason="x"))
    assert seen == [None, state]
