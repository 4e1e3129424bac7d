"""Profiles: a request that names its defaults is rolled out by both, at the version that was read."""

import json
import re
from pathlib import Path

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.story import play
from sandbox.target import Target
from sandbox.world import World
from tests.brief import BRIEF

ROOT = Path(__file__).parents[2]
NAMED = {"profile": "prod-api", "function_name": "checkout"}
SHORT = BRIEF["steps"]
PROFILE = {"alias_name": "live", "steps": SHORT, "health": BRIEF["health"]}
FAILING = [{"payload": {"key": "hunter2"}, "expect": "statusCode == `418`"}]


def tell(request, profile=None, **scenario):
    kept = {} if profile is None else {"profiles": {"prod-api": profile}}
    return play(request, Scenario.of({**kept, **scenario}))


def plan_of(world):
    world.follow(world.start())
    kept = client("dynamodb").scan(TableName=world.table_name)["Items"]
    (item,) = [item for item in kept if item["record"]["S"].startswith("history#")]
    return json.loads(item["document"]["S"])["plan"]


def test_what_the_request_leaves_out_comes_from_its_profile():
    story = tell(NAMED, PROFILE)
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "2", "weights": {}})
    assert story.events.count("WeightShifted") == len(SHORT)


def test_a_profile_may_name_everything():
    story = tell({"profile": "prod-api"}, {**PROFILE, "function_name": "checkout"})
    assert (story.outcome, story.lock_released, story.history_recorded) == ("promoted", True, True)


def test_the_request_wins():
    story = tell({**NAMED, "strategy": "AllAtOnce"}, PROFILE)
    assert story.events.count("WeightShifted") == 1


def test_the_plan_says_which_version_of_the_profile_it_was_made_of():
    with World(Scenario.of({"profiles": {"prod-api": PROFILE}}), NAMED) as world:
        store(world, {**PROFILE, "strategy": "AllAtOnce"})
        plan = plan_of(world)
    assert plan["profile"] == "prod-api:1"
    assert len(plan["steps"]) == len(SHORT)


def store(world, profile):
    """Somebody stores another version a minute into the rollout."""

    def put():
        client("ssm").put_parameter(
            Name="/tidegate/profiles/prod-api", Type="String", Value=json.dumps(profile), Overwrite=True
        )

    world.clock.spawn(put, "another profile", 1.0)


def test_a_version_of_a_profile_can_be_asked_for():
    with World(Scenario.of({"profiles": {"prod-api": PROFILE}}), {**NAMED, "profile": "prod-api:1"}) as world:
        client("ssm").put_parameter(
            Name="/tidegate/profiles/prod-api", Type="String", Value='{"alias_name": "gone"}', Overwrite=True
        )
        assert plan_of(world)["profile"] == "prod-api:1"


# Smoke tests.


def test_the_profiles_smoke_tests_are_run_and_enter_no_state():
    with World(Scenario.of({"profiles": {"prod-api": {**PROFILE, "smoke_tests": FAILING}}}), NAMED) as world:
        arn = world.start()
        end = world.follow(arn)
        pages = client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        history = json.dumps([page["events"] for page in pages], default=str)
    assert end.error == "Rejected"
    assert end.cause
    assert end.cause.startswith("SmokeTestFailed: smoke test 1 of version 2 of checkout does not satisfy")
    assert "hunter2" not in history


def test_smoke_tests_of_the_request_replace_the_profiles():
    profile = {**PROFILE, "smoke_tests": FAILING}
    passing = [{"expect": "statusCode == `200`"}]
    assert tell({**NAMED, "smoke_tests": passing}, profile).outcome == "promoted"
    assert tell({**NAMED, "smoke_tests": []}, profile).outcome == "promoted"


def test_smoke_tests_are_those_of_the_plans_version_whatever_was_stored_since():
    kept = {**PROFILE, "smoke_tests": [{"expect": "statusCode == `200`"}]}
    pending = {"state": "Pending", "active_after_seconds": 60}
    with World(Scenario.of({"profiles": {"prod-api": kept}, "candidate": pending}), NAMED) as world:
        store(world, {**kept, "smoke_tests": FAILING})
        assert world.follow(world.start()).status == "SUCCEEDED"


# Refusals.


@pytest.mark.parametrize(
    ("name", "profile", "says"),
    [
        ("prod-api", None, "no profile prod-api: there is no parameter /tidegate/profiles/prod-api in us-east-1"),
        ("prod-api:9", PROFILE, "no profile prod-api:9: there is no parameter /tidegate/profiles/prod-api:9"),
        ("prod-api", "{not json", "profile prod-api:1 is not JSON"),
        ("prod-api", [1], "profile prod-api:1 is not a JSON object"),
        ("prod-api", {"profile": "other"}, "profile prod-api:1 names a profile itself"),
        ("prod-api", {**PROFILE, "wieght": 1, "force": 2}, "2 problems in profile prod-api:1: "),
        ("../prod", PROFILE, "profile: "),
        (7, PROFILE, "profile: "),
    ],
)
def test_a_profile_that_cannot_be_used_is_refused_in_words(name, profile, says):
    story = tell({**NAMED, "alias_name": "live", "profile": name}, profile)
    assert (story.outcome, story.events, story.lock_released) == ("rejected", ("RolloutRejected",), True)
    assert story.cause
    assert says in story.cause


def test_a_throttled_profile_is_read_again():
    story = tell(NAMED, PROFILE, faults=[{"call": "ssm.GetParameter", "error": "ThrottlingException", "times": 6}])
    assert story.outcome == "promoted"


def test_a_refusal_names_the_function_and_the_alias_that_the_profile_gives():
    profile = {**PROFILE, "function_name": "checkout", "alarms": ["typo"]}
    with World(Scenario.of({"profiles": {"prod-api": profile}}), {"profile": "prod-api"}) as world:
        world.follow(world.start())
        (event,) = [event for event in world.eventbridge.put if event["source"] == "tidegate"]
    assert event["detail-type"] == "RolloutRejected"
    assert (event["detail"]["function_name"], event["detail"]["alias_name"]) == ("checkout", "live")


# What ships.


def test_the_page_about_profiles_and_the_shipped_request_work_together():
    page = (ROOT / "docs/profiles.md").read_text()
    profile, request = map(json.loads, re.findall(r"```json\n(.*?)```", page, re.DOTALL))
    # What the page's metric counts, by the dimensions that it has for this function and alias.
    own = {"service": "checkout", "alias": "live"}
    told = [{"namespace": "Api", "name": "Answered5xx", "counts": "answered_errors", "dimensions": own}]
    assert tell(request, profile, metrics=told).outcome == "promoted"
    shipped = json.loads((ROOT / "events/rollout_with_profile.json").read_text())
    assert tell(shipped, profile, metrics=told).outcome == "promoted"


def test_the_sandboxs_target_is_the_one_that_the_profile_names():
    profiles = {"prod-api": {"function_name": "pay", "alias_name": "prod"}}
    assert Target.named_by({"profile": "prod-api:3"}, profiles) == Target("pay", "prod")
    assert Target.named_by({"profile": "prod-api", "alias_name": "live"}, profiles) == Target("pay", "live")
