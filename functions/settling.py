"""What an ended execution left open: the stable version restored, and the books closed. Idempotent, from anywhere.

`guard_execution`, `sweep` and the next rollout share it.
"""

from __future__ import annotations

from dataclasses import replace

from aws import aliases, history, ledger
from aws.executions import Execution, Trace
from aws.history import ROLLBACK_FAILED, Closing
from aws.ledger import Lock
from closing import close, tell, tell_refused
from rollout.errors import AliasMoved, AliasNotFound, RolloutError, Transient
from telemetry import best_effort, logger

#: Our own end states by their Error; anything else is an end that no state of ours reached.
OUTCOMES = {
    "Rejected": "rejected",
    "Interrupted": "interrupted",
    "RolledBack": "rolled_back",
    "RollbackFailed": ROLLBACK_FAILED,
}


def left_open(lock: Lock) -> Trace | None:
    """What a lock says of its holder's rollout; None before there is a plan."""
    if lock.plan is None:
        return None
    return Trace(lock.plan, lock.candidate, lock.exposed, lock.promoting, lock.convicted)


def refuse(lock: Lock, started_at: float, cause: str, request: object = None) -> None:
    """Close and tell of a rollout that ended before it had a plan: nothing moved."""
    function_name, _, alias_name = lock.target.rpartition(":")
    history.refuse(lock.target, Execution.parse(lock.execution_arn), started_at, cause)
    tell_refused(lock.execution_arn, request or {"function_name": function_name, "alias_name": alias_name}, cause)


def settle(found: Trace, *, succeeded: bool, error_name: str, cause: str) -> Closing:
    """Restore, close and tell; how the rollout ended.

    Raises:
        RolloutError: the alias could not be restored, the books not closed, or a handler of the execution was still
            in flight: whoever asked asks again.
    """
    closing = _succeeded(found) if succeeded else _ended_badly(found, error_name, cause)
    close(closing)
    return closing


def _succeeded(found: Trace) -> Closing:
    """The books of a success that could not be closed; its alias is where it should be."""
    outcome = "promoted" if found.promoting else "unchanged"
    return Closing(found.plan, found.candidate, outcome, "closed after the execution had ended", exposed=found.exposed)


def _ended_badly(found: Trace, error_name: str, cause: str) -> Closing:
    plan = found.plan
    with best_effort("mark the lock"):
        # From here on no forward write follows; what it has come to say until now counts.
        if lock := ledger.mark_restoring(plan.target, plan.execution_arn, cause):
            found = left_open(lock) or found
            cause = lock.restoring or cause
    outcome = OUTCOMES.get(error_name, "rolled_back" if found.exposed else "rejected")
    if found.exposed:
        outcome, cause = _restore(found, outcome, cause)
    return Closing(
        plan,
        found.candidate,
        outcome,
        cause,
        convicts=found.convicted,
        exposed=found.exposed,
        promoting=found.promoting,
    )


def _restore(found: Trace, outcome: str, cause: str) -> tuple[str, str]:
    plan = found.plan
    try:
        aliases.restore(plan.function_name, plan.alias_name, plan.stable, found.candidate, promoting=found.promoting)
    except (AliasMoved, AliasNotFound) as error:
        return "interrupted", f"{error} (after {cause})"
    except RolloutError as error:
        if outcome == ROLLBACK_FAILED or not isinstance(error, Transient):
            _give_up(found, error)
        raise
    logger.info("stable version restored")
    return ("rolled_back" if outcome in {ROLLBACK_FAILED, "rejected"} else outcome), cause


def _give_up(found: Trace, error: RolloutError) -> None:
    """Say so at once; whether the next try succeeds or not, a person should look."""
    cause = f"{error}. Run: {found.plan.restore_command}"
    closing = Closing(found.plan, found.candidate, ROLLBACK_FAILED, cause, keep_lock=True)
    try:
        close(closing)
    except RolloutError as unwritten:
        logger.warning("ledger not closed", reason=str(unwritten))
        tell(replace(closing))
