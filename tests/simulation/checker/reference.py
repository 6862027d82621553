"""What subscribers and network elements must be and refuse: a model of its own, in plain data.

Written from the tables in the documents, not from the code that decides; where the two
disagree, one of them is wrong. `decide` gives events or a reason, `evolve` a new state; states
are never changed in place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulation.checker.identifiers import canonical

State = dict[str, Any] | None
Data = Mapping[str, Any]
# What a decision is: events as (name, data), or the reason of a refusal.
Decision = list[tuple[str, dict[str, Any]]] | str

KEPT_REVISIONS = 32
# The event after which there is nobody any more whom the events before it tell of.
FORGOTTEN_BY = "SubscriberForgotten"


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of aggregate. `view` is the projection that shows its state."""

    name: str
    tag: str
    key: str
    commands: frozenset[str]
    decide: Callable[[State, str, Data], Decision]
    evolve: Callable[[State, str, Data], State]
    shown: Callable[[State], State]
    view: str
    path: str
    event_versions: Mapping[str, int]


def _decide_subscriber(state: State, command: str, data: Data) -> Decision:  # noqa: C901, PLR0911, PLR0912 - a row, a case
    if state is None:
        if command == "ActivateSubscriber":
            return [("SubscriberActivated", dict(data))]
        return "unknown_subscriber"
    if command == "ForgetSubscriber":
        return [] if state["status"] == "forgotten" else [(FORGOTTEN_BY, {})]
    if state["status"] == "forgotten":
        return "subscriber_forgotten"
    if state["status"] == "terminated":
        same = command == "TerminateSubscriber" and data["reason"] == state["reason"]
        return [] if same else "subscriber_terminated"
    suspended = state["status"] == "suspended"
    match command:
        case "ActivateSubscriber":
            if suspended:
                return "subscriber_suspended"
            return [] if all(state[k] == v for k, v in data.items()) else "already_active"
        case "ChangeServiceProfile":
            return _change(state, "service_profile", data, event="ServiceProfileChanged")
        case "ChangeMsisdn":
            return _change(state, "msisdn", data, event="MsisdnChanged")
        case "SuspendSubscriber":
            if suspended:
                return [] if data["reason"] == state["reason"] else "already_suspended"
            return [("SubscriberSuspended", {"reason": data["reason"]})]
        case "ResumeSubscriber":
            return [("SubscriberResumed", {})] if suspended else []
        case _:
            return [("SubscriberTerminated", {"reason": data["reason"]})]


def _change(state: dict[str, Any], name: str, data: Data, *, event: str) -> Decision:
    if data[name] == state[name]:
        return []
    changed: Decision = [(event, {name: data[name]})]
    return "subscriber_suspended" if state["status"] == "suspended" else changed


def _evolve_subscriber(state: State, event: str, data: Data) -> State:
    match event:
        case "SubscriberActivated":
            return {**data, "status": "active", "reason": None}
        case "SubscriberSuspended":
            return {**_some(state), "status": "suspended", "reason": data["reason"]}
        case "SubscriberResumed":
            return {**_some(state), "status": "active", "reason": None}
        case "SubscriberTerminated":
            return {**_some(state), "status": "terminated", "reason": data["reason"]}
        case "ServiceProfileChanged" | "MsisdnChanged":
            return {**_some(state), **data}
        case "SubscriberForgotten":
            nobody = dict.fromkeys(("imsi", "msisdn", "iccid", "service_profile"), "forgotten")
            return {**nobody, "status": "forgotten", "reason": None}
        case _:
            raise ValueError(f"a subscriber has no event {event}")


def _decide_element(state: State, command: str, data: Data) -> Decision:  # noqa: PLR0911 - a row, a case
    if state is None:
        if command != "RegisterNetworkElement":
            return "unknown_element"
        mcc, _, mnc = data["plmn"].partition("-")
        named = {name: data[name] for name in ("element_id", "kind", "site")}
        return [("NetworkElementRegistered", {**named, "mcc": mcc, "mnc": mnc})]
    if state["status"] == "decommissioned":
        same = command == "DecommissionNetworkElement" and data["reason"] == state["reason"]
        return [] if same else "element_decommissioned"
    match command:
        case "RegisterNetworkElement":
            same = all(state[k] == data[k] for k in ("kind", "site", "plmn"))
            return [] if same else "already_registered"
        case "ApplyConfiguration":
            return _apply(state, base=data["base_revision"], parameters=data["parameters"])
        case "RollBackConfiguration":
            return _roll_back(state, data["revision"])
        case _:
            return [("NetworkElementDecommissioned", {"reason": data["reason"]})]


