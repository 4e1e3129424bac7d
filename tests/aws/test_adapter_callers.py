"""Who calls an alias, of those to whom a failure may be an answer."""

import json
from typing import Any

import pytest

from tidegate.alias import Alias
from tidegate.aws import callers
from tidegate.errors import AwsRefused, AwsUnavailable, PermissionDenied
from tidegate.planning.callers import Caller

ALIAS = Alias("checkout", "live")
ARN = "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"
INVOKE = {"FunctionName": "checkout", "StatementId": "one", "Action": "lambda:InvokeFunction"}
SOURCE = "arn:aws:sqs:us-east-1:123456789012:orders"
PARTIAL = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


def found() -> list[Caller]:
    return [caller for read in callers.READS for caller in read(ALIAS, ARN)]


def test_an_alias_that_nobody_of_them_calls_has_none(inhabit):
    world = inhabit()
    assert found() == []
    assert world.boundary.calls["lambda.GetPolicy"] == 2


@pytest.mark.parametrize(
    ("principal", "caller"),
    [
        ("apigateway.amazonaws.com", [Caller.API]),
        ("apigateway.amazonaws.com.cn", [Caller.API]),
        ("elasticloadbalancing.amazonaws.com", [Caller.LOAD_BALANCER]),
        ("events.amazonaws.com", []),
        ("123456789012", []),
    ],
)
@pytest.mark.parametrize("qualifier", [{"Qualifier": "live"}, {}])
def test_a_resource_policy_names_who_may_call(inhabit, somebody, principal, caller, qualifier):
    inhabit()
    somebody("lambda.add_permission", **INVOKE, Principal=principal, **qualifier)
    assert found() == caller


def test_another_aliass_callers_are_not_this_ones(inhabit, somebody):
    inhabit()
    other = {"Qualifier": "other"}
    somebody("lambda.add_permission", **INVOKE, Principal="apigateway.amazonaws.com", **other)
    somebody("lambda.create_function_url_config", FunctionName="checkout", AuthType="NONE")
    somebody("lambda.create_event_source_mapping", FunctionName="checkout", EventSourceArn=SOURCE, **PARTIAL)
    assert found() == []


@pytest.mark.parametrize(
    "policy",
    [
        {"Statement": []},
        {"Statement": [{"Effect": "Deny", "Principal": {"Service": "apigateway.amazonaws.com"}}]},
        {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "apigateway"}}]},
        {"Statement": [{"Effect": "Allow", "Principal": "*"}]},
    ],
)
def test_a_policy_that_lets_none_of_them_in_names_none(inhabit, policy):
    inhabit().boundary.serve("lambda.GetPolicy", lambda _: {"Policy": json.dumps(policy)})
    assert found() == []


def test_a_function_url_is_the_aliass_own(inhabit, somebody):
    inhabit()
    url = {"FunctionName": "checkout", "Qualifier": "live", "AuthType": "AWS_IAM"}
    somebody("lambda.create_function_url_config", **url)
    assert found() == [Caller.FUNCTION_URL]


@pytest.mark.parametrize(
    ("more", "caller"),
    [(PARTIAL, [Caller.EVENT_SOURCE]), ({}, []), ({**PARTIAL, "Enabled": False}, [])],
)
@pytest.mark.parametrize("named", ["checkout:live", ARN])
def test_an_event_source_counts_where_it_works_and_asks_which_items_failed(inhabit, somebody, more, caller, named):
    inhabit()
    somebody("lambda.create_event_source_mapping", FunctionName=named, EventSourceArn=SOURCE, **more)
    assert found() == caller


@pytest.mark.parametrize("call", ["GetPolicy", "GetFunctionUrlConfig", "ListEventSourceMappings"])
@pytest.mark.parametrize(
    ("error", "becomes"),
    [("AccessDeniedException", PermissionDenied), ("ServiceException", AwsUnavailable), ("Odd", AwsRefused)],
)
def test_a_refusal_takes_no_time_that_matters(inhabit, call, error, becomes: Any):
    world = inhabit(faults=[{"call": f"lambda.{call}", "error": error, "times": "always"}])
    began = world.clock.now()
    with pytest.raises(becomes, match="could not see who calls checkout:live"):
        found()
    assert world.clock.now() - began < 10
