"""RollBack's work: the alias back on the stable version, and the rollout recorded. Works with the ledger gone."""

from __future__ import annotations

import time
from dataclasses import replace

from tidegate.application.telemetry import best_effort, logger, measure
from tidegate.application.finalize import finalize, tell
from tidegate.application.left_running import naming_what_goes_on
from tidegate.application.restoration import attempt, begin, intend
from tidegate.aws import executions, history, locks
from tidegate.ending.conclusion import Known, Reason, conclude
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.restore_intent import Failed, Holder
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import RestoreFailed, RolloutError
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan


@frozen
class Rollback:
    """A rollout that is to be taken back, as its execution knows it; the lock, where it answers, knows better.

    `entered_at` is when the state machine began, in seconds since the epoch. `redriven`: somebody has redriven the
    execution: with the ledger silent, only one that never was may say that the alias is still its own. `proven` and
    `proven_by` are what the last verdict said of a promotion.
    """

    snapshot: RolloutSnapshot
    reason: Reason
    entered_at: float
    redriven: bool
    proven: bool
    proven_by: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """The rollout's plan."""
        return self.snapshot.plan


def roll_back(rollback: Rollback) -> Ending:
    """Restore where traffic may have moved, record and tell; how the rollout ended.

    Where the task that failed had recorded the end before, that counts: promoted or unchanged.

    Raises:
        RestoreFailed: a person must restore the stable version.
        RolloutError: it could not be restored yet: try again.
    """
    if before := _recorded_before(rollback):
        return before
    known = _restored(rollback) if rollback.snapshot.traffic_shifted else _untouched(rollback)
    ending = conclude(known)
    if isinstance(known.restoration, Failed):
        raise RestoreFailed(ending.cause) from known.restoration.error
    if ending.outcome is Outcome.ROLLED_BACK and not ending.recorded:
        measure("RollbackSeconds", max(0.0, time.time() - rollback.entered_at))
    if ending.recorded and ending.outcome.is_success:
        return _announced(rollback, ending)
    return _finalized(rollback, known, naming_what_goes_on(rollback.plan, rollback.snapshot.candidate, ending))


def _recorded_before(rollback: Rollback) -> Ending | None:
    """How it had ended before somebody redrove it, and was told then; one that could not be restored has not ended."""
    if not rollback.redriven:
        return None
    with best_effort("read how it ended before it was redriven"):
        before = history.recorded(rollback.plan)
        return before if before and before.outcome is not Outcome.ROLLBACK_FAILED else None
    return None


def _restored(rollback: Rollback) -> Known:
    reason = rollback.reason
    # A later rollout may have planned on the revision that one knows which was redriven.
    say = intend if rollback.redriven or reason.alias_gone else begin
    intent = say(rollback.snapshot, reason.cause, hasty=True)
    try:
        done = attempt(
            intent,
            reason.cause,
            ended_at=rollback.entered_at,
            alias_gone=reason.alias_gone,
            is_alone=lambda: _still_runs(rollback),
        )
    except RolloutError as error:
        return Known(intent.snapshot, reason, restoration=Failed(error))
    return Known(intent.snapshot, reason, restoration=done)


def _still_runs(rollback: Rollback) -> bool:
    """Whether this execution runs, and always has: then nobody can have taken its alias over.

    A handler goes on for a while when its execution is stopped, and one that was redriven may have lost the alias
    before. Where Step Functions does not answer either, it runs: a rollback does not wait for that.
    """
    if rollback.redriven:
        return False
    with best_effort("see whether the execution still runs"):
        return executions.end_of(rollback.plan.execution_arn, 0.0) is None
    return True


def _untouched(rollback: Rollback) -> Known:
    """What is known where no weight can have been set: the lock is only read, and the history where that is gone."""
    if rollback.reason.lock_lost and _is_held_by_another(rollback.plan):
        return Known(rollback.snapshot, rollback.reason, holder=Holder.ANOTHER)
    with best_effort("read why the rollout was restored, or how it was recorded"):
        lock = locks.read(rollback.plan.target)
        if lock is None:
            return Known(rollback.snapshot, rollback.reason, restoration=history.recorded(rollback.plan))
        # Somebody may have aborted before there was any traffic.
        own = lock.snapshot if lock.execution_arn == rollback.plan.execution_arn else None
        return Known(own or rollback.snapshot, rollback.reason)
    return Known(rollback.snapshot, rollback.reason)


def _is_held_by_another(plan: Plan) -> bool:
    """Whether another rollout has the alias by now; a lock that is gone or cannot be read says nothing."""
    try:
        lock = locks.read(plan.target)
    except RolloutError:
        return False
    return lock is not None and lock.execution_arn != plan.execution_arn


def _finalized(rollback: Rollback, known: Known, ending: Ending) -> Ending:
    plan, candidate = rollback.plan, rollback.snapshot.candidate
    try:
        found = finalize(RolloutSnapshot(plan, candidate, weights=known.snapshot.weights), ending)
    except RolloutError as error:
        # The record stays open for guard_execution; the end of the rollout does not wait for it.
        logger.warning("ledger not closed", reason=str(error))
        tell(plan, candidate, ending)
        return ending
    if not found.outcome.is_success:
        return found
    if not rollback.snapshot.traffic_shifted:
        return _announced(rollback, found)
    logger.error("recorded as a success while the alias was restored", recorded=found.outcome, found=ending.outcome)
    return ending


def _announced(rollback: Rollback, ending: Ending) -> Ending:
    """The task that failed had recorded the success, and may not have told."""
    promoted = ending.outcome is Outcome.PROMOTED
    proven, proven_by = (rollback.proven, rollback.proven_by) if promoted else (None, ())
    told = replace(ending, proven=proven, proven_by=proven_by)
    tell(rollback.plan, rollback.snapshot.candidate or rollback.plan.stable, told)
    return ending
