"""What is deployed, on paper: a template after the SAM transform, every reference resolved, and its state machine.

`python -m tools.render FOLDER` writes them for a Region of every partition, with the shortest, a long and the longest
name of a stack and a permissions boundary: `make check` lints what it finds there. Nothing is made anywhere.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.aws.intrinsics import Created, Properties, Resolver
from sandbox.aws.stack import ACCOUNT_ID, Template, definition
from sandbox.world import TEMPLATE
from tools.stack_name import LONGEST

#: A Region of each partition.
REGIONS: Final[Mapping[str, str]] = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
#: A letter is the shortest name; no generated name of a function holds all of the others.
STACK_NAMES: Final[Mapping[str, str]] = {"shortest": "t", "long": "t" * 60, "longest": "t" * LONGEST}

_SUFFIX: Final = "1A2B3C4D5E6F"
_LONGEST_NAME: Final = 64
#: cfn-lint's own schema of a state machine knows resources of the partition `aws` alone.
_UNTRUE_ELSEWHERE: Final = {"cfn-lint": {"config": {"ignore_checks": ["E3601"]}}}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is: its partition, and its name. The account is the sandbox's."""

    partition: str = "aws"
    stack_name: str = "tidegate"

    @property
    def region(self) -> str:
        return REGIONS[self.partition]

    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        """An ARN in it; IAM's have no Region."""
        return f"arn:{self.partition}:{service}:{self.region if region else ''}:{ACCOUNT_ID}:{resource}"

    def name(self, logical_id: str) -> str:
        """A name as CloudFormation makes it. Where it would be too long, some half of it is left for the stack's name
        (seen in convox/rack#2297).
        """
        room = _LONGEST_NAME - len(_SUFFIX) - len("--")
        resource = logical_id[: max(room - len(self.stack_name), room // 2)]
        return f"{self.stack_name[: room - len(resource)]}-{resource}-{_SUFFIX}"

    def pseudo_parameters(self) -> dict[str, str]:
        """What CloudFormation knows of it."""
        return {
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackName": self.stack_name,
            "AWS::StackId": self.arn("cloudformation", f"stack/{self.stack_name}/0"),
            "AWS::URLSuffix": "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com",
        }


@dataclass(frozen=True, slots=True)
class Rendered:
    """A stack's resources, resolved, by logical id; `created` says how they are called, `machines` is definitions."""

    place: Place
    description: str
    resources: Mapping[str, Properties]
    created: Mapping[str, Created]
    machines: Mapping[str, str]

    def of_kind(self, kind: str) -> dict[str, Created]:
        """The resources of one type, by logical id."""
        return {logical_id: made for logical_id, made in self.created.items() if made.kind == kind}

    def template(self) -> dict[str, Any]:
        """As a template without a parameter, a reference or a file beside it."""
        return {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": self.description,
            "Metadata": {} if self.place.partition == "aws" else _UNTRUE_ELSEWHERE,
            "Resources": self.resources,
        }


def rendered(place: Place, parameters: Mapping[str, str], path: Path = TEMPLATE) -> Rendered:
    """The stack of a template at a place, for the template's parameters.

    Raises:
        TemplateUnsupported: it holds what the sandbox does not know.
    """
    template = Template.load(path, {**place.pseudo_parameters(), **parameters})
    created: dict[str, Created] = {}
    resolver = Resolver(template.parameters, template.conditions, template.mappings, created)
    resources, machines = {}, {}
    for logical_id in template.order:
        resource = template.resources[logical_id]
        if "Condition" in resource and not resolver.holds(resource["Condition"]):
            continue
        properties = resolver.resolve(resource.get("Properties", {}))
        created[logical_id] = _created(place, logical_id, resource["Type"], properties)
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            machines[logical_id] = definition(path.parent, properties)
            properties = _with_definition(properties, machines[logical_id])
        kept = {key: resource[key] for key in ("DeletionPolicy", "UpdateReplacePolicy") if key in resource}
        resources[logical_id] = {"Type": resource["Type"], **kept, "Properties": properties}
    return Rendered(place, template.description, resources, created, machines)


def _with_definition(properties: Properties, text: str) -> Properties:
    left_out = {"DefinitionS3Location", "DefinitionSubstitutions"}
    return {**{key: each for key, each in properties.items() if key not in left_out}, "DefinitionString": text}


def _created(place: Place, logical_id: str, kind: str, properties: Properties) -> Created:
    ref, arn = _CALLED.get(kind, _by_name)(place, place.name(logical_id), properties)
    attributes = {"Arn": arn, "AliasArn": arn, "TopicArn": arn, "QueueName": place.name(logical_id), "Version": "1"}
    return Created(kind, ref, attributes, properties)


def _by_name(place: Place, name: str, _: Properties) -> tuple[str, str]:
    return name, place.arn("cloudformation", name)


def _state_machine(place: Place, _: str, properties: Properties) -> tuple[str, str]:
    arn = place.arn("states", f"stateMachine:{properties['StateMachineName']}")
    return arn, arn


def _version(place: Place, _: str, properties: Properties) -> tuple[str, str]:
    arn = place.arn("lambda", f"function:{properties['FunctionName']}:1")
    return arn, arn


def _alias(place: Place, _: str, properties: Properties) -> tuple[str, str]:
    arn = place.arn("lambda", f"function:{properties['FunctionName']}:{properties['Name']}")
    return arn, arn


def _log_group(place: Place, name: str, properties: Properties) -> tuple[str, str]:
    name = properties.get("LogGroupName", name)
    return name, place.arn("logs", f"log-group:{name}:*")


def _parameter(place: Place, _: str, properties: Properties) -> tuple[str, str]:
    return properties["Name"], place.arn("ssm", f"parameter{properties['Name']}")


def _function(place: Place, name: str, properties: Properties) -> tuple[str, str]:
    name = properties.get("FunctionName", name)
    return name, place.arn("lambda", f"function:{name}")


#: What `Ref` and the ARN of a resource are, from its generated name and its properties.
_CALLED: Final[Mapping[str, Callable[[Place, str, Properties], tuple[str, str]]]] = {
    "AWS::IAM::Role": lambda place, name, _: (name, place.arn("iam", f"role/{name}", region=False)),
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::Version": _version,
    "AWS::Lambda::Alias": _alias,
    "AWS::StepFunctions::StateMachine": _state_machine,
    "AWS::DynamoDB::Table": lambda place, name, _: (name, place.arn("dynamodb", f"table/{name}")),
    "AWS::SQS::Queue": lambda place, name, _: (
        f"https://sqs.{place.region}.{place.pseudo_parameters()['AWS::URLSuffix']}/{ACCOUNT_ID}/{name}",
        place.arn("sqs", name),
    ),
    "AWS::Events::Rule": lambda place, name, _: (name, place.arn("events", f"rule/{name}")),
    "AWS::Logs::LogGroup": _log_group,
    "AWS::SSM::Parameter": _parameter,
}


def parameters(place: Place) -> dict[str, str]:
    """Everything that may be chosen, chosen: hooks, a topic and a boundary."""
    return {
        "FunctionNamePattern": "*",
        "HookFunctionNamePattern": "check-*",
        "NotificationTopicArn": place.arn("sns", "rollouts"),
        "PermissionsBoundaryArn": place.arn("iam", "policy/boundary", region=False),
    }


def main(arguments: Sequence[str]) -> int:
    """Write all of them: REGION/LENGTH.template.json and REGION/LENGTH.asl.json."""
    (folder,) = map(Path, arguments)
    # It counts what it does, and warns that nobody asked for the count.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    for partition, region in REGIONS.items():
        (folder / region).mkdir(parents=True, exist_ok=True)
        for length, name in STACK_NAMES.items():
            place = Place(partition, name)
            stack = rendered(place, parameters(place))
            (machine,) = stack.machines.values()
            template = json.dumps(stack.template(), indent=1)
            (folder / region / f"{length}.template.json").write_text(template, encoding="utf-8")
            (folder / region / f"{length}.asl.json").write_text(machine, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
