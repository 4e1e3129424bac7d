"""IAM's decisions: wildcards, conditions, Deny before Allow, and what each call asks for."""

import pytest

from sandbox.aws.iam import Ask, Statement, asks, statements
from sandbox.aws.intrinsics import TemplateUnsupported

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/"
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/"


def speaks_of(ask, **document):
    statement = Statement.parse({"Effect": "Allow", "Action": "*", "Resource": "*", **document}, "one")
    return bool(list(statement.matches(ask)))


@pytest.mark.parametrize(
    ("pattern", "resource", "matches"),
    [
        ("*", "anything:at:all", True),
        (f"{FUNCTION}shop", f"{FUNCTION}shop", True),
        (f"{FUNCTION}shop", f"{FUNCTION}shop:1", False),
        (f"{FUNCTION}shop", f"{FUNCTION}shopping", False),
        (f"{FUNCTION}shop:*", f"{FUNCTION}shop:1", True),
        (f"{FUNCTION}shop:*", f"{FUNCTION}shop", False),
        # A last `*` goes beyond colons, so it speaks of versions and aliases too; one inside does not.
        (f"{FUNCTION}shop-*", f"{FUNCTION}shop-cart:live", True),
        (f"{FUNCTION}*-cart", f"{FUNCTION}shop-cart", True),
        (f"{FUNCTION}*-cart", f"{FUNCTION}shop:1-cart", False),
        (f"{FUNCTION}*:*", f"{FUNCTION}shop", False),
        (f"{FUNCTION}*:$LATEST", f"{FUNCTION}shop:$LATEST", True),
        (f"{FUNCTION}*:$LATEST", f"{FUNCTION}shop:1", False),
        (f"{FUNCTION}sho?", f"{FUNCTION}shop", True),
        (f"{FUNCTION}shop?", f"{FUNCTION}shop", False),
        ("arn:aws:lambda:*:123456789012:function:shop", f"{FUNCTION}shop", True),
        (f"{TABLE}books", f"{TABLE}books/index/open", False),
        (f"{TABLE}b.oks", f"{TABLE}books", False),
    ],
)
def test_a_resource_matches_as_iam_matches_it(pattern, resource, matches):
    assert speaks_of(Ask("lambda:GetAlias", resource), Resource=pattern) is matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("lambda:GetAlias", True), ("LAMBDA:getalias", True), ("lambda:Get*", True), ("lambda:Get", False), ("*", True)],
)
def test_an_action_matches_whatever_its_case(pattern, matches):
    assert speaks_of(Ask("lambda:GetAlias", f"{FUNCTION}shop"), Action=["dynamodb:GetItem", pattern]) is matches


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ({"StringEquals": {"events:source": "tidegate"}}, True),
        ({"StringEquals": {"events:source": ["other", "tidegate"]}}, True),
        ({"StringEquals": {"events:source": "tide*"}}, False),
        ({"StringLike": {"events:source": "tide*"}}, True),
        ({"StringEquals": {"events:source": "tidegate", "events:detail-type": "Other"}}, False),
        ({"StringEquals": {"events:source": "tidegate"}, "StringLike": {"events:detail-type": "Roll*"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, False),
    ],
)
def test_a_condition_holds_for_the_keys_of_the_call(condition, matches):
    (ask,) = asks("events.PutEvents", {"Entries": [{"Source": "tidegate", "DetailType": "RolloutPromoted"}]})
    assert speaks_of(ask, Condition=condition) is matches


@pytest.mark.parametrize(
    "document",
    [{"NotAction": "iam:*"}, {"NotResource": "*"}, {"Condition": {"ForAllValues:StringEquals": {"a": "b"}}}],
    ids=lambda document: next(iter(document)),
)
def test_what_is_not_known_is_an_error_and_never_an_allow(document):
    with pytest.raises(TemplateUnsupported, match="does not know"):
        list(statements({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", **document}}, "policy"))


@pytest.mark.parametrize(
    ("call", "params", "needs"),
    [
        ("lambda.GetAlias", {"FunctionName": "shop", "Name": "live"}, [("lambda:GetAlias", f"{FUNCTION}shop")]),
        (
            "lambda.Invoke",
            {"FunctionName": "shop", "Qualifier": "$LATEST"},
            [("lambda:InvokeFunction", f"{FUNCTION}shop:$LATEST")],
        ),
        ("lambda.Invoke", {"FunctionName": "shop:3"}, [("lambda:InvokeFunction", f"{FUNCTION}shop:3")]),
        (
            "lambda.Invoke",
            {"FunctionName": f"{FUNCTION}shop:3", "Qualifier": "3"},
            [("lambda:InvokeFunction", f"{FUNCTION}shop:3")],
        ),
        (
            "lambda.Invoke",
            {"FunctionName": f"{FUNCTION}shop", "Qualifier": "3"},
            [("lambda:InvokeFunction", f"{FUNCTION}shop:3")],
        ),
        (
            "lambda.Invoke",
            {"FunctionName": "123456789012:function:shop"},
            [("lambda:InvokeFunction", f"{FUNCTION}shop")],
        ),
        ("lambda.ListFunctions", {}, [("lambda:ListFunctions", "*")]),
        (
            "dynamodb.Query",
            {"TableName": "books", "IndexName": "open"},
            [("dynamodb:Query", f"{TABLE}books/index/open")],
        ),
        (
            "dynamodb.TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "books"}}, {"Delete": {"TableName": "other"}}]},
            [("dynamodb:PutItem", f"{TABLE}books"), ("dynamodb:DeleteItem", f"{TABLE}other")],
        ),
        (
            "events.PutEvents",
            {"Entries": [{"Source": "a"}, {"Source": "b", "EventBusName": "other"}]},
            [("events:PutEvents", f"{BUS}default"), ("events:PutEvents", f"{BUS}other")],
        ),
        ("stepfunctions.StopExecution", {"executionArn": "arn:e"}, [("states:StopExecution", "arn:e")]),
        ("cloudwatch.GetMetricData", {}, [("cloudwatch:GetMetricData", "*")]),
        ("s3.GetObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "*")]),
    ],
)
def test_a_call_asks_for_its_action_on_what_it_names(call, params, needs):
    assert [(ask.action, ask.resource) for ask in asks(call, params)] == needs
