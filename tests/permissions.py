"""What the templates let each function and operators do, and whether a call is in it: IAM in tests.

Whoever plays a function's calls asks before each, so that a call which AWS would deny fails the
test that makes it; and tells which permissions were used, so that one nobody needs is found too.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from infra.deploy.stacks import template_of

FUNCTIONS = (
    "commands", "command_queue", "projector", "responder", "sweeper", "queries", "dead_letters",
    "status",
)  # fmt: skip
# Of the global stack, for people.
POLICIES = ("OperatorsPolicy", "ForgettersPolicy", "RestorersPolicy")
# A transaction needs the permissions of its parts.
_PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_OF_A_QUEUE = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
_OF_A_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
_BY_ALIAS = "ForAnyValue:StringEquals"
# An ARN, once `${AWS::Region}` and the like are one word: of a table only its name counts.
_ARN = re.compile(r"arn:aws:[\w-]+:(?P<region>[^:]*):[^:]*:(?:table/)?(?P<name>.+)")


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """An action on a resource, here or in any region of the deployment.

    Attributes:
        resource: the name of a table, queue or bus; `table/index` of an index; the alias of a key.
    """

    action: str
    resource: str
    anywhere: bool


def granted_to(function: str) -> Counter[Permission]:
    """Return what the role of a function allows, with how often that is said."""
    resources = template_of("region.yaml")["Resources"]
    role = resources[_logical(declared(function)["Role"])]["Properties"]
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    documents += [
        resources[one["Ref"]]["Properties"]["PolicyDocument"] for one in role["ManagedPolicyArns"]
    ]
    return Counter(_permissions(documents, resources))


def granted_by(policy: str) -> Counter[Permission]:
    """Return what a managed policy of the global stack allows, with how often that is said."""
    resources = template_of("global.yaml")["Resources"]
    document = resources[policy]["Properties"]["PolicyDocument"]
    return Counter(_permissions([document], resources))


def declared(function: str) -> dict[str, Any]:
    """Return the properties of a function, named by its module, as the template has them."""
    resources = template_of("region.yaml")["Resources"].values()
    (found,) = [
        one["Properties"]
        for one in resources
        if one["Type"] == "AWS::Serverless::Function"
        and one["Properties"]["Environment"]["Variables"]["ANTIPHON_FUNCTION"] == function
    ]
    properties: dict[str, Any] = found
    return properties


def needed_by_lambda(function: str) -> frozenset[Permission]:
    """Return what Lambda itself does in a function's name, by what the template asks of it.

    Those calls are AWS's, so no test can record them; which they are is Lambda's documentation.
    """
    template = template_of("region.yaml")
    resources, properties = template["Resources"], declared(function)
    logs = _resource(properties["LoggingConfig"]["LogGroup"], resources)[0]
    needed = {("logs:CreateLogStream", logs), ("logs:PutLogEvents", logs)}
    if "Tracing" in template["Globals"]["Function"]:
        needed |= {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}
    for event in properties.get("Events", {}).values():
        told = event["Properties"]
        if event["Type"] == "SQS":
            queue = _resource(told["Queue"], resources)[0]
            needed |= {(action, queue) for action in _OF_A_QUEUE}
        elif event["Type"] == "DynamoDB":
            stream = _resource(told["Stream"], resources)[0]
            needed |= {(action, stream) for action in _OF_A_STREAM}
            needed.add(("dynamodb:ListStreams", "*"))
            bucket = _resource(told["DestinationConfig"]["OnFailure"]["Destination"], resources)[0]
            needed |= {("s3:PutObject", f"{bucket}/*"), ("s3:ListBucket", bucket)}
    return frozenset(Permission(action, name, anywhere=False) for action, name in needed)


def _permissions(
    documents: list[dict[str, Any]], resources: Mapping[str, Any]
) -> Iterator[Permission]:
    for document in documents:
        for statement in document["Statement"]:
            for action in _listed(statement["Action"]):
                for resource in _listed(statement["Resource"]):
                    name, anywhere = _resource(resource, resources)
                    if action.startswith("kms:"):
                        # Any key of the account, by its ARN: only what has this alias is meant.
                        name = statement["Condition"][_BY_ALIAS]["kms:ResourceAliases"]
                    yield Permission(action, name, anywhere)


def actions_of(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each IAM action that a call of DynamoDB needs, with what it is needed on."""
    if "TransactItems" in request:
        for item in request["TransactItems"]:
            for part, told in item.items():
                yield f"dynamodb:{_PARTS[part]}", told["TableName"]
    elif "RequestItems" in request:
        for table in request["RequestItems"]:
            yield f"dynamodb:{operation}", table
    else:
        index = request.get("IndexName")
        table = request["TableName"]
        yield f"dynamodb:{operation}", table if index is None else f"{table}/{index}"


