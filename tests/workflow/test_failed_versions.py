"""A version that Lambda calls Failed, on which it puts no alias: told from a function that is busy, and told at once.

Reported, not recorded: hashicorp/terraform-provider-aws#49904 (recorded facts, R1).
"""

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.workflow.several import ALARM, SMALLEST
from tests.workflow.test_restorers import outcomes

ON_STABLE, SPLIT = {"function_version": "1", "weights": {}}, {"function_version": "1", "weights": {"2": 0.1}}
COMMAND = (
    "Run: aws lambda update-alias --region us-east-1 --function-name checkout --name live --function-version 1"
    " --routing-config '{\"AdditionalVersionWeights\":{}}'\nbecause "
)
STATE = "Failed (FunctionError: The function failed to initialize.)"
REASON = f"version 1 of checkout is {STATE}"
CURE = "mend what made it fail, or run update-alias with the number of a version that is Active"
HARMFUL = {"candidate": {"error_rate": 0.5}}
#: RestoreFailed is tried three times more: after 10, 20 and 40 s at most.
SOON_SECONDS = 75


def failed(from_second, version="1"):
    return {"versions": {version: {"state": "Failed", "from_second": from_second}}}


def test_a_stable_version_that_is_failed_is_refused_before_anything_moves(tell):
    story = tell(versions={"1": {"state": "Failed"}})
    assert (story.outcome, story.alias, story.virtual_seconds < 5) == ("rejected", ON_STABLE, True)
    assert f"a rollback would return to, is {STATE}: point the alias to a version that can serve" in story.cause


def test_a_stable_version_that_fails_before_the_first_weight_ends_the_rollout_at_once(tell):
    story = tell(**failed(0.5))
    assert (story.outcome, story.alias, story.virtual_seconds < 5) == ("rolled_back", ON_STABLE, True)
    assert story.cause.startswith("VersionFailed: could not route checkout:live to version 1 with 10 % to version 2: ")
    assert REASON in story.cause
    assert story.cause.endswith(CURE)


@pytest.mark.parametrize(
    ("scenario", "at", "why"),
    [
        ({**HARMFUL, **failed(60)}, 180, "candidate fails"),
        (failed(200), 300, "VersionFailed: could not route checkout:live to version 1 with 50 % to version 2"),
    ],
)
def test_a_rollback_onto_a_failed_version_says_so_with_the_command_and_is_not_tried_for_long(tell, scenario, at, why):
    story = tell(SMALLEST, **scenario)
    assert (story.outcome, story.error, story.alias) == ("rollback_failed", "RollbackFailed", SPLIT)
    assert story.cause.startswith(f"{COMMAND}RestoreFailed: could not route checkout:live to version 1 alone: {REASON}")
    assert CURE in story.cause
    assert why in story.cause
    assert story.virtual_seconds < at + SOON_SECONDS
    assert story.events[-1] == "RollbackFailed"


def test_once_it_is_active_again_the_sweeper_restores_it():
    with World(Scenario.of({**HARMFUL, **failed(60)}), SMALLEST) as world:
        assert world.follow(world.start()).error == "RollbackFailed"
        world.clock.sleep(600)
        assert world.routing == ("1", {"2": 0.1})
        world.lambda_rules.set_version_state("checkout", "1", "Active", None)
        world.clock.sleep(180)
        assert (world.routing, outcomes(world)[-1]) == (("1", {}), "rolled_back")


def test_a_person_who_puts_the_alias_on_another_version_is_left_alone():
    with World(Scenario.of({**HARMFUL, **failed(60)}), SMALLEST) as world:
        assert world.follow(world.start()).error == "RollbackFailed"
        client("lambda").update_alias(
            FunctionName="checkout", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}}
        )
        world.clock.sleep(180)
        assert (world.routing, outcomes(world)[-1]) == (("2", {}), "interrupted")


def test_an_alarm_cannot_restore_it_either_and_the_rollout_ends_at_its_next_look():
    fires = {"at_second": 130, "do": "set_alarm", "name": "errors", "state": "ALARM"}
    scenario = {"alarms": [ALARM], "timeline": [fires], **failed(60)}
    with World(Scenario.of(scenario), {**SMALLEST, "alarms": ["errors"]}) as world:
        end = world.follow(world.start())
        assert (end.error, end.at - STARTED_AT < 180 + SOON_SECONDS) == ("RollbackFailed", True)
        assert REASON in end.cause
        assert world.routing == ("1", {"2": 0.1})


def test_a_stopped_rollout_whose_stable_version_is_failed_calls_a_person(tell):
    story = tell(SMALLEST, timeline=[{"at_second": 150, "do": "stop_execution"}], **failed(100))
    assert (story.outcome, story.alias, story.events[-1]) == ("stopped", SPLIT, "RollbackFailed")


def test_a_good_candidate_that_serves_all_traffic_is_promoted_from_a_stable_version_that_fails(tell):
    story = tell(**failed(650))
    assert (story.outcome, story.alias["function_version"]) == ("promoted", "2")


BUSY = {"call": "lambda.UpdateAlias", "error": "ResourceConflictException", "skip": 1}


@pytest.mark.parametrize("error", [None, "AccessDeniedException", "ServiceException"])
def test_a_busy_function_is_asked_again_for_minutes_also_where_its_state_is_unknown(tell, error):
    unread = {"call": "lambda.GetFunctionConfiguration", "error": error, "skip": 8, "times": "always"}
    story = tell(SMALLEST, **HARMFUL, faults=[{**BUSY, "times": 24}, *([unread] if error else [])])
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.virtual_seconds > 180 + SOON_SECONDS
    assert story.lock_released
