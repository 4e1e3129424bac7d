"""Asking the user's own function about a rollout: what it is sent, and what a no becomes."""

from __future__ import annotations

from tidegate.application.telemetry import Document, logger
from tidegate.aws import hooks
from tidegate.errors import HookFailed
from tidegate.hooks.hook import Moment, failure
from tidegate.planning.plan import Plan


def ask(
    plan: Plan, candidate: str, moment: Moment, *, step: int | None = None, weight_percent: float = 0.0
) -> str | None:
    """Ask the hook of that moment, if there is one; its name, None where nobody is asked.

    `step` counts from 0 as in events, None before there is one; `weight_percent` is what the candidate has now.

    Raises:
        HookFailed: it says no, or does not say yes in time.
        AwsUnavailable: Lambda did not run it.
    """
    hook = plan.hooks.at(moment)
    if hook is None:
        return None
    progress = {"step": step, "steps": len(plan.steps), "weight_percent": weight_percent}
    asked = {"hook": moment, **_versions(plan, candidate), **progress, **_rollout(plan)}
    why = failure(hook, hooks.invoke(hook, asked))
    if why is not None:
        raise HookFailed(f"hook {hook.function_name} ({moment}) {why}")
    logger.info("hook passed", hook=moment, hook_function=hook.function_name)
    return hook.function_name


def _versions(plan: Plan, candidate: str) -> Document:
    return {**plan.alias.names, "stable_version": plan.stable or None, "candidate_version": candidate}


def _rollout(plan: Plan) -> Document:
    return {"rollout_id": plan.rollout_id, "execution_arn": plan.execution_arn}
