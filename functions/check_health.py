"""CheckHealth: observe, judge, decide: wait, advance, promote or roll back."""

from __future__ import annotations

import time

from aws import alarms, aliases, ledger, metrics
from rollout import thresholds
from rollout.decision import Decision, Progress, alarm_check, decide
from rollout.errors import AliasMoved, RolloutError
from rollout.observation import Counts, total
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
        (gate.name for gate in plan.alarms),
        since=progress.first_shift_at,
        seen=progress.alarms_seen,
        ignored_since={
            gate.name: plan.started_at for gate in plan.alarms if gate.if_already_firing == "ignore_until_ok"
        },
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
    # A minute that began before the last shift says nothing of this weight alone.
    in_step = total(minute.candidate for minute in minutes if minute.at >= progress.shifted_at)
    in_rollout = total(minute.candidate for minute in minutes)
    checks = (
        *(alarm_check(gate, readings[gate.name]) for gate in plan.alarms),
        *thresholds.checks(plan.health, step=in_step, rollout=in_rollout),
    )
    decision = decide(plan, progress.seeing(readings), checks, in_step, in_rollout, now)
    _record(plan, decision, total(minute.stable for minute in minutes), in_rollout, now)
    logger.info(decision.action, reason=decision.reason, checks=[check.to_json() for check in decision.checks])
    return _result(decision)


def _require_unmoved(plan: Plan, candidate: str, progress: Progress) -> None:
    expected = Routing.split(plan.stable, candidate, progress.weight_percent)
    found = aliases.read(plan.function_name, plan.alias_name).routing
    if found != expected:
        raise AliasMoved(f"{plan.target} should serve {expected}, and serves {found}: somebody else moved it")


def _record(plan: Plan, decision: Decision, stable: Counts, candidate: Counts, now: float) -> None:
    try:
        ledger.record_verdict(plan, decision, stable, candidate, now)
    except RolloutError as error:
        # A verdict to roll back does not wait for the books.
        if decision.action != "roll_back":
            raise
        logger.warning("verdict not recorded", reason=str(error))


def _result(decision: Decision) -> Document:
    return {
        **decision.progress.to_json(),
        "action": decision.action,
        "reason": decision.reason,
        "wait_seconds": decision.wait_seconds,
        "proven": decision.proven,
        "convicts": decision.convicts,
    }
