"""The parts of a running system's functions, as an operator uses them: same settings, same code.

Settings are read from a deployed function, so that nothing an operator does can go by others
than the functions do.
"""

from functools import cache

from antiphon.connection import Connection
from antiphon.problems import Problem
from antiphon.reading import RESPONDER
from handlers.dependencies import Dependencies
from handlers.settings import Settings


class _Clients:
    """Clients of every region, each made once: the functions' code asks for them again."""

    def __init__(self, connection: Connection) -> None:
        self.dynamodb = cache(connection.dynamodb)
        self.sqs = cache(connection.sqs)
        self.events = cache(connection.events)
        self.kms = cache(connection.kms)


def settings_of(connection: Connection, via: str) -> Settings:
    """Return the settings of the functions in a region; raises Problem if they are not all set."""
    configuration = connection.functions(via).get_function_configuration(FunctionName=RESPONDER)
    variables = configuration.get("Environment", {}).get("Variables", {})
    try:
        return Settings.of(variables, region=via)
    except ValueError as error:
        told = f"the settings of {RESPONDER} in {via} are not those of this version"
        raise Problem(f"{told}; deploy the templates again ({error})") from error


def dependencies_of(connection: Connection, region: str) -> Dependencies:
    """Return what a function of a region has, of the services that an operator needs."""
    # Of all services that functions have clients of, these are what is needed.
    return Dependencies(settings_of(connection, region), _Clients(connection))  # type: ignore[arg-type]
