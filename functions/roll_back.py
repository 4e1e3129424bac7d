"""RollBack: put the alias back on the stable version, and close the rollout. Works with the ledger gone."""

from __future__ import annotations

import time
from datetime import datetime

from application.books import close, tell
from application.restoration import Mark, mark, restore
from application.telemetry import Document, best_effort, logger, measure, task
from aws import ledger
from aws.executions import SUCCESSES, Trace
from aws.history import Closing
from aws.ledger import Lock
from rollout.errors import (
    CONVICTING,
    AliasMoved,
    AliasNotFound,
    AwsRefused,
    LockLost,
    PermissionDenied,
    RestoreFailed,
    RolloutError,
)
from rollout.failure import Failure
from rollout.plan import Plan


@task("RollBack")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` (null before there is one), `progress`, `failure`, `exposed`, `promoting`.

    Result: `outcome` (rolled_back, rejected or interrupted) and `cause`, for the end state that follows. Where the task
    that failed had closed the books before, they say how it ended: promoted or unchanged.
    """
    plan, candidate = Plan.from_json(event["plan"]), event["candidate"] or None
    failure = Failure.from_error_output(event["failure"])
    cause = str(failure) if failure else str(event["progress"]["reason"])
    outcome, cause = _restore(plan, candidate, failure, cause, event)
    if outcome in SUCCESSES:
        return _succeed(plan, candidate, outcome, cause, event)
    convicts = failure.error_name in CONVICTING if failure else bool(event["progress"]["convicts"])
    lock = _own_lock(plan)
    if lock and lock.restoring and outcome != "interrupted" and not cause.startswith(lock.restoring):
        # Somebody restored first, and said why; what failed here since is only what followed.
        cause, convicts = lock.restoring, lock.convicted
    closing = Closing(plan, candidate, outcome, cause, convicts=convicts)
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
    proven = bool(event["progress"].get("proven")) if outcome == "promoted" else None
    tell(Closing(plan, candidate or plan.stable, outcome, cause, proven=proven))
    return {"outcome": outcome, "cause": cause}


def _own_lock(plan: Plan) -> Lock | None:
    with best_effort("read why the rollout was restored"):
        lock = ledger.read_lock(plan.target)
        return lock if lock and lock.execution_arn == plan.execution_arn else None
    return None


def _restore(
    plan: Plan, candidate: str | None, failure: Failure | None, cause: str, event: Document
) -> tuple[str, str]:
    """Restore where traffic may have moved; the outcome, and its cause."""
    if failure and failure.error_name == LockLost.__name__ and _is_held_by_another(plan):
        return "interrupted", cause
    if not _may_be_exposed(event):
        return "rejected", cause
    found = Trace(plan, candidate, exposed=True, promoting=bool(event["promoting"]))
    entered_at = datetime.fromisoformat(event["entered_at"]).timestamp()
    try:
        # Only a promotion may have been closed: what else goes wrong does not wait for the ledger.
        booked = restore(mark(found, cause) if found.promoting else Mark(found), entered_at)
    except (AliasMoved, AliasNotFound) as error:
        return "interrupted", f"{error} (after {cause})"
    except (PermissionDenied, AwsRefused) as error:
        raise RestoreFailed(f"{error} (after {cause})") from error
    if booked:
        return booked.outcome, booked.cause
    measure("RollbackSeconds", max(0.0, time.time() - entered_at))
    return "rolled_back", cause


def _may_be_exposed(event: Document) -> bool:
    """Whether a weight may have been set: not while the rollout was held before its first one."""
    progress = event["progress"]
    held_before = "shifts" in progress and not progress["shifts"] and progress["action"] != "advance"
    return bool(event["exposed"]) and not held_before


def _is_held_by_another(plan: Plan) -> bool:
    """Whether another rollout has the alias by now; a lock that is gone or cannot be read says nothing."""
    try:
        lock = ledger.read_lock(plan.target)
    except RolloutError:
        return False
    return lock is not None and lock.execution_arn != plan.execution_arn
