"""RunHook: ask the user's own function whether the rollout may go on."""

from __future__ import annotations

from asking import ask
from rollout.decision import Progress
from rollout.hook import Moment
from rollout.plan import Plan
from telemetry import Document, task


@task("RunHook")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` and `progress`. Result: which `hook` it was, and who was `asked`."""
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    progress = Progress.from_json(event["progress"])
    moment: Moment = "after_traffic" if event["progress"].get("action") == "promote" else "each_step"
    asked = ask(plan, candidate, moment, step=progress.step, weight_percent=progress.weight_percent)
    return {"hook": moment, "asked": asked}
