"""template.yaml, deployed: what CloudFormation and the SAM transform would make of it, through AWS's own API.

moto's CloudFormation knows neither SAM nor aliases, alarms or schedules, so each resource is created by the call
that CloudFormation would make. A resource type or an intrinsic function that is not known here is an error.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import boto3
import moto  # noqa: F401 - before any client: moto answers only clients that were made after its import
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.boundary import AwsError
from sandbox.aws.intrinsics import Created, Properties, Resolver, TemplateUnsupported, references
from sandbox.aws.services import Delivers, Runs

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
STACK_NAME = "tidegate"

_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": STACK_NAME,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{STACK_NAME}/0",
    "AWS::NotificationARNs": [],
}
#: `sam package` replaces local paths by addresses in a bucket; here the key is the local path itself.
_PACKAGED = "s3://sandbox/"


@lru_cache(maxsize=64)
def client(service: str) -> Any:
    """The sandbox's own client of an AWS service. Shared by all worlds: it holds no state, and making one is slow."""
    credentials = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
    return boto3.client(service, region_name=REGION, **credentials)  # type: ignore[call-overload]


# --- The template -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Template:
    """A template after the SAM transform. `order` names its resources, each after those that it refers to, and
    `parameters` holds the pseudo parameters too.
    """

    root: Path
    description: str
    parameters: Mapping[str, Any]
    conditions: Mapping[str, Any]
    mappings: Mapping[str, Any]
    outputs: Mapping[str, Any]
    resources: Mapping[str, Properties]
    order: tuple[str, ...]

    @classmethod
    def load(cls, path: Path, parameters: Mapping[str, str]) -> Template:
        """The template in a file; local paths in it are relative to the file. A pseudo parameter is a parameter too:
        {"AWS::StackName": "tidegate-prod"}.

        Raises:
            TemplateUnsupported: it holds resource types that the sandbox cannot make.
            samtranslator.model.exceptions.InvalidDocumentException: SAM refuses it.
        """
        return _translated(path.read_text(encoding="utf-8"), path.parent, tuple(sorted(parameters.items())))


@lru_cache(maxsize=16)
def _translated(text: str, root: Path, parameters: tuple[tuple[str, str], ...]) -> Template:
    sam = yaml_parse(text)
    values = {**_PSEUDO_PARAMETERS, **dict(parameters)}
    # SAM names AWS's own policies by the partition that it runs in.
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=str(values["AWS::Region"])))
    # Managed policies are named by full ARN or by one of SAM's templates: nothing to look up in IAM.
    translation = translator.translate(_packaged(sam), dict(parameters), get_managed_policy_map=dict)
    defaults = {name: spec["Default"] for name, spec in sam.get("Parameters", {}).items() if "Default" in spec}
    resources = translation["Resources"]
    if unknown := sorted({resource["Type"] for resource in resources.values()} - _CREATORS.keys()):
        raise TemplateUnsupported(f"The sandbox cannot make these resource types: {', '.join(unknown)}")
    return Template(
        root=root,
        description=sam.get("Description", ""),
        parameters={**defaults, **values},
        conditions=translation.get("Conditions", {}),
        mappings=translation.get("Mappings", {}),
        outputs=translation.get("Outputs", {}),
        resources=resources,
        order=tuple(TopologicalSorter(_dependencies(resources)).static_order()),
    )


def _packaged(sam: dict[str, Any]) -> dict[str, Any]:
    """The template with its local paths as addresses in a bucket, as `sam package` leaves them. Changes `sam`."""
    places = [sam.get("Globals", {}).get("Function", {})]
    places += [resource.get("Properties", {}) for resource in sam["Resources"].values()]
    for properties in places:
        for key in ("CodeUri", "DefinitionUri"):
            value = properties.get(key)
            if isinstance(value, str) and not value.startswith("s3://"):
                properties[key] = _PACKAGED + value.removeprefix("./")
    return sam


def _dependencies(resources: Mapping[str, Properties]) -> dict[str, list[str]]:
    """For each resource the others that must exist first."""
    needs = {}
    for logical_id, resource in resources.items():
        declared = resource.get("DependsOn", [])
        named = [declared] if isinstance(declared, str) else list(declared)
        named += references(resource.get("Properties", {}))
        needs[logical_id] = [name for name in dict.fromkeys(named) if name in resources]
    return needs


# --- Its resources ----------------------------------------------------------------------------------------------------


