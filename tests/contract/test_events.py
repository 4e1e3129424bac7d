"""The files in events/: each is what its handler is given, and the requests among them are valid."""

import json

import jsonschema
import pytest

from tests.contract import asl_rules
from tests.contract.artifacts import MACHINE, ROOT
from tests.contract.test_state_machine import snake
from tidegate.control.commands import Command
from tidegate.control.progress import Standing
from tidegate.planning.plan import Plan
from tidegate.planning.profile import Profile
from tidegate.request.rollout_request import RolloutRequest, json_schema

EVENTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
TASKS = {snake(name): task for name, task in asl_rules.tasks(MACHINE)}
OTHERS = {"command", "count_durable", "guard_alarm", "guard_execution"}
REQUESTS = [name for name in EVENTS if name not in {*TASKS, *OTHERS}]


@pytest.mark.parametrize("name", TASKS)
def test_a_tasks_event_has_what_the_state_machine_passes(name):
    assert set(EVENTS[name]) == set(TASKS[name]["Arguments"]["Payload"])


@pytest.mark.parametrize("name", [name for name in EVENTS if "plan" in EVENTS[name]])
def test_a_tasks_event_holds_a_whole_plan_and_its_progress(name):
    event = EVENTS[name]
    plan = Plan.from_json(event["plan"])
    assert event.get("stable", plan.stable) == plan.stable
    if standing := Standing.found(event):
        assert standing.progress.first_shift_at >= plan.started_at
        assert standing.to_json() == {"progress": event["progress"], "decision": event["decision"]}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_valid_for_the_parser_and_for_the_schema(name):
    profile = Profile("prod-api", 1, {"alias_name": "live"}) if "profile" in EVENTS[name] else None
    assert RolloutRequest.parse(EVENTS[name], region="us-east-1", account="123456789012", profile=profile)
    jsonschema.validate(EVENTS[name], json_schema())


def test_the_schema_asks_for_function_and_alias_unless_a_profile_may_give_them():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"function_name": "checkout"}, json_schema())
    jsonschema.validate({"function_name": "checkout", "profile": "prod-api"}, json_schema())


def test_the_commands_event_is_a_command():
    assert Command.parse(EVENTS["command"]).target == "checkout:live"


def test_the_guards_events_are_eventbridges():
    event = EVENTS["guard_execution"]
    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert event["detail"]["status"] in ("FAILED", "TIMED_OUT", "ABORTED")
    event = EVENTS["guard_alarm"]
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["state"]["value"] == "ALARM"


def test_the_event_of_executions_is_a_batch_of_sqs():
    records = EVENTS["count_durable"]["Records"]
    assert {record["eventSource"] for record in records} == {"aws:sqs"}
    assert {json.loads(record["body"])["detail-type"] for record in records} == {"Durable Execution Status Change"}
