"""Guards, RollBack and commands, each invoked alone, beside what the books say of a rollout by then."""

import json
from contextvars import Context
from dataclasses import replace

import pytest

from sandbox.aws.stack import client
from sandbox.world import STARTED_AT
from tests import plans
from tests.aws.records import ended
from tidegate.analysis.health import AlarmRule
from tidegate.aws import history, ledger, locks, watches
from tidegate.aws.executions import Execution
from tidegate.planning.strategy import Step

PLAN = replace(
    plans.PLAN,
    started_at=STARTED_AT - 60,
    steps=(Step(10, 60), Step(100, 60)),
    alarms=(AlarmRule("errors"),),
    revert_window_seconds=3600,
)
LATER = replace(PLAN, rollout_id="later", execution_arn=PLAN.execution_arn + "-later")
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
ALARM = {
    "account": "123456789012",
    "region": "us-east-1",
    "detail": {
        "alarmName": "errors",
        "state": {"value": "ALARM", "timestamp": "2026-01-05T12:00:00.000+0000"},
        "previousState": {"value": "OK"},
    },
}
#: Versions 1 and 2, and the alias on 1.
PUBLISHED = {"versions": {"2": {}}}


def invoke(world, name, event):
    """What that function answers."""
    answer = Context().run(
        client("lambda").invoke, FunctionName=world.stack.ref(f"{name}Function"), Payload=json.dumps(event)
    )
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said
    return said


def hold(plan=PLAN):
    ledger.take_lock(plan.target, plan.execution_arn, STARTED_AT)
    ledger.record_plan(plan)


def told(world):
    return [(each["detail-type"], each["detail"]) for each in world.eventbridge.put if each["source"] == "tidegate"]


# An alarm.


def test_an_alarm_before_any_weight_writes_nothing_to_the_alias_and_stops_the_rollout(inhabit):
    world = inhabit(**PUBLISHED)
    hold()
    assert invoke(world, "GuardAlarm", ALARM) == {"restored": []}
    assert world.boundary.calls["lambda.UpdateAlias"] == 0
    assert locks.read(PLAN.target).restoring.startswith("alarm errors is in ALARM")


def test_an_alarm_that_the_plan_no_longer_names_restores_nothing(inhabit):
    """A second try of PlanRollout has found another profile: what the first one watched is still written down."""
    world = inhabit(**PUBLISHED)
    hold()
    ledger.record_plan(replace(PLAN, alarms=()))
    ledger.record_shift(PLAN, 0, 10.0)
    assert [watch.target for watch in watches.of("errors")] == [PLAN.target]
    assert invoke(world, "GuardAlarm", ALARM) == {"restored": []}
    assert locks.read(PLAN.target).restoring is None


# An execution that ended before it had a lock.


def stopped(**more):
    """EventBridge's event of such an execution."""
    return {
        "detail": {
            "executionArn": PLAN.execution_arn,
            "status": "ABORTED",
            "startDate": STARTED_AT * 1000,
            "stopDate": STARTED_AT * 1000 + 500,
            **more,
        }
    }


def test_an_execution_that_never_had_a_lock_is_written_down_and_told(inhabit):
    world = inhabit()
    event = stopped(input=json.dumps(SMALLEST), error="Boss", cause="not today")
    assert invoke(world, "GuardExecution", event) == {"outcome": "rejected"}
    cause = "execution ABORTED: Boss not today"
    assert history.record_of(PLAN.target, Execution.parse(PLAN.execution_arn), STARTED_AT).ending.cause == cause
    versions = {"from_version": None, "to_version": None}
    detail = {**SMALLEST, **versions, "version": "1", "outcome": "rejected", "proven": None, "cause": cause}
    detail["proven_by"] = []
    assert told(world) == [("RolloutRejected", {**detail, "execution_arn": PLAN.execution_arn})]


def test_a_lock_that_is_taken_after_the_stop_is_closed_as_what_was_told(inhabit):
    world = inhabit()
    invoke(world, "GuardExecution", stopped(input=json.dumps(SMALLEST)))
    ledger.take_lock(PLAN.target, PLAN.execution_arn, STARTED_AT, started_at=STARTED_AT)
    assert invoke(world, "GuardExecution", stopped(input=json.dumps(SMALLEST))) == {"outcome": "rejected"}
    assert locks.read(PLAN.target) is None
    assert [name for name, _ in told(world)] == ["RolloutRejected"]


@pytest.mark.parametrize("text", [None, "no JSON", "[" * 100_000, "[]"], ids=["left out", "no JSON", "deep", "a list"])
def test_an_execution_whose_input_cannot_be_read_is_told_all_the_same(inhabit, text):
    """EventBridge leaves a long one out: `"input": null, "inputDetails": {"included": false}`."""
    world = inhabit()
    world.boundary.serve("stepfunctions.GetExecutionHistory", lambda _params: {"events": []})
    assert invoke(world, "GuardExecution", stopped(input=text)) == {"outcome": "rejected"}
    ((name, detail),) = told(world)
    assert (name, detail["function_name"]) == ("RolloutRejected", None)


