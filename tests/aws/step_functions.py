"""A small account with a state machine whose Tasks call small handlers, in virtual time."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from moto import mock_aws

from sandbox.aws.boundary import Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.faults import Faults
from sandbox.aws.interpreter import Interpreter
from sandbox.aws.runtime import Runtime
from sandbox.aws.stack import client

START = datetime(2026, 1, 1, tzinfo=UTC)
T0 = START.timestamp()
ROLE = "arn:aws:iam::123456789012:role/rollout"

HANDLERS = {
    "echo": "def handler(event, context):\n    return event\n",
    "work": """
        import boto3
        def handler(event, context):
            boto3.client("dynamodb").list_tables()
            print("worked")
            return {"worked": True}
        """,
    "fail": """
        class Refused(Exception):
            pass
        def handler(event, context):
            raise Refused('he said "no"\\nand left')
        """,
    "flood": "def handler(event, context):\n    return 'x' * 300_000\n",
}


class StepFunctions(SimpleNamespace):
    clock: Clock
    runtime: Runtime
    statuses: list[dict[str, Any]]
    client: Any

    def machine(self, states: dict[str, Any], *, timeout_seconds: int | None = None) -> str:
        """The ARN of a new state machine that begins with the first of the states."""
        limit = {} if timeout_seconds is None else {"TimeoutSeconds": timeout_seconds}
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **limit}
        name = f"machine-{len(self.client.list_state_machines()['stateMachines'])}"
        made = self.client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
        return str(made["stateMachineArn"])

    def start(self, states: dict[str, Any], payload: Any = None, *, timeout_seconds: int | None = None) -> str:
        machine = self.machine(states, timeout_seconds=timeout_seconds)
        started = self.client.start_execution(stateMachineArn=machine, input=json.dumps(payload or {}))
        return str(started["executionArn"])

    def play(
        self, states: dict[str, Any], payload: Any = None, *, timeout_seconds: int | None = None
    ) -> dict[str, Any]:
        """What DescribeExecution says once everything has settled."""
        execution = self.start(states, payload, timeout_seconds=timeout_seconds)
        self.clock.run(self.clock.idle)
        return self.describe(execution)

    def describe(self, execution: str) -> dict[str, Any]:
        return dict(self.client.describe_execution(executionArn=execution))

    def history(self, execution: str, **options: Any) -> list[str]:
        events = self.client.get_execution_history(executionArn=execution, **options)["events"]
        return [event["type"] for event in events]


@contextmanager
def world(code: Path, *, seed: int = 0, **faults: Any) -> Iterator[StepFunctions]:
    # As in a world, the session outlives the account: loading the services' models anew takes longer than most tests.
    config: Any = {
        "core": {"reset_boto3_session": False},
        "lambda": {"use_docker": False},
        "stepfunctions": {"execute_state_machine": True},
    }
    with mock_aws(config=config), Clock(START) as clock:
        statuses: list[dict[str, Any]] = []
        struck = Faults(**faults)
        boundary, interpreter = Boundary(clock, struck), Interpreter(clock, statuses.append, seed)
        with boundary.installed(), interpreter.installed():
            interpreter.serve(boundary)
            runtime = Runtime(clock, boundary, struck, code)
            for module, source in HANDLERS.items():
                (code / f"{module}.py").write_text(textwrap.dedent(source))
                runtime.register(
                    module,
                    handler=f"{module}.handler",
                    environment={},
                    timeout_seconds=40,
                    role_arn=ROLE,
                    memory_mb=128,
                )
            yield StepFunctions(clock=clock, runtime=runtime, statuses=statuses, client=client("stepfunctions"))


def task(function: str, payload: Any = "{% $states.input %}", **more: Any) -> dict[str, Any]:
    arguments = {"FunctionName": f"arn:aws:lambda:us-east-1:123456789012:function:{function}", "Payload": payload}
    end = {} if "Next" in more else {"End": True}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, **end, **more}


def wait(seconds: Any, following: str) -> dict[str, Any]:
    return {"Type": "Wait", "Seconds": seconds, "Next": following}


def succeed(output: Any) -> dict[str, Any]:
    return {"Type": "Succeed", "Output": output}


def catch(following: str = "Caught", *errors: str) -> list[dict[str, Any]]:
    return [
        {
            "ErrorEquals": list(errors or ("States.ALL",)),
            "Assign": {"e": "{% $states.errorOutput %}"},
            "Next": following,
        }
    ]
