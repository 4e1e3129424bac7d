"""sweep: once a minute, what no event reported: locks whose execution has ended, and late writers."""

from __future__ import annotations

import time

from application.announcement import announce
from application.books import OPEN_ROLLBACKS
from application.restoration import cleared
from application.settlement import take_over
from application.telemetry import Document, gauge, identify, logger, task
from aws import aliases, executions, history, locks
from aws.executions import End
from aws.history import ROLLBACK_FAILED, Ended
from aws.locks import Lock
from rollout.claim import Claim
from rollout.errors import AliasNotFound, RolloutError
from rollout.plan import Plan
from rollout.routing import Routing
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
    running, failed = locks.running()
    left_open = int(failed is not None)
    for lock in running:
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
    lock = locks.read(seen.target)
    if lock is None or lock.execution_arn != seen.execution_arn:
        return False
    identify({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
    take_over(lock, end)
    return True


def _look_again(rollout: Ended, now: float) -> bool:
    """Whether something of a rollout was on its alias after it had ended, and is taken back; watched until no write of
    its own can be in flight.

    On its stable version only a weight that the rollout itself sets is a late write of its own, on somebody else's only
    one that it has set; another one is somebody else's release. The alias is read before its lock: whoever takes that
    later changes the revision that the write names.
    """
    if now - rollout.ended_at > _IN_FLIGHT_SECONDS:
        history.let_go(rollout)
        return False
    if rollout.outcome in {"promoted", "unchanged", ROLLBACK_FAILED}:
        return False
    function_name, _, alias_name = rollout.target.rpartition(":")
    try:
        alias = aliases.read(function_name, alias_name)
    except AliasNotFound:
        return False
    if alias.routing.additional is None or alias.routing.additional != rollout.candidate:
        return False
    left = history.left_by(rollout)
    whole = _whole(left, rollout, alias.routing) if left else None
    if left is None or whole is None or locks.read(rollout.target) is not None:
        return False
    if aliases.write(function_name, alias_name, whole, alias.revision_id) is None:
        return False
    _tell_taken_back(rollout, left[0], alias.routing, whole)
    return True


def _whole(left: tuple[Plan, Claim], rollout: Ended, found: Routing) -> Routing | None:
    plan, claim = left
    if found.version == rollout.stable:
        sets = {step.weight_percent for step in (*plan.steps, COMPARISON)}
        is_late = rollout.outcome != "interrupted" and found.weight_percent in sets
        return Routing.alone(rollout.stable) if is_late else None
    return claim.whole(found)


def _tell_taken_back(rollout: Ended, plan: Plan, before: Routing, whole: Routing) -> None:
    cause = (
        cleared(plan.target, before)
        if whole.version != plan.stable
        else f"{plan.target} served {before}, by a write that arrived late: version {plan.stable} serves alone again"
    )
    logger.warning("taken back after the end", target=rollout.target, reason=cause)
    announce("AliasRestored", plan.about(rollout.candidate, cause=cause))
