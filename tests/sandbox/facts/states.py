"""Step Functions: what executions of small state machines came to, and left in their history."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.aws.faults import CallFault, HandlerFault
from sandbox.aws.lambda_records import FUNCTION_ARN
from tests.aws.step_functions import StepFunctions, catch, succeed, task, wait
from tests.sandbox.facts.fact import Fact, of

UNDEFINED = "The JSONata expression '$doesNotExist' specified for the field '{}' returned nothing (undefined)."
ENTERED = "An error occurred while executing the state 'State0' (entered at the event id #2). "


def events(sfn: StepFunctions, states: dict[str, Any], payload: Any = None, **more: Any) -> list[dict[str, Any]]:
    """The history of an execution that has ended."""
    execution = sfn.start(states, payload, **more)
    sfn.clock.run(sfn.clock.idle)
    found: list[dict[str, Any]] = sfn.client.get_execution_history(executionArn=execution)["events"]
    return found


def chain(found: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Each event's predecessor and type."""
    return [(event["previousEventId"], event["type"]) for event in found]


def details(found: list[dict[str, Any]], kind: str) -> Any:
    """The details of the last event of a kind."""
    (last,) = [event for event in found if event["type"] == kind][-1:]
    return next((value for key, value in last.items() if key.endswith("EventDetails")), None)


def undefined(*fields: tuple[str, dict[str, Any]]) -> Callable[[StepFunctions], Any]:
    """What is told of `$doesNotExist` in each of the fields: the event, the end, and what came before what."""

    def seen(sfn: StepFunctions) -> Any:
        told = []
        for field, state in fields:
            found = events(sfn, {"State0": state})
            evaluation, end = details(found, "EvaluationFailed"), details(found, "ExecutionFailed")
            assert evaluation == {**end, "location": field, "state": "State0"}
            told.append((end["error"], end["cause"], [each for each, _ in chain(found)]))
        return told

    return seen


def ended(state: dict[str, Any], payload: Any = None) -> Callable[[StepFunctions], Any]:
    """How an execution of one state ends: what failed, or its output."""

    def seen(sfn: StepFunctions) -> Any:
        found = events(sfn, {"State0": state}, payload)
        last = next(value for key, value in found[-1].items() if key.endswith("EventDetails"))
        return json.loads(last["output"]) if "output" in last else last

    return seen


def caught(function: str, **more: Any) -> dict[str, Any]:
    return {"Call": task(function, Catch=catch(), **more), "Caught": succeed("{% $e %}")}


def raised(sfn: StepFunctions) -> Any:
    told = details(events(sfn, caught("fail")), "TaskFailed")
    cause = json.loads(told["cause"])
    return of(told, "error", "resource", "resourceType"), list(cause), cause["errorType"], '": ' in told["cause"]


def error_output(sfn: StepFunctions) -> Any:
    found = events(sfn, caught("fail"))
    assigned = json.loads(details(found, "TaskStateExited")["assignedVariables"]["e"])
    return list(assigned), assigned["Error"], assigned["Cause"] == details(found, "TaskFailed")["cause"]


def timed_out(sfn: StepFunctions) -> Any:
    found = events(sfn, caught("work", TimeoutSeconds=5))
    return details(found, "TaskTimedOut"), json.loads(details(found, "ExecutionSucceeded")["output"])


def retried(sfn: StepFunctions) -> Any:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    return chain(events(sfn, {"Call": task("fail", Retry=retry)}))


def stopped(sfn: StepFunctions) -> Any:
    execution = sfn.start({"State0": wait(60, "Done"), "Done": succeed(1)})
    sfn.clock.sleep(1)
    sfn.client.stop_execution(executionArn=execution)
    (*_, last) = sfn.client.get_execution_history(executionArn=execution)["events"]
    return last["previousEventId"], last["type"], last["executionAbortedEventDetails"]


def out_of_time(sfn: StepFunctions) -> Any:
    execution = sfn.start({"State0": wait(60, "Done"), "Done": succeed(1)}, timeout_seconds=5)
    sfn.clock.run(sfn.clock.idle)
    return of(sfn.describe(execution), "status", "error", "cause", "redriveCount", "redriveStatus")


def status_event(sfn: StepFunctions) -> Any:
    sfn.play({"Done": succeed(1)})
    null = ("stateMachineVersionArn", "stateMachineAliasArn", "error", "cause", "redriveDate")
    return [
        (len(told), told["status"], {told[key] for key in null}, of(told, "redriveCount", "redriveStatusReason"))
        for told in sfn.statuses
    ]


