"""Step Functions as AWS has it, on moto's interpreter: one test per point at which moto is corrected.

When moto moves, the first test fails; the others say what broke. Every test runs a state machine whose Tasks call
small handlers in virtual time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moto
import pytest
from botocore.exceptions import ClientError

from sandbox.aws.faults import CallFault, HandlerFault
from sandbox.aws.interpreter import MOTO_VERSION
from tests.aws.step_functions import ROLE, T0, StepFunctions, catch, succeed, task, wait, world


@pytest.fixture
def sfn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StepFunctions]:
    with world(tmp_path, **getattr(request, "param", {})) as sfn:
        yield sfn


def faulty(**faults: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sfn", [faults], indirect=True)


CAUGHT = succeed("{% $e.Error %}")
HELD = {"calls": [CallFault("dynamodb.ListTables", "held", seconds=20)]}


def test_the_corrections_are_made_for_this_moto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert moto.__version__ == MOTO_VERSION
    monkeypatch.setattr(moto, "__version__", "6.0.0")
    with pytest.raises(RuntimeError, match=r"this is 6\.0\.0"), world(tmp_path):
        pass


# --- Time -------------------------------------------------------------------------------------------------------------


def test_a_wait_takes_virtual_time(sfn: StepFunctions) -> None:
    ended = sfn.play({"Bake": wait("{% $states.input.seconds %}", "Done"), "Done": succeed(1)}, {"seconds": 86_400})
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() == 86_400


@pytest.mark.parametrize("jitter", ["NONE", "FULL"])
def test_the_back_off_of_a_retry_takes_virtual_time(sfn: StepFunctions, jitter: str) -> None:
    retry = {"ErrorEquals": ["Refused"], "IntervalSeconds": 10, "MaxAttempts": 2, "BackoffRate": 3.0}
    sfn.play({"Fail": task("fail", Retry=[{**retry, "JitterStrategy": jitter}])})
    passed = sfn.clock.now() - T0
    assert passed == 40 if jitter == "NONE" else 0 < passed < 40


def test_the_same_seed_gives_the_same_jitter_and_another_one_does_not(tmp_path: Path) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "JitterStrategy": "FULL"}]

    def passed(seed: int) -> float:
        with world(tmp_path, seed=seed) as sfn:
            sfn.play({"Fail": task("fail", Retry=retry)})
            return sfn.clock.now()

    assert passed(1) == passed(1) != passed(2)


@faulty(**HELD)
def test_a_handler_runs_on_after_its_task_timed_out(sfn: StepFunctions) -> None:
    execution = sfn.start({"Work": task("work", TimeoutSeconds=5, Catch=catch()), "Caught": CAUGHT})
    sfn.clock.run(lambda: len(sfn.statuses) == 2)
    assert sfn.clock.now() == T0 + 5
    assert sfn.describe(execution)["output"] == '"States.Timeout"'
    events = sfn.history(execution)
    assert "TaskTimedOut" in events

    sfn.clock.run(sfn.clock.idle)

    assert sfn.runtime.logs == ["worked"]
    assert sfn.history(execution) == events


@faulty(**HELD)
def test_an_execution_times_out_at_once_and_its_handler_runs_on(sfn: StepFunctions) -> None:
    execution = sfn.start({"Work": task("work", Next="Never"), "Never": succeed(1)}, timeout_seconds=8)
    sfn.clock.run(lambda: len(sfn.statuses) == 2)
    assert sfn.clock.now() == T0 + 8
    ended = sfn.describe(execution)
    assert ended["status"] == sfn.statuses[-1]["status"] == "TIMED_OUT"
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() == 8
    events = sfn.history(execution)
    assert events[-1] == "ExecutionTimedOut"

    sfn.clock.run(sfn.clock.idle)

    assert sfn.runtime.logs == ["worked"]
    assert sfn.history(execution) == events


@faulty(**HELD)
def test_stop_aborts_at_once_and_the_handler_runs_on(sfn: StepFunctions) -> None:
    execution = sfn.start({"Work": task("work", Catch=catch(), Next="Never"), "Never": succeed(1), "Caught": CAUGHT})
    sfn.clock.sleep(3)

    sfn.client.stop_execution(executionArn=execution, error="Operator", cause="enough")

    ended = sfn.describe(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Operator", "enough")
    assert ended["stopDate"].timestamp() == T0 + 3
    events = sfn.history(execution)
    assert events[-1] == "ExecutionAborted"
    sfn.clock.run(sfn.clock.idle)
    assert sfn.clock.now() > T0 + 20
    assert sfn.runtime.logs == ["worked"]
    assert sfn.history(execution) == events
    assert [status["status"] for status in sfn.statuses] == ["RUNNING", "ABORTED"]


def test_stop_during_a_wait_leaves_nothing_to_do(sfn: StepFunctions) -> None:
    execution = sfn.start({"Bake": wait(3600, "Done"), "Done": succeed(1)})
    sfn.clock.sleep(10)
    sfn.client.stop_execution(executionArn=execution)
    sfn.clock.run(sfn.clock.idle)
    assert sfn.clock.now() == T0 + 10


def test_stop_in_the_very_moment_of_the_start(sfn: StepFunctions) -> None:
    execution = sfn.start({"Work": task("work")})
    sfn.client.stop_execution(executionArn=execution)
    sfn.clock.run(sfn.clock.idle)
    assert sfn.history(execution) == ["ExecutionStarted", "ExecutionAborted"]


def test_stop_after_the_end_changes_nothing(sfn: StepFunctions) -> None:
    execution = sfn.start({"Done": succeed(1)})
    sfn.clock.run(sfn.clock.idle)
    before = sfn.describe(execution)
    sfn.clock.sleep(60)
    stopped = sfn.client.stop_execution(executionArn=execution)
    assert stopped["stopDate"] == before["stopDate"]
    assert sfn.describe(execution)["status"] == "SUCCEEDED"


def test_several_executions_run_at_once(sfn: StepFunctions) -> None:
    states = {"Bake": wait("{% $states.input.seconds %}", "Done"), "Done": succeed("{% $states.input.seconds %}")}
    machine = sfn.machine(states)
    for seconds in (30, 10, 20):
        sfn.client.start_execution(stateMachineArn=machine, input=json.dumps({"seconds": seconds}))
    sfn.clock.run(sfn.clock.idle)
    ends = [status for status in sfn.statuses if status["status"] == "SUCCEEDED"]
    assert [status["output"] for status in ends] == ["10", "20", "30"]
    assert sfn.clock.now() == T0 + 30


def test_nothing_is_left_running_when_the_world_closes_in_the_middle(tmp_path: Path) -> None:
    before = threading.active_count()
    with world(tmp_path, **HELD) as sfn:
        sfn.start({"Work": task("work")})
        sfn.start({"Bake": wait(3600, "Done"), "Done": succeed(1)})
        sfn.clock.sleep(5)
        assert threading.active_count() > before
    assert threading.active_count() == before


# --- The API ----------------------------------------------------------------------------------------------------------


def test_an_unnamed_execution_gets_a_name_of_its_own(sfn: StepFunctions) -> None:
    machine = sfn.machine({"Done": succeed(1)})
    arns = [sfn.client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2)]
    names = [sfn.describe(arn)["name"] for arn in arns]
    assert len(set(names)) == 2
    assert all(len(name) == 36 and arn.endswith(f":{name}") for name, arn in zip(names, arns, strict=True))


def test_starting_is_idempotent_while_the_execution_runs(sfn: StepFunctions) -> None:
    start = {"stateMachineArn": sfn.machine({"Bake": wait(60, "Done"), "Done": succeed(1)}), "name": "once"}
    first = sfn.client.start_execution(**start, input="{}")
    sfn.clock.sleep(30)
    again = sfn.client.start_execution(**start, input="{}")
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    with pytest.raises(sfn.client.exceptions.ExecutionAlreadyExists):
        sfn.client.start_execution(**start, input='{"other": 1}')
    sfn.clock.run(sfn.clock.idle)
    with pytest.raises(sfn.client.exceptions.ExecutionAlreadyExists):
        sfn.client.start_execution(**start, input="{}")
    assert [status["status"] for status in sfn.statuses] == ["RUNNING", "SUCCEEDED"]


def test_a_name_may_not_hold_a_colon(sfn: StepFunctions) -> None:
    with pytest.raises(ClientError) as raised:
        sfn.client.start_execution(stateMachineArn=sfn.machine({"Done": succeed(1)}), name="at 12:00")
    assert raised.value.response["Error"]["Code"] == "InvalidName"


@pytest.mark.parametrize("output", ['a "quoted"\nline', "", None, 0, [], {"a": [None, True, 1.5]}])
def test_an_output_is_json_also_where_it_is_a_string(sfn: StepFunctions, output: Any) -> None:
    ended = sfn.play({"Done": succeed(output)})
    assert json.loads(ended["output"]) == output


def test_history_comes_in_pages_and_newest_first_if_asked(sfn: StepFunctions) -> None:
    execution = sfn.start({"Bake": wait(1, "Done"), "Done": succeed("secret")})
    sfn.clock.run(sfn.clock.idle)
    oldest_first = sfn.history(execution)
    assert oldest_first[0] == "ExecutionStarted"
    assert oldest_first[-1] == "ExecutionSucceeded"
    assert sfn.history(execution, reverseOrder=True) == oldest_first[::-1]

    pages = sfn.client.get_paginator("get_execution_history").paginate(executionArn=execution, maxResults=2)
    assert [event["type"] for page in pages for event in page["events"]] == oldest_first

    bare = sfn.client.get_execution_history(executionArn=execution, includeExecutionData=False)["events"]
    assert "secret" not in str(bare)


def test_a_status_change_tells_what_aws_tells(sfn: StepFunctions) -> None:
    """Recorded facts, S18: eighteen keys, of which those of redrive and of versions are null here."""
    ended = sfn.play({"Bake": wait(60, "Done"), "Done": succeed({"outcome": "promoted"})}, {"a": 1})
    started, succeeded = sfn.statuses
    assert succeeded == {
        "executionArn": ended["executionArn"],
        "stateMachineArn": ended["stateMachineArn"],
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "name": ended["name"],
        "status": "SUCCEEDED",
        "startDate": T0 * 1000,
        "stopDate": (T0 + 60) * 1000,
        "input": '{"a": 1}',
        "inputDetails": {"included": True},
        "output": '{"outcome":"promoted"}',
        "outputDetails": {"included": True},
        "error": None,
        "cause": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
    }
    assert len(succeeded) == 18
    assert (started["status"], started["stopDate"], started["output"]) == ("RUNNING", None, None)


def test_a_failed_execution_tells_error_and_cause(sfn: StepFunctions) -> None:
    fail = {"Type": "Fail", "Error": "RolledBack", "Cause": "{% 'checkout:live ' & $states.input.why %}"}
    ended = sfn.play({"RolledBack": fail}, {"why": 'is "back"'})
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "RolledBack", 'checkout:live is "back"')
    assert (sfn.statuses[-1]["error"], sfn.statuses[-1]["cause"]) == (ended["error"], ended["cause"])


def test_a_task_leaves_five_events(sfn: StepFunctions) -> None:
    execution = sfn.start({"Echo": task("echo")})
    sfn.clock.run(sfn.clock.idle)
    assert sfn.history(execution)[1:-1] == [
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
    ]


# --- The language -----------------------------------------------------------------------------------------------------


def test_strings_survive_variables_whatever_they_hold(sfn: StepFunctions) -> None:
    text = '{"quoted": "a \\"b\\" \\\\ c"}\nnext line $x {% %} ünïcode'
    keep = {"Type": "Pass", "Assign": {"text": "{% $states.input.text %}"}, "Next": "Echo"}
    echo = task("echo", {"text": "{% $text %}"}, Assign={"again": "{% $states.result.Payload.text %}"}, Next="Done")
    done = succeed({"text": "{% $again %}", "length": "{% $length($text) %}"})
    execution = sfn.start({"Keep": keep, "Echo": echo, "Done": done}, {"text": text})
    sfn.clock.run(sfn.clock.idle)
    assert json.loads(sfn.describe(execution)["output"]) == {"text": text, "length": len(text)}

    events = sfn.client.get_execution_history(executionArn=execution)["events"]
    exited = next(event["stateExitedEventDetails"] for event in events if event["type"] == "PassStateExited")
    assert json.loads(exited["assignedVariables"]["text"]) == text


def test_null_false_and_empty_are_not_undefined(sfn: StepFunctions) -> None:
    values = {"none": None, "no": False, "zero": 0, "list": [], "one": [1], "nested": [[None]], "object": {}}
    keep = {"Type": "Pass", "Assign": {"values": "{% $states.input %}"}, "Next": "Done"}
    ended = sfn.play({"Keep": keep, "Done": succeed({name: f"{{% $values.{name} %}}" for name in values})}, values)
    assert json.loads(ended["output"]) == values


def test_the_result_of_a_task_is_there_for_assign_and_output(sfn: StepFunctions) -> None:
    echo = task(
        "echo", Assign={"a": "{% $states.result.Payload.a %}"}, Output="{% $states.result.Payload %}", Next="Done"
    )
    ended = sfn.play({"Echo": echo, "Done": succeed("{% [$a, $states.input.b] %}")}, {"a": 1, "b": 2})
    assert json.loads(ended["output"]) == [1, 2]


def test_the_context_object_is_there(sfn: StepFunctions) -> None:
    output = "{% [$states.context.Execution.Id, $states.context.State.Name, $states.context.Execution.StartTime] %}"
    ended = sfn.play({"Done": succeed(output)})
    assert json.loads(ended["output"]) == [ended["executionArn"], "Done", "2026-01-01T00:00:00.000Z"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$parse('{\"a\": [1, null]}').a", [1, None]),
        ("$partition([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(1, 7, 3)", [1, 4, 7]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        ("[1..3]", [1, 2, 3]),
        ("$hash('input', 'SHA-256')", "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"),
        ("$length($uuid())", 36),
        ("$random() < 1 and $random(7) = $random(7)", True),
        ("$states.input.absent ? 1 : 2", 2),
        ("$now()", "2026-01-01T00:00:00.000Z"),
        ("$millis()", 1767225600000),
    ],
)
def test_jsonata_with_step_functions_own_functions(sfn: StepFunctions, expression: str, value: Any) -> None:
    ended = sfn.play({"Done": succeed(f"{{% {expression} %}}")})
    assert json.loads(ended["output"]) == value


@pytest.mark.parametrize(
    "expression", ["$states.input.absent", "1 + 'a'", "$eval('1')", "$sum", "$parse('{')", "$absent()"]
)
def test_a_failing_expression_in_a_task_is_caught_by_its_name(sfn: StepFunctions, expression: str) -> None:
    states = {
        "Echo": task("echo", f"{{% {expression} %}}", Catch=catch("Caught", "States.QueryEvaluationError")),
        "Caught": CAUGHT,
    }
    execution = sfn.start(states)
    sfn.clock.run(sfn.clock.idle)
    assert json.loads(sfn.describe(execution)["output"]) == "States.QueryEvaluationError"
    assert sfn.history(execution).count("EvaluationFailed") == 1


def test_a_failing_expression_elsewhere_ends_the_execution(sfn: StepFunctions) -> None:
    choice = {"Type": "Choice", "Choices": [{"Condition": "{% $absent() %}", "Next": "Done"}], "Default": "Done"}
    ended = sfn.play({"Which?": choice, "Done": succeed(1)})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert "Which?" in ended["cause"]


def test_an_exception_is_caught_by_its_class_and_its_cause_is_lambdas_payload(sfn: StepFunctions) -> None:
    states = {
        "Fail": task("fail", Catch=catch("Caught", "Refused")),
        "Caught": succeed("{% $parse($e.Cause).errorMessage %}"),
    }
    assert json.loads(sfn.play(states)["output"]) == 'he said "no"\nand left'


def test_states_all_catches_the_data_limit_of_a_tasks_result(sfn: StepFunctions) -> None:
    """Recorded facts, S12; the developer guide says otherwise."""
    ended = sfn.play({"Flood": task("flood", Catch=catch()), "Caught": CAUGHT})
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", "States.DataLimitExceeded")


@pytest.mark.parametrize("named", ["States.ALL", "States.Runtime", "States.TaskFailed"])
def test_nothing_catches_states_runtime(sfn: StepFunctions, named: str) -> None:
    broken = task("echo", Catch=[{"ErrorEquals": [named], "Next": "Caught"}])
    broken["Parameters"] = {"FunctionName": broken.pop("Arguments")["FunctionName"], "Payload.$": "$.absent"}
    definition = {"StartAt": "Broken", "States": {"Broken": broken, "Caught": {"Type": "Succeed"}}}
    made = sfn.client.create_state_machine(name="json-path", definition=json.dumps(definition), roleArn=ROLE)
    execution = sfn.client.start_execution(stateMachineArn=made["stateMachineArn"])["executionArn"]
    sfn.clock.run(sfn.clock.idle)
    ended = sfn.describe(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(("fault", "error"), [("timeout", "Sandbox.Timedout"), ("crash", "Runtime.ExitError")])
def test_task_failed_matches_what_happens_to_a_handler(tmp_path: Path, fault: str, error: str) -> None:
    with world(tmp_path, handlers=[HandlerFault("work", fault)]) as sfn:
        ended = sfn.play({"Work": task("work", Catch=catch("Caught", "States.TaskFailed")), "Caught": CAUGHT})
    assert json.loads(ended["output"]) == error


@faulty(handlers=[HandlerFault("work", "throttled", times=2)])
def test_a_throttled_function_is_retried_by_lambdas_name_for_it(sfn: StepFunctions) -> None:
    retry = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 5, "BackoffRate": 1.0}]
    ended = sfn.play({"Work": task("work", Retry=retry)})
    assert ended["status"] == "SUCCEEDED"
    assert sfn.clock.now() == pytest.approx(T0 + 10.05)


def test_parallel_says_that_it_is_not_simulated(sfn: StepFunctions) -> None:
    branch = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    ended = sfn.play({"Both": {"Type": "Parallel", "Branches": [branch, branch], "End": True}})
    assert ended["error"] == "States.Runtime"
    assert "not simulated" in ended["cause"]


def test_executions_of_one_definition_share_nothing(sfn: StepFunctions) -> None:
    retry = [{"ErrorEquals": ["Refused"], "IntervalSeconds": 10, "MaxAttempts": 1}]
    machine = sfn.machine({"Fail": task("fail", Retry=retry)})
    for name in ("one", "two"):
        sfn.client.start_execution(stateMachineArn=machine, name=name)
    sfn.clock.run(sfn.clock.idle)
    executions = sfn.client.list_executions(stateMachineArn=machine)["executions"]
    assert [sfn.history(each["executionArn"]).count("TaskFailed") for each in executions] == [2, 2]


def test_a_failing_execution_is_a_story_and_no_log(sfn: StepFunctions, caplog: pytest.LogCaptureFixture) -> None:
    sfn.play({"Fail": task("fail")})
    assert caplog.records == []
