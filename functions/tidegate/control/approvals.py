"""What waits for a person's approval, for how long, and what happens without it."""

from __future__ import annotations

from tidegate.control.progress import Progress
from tidegate.planning.pace import unseen_hold_seconds
from tidegate.planning.plan import Plan


def approval_after(plan: Plan, progress: Progress) -> int | None:
    """The next step, where it needs an approval that it does not have."""
    following = progress.step + 1
    needs = plan.approval_of(following) is not None and following > progress.approved
    return following if needs and following < len(plan.steps) else None


def goes_on_without(plan: Plan, progress: Progress, step: int) -> bool:
    """Whether a step is set without its approval in the end; never where it is asked for because nothing was seen."""
    approval = plan.approval_of(step)
    return approval is not None and approval.on_timeout == "continue" and not progress.asks_unseen


def approval_seconds(plan: Plan, progress: Progress, step: int) -> int:
    """How long a step waits for its approval, or for a person's word on what could not be seen."""
    approval = plan.approval_of(step)
    unseen = unseen_hold_seconds(plan.health)
    return unseen if progress.asks_unseen or approval is None else approval.timeout_seconds


def what_waits(plan: Plan, step: int) -> str:
    """What is not set, or done, before somebody approves, in words."""
    return f"{plan.steps[step].weight_percent:g} %" if step < len(plan.steps) else "the promotion"