def _apply(state: dict[str, Any], *, base: int, parameters: Data) -> Decision:
    current = state["revisions"][-1] if state["revisions"] else None
    in_place = canonical(state["parameters"]) == canonical(parameters)
    if base == state["revision"] and not in_place:
        applied = {"revision": base + 1, "base_revision": base, "parameters": parameters}
        return [("ConfigurationApplied", applied)]
    if base == state["revision"]:
        return []
    # The revision made from that base is the current one, and was not rolled back to.
    made = current is not None and current["rolled_back_to"] is None
    return [] if in_place and made and base + 1 == state["revision"] else "stale_revision"


def _roll_back(state: dict[str, Any], revision: int) -> Decision:
    current = state["revisions"][-1] if state["revisions"] else None
    if current is not None and revision in (current["revision"], current["rolled_back_to"]):
        return []
    for kept in state["revisions"]:
        if kept["revision"] == revision:
            back = {"revision": state["revision"] + 1, "rolled_back_to": revision}
            return [("ConfigurationRolledBack", {**back, "parameters": kept["parameters"]})]
    return "unknown_revision"


def _evolve_element(state: State, event: str, data: Data) -> State:
    if event == "NetworkElementRegistered":
        named = {name: data[name] for name in ("element_id", "kind", "site")}
        empty = {"reason": None, "revision": 0, "parameters": {}, "revisions": []}
        return {**named, "plmn": f"{data['mcc']}-{data['mnc']}", "status": "in_service", **empty}
    state = _some(state)
    if event == "NetworkElementDecommissioned":
        return {**state, "status": "decommissioned", "reason": data["reason"]}
    if event not in ("ConfigurationApplied", "ConfigurationRolledBack"):
        raise ValueError(f"a network element has no event {event}")
    revision = {
        "revision": data["revision"],
        "rolled_back_to": data.get("rolled_back_to"),
        "parameters": data["parameters"],
    }
    kept = [*state["revisions"], revision][-KEPT_REVISIONS:]
    configured = {"revision": data["revision"], "parameters": data["parameters"]}
    return {**state, **configured, "revisions": kept}


def _shown_element(state: State) -> State:
    """Documents show the numbers of the revisions, the log keeps them whole."""
    if state is None:
        return None
    return {**state, "revisions": [kept["revision"] for kept in state["revisions"]]}


def _some(state: State) -> dict[str, Any]:
    if state is None:
        raise ValueError("an event before the first")
    return state


SUBSCRIBER = Model(
    name="Subscriber",
    tag="sub",
    key="imsi",
    commands=frozenset(
        [
            "ActivateSubscriber",
            "ChangeServiceProfile",
            "ChangeMsisdn",
            "SuspendSubscriber",
            "ResumeSubscriber",
            "TerminateSubscriber",
            "ForgetSubscriber",
        ]
    ),
    decide=_decide_subscriber,
    evolve=_evolve_subscriber,
    shown=lambda state: None if state is None or state["status"] == "forgotten" else state,
    view="subscriber-view",
    path="subscribers",
    event_versions={},
)
NETWORK_ELEMENT = Model(
    name="NetworkElement",
    tag="ne",
    key="element_id",
    commands=frozenset(
        [
            "RegisterNetworkElement",
            "ApplyConfiguration",
            "RollBackConfiguration",
            "DecommissionNetworkElement",
        ]
    ),
    decide=_decide_element,
    evolve=_evolve_element,
    shown=_shown_element,
    view="network-inventory",
    path="network-elements",
    event_versions={"NetworkElementRegistered": 2},
)
MODELS = (SUBSCRIBER, NETWORK_ELEMENT)
BY_COMMAND = {command: model for model in MODELS for command in model.commands}
BY_TAG = {model.tag: model for model in MODELS}
BY_PATH = {model.path: model for model in MODELS}


def canonical_data(data: Data) -> dict[str, Any]:
    """Return a command's data as the system takes it: one spelling of one thing."""
    spelled = dict(data)
    if "msisdn" in spelled:
        spelled["msisdn"] = "+" + "".join(c for c in spelled["msisdn"] if c.isdigit())
    if "reason" in spelled:
        spelled["reason"] = spelled["reason"].strip()
    return spelled
