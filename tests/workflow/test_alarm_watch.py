"""Whether an alarm could have spoken: what is promoted beside one that could not, and whom an early one convicts."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.brief import BRIEF

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
CANARY = {"strategy": "Canary10Percent5Minutes", "alarms": ["orders-failed"]}
#: It needs three times five minutes, and two more until their metrics are there.
SLOW_ALARM = {"name": "orders-failed", "period_seconds": 300, "evaluation_periods": 3, "threshold": 10}
UNJUDGED = {"health": {"judge": False}}
ON_STABLE, ON_CANDIDATE = ("1", {}), ("2", {})
NOT_YET = "alarm orders-failed is OK, and could not have fired yet: it needs 17 min at 100 %"


def run(world):
    end = world.follow(world.start())
    world.settle()
    return end


def recorded(world, *names):
    """What the history keeps of the one rollout."""
    items = client("dynamodb").scan(TableName=world.table_name)["Items"]
    (item,) = [item for item in items if item["record"]["S"].startswith("history#")]
    document = json.loads(item["document"]["S"])
    return [document[name] for name in names]


def test_an_alarm_that_needs_longer_than_the_rollout_is_waited_for_and_fires():
    """aws/copilot-cli#4294, panther-labs/panther#785, cdklabs/construct-hub#265: the deployment was over before."""
    scenario = Scenario.of({"candidate": {"error_rate": 0.2}, "alarms": [SLOW_ALARM]})
    with World(scenario, {**SMALLEST, **CANARY, **UNJUDGED}) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "alarm orders-failed is in ALARM" in end.cause


@pytest.mark.parametrize(
    ("health", "outcome", "proven", "says"),
    [
        ({}, "promoted", False, "unproven: the candidate served "),
        ({"when_inconclusive": "promote", "max_extension_seconds": 0}, "promoted", False, "unproven: "),
        ({"when_inconclusive": "roll_back"}, "rolled_back", None, "inconclusive: "),
    ],
)
def test_without_a_judge_nothing_is_proven_by_an_alarm_that_could_not_have_fired(health, outcome, proven, says):
    request = {**SMALLEST, **CANARY, "health": {"judge": False, **health}}
    with World(Scenario.of({"alarms": [SLOW_ALARM]}), request) as world:
        run(world)
        assert recorded(world, "outcome", "proven") == [outcome, proven]
        (cause,) = recorded(world, "cause")
        assert cause.startswith(says)
        assert NOT_YET in cause


def test_where_the_judge_proves_no_time_is_spent_on_such_an_alarm_and_the_sentence_says_so():
    ends = []
    for alarms in ([], [SLOW_ALARM]):
        request = {**SMALLEST, **CANARY, "alarms": [alarm["name"] for alarm in alarms]}
        with World(Scenario.of({"alarms": alarms}), request) as world:
            ends.append(run(world).at)
            assert recorded(world, "outcome", "proven") == ["promoted", True]
            (cause,) = recorded(world, "cause")
            assert (NOT_YET in cause, cause.startswith("every gate that could speak")) == (bool(alarms),) * 2
    assert ends[1] - ends[0] < 5


def test_an_alarm_that_had_its_time_is_a_gate_and_proves(tell):
    story = tell({**CANARY, **UNJUDGED}, alarms=[{**SLOW_ALARM, "period_seconds": 60}])
    assert (story.outcome, story.proven) == ("promoted", True)
    assert 300 + 300 <= story.virtual_seconds < 300 + 300 + 120


def test_the_last_step_bakes_for_the_slowest_alarm_where_the_request_wants_that():
    request = {**SMALLEST, **CANARY, "health": {"judge": False, "bake_for_alarms": True}}
    with World(Scenario.of({"alarms": [SLOW_ALARM]}), request) as world:
        end = run(world)
        output = json.loads(end.output)
        assert (output["outcome"], output["proven"], world.routing) == ("promoted", True, ON_CANDIDATE)
        assert 300 + 1020 + 120 <= end.at - STARTED_AT < 300 + 1020 + 180


def test_what_fails_at_the_last_weight_only_is_found_by_an_alarm_that_is_baked_for(tell):
    request = {**CANARY, "health": {"judge": False, "bake_for_alarms": True}}
    late = {"error_rate_by_minute": [0] * 6 + [0.2]}
    story = tell(request, candidate=late, alarms=[SLOW_ALARM])
    assert (story.outcome, story.alias) == ("rolled_back", {"function_version": "1", "weights": {}})
    assert "alarm orders-failed is in ALARM" in story.cause


# An alarm that fires before it can have seen the candidate.


def fires(second):
    return {
        "alarms": [{"name": "errors", "treat_missing_data": "ignore"}],
        "requests_per_minute": 0,
        "timeline": [{"at_second": second, "do": "set_alarm", "name": "errors", "state": "ALARM"}],
    }


@pytest.mark.parametrize("lost", [[], [{"event": "alarm", "error": "lost", "times": "always"}]], ids=["told", "seen"])
@pytest.mark.parametrize(("second", "convicted"), [(5, False), (55, False), (115, True)])
def test_an_alarm_convicts_only_once_a_minute_of_the_candidate_can_have_been_seen(second, convicted, lost):
    """The first weight is set in the first second. By the alarm's event, or at the next look."""
    with World(Scenario.of({**fires(second), "faults": lost}), {**SMALLEST, "alarms": ["errors"]}) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "alarm errors is" in end.cause
        found = client("dynamodb").scan(TableName=world.table_name)["Items"]
        assert [item["record"]["S"] for item in found if item["record"]["S"].startswith("bad#")] == [
            "bad#2"
        ] * convicted


def test_a_version_whose_rollout_an_early_alarm_ended_may_be_tried_again():
    with World(Scenario.of({**fires(20), "requests_per_minute": 600}), {**SMALLEST, "alarms": ["errors"]}) as world:
        assert run(world).error == "RolledBack"
        again = client("stepfunctions").start_execution(
            stateMachineArn=world.state_machine_arn, name="again", input=json.dumps(BRIEF)
        )["executionArn"]
        world.executions[again] = None
        assert (world.follow(again).status, world.routing) == ("SUCCEEDED", ON_CANDIDATE)


# Alarms of many series.


def query(name, expression):
    series = {"Id": "q", "Expression": expression, "Period": 60, "ReturnData": True}
    return {
        "AlarmName": name,
        "Metrics": [series],
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
    }


GROUPED = query("by-function", 'SELECT SUM(Errors) FROM SCHEMA("AWS/Lambda", FunctionName) GROUP BY FunctionName')


@pytest.mark.parametrize(("policy", "error"), [("ignore_until_ok", "Rejected"), ("reject", None)])
def test_an_alarm_with_contributors_may_not_be_ignored_until_it_is_ok(policy, error):
    alarms = [{"name": "by-function", "if_already_firing": policy}]
    with World(Scenario.of({}), {**BRIEF, "alarms": alarms}) as world:
        client("cloudwatch").put_metric_alarm(**GROUPED)
        client("cloudwatch").set_alarm_state(AlarmName="by-function", StateValue="OK", StateReason="test")
        end = run(world)
        assert end.error == error
        if error:
            assert "ignore_until_ok cannot be used for by-function" in end.cause
        else:
            assert json.loads(end.output)["proven"] is False, "what it watches is not understood"
