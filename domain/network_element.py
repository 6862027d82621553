"""NetworkElement: one element of a mobile network and the revisions of its configuration.

| command                    | never existed     | in service                         |
|----------------------------|-------------------|------------------------------------|
| RegisterNetworkElement     | registered        | `already_registered`               |
| ApplyConfiguration         | `unknown_element` | applied, or `stale_revision`       |
| RollBackConfiguration      | `unknown_element` | rolled back, or `unknown_revision` |
| DecommissionNetworkElement | `unknown_element` | decommissioned                     |

A configuration applies only to the revision that it was made for; revision 0 is none yet.
Rolling back to one of the last 32 revisions makes a new one with the old parameters. Nothing
to do: the same registration, a configuration that is the current one already, a roll back to
the current revision or the one it was rolled back to. A decommissioned element refuses all
with `element_decommissioned`, but for the same decommissioning: nothing to do.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from domain.aggregate import Aggregate, Command, CommandRefused, Event
from domain.configuration import Parameters, canonical
from domain.identifiers import ElementId, Plmn, Reason, Site

KEPT_REVISIONS: Final = 32

# Network functions as 3GPP TS 23.002, 23.501 and 38.401 name them.
ElementKind = Literal[
    "nodeb", "rnc", "enb", "ng-enb", "gnb", "gnb-cu", "gnb-du",
    "mme", "sgw", "pgw", "hss", "pcrf", "cscf", "sgsn", "ggsn",
    "amf", "smf", "upf", "ausf", "udm", "udr", "pcf", "nrf", "nssf", "nef", "smsf", "scp", "sepp",
]  # fmt: skip

StoredParameters = dict[str, bool | int | float | str]


class NetworkElementRegistered(Event):
    """The element is known and in service; it has no configuration yet.

    Version 1 had the PLMN as one text, `plmn` = "262-01"; 3GPP TS 23.003 has two codes.
    """

    version: ClassVar[int] = 2

    element_id: str
    kind: str
    site: str
    mcc: str
    mnc: str

    @property
    def plmn(self) -> str:
        """The PLMN as people write it: MCC-MNC."""
        return f"{self.mcc}-{self.mnc}"

    @classmethod
    def upcast(cls, data: dict[str, Any], *, version: int) -> dict[str, Any]:
        """Split the PLMN of version 1."""
        if version != 1:
            return super().upcast(data, version=version)
        mcc, _, mnc = data.pop("plmn").partition("-")
        return {**data, "mcc": mcc, "mnc": mnc}


class ConfigurationApplied(Event):
    """A configuration made for `base_revision` became `revision`."""

    revision: int
    base_revision: int
    parameters: StoredParameters


class ConfigurationRolledBack(Event):
    """The parameters of an old revision became those of a new one."""

    revision: int
    rolled_back_to: int
    parameters: StoredParameters


class NetworkElementDecommissioned(Event):
    """The element went out of service for good."""

    reason: str


NetworkElementEvent = (
    NetworkElementRegistered
    | ConfigurationApplied
    | ConfigurationRolledBack
    | NetworkElementDecommissioned
)


class Revision(BaseModel):
    """One configuration that the element had; `rolled_back_to` says whose parameters it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int
    rolled_back_to: int | None = None
    parameters: StoredParameters