@pytest.mark.parametrize("name", ["x" * 3_000, "名" * 1_000, "\ud800", "a\x00b", "", "no name"])
@pytest.mark.parametrize("key", ["function_name", "alias_name"])
def test_a_typo_in_a_name_pages_nobody(inhabit, key, name):
    """What the guard raises goes to the dead-letter queue, and its alarm fires; no key of the table is as long."""
    world = inhabit()
    failed = {"taskFailedEventDetails": {"error": "RequestInvalid"}}
    world.boundary.serve("stepfunctions.GetExecutionHistory", lambda _params: {"events": [failed]})
    event = stopped(status="FAILED", error="Rejected", input=json.dumps({**SMALLEST, key: name}))
    assert invoke(world, "GuardExecution", event) == {"outcome": "nothing open"}


@pytest.mark.parametrize("date", ["2026-01-05T12:00:00Z", str(STARTED_AT * 1000)])
def test_a_date_as_text_is_one_too(inhabit, date):
    world = inhabit()
    event = stopped(input=json.dumps(SMALLEST), error="Boss", cause="not today", startDate=date, stopDate=date)
    assert invoke(world, "GuardExecution", event) == {"outcome": "rejected"}
    assert history.record_of(PLAN.target, Execution.parse(PLAN.execution_arn), STARTED_AT) is not None


@pytest.mark.parametrize("event", [{}, [], None, "x", {"detail": None}, {"detail": {"executionArn": "x", "status": 1}}])
@pytest.mark.parametrize(
    ("name", "answer"), [("GuardExecution", {"outcome": "nothing open"}), ("GuardAlarm", {"restored": []})]
)
def test_what_is_no_event_does_nothing(inhabit, name, answer, event):
    assert invoke(inhabit(), name, event) == answer


@pytest.mark.parametrize("timestamp", [None, "some day", "1e999", {}])
def test_an_alarm_whose_time_cannot_be_read_fires_now(inhabit, timestamp):
    world = inhabit(**PUBLISHED)
    hold()
    event = {**ALARM, "detail": {**ALARM["detail"], "state": {"value": "ALARM", "timestamp": timestamp}}}
    invoke(world, "GuardAlarm", event)
    assert locks.read(PLAN.target).restoring.startswith("alarm errors is in ALARM")


@pytest.mark.parametrize(
    ("status", "error", "last", "outcome"),
    [
        ("SUCCEEDED", None, None, "nothing open"),
        ("FAILED", "Rejected", "FunctionNotFound", "nothing open"),
        ("FAILED", "Rejected", "Sandbox.Timedout", "rejected"),
        ("FAILED", "RolledBack", "Sandbox.Timedout", "nothing open"),
    ],
    ids=["a success", "a refusal that was told", "a refusal that nobody told", "a rollback"],
)
def test_an_end_without_a_lock_is_told_where_nobody_has(inhabit, status, error, last, outcome):
    world = inhabit()
    failed = {"taskFailedEventDetails": {"error": last}}
    world.boundary.serve("stepfunctions.GetExecutionHistory", lambda _params: {"events": [failed]})
    event = stopped(status=status, error=error, input=json.dumps(SMALLEST))
    assert invoke(world, "GuardExecution", event) == {"outcome": outcome}
    assert [name for name, _ in told(world)] == ["RolloutRejected"] * (outcome == "rejected")


def test_what_was_closed_and_perhaps_not_told_is_told_after_a_stop(inhabit):
    world = inhabit()
    hold()
    history.finalize(*ended("rolled_back", "alarm errors is in ALARM", plan=PLAN), STARTED_AT)
    event = stopped(startDate=PLAN.started_at * 1000, input=json.dumps(SMALLEST))
    assert invoke(world, "GuardExecution", event) == {"outcome": "rolled_back"}
    ((name, detail),) = told(world)
    assert (name, detail["cause"]) == ("RolloutRolledBack", "alarm errors is in ALARM")


@pytest.mark.parametrize(("status", "outcome"), [("ABORTED", "rejected"), ("FAILED", "nothing open")])
@pytest.mark.parametrize("planned", [False, True])
def test_what_the_books_say_is_told_where_no_end_state_of_ours_did(inhabit, status, outcome, planned):
    world = inhabit()
    if planned:
        history.finalize(*ended("rejected", "aborted", plan=PLAN), STARTED_AT)
    else:
        history.refuse(PLAN.target, Execution.parse(PLAN.execution_arn), PLAN.started_at, "aborted", held=False)
    event = stopped(
        status=status, error="Rejected", startDate=PLAN.started_at * 1000, input=json.dumps(SMALLEST), cause="late"
    )
    assert invoke(world, "GuardExecution", event) == {"outcome": outcome}
    assert [detail["cause"] for _, detail in told(world)] == ["aborted"] * (status == "ABORTED")


