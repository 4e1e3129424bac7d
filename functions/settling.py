"""What an ended execution left open: the stable version restored, and the books closed. Idempotent, from anywhere.

`guard_execution`, `sweep` and the next rollout share it; RollBack shares how a promotion is undone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from aws import aliases, history, ledger
from aws.executions import End, Execution, Trace
from aws.history import ROLLBACK_FAILED, Booked, Closing
from aws.ledger import Lock
from closing import close, tell, tell_refused
from rollout.errors import AliasMoved, AliasNotFound, AwsUnavailable, RolloutError, Transient
from telemetry import best_effort, logger

#: Promote's function runs for a minute at most, and its last call may land a moment later.
_PROMOTE_IN_FLIGHT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known once the lock was to be marked: `held` where it is marked now, `booked` where it is closed already.

    Neither: nobody knows, the ledger does not answer.
    """

    found: Trace
    held: bool = False
    booked: Booked | None = None


def left_open(lock: Lock) -> Trace | None:
    """What a lock says of its holder's rollout; None before there is a plan."""
    if lock.plan is None:
        return None
    return Trace(lock.plan, lock.candidate, lock.exposed, lock.promoting, lock.convicted, lock.restoring)


def take_over(lock: Lock, end: End, request: object = None) -> str:
    """Close what an ended execution's lock still holds; how the rollout ended. `request` is the execution's input.

    Raises:
        RolloutError: as `settle`.
    """
    found = left_open(lock)
    if found is not None:
        return settle(found, end)
    if history.refuse(lock.target, Execution.parse(lock.execution_arn), lock.started_at, end.cause):
        function_name, _, alias_name = lock.target.rpartition(":")
        asked = request or {"function_name": function_name, "alias_name": alias_name}
        tell_refused(lock.execution_arn, asked, end.cause)
    return "rejected"


def settle(found: Trace, end: End) -> str:
    """Restore where the end did not, close and tell; how the rollout ended.

    Raises:
        RolloutError: the alias could not be restored, the books not closed, or a handler of the execution was still
            in flight: whoever asked asks again.
    """
    if end.status == "succeeded":
        closing = _succeeded(found, end)
    elif end.left_as_meant:
        closing = _closing(found, str(end.outcome), end.cause)
    else:
        closing = _ended_badly(found, end)
    if isinstance(closing, Booked):
        return closing.outcome
    booked = close(closing)
    if booked.outcome != closing.outcome:
        logger.warning("closed before, as something else", booked=booked.outcome, found=closing.outcome)
    return booked.outcome


def mark(found: Trace, why: str) -> Mark:
    """Say in the lock that the stable version is being restored: no forward write follows, and no promotion is closed.

    What the lock has come to say until then counts. A lock that is no longer this execution's was closed by somebody.
    """
    with best_effort("mark the lock"):
        lock = ledger.mark_restoring(found.plan.target, found.plan.execution_arn, why)
        seen = left_open(lock) if lock else None
        # A lock without a plan was taken late, by a handler in flight, after this one's own had been closed.
        return Mark(seen, held=True) if seen else Mark(found, booked=history.booked(found.plan))
    return Mark(found)


def restore(marked: Mark, ended_at: float) -> Booked | None:
    """Restore the alias; the books instead, where they say already how the rollout ended.

    A promotion is undone only by whoever marked the lock. Where nobody could, it is undone only if the books do not
    say promoted, once no Promote can be in flight that might still write so; `ended_at` is when the last one may have
    begun.

    Raises:
        AliasMoved, AliasNotFound: the alias is somebody else's by now; nothing was written.
        AwsUnavailable: a promotion may still be closed, or somebody keeps writing to the alias.
    """
    found, plan = marked.found, marked.found.plan
    if marked.booked:
        return marked.booked
    undoes = marked.held and found.promoting
    try:
        aliases.restore(plan.function_name, plan.alias_name, plan.stable, found.candidate, promoting=undoes)
    except AliasMoved:
        if undoes or not found.promoting:
            raise
        return _undo_unmarked(found, ended_at)
    logger.info("stable version restored")
    return None


def _undo_unmarked(found: Trace, ended_at: float) -> Booked | None:
    plan = found.plan
    with best_effort("read whether the promotion is closed"):
        if booked := history.booked(plan):
            return booked
    if time.time() - ended_at < _PROMOTE_IN_FLIGHT_SECONDS:
        raise AwsUnavailable(f"a promotion of {plan.target} may still be in flight: if it is not closed, it is undone")
    aliases.restore(plan.function_name, plan.alias_name, plan.stable, found.candidate, promoting=True)
    logger.info("stable version restored, without a mark")
    return None


def _succeeded(found: Trace, end: End) -> Closing | Booked:
    """The books of a success that could not be closed; its alias is where it should be, unless somebody restored it."""
    outcome = end.outcome or ("promoted" if found.promoting else "unchanged")
    if outcome == "promoted" and found.restoring:
        return _ended_badly(found, replace(end, cause=found.restoring))
    closing = _closing(found, outcome, "closed after the execution had ended")
    return replace(closing, proven=end.proven, convicts=False)


def _ended_badly(found: Trace, end: End) -> Closing | Booked:
    marked = mark(found, end.cause)
    found = marked.found
    why = found.restoring or end.cause
    if not found.exposed:
        return marked.booked or _closing(found, "rejected", why)
    try:
        booked = restore(marked, end.ended_at)
    except (AliasMoved, AliasNotFound) as error:
        return _closing(found, "interrupted", f"{error} (after {why})")
    except RolloutError as error:
        if end.outcome == ROLLBACK_FAILED or not isinstance(error, Transient):
            _give_up(found, error)
        raise
    return booked or _closing(found, "rolled_back", why)


def _closing(found: Trace, outcome: str, cause: str) -> Closing:
    return Closing(
        found.plan,
        found.candidate,
        outcome,
        cause,
        convicts=found.convicted,
        exposed=found.exposed,
        promoting=found.promoting,
    )


def _give_up(found: Trace, error: RolloutError) -> None:
    """Say so at once; whether the next try succeeds or not, a person should look."""
    cause = f"{error}. Run: {found.plan.restore_command}"
    closing = Closing(found.plan, found.candidate, ROLLBACK_FAILED, cause, keep_lock=True)
    try:
        close(closing)
    except RolloutError as unwritten:
        logger.warning("ledger not closed", reason=str(unwritten))
        tell(closing)
