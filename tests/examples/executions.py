"""Executions as a way in starts them: under names of its own, beside others."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.stack import client
from sandbox.world import End, World


def start(world: World, name: str, text: str) -> str:
    """StartExecution, as Step Functions is called; the execution's ARN, which is an old one where nothing starts."""
    started = client("stepfunctions").start_execution(stateMachineArn=world.state_machine_arn, name=name, input=text)
    arn: str = started["executionArn"]
    world.executions.setdefault(arn, None)
    return arn


def run(world: World, name: str, text: str) -> End:
    """An execution to its end, and what follows it."""
    end = world.follow(start(world, name, text))
    world.settle()
    return end


def output(end: End) -> dict[str, Any]:
    """What an execution that succeeded says."""
    document: dict[str, Any] = json.loads(end.output or "null")
    return document