# RollBack, before any traffic.


def rolls_back(**more):
    return {
        "plan": PLAN.to_json(),
        "stable": "1",
        "candidate": "2",
        "progress": None,
        "decision": None,
        "failure": {"Error": "VersionFailed", "Cause": "version 2 is Failed"},
        "traffic_shifted": False,
        "promoting": False,
        "entered_at": "2026-01-05T12:00:00Z",
        "redrives": 0,
        **more,
    }


@pytest.mark.parametrize(
    ("holder", "cause"),
    [(None, "VersionFailed: version 2 is Failed"), (LATER, "VersionFailed: version 2 is Failed"), (PLAN, "aborted")],
    ids=["nobody's lock", "another rollout's", "its own"],
)
def test_only_a_rollouts_own_lock_says_why_it_was_restored(inhabit, holder, cause):
    world = inhabit(**PUBLISHED)
    if holder:
        hold(holder)
        ledger.record_intent(holder.target, holder.execution_arn, "aborted")
    assert invoke(world, "RollBack", rolls_back()) == {"outcome": "rejected", "cause": cause}


# A revert.


@pytest.mark.parametrize(("provisioned", "planned"), [(False, False), (True, True), (True, False)])
def test_a_revert_says_whether_the_version_before_must_be_provisioned_first(inhabit, provisioned, planned):
    """Also where it has come to be provisioned since its rollout, and the alias is read: an answer was lost."""
    environments = {"provisioned_concurrency": 5} if provisioned else {}
    lost = [] if planned else [{"call": "lambda.UpdateAlias", "error": "lost_response"}]
    world = inhabit(alias={"function_version": "2", **environments}, faults=lost)
    plan = replace(PLAN, provisioned=planned)
    hold(plan)
    history.finalize(*ended("promoted", "every gate is healthy", proven=True, plan=plan), STARTED_AT)
    command = {**SMALLEST, "command": "revert", "author": "ana", "reason": "odd"}
    answer = invoke(world, "Command", command)
    assert answer["accepted"]
    assert ("serves all traffic again as soon as it is provisioned, instead" in answer["message"]) is provisioned
    world.clock.sleep(600)
    assert world.routing == ("1", {})


REVERT = {**SMALLEST, "command": "revert", "author": "ana", "reason": "odd"}


def test_without_a_promotion_there_is_nothing_to_revert(inhabit):
    answer = invoke(inhabit(), "Command", REVERT)
    assert not answer["accepted"]
    assert answer["message"] == "no promotion of checkout:live is known, so there is nothing to revert"


@pytest.mark.parametrize(
    ("more", "faults", "why"),
    [
        ({"rollout_id": "another"}, [], "the last promotion is rollout"),
        ({}, [{"call": "lambda.GetFunctionConfiguration", "error": "ResourceNotFoundException"}], "no version 1"),
    ],
)
def test_a_revert_that_is_refused_says_why(inhabit, more, faults, why):
    world = inhabit(alias={"function_version": "2"}, faults=faults)
    hold()
    history.finalize(*ended("promoted", "every gate is healthy", proven=True, plan=PLAN), STARTED_AT)
    answer = invoke(world, "Command", {**REVERT, **more})
    assert (answer["accepted"], world.routing) == (False, ("2", {}))
    assert answer["message"].startswith("checkout:live cannot be reverted: ")
    assert why in answer["message"]


# A sweep.


def rolled_back():
    """A rollout that has ended, whose candidate may still come to have a weight by a late write."""
    hold()
    ledger.record_shift(PLAN, 0, 10)
    history.finalize(*ended("rolled_back", "alarm errors is in ALARM", plan=PLAN), STARTED_AT)


def test_a_sweep_says_how_many_late_writes_it_took_back(inhabit, somebody):
    world = inhabit(**PUBLISHED)
    rolled_back()
    somebody(
        "lambda.update_alias",
        FunctionName="checkout",
        Name="live",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}},
    )
    assert invoke(world, "Sweep", {}) == {"reconciled": 0, "restored": 1}
    assert world.routing == ("1", {})
    assert invoke(world, "Sweep", {}) == {"reconciled": 0, "restored": 0}


def test_an_alias_that_is_gone_is_no_failure_of_a_sweep(inhabit, somebody):
    world = inhabit(**PUBLISHED)
    rolled_back()
    somebody("lambda.delete_alias", FunctionName="checkout", Name="live")
    assert invoke(world, "Sweep", {}) == {"reconciled": 0, "restored": 0}
