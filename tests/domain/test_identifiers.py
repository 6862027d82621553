"""Identifiers: what real numbering plans let pass, and how the rest is told off."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.identifiers import (
    ElementId,
    Iccid,
    Imsi,
    Msisdn,
    Plmn,
    Reason,
    ServiceProfile,
    Site,
)

ARABIC_FIVE, FULLWIDTH_FIVE = "\u0665", "\uff15"


def check(identifier, value):
    return TypeAdapter(identifier).validate_python(value)


def complaint(identifier, value):
    with pytest.raises(ValidationError) as caught:
        check(identifier, value)
    (error,) = caught.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
        (Imsi, "262011234567890"),
        (Imsi, "310260123456789"),
        (Imsi, "001010000000001"),
        (Msisdn, "+4915112345678"),
        (Msisdn, "+12025550123"),
        (Msisdn, "+919987654321"),
        (Iccid, "8949020000012345670"),
        (Iccid, "89490200000123456704"),
        (Plmn, "262-01"),
        (Plmn, "310-260"),
        (ServiceProfile, "consumer-5g"),
        (ElementId, "gnb-ber-0001"),
        (ElementId, "a" * 64),
        (Site, "ber-mitte-3"),
        (Reason, "lost or stolen"),
        (Reason, "x" * 200),
    ],
)
def test_a_good_identifier_passes_as_it_is(identifier, value):
    assert check(identifier, value) == value


@pytest.mark.parametrize(
    "written",
    ["+49 151 12345678", "+49-151-12345678", "+49 (151) 1234.5678", "+4915112345678"],
)
def test_every_spelling_of_a_number_is_the_same_number(written):
    assert check(Msisdn, written) == "+4915112345678"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "26201123456789",
        "2620112345678901",
        "26201123456789x",
        "262011234567890\n",
        " 262011234567890",
        "262-01-123456789",
        "2620112345" + 5 * ARABIC_FIVE,
        "2620112345" + 5 * FULLWIDTH_FIVE,
    ],
)
def test_an_imsi_has_fifteen_ascii_digits(value):
    assert "15 digits" in complaint(Imsi, value)


@pytest.mark.parametrize("mcc", ["000", "100", "199", "439", "800"])
def test_an_mcc_that_nobody_has_is_refused(mcc):
    assert "unknown mobile country code" in complaint(Imsi, mcc + "011234567890")
    assert "unknown mobile country code" in complaint(Plmn, mcc + "-01")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "+",
        "4915112345678",
        "004915112345678",
        "++4915112345678",
        "+4915112345678x3",
        "+4915112345678;ext=3",
        "tel:+4915112345678",
        "+49151CALLME12",
        "+4915112345678\n",
        "+49151" + 8 * ARABIC_FIVE,
        "\uff0b4915112345678",
        "+49 151   12345678",
        "+1234567890123456",
    ],
)
def test_an_msisdn_is_written_as_e164(value):
    assert "E.164" in complaint(Msisdn, value)


def test_a_country_calling_code_that_nobody_has_is_refused():
    assert "unknown country calling code" in complaint(Msisdn, "+999123456789")


@pytest.mark.parametrize("value", ["+491511234", "+4900000000000", "+11002003000", "+12005550123"])
def test_a_number_outside_its_countrys_plan_is_refused(value):
    assert "numbering plan" in complaint(Msisdn, value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "7949020000012345670",
        "894902000001234567",
        "894902000001234567061",
        "8949020000012345670F",
        "894902000001234567" + ARABIC_FIVE,
    ],
)
def test_an_iccid_has_19_or_20_digits_and_begins_with_89(value):
    assert "begins with 89" in complaint(Iccid, value)


@pytest.mark.parametrize("last", "123456789")
def test_an_iccid_with_a_wrong_check_digit_is_refused(last):
    assert "check digit" in complaint(Iccid, "894902000001234567" + last)


@pytest.mark.parametrize(
    "value", ["", "26201", "262-1", "262-0001", "26-01", "262-0" + ARABIC_FIVE]
)
def test_a_plmn_is_mcc_hyphen_mnc(value):
    assert "MCC-MNC" in complaint(Plmn, value)


@pytest.mark.parametrize("identifier", [ServiceProfile, ElementId, Site])
@pytest.mark.parametrize(
    "value", ["", "A", "a b", "a--b", "-a", "a-", "a/b", "a.b", "ä", "a\n", "a" * 65, ARABIC_FIVE]
)
def test_a_slug_has_lower_case_letters_digits_and_single_hyphens(identifier, value):
    assert "lower-case" in complaint(identifier, value)


@pytest.mark.parametrize("value", ["", " ", "x" * 201, "a\nb", "a\x00b", "\ud800"])
def test_a_reason_is_one_line_of_text(value):
    assert "one line" in complaint(Reason, value)


def test_a_reason_loses_the_space_around_it():
    assert check(Reason, "  lost ") == "lost"


@pytest.mark.parametrize("identifier", [Imsi, Msisdn, Iccid, Plmn, ElementId, Reason])
@pytest.mark.parametrize("value", [262011234567890, None, True, ["262-01"], 1.5])
def test_only_text_is_an_identifier(identifier, value):
    with pytest.raises(ValidationError):
        check(identifier, value)


ALPHABET = st.sampled_from("0123456789+-.() 89aZ\u0665\uff15\n")
NOISE = st.text(max_size=30) | st.text(ALPHABET, max_size=24)


@settings(max_examples=300)
@given(identifier=st.sampled_from([Imsi, Msisdn, Iccid, Plmn, ServiceProfile, Reason]), value=NOISE)
def test_any_text_is_either_refused_or_canonical(identifier, value):
    try:
        canonical = check(identifier, value)
    except ValidationError:
        return
    assert check(identifier, canonical) == canonical


@settings(max_examples=200)
@given(digits=st.from_regex(r"\+(49|1|91|44|33)[0-9]{9,11}", fullmatch=True))
def test_a_valid_number_is_ascii_e164_and_stays_so(digits):
    try:
        canonical = check(Msisdn, digits)
    except ValidationError:
        return
    assert canonical.isascii()
    assert canonical[1:].isdecimal()
    assert check(Msisdn, canonical) == canonical
