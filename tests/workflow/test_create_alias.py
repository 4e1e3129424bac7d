"""create_alias: the first release of a function makes its alias, or nothing."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.story import play
from sandbox.world import World

NEW = {"alias": {"exists": False}}
REQUEST = {"function_name": "checkout", "alias_name": "live", "create_alias": True}
ON_CANDIDATE = {"function_version": "2", "weights": {}}


def tell(request=None, **scenario):
    return play({**REQUEST, **(request or {})}, Scenario.of({**NEW, **scenario}))


def closed(story):
    return story.lock_released and story.history_recorded


def test_a_new_alias_is_made_on_the_candidate_without_any_weight():
    story = tell()
    assert (story.status, story.outcome, story.alias, story.proven) == ("SUCCEEDED", "promoted", ON_CANDIDATE, False)
    assert story.states[3:] == ("VerifyCandidate", "FirstRelease?", "Promote", "Promoted")
    assert story.events == ("RolloutStarted", "RolloutPromoted")
    assert story.api_calls["lambda.CreateAlias"] == 1
    assert "lambda.UpdateAlias" not in story.api_calls
    assert closed(story)


def test_its_output_and_its_events_name_no_version_before():
    with World(Scenario.of(NEW), REQUEST) as world:
        end = world.follow(world.start())
        details = [event["detail"] for event in world.eventbridge.put if event["source"] == "tidegate"]
    assert json.loads(end.output or "") == {
        "outcome": "promoted",
        "from_version": None,
        "to_version": "2",
        "proven": False,
        "proven_by": [],
    }
    assert details[-1]["from_version"] is None
    assert details[-1]["to_version"] == "2"


def test_the_next_rollout_of_the_alias_is_an_ordinary_one():
    story = tell(timeline=[{"at_second": 120, "do": "start_execution"}])
    assert story.alias == ON_CANDIDATE
    assert story.events[-1] == "RolloutUnchanged"


def test_where_the_alias_is_there_already_create_alias_changes_nothing():
    story = tell(alias={"exists": True})
    assert story.outcome == "promoted"
    assert story.events.count("WeightShifted") == 3
    assert "lambda.CreateAlias" not in story.api_calls


def test_a_version_may_be_adopted():
    story = tell({"version": "1"})
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "1", "weights": {}})


def test_without_create_alias_the_refusal_says_what_to_do():
    story = tell({"create_alias": False})
    assert (story.outcome, story.alias) == ("rejected", None)
    assert story.cause == (
        "function checkout has no alias live: create it on a version, or set create_alias to have it made on the"
        " candidate"
    )


@pytest.mark.parametrize(
    ("request_", "scenario", "says"),
    [
        ({"smoke_tests": [{"expect": "statusCode == `418`"}]}, {}, "SmokeTestFailed: smoke test 1"),
        ({}, {"publish": {"last_update_status": "Failed"}}, "FunctionNotPublishable: the last update"),
        ({"alarms": ["errors"]}, {"alarms": [{"name": "errors", "state": "ALARM"}]}, "already in ALARM: errors"),
        ({}, {"faults": [{"call": "lambda.CreateAlias", "error": "AccessDeniedException"}]}, "PermissionDenied"),
    ],
    ids=["smoke test", "not publishable", "alarm", "denied"],
)
def test_a_release_that_fails_makes_no_alias(request_, scenario, says):
    story = tell(request_, **scenario)
    assert (story.outcome, story.error, story.alias) == ("rejected", "Rejected", None)
    assert story.cause
    assert says in story.cause
    assert closed(story)


def test_a_stop_before_the_alias_is_made_leaves_none():
    pending = {"state": "Pending", "active_after_seconds": 600}
    story = tell(candidate=pending, timeline=[{"at_second": 60, "do": "stop_execution"}])
    assert (story.status, story.alias) == ("ABORTED", None)
    assert story.events[-1] == "RolloutRejected"
    assert closed(story)


@pytest.mark.parametrize("error", ["lost_response", "crash_after", "TooManyRequestsException"])
def test_a_create_alias_that_was_not_answered_is_made_sure_of(error):
    story = tell(faults=[{"call": "lambda.CreateAlias", "error": error}])
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert closed(story)


def made_meanwhile(version):
    """Somebody makes the alias while the version is being published."""
    pending = {"state": "Pending", "active_after_seconds": 60}
    with World(Scenario.of({**NEW, "candidate": pending}), REQUEST) as world:

        def make():
            client("lambda").create_alias(FunctionName="checkout", Name="live", FunctionVersion=version)

        world.clock.spawn(make, "somebody", 30.0)
        end = world.follow(world.start())
        world.settle()
        return end, world.routing


def test_an_alias_that_somebody_made_on_another_version_is_left_as_found():
    end, routing = made_meanwhile("1")
    assert (end.error, routing) == ("Rejected", ("1", {}))
    assert end.cause
    assert "should be made on version 2, and is there already, on version 1 alone" in end.cause


def test_an_alias_that_somebody_made_just_so_is_as_good():
    end, routing = made_meanwhile("2")
    assert (end.status, routing) == ("SUCCEEDED", ("2", {}))


def test_a_new_alias_that_nothing_tries_first_is_warned_of():
    with World(Scenario.of(NEW), REQUEST) as world:
        world.follow(world.start())
        started = next(event for event in world.eventbridge.put if event["detail-type"] == "RolloutStarted")
    plan = started["detail"]["plan"]
    assert (plan["creates_alias"], plan["stable"]) == (True, "")
    assert plan["warnings"] == [
        "no smoke test and no before_traffic hook is set: the alias is made on whatever was deployed"
    ]
    assert [step["weight_percent"] for step in plan["steps"]] == [100]


def test_hooks_that_a_first_release_does_not_ask_are_named_in_its_plan():
    hooks = {"before_traffic": {"function_name": "check"}, "after_traffic": {"function_name": "check"}}
    yes = {"name": "check", "answer": {"status": "Succeeded"}}
    with World(Scenario.of({**NEW, "functions": [yes]}), {**REQUEST, "hooks": hooks}) as world:
        end = world.follow(world.start())
        assert (end.status, [told.document["hook"] for told in world.hooked.told]) == ("SUCCEEDED", ["before_traffic"])
        (record,) = [
            item
            for item in client("dynamodb").scan(TableName=world.table_name)["Items"]
            if item["record"]["S"].startswith("history#")
        ]
    warnings = json.loads(record["document"]["S"])["plan"]["warnings"]
    assert any("only the before_traffic hook is asked" in warning for warning in warnings)


def test_a_first_release_that_can_neither_end_nor_go_back_has_no_command_to_run():
    dead = [{"handler": handler, "error": "crash", "times": "always"} for handler in ("promote", "roll_back")]
    story = tell(faults=dead)
    assert story.error == "RollbackFailed"
    assert story.cause.startswith("No alias was there to restore; see whether there is one now, because ")
