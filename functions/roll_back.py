"""RollBack: put the alias back on the stable version, and close the rollout. Works with the ledger gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from tidegate.application.telemetry import Document, best_effort, logger, measure, task
from tidegate.application.finalize import close, tell
from tidegate.application.restoration import begin, left_open, mark, restore
from tidegate.aws import executions, history, locks
from tidegate.aws.executions import SUCCESSES, Trace
from tidegate.aws.history import ROLLBACK_FAILED, Booked, Closing
from tidegate.control.progress import Progress, Standing
from tidegate.ending.failure import Failure, after
from tidegate.errors import (
    CONVICTING,
    AliasMoved,
    AliasNotFound,
    AwsRefused,
    Interrupted,
    LockLost,
    PermissionDenied,
    RestoreFailed,
    RolloutError,
    VersionFailed,
)
from tidegate.planning.plan import Plan

#: Failures that say that the alias is not as this rollout left it.
_MOVED = frozenset({AliasMoved.__name__, AliasNotFound.__name__})


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the rollout ended, why, and what the lock had to say of it."""

    outcome: str
    cause: str
    found: Trace | None = None


@task("RollBack")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `traffic_shifted` and `promoting`; `candidate`, `progress`, `decision` and `failure`,
    each null where there is none.

    Also `entered_at`, when the state was entered, and `redrives`, how often somebody has redriven the execution: with
    the ledger silent, only one that never was may say that the alias is still its own.

    Result: `outcome` (rolled_back, rejected or interrupted) and `cause`, for the end state that follows. Where the task
    that failed had closed the books before, they say how it ended: promoted or unchanged.
    """
    plan, candidate = Plan.from_json(event["plan"]), event["candidate"] or None
    before = _booked(plan) if event["redrives"] else None
    if before and before.outcome != ROLLBACK_FAILED:
        # It had ended before somebody redrove it, and was told then. One that could not be restored has not ended.
        return {"outcome": before.outcome, "cause": before.cause}
    failure = Failure.from_error_output(event["failure"]) if event["failure"] else None
    cause = str(failure) if failure else str(event["decision"]["reason"])
    ended = _restore(plan, candidate, failure, cause, event)
    outcome, cause, found = ended.outcome, ended.cause, ended.found
    if outcome in SUCCESSES:
        return _succeed(plan, candidate, outcome, cause, event)
    convicts = failure.error_name in CONVICTING if failure else bool(event["decision"]["convicts"])
    if outcome != "interrupted" and found and _was_marked_before(found, cause):
        # Somebody restored first, and said why; what failed here since is only what followed.
        cause, convicts = str(found.restoring), found.convicted
    weights = found.weights if found else frozenset()
    closing = Closing(plan, candidate, outcome, cause, convicts=convicts, weights=weights)
    try:
        booked = close(closing)
    except RolloutError as error:
        # The books stay open for guard_execution; the end of the rollout does not wait for them.
        logger.warning("ledger not closed", reason=str(error))
        tell(closing)
        return {"outcome": outcome, "cause": cause}
    if booked.outcome not in SUCCESSES:
        return {"outcome": booked.outcome, "cause": booked.cause}
    if not _may_be_exposed(event):
        return _succeed(plan, candidate, booked.outcome, booked.cause, event)
    logger.error("the books were closed while the alias was restored", booked=booked.outcome, found=outcome)
    return {"outcome": outcome, "cause": cause}


def _succeed(plan: Plan, candidate: str | None, outcome: str, cause: str, event: Document) -> Document:
    """The task that failed had closed the books, and may not have told."""
    decision = event["decision"] or {}
    proven = bool(decision.get("proven")) if outcome == "promoted" else None
    tell(Closing(plan, candidate or plan.stable, outcome, cause, proven=proven))
    return {"outcome": outcome, "cause": cause}


def _restore(plan: Plan, candidate: str | None, failure: Failure | None, cause: str, event: Document) -> _Ended:
    """Restore where traffic may have moved."""
    if not _may_be_exposed(event):
        if failure and failure.error_name == LockLost.__name__ and _is_held_by_another(plan):
            return _Ended("interrupted", cause)
        return _Ended("rejected", cause, _own_lock(plan))
    entered_at = datetime.fromisoformat(event["entered_at"]).timestamp()
    moved = failure is not None and failure.error_name in _MOVED
    # Promote says that the alias has moved where it has not written it.
    promoting = bool(event["promoting"]) and not moved
    alias_gone = failure is not None and failure.error_name == AliasNotFound.__name__
    known = _trace(plan, candidate, event, promoting=promoting)
    # A later rollout may have planned on the revision that one knows which was redriven.
    marked = (mark if event["redrives"] or alias_gone else begin)(known, cause, hasty=True)
    try:
        done = restore(
            marked,
            cause,
            ended_at=entered_at,
            alias_gone=alias_gone,
            is_alone=lambda: _still_runs(plan, event),
        )
    except (Interrupted, AliasNotFound) as error:
        return _Ended("interrupted", after(str(error), cause), marked.found)
    except (PermissionDenied, VersionFailed, AwsRefused) as error:
        raise RestoreFailed(after(str(error), cause)) from error
    if isinstance(done, Booked):
        return _Ended(done.outcome, done.cause, marked.found)
    if done.theirs:
        return _Ended("interrupted", after(done.theirs, cause), marked.found)
    measure("RollbackSeconds", max(0.0, time.time() - entered_at))
    return _Ended("rolled_back", cause, marked.found)


def _booked(plan: Plan) -> Booked | None:
    with best_effort("read how it ended before it was redriven"):
        return history.booked(plan)
    return None


def _still_runs(plan: Plan, event: Document) -> bool:
    """Whether this execution runs, and always has: then nobody can have taken its alias over.

    A handler goes on for a while when its execution is stopped, and one that was redriven may have lost the alias
    before. Where Step Functions does not answer either, it runs: a rollback does not wait for that.
    """
    if event["redrives"]:
        return False
    with best_effort("see whether the execution still runs"):
        return executions.end_of(plan.execution_arn, 0.0) is None
    return True


def _own_lock(plan: Plan) -> Trace | None:
    """What the lock says, where it is this execution's: somebody may have aborted before there was any traffic."""
    with best_effort("read why the rollout was restored"):
        lock = locks.read(plan.target)
        return left_open(lock) if lock and lock.execution_arn == plan.execution_arn else None
    return None


