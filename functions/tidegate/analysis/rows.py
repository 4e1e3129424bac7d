"""Rows of the judge's table, from minutes: where requests are rare, several minutes are one.

What a row is made of is told by the clock, by weights and by how many requests there are, and by no failure: so its
counts are as fair as a minute's. A row that is still open, and a minute of which a part is in CloudWatch, are looked
at, too. With both versions' shares as in the whole of it such a look is one of a finer process
(tests/unit/analysis/test_guarantee.py); where they differ within a row, by the luck of routing, that is nearly so: of
identical versions, judged on a random half of the newest minute at every poll, none was rolled back
(docs/judge-figures.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Final, Self

from tidegate.analysis.bursts import BURST_INCREASE
from tidegate.analysis.e_process import Tally
from tidegate.analysis.judge import BURST_THROTTLED
from tidegate.analysis.measurement import Minute, Shift
from tidegate.analysis.metric import Judged, Kind
from tidegate.analysis.row import Row
from tidegate.routing import ALL_PERCENT

#: An acquittal waits until a minute has been over for so long: CloudWatch is one to three minutes late, and failures
#: that are late acquit wrongly, where ones that are early do not convict wrongly.
SETTLED_AGE_SECONDS: Final = 120
#: A minute that has so much of what is to be expected of the candidate is no mere handful of failures that came first:
#: where half of its requests have failed and only half of it is there, a quarter of the whole has failed at least.
LEAST_SHARE: Final = 0.5
#: While a version warms up, so many more of its requests may be slow, as a share: more than new environments' first
#: requests make of a minute, and less than what nobody should wait two minutes for.
WARM_UP_ALLOWANCE: Final = 0.1
#: Evidence is spread anew after each row, at a price, and fewer requests than so many hardly pay it: so a row is closed
#: once it has as many of both versions, which says nothing of how many failed. Or it has lasted so long: a conviction
#: takes two rows, and ten minutes.
ROW_REQUESTS: Final = 10
LONGEST_ROW_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where a minute is in the rollout: the same for every metric. `increased_at` is when the weight last rose."""

    minute: Minute
    increased_at: float
    replaced: bool
    throttled: bool
    in_step: bool
    settled: bool
    whole: bool
    fresh: bool

    @classmethod
    def of(cls, minute: Minute, shifts: Sequence[Shift], now: float) -> Self:
        # In the minute of a shift to or from 100 % one version served before, the other after: that is no comparison.
        replaced = any(
            minute.at < after.at < minute.end and ALL_PERCENT in {before.weight_percent, after.weight_percent}
            for before, after in pairwise([Shift(0.0, 0.0), *shifts])
        )
        served = minute.stable.requests + minute.candidate.requests + minute.throttled
        settled = minute.end + SETTLED_AGE_SECONDS <= now
        return cls(
            minute,
            _last_increase(minute, shifts),
            replaced,
            throttled=minute.throttled > BURST_THROTTLED * served,
            in_step=minute.at >= shifts[-1].at,
            settled=settled,
            whole=settled or _has_its_share(minute, shifts),
            fresh=minute.at >= _last_decrease(shifts),
        )

    def row(self, metric: Judged, usual: float = 0.0) -> Row:
        """One metric's row of the judge's table; `usual` is the share of bad requests before the rollout, if known."""
        warm = self.minute.at >= self.increased_at + metric.warm_up_seconds
        warming = not warm and not self.replaced and metric.proves
        return Row(
            _tally(metric, self.minute, usual or metric.usual_share or 1.0),
            warm and not self.replaced,
            self.throttled,
            self.in_step,
            self.settled,
            whole=self.whole,
            allowance=WARM_UP_ALLOWANCE if warming else None,
            fresh=self.fresh,
        )


def _has_its_share(minute: Minute, shifts: Sequence[Shift]) -> bool:
    """Whether the candidate has at least half of the requests that its weight makes of the stable version's."""
    expected = by_weight(minute, shifts)
    return expected is not None and minute.candidate.requests >= LEAST_SHARE * expected > 0


