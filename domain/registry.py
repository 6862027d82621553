"""Which aggregates there are. A team registers its own in one line: see `REGISTRY`.

Names, tags, command types and topics are told apart here, at import time, so that no two
aggregates can ever be taken for each other. Nothing else may look an aggregate up.
"""

import re
from collections.abc import Iterable
from typing import Any

from domain.aggregate import Aggregate, Command, Event
from domain.network_element import NETWORK_ELEMENT
from domain.subscriber import SUBSCRIBER

_TAG = re.compile(r"[a-z]{1,16}")


class UnknownCommand(LookupError):
    """No aggregate decides a command of this type; the message lists those that exist."""


class Registry:
    """Aggregates by command type, tag and event topic."""

    def __init__(self, aggregates: Iterable[Aggregate[Any]]) -> None:
        """Take the aggregates.

        Raises:
            ValueError: two of them share a name, a tag or a command type, or one has
                personal data that nothing forgets.

        """
        self.aggregates = tuple(aggregates)
        self._by_tag: dict[str, Aggregate[Any]] = {}
        self._by_command: dict[str, tuple[Aggregate[Any], type[Command]]] = {}
        self._events: dict[str, type[Event]] = {}
        for aggregate in self.aggregates:
            self._add(aggregate)

    def _add(self, aggregate: Aggregate[Any]) -> None:
        if not _TAG.fullmatch(aggregate.tag):
            raise ValueError(f"the tag {aggregate.tag!r} is not 1 to 16 lower-case letters")
        if aggregate.tag in self._by_tag:
            raise ValueError(f"two aggregates have the tag {aggregate.tag!r}")
        if any(aggregate.name == known.name for known in self._by_tag.values()):
            raise ValueError(f"two aggregates have the name {aggregate.name!r}")
        if aggregate.has_personal_data and aggregate.forget is None:
            raise ValueError(f"{aggregate.name} has personal data, and no command to forget it")
        self._by_tag[aggregate.tag] = aggregate
        for command in aggregate.commands:
            if command.__name__ in self._by_command:
                raise ValueError(f"two aggregates decide {command.__name__}")
            self._by_command[command.__name__] = (aggregate, command)
        for event in aggregate.events:
            self._events[aggregate.topic(event)] = event

    def aggregate_of_command(self, command_type: str) -> tuple[Aggregate[Any], type[Command]]:
        """Return the aggregate that decides this type of command, and the command's class.

        Raises:
            UnknownCommand: there is none.

        """
        try:
            return self._by_command[command_type]
        except KeyError:
            known = ", ".join(sorted(self._by_command))
            raise UnknownCommand(f"{command_type!r} is not a command; there are {known}") from None

    def aggregate_by_tag(self, tag: str) -> Aggregate[Any]:
        """Return the aggregate whose ids begin with this tag.

        Raises:
            KeyError: there is none.

        """
        return self._by_tag[tag]

    def aggregate_of(self, aggregate_id: str) -> Aggregate[Any]:
        """Return the aggregate that an id is of.

        Raises:
            KeyError: there is none.

        """
        return self.aggregate_by_tag(aggregate_id.partition(".")[0])

    def event_class(self, topic: str) -> type[Event]:
        """Return the class of a stored event.

        Raises:
            KeyError: no aggregate has an event of this topic.

        """
        return self._events[topic]


REGISTRY = Registry([SUBSCRIBER, NETWORK_ELEMENT])
