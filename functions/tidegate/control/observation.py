"""What one look at a rollout saw: alarms, limits and the judge, and the counts behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from itertools import pairwise
from typing import Self

from tidegate.analysis import limits
from tidegate.analysis.arrival import is_awaited
from tidegate.analysis.check import Check, Finding, alarm_check
from tidegate.analysis.comparison import Comparison, compare
from tidegate.analysis.measurement import AlarmReading, Counts, Minute, total
from tidegate.analysis.sight import ALL_SEEN, Sight, Unseen
from tidegate.control.progress import Progress
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan

_MINUTE_SECONDS = 60


@frozen
class Observation:
    """What one look at the rollout saw.

    `in_step` are the candidate's requests at the present weight alone, `in_rollout` all of them, `stable_in_rollout`
    the stable version's. `seen_until` is up to when silence is no lack of metrics: the end of the newest minute that
    has any, and the longest gap between two. `sight` is what was out of sight. `awaited`: a minute that may be judged
    has yet to come.
    """

    now: float
    checks: tuple[Check, ...] = ()
    comparison: Comparison = field(default_factory=Comparison)
    in_step: Counts = field(default_factory=Counts)
    in_rollout: Counts = field(default_factory=Counts)
    stable_in_rollout: Counts = field(default_factory=Counts)
    seen_until: float = 0.0
    sight: Sight = field(default_factory=Sight)
    awaited: bool = False

    def found(self, finding: Finding) -> list[Check]:
        """The checks that found this."""
        return [check for check in self.checks if check.finding is finding]

    @classmethod
    def of(
        cls,
        plan: Plan,
        progress: Progress,
        minutes: Sequence[Minute],
        readings: Iterable[AlarmReading],
        now: float,
        unseen: Unseen = ALL_SEEN,
    ) -> Self:
        """Everything that speaks for or against the candidate, from both versions' requests since the first shift."""
        # A minute that began before the last shift says nothing of this weight alone.
        in_step = total(minute.candidate for minute in minutes if minute.at >= progress.shifted_at)
        in_rollout = total(minute.candidate for minute in minutes)
        judge, sight = plan.health.judge, _sight(plan, progress, minutes, now, unseen)
        comparison = Comparison()
        if judge and progress.shifts:
            found = compare(
                judge, minutes, progress.shifts, now, plan.baseline, sight.missing.requests + unseen.overdue
            )
            comparison = replace(found, stable=f"version {plan.stable}")
        silence = max((after.at - before.end for before, after in pairwise(minutes)), default=0.0) + _MINUTE_SECONDS
        return cls(
            now,
            checks=(
                *_alarm_checks(plan, progress, readings, now),
                *limits.checks(plan.health, in_step, in_rollout, comparison.beaten_percent),
                *comparison.checks(),
                *sight.checks(),
            ),
            comparison=comparison,
            in_step=in_step,
            in_rollout=in_rollout,
            stable_in_rollout=total(minute.stable for minute in minutes),
            seen_until=minutes[-1].end + silence if minutes else 0.0,
            sight=sight,
            awaited=is_awaited(minutes, progress.shifts, now, plan.baseline, weighed=not plan.counts_executions),
        )


def _alarm_checks(plan: Plan, progress: Progress, readings: Iterable[AlarmReading], now: float) -> list[Check]:
    rules = {rule.name: rule for rule in plan.alarms}
    first_shift_at = progress.first_shift_at if progress.shifts else math.inf
    at_last = now - progress.shifted_at if plan.is_last(progress.step) else 0.0
    return [
        alarm_check(reading, rules[reading.name], first_shift_at=first_shift_at, last_weight_seconds=at_last)
        for reading in readings
    ]


def _sight(plan: Plan, progress: Progress, minutes: Sequence[Minute], now: float, unseen: Unseen) -> Sight:
    """What was out of sight; a first release has no stable version that says what was to be expected.

    Executions are counted by version, whoever started them: through another alias, too, which no weight divides.
    """
    shifts = () if plan.creates_alias else progress.shifts
    metrics = plan.health.judge.metrics if plan.health.judge else ()
    by_weight = not plan.counts_executions
    return Sight.of(minutes, shifts, now, plan.baseline, unseen, metrics, by_weight=by_weight)
