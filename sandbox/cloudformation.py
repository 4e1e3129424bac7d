"""CloudFormation, as far as somebody asks which stack has the target's alias and what its template says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import yaml
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.boundary import AwsError, Boundary, Params, Response
from sandbox.aws.lambda_records import FUNCTION_ARN
from sandbox.scenario import Scenario, ScenarioInvalid, StackTemplate
from sandbox.target import Target
from tidegate import json_text
from tidegate.json_text import Unreadable
from tidegate.terminal.yaml_text import STUMBLES, place

LOGICAL_ID: Final = "FunctionAlias"
_ALIAS: Final = "AWS::Lambda::Alias"


@dataclass(frozen=True, slots=True)
class Declared:
    """A stack, its template, and what it calls the alias there."""

    name: str
    logical_id: str
    template: str

    @classmethod
    def by(cls, scenario: Scenario, target: Target) -> Self | None:
        """The stack that the scenario gives to the target's alias.

        Raises:
            ScenarioInvalid: its template cannot be read, or declares no alias.
        """
        if scenario.stack is not None:
            return cls(scenario.stack.name, _alias_in(scenario.stack, target), scenario.stack.template)
        if scenario.alias.stack is None:
            return None
        properties = {
            "FunctionName": target.function_name,
            "Name": target.alias_name,
            "FunctionVersion": scenario.alias.stack.function_version,
        }
        template = {"Resources": {LOGICAL_ID: {"Type": _ALIAS, "Properties": properties}}}
        return cls(scenario.alias.stack.name, LOGICAL_ID, json.dumps(template))


def _alias_in(stack: StackTemplate, target: Target) -> str:
    """The alias of the target's name, or else the first one: its name may be a reference."""
    try:
        template = json_text.read(stack.template) if stack.format == "json" else _parsed_yaml(stack.template)
    except Unreadable as error:
        raise ScenarioInvalid([f"stack.template: {error}"]) from error
    declared = dict(_aliases(template))
    named = [logical_id for logical_id, name in declared.items() if name == target.alias_name]
    if not declared:
        raise ScenarioInvalid([f"stack.template: declares no {_ALIAS}"])
    return (named or list(declared))[0]


def _parsed_yaml(template: str) -> Any:
    """The value of a template with CloudFormation's tags.

    Raises:
        Unreadable: it is no YAML.
    """
    try:
        return yaml_parse(template)
    except (yaml.YAMLError, *STUMBLES) as error:
        raise Unreadable(f"is not YAML: {place(error)}") from error
    except RecursionError:
        json_text.too_deep()


def _aliases(template: Any) -> Iterator[tuple[str, Any]]:
    """Every alias of a template: its logical id, and its name as it is written there."""
    resources = template.get("Resources") if isinstance(template, Mapping) else None
    for logical_id, resource in resources.items() if isinstance(resources, Mapping) else ():
        if isinstance(resource, Mapping) and resource.get("Type") == _ALIAS:
            properties = resource.get("Properties")
            yield str(logical_id), properties.get("Name") if isinstance(properties, Mapping) else None


class AliasStack:
    """The stack that has the target's alias, or that there is none."""

    def __init__(self, boundary: Boundary, target: Target, stack: Declared | None) -> None:
        self._alias_arn = FUNCTION_ARN + str(target)
        self._stack = stack
        boundary.serve("cloudformation.DescribeStackResources", self._resources)
        boundary.serve("cloudformation.GetTemplate", self._template)

    def _resources(self, params: Params) -> Response:
        asked = params["PhysicalResourceId"]
        if self._stack is None or asked != self._alias_arn:
            raise AwsError("ValidationError", f"Stack for {asked} does not exist")
        resource = {
            "StackName": self._stack.name,
            "LogicalResourceId": self._stack.logical_id,
            "PhysicalResourceId": asked,
            "ResourceType": _ALIAS,
            "ResourceStatus": "UPDATE_COMPLETE",
        }
        return {"StackResources": [resource]}

    def _template(self, params: Params) -> Response:
        if self._stack is None or params["StackName"] != self._stack.name:
            raise AwsError("ValidationError", f"Stack with id {params['StackName']} does not exist")
        return {"TemplateBody": self._stack.template, "StagesAvailable": ["Processed"]}
