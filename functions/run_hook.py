"""RunHook: ask the user's own function whether the rollout may go on."""

from __future__ import annotations

from application.hook import ask
from application.telemetry import Document, task
from rollout.hook import Moment
from rollout.plan import Plan
from rollout.progress import Progress


@task("RunHook")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` and `progress`. Result: the progress, `asked` where it was the last word.

    A hook takes its time, in which nobody looks: so the last one is followed by one more look, which promotes.
    """
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    progress = Progress.from_json(event["progress"])
    moment: Moment = "after_traffic" if event["progress"].get("action") == "promote" else "each_step"
    ask(plan, candidate, moment, step=progress.step, weight_percent=progress.weight_percent)
    return {**event["progress"], "asked": moment == "after_traffic"}
