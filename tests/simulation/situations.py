"""The situations that the suite's runs must have met: what never happens has shown nothing.

Names are as the simulation counts them. A crash before and after each call of each function,
each kind of fault, and each path that a guarantee is kept on where something went wrong.
"""

from tests.simulation.eventual_planning import SITES
from tests.simulation.plan import Mode
from tests.simulation.planning import CALL_SITES, CHORES

_CRASHES = (
    f"crash: {function} {when} {site}"
    for function, sites in CALL_SITES.items()
    for site, usual in sites.items()
    if usual
    for when in ("before", "after")
)

_PATHS = (
    # Deciding.
    "conflict solved by the returned winner",
    "two regions write one item at once",
    "ambiguous append found to be stored",
    "duplicate found by the refused append",
    "duplicate while the first is under way",
    "duplicate soon after",
    "duplicate after hours",
    "stale fold read on",
    "command depends on another's token",
    "command expects a sequence",
    "command sent again by its client",
    "snapshot taken",
    "loaded from a snapshot",
    "another writer's snapshot is ahead",
    # Applying.
    "gap in the stream read from the replica",
    "gap in the stream read consistently",
    "another projector was first",
    "stream batch comes again from a checkpoint",
    "stream batch failed",
    # Answering.
    "lost acknowledgement replaced by looking",
    "answer proved by another region",
    "answer published again",
    "response item refuses a second body",
    "response item refuses a change",
    # Reading.
    "token carried to another region",
    "token read fresh",
    "token read not caught up",
    "token read stale, as asked",
    "strong read folds the rest",
    # Operators.
    *(
        f"operator: {done} done"
        for done in ("drain", "lose", "undrain", "rebuild", "forget", "replay")
    ),
    *(f"operator died: {chore}" for chore in CHORES),
    "read: 410",
    "lost region is only cut off",
    *(f"region {state}" for state in ("leaving", "drained", "joining", "active")),
    "readers change over to another build",
    # Queues.
    "queue batch failed antiphon-lane",
    "queue batch failed antiphon-acks",
    "queue batch failed antiphon-commands.fifo",
    "message received again antiphon-lane",
    "message received again antiphon-acks",
    "message received again antiphon-commands.fifo",
    "fault: message to the dead queue antiphon-lane",
    "fault: message to the dead queue antiphon-acks",
)

_FAULTS = (
    "fault: no connection to a region",
    "fault: no majority",
    "fault: entry refused by the bus",
    "fault: message repeated antiphon-lane",
    "fault: message repeated antiphon-acks",
    "fault: stream record repeated",
    "fault: stream records reordered",
    "client finds its region down",
    "client gets no result from a function",
    *(f"outage: {kind}" for kind in ("cut", "slow", "kill", "throttle", "refuse_entries")),
)

EXPECTED = frozenset((*_CRASHES, *_PATHS, *_FAULTS))

# What EVENTUAL mode has besides, and a few of its runs must have met.
_OPERATORS_OF_HOMES = (
    f"crash: {chore} {when} {site}"
    for chore in ("move", "evict")
    for site, usual in SITES[chore].items()
    if usual
    for when in ("before", "after")
)

EXPECTED_EVENTUAL = frozenset(
    (
        *_OPERATORS_OF_HOMES,
        # Homes.
        "homes moved as planned",
        "homes moved by force",
        "first commit after a planned move",
        "first commit after a forced move",
        "first commit after a forced move meets what has just arrived",
        "operator: move done",
        "operator: move refused",
        "operator: evict done",
        "operator died: move",
        "operator died: evict",
        # Commands.
        "command sent on to its home",
        "command sent on to who is not home",
        "commit put by who was home before",
        "superseded command told to its producer",
        # Replicas.
        "commit arrives before its predecessor",
        "commit arrives late",
        # What goes wrong.
        "clocks wrong by the most that is planned for",
        "fault: stalled before PutItem events",
        "fault: stalled before TransactWriteItems events",
        "fault: stalled before Invoke commands",
        *(f"outage: {kind}" for kind in ("cut", "kill", "stall", "lag")),
    )
)


def expected(mode: Mode) -> frozenset[str]:
    """Return what runs of a mode must meet."""
    return EXPECTED if mode == "STRONG" else EXPECTED_EVENTUAL
