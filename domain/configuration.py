"""The parameters of a network element's configuration: few, scalar and small.

The bounds keep 32 revisions of one element together under 256 KB, whatever is sent. Equal
means equal as canonical JSON, because Python takes 1, 1.0 and True for the same.
"""

import math
import re
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_PARAMETERS: Final = 64
MAX_PARAMETERS_BYTES: Final = 6_000
# RFC 7493 (I-JSON): beyond this, not every reader of JSON sees the same integer.
MAX_INTEGER: Final = 2**53 - 1

# As 3GPP writes attribute names: nRPCI, arfcnDL, gnbDUFunction.cellLocalId.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise PydanticCustomError(
            "parameter_name",
            "a parameter's name is a letter, then at most 63 letters, digits or any of _ . : -",
        )
    return value


def _scalar(value: Any) -> bool | int | float | str:
    match value:
        case bool():
            return value
        case int() if abs(value) <= MAX_INTEGER:
            return value
        # A reader of JSON makes a float of an integer that is too long for it: as inexact.
        case float() if math.isfinite(value) and abs(value) <= MAX_INTEGER:
            return value
        case str() if value.isprintable():
            return value
        case _:
            raise PydanticCustomError(
                "parameter_value",
                "a parameter's value is true, false, a number in the safe range of JSON, "
                "or text in one line",
            )


def canonical(parameters: dict[str, bool | int | float | str]) -> bytes:
    """Return the one spelling of these parameters, as JSON with sorted names."""
    return orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)


def _bounded(
    parameters: dict[str, bool | int | float | str],
) -> dict[str, bool | int | float | str]:
    if not 1 <= len(parameters) <= MAX_PARAMETERS:
        raise PydanticCustomError(
            "parameters", "a configuration has 1 to {most} parameters", {"most": MAX_PARAMETERS}
        )
    if len(canonical(parameters)) > MAX_PARAMETERS_BYTES:
        raise PydanticCustomError(
            "parameters",
            "a configuration has at most {most} bytes as JSON",
            {"most": MAX_PARAMETERS_BYTES},
        )
    return parameters


ParameterName = Annotated[str, AfterValidator(_name)]
ParameterValue = Annotated[
    bool | int | float | str,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["boolean", "integer", "number", "string"]}),
]
Parameters = Annotated[
    dict[ParameterName, ParameterValue],
    AfterValidator(_bounded),
    WithJsonSchema(
        {
            "type": "object",
            "description": f"1 to {MAX_PARAMETERS} parameters, at most "
            f"{MAX_PARAMETERS_BYTES} bytes as JSON",
            "minProperties": 1,
            "maxProperties": MAX_PARAMETERS,
            "propertyNames": {"pattern": f"^{_NAME.pattern}$"},
            "additionalProperties": {"type": ["boolean", "integer", "number", "string"]},
            "examples": [{"nRPCI": 211, "arfcnDL": 636_000, "bSChannelBwDL": 100}],
        }
    ),
]
