"""When to look next while a step bakes: at regular intervals, and sooner where something new may be there by then.

A minute is judged once it has been over for a minute, and CloudWatch has it some time after. So the first look is at a
moment from which a minute may be judged; while that minute has not come the next look follows soon; and once it has,
the following minutes are as late, so looks a minute apart find each of them as it comes. A rollout that looks more
seldom than every minute looks every minute at first.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from tidegate.analysis.arrival import judged_from, judged_next
from tidegate.control.progress import Progress
from tidegate.planning.pace import FLINCH_SECONDS, MIN_POLL_SECONDS
from tidegate.planning.plan import Plan

#: How soon to look again for a minute that may come any moment: half of that is lost in the mean.
AWAITED_POLL_SECONDS: Final = 15
#: A look that is to be after a moment is so much after it.
_AFTER_SECONDS: Final = 1


def first_look(plan: Plan, progress: Progress) -> tuple[Progress, int]:
    """The wait before the first look at a weight that was just set, in whole seconds, and the progress with it."""
    # Until a minute of this weight may be judged those before it are, unless they were long ago.
    since = progress.first_shift_at if _looks_each_minute(plan) else progress.shifted_at
    at = max(judged_from(since), judged_next(progress.shifted_at)) + _AFTER_SECONDS
    left = FLINCH_SECONDS if progress.flinched else plan.step_at(progress.step).bake_seconds
    return _sooner(plan, progress, at - progress.shifted_at, left)


def next_look(plan: Plan, progress: Progress, now: float, left: float, *, awaited: bool) -> tuple[Progress, int]:
    """The wait before the next look at a weight that bakes for `left` seconds more, and the progress with it.

    `awaited`: a minute that may be judged has yet to come.
    """
    first = judged_from(progress.first_shift_at) + _AFTER_SECONDS - now
    soon = AWAITED_POLL_SECONDS if awaited and _looks_each_minute(plan) else MIN_POLL_SECONDS
    return _sooner(plan, progress, first if first > 0 else soon, left)


def _looks_each_minute(plan: Plan) -> bool:
    return plan.poll_seconds <= MIN_POLL_SECONDS


def _sooner(plan: Plan, progress: Progress, wanted: float, left: float) -> tuple[Progress, int]:
    """As soon as is wanted, while the plan has looks for that, so many for each step so far, and AWS answers them."""
    regular = max(1, math.ceil(min(plan.poll_seconds, left)))
    wait_seconds = max(1, math.ceil(wanted))
    if progress.strain or wait_seconds >= regular or progress.sooner_looks >= plan.sooner_looks * (progress.step + 1):
        return progress, regular
    return replace(progress, sooner_looks=progress.sooner_looks + 1), wait_seconds
