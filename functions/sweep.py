"""sweep: once a minute, what no event reported: locks whose execution has ended, and late writers."""

from __future__ import annotations

import time

from application.books import OPEN_ROLLBACKS
from application.settlement import take_over
from application.telemetry import Document, gauge, identify, logger, task
from aws import aliases, executions, history, ledger
from aws.executions import End
from aws.history import ROLLBACK_FAILED, Ended
from aws.ledger import Lock
from rollout.errors import AliasNotFound, RolloutError
from rollout.strategy import COMPARISON

#: No handler runs longer: Lambda ends it after 15 minutes, and an SDK call of its may land a moment later.
_IN_FLIGHT_SECONDS = 16 * 60
#: A younger end is still its guard's, or waits for a handler in flight: a sweep that cannot settle it proves nothing.
_SETTLED_AFTER_SECONDS = 300


@task("sweep")
def handler(_event: Document) -> Document:
    """Event: EventBridge Scheduler's. Result: how many rollouts were settled, and how many aliases restored again.

    Only a sweep that saw everything whole says that no rollback is open; one that could not find out says nothing.

    Raises:
        RolloutError: something is still open; the next sweep tries again.
    """
    now = time.time()
    settled = restored = 0
    failed: RolloutError | None
    locks, failed = ledger.running()
    left_open = int(failed is not None)
    for lock in locks:
        overdue = False
        try:
            end = executions.end_of(lock.execution_arn, now - lock.taken_at)
            overdue = end is not None and now - end.ended_at > _SETTLED_AFTER_SECONDS
            settled += end is not None and _settle(lock, end)
        except RolloutError as error:
            failed = _note(lock.target, error)
            left_open += overdue
    if left_open:
        gauge(OPEN_ROLLBACKS, left_open)
    for rollout in history.ended():
        try:
            restored += _look_again(rollout, now)
        except RolloutError as error:
            failed = _note(rollout.target, error)
    if failed:
        raise failed
    gauge(OPEN_ROLLBACKS, 0)
    return {"settled": settled, "restored": restored}


def _note(target: str, error: RolloutError) -> RolloutError:
    logger.warning("still open", target=target, reason=str(error))
    return error


def _settle(seen: Lock, end: End) -> bool:
    """Settle a rollout whose execution has ended for certain; the index may lag, so the lock itself is read."""
    lock = ledger.read_lock(seen.target)
    if lock is None or lock.execution_arn != seen.execution_arn:
        return False
    identify({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
    take_over(lock, end)
    return True


def _look_again(rollout: Ended, now: float) -> bool:
    """Whether a late writer split the alias after its rollout had ended; watched until none can be in flight.

    Only a weight that the rollout itself sets is a late write of its own; another one is somebody else's release.
    """
    if now - rollout.ended_at > _IN_FLIGHT_SECONDS:
        history.let_go(rollout)
        return False
    if rollout.outcome in {"promoted", "unchanged", "interrupted", ROLLBACK_FAILED}:
        return False
    function_name, _, alias_name = rollout.target.rpartition(":")
    try:
        routing = aliases.read(function_name, alias_name).routing
    except AliasNotFound:
        return False
    if not (routing.is_split and routing.belongs_to(rollout.stable, rollout.candidate)):
        return False
    if routing.weight_percent not in _weights(rollout) or ledger.read_lock(rollout.target) is not None:
        return False
    aliases.restore(function_name, alias_name, rollout.stable, rollout.candidate)
    logger.warning("a late write was taken back", target=rollout.target)
    return True


def _weights(rollout: Ended) -> set[float]:
    plan = history.plan_of(rollout)
    return {step.weight_percent for step in (*plan.steps, COMPARISON)} if plan else set()
