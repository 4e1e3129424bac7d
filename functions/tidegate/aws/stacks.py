"""CloudFormation stacks, as far as they may move an alias behind a rollout's back."""

from __future__ import annotations

from typing import Any

from tidegate.aws import sdk
from tidegate.errors import AwsRefused
from tidegate.planning.declared_alias import DeclaredAlias


def read_alias(alias_arn: str) -> DeclaredAlias | None:
    """The alias as its stack declares it; None where no stack has it.

    A processed template is what the SAM transform made of the user's: there AutoPublishAlias has become an alias on a
    version that is new with each code. Without a transform it stays as it was written, YAML perhaps.
    """
    client = sdk.hasty_client("cloudformation")
    try:
        with sdk.refusals(f"see which stack has {alias_arn}"):
            resources = client.describe_stack_resources(PhysicalResourceId=alias_arn)["StackResources"]
    except AwsRefused as error:
        # "Stack for … does not exist" (API reference, DescribeStackResources).
        if error.code == "ValidationError":
            return None
        raise
    found = next((each for each in resources if each.get("PhysicalResourceId") == alias_arn), None)
    if found is None:
        return None
    stack_name, logical_id = found["StackName"], found["LogicalResourceId"]
    with sdk.refusals(f"read the template of stack {stack_name}"):
        template = client.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    return _declared(stack_name, logical_id, template)


def _declared(stack_name: str, logical_id: str, template: Any) -> DeclaredAlias:
    found = _in_yaml(template, logical_id) if isinstance(template, str) else _in_json(template, logical_id)
    return DeclaredAlias.parse(stack_name, found) if isinstance(found, dict) else DeclaredAlias(stack_name, unread=True)


def _in_json(template: Any, logical_id: str) -> Any:
    """botocore has parsed a template that is JSON."""
    resources = template.get("Resources") if isinstance(template, dict) else None
    return resources.get(logical_id) if isinstance(resources, dict) else None


def _in_yaml(template: str, logical_id: str) -> Any:
    from tidegate.planning.template import resource  # noqa: PLC0415 - a YAML parser, which nobody else pays for

    return resource(template, logical_id)
