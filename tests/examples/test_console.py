"""What people paste into the console, and what the console then shows: the files in events/ and docs/console.md."""

import json
import re

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.story import play
from sandbox.world import World
from tests.examples.executions import output, run
from tests.examples.shipped import ROOT, request

PAGE = (ROOT / "docs/console.md").read_text(encoding="utf-8")
PASTED = re.findall(r"^\| \[`(\w+\.json)`\]", PAGE, re.MULTILINE)
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
ALARM = {"name": "checkout-errors"}
SHOP_ORDERS = {
    "namespace": "Shop",
    "name": "OrdersFailed",
    "counts": "answered_errors",
    "dimensions": {"service": "checkout"},
}
PROFILES = {"prod-api": {"alias_name": "live"}}

#: What each file meets where all goes well, beside the defaults.
GOOD = {
    "canary_with_alarm.json": {"alarms": [ALARM]},
    "rollout_with_profile.json": {"profiles": PROFILES},
    "approval_gate.json": {"timeline": [{"at_second": 1200, "do": "command", "command": "approve"}]},
    "low_traffic.json": {"requests_per_minute": 60},
    "own_metric.json": {"metrics": [SHOP_ORDERS]},
}


def test_the_page_lists_every_request_that_ships():
    shipped = {
        path.name for path in (ROOT / "events").glob("*.json") if "function_name" in json.loads(path.read_text())
    }
    assert shipped - {"command.json"} == set(PASTED)


@pytest.mark.parametrize("name", [name for name in PASTED if name != "adopted_version.json"])
def test_a_good_release_is_promoted(name):
    story = play(request(f"events/{name}"), Scenario.of(GOOD.get(name, {})))
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)


@pytest.mark.parametrize("name", [name for name in PASTED if name != "adopted_version.json"])
def test_a_bad_release_is_rolled_back(name):
    story = play(request(f"events/{name}"), Scenario.of({**GOOD.get(name, {}), "candidate": {"error_rate": 0.3}}))
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)


def test_the_adopted_version_is_smoke_tested_and_promoted():
    asked = request("events/adopted_version.json")
    with World(Scenario.of({}), asked) as world:
        client("lambda").publish_version(FunctionName="checkout")
        client("lambda").update_function_code(FunctionName="checkout", ZipFile=b"what somebody deployed since")
        assert output(run(world, "pasted", json.dumps(asked)))["to_version"] == "2"
    with World(Scenario.of({"candidate": {"error_rate": 1}}), asked) as world:
        client("lambda").publish_version(FunctionName="checkout")
        end = run(world, "pasted", json.dumps(asked))
        assert (end.error, world.routing) == ("Rejected", ("1", {}))
        assert "SmokeTestFailed" in end.cause


def test_the_gate_without_an_approver_goes_back():
    """With a shorter wait than the file's day, which would tell the same story a thousand looks later."""
    asked = request("events/approval_gate.json")
    asked["steps"][1]["approval"]["timeout_seconds"] = 900
    story = play(asked, Scenario.of({"requests_per_minute": 60}))
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.cause == "nobody approved 50 % within 15 min"


REFUSED = [
    ({"function_name": "checkout", "alias": "live", "steps": [{"weight": 10}]}, {}),
    (json.dumps(SMALLEST), {}),
    (SMALLEST, {"alias": {"exists": False}}),
    (SMALLEST, {"alias": {"weights": {"2": 0.1}}}),
    ({**SMALLEST, "alarms": ["checkout-errors"]}, {"alarms": [{**ALARM, "state": "ALARM"}]}),
    ({**SMALLEST, "alarms": ["checkout-errors"]}, {}),
    (request("events/own_metric.json"), {}),
    ({**SMALLEST, "version": "7"}, {}),
    ({**SMALLEST, "smoke_tests": [{"expect": "statusCode == `201`"}]}, {}),
    (SMALLEST, {"candidate": {"role": "other-role"}}),
]
QUOTED = re.findall(r"^\| `(.+?)`( …)? \| ", PAGE.partition("| Rejected, because")[2], re.MULTILINE)


@pytest.mark.parametrize(("number", "asked", "scenario"), [(at, *each) for at, each in enumerate(REFUSED)])
def test_a_refusal_reads_as_the_page_says(number, asked, scenario):
    quoted, goes_on = QUOTED[number]
    story = play(asked, Scenario.of(scenario))
    assert (story.outcome, story.states[-1]) == ("rejected", "Rejected")
    assert story.cause.startswith(quoted) if goes_on else story.cause == quoted
    # What PlanRollout refuses, the graph shows there; what it finds later goes by RollBack.
    assert ("RollBack" in story.states) == bool(re.match(r"[A-Z]\w+: ", quoted))


def test_a_second_rollout_is_told_which_one_runs():
    (quoted, _) = QUOTED[-1]
    with World(Scenario.of({"timeline": [{"at_second": 200, "do": "start_execution"}]}), SMALLEST) as world:
        first = world.start()
        world.follow(first)
        (second,) = (end for arn, end in world.executions.items() if arn != first)
    assert second.error == "Rejected"
    assert second.cause.startswith(f"{quoted} {first}")


def test_every_quoted_refusal_is_told_here():
    assert len(QUOTED) == len(REFUSED) + 1
