"""A promotion taken back: the version before it, in one call, while that promotion is still what the alias serves."""

from __future__ import annotations

import time

from tidegate.application.telemetry import Document, best_effort, identify
from tidegate.application.announcement import announce
from tidegate.application.forward import move
from tidegate.aws import aliases, finished, versions
from tidegate.control.commands import Command
from tidegate.duration import format_duration
from tidegate.ending.record import RolloutRecord
from tidegate.errors import Interrupted, Rejected, VersionFailed
from tidegate.planning.plan import Plan
from tidegate.routing import Routing


def revert(command: Command) -> Document:
    """The answer to a command to take the alias's last promotion back.

    The version before must be able to serve; the write names the revision that was read, so a later move stays.

    Raises:
        RolloutError: AWS could not be asked.
    """
    promotion = finished.last_promotion(command.target)
    if promotion is None or promotion.plan is None or promotion.candidate is None:
        return command.answer(None, f"no promotion of {command.target} is known, so there is nothing to revert")
    plan, candidate, now = promotion.plan, promotion.candidate, time.time()
    identify({"plan": plan.to_json(), "candidate": candidate})
    refused = f"{plan.target} cannot be reverted: "
    if why := _irreversible(command, promotion, plan, now):
        return command.answer(plan.rollout_id, refused + why)
    try:
        versions.read(plan.function_name, plan.stable).require_stable(plan.region)
        alias = aliases.read(plan.alias)
        if alias.routing != Routing.alone(candidate):
            message = f"it serves {alias.routing}, which that promotion did not leave: somebody else moved it since"
            return command.answer(plan.rollout_id, refused + message)
        alias = move(
            plan,
            Routing.alone(plan.stable),
            left=alias.routing,
            revision_id=alias.revision_id,
            record=lambda: None,
            is_there=lambda routing: routing.is_handed_over_from(candidate, plan.stable),
        )
    except (Rejected, Interrupted, VersionFailed) as error:
        return command.answer(plan.rollout_id, f"{refused}{error}")
    given = command.given(now)
    with best_effort("keep the revert"):
        finished.record_revert(promotion, plan, given)
    announce("RolloutReverted", plan.about(candidate, cause=str(given)))
    handed_over = alias.routing == Routing.alone(plan.stable) and not plan.provisioned
    when = "" if handed_over else " as soon as it is provisioned"
    message = f"{plan.target} is {given}: version {plan.stable} serves all traffic again{when}, instead of {candidate}"
    return command.answer(plan.rollout_id, message, accepted=True)


def _irreversible(command: Command, promotion: RolloutRecord, plan: Plan, now: float) -> str | None:
    if command.rollout_id not in {None, plan.rollout_id}:
        return f"the last promotion is rollout {plan.rollout_id}, not {command.rollout_id}"
    if promotion.reverted is not None:
        return f"it is {promotion.reverted} already"
    if plan.creates_alias:
        return "the promotion made the alias, so there is no version before"
    if now - promotion.ended_at > plan.revert_window_seconds:
        late = now - promotion.ended_at - plan.revert_window_seconds
        window = format_duration(plan.revert_window_seconds)
        ago = format_duration(late)
        return f"the promotion may be taken back for {window} (revert_window_seconds), which was over {ago} ago"
    return None
