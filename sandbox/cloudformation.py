"""CloudFormation, as far as somebody asks which stack has the target's alias and what its template says of it."""

from __future__ import annotations

import json
from typing import Final

from sandbox.boundary import AwsError, Boundary, Params, Response
from sandbox.lambda_records import FUNCTION_ARN
from sandbox.scenario import Stack
from sandbox.target import Target

LOGICAL_ID: Final = "FunctionAlias"


class AliasStack:
    """The stack that the scenario gives to the target's alias, or that there is none."""

    def __init__(self, boundary: Boundary, target: Target, stack: Stack | None) -> None:
        self._alias_arn = FUNCTION_ARN + str(target)
        self._target = target
        self._stack = stack
        boundary.serve("cloudformation.DescribeStackResources", self._resources)
        boundary.serve("cloudformation.GetTemplate", self._template)

    def _resources(self, params: Params) -> Response:
        asked = params["PhysicalResourceId"]
        if self._stack is None or asked != self._alias_arn:
            raise AwsError("ValidationError", f"Stack for {asked} does not exist")
        resource = {
            "StackName": self._stack.name,
            "LogicalResourceId": LOGICAL_ID,
            "PhysicalResourceId": asked,
            "ResourceType": "AWS::Lambda::Alias",
            "ResourceStatus": "UPDATE_COMPLETE",
        }
        return {"StackResources": [resource]}

    def _template(self, params: Params) -> Response:
        if self._stack is None or params["StackName"] != self._stack.name:
            raise AwsError("ValidationError", f"Stack with id {params['StackName']} does not exist")
        properties = {
            "FunctionName": self._target.function_name,
            "Name": self._target.alias_name,
            "FunctionVersion": self._stack.function_version,
        }
        alias = {"Type": "AWS::Lambda::Alias", "Properties": properties}
        return {"TemplateBody": json.dumps({"Resources": {LOGICAL_ID: alias}}), "StagesAvailable": ["Processed"]}
