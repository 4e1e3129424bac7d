"""RunHook: ask the user's own function whether the rollout may go on."""

from __future__ import annotations

from dataclasses import replace

from tidegate.application.telemetry import Document, task
from tidegate.application.hook import ask
from tidegate.control.progress import Standing
from tidegate.hooks.hook import Moment
from tidegate.planning.plan import Plan


@task("RunHook")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate`, `progress` and `decision`. Result: both, and in `progress` whether the last
    hook has passed.

    A hook takes its time, in which nobody looks: so the last one is followed by one more look, which promotes.
    """
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    standing = Standing.from_json(event)
    progress = standing.progress
    moment: Moment = "after_traffic" if standing.decision.action == "promote" else "each_step"
    ask(plan, candidate, moment, step=progress.step, weight_percent=progress.weight_percent)
    passed = replace(progress, final_hook_passed=moment == "after_traffic")
    return replace(standing, progress=passed).to_json()
