"""ShiftTraffic: give the candidate its next weight."""

from __future__ import annotations

import time

from aws import aliases, events, ledger
from rollout.decision import Progress
from rollout.plan import Plan
from rollout.routing import Routing
from telemetry import Document, best_effort, logger, task


@task("ShiftTraffic")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` and `progress` ({} before the first step). Result: the new progress."""
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    before = Progress.from_json(event["progress"]) if event["progress"] else None
    number = before.next_step(plan, str(event["progress"].get("action"))) if before else 0
    step = plan.step_at(number)
    ledger.record_shift(plan, number, step.weight_percent)
    alias = aliases.write(
        plan.function_name,
        plan.alias_name,
        Routing.split(plan.stable, candidate, step.weight_percent),
        before.revision_id if before else plan.revision_id,
    )
    progress = Progress.after_shift(before, number, step.weight_percent, alias.revision_id, time.time())
    logger.info("weight shifted", step=number, weight_percent=step.weight_percent)
    with best_effort("announce the weight"):
        events.emit("WeightShifted", plan.about(candidate, step=number, weight_percent=step.weight_percent))
    return {**progress.to_json(), "wait_seconds": max(1, min(plan.poll_seconds, step.bake_seconds))}
