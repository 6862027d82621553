"""The templates: what SAM makes of them, the names everyone relies on, who may do what."""

from functools import cache
from typing import Any

import pytest
from boto3.session import Session
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from handlers.settings import Settings
from infra.deploy.stacks import TEMPLATES, template_of
from infra.deploy.states import table_regions
from infra.local.deployment import function_names

REGIONS = "us-east-1,eu-west-1,ap-south-1"
REQUIRED_SETTINGS = {
    name for name, setting in Settings.model_fields.items() if setting.is_required()
} - {"region"}  # which Lambda gives
FUNCTIONS = {
    "antiphon-commands": "commands",
    "antiphon-command-queue": "command_queue",
    "antiphon-projector": "projector",
    "antiphon-responder": "responder",
    "antiphon-sweeper": "sweeper",
    "antiphon-queries": "queries",
    "antiphon-dead-letters": "dead_letters",
    "antiphon-status": "status",
}
# Where what failed ends up: these have no dead-letter queue behind them.
LAST_QUEUES = {
    "antiphon-commands-dead.fifo",
    "antiphon-lane-dead",
    "antiphon-acks-dead",
    "antiphon-answers-dead",
    "antiphon-discarded",
}


@cache
def region() -> dict[str, Any]:
    """region.yaml as CloudFormation gets it from the SAM transform."""
    template = yaml_parse((TEMPLATES / "region.yaml").read_text())
    parameters = {
        "Regions": REGIONS,
        "EventsStreamArn": "arn:aws:dynamodb:us-east-1:0:table/antiphon-events/stream/x",
        "CodeBucket": "bucket",
        "CodeKey": "key",
        "Secret": "s" * 32,
    }
    translator = Translator(None, Parser(), boto_session=Session(region_name="us-east-1"))
    # No map of AWS's managed policies: the template must not need any.
    transformed: dict[str, Any] = translator.translate(
        template, parameter_values=parameters, get_managed_policy_map=dict
    )
    return transformed


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in region()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    return {
        properties["FunctionName"]: properties
        for properties in of_type("AWS::Lambda::Function").values()
    }


def statements_of(function: str) -> list[dict[str, Any]]:
    """Everything that the role of a function allows."""
    resources = region()["Resources"]
    role = resources[functions()[function]["Role"]["Fn::GetAtt"][0]]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    documents += [
        resources[managed["Ref"]]["Properties"]["PolicyDocument"]
        for managed in role["ManagedPolicyArns"]
    ]
    return [statement for document in documents for statement in document["Statement"]]


def actions_of(function: str) -> set[str]:
    actions: set[str] = set()
    for statement in statements_of(function):
        action = statement["Action"]
        actions |= {action} if isinstance(action, str) else set(action)
    return actions


