"""A dry run says what the rollout would, and leaves no trace."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World

REQUEST = {"function_name": "checkout", "alias_name": "live"}
BAD = {"health": {"max_error_percent": 1}}
FUNCTION = {"FunctionName": "checkout"}
MOVED = (
    "stack shop moves this alias at its next update (its FunctionVersion follows the code, as with AutoPublishAlias):"
    " keep the alias by DeletionPolicy: Retain, then let the stack publish another; or leave FunctionVersion fixed;"
    " see docs/infrastructure-as-code.md"
)
#: Whatever a dry run must not do begins otherwise.
READS = ("Get", "Describe", "List", "Query")


def ask(world, request):
    """What PlanRollout answers, as `tidegate plan` asks it: (errorType or None, answer)."""
    event = {
        "dry_run": True,
        "request": request,
        "execution_arn": world.state_machine_arn.replace(":stateMachine:", ":execution:") + ":plan-1",
        "started_at": "2026-01-05T12:00:00Z",
    }
    name = world.stack.ref("PlanRolloutFunction")
    answer = json.loads(client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
    return answer.get("errorType"), answer


def rehearse(request=None, change=None, **scenario):
    asked = {**REQUEST, **(request or {})}
    with World(Scenario.of(scenario), asked) as world:
        if change:
            client("lambda").update_function_configuration(**FUNCTION, **change)
        return ask(world, asked)


def test_a_dry_run_gives_the_whole_plan_and_the_differences():
    error, answer = rehearse()
    assert error is None
    assert answer.keys() == {"plan", "differences"}
    assert (answer["plan"]["stable"], answer["plan"]["rollout_id"]) == ("1", "plan-1")
    assert [step["weight_percent"] for step in answer["plan"]["steps"]] == [10, 50, 100]
    assert len(answer["plan"]["expectations"]) == 3
    assert [difference["what"] for difference in answer["differences"]] == ["code_sha256"]
    assert answer["plan"]["warnings"] == []


def test_it_reads_and_does_nothing_else():
    with World(Scenario.of({}), REQUEST) as world:
        assert ask(world, REQUEST)[0] is None
        done = [call for call in world.boundary.calls if not call.partition(".")[2].startswith(READS)]
        assert not done
        assert not world.eventbridge.put
        assert not client("dynamodb").scan(TableName=world.table_name)["Items"]
        assert world.follow(world.start()).status == "SUCCEEDED"


def test_a_refused_dry_run_leaves_no_trace_either():
    with World(Scenario.of({}), REQUEST) as world:
        error, answer = ask(world, {**REQUEST, "alarms": ["typo"], "wieght": 1})
        assert (error, answer["errorMessage"]) == ("RequestInvalid", "1 problem in the request: wieght: unknown key")
        assert ask(world, {**REQUEST, "alarms": ["typo"]})[0] == "AlarmUnusable"
        assert not world.eventbridge.put
        assert not client("dynamodb").scan(TableName=world.table_name)["Items"]


def test_differences_are_told_without_the_value_of_any_variable():
    variables = {"Variables": {"TOKEN": "hunter2"}}
    change = {"MemorySize": 256, "Timeout": 30, "Handler": "other.handler", "Environment": variables}
    _, answer = rehearse(change=change)
    assert "hunter2" not in json.dumps(answer)
    told = {each["what"]: (each["stable"], each["candidate"]) for each in answer["differences"]}
    assert told.pop("code_sha256")
    assert told == {
        "handler": ("app.handler", "other.handler"),
        "memory": (128, 256),
        "timeout": (3, 30),
        "environment variable TOKEN": (None, "set"),
    }


@pytest.mark.parametrize(
    ("request_", "scenario", "error"),
    [
        ({"steps": []}, {}, "RequestInvalid"),
        ({}, {"alias": {"exists": False}}, "AliasNotFound"),
        ({}, {"alias": {"weights": {"7": 0.2}}}, "AliasNotReady"),
        ({"version": "9"}, {}, "VersionNotFound"),
        ({"version": {"from_alias": "gone"}}, {}, "AliasNotFound"),
        ({"expected_code_sha256": "A" * 43 + "="}, {}, "CodeChanged"),
        ({}, {"publish": {"last_update_status": "Failed"}}, "FunctionNotPublishable"),
        ({"profile": "gone"}, {}, "ProfileNotFound"),
    ],
)
def test_it_refuses_what_the_rollout_would_be_refused_for(request_, scenario, error):
    assert rehearse(request_, **scenario)[0] == error


def test_a_changed_role_is_refused_as_the_candidates_verification_would():
    error, answer = rehearse(change={"Role": "arn:aws:iam::123456789012:role/tidegate-PromoteFunctionRole"})
    assert error == "VersionsIncompatible"
    assert "execution role" in answer["errorMessage"]


def test_a_rollout_that_runs_is_named():
    with World(Scenario.of({}), REQUEST) as world:
        arn = world.start()
        until = world.clock.now() + 200
        world.clock.run(until=lambda: world.clock.now() >= until)
        error, answer = ask(world, REQUEST)
        assert error == "RolloutRunning"
        assert arn in answer["errorMessage"]
        assert world.follow(arn).status == "SUCCEEDED"


def test_a_version_that_is_known_to_be_bad_is_refused_unless_forced():
    asked = {**REQUEST, **BAD}
    with World(Scenario.of({"candidate": {"error_rate": 0.5}}), asked) as world:
        assert world.follow(world.start()).error == "RolledBack"
        world.settle()
        error, answer = ask(world, {**REQUEST, "version": "2"})
        assert error == "VersionKnownBad"
        assert "version 2 of checkout failed before" in answer["errorMessage"]
        assert ask(world, {**REQUEST, "version": "2", "force": True})[0] is None


@pytest.mark.parametrize(
    ("request_", "scenario", "warning"),
    [
        ({}, {"publish": {"unchanged": True}}, "nothing new: would end Unchanged"),
        ({"version": "1"}, {}, "nothing new: would end Unchanged"),
        (
            {},
            {"publish": {"last_update_status": "InProgress"}},
            "checkout is still being updated: the rollout would wait for it",
        ),
        (
            {},
            {"alias": {"stack": {"name": "shop", "function_version": {"Fn::GetAtt": ["Version1", "Version"]}}}},
            MOVED,
        ),
    ],
)
def test_what_is_no_refusal_is_a_warning(request_, scenario, warning):
    error, answer = rehearse(request_, **scenario)
    assert error is None
    assert answer["plan"]["warnings"] == [warning]


def test_a_stack_that_leaves_the_alias_alone_is_not_warned_of():
    assert rehearse(alias={"stack": {"name": "shop", "function_version": "1"}})[1]["plan"]["warnings"] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"call": "cloudformation.DescribeStackResources", "error": "AccessDenied"},
        {"call": "cloudformation.GetTemplate", "error": "Throttling", "times": "always"},
        {"call": "cloudformation.*", "error": "lost_response", "times": "always"},
    ],
)
def test_a_stack_that_cannot_be_asked_changes_nothing(fault):
    stack = {"name": "shop", "function_version": {"Ref": "Version1"}}
    error, answer = rehearse(alias={"stack": stack}, faults=[fault])
    assert (error, answer["plan"]["warnings"]) == (None, [])


def test_a_new_alias_is_planned_without_anything_to_compare():
    error, answer = rehearse({"create_alias": True}, alias={"exists": False})
    assert error is None
    assert (answer["plan"]["creates_alias"], answer["differences"]) == (True, [])


def test_a_profile_is_planned_with():
    profile = {"alias_name": "live", "strategy": "AllAtOnce"}
    error, answer = rehearse({"profile": "prod-api"}, profiles={"prod-api": profile})
    assert (error, answer["plan"]["profile"]) == (None, "prod-api:1")
    assert len(answer["plan"]["steps"]) == 1
