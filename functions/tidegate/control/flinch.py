"""A flinch: at the first great harm that may yet be a blip, less is put at stake until the next minutes decide.

One minute alone convicts nobody, so a release that fails badly would hurt as many requests for another one. Lowering
the weight is cheap and is undone as easily: so it may be believed sooner than a verdict.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.analysis.check import Finding
from tidegate.analysis.sentences import side_by_side
from tidegate.control.observation import Observation
from tidegate.control.progress import Progress
from tidegate.planning.pace import FLINCH_SECONDS
from tidegate.planning.plan import Plan
from tidegate.planning.strategy import lowered_percent


def may_flinch(plan: Plan, progress: Progress, observed: Observation) -> bool:
    """Whether one minute looks like great harm, and there is a weight to lower and a time left to do it."""
    lower = lowered_percent(progress.weight_percent) < progress.weight_percent
    left = progress.flinches < plan.max_flinches
    return lower and left and not progress.flinched and bool(observed.comparison.startling)


def flinched(progress: Progress) -> Progress:
    """The progress of a rollout that flinches: whoever approved of anything further had not seen this.

    What waits for an approval goes on to wait for it, and no longer than before.
    """
    return replace(
        progress,
        flinches=progress.flinches + 1,
        flinched=True,
        approval_step=None if progress.asks_unseen else progress.approval_step,
        approved=min(progress.approved, progress.step),
        finish=None,
        asks_unseen=False,
        unseen_approved=False,
    )


def why(progress: Progress, observed: Observation) -> str:
    """What made the rollout flinch, in words."""
    saw = "; ".join(side_by_side(one) for one in observed.comparison.startling)
    return f"down to {lowered_percent(progress.weight_percent):g} % to see whether it lasts: {saw}"


def seconds_left(progress: Progress, now: float) -> float:
    """How long the lowered weight is kept at least; no longer once somebody has ended it."""
    return 0.0 if progress.bake_ended_at is not None else FLINCH_SECONDS - (now - progress.shifted_at)


def is_grave(plan: Plan, observed: Observation) -> bool:
    """Whether a doubt that is left at the end of the extension is reason enough to roll back.

    Who wants a promotion of what nobody could see wants the weight to go up as well.
    """
    blind = observed.sight.blind and plan.health.when_inconclusive != "promote"
    return bool(observed.found(Finding.SUSPECT) or blind) or observed.comparison.grave


def doubt(observed: Observation) -> str:
    """Why the weight may not go up again yet; "" where nothing since the flinch speaks against the candidate."""
    if suspect := observed.found(Finding.SUSPECT):
        return "; ".join(map(str, suspect))
    if observed.sight.blind:
        return f"nothing could be seen since: {observed.sight.blind}"
    if not observed.comparison.learnt:
        return "no minute since can be judged yet"
    return "; ".join(f"not cleared: {side_by_side(one)}" for one in observed.comparison.uneasy)
