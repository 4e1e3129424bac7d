"""guard_execution: an execution ended, failed, was stopped or timed out; restore and close what is still open."""

from __future__ import annotations

import json

from aws import executions, history, ledger
from aws.executions import Execution, Trace
from closing import tell_refused
from rollout.errors import REFUSALS, RolloutError
from settling import OUTCOMES, left_open, refuse, settle
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
    target = _target(detail)
    try:
        lock = ledger.read_lock(target) if target else None
    except RolloutError as error:
        logger.warning("ledger not readable, reading the history", reason=str(error))
        return _settle(detail, _by_history(detail, error))
    if target is None:
        return _settle(detail, _by_history(detail))
    if lock is None or lock.execution_arn != detail["executionArn"]:
        return _refuse_untold(detail, target)
    if lock.plan is None:
        refuse(lock, _started_at(detail), _cause(detail), _request(detail))
        return {"outcome": "rejected"}
    return _settle(detail, left_open(lock))


def _settle(detail: Document, found: Trace | None) -> Document:
    if found is None:
        return {"outcome": "nothing open"}
    identify({"plan": found.plan.to_json(), "candidate": found.candidate})
    closing = settle(
        found,
        succeeded=detail["status"] == "SUCCEEDED",
        error_name=detail.get("error") or "",
        cause=_cause(detail),
    )
    return {"outcome": closing.outcome}


def _by_history(detail: Document, because: RolloutError | None = None) -> Trace | None:
    """What the execution's own history says; nothing where a state of ours has restored the alias by itself.

    Raises:
        RolloutError: `because`, where the history knows of nothing that moved: the books may be open all the same.
    """
    ended_well = detail["status"] == "SUCCEEDED" or OUTCOMES.get(detail.get("error") or "") in {
        "rejected",
        "interrupted",
        "rolled_back",
    }
    found = None if ended_well else executions.trace(detail["executionArn"])
    if found is None and because is not None:
        raise because
    return found


def _refuse_untold(detail: Document, target: str) -> Document:
    """Tell of a rollout that ended before it had a plan, where planning itself could not."""
    nothing = {"outcome": "nothing open"}
    if detail["status"] == "SUCCEEDED" or detail.get("error") not in {None, "Rejected"}:
        return nothing
    execution = Execution.parse(detail["executionArn"])
    if history.kept_refusal(target, execution, _started_at(detail)) is not None:
        return nothing
    if detail.get("error") and executions.last_error(execution.arn) in REFUSALS:
        return nothing
    tell_refused(execution.arn, _request(detail), _cause(detail))
    return {"outcome": "rejected"}


def _cause(detail: Document) -> str:
    return f"execution {detail['status']}: {detail.get('error') or ''} {detail.get('cause') or ''}".rstrip(": ")


def _started_at(detail: Document) -> float:
    return float(detail["startDate"]) / 1000


def _request(detail: Document) -> object:
    """The execution's input; None where EventBridge left a long one out, or it is no JSON."""
    try:
        return json.loads(detail.get("input") or "null")
    except ValueError:
        return None


def _target(detail: Document) -> str | None:
    """The alias that the execution's input names; None where it is no request."""
    request = _request(detail)
    try:
        return f"{str(request['function_name']).rsplit(':', 1)[-1]}:{request['alias_name']}"  # type: ignore[index]
    except (KeyError, TypeError):
        return None