def described(sfn: StepFunctions) -> Any:
    return of(sfn.play({"Done": succeed(1)}), "redriveCount", "redriveStatus", "redriveStatusReason")


def kind_and_text(sfn: StepFunctions) -> Any:
    """The error of a handler that was struck, and the end of what is said of it."""
    told = details(events(sfn, caught("work")), "TaskFailed")
    return told["error"], json.loads(told["cause"])["errorMessage"].partition("Error: ")[2]


FAILING = "LS stepfunctions v2 test_undefined_reference, 21-11-2024"
CALLED = "LS stepfunctions v2 error_handling test_task_service_lambda"
OUTPUT = "LS stepfunctions v2 test_error_output, 12-11-2024"
LIMIT = "The state/task 'lambda' returned a result with a size exceeding the maximum number of bytes service limit."
GONE = f"{FUNCTION_ARN}nobody:$LATEST"
QUERY = "States.QueryEvaluationError"
NOT_REDRIVABLE = "Execution is {} and cannot be redriven"

STATES = [
    Fact(
        "S1",
        "an undefined expression: error, cause with state and field, an event after what came before the state",
        FAILING,
        undefined(
            ("Output", {"Type": "Pass", "Output": "{% $doesNotExist %}", "End": True}),
            ("Output/result", {"Type": "Pass", "Output": {"result": "{% $doesNotExist %}"}, "End": True}),
            ("Assign/result", {"Type": "Pass", "Assign": {"result": "{% $doesNotExist %}"}, "End": True}),
            ("Arguments", {**task("echo"), "Arguments": "{% $doesNotExist %}"}),
        ),
        [
            (QUERY, ENTERED + UNDEFINED.format(field), [0, 0, 0, 3])
            for field in ("Output", "Output/result", "Assign/result", "Arguments")
        ],
    ),
    Fact(
        "S3",
        "a Fail state's Error may be JSONata",
        "LS stepfunctions v2 scenarios test_fail_error_jsonata, 13-11-2024",
        ended({"Type": "Fail", "Error": "{% $states.input.error %}"}, {"error": "Exception"}),
        {"error": "Exception"},
    ),
    Fact(
        "S4",
        "and so may its Cause",
        "LS stepfunctions v2 scenarios test_fail_cause_jsonata, 13-11-2024",
        ended({"Type": "Fail", "Cause": "{% $states.input.cause %}"}, {"cause": "This failed to due an Exception."}),
        {"cause": "This failed to due an Exception."},
    ),
    Fact(
        "S5",
        "$contains takes a regular expression",
        "LS stepfunctions v2 evaluate_jsonata test_base_jsonata_regular_expressions, 22-07-2025",
        ended({"Type": "Pass", "Output": "{% $contains('hello world', /wo.ld/) %}", "End": True}),
        True,
    ),
    Fact(
        "S6",
        "a Wait of 0 seconds is one",
        "LS stepfunctions v2 scenarios test_wait_seconds_jsonata, 13-11-2024",
        ended({"Type": "Wait", "Seconds": "{% $states.input.waitSeconds %}", "End": True}, {"waitSeconds": 0}),
        {"waitSeconds": 0},
    ),
    Fact(
        "S7",
        "a Choice rule assigns",
        "LS stepfunctions v2 assign test_assign_in_choice, 27-12-2024",
        lambda sfn: details(
            events(
                sfn,
                {
                    "Which?": {
                        "Type": "Choice",
                        "Choices": [
                            {
                                "Condition": "{% $states.input.condition %}",
                                "Assign": {"Assignment": "Condition assignment"},
                                "Next": "Done",
                            }
                        ],
                        "Default": "Done",
                    },
                    "Done": {"Type": "Succeed"},
                },
                {"condition": True},
            ),
            "ChoiceStateExited",
        )["assignedVariables"],
        {"Assignment": '"Condition assignment"'},
    ),
    Fact(
        "S8",
        "null is assigned, and is not undefined",
        "LS stepfunctions v2 assign test_assign_base, 27-12-2024",
        lambda sfn: details(
            events(sfn, {"State0": {"Type": "Pass", "Assign": {"none": "{% null %}"}, "End": True}}), "PassStateExited"
        )["assignedVariables"],
        {"none": "null"},
    ),
    Fact(
        "S9",
        "a handler's exception: Error is its class, Cause its payload, compact JSON",
        CALLED + ", 28-11-2024",
        raised,
        (("Refused", "invoke", "lambda"), ["errorMessage", "errorType", "requestId", "stackTrace"], "Refused", False),
    ),
    Fact("S9e", "$states.errorOutput in a Catch's Assign", OUTPUT, error_output, (["Error", "Cause"], "Refused", True)),
    Fact(
        "S11",
        "a function that does not exist",
        CALLED + " test_no_such_function, 25-11-2025",
        lambda sfn: (
            (told := details(events(sfn, {"Call": task("nobody")}), "TaskFailed"))["error"],
            told["cause"].startswith(
                f"Function not found: {GONE} (Service: AWSLambda; Status Code: 404; Error Code:"
                " ResourceNotFoundException; Request ID: "
            ),
            told["cause"].endswith("; Proxy: null)"),
        ),
        ("Lambda.ResourceNotFoundException", True, True),
    ),
    Fact(
        "S12",
        "States.ALL catches States.DataLimitExceeded of a task's result (the developer guide says otherwise)",
        "LS stepfunctions v2 error_handling test_states_errors, 21-03-2024",
        lambda sfn: json.loads(details(events(sfn, caught("flood")), "ExecutionSucceeded")["output"]),
        {"Error": "States.DataLimitExceeded", "Cause": LIMIT},
    ),
    Fact(
        "S15",
        "a retry leaves a TaskFailed, and is scheduled after it",
        OUTPUT,
        retried,
        [
            (0, "ExecutionStarted"),
            (0, "TaskStateEntered"),
            (2, "TaskScheduled"),
            (3, "TaskStarted"),
            (4, "TaskFailed"),
            (5, "TaskScheduled"),
            (6, "TaskStarted"),
            (7, "TaskFailed"),
            (8, "ExecutionFailed"),
        ],
    ),
    Fact(
        "S16",
        "Stop leaves ExecutionAborted, whose predecessor is no event",
        "LS stepfunctions v2 test_stop_execution, 06-05-2024",
        stopped,
        (0, "ExecutionAborted", {}),
    ),
    Fact(
        "S17",
        "an execution out of time has neither error nor cause",
        "LS stepfunctions v2 timeouts test_global_timeout, 10-03-2024; floci-io/floci#2733",
        out_of_time,
        ("TIMED_OUT", None, None, 0, "REDRIVABLE"),
    ),
    Fact(
        "S18",
        "the event of a status has eighteen keys; what is not there is null",
        "LS stepfunctions v2 base test_event_bridge_events_base, 07-02-2024",
        status_event,
        [(18, status, {None}, (0, NOT_REDRIVABLE.format(status))) for status in ("RUNNING", "SUCCEEDED")],
    ),
    Fact(
        "S19",
        "DescribeExecution tells of redrives",
        "LS stepfunctions v2 test_sfn_api",
        described,
        (0, "NOT_REDRIVABLE", NOT_REDRIVABLE.format("SUCCEEDED")),
    ),
    Fact(
        "S22",
        "the context has RedriveCount",
        "LS stepfunctions v2 context_object",
        ended({"Type": "Succeed", "Output": "{% $states.context.Execution.RedriveCount %}"}),
        0,
    ),
]

