"""Will this canary see anything? What each step could convict, said before any traffic moves.

A canary that is too small or too short for its traffic promotes whatever it is given. That is plain from the steps and
from the traffic of the day before, so it is said at the start, together with steps that would see something.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Final, Self

from tidegate.analysis import e_process, row
from tidegate.analysis.binomial import upper_tail
from tidegate.analysis.e_process import Tally, Tolerance
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.analysis.metric import Judged, Kind, foremost
from tidegate.analysis.rows import LONGEST_ROW_SECONDS, ROW_REQUESTS
from tidegate.duration import format_duration
from tidegate.frozen import frozen
from tidegate.planning.fix import is_fix
from tidegate.planning.strategy import DEFAULT_STEPS, Step
from tidegate.routing import ALL_PERCENT

#: A rollout is blind where it does not see a candidate that fails by so much more than is tolerated.
BLIND_ABOVE_PERCENT: Final = 10.0
#: How surely a harm is convicted that counts as seen, and how many standard deviations that is.
POWER: Final = 0.95
POWER_DEVIATIONS: Final = 1.645
#: So many bad requests are normally distributed, as near as matters; exactness would take seconds for millions.
NORMAL_ABOVE: Final = 10_000
#: A proposal's first bake is a multiple of this,
BAKE_GRID_SECONDS: Final = 300
#: at most a day,
LONGEST_BAKE_SECONDS: Final = 24 * 3600
#: at the first weight there is, or else at one of these.
LARGER_WEIGHTS: Final = (25.0, 50.0)
#: More steps than this are no sentence: in a proposal the default ones then follow the first.
MOST_PROPOSED_STEPS: Final = 12

NO_BASELINE: Final = "no traffic in the day before, so nothing can be said of what this rollout will see"
_SEEN: Final[Mapping[Kind, str]] = {
    Kind.FAILED: "failures",
    Kind.EXECUTED: "failed executions",
    Kind.SLOW: "slow requests",
    Kind.COUNTED: "{name}",
    Kind.MEASURED: "high {name}",
}
_WHAT_DECIDES: Final = "alarms, smoke tests, a longer last bake and health.when_inconclusive decide"


@frozen
class StepForecast:
    """What one step will show, of its own requests alone.

    `smallest_harm_percent` is the smallest share of failing (or slow) requests of the candidate that the judge convicts
    with a power of 95 %; None where it can convict nothing, and at weight 100, where nothing is compared. `metrics` are
    the same of the user's own, by name.
    """

    weight_percent: float
    candidate_requests: int
    smallest_harm_percent: float | None
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@frozen
class Forecast:
    """What the steps will show, and one sentence for every reason to choose others."""

    steps: tuple[StepForecast, ...]
    warnings: tuple[str, ...]


def forecast(steps: Sequence[Step], baseline: TrafficBaseline, judge: Judge) -> Forecast:
    """What these steps will show if traffic stays as it was in the day before.

    Args:
        steps: the rollout's steps; the last one is at 100 %.
        baseline: the alias's traffic in the day before.
        judge: what is judged. Its foremost metric is forecast, and each of the user's; nothing where nothing is.
    """
    judged = judge.judged()
    custom = [_Outlook.of(judged[one.name], baseline, judge) for one in judge.metrics]
    if (main := foremost(judged)) is None:
        return Forecast((), ())
    outlook, fix = _Outlook.of(main, baseline, judge), main.kind is Kind.FAILED and is_fix(baseline)
    return Forecast(
        tuple(
            replace(outlook.step(step), metrics={one.metric.name: one.harm(step) for one in custom}) for step in steps
        ),
        (*_warnings(steps, outlook, fix=fix), *_metric_warnings(steps, [one for one in custom if one != outlook])),
    )


def bad_of(metric: Judged) -> str:
    """What is bad of a metric, in words: "failures"."""
    return _SEEN[metric.kind].format(name=metric.name)


@frozen
class _Stretch:
    """Rows of the judge's table at one weight, and the requests of all of them together."""

    rows: int
    stable: float
    candidate: float

    def part(self, rows: int) -> _Stretch:
        """So many of its rows."""
        return _Stretch(rows, self.stable * rows / self.rows, self.candidate * rows / self.rows)


