"""IAM: whether the policies of a role allow a call, decided as AWS decides it.

moto's own evaluator is not asked: it reads the `$` of `function:*:$LATEST` as the end of a regular expression, so that
an explicit Deny of it never holds, and takes an Allow whose condition fails for a Deny. What is written in a policy and
not known here is an error, never an Allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from sandbox.aws.boundary import AwsError, Params
from sandbox.aws.intrinsics import TemplateUnsupported
from sandbox.aws.stack import ACCOUNT_ID, REGION, Stack

#: A service's prefix in actions and ARNs, where it is not the SDK's name of it.
_PREFIXES = {"stepfunctions": "states"}
#: An action's name, where it is not the operation's.
_ACTIONS = {"lambda.Invoke": "InvokeFunction"}
#: Actions that have no resource to name, whatever their parameters.
_ON_NOTHING = frozenset({"lambda.ListEventSourceMappings"})
#: The actions that each part of a transaction needs (DynamoDB Developer Guide, "Using IAM with transactions").
_IN_TRANSACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
_ELEMENTS = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})
#: Lambda answers a denied call with 403, the services that speak JSON in every request with 400.
_FORBIDDEN, _BAD_REQUEST = 403, 400


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call needs: an action on a resource, "*" where the action has none to name, under these condition keys."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """An action and a resource as a statement of a role writes them, wildcards and all."""

    role: str
    statement: str
    action: str
    resource: str


def session_arn(role_arn: str, session: str) -> str:
    """Who signs a call: a role, assumed. Lambda names the session after the function."""
    return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{_role_name(role_arn)}/{session}"


def _role_name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


# --- Policies ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy; `name` is its Sid, or where it stands."""

    name: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Mapping[str, Any], name: str) -> Statement:
        """From JSON.

        Raises:
            TemplateUnsupported: it has an element that is not known here, such as NotAction.
        """
        if unknown := sorted(document.keys() - _ELEMENTS):
            raise TemplateUnsupported(f"{name}: the sandbox does not know {', '.join(unknown)} in a policy")
        for operator in document.get("Condition", {}):
            if operator not in _OPERATORS:
                raise TemplateUnsupported(f"{name}: the sandbox does not know the condition operator {operator}")
        return cls(
            name=document.get("Sid", name),
            effect=document["Effect"],
            actions=_listed(document["Action"]),
            resources=_listed(document["Resource"]),
            condition=document.get("Condition", {}),
        )

    def matches(self, ask: Ask) -> Iterator[tuple[str, str]]:
        """The pairs of an action and a resource, as written, by which it speaks of what is asked."""
        actions = [action for action in self.actions if _like(action.lower(), ask.action.lower())]
        resources = [resource for resource in self.resources if _arn_like(resource, ask.resource)]
        if actions and resources and self._holds(dict(ask.context)):
            yield from ((action, resource) for action in actions for resource in resources)

    def _holds(self, context: Mapping[str, str]) -> bool:
        """Whether every condition is met; a key that the call does not have meets none of these operators."""
        return all(
            key in context and any(_OPERATORS[operator](value, context[key]) for value in _listed(values))
            for operator, keys in self.condition.items()
            for key, values in keys.items()
        )


def statements(policy: Mapping[str, Any], name: str) -> Iterator[Statement]:
    """The statements of a policy document."""
    listed = policy["Statement"]
    for number, document in enumerate(listed if isinstance(listed, list) else [listed]):
        yield Statement.parse(document, f"{name}/{number}")


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern of IAM's: `?` is one character, `*` any number of them."""
    wildcards = {"*": ".*", "?": "."}
    return re.compile("".join(wildcards.get(one, re.escape(one)) for one in pattern))


@lru_cache(maxsize=1024)
def _arn_glob(pattern: str) -> re.Pattern[str]:
    """The same for an ARN, where `*` stays between two colons unless it is the last character before one or the end:
    then it goes beyond them (IAM User Guide, "IAM JSON policy elements: Resource"). So `function:*` speaks of versions.
    """
    pieces = re.split(r"\*(?![:*]|$)", pattern)
    return re.compile("[^:]*".join(_glob(piece).pattern for piece in pieces))


