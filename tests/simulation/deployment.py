"""The installation in every simulated world: queues, tables and settings of the templates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from handlers.settings import Settings
from infra.local.shard import StreamMapping
from tests.simulation.plan import Mode

ACCOUNT = "000000000000"
SECRET = "a secret of the simulation"
KMS_KEY = "alias/antiphon-personal"
# What the templates call what a function works with, in every region.
NAMES = {
    "ANTIPHON_ACCOUNT": ACCOUNT,
    "ANTIPHON_EVENTS_TABLE": "antiphon-events",
    "ANTIPHON_VIEWS_TABLE": "antiphon-views",
    "ANTIPHON_RESPONSES_TABLE": "antiphon-responses",
    "ANTIPHON_SNAPSHOTS_TABLE": "antiphon-snapshots",
    "ANTIPHON_LETTERS_TABLE": "antiphon-letters",
    "ANTIPHON_CONTROL_TABLE": "antiphon-control",
    "ANTIPHON_KEYS_TABLE": "antiphon-keys",
    "ANTIPHON_KMS_KEY": KMS_KEY,
    "ANTIPHON_BUS": "antiphon",
    "ANTIPHON_LANE_QUEUE": "antiphon-lane",
    "ANTIPHON_ACKS_QUEUE": "antiphon-acks",
    "ANTIPHON_DEAD_COMMANDS_QUEUE": "antiphon-commands-dead.fifo",
}
GLOBAL_TABLES = ("events", "control", "keys")
REGIONAL_TABLES = ("views", "responses", "snapshots", "letters")
# Shards of a replica's stream; an item's records are all in one of them.
SHARDS = 2
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTerms:
    """A queue as the template declares it.

    Args:
        most_receives: after so many a message moves to `dead`; 0 for never.
        function: what polls it; empty for nothing.

    Of the dead-letter queues only some worlds have the function: elsewhere what comes to them
    stays there, for the judge to see it as it was given up.

    """

    name: str
    fifo: bool = False
    visibility_s: float = 30.0
    retention_s: float = 14 * _DAY_S
    most_receives: int = 0
    dead: str = ""
    function: str = ""


QUEUES = (
    QueueTerms(
        name="antiphon-commands.fifo",
        fifo=True,
        visibility_s=360,
        most_receives=1000,
        dead="antiphon-commands-dead.fifo",
        function="command_queue",
    ),
    QueueTerms(name="antiphon-commands-dead.fifo", fifo=True, visibility_s=360),
    QueueTerms(
        name="antiphon-lane",
        visibility_s=360,
        retention_s=_DAY_S,
        most_receives=5,
        dead="antiphon-lane-dead",
        function="projector",
    ),
    QueueTerms(name="antiphon-lane-dead", visibility_s=360),
    QueueTerms(
        name="antiphon-acks",
        visibility_s=180,
        retention_s=_DAY_S,
        most_receives=5,
        dead="antiphon-acks-dead",
        function="responder",
    ),
    QueueTerms(name="antiphon-acks-dead", visibility_s=360),
)
_TAKEN_IN = tuple(replace(one, function=one.function or "dead_letters") for one in QUEUES)


def queues_of(*, taken_in: bool) -> Sequence[QueueTerms]:
    """Return the queues of a world, with the function of the dead letters or without."""
    return _TAKEN_IN if taken_in else QUEUES


def settings_of(
    function: str, region: str, regions: Sequence[str], *, mode: Mode = "STRONG"
) -> Settings:
    """Return the settings of one function; bounds that make rare things common in a short run."""
    return Settings.of(
        {
            "ANTIPHON_FUNCTION": function,
            "ANTIPHON_REGIONS": ",".join(regions),
            "ANTIPHON_MODE": mode,
            "ANTIPHON_AUTHORIZATION": "NONE",
            "ANTIPHON_SECRET": SECRET,
            **NAMES,
            # A snapshot after a few commits, for a run has no thousands.
            "ANTIPHON_SNAPSHOT_EVERY": "10",
            # Looking costs a call, and most of a run's calls would be looks.
            "ANTIPHON_ANSWER_POLL_MS": "300",
            "ANTIPHON_PROVE_AFTER_MS": "300",
        },
        region=region,
    )


def stream_mapping(region: str) -> StreamMapping:
    """Return the projector's mapping of the event table's stream, as the template has it."""
    return StreamMapping(
        uuid="simulated",
        function="antiphon-projector",
        function_arn=f"arn:aws:lambda:{region}:{ACCOUNT}:function:antiphon-projector",
        stream_arn=f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/antiphon-events/stream/1",
        batch_size=20,
        bisect=True,
        reports_failures=True,
        max_retries=None,
        max_age_s=43_200,
        destination="arn:aws:s3:::antiphon-discarded",
    )