def by_weight(minute: Minute, shifts: Sequence[Shift]) -> float | None:
    """How many requests its weight makes of the stable version's; None where the candidate served alone for a while."""
    ends = [*(shift.at for shift in shifts[1:]), minute.end]
    spans = [
        (max(0.0, min(end, minute.end) - max(shift.at, minute.at)), shift.weight_percent / ALL_PERCENT)
        for shift, end in zip(shifts, ends, strict=True)
    ]
    weight = sum(seconds * share for seconds, share in spans) / minute.seconds
    if any(seconds and share >= 1 for seconds, share in spans):
        return None
    return minute.stable.requests * weight / (1 - weight)


def _last_increase(minute: Minute, shifts: Sequence[Shift]) -> float:
    """When the weight was last increased before the minute's end, rounded down to a minute."""
    weights = [Shift(0.0, 0.0), *shifts]
    increases = [
        after.at - after.at % 60 for before, after in pairwise(weights) if after.weight_percent > before.weight_percent
    ]
    return max((at for at in increases if at < minute.end), default=0.0)


def _last_decrease(shifts: Sequence[Shift]) -> float:
    """When the weight was last lowered; 0 where it never was."""
    lowered = (after.at for before, after in pairwise(shifts) if after.weight_percent < before.weight_percent)
    return max(lowered, default=0.0)


def _tally(metric: Judged, minute: Minute, usual: float) -> Tally | None:
    """The minute's table; None where a count is missing although there was traffic."""
    stable, candidate = minute.stable.trials(metric.name), minute.candidate.trials(metric.name)
    if stable is None or candidate is None:
        return None
    of = stable[0] - _quick_failures(minute, stable, usual) if metric.kind is Kind.SLOW else stable[0]
    return Tally(of, candidate[0], stable[1], candidate[1])


def _quick_failures(minute: Minute, trials: tuple[int, int], usual: float) -> int:
    """How many of the stable version's requests were not slow because they failed at once, where it fails far more: a
    candidate that serves such requests is as slow in them as in any others.

    At most what failed, and no more than the stable version is less slow than `usual`, so that failures which take as
    long as requests do, or run into a time-out, hide nothing. Fewer requests of the stable version's with as many slow
    ones are a weaker claim to bet against: at equal rates E[e] stays at most 1, also for this choice of how many
    (tests/unit/analysis/test_rows.py enumerates it).
    """
    (timed, slow), stable, candidate = trials, minute.stable, minute.candidate
    if not stable.requests or not candidate.requests or stable.errors is None or candidate.errors is None:
        return 0
    if stable.errors / stable.requests < candidate.errors / candidate.requests + BURST_INCREASE:
        return 0
    return max(0, timed - max(timed - stable.errors, slow, math.ceil(slow / usual)))


def long_enough(minutes: Iterable[Minute], rows: Iterable[Row], shifts: Sequence[Shift]) -> Iterator[Row]:
    """Rows of neighbouring minutes at one weight, each long enough; a minute with a count missing is a row of its own
    kind.
    """
    begins = [0.0, *(shift.at - shift.at % 60 for shift in shifts)]

    def place(pair: tuple[Minute, Row]) -> tuple[object, ...]:
        minute, row = pair
        return max(begin for begin in begins if begin <= minute.at), row.comparable, row.allowance, row.tally is None

    for _, group in groupby(zip(minutes, rows, strict=True), key=place):
        for part in _closed(group):
            yield part[0] if len(part) == 1 else _one_row(part)


def _closed(group: Iterable[tuple[Minute, Row]]) -> Iterator[list[Row]]:
    """The rows of each stretch that is long enough; the last one may not be so yet."""
    part: list[Row] = []
    requests, began_at = 0, 0.0
    for minute, row in group:
        if part and (requests >= ROW_REQUESTS or minute.end - began_at > LONGEST_ROW_SECONDS):
            yield part
            part, requests = [], 0
        began_at = began_at if part else minute.at
        part.append(row)
        requests += minute.stable.requests + minute.candidate.requests
    yield part


def _one_row(part: Sequence[Row]) -> Row:
    tallies = [row.tally for row in part if row.tally]
    together = Tally(
        sum(one.stable for one in tallies),
        sum(one.candidate for one in tallies),
        sum(one.stable_bad for one in tallies),
        sum(one.candidate_bad for one in tallies),
    )
    return replace(
        part[-1],
        tally=together if tallies else None,
        throttled=any(row.throttled for row in part),
        settled=all(row.settled for row in part),
        whole=all(row.whole for row in part),
        minutes=len(part),
    )
