"""sweep: once a minute, what no event reported: locks whose execution has ended, and late writers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self, TypeVar

from tidegate.application.telemetry import (
    Document,
    best_effort,
    gauge,
    identify_in_thread,
    logger,
    seconds_left,
    task,
)
from tidegate.alias import Alias
from tidegate.application.announcement import announce
from tidegate.application.counting import keep_counting
from tidegate.application.finalize import OPEN_ROLLBACKS
from tidegate.application.many import each, share, shuffled
from tidegate.application.reconciliation import reconcile_lock
from tidegate.aws import aliases, executions, history, locks, watches
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.record import RecordSummary
from tidegate.ending.restore_intent import cleared
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import AliasNotFound, RestoreFailed, RolloutError
from tidegate.frozen import frozen
from tidegate.planning.strategy import COMPARISON
from tidegate.routing import ALL_PERCENT, Routing

#: No handler runs longer: Lambda ends it after 15 minutes, and an SDK call of its may land a moment later.
_IN_FLIGHT_SECONDS = 16 * 60
#: An alias that cannot be read is not asked about for ever: a role that may not, may not.
_UNREADABLE_SECONDS = 3600
#: A younger end is its guard's, or waits for a handler in flight: that a sweep cannot reconcile it proves nothing.
_RECONCILED_AFTER_SECONDS = 300
#: A rollout looks every minute or more seldom, and each look writes to its lock: who was heard of since runs.
_SILENT_SECONDS = 90
#: So many locks, and so many that have ended, are looked after in one sweep, and so many seconds long each, so that it
#: is over before the next one. DescribeExecution answers 15 a second (Step Functions Developer Guide, "Quotas"), and so
#: does Lambda's control plane of a region (Lambda Developer Guide, "Quotas"): a sweep leaves a third to others.
_MOST, _PER_SECOND, _SECONDS = 250, 10, 28
#: Nothing is begun later: the longest that one may take, where AWS is slow.
_LAST_SECONDS = 60

_T = TypeVar("_T", bound=Lock | RecordSummary)


@task("sweep")
def handler(_event: Document) -> Document:
    """Event: EventBridge Scheduler's. Result: how many rollouts were reconciled, and how many aliases restored again.

    Of more than a minute has room for, each sweep looks after a part, and after all that are known to be open. Only one
    that saw all of those whole says that no rollback is open; one that could not find out says nothing.

    Raises:
        RolloutError: something is still open; the next sweep tries again.
    """
    now = time.time()
    running, unread = locks.running()
    keep_counting(running)
    _adopt(running)
    reconciled = _Sum.of(_part_of(running, now), partial(_reconcile_if_ended, now=now))
    over, unreadable = history.ended()
    restored = _Sum.of(_part_of_ended(over), partial(_look_again, now=now))
    failed = restored.failed or unreadable or reconciled.failed or unread
    left_open = int(unread is not None) + reconciled.left_open + restored.left_open
    if left_open or not failed:
        gauge(OPEN_ROLLBACKS, left_open)
    if failed:
        raise failed
    return {"reconciled": reconciled.done, "restored": restored.done}


@frozen
class _Sum:
    """What came of a sweep: how many were put right, how many are open for certain, and the last failure."""

    done: int
    left_open: int
    failed: RolloutError | None

    @classmethod
    def of(cls, items: Sequence[_T], act: Callable[[_T], bool]) -> Self:
        """Of doing that with each of them."""
        done = left_open = left = 0
        failed: RolloutError | None = None
        until = max(_LAST_SECONDS, seconds_left() - _SECONDS)
        for tried in each(items, act, per_second=_PER_SECOND, until_seconds_left=until):
            done += bool(tried.result)
            left += not tried.begun
            if tried.error:
                failed = tried.error
                left_open += isinstance(failed, RestoreFailed)
                logger.warning("still open", target=tried.item.target, reason=str(failed))
        if left:
            logger.info("left to a later sweep", rollouts=left)
        return cls(done, left_open, failed)


def _part_of(running: list[Lock], now: float) -> list[Lock]:
    """Locks whose holder has not been heard of for a while, and first of all those that somebody restores."""
    late = [lock for lock in running if now - lock.heard_at > _SILENT_SECONDS]
    return _part(late, lambda lock: lock.restoring is not None)


def _part_of_ended(over: list[RecordSummary]) -> list[RecordSummary]:
    return _part(over, lambda rollout: rollout.is_open)


def _part(items: list[_T], is_open: Callable[[_T], bool]) -> list[_T]:
    others = share((item for item in items if not is_open(item)), _target, _MOST)
    return [*shuffled(filter(is_open, items), _target), *shuffled(others, _target)]


def _target(item: Lock | RecordSummary) -> str:
    return item.target


def _adopt(running: list[Lock]) -> None:
    """Write down which alarms a rollout watches that an earlier Tidegate has planned."""
    with best_effort("write down which alarms are watched"):
        for lock in running:
            if lock.lists_alarms:
                watches.adopt(lock)


def _reconcile_if_ended(seen: Lock, now: float) -> bool:
    """Whether it has ended, and was reconciled.

    Raises:
        RestoreFailed: it ended so long ago that it is open for certain.
        RolloutError: it could not be reconciled.
    """
    end = executions.end_of(seen.execution_arn, now - seen.heard_at)
    if end is None:
        return False
    try:
        return _reconcile(seen, end)
    except RolloutError as error:
        if now - end.ended_at > _RECONCILED_AFTER_SECONDS:
            raise RestoreFailed(str(error)) from error
        raise


def _reconcile(seen: Lock, end: ExecutionEnd) -> bool:
    """Reconcile a rollout whose execution has ended for certain; the index may lag, so the lock itself is read."""
    lock = locks.read(seen.target)
    if lock is None or lock.execution_arn != seen.execution_arn:
        return False
    identify_in_thread({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
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
        taken_back = watched and _take_back(rollout, is_over=is_over)
    except RestoreFailed as error:
        with best_effort("keep that it is open"):
            history.note_open(rollout, str(error))
        raise
    except RolloutError:
        if age_seconds > _UNREADABLE_SECONDS:
            history.let_go(rollout)
        raise
    if is_over and not taken_back:
        history.let_go(rollout)
    elif rollout.is_open:
        history.note_whole(rollout)
    return taken_back


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
