"""Stacks: which one has the alias, and what its template says of it, JSON or YAML."""

import json

import pytest

from tidegate.aws import stacks
from tidegate.errors import AwsRefused, AwsUnavailable
from tidegate.planning.declared_alias import DeclaredAlias

ARN = "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"
FIXED = DeclaredAlias("shop", fixed=True, weighted=False, deployed_by_codedeploy=False)
UNREAD = DeclaredAlias("shop", unread=True)
FOLLOWING = DeclaredAlias("shop", fixed=False, weighted=False, deployed_by_codedeploy=False)
SHOP = {"name": "shop", "function_version": {"Fn::GetAtt": ["Version1", "Version"]}}


def test_an_alias_of_no_stack_takes_one_call(inhabit):
    world = inhabit()
    assert stacks.read_alias(ARN) is None
    assert world.boundary.calls["cloudformation.DescribeStackResources"] == 1
    assert "cloudformation.GetTemplate" not in world.boundary.calls


def test_the_processed_template_tells_what_autopublishalias_became(inhabit):
    world = inhabit(alias={"stack": SHOP})
    asked = []
    world.boundary.listen(lambda call: asked.append(call.params))
    assert stacks.read_alias(ARN) == FOLLOWING
    assert asked[-1] == {"StackName": "shop", "TemplateStage": "Processed"}


def test_a_fixed_version_is_told_apart(inhabit):
    inhabit(alias={"stack": {**SHOP, "function_version": "1"}})
    assert stacks.read_alias(ARN) == FIXED


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("Resources:\n  FunctionAlias:\n    Properties:\n      FunctionVersion: !GetAtt V.Version\n", FOLLOWING),
        ("Resources:\n  FunctionAlias:\n    Properties:\n      FunctionVersion: 1\n", FIXED),
        ("Resources: {FunctionAlias: {Properties: {FunctionVersion: 1}}}", FIXED),
        ("Resources:\r\n  FunctionAlias:\r\n    Properties:\r\n      FunctionVersion: !Ref V\r\n", FOLLOWING),
        ("Resources: {Other: {}}", UNREAD),
        ("Resources: [", UNREAD),
        (json.dumps({"Resources": {"Other": {}}}), UNREAD),
        (json.dumps({"Resources": []}), UNREAD),
        (json.dumps({"Resources": {"FunctionAlias": "odd"}}), UNREAD),
        (json.dumps([]), UNREAD),
        ("", UNREAD),
        (f"Metadata: [{'a, ' * 30_000}]\nResources: {{FunctionAlias: {{Properties: {{FunctionVersion: 1}}}}}}", UNREAD),
    ],
)
def test_a_template_without_a_transform_is_read_as_it_was_written(inhabit, body, found):
    world = inhabit(alias={"stack": SHOP})
    world.boundary.serve("cloudformation.GetTemplate", lambda _: {"TemplateBody": body})
    assert stacks.read_alias(ARN) == found


def test_an_answer_without_the_alias_says_nothing(inhabit):
    """DescribeStackResources shows a hundred resources at most (API reference)."""
    world = inhabit(alias={"stack": SHOP})
    world.boundary.serve("cloudformation.DescribeStackResources", lambda _: {"StackResources": []})
    assert stacks.read_alias(ARN) is None


@pytest.mark.parametrize(
    ("error", "becomes"), [("Throttling", AwsUnavailable), ("InternalFailure", AwsUnavailable), ("Odd", AwsRefused)]
)
def test_a_refusal_takes_no_time_that_matters(inhabit, error, becomes):
    world = inhabit(faults=[{"call": "cloudformation.*", "error": error, "times": "always"}])
    began = world.clock.now()
    with pytest.raises(becomes, match=f"could not see which stack has {ARN}"):
        stacks.read_alias(ARN)
    assert world.clock.now() - began < 10
