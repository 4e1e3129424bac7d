"""Executions of the state machine: whether one has ended, and what its history says of the alias."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Self

from tidegate.alias import Alias
from tidegate.aws import sdk
from tidegate.control.progress import Standing
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import AwsRefused
from tidegate.frozen import frozen
from tidegate.json_text import as_object, parsed
from tidegate.moment import moment
from tidegate.planning.plan import Plan

#: DescribeExecution is eventually consistent: "does not exist" of a young execution proves nothing.
_CONSISTENT_AFTER_SECONDS = 300
_ARN_COLONS = 7
#: A function's name and an alias's, as the ledger has them. What is none of these was refused, and holds no lock.
_TARGET = re.compile(r"[a-zA-Z0-9_-]{1,140}:[a-zA-Z0-9_-]{1,128}")
#: So many later executions are asked what they are about.
_MOST_LATER = 20


@frozen
class Execution:
    """An execution by its ARN, which also says where Tidegate runs."""

    arn: str
    region: str
    account: str
    name: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn`, …: the partition that Tidegate runs in."""
        return self.arn.split(":", 2)[1]

    @classmethod
    def parse(cls, arn: str) -> Self:
        """From `arn:<partition>:states:<region>:<account>:execution:<state machine>:<name>`."""
        _, _, _, region, account, _, _, name = arn.split(":", 7)
        return cls(arn, region, account, name)


def end_of_event(event: object) -> dict[str, Any] | None:
    """What an event says of an execution; None where it is no such event."""
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict) or not isinstance(detail.get("status"), str):
        return None
    arn = detail.get("executionArn")
    return detail if isinstance(arn, str) and arn.count(":") >= _ARN_COLONS else None


def end_of(execution_arn: str, age_seconds: float) -> ExecutionEnd | None:
    """How the execution ended, or None unless it has for certain; `age_seconds`: since it was last seen alive."""
    try:
        with sdk.refusals(f"describe execution {execution_arn}"):
            return ExecutionEnd.parse(sdk.client("stepfunctions").describe_execution(executionArn=execution_arn))
    except AwsRefused as error:
        if error.code != "ExecutionDoesNotExist":
            raise
        gone = ExecutionEnd("gone", cause="its execution is gone, with its lock still held")
        return gone if age_seconds > _CONSISTENT_AFTER_SECONDS else None


def started_at(execution_arn: str) -> float:
    """When it was started, in seconds since the epoch."""
    with sdk.refusals(f"describe execution {execution_arn}"):
        return moment(sdk.client("stepfunctions").describe_execution(executionArn=execution_arn)["startDate"])


def snapshot(execution_arn: str) -> RolloutSnapshot | None:
    """What the execution did last, from its newest task that was given a plan; None where none ever did.

    Every task from ShiftTraffic on has plan, candidate, progress and decision in its arguments.
    """
    entered: set[str] = set()
    payload: dict[str, Any] | None = None
    answered: dict[str, Any] | None = None
    asked: str | None = None
    for event in _newest_first(execution_arn):
        state = event.get("stateEnteredEventDetails", {}).get("name")
        if payload is not None:
            asked = asked or state
        answered = answered or (_answer(event) if payload is None else None)
        payload = payload or _payload(event)
        entered |= {state} if state else set()
        if payload and "ShiftTraffic" in entered:
            break
    if payload is None:
        return None
    plan = Plan.from_json(payload["plan"])
    standing = Standing.found(answered or payload)
    return RolloutSnapshot(
        plan,
        payload.get("candidate") or None,
        traffic_shifted="ShiftTraffic" in entered,
        promoting="Promote" in entered,
        weights=frozenset(_weights(plan, standing, in_flight=answered is None and asked == "ShiftTraffic")),
        revision_id=standing.progress.revision_id if standing else None,
    )


def _weights(plan: Plan, standing: Standing | None, *, in_flight: bool) -> Iterator[float]:
    """Those that were set, and the one that a task was about to set."""
    yield from (shift.weight_percent for shift in standing.progress.shifts) if standing else ()
    if in_flight:
        yield standing.next_weight_percent(plan) if standing else plan.steps[0].weight_percent


def is_last(plan: Plan) -> bool:
    """Whether no execution that was started later may be about the same alias; False where there are too many to tell.

    Without the ledger nothing else says so. An execution whose input leaves the alias to a profile may be about any.
    """
    machine = plan.execution_arn.rpartition(":")[0].replace(":execution:", ":stateMachine:", 1)
    with sdk.refusals(f"list the executions of {machine}"):
        page = sdk.client("stepfunctions").list_executions(stateMachineArn=machine, maxResults=1000)
    later = [
        each["executionArn"]
        for each in page["executions"]
        if each["startDate"].timestamp() >= plan.started_at and each["executionArn"] != plan.execution_arn
    ]
    return len(later) <= _MOST_LATER and not any(_may_be_about(plan, arn) for arn in later)


def _may_be_about(plan: Plan, execution_arn: str) -> bool:
    with sdk.refusals(f"describe execution {execution_arn}"):
        described = sdk.client("stepfunctions").describe_execution(executionArn=execution_arn)
    target = target_of(as_object(parsed(described.get("input"))))
    return target is None or target == plan.target


def target_of(request: Mapping[str, Any]) -> str | None:
    """The alias that an execution's input names, as the ledger does; None where it is no request, or names none.

    A name that no function or alias can have is none: DynamoDB takes no key of 3,000 characters, nor a lone surrogate.
    """
    function_name, alias_name = request.get("function_name"), request.get("alias_name")
    if not isinstance(function_name, str) or not isinstance(alias_name, str):
        return None
    target = str(Alias(function_name.rsplit(":", 1)[-1], alias_name))
    return target if _TARGET.fullmatch(target) else None


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


def _answer(event: dict[str, Any]) -> dict[str, Any] | None:
    """The progress and the decision that a task answered with."""
    answer = as_object(parsed(event.get("taskSucceededEventDetails", {}).get("output"))).get("Payload")
    return answer if isinstance(answer, dict) and answer.get("progress") and answer.get("decision") else None