def _is(pattern: str, value: str) -> bool:
    return pattern == value


def _like(pattern: str, value: str) -> bool:
    return _glob(pattern).fullmatch(value) is not None


def _arn_like(pattern: str, value: str) -> bool:
    return _arn_glob(pattern).fullmatch(value) is not None


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "StringEquals": _is,
    "StringLike": _like,
}


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


@cache
def _aws_managed() -> dict[str, Any]:
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies


def _managed(arn: str) -> Iterator[Statement]:
    """The statements of a policy that AWS keeps, as moto has it from AWS."""
    name = _role_name(arn)
    policy = _aws_managed().get(name) if arn.startswith("arn:aws:iam::aws:policy/") else None
    if policy is None:
        raise TemplateUnsupported(f"The sandbox does not know the managed policy {arn}")
    yield from statements(policy["Document"], name)


# --- Roles ------------------------------------------------------------------------------------------------------------


class Iam:
    """The roles of a deployed stack. `used` holds every grant that a call has needed so far."""

    def __init__(self, stack: Stack) -> None:
        """As the stack is now.

        Raises:
            TemplateUnsupported: a role has policies that are not known here.
        """
        self.used: set[Grant] = set()
        self.read(stack)

    def read(self, stack: Stack) -> None:
        """The roles as the stack has them by now.

        Raises:
            TemplateUnsupported: a role has policies that are not known here.
        """
        self._roles: dict[str, tuple[Statement, ...]] = {}
        self._answers: dict[tuple[str, Ask], tuple[bool, str, frozenset[Grant]]] = {}
        attached = [created.properties for created in stack.of_kind("AWS::IAM::Policy").values()]
        for role in stack.of_kind("AWS::IAM::Role").values():
            if "PermissionsBoundary" in role.properties:
                raise TemplateUnsupported("The sandbox does not know permissions boundaries")
            policies = [*role.properties.get("Policies", []), *(p for p in attached if role.ref in p.get("Roles", []))]
            found = [each for arn in role.properties.get("ManagedPolicyArns", []) for each in _managed(arn)]
            for policy in policies:
                found += statements(policy["PolicyDocument"], policy["PolicyName"])
            self._roles[role.ref] = tuple(found)

    def grants(self) -> set[Grant]:
        """Everything that some role is allowed."""
        return {
            Grant(role, statement.name, action, resource)
            for role, found in self._roles.items()
            for statement in found
            if statement.effect == "Allow"
            for action in statement.actions
            for resource in statement.resources
        }

    def check(self, session: str, call: str, params: Params) -> None:
        """Let a call pass or not: `call` as the SDK names it, "lambda.Invoke", signed by `session_arn(…)`.

        Raises:
            AwsError: AccessDeniedException.
        """
        role = session.split("/")[1]
        for ask in asks(call, params):
            allowed, because, grants = self._answer(role, ask)
            if not allowed:
                message = f"User: {session} is not authorized to perform: {ask.action} on resource: {ask.resource}"
                status = _FORBIDDEN if call.startswith("lambda.") else _BAD_REQUEST
                raise AwsError("AccessDeniedException", f"{message} {because}", status)
            self.used |= grants

    def _answer(self, role: str, ask: Ask) -> tuple[bool, str, frozenset[Grant]]:
        """Whether the role may, why not, and by which grants: an explicit Deny goes before every Allow."""
        if (role, ask) not in self._answers:
            spoken = [
                (statement.effect, Grant(role, statement.name, action, resource))
                for statement in self._roles.get(role, ())
                for action, resource in statement.matches(ask)
            ]
            because = f"because no identity-based policy allows the {ask.action} action"
            if any(effect == "Deny" for effect, _ in spoken):
                because = "with an explicit deny in an identity-based policy"
            grants = frozenset(grant for effect, grant in spoken if effect == "Allow")
            allowed = all(effect == "Allow" for effect, _ in spoken) and bool(spoken)
            self._answers[role, ask] = allowed, because, grants
        return self._answers[role, ask]