class Stack:
    """The template's resources, created in the account of the running moto, functions taken over by the runtime."""

    def __init__(self, template: Template, runtime: Runs, eventbridge: Delivers) -> None:
        self.template = template
        self.runtime = runtime
        self.eventbridge = eventbridge
        self.created: dict[str, Created] = {}
        self._resolver = Resolver(template.parameters, template.conditions, template.mappings, self.created)

    def deploy(self) -> None:
        """Create every resource whose condition holds."""
        for logical_id in self.template.order:
            resource = self.template.resources[logical_id]
            if "Condition" in resource and not self._resolver.holds(resource["Condition"]):
                continue
            properties = self._resolver.resolve(resource.get("Properties", {}))
            ref, attributes = _CREATORS[resource["Type"]](self, logical_id, properties)
            self.created[logical_id] = Created(resource["Type"], ref, attributes, properties)
        self._hand_over()

    def restore(self, created: Mapping[str, Created]) -> None:
        """Take over what the same template created in another account, which this one holds a copy of."""
        self.created.update(created)
        self._hand_over()

    def _hand_over(self) -> None:
        """Tell the runtime and EventBridge what is theirs."""
        for made in self.created.values():
            if made.kind in _HANDED_OVER:
                _HANDED_OVER[made.kind](self, made.ref, made.properties)

    def update(self, parameters: Mapping[str, str]) -> None:
        """What an update with other values for some parameters, and the same template, changes. Versions of functions
        are not among it: none is published, and the one that runs keeps its environment.

        Raises:
            TemplateUnsupported: it would change what the sandbox cannot, or make or delete a resource.
        """
        template = replace(self.template, parameters={**self.template.parameters, **parameters})
        resolver = Resolver(template.parameters, template.conditions, template.mappings, self.created)
        for logical_id in template.order:
            resource = template.resources[logical_id]
            holds = "Condition" not in resource or resolver.holds(resource["Condition"])
            before = self.created.get(logical_id)
            properties = resolver.resolve(resource.get("Properties", {})) if holds else {}
            if before is None or not holds or before.kind not in _UPDATERS:
                if holds != (before is not None) or (before and properties != before.properties):
                    raise TemplateUnsupported(f"The sandbox cannot update {logical_id} ({resource['Type']})")
            elif properties != before.properties:
                _UPDATERS[before.kind](before.ref, properties)
                self.created[logical_id] = replace(before, properties=properties)
        self.template, self._resolver = template, resolver

    def ref(self, logical_id: str) -> str:
        """What `Ref` gives of a resource: a table's name, a state machine's ARN, a function's name."""
        return self.created[logical_id].ref

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs by name."""
        return {
            name: self._resolver.resolve(output["Value"])
            for name, output in self.template.outputs.items()
            if "Condition" not in output or self._resolver.holds(output["Condition"])
        }

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What cloudformation.DescribeStacks answers."""
        if params.get("StackName") not in {STACK_NAME, _PSEUDO_PARAMETERS["AWS::StackId"]}:
            raise AwsError("ValidationError", f"Stack with id {params.get('StackName')} does not exist")
        outputs = [{"OutputKey": name, "OutputValue": str(value)} for name, value in self.outputs().items()]
        return {"Stacks": [{"StackName": STACK_NAME, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}

    def of_kind(self, kind: str) -> dict[str, Created]:
        """The resources of one type, by logical id."""
        return {logical_id: created for logical_id, created in self.created.items() if created.kind == kind}


_Made = tuple[str, dict[str, Any]]


def _name(logical_id: str, properties: Properties, key: str) -> str:
    """The name that the template gives, or one that CloudFormation would make."""
    return str(properties.get(key) or f"{STACK_NAME}-{logical_id}")


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def _given(properties: Properties, *keys: str) -> dict[str, Any]:
    return {key: properties[key] for key in keys if key in properties}


def _role(_: Stack, logical_id: str, properties: Properties) -> _Made:
    # IAM's own names end at 64 characters.
    name = _name(logical_id, properties, "RoleName")[:64]
    iam = client("iam")
    trust = json.dumps(properties["AssumeRolePolicyDocument"])
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    for policy in properties.get("Policies", []):
        document = _policy_document(policy)
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    return name, {"Arn": role["Arn"], "RoleId": role["RoleId"]}


def _policy_document(policy: Properties) -> str:
    # Without a Version IAM assumes its older language; moto wants the newer one said.
    return json.dumps({"Version": "2012-10-17", **policy["PolicyDocument"]})


def _role_policy(_: Stack, logical_id: str, properties: Properties) -> _Made:
    document = _policy_document(properties)
    for role in properties.get("Roles", []):
        client("iam").put_role_policy(RoleName=role, PolicyName=properties["PolicyName"], PolicyDocument=document)
    return logical_id, {}


@lru_cache(maxsize=64)
def archive(text: str) -> bytes:
    """Code for Lambda's books, which only must be a zip: another one for another text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(zipfile.ZipInfo("README"), text)
    return buffer.getvalue()


def _function(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "FunctionName")
    made = client("lambda").create_function(
        FunctionName=name,
        Runtime=properties["Runtime"],
        Role=properties["Role"],
        Handler=properties["Handler"],
        Code={"ZipFile": archive("The sandbox runs functions/ itself.")},
        Timeout=_timeout_seconds(properties),
        MemorySize=_memory_mb(properties),
        Environment={"Variables": _environment(properties)},
    )
    return name, {"Arn": made["FunctionArn"]}


def _timeout_seconds(properties: Properties) -> int:
    return int(properties.get("Timeout", 3))


def _memory_mb(properties: Properties) -> int:
    return int(properties.get("MemorySize", 128))


def _environment(properties: Properties) -> dict[str, str]:
    variables = properties.get("Environment", {}).get("Variables", {})
    return {key: str(value) for key, value in variables.items()}


def _function_version(_: Stack, __: str, properties: Properties) -> _Made:
    made = client("lambda").publish_version(FunctionName=properties["FunctionName"])
    arn = _arn("lambda", f"function:{properties['FunctionName']}:{made['Version']}")
    return arn, {"Version": made["Version"], "FunctionArn": arn}


def _function_alias(_: Stack, __: str, properties: Properties) -> _Made:
    made = client("lambda").create_alias(**_given(properties, "FunctionName", "Name", "FunctionVersion", "Description"))
    return made["AliasArn"], {"AliasArn": made["AliasArn"]}


def _event_invoke_config(_: Stack, logical_id: str, __: Properties) -> _Made:
    return logical_id, {}


def _table(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "TableName")
    keys = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "StreamSpecification")
    made = client("dynamodb").create_table(TableName=name, **_given(properties, *keys))["TableDescription"]
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        client("dynamodb").update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    return name, {"Arn": made["TableArn"], "StreamArn": made.get("LatestStreamArn")}


def _state_machine(stack: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "StateMachineName")
    made = client("stepfunctions").create_state_machine(
        name=name,
        definition=definition(stack.template.root, properties),
        roleArn=properties["RoleArn"],
        type=properties.get("StateMachineType", "STANDARD"),
    )
    return made["stateMachineArn"], {"Arn": made["stateMachineArn"], "Name": name}


def definition(root: Path, properties: Properties) -> str:
    """The definition's text with its substitutions made, as CloudFormation makes them: `${Name}`, as plain text."""
    if "DefinitionS3Location" in properties:
        text = (root / properties["DefinitionS3Location"]["Key"]).read_text(encoding="utf-8")
    elif "DefinitionString" in properties:
        text = properties["DefinitionString"]
    else:
        text = json.dumps(properties["Definition"])
    for key, value in properties.get("DefinitionSubstitutions", {}).items():
        text = text.replace("${" + key + "}", str(value))
    if left := sorted(set(re.findall(r"\$\{\w+\}", text))):
        raise TemplateUnsupported(f"DefinitionSubstitutions give no value for {', '.join(left)}")
    return str(text)


def _rule(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "Name")[:64]
    if "ScheduleExpression" in properties:
        return name, {"Arn": _arn("events", f"rule/{name}")}
    events = client("events")
    pattern = json.dumps(properties["EventPattern"])
    made = events.put_rule(Name=name, EventPattern=pattern, State=properties.get("State", "ENABLED"))
    events.put_targets(Rule=name, Targets=properties.get("Targets", []))
    return name, {"Arn": made["RuleArn"]}


def _schedule(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "Name")
    return name, {"Arn": _arn("scheduler", f"schedule/default/{name}")}


def _alarm(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "AlarmName")
    asked = {key: value for key, value in properties.items() if key not in {"AlarmName", "Tags"}}
    kind = "composite" if "AlarmRule" in asked else "metric"
    getattr(client("cloudwatch"), f"put_{kind}_alarm")(AlarmName=name, **asked)
    return name, {"Arn": _arn("cloudwatch", f"alarm:{name}")}


def _queue(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "QueueName")
    url = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, {"Arn": _arn("sqs", name), "QueueName": name, "QueueUrl": url}


def _topic(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "TopicName")
    arn = client("sns").create_topic(Name=name)["TopicArn"]
    return arn, {"TopicArn": arn, "TopicName": name}


def _parameter(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "Name")
    client("ssm").put_parameter(Name=name, **_given(properties, "Type", "Value"))
    return name, {"Type": properties["Type"], "Value": properties["Value"]}


def _log_group(_: Stack, logical_id: str, properties: Properties) -> _Made:
    name = _name(logical_id, properties, "LogGroupName")
    client("logs").create_log_group(logGroupName=name)
    return name, {"Arn": _arn("logs", f"log-group:{name}:*")}


def _on_paper(_: Stack, logical_id: str, __: Properties) -> _Made:
    """Nothing in the sandbox asks for this: who may invoke what, and what people look at."""
    return f"{STACK_NAME}-{logical_id}", {"Arn": _arn("cloudformation", logical_id), "Id": logical_id}


_CREATORS: Mapping[str, Callable[[Stack, str, Properties], _Made]] = {
    "AWS::IAM::Role": _role,
    "AWS::IAM::Policy": _role_policy,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::Version": _function_version,
    "AWS::Lambda::Alias": _function_alias,
    "AWS::Lambda::EventInvokeConfig": _event_invoke_config,
    "AWS::Lambda::EventSourceMapping": _on_paper,
    "AWS::Lambda::Permission": _on_paper,
    "AWS::DynamoDB::Table": _table,
    "AWS::StepFunctions::StateMachine": _state_machine,
    "AWS::Events::Rule": _rule,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::CompositeAlarm": _alarm,
    "AWS::CloudWatch::Dashboard": _on_paper,
    "AWS::SSM::Parameter": _parameter,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _on_paper,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _on_paper,
    "AWS::SNS::Subscription": _on_paper,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::ResourcePolicy": _on_paper,
}


# --- What of them is handed over --------------------------------------------------------------------------------------


def _run(stack: Stack, name: str, properties: Properties) -> None:
    stack.runtime.register(
        name,
        handler=properties["Handler"],
        environment=_environment(properties),
        timeout_seconds=_timeout_seconds(properties),
        role_arn=properties["Role"],
        memory_mb=_memory_mb(properties),
    )


def _configure_async(stack: Stack, _: str, properties: Properties) -> None:
    qualifier = properties.get("Qualifier")
    stack.eventbridge.configure_async(
        properties["FunctionName"], None if qualifier == "$LATEST" else qualifier, properties
    )


def _tick_rule(stack: Stack, name: str, properties: Properties) -> None:
    if "ScheduleExpression" in properties and properties.get("State", "ENABLED") == "ENABLED":
        for target in properties.get("Targets", []):
            stack.eventbridge.schedule(f"{name}/{target['Id']}", properties["ScheduleExpression"], target)


def _tick(stack: Stack, name: str, properties: Properties) -> None:
    if properties.get("State", "ENABLED") == "ENABLED":
        stack.eventbridge.schedule(name, properties["ScheduleExpression"], properties["Target"])


def _keep(stack: Stack, url: str, properties: Properties) -> None:
    stack.eventbridge.polling.keep(_arn("sqs", url.rpartition("/")[2]), properties)


_HANDED_OVER: Mapping[str, Callable[[Stack, str, Properties], None]] = {
    "AWS::Lambda::Function": _run,
    "AWS::Lambda::EventInvokeConfig": _configure_async,
    "AWS::Lambda::EventSourceMapping": lambda stack, _, properties: stack.eventbridge.polling.poll(properties),
    "AWS::SQS::Queue": _keep,
    "AWS::Events::Rule": _tick_rule,
    "AWS::Scheduler::Schedule": _tick,
}


# --- What an update may change of them --------------------------------------------------------------------------------


def _update_role(name: str, properties: Properties) -> None:
    for policy in properties.get("Policies", []):
        document = _policy_document(policy)
        client("iam").put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)


def _update_function(name: str, properties: Properties) -> None:
    """$LATEST alone, which nobody runs."""
    client("lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": _environment(properties)}
    )


def _update_alarm(name: str, properties: Properties) -> None:
    client("cloudwatch").put_metric_alarm(**{"AlarmName": name, **properties})


def _update_parameter(name: str, properties: Properties) -> None:
    client("ssm").put_parameter(Name=name, Overwrite=True, **_given(properties, "Type", "Value"))


def _update_log_group(name: str, properties: Properties) -> None:
    client("logs").put_retention_policy(logGroupName=name, retentionInDays=int(properties["RetentionInDays"]))


_UPDATERS: Mapping[str, Callable[[str, Properties], None]] = {
    "AWS::IAM::Role": _update_role,
    "AWS::Lambda::Function": _update_function,
    "AWS::CloudWatch::Alarm": _update_alarm,
    "AWS::SSM::Parameter": _update_parameter,
    "AWS::Logs::LogGroup": _update_log_group,
}
