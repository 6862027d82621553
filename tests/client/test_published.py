"""What is told is what is published: every field, in replies and answers of every outcome."""

import orjson
import pytest
from pydantic import BaseModel

from antiphon.schemas import published
from handlers.published import Answer, Problem, Reply
from tests.handlers.network import ACTIVATION, Network

US = "us-east-1"
SUSPEND = {
    "type": "SuspendSubscriber",
    "command_id": "s",
    "producer": "crm-emea",
    "data": {"imsi": "262011234567890", "reason": "fraud"},
}
OUTCOMES = {
    "accepted": [ACTIVATION],
    "rejected": [SUSPEND],
    "unchanged": [ACTIVATION, SUSPEND, {**SUSPEND, "command_id": "again"}],
}


def untold(model: type[BaseModel], told: dict[str, object]) -> set[str]:
    """Fields that are told and not published."""
    return told.keys() - model.model_fields.keys()


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_replies_and_answers_are_as_published(network: Network, outcome: str):
    told = [network[US].post(command)[1] for command in OUTCOMES[outcome]][-1]
    network.settle()
    answer = network[US].answers[-1]

    assert Reply.model_validate_json(orjson.dumps(told)).status == outcome
    assert untold(Reply, told) == set()
    read = Answer.model_validate_json(orjson.dumps(answer))
    assert (read.outcome, untold(Answer, answer)) == (outcome, set())
    assert untold(type(read.command), answer["command"]) == set()
    assert [untold(type(event), answer["events"][0]) for event in read.events[:1]] in ([], [set()])
    required = {name for name, field in Answer.model_fields.items() if field.is_required()}
    assert required <= answer.keys()


def test_problems_are_as_published(network: Network):
    _, told = network[US].post({**ACTIVATION, "command_id": ""})

    assert Problem.model_validate(told).errors
    assert untold(Problem, told) == set()


def test_the_openapi_document_shows_the_same(network: Network):
    _, document = network[US].get("/openapi.json")

    responses = document["paths"]["/commands"]["post"]["responses"]
    for status in ("200", "202"):
        schema = responses[status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Reply"}
    shown = document["components"]["schemas"]["Answer"]
    assert shown["properties"].keys() == published()["answer"]["properties"].keys()
    assert shown["required"] == published()["answer"]["required"]
