"""Executions of the state machine: whether one has ended, and what its history says of the alias."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

from aws import sdk
from rollout.errors import AwsRefused
from rollout.plan import Plan

#: DescribeExecution is eventually consistent: "does not exist" of a young execution proves nothing.
_CONSISTENT_AFTER_SECONDS = 300


End = Literal["succeeded", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution by its ARN, which also says where Tidegate runs."""

    arn: str
    region: str
    account: str
    name: str

    @classmethod
    def parse(cls, arn: str) -> Self:
        """From `arn:<partition>:states:<region>:<account>:execution:<state machine>:<name>`."""
        _, _, _, region, account, _, _, name = arn.split(":", 7)
        return cls(arn, region, account, name)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a rollout was doing. `exposed`: traffic may have moved; `convicted`: the last verdict spoke against it."""

    plan: Plan
    candidate: str | None
    exposed: bool
    promoting: bool
    convicted: bool = False


def end_of(execution_arn: str, age_seconds: float) -> End | None:
    """How the execution ended, or None unless it has for certain; `age_seconds`: since it was last seen alive."""
    try:
        with sdk.refusals(f"describe execution {execution_arn}"):
            status = sdk.client("stepfunctions").describe_execution(executionArn=execution_arn)["status"]
    except AwsRefused as error:
        if error.code == "ExecutionDoesNotExist":
            return "gone" if age_seconds > _CONSISTENT_AFTER_SECONDS else None
        raise
    if status == "SUCCEEDED":
        return "succeeded"
    return "failed" if status in {"FAILED", "TIMED_OUT", "ABORTED"} else None


def trace(execution_arn: str) -> Trace | None:
    """What the execution did last, from its newest task that was given a plan; None where none ever did.

    Every task from ShiftTraffic on has plan, stable and candidate in its arguments.
    """
    entered: set[str] = set()
    payload: dict[str, Any] | None = None
    for event in _newest_first(execution_arn):
        entered.add(event.get("stateEnteredEventDetails", {}).get("name", ""))
        payload = payload or _payload(event)
        if payload and "ShiftTraffic" in entered:
            break
    if payload is None:
        return None
    return Trace(
        Plan.from_json(payload["plan"]),
        payload.get("candidate") or None,
        exposed="ShiftTraffic" in entered,
        promoting="Promote" in entered,
    )


def last_error(execution_arn: str) -> str | None:
    """The name of the last error that a task of the execution failed with."""
    for event in _newest_first(execution_arn):
        for details in ("taskFailedEventDetails", "taskTimedOutEventDetails"):
            if details in event:
                return str(event[details].get("error"))
    return None


def _newest_first(execution_arn: str) -> Iterator[dict[str, Any]]:
    request: dict[str, Any] = {"executionArn": execution_arn, "reverseOrder": True, "maxResults": 1000}
    while True:
        with sdk.refusals(f"read the history of {execution_arn}"):
            page = sdk.client("stepfunctions").get_execution_history(**request)
        yield from page["events"]
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def _payload(event: dict[str, Any]) -> dict[str, Any] | None:
    details = event.get("taskScheduledEventDetails")
    if not details:
        return None
    payload = json.loads(details["parameters"]).get("Payload")
    return payload if isinstance(payload, dict) and payload.get("plan") else None
