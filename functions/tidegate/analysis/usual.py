"""What is usual of the stable version: its rate before the rollout, and on the way up to the present weight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tidegate.analysis.bursts import BURST_INCREASE, find_bursts
from tidegate.analysis.e_process import Tally
from tidegate.analysis.measurement import MetricBaseline, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import Judged, Kind
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import Row

#: Fewer requests than this leave a margin of over one percentage point (3 / n): then the day before says more.
FEWEST_USUAL: Final = 300
#: An outage goes on where one of so many minutes was in it: one alone may be a lull.
ONGOING_MINUTES: Final = 2
#: Minutes on the way up, and of each whether the stable version failed far more than usual.
Ramp = Sequence[tuple[Tally, bool]]


def before_rollout(metric: Judged, baseline: TrafficBaseline) -> Rate | None:
    """The rate before the rollout; of what is above a quantile it is that of the definition."""
    known = MetricBaseline(metric.name, baseline.requests, baseline.errors)
    if metric.kind in {Kind.COUNTED, Kind.MEASURED}:
        known = baseline.of(metric.name)
    if not known.trials:
        return None
    bad = known.bad if metric.usual_share is None else metric.usual_share * known.trials
    # Of a day that failed a lot, what was slow was so of fewer requests.
    failed = known.bad if metric.kind is Kind.SLOW and known.bad >= BURST_INCREASE * known.trials else 0
    return Rate(bad, max(bad, known.trials - failed))


def just_now(metric: Judged, baseline: TrafficBaseline) -> tuple[float, int]:
    """How alike failures were in the last hour, and for how many minutes far more have failed than usual."""
    return (baseline.correlation, baseline.failing_minutes) if metric.kind is Kind.FAILED else (0.0, 0)


def ramp_of(
    minutes: Sequence[Minute], rows: Sequence[Row], shifts: Sequence[Shift], day_before: Rate | None, failing: int
) -> Ramp:
    """The way up to the present weight, minute by minute, and whether the stable version failed far more than usual."""
    ascent = shifts[0].at
    for before, after in pairwise(shifts):
        if after.weight_percent < before.weight_percent:
            ascent = after.at
    bursts = find_bursts(rows, day_before, failing)
    return [
        (row.bet, lasted > 0)
        for minute, row, lasted in zip(minutes, rows, bursts.lasted, strict=True)
        if ascent <= minute.end and minute.at < shifts[-1].at and row.bet
    ]


def usual_rate(ramp: Ramp, day_before: Rate | None) -> Rate | None:
    """The stable version's rate on the way up to the present weight, or else before the rollout."""
    # An outage that is over would hide harm; one that goes on is what the last weight must bear with, and nothing else.
    ongoing = any(burst for _, burst in ramp[-ONGOING_MINUTES:])
    seen_rate = stable_rate(ramp, burst=ongoing)
    if seen_rate.requests < FEWEST_USUAL and not ongoing and day_before and day_before.requests > seen_rate.requests:
        return day_before
    return seen_rate if seen_rate.requests else None


def own_rate(ramp: Ramp) -> Rate:
    """The candidate's rate on the way up to the present weight."""
    return Rate.over([(tally.candidate, tally.candidate_bad) for tally, _ in ramp])


def stable_rate(ramp: Ramp, *, burst: bool) -> Rate:
    """The stable version's rate on the way up, where it failed far more than usual, or where it did not."""
    return Rate.over([(tally.stable, tally.stable_bad) for tally, flagged in ramp if flagged == burst])
