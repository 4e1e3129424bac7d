"""PlanRollout: validate the request, take the alias's lock, and fix the plan before anything moves."""

from __future__ import annotations

import time
from datetime import datetime

from aws import alarms, aliases, events, executions, history, ledger, metrics, versions
from aws.executions import End, Execution
from aws.ledger import Lock
from closing import tell_refused
from rollout import preflight
from rollout.errors import (
    AliasNotReady,
    AwsRefused,
    PermissionDenied,
    Rejected,
    RolloutRunning,
    StableUnusable,
    VersionNotFound,
)
from rollout.forecast import Forecast, forecast
from rollout.observation import History
from rollout.plan import HealthGate, Plan, pace
from rollout.request import FromAlias, RolloutRequest
from rollout.routing import restore_command
from rollout.strategy import Step
from settling import left_open, settle
from telemetry import Document, best_effort, identify, logger, task

UNGATED = "no alarm and no limit is set, and the judge is turned off: nothing can speak against the candidate"
#: What trying again will not change.
_FINAL = (Rejected, PermissionDenied, AwsRefused)


@task("PlanRollout")
def handler(event: Document) -> Document:
    """Event: `request` (any JSON), `execution_arn`, and `started_at` (RFC 3339). Result: the plan."""
    execution = Execution.parse(event["execution_arn"])
    started_at = datetime.fromisoformat(event["started_at"]).timestamp()
    try:
        request = RolloutRequest.parse(event["request"], region=execution.region, account=execution.account)
        plan = _plan_under_lock(request, execution, started_at)
    except _FINAL as error:
        tell_refused(execution.arn, event["request"], f"{type(error).__name__}: {error}")
        raise
    identify({"plan": plan.to_json()})
    logger.info("planned", plan=plan.to_json())
    with best_effort("announce the start"):
        events.emit("RolloutStarted", {"execution_arn": execution.arn, "plan": plan.to_json()})
    return plan.to_json()


def _plan_under_lock(request: RolloutRequest, execution: Execution, started_at: float) -> Plan:
    target = f"{request.function_name}:{request.alias_name}"
    if kept := history.kept_refusal(target, execution, started_at):
        raise Rejected(kept)
    _take_lock(target, execution)
    try:
        plan = _plan(request, execution, started_at)
        ledger.record_plan(plan)
    except _FINAL as error:
        with best_effort("keep the refusal"):
            history.refuse(target, execution, started_at, f"{type(error).__name__}: {error}")
        raise
    return plan


def _take_lock(target: str, execution: Execution) -> None:
    """Take the lock; one whose execution has ended is taken over, its leftovers closed first."""
    now = time.time()
    if ledger.take_lock(target, execution.arn, now):
        return
    held = ledger.read_lock(target)
    end = executions.end_of(held.execution_arn, now - held.taken_at) if held is not None else None
    if held is not None and end is not None:
        _close_leftovers(held, end)
        if ledger.take_lock(target, execution.arn, now, ended_holder=held.execution_arn):
            return
    holder = held.execution_arn if held else "another execution"
    raise RolloutRunning(f"{target} is being rolled out by {holder}: wait for it, or stop it")


def _close_leftovers(held: Lock, end: End) -> None:
    """Close what an ended rollout left open; a split of its two versions is restored, a promotion is left alone."""
    found = left_open(held)
    if found is not None:
        settle(found, succeeded=end == "succeeded", error_name="", cause="found ended, with its lock still held")


def _plan(request: RolloutRequest, execution: Execution, started_at: float) -> Plan:
    function_name, alias_name = request.function_name, request.alias_name
    versions.read_latest(function_name)
    alias = aliases.read(function_name, alias_name)
    provisioning = versions.read_provisioning(function_name, alias_name)
    preflight.require_ready_alias(f"{function_name}:{alias_name}", alias.routing, provisioning)
    _require_stable(function_name, alias.routing.version)
    gates = request.alarm_gates()
    preflight.require_ready_alarms(gates, alarms.read(gate.name for gate in gates))
    steps, health = request.chosen_steps(), request.health.gate()
    hooks = request.hooks.hooks()
    paced = pace(steps, health, hooks, request.max_pause_seconds)
    traffic, expected = _expect(request, steps, health, started_at)
    return Plan(
        rollout_id=execution.name,
        execution_arn=execution.arn,
        region=execution.region,
        function_name=function_name,
        alias_name=alias_name,
        started_at=started_at,
        stable=alias.routing.version,
        revision_id=alias.revision_id,
        steps=steps,
        poll_seconds=paced.poll_seconds,
        extension_poll_seconds=paced.extension_poll_seconds,
        hold_poll_seconds=paced.hold_poll_seconds,
        longest_seconds=paced.longest_seconds,
        max_step_backs=paced.max_step_backs,
        max_pause_seconds=paced.max_pause_seconds,
        restore_command=restore_command(execution.region, function_name, alias_name, alias.routing.version),
        alarms=gates,
        health=health,
        version=_adopted(request),
        expected_code_sha256=request.expected_code_sha256,
        description=request.description,
        force=request.force,
        provisioned=provisioning is not None,
        profile=request.profile,
        hooks=hooks,
        revert_window_seconds=request.revert_window_seconds,
        history=traffic,
        expectations=expected.steps,
        warnings=expected.warnings,
    )


def _expect(
    request: RolloutRequest, steps: tuple[Step, ...], health: HealthGate, started_at: float
) -> tuple[History, Forecast]:
    """The alias's traffic of the day before, and what the judge will be able to see with as much."""
    if health.judge is None:
        limits = (health.max_error_percent, health.max_duration_p99_ms)
        ungated = not request.alarms and limits == (None, None)
        return History(), Forecast((), (UNGATED,) if ungated else ())
    traffic = metrics.read_history(request.function_name, request.alias_name, before=started_at)
    return traffic, forecast(steps, traffic, health.judge)


def _require_stable(function_name: str, version: str) -> None:
    try:
        versions.read(function_name, version).require_stable()
    except VersionNotFound as error:
        raise StableUnusable(f"{error}, which a rollback would return to") from error


def _adopted(request: RolloutRequest) -> str | None:
    if not isinstance(request.version, FromAlias):
        return request.version
    source = aliases.read(request.function_name, request.version.from_alias).routing
    if source.is_split or not source.version.isdigit():
        raise AliasNotReady(
            f"{request.function_name}:{request.version.from_alias} serves {source}, so it does not say which version"
            " to adopt: point it to one version"
        )
    return source.version
