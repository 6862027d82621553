"""The checker's own model of the aggregates decides and folds as the domain does.

They were written apart from each other; here they must agree on any sequence of commands.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.aggregate import Aggregate, CommandRefused
from domain.registry import REGISTRY
from tests.simulation.checker.identifiers import canonical
from tests.simulation.checker.reference import BY_COMMAND, MODELS, Decision, Model, canonical_data

NOW = datetime(2026, 11, 24, tzinfo=UTC)
IMSI, ELEMENT = {"imsi": "262011234567890"}, {"element_id": "upf-fra-2"}
PROFILE = {"service_profile": st.sampled_from(["consumer-5g", "iot"])}
MSISDN = {"msisdn": st.sampled_from(["+4915112345678", "+49 151 12345679"])}
REASON = {"reason": st.sampled_from(["lost", " fraud "])}
# 1, 1.0 and True are equal in Python and different configurations.
PARAMETERS = st.fixed_dictionaries({"load": st.sampled_from([0, 1, True, 1.0, "1"])})
REVISION = st.integers(0, 6)
SITE = {"kind": st.just("upf"), "site": st.sampled_from(["fra-1", "fra-2"])}
FIELDS: dict[str, dict[str, Any]] = {
    "ActivateSubscriber": {**MSISDN, **PROFILE, "iccid": st.just("8949020000012345670")},
    "ChangeServiceProfile": PROFILE,
    "ChangeMsisdn": MSISDN,
    "SuspendSubscriber": REASON,
    "ResumeSubscriber": {},
    "TerminateSubscriber": REASON,
    "ForgetSubscriber": {},
    "RegisterNetworkElement": {**SITE, "plmn": st.just("262-01")},
    "ApplyConfiguration": {"base_revision": REVISION, "parameters": PARAMETERS},
    "RollBackConfiguration": {"revision": REVISION},
    "DecommissionNetworkElement": REASON,
}


def commands(model: Model) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    key = IMSI if model.tag == "sub" else ELEMENT
    return st.one_of(
        st.tuples(st.just(name), st.fixed_dictionaries(FIELDS[name]).map(lambda d: key | d))
        for name in sorted(model.commands)
    )


def by_domain(aggregate: Aggregate[Any], state: Any, name: str, data: Any) -> tuple[Any, Decision]:
    """Return (state after, decision) of the domain, the decision as the model tells one."""
    command = REGISTRY.aggregate_of_command(name)[1].model_validate(data)
    try:
        events = aggregate.decide(state, command, now=NOW)
    except CommandRefused as refused:
        return state, refused.reason
    for event in events:
        state = aggregate.evolve(state, event)
    return state, [(type(event).__name__, event.model_dump(mode="json")) for event in events]


def test_the_model_knows_every_command_and_event_version_of_the_domain():
    commands_of_the_domain = {c.__name__ for a in REGISTRY.aggregates for c in a.commands}
    assert set(BY_COMMAND) == set(FIELDS) == commands_of_the_domain
    for model in MODELS:
        aggregate = REGISTRY.aggregate_by_tag(model.tag)
        versions = {e.__name__: e.version for e in aggregate.events if e.version > 1}
        assert (aggregate.name, dict(model.event_versions)) == (model.name, versions)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@given(data=st.data())
def test_the_model_decides_and_folds_as_the_domain_does(model: Model, data: st.DataObject):
    aggregate = REGISTRY.aggregate_by_tag(model.tag)
    state, modelled = None, None
    for name, sent in data.draw(st.lists(commands(model), max_size=40)):
        state, decision = by_domain(aggregate, state, name, sent)
        wanted = model.decide(modelled, name, canonical_data(sent))
        for event, fields in wanted if not isinstance(wanted, str) else []:
            modelled = model.evolve(modelled, event, fields)

        assert canonical(wanted) == canonical(decision)
        assert canonical(modelled) == canonical(state and state.model_dump(mode="json"))


def test_the_model_keeps_as_many_revisions_as_the_domain():
    [model] = [model for model in MODELS if model.tag == "ne"]
    aggregate = REGISTRY.aggregate_by_tag("ne")
    register = {**ELEMENT, "kind": "upf", "site": "fra-1", "plmn": "262-01"}
    sent: list[tuple[str, dict[str, Any]]] = [("RegisterNetworkElement", register)]
    for revision in range(40):
        applied = {**ELEMENT, "base_revision": revision, "parameters": {"load": revision}}
        sent.append(("ApplyConfiguration", applied))
    state, modelled = None, None
    for name, data in sent:
        state, _ = by_domain(aggregate, state, name, data)
        for event, fields in model.decide(modelled, name, data):
            modelled = model.evolve(modelled, event, fields)

    assert canonical(modelled) == canonical(state and state.model_dump(mode="json"))
