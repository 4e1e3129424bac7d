"""PlanRollout: validate the request, take the alias's lock, and fix the plan before anything moves."""

from __future__ import annotations

import time
from datetime import datetime

from tidegate.application.telemetry import Document, best_effort, identify, logger, task
from tidegate.application.announcement import announce
from tidegate.application.counting import have_counted
from tidegate.application.dry_run import rehearse
from tidegate.application.finalize import tell_refused
from tidegate.application.planner import ResolvedRequest, make_plan, taken, with_room
from tidegate.application.reconciliation import reconcile_lock
from tidegate.aws import executions, history, ledger, locks
from tidegate.aws.executions import Execution
from tidegate.aws.patience import LONG
from tidegate.errors import AwsRefused, PermissionDenied, Rejected, RolloutRunning, VersionFailed
from tidegate.planning.plan import Plan

#: What trying again will not change.
_FINAL = (Rejected, PermissionDenied, VersionFailed, AwsRefused)


@task("PlanRollout", LONG)
def handler(event: Document) -> Document:
    """Event: `request` (any JSON), `execution_arn`, and `started_at` (RFC 3339). Result: the plan.

    With `dry_run` nothing is taken, written or told; the result is `plan` and the versions' `differences`.
    """
    execution = Execution.parse(event["execution_arn"])
    started_at = datetime.fromisoformat(event["started_at"]).timestamp()
    if event.get("dry_run"):
        return rehearse(event["request"], execution, started_at)
    known = event["request"]
    try:
        resolved = ResolvedRequest.parse(event["request"], execution)
        known = resolved.alias.names
        plan = _plan_under_lock(resolved, execution, started_at)
    except _FINAL as error:
        tell_refused(execution.arn, known, f"{type(error).__name__}: {error}")
        raise
    identify({"plan": plan.to_json()})
    logger.info("planned", plan=plan.to_json())
    announce("RolloutStarted", plan.about(plan.version, plan=plan.to_json()))
    return plan.to_json()


def _plan_under_lock(resolved: ResolvedRequest, execution: Execution, started_at: float) -> Plan:
    target = resolved.target
    if record := history.record_of(target, execution, started_at):
        raise Rejected(record.ending.cause)
    _take_lock(target, execution, started_at)
    try:
        plan = with_room(make_plan(resolved, execution, started_at))
        ledger.record_plan(plan)
        plan = have_counted(plan)
    except _FINAL as error:
        with best_effort("keep the refusal"):
            history.refuse(target, execution, started_at, f"{type(error).__name__}: {error}")
        raise
    return plan


def _take_lock(target: str, execution: Execution, started_at: float) -> None:
    """Take the lock; one whose execution has ended is taken over, its leftovers closed first."""
    now = time.time()
    if ledger.take_lock(target, execution.arn, now, started_at=started_at):
        return
    held = locks.read(target)
    end = executions.end_of(held.execution_arn, now - held.heard_at) if held is not None else None
    if held is not None and end is not None:
        reconcile_lock(held, end)
        if ledger.take_lock(target, execution.arn, now, ended_holder=held.execution_arn, started_at=started_at):
            return
        # The response may have been lost, and the SDK asked again.
        held = locks.read(target)
        if held is not None and held.execution_arn == execution.arn:
            return
    raise RolloutRunning(taken(target, held.execution_arn if held else "another execution"))
