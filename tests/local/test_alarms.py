"""Alarms and dashboard: of metrics that there are, each with its runbook and its threshold."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from handlers.metrics import METRICS
from infra.deploy.stacks import TEMPLATES
from infra.local.deployment import function_names
from tests.local.test_templates import of_type

OPERATIONS = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"
# Of those that are told whether there is anything or not; of all others silence is good news.
TOLD_ALWAYS = {"OldestOverdueAnswer", "DeadLettersWaiting"}
# One is too many, whatever the installation.
NEVER = {"LogChanged", "DeadLettersWaiting"}


@cache
def template() -> dict[str, Any]:
    told: dict[str, Any] = yaml_parse((TEMPLATES / "alarms.yaml").read_text())
    return told


def alarms() -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def looked_at(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each metric of an alarm: namespace, name, dimensions."""
    if "MetricName" in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


def names_of(service: str) -> set[str]:
    """Return the names that metrics of one of AWS's services may have as their dimension."""
    if service == "AWS/Lambda":
        return set(function_names())
    if service == "AWS/SQS":
        return {queue["QueueName"] for queue in of_type("AWS::SQS::Queue").values()}
    tables = yaml_parse((TEMPLATES / "global.yaml").read_text())["Resources"].values()
    shared = {
        table["Properties"]["TableName"]
        for table in tables
        if table["Type"] == "AWS::DynamoDB::GlobalTable"
    }
    return shared | {one["TableName"] for one in of_type("AWS::DynamoDB::Table").values()}


@pytest.mark.parametrize("name", alarms())
def test_every_alarm_has_the_runbook_that_it_names(name: str):
    alarm = alarms()[name]
    assert alarm["AlarmName"] == f"antiphon-{name}"
    assert alarm["AlarmDescription"].endswith(f"Runbook {name} in docs/OPERATIONS.md.")
    headings = re.findall(r"^### (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert headings.count(name) == 1


@pytest.mark.parametrize("name", alarms())
def test_every_alarm_looks_at_a_metric_that_somebody_tells(name: str):
    metrics = {metric.name: metric for metric in METRICS}
    for one in looked_at(alarms()[name]):
        if one["Namespace"] == "Antiphon":
            # Over all dimensions: an alarm of one of them would miss the others.
            assert one["MetricName"] in metrics
            assert "Dimensions" not in one
        else:
            [dimension] = one["Dimensions"]
            assert dimension["Value"] in names_of(one["Namespace"])


@pytest.mark.parametrize("name", alarms())
def test_silence_alarms_where_it_means_that_nobody_looks(name: str):
    alarm = alarms()[name]
    silence = "breaching" if alarm.get("MetricName") in TOLD_ALWAYS else "notBreaching"
    assert alarm["TreatMissingData"] == silence


@pytest.mark.parametrize("name", alarms())
def test_thresholds_are_parameters_and_say_in_their_description_whose(name: str):
    threshold = alarms()[name]["Threshold"]
    if name in NEVER:
        assert threshold == 0
        return
    assert template()["Parameters"][threshold["Ref"]]["Description"].endswith(f"({name}).")


def test_alarms_of_functions_look_at_every_function():
    for name in ("FunctionsFailing", "FunctionsThrottled"):
        looked = {one["Dimensions"][0]["Value"] for one in looked_at(alarms()[name])}
        assert looked == set(function_names())


def test_no_alarm_takes_more_metrics_than_cloudwatch_lets_it():
    assert max(len(looked_at(alarm)) for alarm in alarms().values()) <= 10


def test_the_runbooks_are_of_alarms_that_there_are():
    text = OPERATIONS.read_text()
    told = re.findall(
        r"^### (.+)$", text.partition("\n## Alarms\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert sorted(told) == sorted(alarms())


def test_the_dashboard_shows_metrics_that_there_are_and_every_alarm():
    body = template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    shown: set[str] = set()
    dimensions = {metric.name: metric.dimensions for metric in METRICS}
    for widget in widgets:
        for row in widget["properties"].get("metrics", ()):
            if row[0] == "Antiphon":
                shown.add(row[1])
            elif isinstance(row[0], dict) and "SEARCH" in row[0]["expression"]:
                searched = re.search(
                    r"\{Antiphon,([a-z,]+)\} MetricName=\"(\w+)\"", row[0]["expression"]
                )
                assert searched is not None
                assert tuple(searched[1].split(",")) == dimensions[searched[2]]
                shown.add(searched[2])
            elif isinstance(row[0], str):
                assert row[3] in names_of(row[0])
    assert shown == dimensions.keys()
    [listed] = [w["properties"]["alarms"] for w in widgets if w["type"] == "alarm"]
    assert listed == [f"${{{name}.Arn}}" for name in alarms()]