def _trace(plan: Plan, candidate: str | None, event: Document, *, promoting: bool) -> Trace:
    """What the execution itself knows of the rollout; the lock, where it answers, knows better."""
    progress = Progress.from_json(event["progress"]) if event["progress"] else None
    return Trace(
        plan,
        candidate,
        exposed=True,
        promoting=promoting,
        weights=frozenset(shift.weight_percent for shift in progress.shifts) if progress else frozenset(),
        revision_id=progress.revision_id if progress else plan.revision_id,
    )


def _was_marked_before(found: Trace, cause: str) -> bool:
    """Whether the lock was marked for another reason than this one: the first reason is kept there, cut to its room."""
    return bool(found.restoring) and not cause.startswith(str(found.restoring).removesuffix("…"))


def _may_be_exposed(event: Document) -> bool:
    """Whether a weight may have been set: not while the rollout was held before its first one."""
    standing = Standing.found(event)
    held_before = standing and not standing.progress.shifts and standing.decision.action != "advance"
    return bool(event["traffic_shifted"]) and not held_before


def _is_held_by_another(plan: Plan) -> bool:
    """Whether another rollout has the alias by now; a lock that is gone or cannot be read says nothing."""
    try:
        lock = locks.read(plan.target)
    except RolloutError:
        return False
    return lock is not None and lock.execution_arn != plan.execution_arn
