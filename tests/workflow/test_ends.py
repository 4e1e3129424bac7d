"""Every end of a rollout: where the alias is, what the books say, who was told, and by which path."""

import json
from pathlib import Path

import pytest

from sandbox.scenario import Scenario
from sandbox.story import play

EVENTS = Path(__file__).parents[2] / "events"
FAILS_HALF = {"error_rate": 0.5}
LIMIT = {"health": {"max_error_percent": 1}}
ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}


def closed(story):
    return story.lock_released and story.history_recorded


def test_a_good_release_is_promoted_once_its_fifteen_minutes_have_settled():
    story = play(json.loads((EVENTS / "rollout.json").read_text()), Scenario.of({}))
    assert (story.status, story.outcome, story.alias, story.proven) == ("SUCCEEDED", "promoted", ON_CANDIDATE, True)
    assert closed(story)
    assert story.events == ("RolloutStarted", "WeightShifted", "WeightShifted", "WeightShifted", "RolloutPromoted")
    tasks = [state for state in story.states if not state.endswith("?")]
    assert tasks[:5] == ["PlanRollout", "PublishVersion", "VerifyCandidate", "ShiftTraffic", "Bake"]
    assert story.states[-2:] == ("Promote", "Promoted")
    assert 900 + 120 <= story.virtual_seconds < 1060
    assert story.history_events < 260


@pytest.mark.parametrize("guard", [LIMIT, {"alarms": ["checkout-errors"]}], ids=["limit", "alarm"])
def test_a_candidate_that_fails_half_its_requests_is_rolled_back_within_minutes(tell, guard):
    alarm = {"name": "checkout-errors", "threshold": 10}
    story = tell(guard, candidate=FAILS_HALF, alarms=[alarm])
    assert (story.status, story.outcome, story.error) == ("FAILED", "rolled_back", "RolledBack")
    assert story.alias == ON_STABLE
    assert closed(story)
    assert story.virtual_seconds <= 300
    assert story.events[-1] == "RolloutRolledBack"
    assert story.states[-3:] == ("RollBack", "HowItEnded?", "RolledBack")
    assert 0 < story.traffic["failed_by_candidate"] <= story.traffic["to_candidate"]


def test_nothing_new_is_unchanged(tell):
    story = tell(publish={"unchanged": True})
    assert (story.status, story.outcome, story.alias) == ("SUCCEEDED", "unchanged", ON_STABLE)
    assert closed(story)
    assert story.events == ("RolloutStarted", "RolloutUnchanged")


def test_bad_input_is_rejected_with_one_message_that_lists_everything(tell):
    story = tell({"wieght": 10, "steps": [{"weight": 101, "bake_seconds": -1}]})
    assert (story.status, story.outcome, story.error) == ("FAILED", "rejected", "Rejected")
    assert story.cause.startswith("3 problems in the request: ")
    assert story.alias == ON_STABLE
    assert story.lock_released
    assert "lambda.PublishVersion" not in story.api_calls
    assert story.events == ("RolloutRejected",)


@pytest.mark.parametrize("whole", [{}, [], None, 3, "NaN", json.dumps({"function_name": "checkout"})], ids=repr)
def test_input_of_any_shape_is_rejected_in_words(tell, whole):
    story = tell(whole=whole)
    assert (story.outcome, story.error, story.alias) == ("rejected", "Rejected", ON_STABLE)
    assert story.lock_released
    assert "in the request" in story.cause or "the input is" in story.cause


def test_fifty_problems_at_once_are_rejected_in_one_message(tell):
    story = tell({"steps": [{"weight": 200 + n, "bake_seconds": -1} for n in range(25)]})
    assert story.outcome == "rejected"
    assert story.cause.startswith("50 problems in the request: ")
    assert "steps[24].bake_seconds" in story.cause


def test_somebody_elses_move_is_left_as_found(tell):
    moved = {"at_second": 200, "do": "update_alias", "function_version": "1", "weights": {"3": 0.2}}
    story = tell(timeline=[moved])
    assert (story.outcome, story.error) == ("interrupted", "Interrupted")
    assert story.alias == {"function_version": "1", "weights": {"3": 0.2}}
    assert closed(story)
    assert story.events[-1] == "RolloutInterrupted"


def test_stop_restores_the_stable_version(tell):
    story = tell(timeline=[{"at_second": 400, "do": "stop_execution"}])
    assert (story.status, story.outcome, story.alias) == ("ABORTED", "stopped_and_restored", ON_STABLE)
    assert closed(story)
    assert story.events[-1] == "RolloutRolledBack"


def test_a_rollback_that_is_denied_says_the_command(tell):
    denied = {"call": "lambda.UpdateAlias", "error": "AccessDeniedException", "skip": 1, "times": "always"}
    story = tell(LIMIT, candidate=FAILS_HALF, faults=[denied])
    assert (story.outcome, story.error) == ("rollback_failed", "RollbackFailed")
    assert (
        "aws lambda update-alias --region us-east-1 --function-name checkout --name live --function-version 1"
        " --routing-config '{\"AdditionalVersionWeights\":{}}'" in story.cause
    )
    assert story.alias == {"function_version": "1", "weights": {"2": 0.1}}
    assert story.history_recorded
    assert story.events[-1] == "RollbackFailed"


def test_a_second_rollout_of_the_same_alias_is_rejected_and_changes_nothing(tell):
    story = tell(LIMIT, timeline=[{"at_second": 300, "do": "start_execution"}])
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert story.events.count("RolloutRejected") == 1
    assert story.events.count("WeightShifted") == 3


def test_strategies_are_walked_step_by_step(tell):
    story = tell({"strategy": "Linear20PercentEvery3Minutes", **LIMIT})
    assert (story.outcome, story.events.count("WeightShifted")) == ("promoted", 5)
    assert story.virtual_seconds >= 4 * 180


def test_fractions_of_a_percent_are_weights(tell):
    steps = [{"weight": 0.5, "bake_seconds": 120}, {"weight": 100, "bake_seconds": 180}]
    story = tell({"steps": steps, **LIMIT})
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)


def test_an_existing_version_is_adopted(tell):
    moved = {"exists": True, "function_version": "2"}
    story = tell({"version": "1", **LIMIT}, alias=moved)
    assert (story.outcome, story.alias) == ("promoted", ON_STABLE)
    assert "lambda.PublishVersion" not in story.api_calls
