"""What an ended execution left open: the stable version restored, and the books closed. Idempotent, from anywhere.

`guard_execution`, `sweep` and the next rollout share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tidegate.application.telemetry import logger
from tidegate.application.finalize import close, tell, tell_refused
from tidegate.application.restoration import begin, left_open, restore
from tidegate.aws import history
from tidegate.aws.executions import End, Execution, Trace
from tidegate.aws.history import ROLLBACK_FAILED, Booked, Closing
from tidegate.aws.locks import Lock
from tidegate.ending.failure import after
from tidegate.errors import AliasNotFound, Interrupted, RolloutError, Transient

#: Whether nobody but that rollout can be at its alias, where the ledger is silent; None: whoever asks cannot say.
IsAlone = Callable[[], bool] | None


def take_over(lock: Lock, end: End, request: object = None, is_alone: IsAlone = None) -> str:
    """Close what an ended execution's lock still holds; how the rollout ended. `request` is the execution's input.

    Raises:
        RolloutError: as `settle`.
    """
    found = left_open(lock)
    if found is not None:
        return settle(found, end, is_alone)
    if history.refuse(lock.target, Execution.parse(lock.execution_arn), lock.started_at, end.cause):
        function_name, _, alias_name = lock.target.rpartition(":")
        asked = request or {"function_name": function_name, "alias_name": alias_name}
        tell_refused(lock.execution_arn, asked, end.cause)
    return "rejected"


def settle(found: Trace, end: End, is_alone: IsAlone = None) -> str:
    """Restore where the end did not, close and tell; how the rollout ended. `is_alone` as in `restore`.

    Raises:
        RolloutError: the alias could not be restored, the books not closed, or a handler of the execution was still
            in flight: whoever asked asks again.
    """
    if end.status == "succeeded":
        closing = _succeeded(found, end, is_alone)
    elif end.left_as_meant:
        closing = _closing(found, str(end.outcome), end.cause)
    else:
        closing = _ended_badly(found, end, is_alone)
    if isinstance(closing, Booked):
        if end.outcome is None:
            # Whoever closed it may not have lived to tell.
            tell(Closing(found.plan, found.candidate, closing.outcome, closing.cause, proven=closing.proven))
        return closing.outcome
    booked = close(closing)
    if booked.outcome != closing.outcome:
        logger.warning("closed before, as something else", booked=booked.outcome, found=closing.outcome)
    return booked.outcome


def _succeeded(found: Trace, end: End, is_alone: IsAlone) -> Closing | Booked:
    """The books of a success that could not be closed; its alias is where it should be, unless somebody restored it."""
    outcome = end.outcome or ("promoted" if found.promoting else "unchanged")
    if outcome == "promoted" and found.restoring:
        return _ended_badly(found, replace(end, cause=found.restoring), is_alone)
    closing = _closing(found, outcome, "closed after the execution had ended")
    return replace(closing, proven=end.proven, convicts=False)


def _ended_badly(found: Trace, end: End, is_alone: IsAlone) -> Closing | Booked:
    marked = begin(found, end.cause)
    found = marked.found
    why = found.restoring or end.cause
    if not found.exposed:
        return marked.booked or _closing(found, "rejected", why)
    try:
        done = restore(marked, why, ended_at=end.ended_at, is_alone=is_alone)
    except (Interrupted, AliasNotFound) as error:
        return _closing(found, "interrupted", after(str(error), why))
    except RolloutError as error:
        if end.outcome == ROLLBACK_FAILED or not isinstance(error, Transient):
            _give_up(found, error, why)
        raise
    if isinstance(done, Booked):
        return done
    if done.theirs:
        return _closing(found, "interrupted", after(done.theirs, why))
    return _closing(found, "rolled_back", why)


def _closing(found: Trace, outcome: str, cause: str) -> Closing:
    return Closing(
        found.plan,
        found.candidate,
        outcome,
        cause,
        convicts=found.convicted,
        exposed=found.exposed,
        promoting=found.promoting,
        weights=found.weights,
    )


def _give_up(found: Trace, error: RolloutError, why: str) -> None:
    """Say so at once; whether the next try succeeds or not, a person should look."""
    command = found.plan.restore_command
    remedy = f"Run: {command}\n" if command else "No alias was there to restore; see whether there is one now, "
    cause = f"{remedy}because {after(str(error), why)}"
    closing = Closing(found.plan, found.candidate, ROLLBACK_FAILED, cause, keep_lock=True)
    try:
        close(closing)
    except RolloutError as unwritten:
        logger.warning("ledger not closed", reason=str(unwritten))
        tell(closing)