class NetworkElement(BaseModel):
    """The element now; `revisions` are the last 32, the newest, which is the current, last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    element_id: str
    kind: str
    site: str
    plmn: str
    status: Literal["in_service", "decommissioned"] = "in_service"
    reason: str | None = None
    revision: int = 0
    parameters: StoredParameters = {}
    revisions: tuple[Revision, ...] = ()


def evolve(state: NetworkElement | None, event: NetworkElementEvent) -> NetworkElement:
    """Return the state after one more event."""
    if isinstance(event, NetworkElementRegistered):
        return NetworkElement(
            element_id=event.element_id, kind=event.kind, site=event.site, plmn=event.plmn
        )
    assert state is not None, "a network element's first event is its registration"
    match event:
        case ConfigurationApplied(revision=revision, parameters=parameters):
            return _with(state, Revision(revision=revision, parameters=parameters))
        case ConfigurationRolledBack():
            return _with(state, Revision(**event.model_dump()))
        case NetworkElementDecommissioned(reason=reason):
            return state.model_copy(update={"status": "decommissioned", "reason": reason})
        case _:
            assert_never(event)


def _with(state: NetworkElement, revision: Revision) -> NetworkElement:
    kept = (*state.revisions, revision)[-KEPT_REVISIONS:]
    return state.model_copy(
        update={
            "revision": revision.revision,
            "parameters": revision.parameters,
            "revisions": kept,
        }
    )


RevisionNumber = Annotated[int, Field(strict=True, ge=0, lt=10**12)]


class RegisterNetworkElement(Command):
    """Put an element into service."""

    element_id: ElementId
    kind: ElementKind
    site: Site
    plmn: Plmn


class ApplyConfiguration(Command):
    """Make these parameters the next revision, if `base_revision` is still the current one."""

    element_id: ElementId
    base_revision: RevisionNumber
    parameters: Parameters


class RollBackConfiguration(Command):
    """Make the parameters of an earlier revision the next one."""

    element_id: ElementId
    revision: RevisionNumber


class DecommissionNetworkElement(Command):
    """Take an element out of service for good."""

    element_id: ElementId
    reason: Reason


NetworkElementCommand = (
    RegisterNetworkElement | ApplyConfiguration | RollBackConfiguration | DecommissionNetworkElement
)


def decide(
    state: NetworkElement | None,
    command: NetworkElementCommand,
    /,
    *,
    now: datetime,  # noqa: ARG001 - every decider takes it; these rules do not depend on time
) -> tuple[NetworkElementEvent, ...]:
    """Return what a command does to a network element; the table above is the whole of it."""
    if state is None:
        return _register(command)
    if state.status == "decommissioned":
        if isinstance(command, DecommissionNetworkElement) and command.reason == state.reason:
            return ()
        raise CommandRefused("element_decommissioned", "the element is out of service for good")
    match command:
        case RegisterNetworkElement(kind=kind, site=site, plmn=plmn):
            if (kind, site, plmn) == (state.kind, state.site, state.plmn):
                return ()
            raise CommandRefused("already_registered", "the element is registered with other data")
        case ApplyConfiguration():
            return _apply(state, command)
        case RollBackConfiguration(revision=revision):
            return _roll_back(state, revision)
        case DecommissionNetworkElement(reason=reason):
            return (NetworkElementDecommissioned(reason=reason),)
        case _:
            assert_never(command)


def _register(command: NetworkElementCommand) -> tuple[NetworkElementEvent, ...]:
    if not isinstance(command, RegisterNetworkElement):
        raise CommandRefused("unknown_element", "no network element with this id was registered")
    mcc, _, mnc = command.plmn.partition("-")
    registered = NetworkElementRegistered(
        element_id=command.element_id, kind=command.kind, site=command.site, mcc=mcc, mnc=mnc
    )
    return (registered,)


def _apply(state: NetworkElement, command: ApplyConfiguration) -> tuple[NetworkElementEvent, ...]:
    in_place = canonical(state.parameters) == canonical(command.parameters)
    if command.base_revision == state.revision:
        if in_place:
            return ()
        applied = ConfigurationApplied(
            revision=state.revision + 1,
            base_revision=command.base_revision,
            parameters=command.parameters,
        )
        return (applied,)
    # The revision made from that base is the current one: this was decided before.
    if in_place and command.base_revision + 1 == state.revision and not _is_rolled_back(state):
        return ()
    raise CommandRefused(
        "stale_revision",
        f"made for revision {command.base_revision}, but the current one is {state.revision}",
    )


def _is_rolled_back(state: NetworkElement) -> bool:
    return bool(state.revisions) and state.revisions[-1].rolled_back_to is not None


def _roll_back(state: NetworkElement, revision: int) -> tuple[NetworkElementEvent, ...]:
    current = state.revisions[-1] if state.revisions else None
    if current and revision in {current.revision, current.rolled_back_to}:
        return ()
    for kept in state.revisions:
        if kept.revision == revision:
            rolled_back = ConfigurationRolledBack(
                revision=state.revision + 1, rolled_back_to=revision, parameters=kept.parameters
            )
            return (rolled_back,)
    raise CommandRefused(
        "unknown_revision", f"revision {revision} is none of the last {KEPT_REVISIONS}"
    )


def _element_id_of(command: NetworkElementCommand) -> str:
    return command.element_id


NETWORK_ELEMENT = Aggregate(
    name="NetworkElement",
    tag="ne",
    state=NetworkElement,
    events=(
        NetworkElementRegistered,
        ConfigurationApplied,
        ConfigurationRolledBack,
        NetworkElementDecommissioned,
    ),
    commands=(
        RegisterNetworkElement,
        ApplyConfiguration,
        RollBackConfiguration,
        DecommissionNetworkElement,
    ),
    natural_key=_element_id_of,
    decide=decide,
    evolve=evolve,
)
