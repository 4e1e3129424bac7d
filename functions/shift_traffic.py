"""ShiftTraffic: give the candidate its next weight."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import partial

from tidegate.application.telemetry import Document, best_effort, logger, task
from tidegate.application.announcement import tell_waiting
from tidegate.application.forward import move
from tidegate.aws import events, ledger
from tidegate.aws.patience import BRIEF
from tidegate.control.looks import first_look
from tidegate.control.pressure import late
from tidegate.control.progress import Decision, Progress, Standing
from tidegate.errors import AwsThrottled, AwsUnavailable
from tidegate.planning.pace import MAX_LATE_MOVES
from tidegate.planning.plan import Plan
from tidegate.routing import Routing


@task("ShiftTraffic", BRIEF)
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate`, `progress` and `decision`; the last two are null before the first step.

    Result: both anew. The decision is to hold where the weight may not be set yet: somebody must approve, or has paused
    the rollout. It is `late` where AWS throttles it.

    Raises:
        AwsUnavailable: it is throttled, and has been for long.
    """
    plan, candidate, standing = Plan.from_json(event["plan"]), str(event["candidate"]), Standing.found(event)
    try:
        return _shift(plan, candidate, standing)
    except AwsThrottled as error:
        return _late(plan, standing, error)


def _shift(plan: Plan, candidate: str, standing: Standing | None) -> Document:
    before = standing.progress if standing else None
    if before is None and plan.approval_of(0):
        ledger.record_approval_step(plan, 0)
        reason = f"{plan.steps[0].weight_percent:g} % waits for approval"
        tell_waiting(plan, candidate, reason)
        return _held(plan, before, reason, approval_step=0)
    number = standing.next_step(plan) if standing else 0
    weight_percent = standing.next_weight_percent(plan) if standing else plan.steps[0].weight_percent
    record = partial(ledger.record_shift, plan, number, weight_percent, at=time.time())
    # Who said to go on before had not seen what lowers it.
    if not record(unless_paused=not _lowers(standing), forgets=("pending",) if _lowers(standing) else ()):
        return _held(plan, before, "the rollout is paused")
    alias = move(
        plan,
        Routing.split(plan.stable, candidate, weight_percent),
        left=before.routing(plan.stable, candidate) if before else Routing.alone(plan.stable),
        revision_id=before.revision_id if before else plan.revision_id,
        record=partial(record, unless_paused=False),
    )
    with best_effort("keep the alias's revision"):
        ledger.record_revision(plan, alias.revision_id)
    progress = Progress.after_shift(before, number, weight_percent, alias.revision_id, time.time())
    logger.info("weight shifted", step=number, weight_percent=weight_percent)
    with best_effort("announce the weight"):
        events.emit("WeightShifted", plan.about(candidate, step=number, weight_percent=weight_percent))
    progress, wait_seconds = first_look(plan, progress)
    return Standing(progress, Decision("bake", f"{weight_percent:g} % is set", wait_seconds)).to_json()


def _late(plan: Plan, standing: Standing | None, error: AwsThrottled) -> Document:
    """Traffic does not stay split unwatched: the next look asks for the move once more."""
    progress = standing.progress if standing else Progress.before_traffic(plan.revision_id, time.time())
    action, too_often = standing.decision.action if standing else "", progress.late >= MAX_LATE_MOVES
    if too_often and action != "flinch":
        raise AwsUnavailable(str(error)) from error
    # The look that asks for it once more counts it once more; a flinch that never comes ends no rollout.
    if action == "step_back":
        progress = replace(progress, step_backs=progress.step_backs - 1)
    if action == "flinch":
        flinches = plan.max_flinches if too_often else progress.flinches - 1
        progress = replace(progress, flinches=flinches, flinched=False)
    logger.warning("late", reason=str(error))
    chance = random.random()  # noqa: S311 - no secret
    return late(plan, progress, str(error), chance, lowers=_lowers(standing)).to_json()


def _lowers(standing: Standing | None) -> bool:
    return standing is not None and standing.decision.action in {"flinch", "step_back"}


def _held(plan: Plan, before: Progress | None, reason: str, approval_step: int | None = None) -> Document:
    """Hold; what people said is read by the next look, which stores no verdict before it knows all of it."""
    progress = before or Progress.before_traffic(plan.revision_id, time.time(), approval_step)
    logger.info("held", approval_step=approval_step)
    return Standing(progress, Decision("hold", reason, plan.poll_seconds)).to_json()
