"""guard_execution: an execution ended, failed, was stopped or timed out; restore and close what is still open."""

from __future__ import annotations

import json

from aws import aliases, executions, ledger
from aws.executions import Trace
from aws.ledger import Closing
from closing import close, tell
from rollout.errors import AliasMoved, AliasNotFound, RolloutError, Transient
from telemetry import Document, identify, logger, task

#: Our own end states by their Error; anything else is an end that no state of ours reached.
_ENDS = {
    "Rejected": "rejected",
    "Interrupted": "interrupted",
    "RolledBack": "rolled_back",
    "RollbackFailed": "rollback_failed",
}


@task("guard_execution")
def handler(event: Document) -> Document:
    """Event: EventBridge's "Step Functions Execution Status Change". Result: what was done.

    Raises:
        RolloutError: neither ledger nor history answered, the alias could not be restored, or a handler of the
            execution was still in flight: Lambda invokes the guard again, and then hands the event to the
            dead-letter queue.
    """
    detail = event["detail"]
    identify({"execution_arn": detail["executionArn"]})
    found = _open_rollout(detail)
    if found is None:
        return {"outcome": "nothing open"}
    identify({"plan": found.plan.to_json(), "candidate": found.candidate})
    closing = _succeeded(found) if detail["status"] == "SUCCEEDED" else _ended_badly(found, detail)
    close(closing)
    return {"outcome": closing.outcome}


def _succeeded(found: Trace) -> Closing:
    """The books of a success that could not be closed; its alias is where it should be."""
    outcome = "promoted" if found.promoting else "unchanged"
    return Closing(found.plan, found.candidate, outcome, "closed after the execution had ended", exposed=found.exposed)


def _ended_badly(found: Trace, detail: Document) -> Closing:
    error_name = detail.get("error") or ""
    outcome = _ENDS.get(error_name, "rolled_back" if found.exposed else "rejected")
    cause = f"execution {detail['status']}: {error_name} {detail.get('cause') or ''}".rstrip(": ")
    if found.exposed:
        outcome, cause = _restore(found, outcome, cause)
    return Closing(
        found.plan,
        found.candidate,
        outcome,
        cause,
        convicts=found.convicted,
        exposed=found.exposed,
        promoting=found.promoting,
    )


def _open_rollout(detail: Document) -> Trace | None:
    """What the ended execution left open: by the ledger, or else by its history; None where nothing is."""
    execution_arn = detail["executionArn"]
    try:
        target = _target(detail)
        lock = ledger.read_lock(target) if target else None
    except RolloutError as error:
        logger.warning("ledger not readable, reading the history", reason=str(error))
        return executions.trace(execution_arn)
    if target is None:
        return executions.trace(execution_arn)
    if lock is None or lock.execution_arn != execution_arn:
        return None
    if lock.plan is None:
        ledger.drop_lock(target, execution_arn)
        return None
    return Trace(lock.plan, lock.candidate, lock.exposed, lock.promoting, lock.convicted)


def _target(detail: Document) -> str | None:
    """The alias that the execution's input names; None where EventBridge left a long input out, or it is no request."""
    try:
        request = json.loads(detail.get("input") or "null")
        return f"{str(request['function_name']).rsplit(':', 1)[-1]}:{request['alias_name']}"
    except (ValueError, KeyError, TypeError):
        return None


def _restore(found: Trace, outcome: str, cause: str) -> tuple[str, str]:
    plan = found.plan
    try:
        aliases.restore(plan.function_name, plan.alias_name, plan.stable, found.candidate, promoting=found.promoting)
    except (AliasMoved, AliasNotFound) as error:
        return "interrupted", f"{error} (after {cause})"
    except RolloutError as error:
        if outcome == "rollback_failed" or not isinstance(error, Transient):
            _give_up(found, error)
        raise
    logger.info("stable version restored")
    return ("rolled_back" if outcome == "rollback_failed" else outcome), cause


def _give_up(found: Trace, error: RolloutError) -> None:
    """Say so at once; whether Lambda's next try succeeds or not, a person should look."""
    cause = f"{error}. Run: {found.plan.restore_command}"
    closing = Closing(found.plan, found.candidate, "rollback_failed", cause, keep_lock=True)
    try:
        close(closing)
    except RolloutError as unwritten:
        logger.warning("ledger not closed", reason=str(unwritten))
        tell(closing)
