"""A durable function is rolled out: its executions are counted by version, and are what is judged."""

import json
import re

import pytest

from sandbox.aws.dynamodb_rules import items_of
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.brief import BRIEF
from tidegate.ending.outcome import Outcome
from tidegate.planning import out_of_sight

REQUEST = {"function_name": "checkout", "alias_name": "live"}
RULE = "tidegate-DurableExecutionsChanged"
STABLE = ("1", {})


def rule() -> str:
    return client("events").describe_rule(Name=RULE)["State"]


def recorded_cause(world) -> str:
    """Why the one rollout ended, by its record."""
    (found,) = [item for item in items_of(world.table_name) if item["record"]["S"].startswith("history#")]
    return found["cause"]["S"]


def durable(request=None, **scenario):
    """A world whose target is durable; `function` adds to that."""
    function = {"durable": True, **scenario.pop("function", {})}
    return World(Scenario.of({**scenario, "function": function}), {**REQUEST, **(request or {})})


def ended(world):
    """How the rollout ended, once everything that follows has happened."""
    end = world.follow(world.start())
    world.settle()
    return end


def test_a_candidate_whose_executions_fail_is_rolled_back_although_no_invocation_fails():
    with durable(candidate={"error_rate": 0.5}) as world:
        end = ended(world)
        assert end.at - STARTED_AT < 4 * 60
        assert end.error == "RolledBack"
        assert end.cause.startswith("candidate fails 52 % of 58 executions, stable 0.37 % of 542")
        assert world.routing == STABLE
        assert rule() == "DISABLED"


def test_executions_are_of_the_minute_in_which_they_were_asked_for():
    with durable({"steps": [{"weight": 50, "bake_seconds": 300}, {"weight": 100, "bake_seconds": 0}]}) as world:
        ended(world)
        counts = [item for item in items_of(world.table_name) if item["record"]["S"].startswith("counts#")]
    of_stable = [item["record"]["S"] for item in counts if item["record"]["S"].endswith("#1")]
    assert of_stable == [f"counts#2026-01-05T12:{minute:02}Z#1" for minute in range(6)]
    whole = [
        sum(int(item["started"]["N"]) for item in counts if f"T12:{minute:02}Z" in item["record"]["S"])
        for minute in range(5)
    ]
    assert whole == [600] * 5


def test_a_good_one_is_promoted_by_its_executions():
    with durable() as world:
        states = []
        world.clock.at(STARTED_AT + 120, lambda: states.append(rule()), background=True)
        end = ended(world)
        output = json.loads(end.output)
        assert (output["outcome"], output["proven_by"]) == ("promoted", ["durable_failures"])
        assert (states, rule()) == (["ENABLED"], "DISABLED")
        assert world.boundary.calls["cloudwatch.GetMetricData"] == 1, "the day before, and no invocation after"


def test_the_queue_is_left_in_peace_while_nothing_durable_is_rolled_out():
    with World(Scenario.of({}), {**REQUEST, **BRIEF}) as world:
        ended(world)
        assert not [call for call in world.boundary.calls if call.startswith("events.") and call != "events.PutEvents"]
        assert rule() == "DISABLED"


def test_what_has_not_ended_is_not_healthy():
    with durable(candidate={"hang": {"share": 0.3, "seconds": 3600}}) as world:
        end = ended(world)
        assert "executions that started on the candidate have not ended" in end.cause
        assert {weights.get("2", 0) for _, (_, weights) in world.routings} == {0, 0.1}


def test_minutes_in_which_all_has_ended_do_not_speak_for_those_that_wait():
    """One in fifty goes on for ever: two in five minutes have one of these at most, and seem settled."""
    steps = [{"weight": 50, "bake_seconds": 300}, {"weight": 100, "bake_seconds": 1500}]
    never = {"error_rate": 0, "hang": {"share": 0.02, "seconds": 5400}}
    with durable({"steps": steps}, requests_per_minute=100, candidate=never) as world:
        output = json.loads(ended(world).output)
        assert (output["outcome"], output["proven_by"]) == ("promoted", [])


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "duplicated", "times": "always"},
        {"error": "late", "seconds": 45, "times": "always"},
        {"error": "lost", "times": 200},
    ],
    ids=lambda fault: fault["error"],
)
def test_events_that_go_astray_change_no_verdict(fault):
    with durable(candidate={"error_rate": 0.2}, faults=[{"event": "durable", **fault}]) as world:
        assert ended(world).error == "RolledBack"
        assert "worse than tolerated" in world.executions[next(iter(world.executions))].cause


