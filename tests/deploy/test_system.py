"""A deployment's file: what it may say, and what is refused with the reason."""

from pathlib import Path

import pytest

from infra.deploy.stacks import MAX_TEMPLATE_BYTES, TEMPLATES, StackFailed, body_of, template_of
from infra.deploy.system import (
    Refused,
    System,
    global_parameters,
    region_parameters,
    states_parameters,
    system_of,
)

WHOLE = """
regions: [us-east-1, eu-west-1]
witness: eu-west-2
mode: strong
architecture: x86_64
generation: 2
secret_file: keys/antiphon.secret
include: [extensions]
extensions: [sims.registration]
parameters: {LogRetentionDays: 90, Tracing: PassThrough}
alarms: {OverdueAnswerMs: 30000}
alarm_topics: {us-east-1: "arn:aws:sns:us-east-1:123456789012:oncall"}
"""


FOUR = "regions: [us-east-1, eu-west-1, eu-west-2, us-west-2]"


def written(folder: Path, text: str) -> Path:
    file = folder / "antiphon.yaml"
    file.write_text(text)
    return file


def test_a_file_says_all_that_is_deployed(tmp_path):
    system = system_of(written(tmp_path, WHOLE))
    assert system.secret_file == tmp_path / "keys" / "antiphon.secret"
    assert system.include == (tmp_path / "extensions",)
    assert system.alarms == {"OverdueAnswerMs": "30000"}
    assert global_parameters(system) == {
        "FirstRegion": "us-east-1",
        "SecondRegion": "eu-west-1",
        "ThirdRegion": "",
        "FourthRegion": "",
        "FifthRegion": "",
        "WitnessRegion": "eu-west-2",
        "MultiRegionConsistency": "STRONG",
    }
    assert region_parameters(system) == {
        "Regions": "us-east-1,eu-west-1",
        "Mode": "STRONG",
        "Generation": "2",
        "Extensions": "sims.registration",
        "Architecture": "x86_64",
        "LogRetentionDays": "90",
        "Tracing": "PassThrough",
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("regions: [us-east-1, eu-west-1]", "two regions alone cannot agree"),
        ("regions: [us-east-1]", "three replicas, or two and a witness"),
        ("regions: [us-east-1, eu-west-1, us-east-1]", "named twice"),
        ("regions: [us-east-1, eu-west-1]\nwitness: us-east-1", "named twice"),
        (
            "regions: [us-east-1, eu-west-1, ap-south-1]\nwitness: eu-west-2",
            "3 regions and a witness: a strongly consistent global table has three replicas",
        ),
        ("regions: [us-east-1, eu-west-1, af-south-1]", "af-south-1: DynamoDB is not known to"),
        (
            "regions: [us-east-1, eu-west-1, eu-west-2, us-west-2]",
            "4 regions: a strongly .* only with mode eventual are there more regions",
        ),
        (
            "regions: [a, b, c, d, e, f]\nmode: eventual",
            "6 regions: .* 5 at most and without a witness",
        ),
        (
            f"{FOUR}\nmode: eventual\nwitness: ap-south-1",
            "4 regions and a witness",
        ),
        ("regions: [us-east-1, eu-west-1]\nmode: eventual", "name a third region, or a witness"),
        (
            "regions: [af-south-1, us-east-1, eu-west-1, us-west-2]\nmode: eventual",
            "af-south-1: DynamoDB is not known to",
        ),
        (
            f"{FOUR}\nmode: eventual\nstates_near: {{us-west-2: us-west-2}}",
            "states_near: us-west-2: us-west-2: it says of us-west-2, which of us-east-1, eu-w",
        ),
        (
            "regions: [us-east-1, eu-west-1, eu-west-2]\nstates_near: {eu-west-2: us-east-1}",
            "it says of no region: all have their own",
        ),
        ("regions: [us-east-1, eu-west-1, eu-west-2]\nmode: weak", "mode"),
        (
            "regions: [us-east-1, eu-west-1, eu-west-2]\nparameters: {Secret: x}",
            "parameters: Secret cannot be set",
        ),
        (
            "regions: [us-east-1, eu-west-1, eu-west-2]\nalarms: {Nothing: 1}",
            "alarms: Nothing cannot be set; there are ApplyLagMs",
        ),
        (
            "regions: [us-east-1, eu-west-1, eu-west-2]\nalarm_topics: {us-west-2: arn}",
            "which is not deployed to",
        ),
        ("regions: [us-east-1, eu-west-1, eu-west-2]\nregoin: x", "regoin"),
        ("regions: [", "cannot be read"),
        ("", "valid dictionary"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(tmp_path, text, why):
    with pytest.raises(Refused, match=why):
        system_of(written(tmp_path, text))


def test_of_more_than_three_regions_the_first_three_have_the_states_and_others_ask_the_nearest():
    regions = ("us-east-1", "eu-west-1", "ap-south-1", "eu-central-2", "sa-east-1")
    # The last two need no strong tables of their own, which AWS does not offer there.
    system = System(regions=regions, mode="eventual")
    assert global_parameters(system)["FifthRegion"] == "sa-east-1"
    assert states_parameters(system, "us-east-1") == {"StatesIn": "us-east-1,eu-west-1,ap-south-1"}
    assert states_parameters(system, "eu-central-2") == {
        "StatesIn": "eu-west-1,us-east-1,ap-south-1"
    }
    near = System(regions=regions, mode="eventual", states_near={"sa-east-1": "ap-south-1"})
    assert states_parameters(near, "sa-east-1") == {"StatesIn": "ap-south-1,us-east-1,eu-west-1"}
    for few in (regions[:3], regions[:2]):
        witness = "eu-west-2" if len(few) == 2 else None
        known = System(regions=few, mode="eventual", witness=witness)
        assert states_parameters(known, "us-east-1") == {"StatesIn": ""}


def test_a_region_that_strong_tables_have_come_to_since_may_be_named():
    regions = ("us-east-1", "eu-west-1", "ca-central-1")
    assert System(regions=regions, also_strong=("ca-central-1",)).regions == regions


def test_every_template_fits_into_a_request_of_cloudformation():
    for file in TEMPLATES.glob("*.yaml"):
        assert len(body_of(template_of(file.name))) < MAX_TEMPLATE_BYTES
    with pytest.raises(StackFailed, match="split it"):
        body_of({"Description": "x" * MAX_TEMPLATE_BYTES})