class Permitted:
    """The permissions of a function's role, or of a policy, and which of them were used."""

    def __init__(self, function: str) -> None:
        self._function = function
        of_a_policy = function in POLICIES
        self._allowed = granted_by(function) if of_a_policy else granted_to(function)
        self.denied: list[str] = []
        self._known: dict[tuple[str, str, bool], Permission] = {}

    @property
    def used(self) -> frozenset[Permission]:
        """What calls have needed until now; open to every region only what has gone elsewhere."""
        return frozenset(
            one for (_, _, here), one in self._known.items() if not (here and one.anywhere)
        )

    def check(self, action: str, resource: str, *, here: bool) -> None:
        """Fail unless a call is allowed, as it would be denied on AWS."""
        asked = (action, resource, here)
        if asked not in self._known:
            self._known[asked] = self._grant(action, resource, here=here)

    def _grant(self, action: str, resource: str, *, here: bool) -> Permission:
        table, slash, _ = resource.partition("/")
        names = {resource, f"{table}/*"} if slash else {resource}
        granted = [
            one
            for one in sorted(self._allowed)
            if one.action == action and one.resource in names
            if here or one.anywhere or one.resource == "*"
        ]
        where = "here" if here else "in another region"
        told = f"the role of {self._function} does not allow {action} on {resource} {where}"
        if not granted:
            # Whoever calls may go on after any error: what was denied is not forgotten.
            self.denied.append(told)
        assert granted, told
        # The narrowest: what is open to every region is needed only where a call goes elsewhere.
        return granted[0]


@cache
def permitted(function: str) -> Permitted:
    """Return what a function may do, one for all tests, so that it knows what was used."""
    return Permitted(function)


class PermittedKms:
    """A client of KMS that asks a role before each call; a key is known by its alias."""

    def __init__(self, kms: Any, check: "Check", *, here: bool) -> None:
        self._kms = kms
        self._check = check
        self._here = here

    def generate_data_key_without_plaintext(self, **request: Any) -> Mapping[str, Any]:
        self._check("kms:GenerateDataKeyWithoutPlaintext", request["KeyId"], here=self._here)
        made: Mapping[str, Any] = self._kms.generate_data_key_without_plaintext(**request)
        return made

    def decrypt(self, **request: Any) -> Mapping[str, Any]:
        self._check("kms:Decrypt", request["KeyId"], here=self._here)
        opened: Mapping[str, Any] = self._kms.decrypt(**request)
        return opened


class Check(Protocol):
    """Fails unless an action on a resource, here or in another region, is allowed."""

    def __call__(self, action: str, resource: str, *, here: bool) -> None: ...


def check_of(function: str) -> Check:
    """Return what each call of a function is put to, or of who has one of the policies."""
    return permitted(function).check


def _listed(told: Any) -> list[Any]:
    return told if isinstance(told, list) else [told]


def _logical(told: Mapping[str, Any]) -> str:
    found = told.get("Ref") or told["Fn::GetAtt"]
    return str(found[0] if isinstance(found, list) else found).partition(".")[0]


def _resource(told: Any, resources: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the name of a resource in a policy, and whether any region's is meant."""
    if told == "*":
        return "*", False
    if not isinstance(told, dict) or "Fn::Sub" not in told:
        return _named(_logical(told), resources), False
    text = told["Fn::Sub"]
    # With variables of its own: none of them opens it to other regions where states are here.
    text = text[0] if isinstance(text, list) else text
    plain = text.replace("${AWS::Partition}", "aws").replace("AWS::", "")
    if match := _ARN.fullmatch(plain):
        return match["name"].replace("/index/", "/"), match["region"] == "*"
    of, _, rest = text.removeprefix("${").partition(".Arn}")
    return _named(of, resources) + rest.replace("/index", ""), False


def _named(logical: str, resources: Mapping[str, Any]) -> str:
    properties = resources.get(logical, {}).get("Properties", {})
    names = (properties.get(kind) for kind in ("TableName", "QueueName", "Name", "LogGroupName"))
    return next((name for name in names if isinstance(name, str)), logical)
