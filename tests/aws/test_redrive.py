"""Redrive: Step Functions developer guide, "Restarting state machine executions with redrive", seen through the SDK.

Where another source is meant, the test names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.redrive import MAX_EVENTS, Redrives, reentry, refusal
from tests.aws.step_functions import T0, StepFunctions, catch, succeed, task, wait, world

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RETRY_TWICE = [{"ErrorEquals": ["Refused"], "IntervalSeconds": 10, "MaxAttempts": 2, "BackoffRate": 1.0}]
FAIL = {"Type": "Fail", "Error": "RolledBack", "Cause": "{% $why %}"}


@pytest.fixture
def sfn(tmp_path: Path) -> Iterator[StepFunctions]:
    with world(tmp_path) as opened:
        yield opened


def redrive(sfn: StepFunctions, execution: str, **token: str) -> datetime:
    answer = sfn.client.redrive_execution(executionArn=execution, **token)
    redriven: datetime = answer["redriveDate"]
    return redriven


def refused(sfn: StepFunctions, execution: str) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        redrive(sfn, execution)
    answer: Any = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def settle(sfn: StepFunctions, execution: str) -> dict[str, Any]:
    sfn.clock.run(sfn.clock.idle)
    return sfn.describe(execution)


def stopped(sfn: StepFunctions, states: dict[str, Any], after: float, payload: Any = None, **limit: int) -> str:
    execution = sfn.start(states, payload, **limit)
    sfn.clock.sleep(after)
    sfn.client.stop_execution(executionArn=execution, error="Stopped", cause="by hand")
    return execution


BAKE = {
    "Plan": {
        "Type": "Pass",
        "Assign": {
            "step": "{% $states.input.first %}",
            "words": "{% $states.input.said %}",
            "nothing": None,
            "list": [1, {"a": None}],
        },
        "Output": {"from": "Plan"},
        "Next": "Bake",
    },
    "Bake": {
        "Type": "Wait",
        "Seconds": 60,
        "Assign": {"step": "{% $step + 1 %}"},
        "Next": "Done",
    },
    "Done": succeed(
        "{% {'step': $step, 'words': $words, 'list': $list, 'nothing': $nothing, 'input': $states.input} %}"
    ),
}


def test_it_goes_on_in_the_state_where_it_ended_with_the_input_and_the_variables_of_then(sfn: StepFunctions) -> None:
    execution = stopped(sfn, BAKE, 30, {"first": 7, "said": 'a "b"\n'})
    sfn.clock.sleep(100)
    assert redrive(sfn, execution).timestamp() == T0 + 130
    running = sfn.describe(execution)
    assert running["status"] == "RUNNING"
    assert not {"stopDate", "error", "cause"} & running.keys()

    ended = settle(sfn, execution)
    assert (ended["executionArn"], ended["status"]) == (execution, "SUCCEEDED")
    assert ended["stopDate"].timestamp() == T0 + 130 + 60, "a Wait for so many seconds begins anew (chosen)"
    assert json.loads(ended["output"]) == {
        "step": 8,
        "words": 'a "b"\n',
        "list": [1, {"a": None}],
        "nothing": None,
        "input": {"from": "Plan"},
    }


def test_history_goes_on_too(sfn: StepFunctions) -> None:
    """The events of the first attempt stay, and RedriveExecution's are appended."""
    execution = stopped(sfn, BAKE, 30, {"first": 7, "said": "so"})
    before = sfn.history(execution)
    redrive(sfn, execution)
    settle(sfn, execution)
    events = sfn.client.get_execution_history(executionArn=execution)["events"]
    assert [event["type"] for event in events] == [
        *before,
        "ExecutionRedriven",
        "WaitStateEntered",
        "WaitStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    redriven = events[len(before)]
    assert redriven["executionRedrivenEventDetails"] == {"redriveCount": 1}
    assert redriven["previousEventId"] == len(before)
    assert events[len(before) + 1]["previousEventId"] == redriven["id"]


def test_retries_and_time_outs_begin_anew(sfn: StepFunctions) -> None:
    """Developer guide, "Retry behavior of redriven executions"; "the state machine level timeout ... is reset to 0"."""
    states = {"Work": task("fail", Retry=RETRY_TWICE)}
    execution = sfn.start(states, timeout_seconds=25)
    assert settle(sfn, execution)["status"] == "FAILED"
    assert sfn.clock.now() == T0 + 20
    sfn.clock.sleep(1000)
    redrive(sfn, execution)
    assert settle(sfn, execution)["status"] == "FAILED"
    assert sfn.clock.now() == T0 + 1020 + 20
    assert sfn.history(execution).count("TaskFailed") == 6


def test_one_that_timed_out_times_out_again(sfn: StepFunctions) -> None:
    execution = sfn.start({"Bake": wait(60, "Done"), "Done": succeed(1)}, timeout_seconds=45)
    assert settle(sfn, execution)["status"] == "TIMED_OUT"
    redrive(sfn, execution)
    ended = settle(sfn, execution)
    assert (ended["status"], ended["stopDate"].timestamp()) == ("TIMED_OUT", T0 + 90)


def test_a_fail_state_is_entered_again_and_fails_again(sfn: StepFunctions) -> None:
    """Developer guide, "Redrive behavior of individual states"."""
    states = {
        "Work": task("fail", Catch=catch("Why?")),
        "Why?": {"Type": "Pass", "Assign": {"why": "{% $e.Error & '!' %}"}, "Next": "RolledBack"},
        "RolledBack": FAIL,
    }
    execution = sfn.start(states)
    first = settle(sfn, execution)
    sfn.clock.sleep(60)
    redrive(sfn, execution)
    again = settle(sfn, execution)
    assert [(each["status"], each["error"], each["cause"]) for each in (first, again)] == [
        ("FAILED", "RolledBack", "Refused!")
    ] * 2
    assert sfn.history(execution).count("FailStateEntered") == 2
    assert sfn.history(execution)[-4:] == [
        "ExecutionFailed",
        "ExecutionRedriven",
        "FailStateEntered",
        "ExecutionFailed",
    ]


def test_what_runs_or_succeeded_is_not_redriven(sfn: StepFunctions) -> None:
    """API reference, RedriveExecution, ExecutionNotRedrivable; the texts are those of redriveStatusReason."""
    execution = sfn.start({"Bake": wait(60, "Done"), "Done": succeed(1)})
    sfn.clock.sleep(30)
    for status in ("RUNNING", "SUCCEEDED"):
        reason = f"Execution is {status} and cannot be redriven"
        assert refused(sfn, execution) == ("ExecutionNotRedrivable", reason, 400)
        described = sfn.describe(execution)
        assert (described["redriveStatus"], described["redriveStatusReason"]) == ("NOT_REDRIVABLE", reason)
        settle(sfn, execution)
    assert sfn.describe(execution)["redriveCount"] == 0
    assert refused(sfn, execution + "0")[0] == "ExecutionDoesNotExist"


def test_descriptions_count_redrives(sfn: StepFunctions) -> None:
    """Recorded facts, S19: redriveCount is there from the beginning. API reference, DescribeExecution."""
    execution = stopped(sfn, BAKE, 30, {"first": 1, "said": "so"})
    ended = sfn.describe(execution)
    assert (ended["redriveCount"], ended["redriveStatus"]) == (0, "REDRIVABLE")
    assert not {"redriveDate", "redriveStatusReason"} & ended.keys()
    for count in (1, 2):
        at = redrive(sfn, execution)
        sfn.clock.sleep(10)
        sfn.client.stop_execution(executionArn=execution)
        ended = sfn.describe(execution)
        assert (ended["status"], ended["redriveCount"], ended["redriveDate"]) == ("ABORTED", count, at)


def test_one_token_redrives_once(sfn: StepFunctions) -> None:
    """API reference, RedriveExecution, clientToken: what the SDK sends with a call and its retries."""
    execution = stopped(sfn, BAKE, 30, {"first": 1, "said": "so"})
    at = redrive(sfn, execution, clientToken="the-same")
    sfn.clock.sleep(5)
    assert redrive(sfn, execution, clientToken="the-same") == at
    assert sfn.describe(execution)["redriveCount"] == 1


def test_the_context_object_counts_redrives(sfn: StepFunctions) -> None:
    """Recorded facts, S22: RedriveCount is 0 in a first run. Developer guide, "Accessing execution data from the
    Context object": RedriveTime is there in a redriven execution alone.
    """
    told = "{% $states.context.Execution.($string(RedriveCount) & ' ' & ($exists(RedriveTime) ? RedriveTime : '-')) %}"
    states = {"Why": {"Type": "Fail", "Error": "Told", "Cause": told}}
    execution = sfn.start(states)
    assert settle(sfn, execution)["cause"] == "0 -"
    sfn.clock.sleep(60)
    redrive(sfn, execution)
    assert settle(sfn, execution)["cause"].startswith("1 2026-01-01T00:01:00")


def test_a_redriven_execution_tells_that_it_runs_and_how_it_ends(sfn: StepFunctions) -> None:
    """Developer guide, "Automating Step Functions event delivery with EventBridge": the keys of redrive."""
    execution = stopped(sfn, BAKE, 30, {"first": 1, "said": "so"})
    sfn.clock.sleep(30)
    redrive(sfn, execution)
    settle(sfn, execution)
    assert [each["status"] for each in sfn.statuses] == ["RUNNING", "ABORTED", "RUNNING", "SUCCEEDED"]
    assert {each["executionArn"] for each in sfn.statuses} == {execution}
    aborted, running, succeeded = sfn.statuses[1:]
    assert (aborted["redriveStatus"], aborted["redriveStatusReason"]) == ("REDRIVABLE", None)
    assert (running["redriveCount"], running["redriveDate"]) == (1, (T0 + 60) * 1000)
    assert (running["stopDate"], running["error"], running["cause"]) == (None, None, None)
    assert (succeeded["redriveCount"], succeeded["startDate"]) == (1, T0 * 1000)


def test_one_that_was_stopped_before_its_first_state_begins_at_the_start(sfn: StepFunctions) -> None:
    execution = sfn.start(BAKE, {"first": 3, "said": "so"})
    sfn.client.stop_execution(executionArn=execution)
    redrive(sfn, execution)
    assert json.loads(settle(sfn, execution)["output"])["step"] == 4


# Without a machine.


def test_fourteen_days_and_as_many_events_as_a_history_holds() -> None:
    """API reference, RedriveExecution."""
    fortnight = timedelta(days=14)
    assert refusal("FAILED", NOW, MAX_EVENTS - 1, NOW + fortnight) is None
    assert refusal("ABORTED", NOW, 1, NOW + fortnight + timedelta(seconds=1)) == "Execution redrivable period exceeded"
    assert refusal("TIMED_OUT", NOW, MAX_EVENTS, NOW) == "Execution history event limit exceeded"


def test_tokens_are_known_for_a_while() -> None:
    """API reference, RedriveExecution, clientToken: the last ten, for up to fifteen minutes."""
    redrives = Redrives()
    for number in range(11):
        redrives.note(str(number), NOW)
    redrives.note(None, NOW)
    assert redrives.count == 12
    assert [redrives.answered(token, NOW) for token in ("0", "1", "10", None)] == [None, NOW, NOW, None]
    assert redrives.answered("10", NOW + timedelta(minutes=16)) is None


def test_a_state_assigns_only_when_it_is_left() -> None:
    def entered(name: str) -> dict[str, Any]:
        return {"stateEnteredEventDetails": {"name": name, "input": "{}"}}

    def left(**assigned: str) -> dict[str, Any]:
        return {"stateExitedEventDetails": {"assignedVariables": assigned}}

    found = reentry([entered("A"), left(x="1", y="2"), entered("B"), left(x='"three"'), entered("C")])
    assert (found.state, found.input, found.variables) == ("C", {}, {"x": "three", "y": 2})
    assert reentry([]).state is None
