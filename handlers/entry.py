"""What Lambda loads: the one handler whose module the settings name.

Only that module is imported, so each function starts with what it needs and no more. What it needs
is built at once, while Lambda starts it, so that no first event waits for that.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from handlers.clients import Clients
from handlers.dependencies import Dependencies
from handlers.settings import Settings

Handler = Callable[[dict[str, Any], Any], Any]


def build_handler(
    environment: Mapping[str, str], region: str, clients: Clients | None = None
) -> Handler:
    """Return the handler of the function that has this environment.

    Raises:
        pydantic.ValidationError: the environment lacks a setting, or one is not valid.

    """
    settings = Settings.of(environment, region=region)
    module = importlib.import_module(f"handlers.{settings.function}")
    deps = Dependencies(settings, clients or Clients(settings))
    for part in module.NEEDS:
        getattr(deps, part)
    handler: Handler = module.make_handler(deps)
    return handler


def __getattr__(name: str) -> Handler:
    """Build `handler` when Lambda asks for it, and never on a mere import."""
    if name != "handler":
        raise AttributeError(name)
    # The one reading of the process's own environment, on behalf of handlers.settings.
    environment = os.environ  # noqa: TID251
    built = build_handler(environment, environment["AWS_REGION"])
    globals()["handler"] = built
    return built
