"""RunHook: ask the user's own function whether the rollout may go on."""

from __future__ import annotations

from tidegate.application.telemetry import Document, task
from tidegate.application.hook import ask
from tidegate.control.progress import Progress
from tidegate.hooks.hook import Moment
from tidegate.planning.plan import Plan


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