def test_every_function_runs_the_one_entry_point_as_what_its_environment_says():
    for name, properties in functions().items():
        variables = properties["Environment"]["Variables"]
        assert properties["Handler"] == "handlers.entry.handler"
        assert properties["Runtime"] == "python3.12"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        assert properties["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}
        assert variables["ANTIPHON_FUNCTION"] == FUNCTIONS[name]
        given = {name.removeprefix("ANTIPHON_").lower() for name in variables}
        assert REQUIRED_SETTINGS <= given <= Settings.model_fields.keys()
    assert functions().keys() == FUNCTIONS.keys() == set(function_names())


def test_the_queues_have_the_names_that_other_regions_and_producers_use():
    names = {properties["QueueName"] for properties in of_type("AWS::SQS::Queue").values()}
    assert (
        names
        == {
            "antiphon-commands.fifo",
            "antiphon-lane",
            "antiphon-acks",
            "antiphon-answers",
        }
        | LAST_QUEUES
    )


def test_the_secret_is_shown_nowhere():
    secret = region()["Parameters"]["Secret"]
    assert secret["NoEcho"] is True
    assert "Default" not in secret


def test_the_global_tables_are_strong_and_cannot_be_deleted_with_their_stack():
    template = yaml_parse((TEMPLATES / "global.yaml").read_text())
    tables = [
        resource
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::GlobalTable"
    ]
    names = [table["Properties"]["TableName"] for table in tables]
    assert names == ["antiphon-events", "antiphon-control", "antiphon-keys"]
    assert template["Parameters"]["MultiRegionConsistency"]["Default"] == "STRONG"
    # Whatever the mode of the log is, all regions see the same states and homes.
    control = template["Resources"]["ControlTable"]["Properties"]
    assert control["MultiRegionConsistency"] == "STRONG"
    keys = template["Resources"]["KeysTable"]["Properties"]
    assert keys["MultiRegionConsistency"] == "STRONG"
    for table in tables:
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        # A strong table takes neither a time to live nor local indexes.
        assert not {"TimeToLiveSpecification", "LocalSecondaryIndexes"} & table["Properties"].keys()


def evaluated(told: Any, parameters: dict[str, str]) -> Any:
    """Return what CloudFormation makes of a rule's condition."""
    if not isinstance(told, dict):
        return told
    [(name, value)] = told.items()
    if name == "Ref":
        return parameters[value]
    values = [evaluated(one, parameters) for one in value]
    match name:
        case "Fn::Equals":
            return values[0] == values[1]
        case "Fn::Not":
            return not values[0]
        case "Fn::And":
            return all(values)
        case "Fn::Or":
            return any(values)
    raise AssertionError(f"{name} is not allowed in a rule")


@pytest.mark.parametrize(
    ("regions", "witness", "mode", "fits"),
    [
        ("ab", "w", "STRONG", True),
        ("abc", "", "STRONG", True),
        ("ab", "w", "EVENTUAL", True),
        ("abcde", "", "EVENTUAL", True),
        ("ab", "", "STRONG", False),
        ("ab", "", "EVENTUAL", False),
        ("abc", "w", "EVENTUAL", False),
        ("abcd", "", "STRONG", False),
        ("abcd", "w", "EVENTUAL", False),
        (["a", "b", "c", "", "e"], "", "EVENTUAL", False),
        (["a", "b", "", "d", ""], "w", "EVENTUAL", False),
    ],
)
def test_the_global_stack_takes_no_other_regions_than_its_tables_can_have(
    regions, witness, mode, fits
):
    parameters = table_regions(tuple(regions), witness=witness, mode=mode)
    rules = template_of("global.yaml")["Rules"].values()
    kept = [
        evaluated(one["Assert"], parameters)
        for rule in rules
        if evaluated(rule.get("RuleCondition", True), parameters)
        for one in rule["Assertions"]
    ]
    assert all(kept) is fits


def test_only_the_event_table_has_replicas_beyond_the_third_and_with_them_no_witness():
    template = template_of("global.yaml")
    resources = template["Resources"]
    counts = {
        name: len(resources[name]["Properties"]["Replicas"])
        for name in ("EventsTable", "ControlTable", "KeysTable")
    }
    assert counts == {"EventsTable": 5, "ControlTable": 3, "KeysTable": 3}
    witnesses = {
        name: resources[name]["Properties"]["GlobalTableWitnesses"]["Fn::If"][0] for name in counts
    }
    assert witnesses["EventsTable"] == "EventsHaveWitness"
    assert witnesses["ControlTable"] == witnesses["KeysTable"] == "HasWitness"
    strong = {"Fn::Equals": [{"Ref": "MultiRegionConsistency"}, "STRONG"]}
    assert strong in template["Conditions"]["EventsHaveWitness"]["Fn::And"]


def test_states_and_keys_are_asked_for_elsewhere_only_where_the_stack_says_so():
    for function in FUNCTIONS:
        for statement in statements_of(function):
            if "antiphon-control" in str(statement) or "antiphon-keys" in str(statement):
                [arn, variables] = statement["Resource"]["Fn::Sub"]
                assert "dynamodb:${Where}:" in arn
                own = {"Fn::If": ["StatesAreElsewhere", "*", {"Ref": "AWS::Region"}]}
                assert variables == {"Where": own}
                assert statement["Condition"]["StringEquals"] == {
                    "aws:RequestedRegion": {"Ref": "Regions"}
                }
    assert region()["Parameters"]["StatesIn"]["Default"] == ""


# What a mapping must say so that nothing is lost, with Lambda's documentation as the source.


def mappings() -> list[dict[str, Any]]:
    return list(of_type("AWS::Lambda::EventSourceMapping").values())


def test_every_mapping_takes_reports_of_single_failures():
    assert len(mappings()) == 9
    for mapping in mappings():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_stream_is_read_from_its_beginning_and_gives_records_up_only_to_a_bucket():
    (stream,) = [mapping for mapping in mappings() if "StartingPosition" in mapping]
    assert stream["StartingPosition"] == "TRIM_HORIZON"
    assert stream["BisectBatchOnFunctionError"] is True
    assert stream["MaximumRetryAttempts"] == -1
    # Before the stream itself would drop the record, at 24 hours.
    assert 0 < stream["MaximumRecordAgeInSeconds"] < 24 * 3600
    destination = stream["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination == {"Fn::GetAtt": ["DiscardedBucket", "Arn"]}


def queues_with_a_function() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return queue and function of each mapping that reads a queue, by the queue's name."""
    queues, resources = of_type("AWS::SQS::Queue"), region()["Resources"]
    found = {}
    for mapping in mappings():
        if "StartingPosition" not in mapping:
            queue = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
            function = resources[mapping["FunctionName"]["Ref"]]["Properties"]
            found[queue["QueueName"]] = (queue, function)
    return found


def test_every_queue_with_a_function_waits_six_times_as_long():
    for queue, function in queues_with_a_function().values():
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_what_a_queue_gives_up_goes_to_a_queue_of_its_name_that_the_dead_letters_read():
    queues = of_type("AWS::SQS::Queue")
    readers = queues_with_a_function()
    for name, (queue, _) in readers.items():
        if name in LAST_QUEUES:
            continue
        dead = queues[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        stem, dot, fifo = name.partition(".")
        assert dead["QueueName"] == f"{stem}-dead{dot}{fifo}"
        assert dead.get("FifoQueue") == queue.get("FifoQueue")
    for name in LAST_QUEUES:
        queue, function = readers[name]
        assert function["FunctionName"] == "antiphon-dead-letters"
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert "RedrivePolicy" not in queue


def test_the_reason_fits_beside_the_largest_command_that_is_buried():
    queues = {queue["QueueName"]: queue for queue in of_type("AWS::SQS::Queue").values()}
    most = queues["antiphon-commands.fifo"]["MaximumMessageSize"]
    # A reason of 1000 characters of up to 4 bytes, and the other attributes.
    assert queues["antiphon-commands-dead.fifo"]["MaximumMessageSize"] - most > 8_000
    # And a message fits the 400 KB of a letter.
    assert most < 350_000


def test_what_the_bus_cannot_deliver_and_what_the_stream_gives_up_is_kept():
    (rule,) = [one for one in of_type("AWS::Events::Rule").values() if "EventBusName" in one]
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["AnswersDeadQueue", "Arn"]}
    (bucket,) = of_type("AWS::S3::Bucket").values()
    (told,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert told == {
        "Event": "s3:ObjectCreated:*",
        "Queue": {"Fn::GetAtt": ["DiscardedQueue", "Arn"]},
    }
    # The notification needs the right to send to the queue when the bucket is made.
    assert region()["Resources"]["DiscardedBucket"]["DependsOn"] == "DiscardedQueuePolicy"
    senders = {
        policy["Queues"][0]["Ref"]: policy["PolicyDocument"]["Statement"][0]
        for policy in of_type("AWS::SQS::QueuePolicy").values()
    }
    assert senders["DiscardedQueue"]["Principal"] == {"Service": "s3.amazonaws.com"}
    assert senders["AnswersDeadQueue"]["Principal"] == {"Service": "events.amazonaws.com"}
    source = senders["DiscardedQueue"]["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith(bucket["BucketName"]["Fn::Sub"])


def test_functions_behind_the_api_end_before_the_api_gives_up():
    assert functions()["antiphon-commands"]["Timeout"] < 30
    assert functions()["antiphon-queries"]["Timeout"] < 30
    assert functions()["antiphon-status"]["Timeout"] < 30


# Least privilege.


def test_the_function_that_tells_the_status_can_change_nothing_but_its_own_log_lines():
    reads = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"}
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    traces = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    assert actions_of("antiphon-status") <= reads | logs | traces


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_do_everything_of_anything(function):
    for action in actions_of(function):
        assert "*" not in action
    for statement in statements_of(function):
        if statement["Resource"] == "*":
            # Actions that know no narrower resource.
            assert (
                set(statement["Action"])
                <= {
                    "xray:PutTraceSegments",
                    "xray:PutTelemetryRecords",
                }
                or statement["Action"] == "dynamodb:ListStreams"
            )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_open_to_every_region_is_closed_to_those_of_the_deployment(function):
    for statement in statements_of(function):
        resource = statement["Resource"]
        if isinstance(resource, dict) and ":*:" in str(resource.get("Fn::Sub", "")):
            assert statement["Condition"] == {
                "StringEquals": {"aws:RequestedRegion": {"Ref": "Regions"}}
            }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_log_is_written_by_the_command_handlers_alone_and_only_by_puts(function):
    on_the_log = {
        action
        for statement in statements_of(function)
        if "table/antiphon-events" in str(statement["Resource"])
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }
    writers = {"antiphon-commands", "antiphon-command-queue"}
    # A condition check writes nothing: it goes with a put, in one transaction.
    puts = {"dynamodb:PutItem", "dynamodb:ConditionCheckItem"}
    reads = {"dynamodb:GetItem", "dynamodb:Query"}
    assert on_the_log - reads == (puts if function in writers else set())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_regions_states_are_changed_by_operators_alone(function):
    on_the_states = {
        statement["Action"]
        for statement in statements_of(function)
        if "table/antiphon-control" in str(statement["Resource"])
    }
    # Dead letters are dealt with in every state, and answered by others.
    assert on_the_states == (set() if function == "antiphon-dead-letters" else {"dynamodb:GetItem"})


def test_whoever_reads_views_may_ask_which_builds_of_them_are_live():
    for function in FUNCTIONS:
        on_the_views = {
            action
            for statement in statements_of(function)
            if "antiphon-views" in str(statement["Resource"])
            or "ViewsTable" in str(statement["Resource"])
            for action in (
                [statement["Action"]]
                if isinstance(statement["Action"], str)
                else statement["Action"]
            )
        }
        # The states of the builds are read by a query; a command by queue proves no answer.
        assert "dynamodb:Query" in on_the_views or function == "antiphon-command-queue"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_keys_are_made_by_who_takes_commands_in_and_destroyed_by_operators_alone(function):
    on_the_keys = {
        action
        for statement in statements_of(function)
        if "table/antiphon-keys" in str(statement["Resource"])
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }
    makers = {"antiphon-commands", "antiphon-command-queue", "antiphon-dead-letters"}
    reads = {"dynamodb:BatchGetItem", "dynamodb:GetItem"}
    assert on_the_keys - reads == ({"dynamodb:PutItem"} if function in makers else set())
    # The status tells counts and times of what stays sealed.
    assert bool(on_the_keys) == (function != "antiphon-status")


def test_no_stream_keeps_a_destroyed_key():
    template = yaml_parse((TEMPLATES / "global.yaml").read_text())
    assert "StreamSpecification" not in template["Resources"]["KeysTable"]["Properties"]


def test_only_those_who_answer_may_publish():
    publishers = {name for name in FUNCTIONS if "events:PutEvents" in actions_of(name)}
    assert publishers == {"antiphon-responder", "antiphon-sweeper"}


def test_nobody_may_delete_an_item():
    for function in FUNCTIONS:
        assert "dynamodb:DeleteItem" not in actions_of(function)


# Who may call the HTTP API.


def routes() -> dict[str, dict[str, Any]]:
    return {one["RouteKey"]: one for one in of_type("AWS::ApiGatewayV2::Route").values()}


def test_every_route_but_that_of_health_asks_who_calls():
    assert routes().keys() == {"POST /commands", "$default", "GET /health", "GET /status"}
    asks = {"Fn::If": ["ByIam", "AWS_IAM", {"Fn::If": ["ByToken", "JWT", "NONE"]}]}
    with_tokens = {"Fn::If": ["ByToken", {"Ref": "Tokens"}, {"Ref": "AWS::NoValue"}]}
    for key in ("POST /commands", "$default", "GET /status"):
        assert routes()[key]["AuthorizationType"] == asks
        assert routes()[key]["AuthorizerId"] == with_tokens
    assert routes()["GET /health"]["AuthorizationType"] == "NONE"
    # Whoever deploys without a thought has the gateway prove who calls.
    assert region()["Parameters"]["Authorization"]["Default"] == "IAM"


def test_the_functions_hold_callers_to_grants_by_the_same_proof_as_the_gateway():
    for name, properties in functions().items():
        variables = properties["Environment"]["Variables"]
        assert variables["ANTIPHON_AUTHORIZATION"] == {"Ref": "Authorization"}
        asks = name.removeprefix("antiphon-") in {"commands", "command-queue", "queries", "status"}
        assert variables.get("ANTIPHON_GRANTS") == ({"Ref": "Grants"} if asks else None)
    queue = functions()["antiphon-command-queue"]["Environment"]["Variables"]
    assert queue["ANTIPHON_REPLAYER"] == {"Fn::GetAtt": ["DeadLettersRole", "RoleId"]}


def test_tokens_are_those_of_one_issuer_for_one_audience():
    (tokens,) = of_type("AWS::ApiGatewayV2::Authorizer").values()
    assert tokens["AuthorizerType"] == "JWT"
    assert tokens["JwtConfiguration"] == {
        "Issuer": {"Ref": "Issuer"},
        "Audience": {"Fn::Split": [",", {"Ref": "Audience"}]},
    }
    (rule,) = region()["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Authorization"}, "JWT"]}
    asserted = str([one["Assert"] for one in rule["Assertions"]])
    assert "Issuer" in asserted
    assert "Audience" in asserted


def test_no_page_of_another_origin_may_call_and_calls_are_throttled():
    (api,) = of_type("AWS::ApiGatewayV2::Api").values()
    assert "CorsConfiguration" not in api
    (stage,) = of_type("AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "RequestsAtOnce"},
    }
    # An access log would hold the numbers that stand in URLs.
    assert "AccessLogSettings" not in stage
