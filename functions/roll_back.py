"""RollBack: put the alias back on the stable version, and close the rollout. Works with the ledger gone."""

from __future__ import annotations

import time
from datetime import datetime

from aws_lambda_powertools.metrics import MetricUnit

from aws import aliases, ledger
from aws.history import Closing
from aws.ledger import Lock
from closing import close, tell
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
from telemetry import Document, best_effort, count, logger, task


@task("RollBack")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` (null before there is one), `progress`, `failure`, `exposed`, `promoting`.

    Result: `outcome` (rolled_back, rejected or interrupted) and `cause`, for the end state that follows.
    """
    plan, candidate = Plan.from_json(event["plan"]), event["candidate"] or None
    failure = Failure.from_error_output(event["failure"])
    cause = str(failure) if failure else str(event["progress"]["reason"])
    outcome, cause = _restore(plan, candidate, failure, cause, event)
    convicts = failure.error_name in CONVICTING if failure else bool(event["progress"]["convicts"])
    lock = _own_lock(plan)
    if lock and lock.restoring and outcome != "interrupted":
        # Somebody restored first, and said why; what failed here since is only what followed.
        cause, convicts = lock.restoring, lock.convicted
    closing = Closing(plan, candidate, outcome, cause, convicts=convicts)
    try:
        close(closing)
    except RolloutError as error:
        # The books stay open for guard_execution; the end of the rollout does not wait for them.
        logger.warning("ledger not closed", reason=str(error))
        tell(closing)
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
    if not event["exposed"]:
        return "rejected", cause
    try:
        aliases.restore(plan.function_name, plan.alias_name, plan.stable, candidate, promoting=bool(event["promoting"]))
    except (AliasMoved, AliasNotFound) as error:
        return "interrupted", f"{error} (after {cause})"
    except (PermissionDenied, AwsRefused) as error:
        raise RestoreFailed(f"{error}. Run: {plan.restore_command}") from error
    seconds = time.time() - datetime.fromisoformat(event["entered_at"]).timestamp()
    count("RollbackSeconds", max(0.0, seconds), MetricUnit.Seconds)
    logger.info("stable version restored", seconds=round(seconds, 1))
    return "rolled_back", cause


def _is_held_by_another(plan: Plan) -> bool:
    """Whether another rollout has the alias by now; a lock that is gone or cannot be read says nothing."""
    try:
        lock = ledger.read_lock(plan.target)
    except RolloutError:
        return False
    return lock is not None and lock.execution_arn != plan.execution_arn
