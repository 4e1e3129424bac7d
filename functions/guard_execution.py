"""guard_execution: an execution ended, failed, was stopped or timed out; restore and close what is still open."""

from __future__ import annotations

import json

from aws import executions, ledger
from aws.executions import Trace
from rollout.errors import RolloutError
from settling import OUTCOMES, left_open, settle
from telemetry import Document, identify, logger, task


@task("guard_execution")
def handler(event: Document) -> Document:
    """Event: EventBridge's "Step Functions Execution Status Change". Result: what was done.

    Raises:
        RolloutError: neither ledger nor history answered, the alias could not be restored, or a handler of the
            execution was still in flight: Lambda invokes the guard again, and then hands the event to the
            dead-letter queue. The sweeper carries what is left.
    """
    detail = event["detail"]
    identify({"execution_arn": detail["executionArn"]})
    found = _open_rollout(detail)
    if found is None:
        return {"outcome": "nothing open"}
    identify({"plan": found.plan.to_json(), "candidate": found.candidate})
    error_name = detail.get("error") or ""
    cause = f"execution {detail['status']}: {error_name} {detail.get('cause') or ''}".rstrip(": ")
    closing = settle(found, succeeded=detail["status"] == "SUCCEEDED", error_name=error_name, cause=cause)
    return {"outcome": closing.outcome}


def _open_rollout(detail: Document) -> Trace | None:
    """What the ended execution left open: by the ledger, or else by its history; None where nothing is."""
    execution_arn = detail["executionArn"]
    try:
        target = _target(detail)
        lock = ledger.read_lock(target) if target else None
    except RolloutError as error:
        logger.warning("ledger not readable, reading the history", reason=str(error))
        return _by_history(detail)
    if target is None:
        return _by_history(detail)
    if lock is None or lock.execution_arn != execution_arn:
        return None
    if lock.plan is None:
        ledger.drop_lock(target, execution_arn)
        return None
    return left_open(lock)


def _by_history(detail: Document) -> Trace | None:
    """What the execution's own history says; nothing where a state of ours has restored the alias by itself."""
    ended_well = detail["status"] == "SUCCEEDED" or OUTCOMES.get(detail.get("error") or "") in {
        "rejected",
        "interrupted",
        "rolled_back",
    }
    return None if ended_well else executions.trace(detail["executionArn"])


def _target(detail: Document) -> str | None:
    """The alias that the execution's input names; None where EventBridge left a long input out, or it is no request."""
    try:
        request = json.loads(detail.get("input") or "null")
        return f"{str(request['function_name']).rsplit(':', 1)[-1]}:{request['alias_name']}"
    except (ValueError, KeyError, TypeError):
        return None