# --- What a call asks for ---------------------------------------------------------------------------------------------


def asks(call: str, params: Params) -> Iterable[Ask]:
    """Everything that IAM must allow for a call (Service Authorization Reference, by service).

    A call that is not known here asks for its action on "*", so that no statement with a resource allows it.
    """
    service, operation = call.split(".")
    prefix = _PREFIXES.get(service, service)
    if service == "dynamodb" and "TransactItems" in params:
        parts = [part for item in params["TransactItems"] for part in item.items()]
        return [Ask(f"dynamodb:{_IN_TRANSACTIONS[kind]}", _table(part)) for kind, part in parts]
    if call == "events.PutEvents":
        return [_event(entry) for entry in params["Entries"]]
    find = None if call in _ON_NOTHING else _RESOURCES.get(service)
    return [Ask(f"{prefix}:{_ACTIONS.get(call, operation)}", find(params) if find else "*")]


def _arn(service: str, resource: str) -> str:
    """An ARN in this account and Region; what is one already stays."""
    return resource if resource.startswith("arn:") else f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def _function(params: Params) -> str:
    """The function with the qualifier of the call, wherever it stands: both are compared with the policy's ARN
    (Lambda Developer Guide, "Fine-tuning the Resources and Conditions sections of policies").
    """
    if "FunctionName" not in params:
        return "*"
    asked = params["FunctionName"]
    if not asked.startswith("arn:"):
        asked = _arn("lambda", f"function:{asked.rpartition('function:')[2]}")
    qualifier = params.get("Qualifier")
    return f"{asked}:{qualifier}" if qualifier and asked.count(":") == _arn("lambda", "function:").count(":") else asked


def _table(params: Params) -> str:
    if "TableName" not in params:
        return "*"
    table = _arn("dynamodb", params["TableName"] if _is_arn(params["TableName"]) else f"table/{params['TableName']}")
    return f"{table}/index/{params['IndexName']}" if "IndexName" in params else table


def _is_arn(name: str) -> bool:
    return name.startswith("arn:")


def _execution(params: Params) -> str:
    return str(params.get("executionArn") or params.get("stateMachineArn") or "*")


def _queue(params: Params) -> str:
    return _arn("sqs", params["QueueUrl"].rsplit("/", 1)[-1]) if "QueueUrl" in params else "*"


def _event(entry: Mapping[str, Any]) -> Ask:
    """An entry of PutEvents; one that names no bus is for the default one."""
    bus = entry.get("EventBusName", "default")
    keys = {"events:source": entry.get("Source"), "events:detail-type": entry.get("DetailType")}
    context = tuple((key, value) for key, value in keys.items() if value)
    return Ask("events:PutEvents", _arn("events", bus if _is_arn(bus) else f"event-bus/{bus}"), context)


def _rule(params: Params) -> str:
    """A rule on the default bus."""
    return _arn("events", f"rule/{params['Name']}") if "Name" in params else "*"


def _parameter(params: Params) -> str:
    """A parameter, whichever of its versions is asked for."""
    return _arn("ssm", f"parameter/{params['Name'].partition(':')[0].removeprefix('/')}") if "Name" in params else "*"


def _stack(params: Params) -> str:
    """A stack by its name; one that is named by a resource of it may be any."""
    return _arn("cloudformation", f"stack/{params.get('StackName', '*')}/*")


#: CloudWatch is not among them: the actions that are called here have no resource to name, or lose composite alarms
#: where a policy names one (API reference, DescribeAlarms).
_RESOURCES: Mapping[str, Callable[[Params], str]] = {
    "cloudformation": _stack,
    "dynamodb": _table,
    "events": _rule,
    "lambda": _function,
    "sns": lambda params: params.get("TopicArn", "*"),
    "sqs": _queue,
    "ssm": _parameter,
    "stepfunctions": _execution,
}