#: By what strikes the handler: `work` waits for an answer that does not come, times out itself, or its process ends.
STRUCK: list[tuple[Fact, dict[str, Any]]] = [
    (
        Fact(
            "S10",
            "States.Timeout has an empty Cause in the error output, and none in its event",
            CALLED + " test_invoke_timeout, 28-11-2024",
            timed_out,
            (
                {"resourceType": "lambda", "resource": "invoke", "error": "States.Timeout"},
                {"Error": "States.Timeout", "Cause": ""},
            ),
        ),
        {"calls": [CallFault("dynamodb.ListTables", "held", seconds=20)]},
    ),
    (
        Fact(
            "S13",
            "a handler out of time is Sandbox.Timedout",
            "LS lambda_ test_lambda_invoke_with_timeout, 25-11-2025; aws-solutions-library-samples/"
            "accelerated-intelligent-document-processing-on-aws#1014, 2026",
            kind_and_text,
            ("Sandbox.Timedout", "Task timed out after 40.00 seconds"),
        ),
        {"handlers": [HandlerFault("work", "timeout")]},
    ),
    (
        Fact(
            "S14",
            "a handler whose process ends is Runtime.ExitError (two texts were seen: also floci-io/floci#3314)",
            "LS lambda_ test_lambda_runtime_exit, 24-11-2025",
            lambda sfn: kind_and_text(sfn)[0],
            "Runtime.ExitError",
        ),
        {"handlers": [HandlerFault("work", "crash")]},
    ),
]