def test_without_any_event_the_rollout_is_blind_and_holds():
    with durable(faults=[{"event": "durable", "error": "lost", "times": "always"}]) as world:
        end = ended(world)
        assert "nothing could be seen: no request of either version is counted" in end.cause
        assert world.routing == STABLE


def test_a_counter_that_crashes_counts_what_comes_again():
    faults = [{"handler": "count_durable", "error": "crash", "times": 3}]
    with durable(candidate={"error_rate": 0.5}, faults=faults) as world:
        assert "worse than tolerated" in ended(world).cause


def test_a_rule_that_is_throttled_is_enabled_at_the_next_try():
    with durable(faults=[{"call": "events.EnableRule", "error": "ThrottlingException", "times": 5}]) as world:
        assert ended(world).status == "SUCCEEDED"


def test_a_rule_that_may_not_be_enabled_leaves_the_rollout_blind_and_its_plan_says_so():
    fault = {"call": "events.EnableRule", "error": "AccessDeniedException", "times": "always"}
    with durable(faults=[fault]) as world:
        end = ended(world)
        (started,) = [event for event in world.eventbridge.put if event["detail-type"] == "RolloutStarted"]
        warning = started["detail"]["plan"]["warnings"][-1]
        assert warning.startswith("executions cannot be counted, so none is judged")
        assert "nothing could be seen" in end.cause


def test_a_rule_that_an_update_of_the_stack_disables_is_enabled_by_the_next_sweep():
    with durable(candidate={"error_rate": 0.02}) as world:
        world.clock.at(STARTED_AT + 60, lambda: client("events").disable_rule(Name=RULE), background=True)
        states = []
        world.clock.at(STARTED_AT + 125, lambda: states.append(rule()), background=True)
        ended(world)
        assert (states, rule()) == (["ENABLED"], "DISABLED")
        assert any("somebody had disabled the rule" in line for line in world.runtime.logs)


def test_the_last_of_two_rollouts_disables_the_rule():
    second = {"at_second": 300, "do": "start_execution"}
    with durable(candidate={"error_rate": 0.5}, timeline=[second]) as world:
        ended(world)
        assert len(world.executions) == 2
        assert rule() == "DISABLED"


def test_executions_of_minutes_are_waited_for():
    with durable(function={"execution_seconds": 200}, candidate={"error_rate": 0.5}) as world:
        end = ended(world)
        assert "worse than tolerated" in end.cause
        assert {weights.get("2", 0) for _, (_, weights) in world.routings} == {0, 0.1}


def test_with_the_judge_off_nothing_is_counted():
    with durable({"health": {"judge": False}, **BRIEF}) as world:
        ended(world)
        assert not world.boundary.calls["events.EnableRule"]


def test_with_its_errors_not_compared_there_is_nothing_to_judge(tell):
    story = tell({"health": {"judge": {"errors": False}}, **BRIEF}, function={"durable": True})
    assert (story.outcome, story.proven) == (Outcome.PROMOTED, False)


LISTED = (
    "aws lambda list-durable-executions-by-function --region us-east-1 --function-name checkout --qualifier 2"
    " --statuses RUNNING --query 'DurableExecutions[].DurableExecutionArn' --output text; to stop one: aws lambda"
    " stop-durable-execution --region us-east-1 --durable-execution-arn ARN"
)


def test_a_rollback_names_the_executions_that_go_on_and_stops_none():
    with durable(function={"execution_seconds": 60}, candidate={"error_rate": 0.5}) as world:
        end = ended(world)
        said = r"; (\d+) executions go on, on version 2 \((order-\d+, order-\d+, order-\d+, …)\)\. "
        ((number, _),) = re.findall(said, end.cause)
        assert int(number) == len(world.durable.running("2", end.at - 0.2))
        assert end.cause.endswith(LISTED)
        assert recorded_cause(world) == end.cause
        assert not [call for call in world.boundary.calls if "Stop" in call]


