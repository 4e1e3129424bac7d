"""CheckHealth: observe, judge, decide: wait, advance, promote or roll back."""

from __future__ import annotations

import time

from aws import alarms, aliases, ledger, metrics
from rollout import thresholds
from rollout.decision import Check, Decision, Progress, alarm_check, decide
from rollout.errors import AliasMoved
from rollout.observation import AlarmReading, Minute, candidate_total, stable_total
from rollout.plan import Plan
from rollout.routing import Routing
from telemetry import Document, logger, task


@task("CheckHealth")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` and `progress`. Result: the new progress with `action` and `reason`."""
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    progress = Progress.from_json(event["progress"])
    _require_unmoved(plan, candidate, progress)
    now = time.time()
    readings = alarms.read(
        (gate.name for gate in plan.alarms), since=progress.first_shift_at, seen=progress.alarms_seen
    )
    minutes = metrics.read_minutes(
        plan.function_name,
        plan.alias_name,
        plan.stable,
        candidate,
        start=progress.first_shift_at,
        end=now,
        slow_above_ms=plan.health.max_duration_p99_ms,
    )
    served = candidate_total(minutes, progress.first_shift_at)
    decision = decide(plan, progress.seeing(readings), _checks(plan, progress, readings, minutes), served, now)
    ledger.record_verdict(plan, decision, stable_total(minutes, progress.first_shift_at), served, now)
    logger.info(decision.action, reason=decision.reason, checks=[check.to_json() for check in decision.checks])
    return _result(decision)


def _require_unmoved(plan: Plan, candidate: str, progress: Progress) -> None:
    expected = Routing.split(plan.stable, candidate, progress.weight_percent)
    found = aliases.read(plan.function_name, plan.alias_name).routing
    if found != expected:
        raise AliasMoved(f"{plan.target} should serve {expected}, and serves {found}: somebody else moved it")


def _checks(
    plan: Plan, progress: Progress, readings: dict[str, AlarmReading], minutes: tuple[Minute, ...]
) -> tuple[Check, ...]:
    return (
        *(alarm_check(gate, readings[gate.name], plan.started_at) for gate in plan.alarms),
        *thresholds.checks(
            plan.health,
            step=candidate_total(minutes, progress.shifted_at),
            rollout=candidate_total(minutes, progress.first_shift_at),
        ),
    )


def _result(decision: Decision) -> Document:
    return {
        **decision.progress.to_json(),
        "action": decision.action,
        "reason": decision.reason,
        "wait_seconds": decision.wait_seconds,
        "proven": decision.proven,
        "convicts": decision.convicts,
    }
