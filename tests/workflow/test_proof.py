"""What a promotion is proven by, wherever that is said; and what the plan warns of that nothing here sees."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.story import ledger_records, rollout_view
from sandbox.world import World
from tidegate.views import report

REQUEST = {"function_name": "checkout", "alias_name": "live"}
WATCHED: dict[str, Any] = {"alarms": [{"name": "checkout-errors"}]}
#: Every request is answered by a 500, quickly.
ANSWERS = {"candidate": {"answered_error_rate": 1, "error_rate": 0, "duration_ms": {"median": 5, "p99": 20}}}
UNSEEN = (
    "is no Lambda error, and neither the judge nor a limit sees it by itself; have it counted (health.judge.metrics),"
    " or name an alarm on"
)
API = {
    "FunctionName": "checkout",
    "StatementId": "api",
    "Action": "lambda:InvokeFunction",
    "Principal": "apigateway.amazonaws.com",
}
PARTIAL = {
    "FunctionName": "checkout:live",
    "EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:orders",
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}


def an_api() -> None:
    client("lambda").add_permission(**API, Qualifier="live")


def an_api_of_the_function() -> None:
    client("lambda").add_permission(**API)


def a_url() -> None:
    client("lambda").create_function_url_config(FunctionName="checkout", Qualifier="live", AuthType="NONE")


def a_queue() -> None:
    client("lambda").create_event_source_mapping(**PARTIAL)


def played(request: dict[str, Any], scenario: dict[str, Any], *meddle: Callable[[], None]) -> dict[str, Any]:
    """Output, record, event and view of a rollout to its end."""
    with World(Scenario.of(scenario), {**REQUEST, **request}) as world:
        for each in meddle:
            each()
        end = world.follow(world.start())
        world.settle()
        (record,) = (one for one in ledger_records(world) if one["record"].startswith("history#"))
        return {
            "output": json.loads(end.output or "{}"),
            "record": json.loads(record["document"]),
            "cause": record["cause"],
            "event": world.eventbridge.put[-1]["detail"],
            "view": rollout_view(world),
        }


@pytest.mark.parametrize(
    ("request_", "scenario", "names"),
    [
        ({}, {}, ["errors", "slow"]),
        ({"health": {"judge": {"slow": False}}}, {}, ["errors"]),
        (
            {"health": {"max_error_percent": 5, "max_duration_p99_ms": 900}, "alarms": ["checkout-errors"]},
            WATCHED,
            ["errors", "slow", "max_error_percent", "max_duration_p99_ms", "checkout-errors"],
        ),
        ({"health": {"judge": False, "max_error_percent": 5}}, {}, ["max_error_percent"]),
        ({"strategy": "AllAtOnce", "health": {"judge": False}}, {}, []),
        ({"create_alias": True}, {"alias": {"exists": False}}, []),
    ],
)
def test_output_record_event_and_view_say_what_a_promotion_is_proven_by(request_, scenario, names):
    told = played(request_, scenario)
    assert told["output"]["outcome"] == "promoted"
    for place in ("output", "record", "event"):
        assert (told[place]["proven"], told[place]["proven_by"]) == (bool(names), names)
    assert told["view"].proven_by == tuple(names)
    assert not names or f"version 2: {', '.join(names)}." in report.html(told["view"])


def test_the_sentence_of_a_promotion_says_what_was_seen():
    assert played({}, {})["cause"] == (
        "every gate is healthy: no worse than version 1: 0.11 % of 1,741 against 0.19 % of 4,259 requests failed;"
        " no worse than version 1: slow in 0.67 % of 1,039 against 1.1 % of 2,561 requests"
    )


def test_what_was_not_promoted_is_proven_by_nothing():
    told = played({}, {"candidate": {"error_rate": 0.3}})
    assert (told["record"]["proven"], told["record"]["proven_by"]) == (None, [])
    assert (told["event"]["proven"], told["event"]["proven_by"]) == (None, [])


# Failures that are answered.


@pytest.mark.parametrize(
    ("caller", "begins", "watched"),
    [
        (an_api, "API Gateway may call this function: an answer such as a 500", "the API's 5XX errors"),
        (a_url, "this alias has a function URL: an answer such as a 500", "its Url5xxCount"),
        (a_queue, "an event source of this alias takes partial batch responses: an item", "the age of its oldest item"),
    ],
)
def test_failures_that_are_answered_are_promoted_with_a_warning_and_as_no_more_than_was_seen(caller, begins, watched):
    told = played({}, ANSWERS, caller)
    assert (told["output"]["outcome"], told["output"]["proven_by"]) == ("promoted", ["errors", "slow"])
    (warning,) = told["view"].warnings
    assert warning.startswith(begins)
    assert warning.endswith(f"{UNSEEN} {watched} in the request's alarms")


def test_a_scenarios_own_event_source_is_warned_of_where_it_takes_partial_responses():
    for partial in (True, False):
        source = {"type": "sqs", "partial_batch_responses": partial}
        told = played({}, {**ANSWERS, "function": {"event_source": source}})
        assert told["output"]["proven_by"] == ["errors", "slow"]
        assert len(told["view"].warnings) == partial


def test_an_alarm_that_cannot_have_fired_yet_proves_nothing():
    slow = {**WATCHED["alarms"][0], "period_seconds": 300, "evaluation_periods": 6}
    told = played({"alarms": ["checkout-errors"]}, {"alarms": [slow]})
    assert (told["output"]["proven"], told["output"]["proven_by"]) == (True, ["errors", "slow"])


def test_callers_of_several_kinds_are_warned_of_once_each():
    assert len(played({}, {}, an_api, an_api_of_the_function, a_url, a_queue)["view"].warnings) == 3


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("GetPolicy", "AccessDeniedException"),
        ("GetPolicy", "lost_response"),
        ("GetFunctionUrlConfig", "TooManyRequestsException"),
        ("ListEventSourceMappings", "AccessDeniedException"),
        ("ListEventSourceMappings", "lost_response"),
    ],
)
def test_what_cannot_be_asked_costs_its_own_warning_only(call, error):
    fault = {"call": f"lambda.{call}", "error": error, "times": "always"}
    told = played({}, {"faults": [fault]}, an_api, a_url, a_queue)
    assert told["output"]["proven"] is True
    assert len(told["view"].warnings) == 2


def test_a_first_release_has_no_callers_to_ask_for():
    told = played({"create_alias": True, "smoke_tests": [{"payload": 1}]}, {"alias": {"exists": False}}, a_url)
    assert told["view"].warnings == ()