def test_more_than_a_hundred_are_not_counted():
    with durable(function={"execution_seconds": 3600}, candidate={"hang": {"share": 0.1, "seconds": 90}}) as world:
        assert "; at least 100 executions go on, on version 2 (order-" in ended(world).cause


@pytest.mark.parametrize("error", ["AccessDeniedException", "ThrottlingException", "ConnectTimeoutError"])
def test_who_cannot_list_them_rolls_back_all_the_same(error):
    fault = {"call": "lambda.ListDurableExecutionsByFunction", "error": error, "times": "always"}
    with durable(candidate={"error_rate": 0.5}, faults=[fault]) as world:
        end = ended(world)
        assert end.error == "RolledBack"
        assert "go on" not in end.cause
        assert world.routing == STABLE


def test_a_rollback_of_any_other_function_lists_nothing():
    with World(Scenario.of({"candidate": {"error_rate": 0.5}}), REQUEST) as world:
        assert ended(world).error == "RolledBack"
        assert not world.boundary.calls["lambda.ListDurableExecutionsByFunction"]


def test_its_executions_may_be_named_with_what_is_tolerated_of_them(tell):
    asked = {"health": {"judge": {"metrics": [{"name": "durable_failures", "max_increase_percent": 20}]}}}
    story = tell(asked, function={"durable": True}, candidate={"error_rate": 0.05}, stable={"error_rate": 0.0})
    assert story.outcome is Outcome.PROMOTED


def test_executions_of_a_function_that_has_none_are_refused(tell):
    story = tell({"health": {"judge": {"metrics": ["durable_failures"]}}})
    assert story.outcome is Outcome.REJECTED
    assert "durable_failures counts executions, and checkout is no durable function" in story.cause


def test_metrics_of_the_users_are_judged_beside_its_executions(tell):
    told = {"namespace": "Shop", "name": "OrdersFailed", "counts": "answered_errors", "version_dimension": "version"}
    series = {"namespace": "Shop", "metric": "OrdersFailed", "dimensions": {"version": "{version}"}}
    asked = {"health": {"judge": {"metrics": ["durable_failures", {"name": "orders failed", "bad": series}]}}}
    story = tell(asked, function={"durable": True}, metrics=[told], candidate={"answered_error_rate": 0.5})
    assert story.outcome is Outcome.ROLLED_BACK
    assert "orders failed: candidate " in story.cause


TOLD = {"namespace": "Shop", "name": "OrdersFailed", "counts": "answered_errors", "version_dimension": "version"}
REJECTED = {"namespace": "Shop", "metric": "OrdersFailed", "dimensions": {"version": "{version}"}}


@pytest.mark.parametrize(
    ("judged", "said"),
    [({}, out_of_sight.DURABLE), ({"errors": False, "slow": False}, out_of_sight.DURABLE_UNJUDGED)],
)
def test_a_plan_says_whether_its_executions_are_judged_and_what_replays_make_wrong(judged, said):
    metric = {"name": "rejected orders", "bad": REJECTED}
    request = {"health": {"judge": {**judged, "metrics": [metric]}}}
    with durable(request, metrics=[TOLD]) as world:
        ended(world)
        (started,) = [event for event in world.eventbridge.put if event["detail-type"] == "RolloutStarted"]
    warnings = started["detail"]["plan"]["warnings"]
    replays = "rejected orders is counted against invocations, replays included: give a total"
    assert [one for one in warnings if "durable" in one or "replays" in one] == [said, replays]


@pytest.mark.parametrize("slow", [True, {"quantiles": ["p50"]}])
def test_where_nothing_is_left_to_judge_of_it_the_request_is_refused_with_what_to_do(tell, slow):
    story = tell({"health": {"judge": {"errors": False, "slow": slow}}}, function={"durable": True})
    assert story.outcome is Outcome.REJECTED
    assert "only executions and metrics of yours can be judged" in story.cause
    assert "set judge to false" in story.cause
