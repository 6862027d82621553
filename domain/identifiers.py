"""The field's identifiers as pydantic types, checked against real numbering plans.

A value that passes is canonical: equal things are equal texts. Only commands use these
types; events keep plain text, because plans change and history does not. Only ASCII digits
are digits: other scripts' would make a second spelling of one number.
"""

import functools
import re
from collections.abc import Callable
from typing import Annotated, Any, Final

import phonenumbers
import stdnum.imsi
import stdnum.luhn
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_SLUG: Final = 64
MAX_REASON: Final = 200

_IMSI = re.compile(r"[0-9]{15}")
_ICCID = re.compile(r"89[0-9]{17,18}")
_PLMN = re.compile(r"([0-9]{3})-([0-9]{2,3})")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# ITU-T E.164: at most 15 digits after the plus. People write separators; letters,
# extensions and URIs, which the library would also read, are not numbers of subscribers.
_MSISDN = re.compile(r"\+[0-9](?:[ .()-]{0,2}[0-9]){5,14}")


def _has_known_mcc(digits: str) -> bool:
    return _is_known_mcc(digits[:3])


# The plan is searched from its start each time, which takes longer than deciding a command; there
# are a thousand codes at most.
@functools.cache
def _is_known_mcc(mcc: str) -> bool:
    # The plan splits off only a mobile country code that it knows.
    return len(stdnum.imsi.split(f"{mcc}0")) > 1


def _imsi(value: str) -> str:
    if not _IMSI.fullmatch(value):
        raise PydanticCustomError("imsi", "an IMSI has exactly 15 digits and nothing else")
    if not _has_known_mcc(value):
        raise PydanticCustomError("imsi", "the IMSI begins with an unknown mobile country code")
    return value


def _msisdn(value: str) -> str:
    if not _MSISDN.fullmatch(value):
        raise PydanticCustomError(
            "msisdn", "an MSISDN is an E.164 number: a plus, the country code, at most 15 digits"
        )
    try:
        number = phonenumbers.parse(value)
    except phonenumbers.NumberParseException as error:
        raise PydanticCustomError(
            "msisdn", "the MSISDN begins with an unknown country calling code"
        ) from error
    if not phonenumbers.is_valid_number(number):
        raise PydanticCustomError(
            "msisdn", "the MSISDN is not a number of its country's numbering plan"
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _iccid(value: str) -> str:
    if not _ICCID.fullmatch(value):
        raise PydanticCustomError("iccid", "an ICCID has 19 or 20 digits and begins with 89")
    if not stdnum.luhn.is_valid(value):
        raise PydanticCustomError("iccid", "the check digit of the ICCID is wrong")
    return value


def _plmn(value: str) -> str:
    parts = _PLMN.fullmatch(value)
    if parts is None:
        raise PydanticCustomError(
            "plmn", "a PLMN is MCC-MNC: three digits, a hyphen, two or three digits"
        )
    if not _has_known_mcc(parts[1] + parts[2]):
        raise PydanticCustomError("plmn", "the PLMN has an unknown mobile country code")
    return value


def _slug(what: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if len(value) > MAX_SLUG or not _SLUG.fullmatch(value):
            raise PydanticCustomError(
                "slug",
                "{what} has lower-case letters and digits in parts joined by hyphens, "
                "at most {most} characters",
                {"what": what, "most": MAX_SLUG},
            )
        return value

    return check


def _reason(value: str) -> str:
    value = value.strip()
    if not 1 <= len(value) <= MAX_REASON or not value.isprintable():
        raise PydanticCustomError(
            "reason", "a reason is one line of 1 to {most} characters", {"most": MAX_REASON}
        )
    return value


def _schema(description: str, example: str, pattern: str | None = None, **more: Any) -> Any:
    shape = {"pattern": f"^{pattern}$"} if pattern else {}
    return WithJsonSchema(
        {"type": "string", "description": description, "examples": [example], **shape, **more}
    )


Imsi = Annotated[
    str,
    AfterValidator(_imsi),
    _schema("15 digits, beginning with a known MCC", "262011234567890", _IMSI.pattern),
]
Msisdn = Annotated[
    str,
    AfterValidator(_msisdn),
    _schema("A valid E.164 number with its plus", "+4915112345678", _MSISDN.pattern),
]
Iccid = Annotated[
    str,
    AfterValidator(_iccid),
    _schema("19 or 20 digits with a Luhn check digit", "8949020000012345670", _ICCID.pattern),
]
Plmn = Annotated[
    str, AfterValidator(_plmn), _schema("MCC-MNC with a known MCC", "262-01", _PLMN.pattern)
]
ServiceProfile = Annotated[
    str,
    AfterValidator(_slug("a service profile")),
    _schema("The name of a service profile", "consumer-5g", _SLUG.pattern, maxLength=MAX_SLUG),
]
ElementId = Annotated[
    str,
    AfterValidator(_slug("an element id")),
    _schema("A network element's id", "gnb-ber-0001", _SLUG.pattern, maxLength=MAX_SLUG),
]
Site = Annotated[
    str,
    AfterValidator(_slug("a site")),
    _schema("Where the element stands", "ber-mitte-3", _SLUG.pattern, maxLength=MAX_SLUG),
]
Reason = Annotated[
    str,
    AfterValidator(_reason),
    _schema(
        "Why, in one line; no personal data", "lost-or-stolen", minLength=1, maxLength=MAX_REASON
    ),
]
