"""sweep: once a minute, what no event reported: locks whose execution has ended, and late writers."""

from __future__ import annotations

import time

from tidegate.application.telemetry import Document, gauge, identify, logger, task
from tidegate.alias import Alias
from tidegate.application.announcement import announce
from tidegate.application.counting import keep_counting
from tidegate.application.finalize import OPEN_ROLLBACKS
from tidegate.application.reconciliation import reconcile_lock
from tidegate.aws import aliases, executions, history, locks
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.record import RecordSummary
from tidegate.ending.restore_intent import cleared
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import AliasNotFound, RestoreFailed, RolloutError
from tidegate.planning.strategy import COMPARISON
from tidegate.routing import ALL_PERCENT, Routing

#: No handler runs longer: Lambda ends it after 15 minutes, and an SDK call of its may land a moment later.
_IN_FLIGHT_SECONDS = 16 * 60
#: An alias that cannot be read is not asked about for ever: a role that may not, may not.
_UNREADABLE_SECONDS = 3600
#: A younger end is its guard's, or waits for a handler in flight: that a sweep cannot reconcile it proves nothing.
_RECONCILED_AFTER_SECONDS = 300


@task("sweep")
def handler(_event: Document) -> Document:
    """Event: EventBridge Scheduler's. Result: how many rollouts were reconciled, and how many aliases restored again.

    Only a sweep that saw everything whole says that no rollback is open; one that could not find out says nothing.

    Raises:
        RolloutError: something is still open; the next sweep tries again.
    """
    now = time.time()
    reconciled = restored = 0
    failed: RolloutError | None
    running, failed = locks.running()
    keep_counting(running)
    left_open = int(failed is not None)
    for lock in running:
        overdue = False
        try:
            end = executions.end_of(lock.execution_arn, now - lock.taken_at)
            overdue = end is not None and now - end.ended_at > _RECONCILED_AFTER_SECONDS
            reconciled += end is not None and _reconcile(lock, end)
        except RolloutError as error:
            failed = _note(lock.target, error)
            left_open += overdue
    over, unreadable = history.ended()
    failed = unreadable or failed
    for rollout in over:
        try:
            restored += _look_again(rollout, now)
        except RolloutError as error:
            failed = _note(rollout.target, error)
            left_open += isinstance(error, RestoreFailed)
    if left_open or not failed:
        gauge(OPEN_ROLLBACKS, left_open)
    if failed:
        raise failed
    return {"reconciled": reconciled, "restored": restored}


def _note(target: str, error: RolloutError) -> RolloutError:
    logger.warning("still open", target=target, reason=str(error))
    return error


def _reconcile(seen: Lock, end: ExecutionEnd) -> bool:
    """Reconcile a rollout whose execution has ended for certain; the index may lag, so the lock itself is read."""
    lock = locks.read(seen.target)
    if lock is None or lock.execution_arn != seen.execution_arn:
        return False
    identify({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
    reconcile_lock(lock, end)
    return True


def _look_again(rollout: RecordSummary, now: float) -> bool:
    """Whether something of a rollout was on its alias after it had ended, and is taken back.

    It is watched until no write of its own can be in flight, and let go of by a look that has seen nothing of it. The
    alias is read before its lock: whoever takes that later changes the revision that the write names.

    Raises:
        RestoreFailed: something is there, and cannot be taken back now.
    """
    age_seconds = now - rollout.ended_at
    is_over = age_seconds > _IN_FLIGHT_SECONDS
    try:
        watched = not rollout.outcome.is_success and rollout.outcome is not Outcome.ROLLBACK_FAILED
        if watched and _take_back(rollout, is_over=is_over):
            return True
    except RestoreFailed:
        raise
    except RolloutError:
        if age_seconds > _UNREADABLE_SECONDS:
            history.let_go(rollout)
        raise
    if is_over:
        history.let_go(rollout)
    return False


def _take_back(rollout: RecordSummary, *, is_over: bool) -> bool:
    alias = Alias.parse(rollout.target)
    try:
        found = aliases.read(alias)
    except AliasNotFound:
        return False
    if found.routing.additional is None or found.routing.additional != rollout.candidate:
        return False
    record = history.whole_record(rollout)
    left = record.snapshot if record else None
    whole = _whole(left, rollout, found.routing, is_over=is_over) if left else None
    if left is None or whole is None or locks.read(rollout.target) is not None:
        return False
    try:
        if aliases.write(alias, whole, found.revision_id) is None:
            return False
    except RolloutError as error:
        raise RestoreFailed(f"{rollout.target} serves {found.routing} after its rollout's end, and {error}") from error
    _tell_taken_back(left, found.routing, whole)
    return True


def _whole(left: RolloutSnapshot, rollout: RecordSummary, found: Routing, *, is_over: bool) -> Routing | None:
    """What the alias is to serve on one version; None where nothing of it is this rollout's.

    On its stable version only a weight that the rollout itself sets is a late write of its own, on somebody else's only
    one that it has set; another one is somebody else's release. Where the alias has provisioned concurrency, Lambda
    shows all traffic on the version before until it has handed it over: that is not the rollout's, unless it stays.
    """
    plan = left.plan
    if found.version != rollout.stable:
        return left.claim.whole(found)
    hands_over = plan.provisioned and found.weight_percent == ALL_PERCENT and not is_over
    sets = {step.weight_percent for step in (*plan.steps, COMPARISON)}
    is_late = rollout.outcome is not Outcome.INTERRUPTED and found.weight_percent in sets and not hands_over
    return Routing.alone(rollout.stable) if is_late else None


def _tell_taken_back(left: RolloutSnapshot, before: Routing, whole: Routing) -> None:
    plan = left.plan
    cause = (
        cleared(plan.target, before)
        if whole.version != plan.stable
        else f"{plan.target} served {before}, by a write that arrived late: version {plan.stable} serves alone again"
    )
    logger.warning("taken back after the end", target=plan.target, reason=cause)
    announce("AliasRestored", plan.about(left.candidate, cause=cause))