@frozen
class _Outlook:
    """One metric of one alias: its traffic, the stable version's rate, and the two keys of the judge."""

    metric: Judged
    requests_per_minute: float
    stable_share: float
    worse_needed: float
    intolerable_needed: float

    @classmethod
    def of(cls, metric: Judged, baseline: TrafficBaseline, judge: Judge) -> Self:
        trials, bad = baseline.requests, baseline.errors
        if metric.kind in {Kind.COUNTED, Kind.MEASURED}:
            found = baseline.of(metric.name)
            trials, bad = found.trials, found.bad
        share = bad / trials if trials else 0.0
        # A metric of the stable version's is of the same requests, all or some of them.
        part = trials / baseline.requests if baseline.requests else 0.0
        return cls(
            metric=metric,
            requests_per_minute=baseline.requests_per_minute * part,
            stable_share=share if metric.usual_share is None else metric.usual_share,
            worse_needed=-math.log(metric.budget * judge.false_rollback),
            intolerable_needed=-math.log(metric.budget * judge.tolerated_rollback),
        )

    @property
    def tolerance(self) -> Tolerance:
        """What is tolerated."""
        return self.metric.tolerance

    @property
    def blind_above(self) -> float:
        """The harm that a rollout should see, in percent."""
        tolerated = self.tolerance.max_ratio * self.stable_share + self.tolerance.max_increase
        return BLIND_ABOVE_PERCENT + 100 * tolerated

    def step(self, step: Step) -> StepForecast:
        requests = self.requests_per_minute * step.bake_seconds / 60 * step.weight_percent / 100
        return StepForecast(step.weight_percent, round(requests), self.harm(step))

    def harm(self, step: Step) -> float | None:
        """The smallest harm that this step alone convicts, in percent.

        What the judge spreads anew after each row costs a long bake more than its last rows add, so the step's shorter
        parts count too.
        """
        stretch = self._stretch(step)
        return _smallest(self._convicts([stretch.part(rows)]) for rows in _halves(stretch.rows)) if stretch else None

    def is_blind(self, steps: Sequence[Step]) -> bool:
        """Whether neither one of the steps nor all of them together see enough: the judge's wealth outlives a step."""
        if any(self._is_enough(self.harm(step)) for step in steps):
            return False
        stretches = [stretch for step in steps if (stretch := self._stretch(step))]
        return len(stretches) <= 1 or not self._is_enough(self._convicts(stretches))

    def _is_enough(self, harm: float | None) -> bool:
        return harm is not None and harm <= self.blind_above

    def _stretch(self, step: Step) -> _Stretch | None:
        """The step as the judge will read it; None where nothing is compared in it.

        A row in which the stable version served nothing compares nothing. Where requests are rare that is some of them.
        """
        seconds = step.bake_seconds - self.metric.warm_up_seconds
        if seconds <= 0 or step.weight_percent >= ALL_PERCENT or not self.requests_per_minute:
            return None
        row_seconds = min(60 * math.ceil(ROW_REQUESTS / self.requests_per_minute), LONGEST_ROW_SECONDS)
        rows = max(1, seconds // row_seconds)
        requests, share = self.requests_per_minute * seconds / 60, step.weight_percent / 100
        stable = requests * (1 - share)
        accompanied = -math.expm1(-stable / rows)
        return _Stretch(rows, stable, requests * share * accompanied)

    def _convicts(self, stretches: Sequence[_Stretch]) -> float | None:
        """The smallest harm that turns both keys in all of these rows, in percent.

        One row multiplies the wealth by at most the judge's cap. Where there are only two or three, the first must
        bring what the others cannot: it pays the stake as well.
        """
        rows = sum(stretch.rows for stretch in stretches)
        if rows * e_process.LOG_CAP < self.worse_needed:
            return self._catastrophe(stretches[0].part(1))
        stake = -math.log(e_process.STAKES[1])
        fewest, first = self._fewest(stretches, stake), stretches[0].part(1)
        fewest_first = self._fewest([first], stake - (rows - 1) * e_process.LOG_CAP)
        harms = _harm_percent(max(fewest, row.FEWEST_BAD), stretches), _harm_percent(fewest_first, [first])
        return None if None in harms else max(harm for harm in harms if harm is not None)

    def _catastrophe(self, row: _Stretch) -> float | None:
        """The smallest harm that one row convicts: the cap does not hold for a catastrophe."""
        surely = row.candidate - 2 * math.sqrt(row.candidate)
        if surely < e_process.CATASTROPHE_REQUESTS:
            return None
        if self._stable_bad(row) > e_process.CATASTROPHE_STABLE_RATE * row.stable:
            return None
        fewest = max(self._fewest([row], -math.log(e_process.STAKES[1])), e_process.CATASTROPHE_RATE * row.candidate)
        return _harm_percent(fewest, [row])

    def _fewest(self, stretches: Sequence[_Stretch], missing: float) -> float:
        """The fewest bad requests of the candidate that turn both keys, each with the bet that suits it best.

        `missing` is what the bet must win beyond what its key needs. The logarithm of an e-value is linear in the bad
        requests of either version, so are those of several stretches together.
        """
        missing -= sum(stretch.rows for stretch in stretches) * math.log1p(-e_process.SHARE)
        keys = ((e_process.NO_WORSE, self.worse_needed), (self.tolerance, self.intolerable_needed))
        return max(
            min(self._turning(stretches, tolerance, bet, needed + missing) for bet in e_process.BETS)
            for tolerance, needed in keys
        )

    def _turning(self, stretches: Sequence[_Stretch], tolerance: Tolerance, bet: float, needed: float) -> float:
        candidate = sum(stretch.candidate for stretch in stretches)
        gain = 0.0
        for one in stretches:
            requests = max(1, round(one.candidate))
            none, stable_bad, candidate_bad = (
                e_process.log_e_value(Tally(one.stable, requests, *bad), tolerance, bet)
                for bad in ((0, 0), (1, 0), (0, 1))
            )
            needed -= none + (stable_bad - none) * self._stable_bad(one)
            gain += (candidate_bad - none) * one.candidate / candidate
        return needed / gain if gain > 0 else math.inf

    def _stable_bad(self, stretch: _Stretch) -> float:
        """Bad requests of the stable version, and one standard deviation: chance may be on the candidate's side."""
        expected = stretch.stable * self.stable_share
        return expected + math.sqrt(expected)


def _harm_percent(fewest: float, stretches: Sequence[_Stretch]) -> float | None:
    """The smallest rate of the candidate, in percent, at which it has so many bad requests as surely as POWER.

    Which version serves a request is chance too, so the bad ones are binomial among the requests of both.
    """
    candidate = sum(stretch.candidate for stretch in stretches)
    both = round(candidate + sum(stretch.stable for stretch in stretches))
    if fewest <= 0:
        return 0.0
    if max(fewest, 1) > candidate:
        return None
    count, share = math.ceil(fewest), candidate / both
    if count > NORMAL_ABOVE:
        needed = (POWER_DEVIATIONS / 2 + math.sqrt(POWER_DEVIATIONS**2 / 4 + count)) ** 2 / both
        return _percent(needed / share) if needed <= share else None
    # So near to the count the tail is summed from near its mean; from far below, its terms would overflow.
    low, high = count / both, min(share, (count + 4 * math.sqrt(count) + 8) / both)
    if upper_tail(count, both, high) < POWER:
        return None
    return _percent(_narrowed(low, high, lambda rate: upper_tail(count, both, rate) >= POWER) / share)


def _narrowed(low: float, high: float, is_enough: Callable[[float], bool]) -> float:
    """The smallest value that is enough, to four digits; `high` is."""
    while high - low > high / 10_000:
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _percent(share: float) -> float:
    """Rounded up to two decimals."""
    return min(100.0, math.ceil(10_000 * share) / 100)


def _halves(rows: int) -> Iterator[int]:
    while rows:
        yield rows
        rows //= 2


def _smallest(harms: Iterable[float | None]) -> float | None:
    return min((harm for harm in harms if harm is not None), default=None)


def _warnings(steps: Sequence[Step], outlook: _Outlook, *, fix: bool) -> Iterator[str]:
    compared = [step for step in steps if step.weight_percent < ALL_PERCENT]
    if not compared:
        yield f"nothing is compared: at 100 % there is no stable traffic; {_instead_of_all_at_once(outlook, fix=fix)}"
    if not outlook.requests_per_minute:
        yield NO_BASELINE
    # What is to be seen of a fix is that it fails less: only too little traffic is a reason to wait longer for it.
    elif compared and (replace(outlook, stable_share=0.0) if fix else outlook).is_blind(compared):
        best = min(
            compared, key=lambda step: (outlook.harm(step) or math.inf, -step.weight_percent * step.bake_seconds)
        )
        even = "even " if len(compared) > 1 else ""
        yield (
            f"At {_traffic(outlook.requests_per_minute)}, {even}{best.weight_percent:g} % for"
            f" {format_duration(best.bake_seconds)} sees {_seen(best, outlook, only='only ')}:"
            f" {_instead(steps, outlook)}"
        )


def _metric_warnings(steps: Sequence[Step], outlooks: Iterable[_Outlook]) -> Iterator[str]:
    """Of each metric of the user's that no step sees enough of."""
    compared = [step for step in steps if step.weight_percent < ALL_PERCENT]
    for outlook in outlooks:
        metric, name = outlook.metric, outlook.metric.name
        if not metric.proves and metric.kind is Kind.MEASURED:
            yield f"nothing of {name} is known yet to call any value bad by: it is not judged, and proves nothing"
        elif not metric.proves:
            seen = f"nothing bad of {name} is known yet"
            yield f"{seen}: it is compared only in minutes in which both versions have it, and proves nothing"
        elif compared and outlook.is_blind(compared):
            harms = [harm for step in compared if (harm := outlook.harm(step)) is not None]
            sees = f"sees {name} only above {_number(min(harms))} %" if harms else f"sees nothing of {name}"
            traffic = f"At {_number(outlook.requests_per_minute)} of them a minute"
            yield f"{traffic}, the best step {sees}: bake longer for it"


def _instead_of_all_at_once(outlook: _Outlook, *, fix: bool) -> str:
    if fix or not outlook.requests_per_minute or not outlook.is_blind(DEFAULT_STEPS):
        return f"use {_pasted(DEFAULT_STEPS)}"
    return _instead(DEFAULT_STEPS, outlook)


def _instead(steps: Sequence[Step], outlook: _Outlook) -> str:
    proposal = _proposal(steps, outlook)
    if proposal:
        return f"use {_pasted(proposal)}, where the first step sees {_seen(proposal[0], outlook)}"
    if outlook.blind_above >= ALL_PERCENT:
        return f"the stable version itself is too bad to compare a candidate with, so {_WHAT_DECIDES}"
    return f"this alias has too little traffic to compare versions, so {_WHAT_DECIDES}"


def _proposal(steps: Sequence[Step], outlook: _Outlook) -> tuple[Step, ...] | None:
    """The same weights with a first bake that is long enough, or else a larger first weight; None where none is."""
    first = steps[0]
    if len(steps) > MOST_PROPOSED_STEPS:
        steps = (first, *DEFAULT_STEPS)
    for weight in (first.weight_percent, *LARGER_WEIGHTS):
        if weight >= first.weight_percent and (bake := _shortest_bake(weight, outlook)):
            later = (step for step in steps[1:] if step.weight_percent > weight)
            return (replace(first, weight_percent=weight, bake_seconds=max(bake, first.bake_seconds)), *later)
    return None


def _shortest_bake(weight_percent: float, outlook: _Outlook) -> int | None:
    """The shortest bake on the grid at which this weight is not blind, in seconds."""

    def is_blind(spans: int) -> bool:
        return outlook.is_blind([Step(weight_percent, spans * BAKE_GRID_SECONDS)])

    low, high = 0, LONGEST_BAKE_SECONDS // BAKE_GRID_SECONDS
    if is_blind(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_blind(middle) else (low, middle)
    return high * BAKE_GRID_SECONDS


def _pasted(steps: Sequence[Step]) -> str:
    """As a request has it."""
    weights = [int(step.weight_percent) if step.weight_percent % 1 == 0 else step.weight_percent for step in steps]
    listed = [
        {"weight": weight, "bake_seconds": step.bake_seconds} for weight, step in zip(weights, steps, strict=True)
    ]
    return f'"steps": {json.dumps(listed)}'


def _seen(step: Step, outlook: _Outlook, only: str = "") -> str:
    harm, seen = outlook.harm(step), bad_of(outlook.metric)
    return f"no {seen} at all" if harm is None else f"{only}{seen} above {_number(harm)} %"


def _traffic(requests_per_minute: float) -> str:
    number = _number(requests_per_minute)
    return f"{number} request{'' if number == '1' else 's'} a minute"


def _number(value: float) -> str:
    """Two digits, or as many as the whole part has."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004 - two digits
