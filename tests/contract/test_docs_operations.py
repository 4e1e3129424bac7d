"""docs/operations.md says of every event what is in it, and of every metric its name."""

import json
import re

import pytest

from sandbox.scenario import Scenario
from sandbox.world import World
from tests.contract.artifacts import FUNCTIONS, RESOURCES, ROOT
from tidegate.application import announcement

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
#: What runs on Lambda: people's rooms of the package send no event.
SOURCE = "".join(
    path.read_text(encoding="utf-8")
    for path in (ROOT / "functions").rglob("*.py")
    if not {"cli", "terminal", "views"} & set(path.parts)
)
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
GATED = {
    "steps": [
        {"weight": 10, "bake_seconds": 60},
        {"weight": 100, "bake_seconds": 60, "approval": {"timeout_seconds": 120, "on_timeout": "continue"}},
    ]
}


def keys(cell):
    return set(re.findall(r"`(\w+)`", cell))


#: Each event's own keys, and those that all have, as the page has them.
TOLD = {
    event: keys(besides) for event, besides in re.findall(r"^\| `(\w+)` \| (.*?) \| (?:yes )?\|$", PAGE, re.MULTILINE)
}
(_COMMON,) = re.findall(r"Every detail has (.*?)\n\n", PAGE, re.DOTALL)
COMMON = keys(_COMMON)

STORIES = {
    "promoted, and taken back": (
        GATED,
        {"timeline": [{"at_second": 7000, "do": "command", "command": "revert"}]},
        {"RolloutStarted", "WeightShifted", "ApprovalNeeded", "RolloutPromoted", "RolloutReverted"},
    ),
    "rolled back": ({}, {"candidate": {"error_rate": 0.3}}, {"RolloutRolledBack"}),
    "nothing new": ({}, {"publish": {"unchanged": True}}, {"RolloutUnchanged"}),
    "refused": ({"alarms": ["missing"]}, {}, {"RolloutRejected"}),
    "moved by somebody": (
        {},
        {"timeline": [{"at_second": 90, "do": "update_alias", "function_version": "7", "weights": {}}]},
        {"RolloutInterrupted"},
    ),
    "not restored": (
        {},
        {
            "candidate": {"error_rate": 0.3},
            "faults": [{"call": "lambda.UpdateAlias", "error": "AccessDeniedException", "times": "always", "skip": 1}],
        },
        {"RollbackFailed"},
    ),
    "put right after its end": (
        {"version": "2"},
        {
            "candidate": {"error_rate": 0.5},
            "timeline": [
                {"at_second": 260, "do": "update_alias", "function_version": "1", "weights": {"2": 0.1}},
            ],
        },
        {"RolloutRolledBack", "AliasRestored"},
    ),
}


def test_the_page_names_every_event_that_is_sent():
    assert set(TOLD) == set.union(*(events for *_, events in STORIES.values()))
    assert set(TOLD) == set(
        re.findall(r'"(WeightShifted|ApprovalNeeded|RollbackFailed|AliasRestored|Rollout[A-Z]\w+)"', SOURCE)
    )


def test_the_page_says_which_events_become_notices():
    noticed = set(re.findall(r"^\| `(\w+)` \| .*? \| yes \|$", PAGE, re.MULTILINE))
    assert noticed == announcement._HEADLINES.keys()


@pytest.mark.parametrize("story", STORIES)
def test_an_event_has_the_keys_that_the_page_says(story):
    request, scenario, events = STORIES[story]
    with World(Scenario.of(scenario), {**SMALLEST, **request}) as world:
        world.follow(world.start())
        world.settle()
        sent = [event for event in world.eventbridge.put if event["source"] == "tidegate"]
    assert events <= {event["detail-type"] for event in sent}
    for event in sent:
        detail = event["detail"] if isinstance(event["detail"], dict) else json.loads(event["detail"])
        assert set(detail) == COMMON | TOLD[event["detail-type"]], event["detail-type"]


def test_the_page_names_every_metric_and_every_alarm():
    sent = re.findall(r'(?:(?:count|measure)\(|OPEN_ROLLBACKS = )"(\w+)"', SOURCE)
    assert set(sent) <= keys(PAGE.partition("## Metrics")[2])
    alarms = {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms == set(re.findall(r"^## (\w+Alarm)$", PAGE, re.MULTILINE))


def test_the_page_looks_up_resources_that_are_there():
    assert set(re.findall(r"--logical-resource-id (\w+)", PAGE)) <= {*RESOURCES, *FUNCTIONS}
