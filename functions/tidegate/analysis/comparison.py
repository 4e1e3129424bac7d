"""What the judge makes of one poll: both versions' minutes become rows, the rows evidence, the evidence a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from tidegate.analysis import judge as judging
from tidegate.analysis.check import Check, Finding
from tidegate.analysis.e_process import MetricName, Tally
from tidegate.analysis.judge import Evidence, Judge, Row
from tidegate.analysis.last_step import LastStepCheck, check_last_step
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.rate import Rate
from tidegate.analysis.rows import long_enough
from tidegate.frozen import frozen
from tidegate.routing import ALL_PERCENT

#: CloudWatch is one to three minutes late, and a part of a minute's requests is still a fair sample of both versions: a
#: conviction waits only until the minute has been over for so long,
CONVICTION_AGE_SECONDS: Final = 60
#: an acquittal longer.
SETTLED_AGE_SECONDS: Final = 120
#: Lambda's Duration leaves a cold start out, but not what a version loads at its first requests: after each increase of
#: the weight the slow requests of this minute and the next do not count.
WARM_UP_SECONDS: Final[Mapping[MetricName, int]] = {"errors": 0, "slow": 120}
#: Fewer requests than this leave a margin of over one percentage point (3 / n): then the day before says more.
FEWEST_USUAL: Final = 300

#: From so many minutes on, the last ones are told beside.
LONG_MINUTES: Final = 15

_SAYS: Final[Mapping[MetricName, tuple[str, str]]] = {"errors": ("fails", ""), "slow": ("is slow in", "in ")}
#: The same where nothing is wrong: what stands before both rates, and after them.
_SAW: Final[Mapping[MetricName, tuple[str, str]]] = {
    "errors": ("", "requests failed"),
    "slow": ("slow in ", "requests"),
}
_SMALLEST_P: Final = 1e-6

_UNJUDGED: Final = Check(
    "slow compared",
    None,
    "-",
    "",
    Finding.NOTED,
    sentence="slow: there is no p99 of the day before, so nothing can be called slow",
)


@frozen
class Comparison:
    """The evidence of every metric that is judged, and at weight 100 what guards it.

    `alone`: no stable traffic is left to compare with. `unguarded` names the metrics of which no rate is known.
    `unjudged`: nobody can say what is slow. `stable` is what sentences call the stable version.
    """

    evidence: tuple[Evidence, ...] = ()
    last_step: tuple[LastStepCheck, ...] = ()
    alone: bool = False
    unguarded: tuple[MetricName, ...] = ()
    unjudged: bool = False
    stable: str = "the stable version"

    @property
    def tripped(self) -> tuple[LastStepCheck, ...]:
        """The guards that ask for a comparison."""
        return tuple(last for last in self.last_step if last.tripped)

    @property
    def burst(self) -> bool:
        """Whether both versions fail just now or requests are throttled, or were until a moment ago."""
        return any(one.burst for one in self.evidence)

    @property
    def hints(self) -> tuple[str, ...]:
        """Signs of harm that are no proof of it, in words."""
        hinted = [_compared(one) for one in self.evidence if one.hinted]
        return (*hinted, *(str(last) for last in self.last_step if last.hinted and last.candidate_bad))

    @property
    def step_cleared(self) -> bool:
        """Whether this step alone rules out harm beyond the tolerance in every metric: an early acquittal."""
        return bool(self.evidence) and not self.unjudged and all(one.step_cleared for one in self.evidence)

    @property
    def unjudged_metric(self) -> str:
        """What is asked about and cannot be judged, in words; "" where everything can."""
        return _UNJUDGED.sentence if self.unjudged else ""

    @property
    def compared(self) -> str:
        """Both versions' failures so far, in words; "" where they are not compared."""
        return next((_compared(one) for one in self.evidence if one.metric == "errors"), "")

    def checks(self) -> tuple[Check, ...]:
        """One gate per metric; one that is asked about and cannot be judged is noted, and is no gate."""
        checks = tuple(self._check(one) for one in self.evidence)
        return (*checks, _UNJUDGED) if self.unjudged else checks

    def _check(self, evidence: Evidence) -> Check:
        finding = self._finding(evidence)
        unknown = finding is Finding.UNKNOWN
        return Check(
            name=f"{evidence.metric} compared",
            value=_percent(evidence.candidate_bad, evidence.candidate),
            limit=_tolerated_percent(evidence),
            unit="%",
            finding=finding,
            of=evidence.candidate,
            convicts=finding is Finding.HARMFUL,
            sentence=f"{evidence.metric}: {self._conclusion(evidence)}" if unknown else self._says(evidence),
            covers=evidence.metric,
        )

    def _says(self, evidence: Evidence) -> str:
        if self._finding(evidence) is Finding.HEALTHY:
            return self._no_worse(evidence)
        return f"{self._seen(evidence)}; {self._conclusion(evidence)}"

    def _seen(self, evidence: Evidence) -> str:
        """Both versions side by side; or the last weight, where they never were."""
        last = next((one for one in self.last_step if one.metric == evidence.metric and one.candidate), None)
        compared = evidence.candidate and evidence.stable
        return _compared(evidence) if compared or last is None else f"{evidence.metric}: {last}"

    def _no_worse(self, evidence: Evidence) -> str:
        """What was seen of a metric that is healthy; what it may still hide is in the evidence's figures."""
        if not evidence.candidate or not evidence.stable:
            return self._seen(evidence)
        candidate, stable = (
            100 * bad / of
            for bad, of in ((evidence.candidate_bad, evidence.candidate), (evidence.stable_bad, evidence.stable))
        )
        how, (before, after) = "no" if candidate <= stable else "hardly", _SAW[evidence.metric]
        rates = f"{_figure(candidate)} % of {evidence.candidate:,} against {_figure(stable)} % of {evidence.stable:,}"
        return f"{how} worse than {self.stable}: {before}{rates} {after}"

    def _finding(self, evidence: Evidence) -> Finding:
        if evidence.convicted_at is not None:
            return Finding.HARMFUL
        if evidence.suspected:
            return Finding.SUSPECT
        guarded = all(last.quiet for last in self.last_step) and not self.unguarded
        return Finding.HEALTHY if evidence.proven and guarded else Finding.UNKNOWN

    def _conclusion(self, evidence: Evidence) -> str:
        finding = self._finding(evidence)
        excess = f"{_figure(max(100 * evidence.excess_at_most, 0.01))} percentage points"
        if finding is Finding.HARMFUL:
            return f"worse than tolerated with p {_p_value(evidence.p_intolerable)}"
        if finding is Finding.SUSPECT:
            return f"suspected to be worse, with p {_p_value(evidence.p_worse)}"
        if evidence.burst:
            return "both versions fail or requests are throttled, so neither can be told from the other"
        if not evidence.quiet or any(last.hinted for last in self.last_step):
            return "not quiet enough to acquit"
        if not evidence.settled_minutes:
            return "no requests of the candidate to go by yet"
        if evidence.excess_at_most > evidence.provable_excess:
            return f"too few requests to rule out that it is {excess} worse"
        return "nothing is known to hold the last weight against" if self.unguarded else "not settled yet"

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it: wealths are natural logarithms, counts are [requests, bad]."""
        evidence = [{**_kept(one), "state": self._finding(one).value, "says": self._says(one)} for one in self.evidence]
        document: dict[str, Any] = {"evidence": evidence}
        if self.last_step:
            document["last_step"] = [_kept_last_step(last) for last in self.last_step]
        return document


def compare(
    judge: Judge,
    minutes: Sequence[Minute],
    shifts: Sequence[Shift],
    now: float,
    baseline: TrafficBaseline,
    missing: int = 0,
) -> Comparison:
    """The verdict of one poll.

    Args:
        judge: what is judged, and how strictly.
        minutes: both versions' requests since the first shift, oldest first.
        shifts: every weight of the candidate so far.
        now: seconds since the epoch.
        baseline: the alias's traffic before the rollout; without its p99 nobody can say what is slow.
        missing: requests of the candidate that were not counted, and may yet fail.
    """
    unjudged = judge.slow is not None and baseline.p99_ms is None
    if unjudged:
        judge = replace(judge, slow=None)
    over = [minute for minute in minutes if minute.end + CONVICTION_AGE_SECONDS <= now]
    alone = shifts[-1].weight_percent == ALL_PERCENT
    evidence, last_step, unguarded = [], [], []
    for name in judge.tolerances():
        rows = [_row(name, minute, shifts, now) for minute in over]
        before = _before(name, baseline)
        ramp = _ramp(over, rows, shifts, before)
        known = _usual(ramp, before)
        last = [row for row in rows if row.in_step] if alone else []
        rates = (known, before, _stable_rate(ramp, burst=False) if name == "errors" else None)
        floors = [rate.at_least for rate in rates if rate and rate.requests]
        settled = list(_uncompared(name, last if known else (), floors, missing))
        evidence.append(judging.examine(name, list(long_enough(over, rows, shifts)), judge, before, settled))
        if alone and known:
            last_step.append(check_last_step(name, last, judge, known))
        elif alone:
            unguarded.append(name)
    return Comparison(tuple(evidence), tuple(last_step), alone, tuple(unguarded), unjudged)


def _uncompared(name: MetricName, last: Iterable[Row], floors: Sequence[float], missing: int) -> Iterator[Tally]:
    """What bounds the excess beside the compared rows: the last weight, and all that is missing as if it had failed."""
    # Slow is by definition one in a hundred of the day before; failures are held against the lowest rate that is known.
    floor = (max if name == "slow" else min)(floors, default=0.0)
    yield from (Tally.against(row.evidence, floor) for row in last if row.settled and row.evidence)
    if missing and name == "errors":
        yield Tally(math.inf, missing, 0, missing, floor)


def _row(name: MetricName, minute: Minute, shifts: Sequence[Shift], now: float) -> Row:
    warmed_at = _last_increase(minute, shifts) + WARM_UP_SECONDS[name]
    # In the minute of a shift to or from 100 % one version served before, the other after: that is no comparison.
    replaced = any(
        minute.at < after.at < minute.end and ALL_PERCENT in {before.weight_percent, after.weight_percent}
        for before, after in pairwise([Shift(0.0, 0.0), *shifts])
    )
    served = minute.stable.requests + minute.candidate.requests + minute.throttled
    return Row(
        tally=_tally(name, minute),
        comparable=minute.at >= warmed_at and not replaced,
        throttled=minute.throttled > judging.BURST_THROTTLED * served,
        in_step=minute.at >= shifts[-1].at,
        settled=minute.end + SETTLED_AGE_SECONDS <= now,
    )


def _last_increase(minute: Minute, shifts: Sequence[Shift]) -> float:
    """When the weight was last increased before the minute's end, rounded down to a minute."""
    weights = [Shift(0.0, 0.0), *shifts]
    increases = [
        after.at - after.at % 60 for before, after in pairwise(weights) if after.weight_percent > before.weight_percent
    ]
    return max((at for at in increases if at < minute.end), default=0.0)


def _tally(name: MetricName, minute: Minute) -> Tally | None:
    """The minute's table; None where a count is missing although there was traffic."""
    stable, candidate = _counted(name, minute.stable), _counted(name, minute.candidate)
    if stable is None or candidate is None:
        return None
    return Tally(stable[0], candidate[0], min(stable[1], stable[0]), min(candidate[1], candidate[0]))


def _counted(name: MetricName, counts: Counts) -> tuple[int, int] | None:
    requests, bad = (counts.requests, counts.errors) if name == "errors" else (counts.timed, counts.slow)
    return None if requests is None or bad is None else (requests, bad)


def _ramp(
    minutes: Sequence[Minute], rows: Sequence[Row], shifts: Sequence[Shift], day_before: Rate | None
) -> list[tuple[Tally, bool]]:
    """The way up to the present weight, minute by minute, and whether each was a shared burst."""
    ascent = shifts[0].at
    for before, after in pairwise(shifts):
        if after.weight_percent < before.weight_percent:
            ascent = after.at
    return [
        (row.tally, burst)
        for minute, row, burst in zip(minutes, rows, judging.shared_bursts(rows, day_before), strict=True)
        if ascent <= minute.end and minute.at < shifts[-1].at and row.tally
    ]


def _usual(ramp: Sequence[tuple[Tally, bool]], day_before: Rate | None) -> Rate | None:
    """The stable version's rate on the way up to the present weight, or else before the rollout."""
    # An outage that is over would hide harm; one that goes on is what the last weight must bear with, and nothing else.
    ongoing = any(burst for _, burst in ramp[-judging.BURST_RECENT :])
    seen_rate = _stable_rate(ramp, burst=ongoing)
    if seen_rate.requests < FEWEST_USUAL and not ongoing and day_before and day_before.requests > seen_rate.requests:
        return day_before
    return seen_rate if seen_rate.requests else None


def _stable_rate(ramp: Sequence[tuple[Tally, bool]], *, burst: bool) -> Rate:
    return Rate.over([(tally.stable, tally.stable_bad) for tally, flagged in ramp if flagged == burst])


def _before(name: MetricName, baseline: TrafficBaseline) -> Rate | None:
    """The rate before the rollout; what is slower than a p99 is one request in a hundred."""
    if not baseline.requests or (name == "slow" and baseline.p99_ms is None):
        return None
    return Rate(baseline.errors if name == "errors" else baseline.requests / 100, baseline.requests)


def _compared(evidence: Evidence) -> str:
    does, stable_does = _SAYS[evidence.metric]
    if not evidence.candidate or not evidence.stable:
        return f"{evidence.metric}: no minute seen yet in which both versions served"
    both = (
        (evidence.candidate_bad, evidence.candidate),
        (evidence.stable_bad, evidence.stable),
    )
    (candidate, requests), (stable, others) = ((f"{_figure(100 * bad / of)} %", f"{of:,}") for bad, of in both)
    minutes = f"same {evidence.minutes:,} minutes" if evidence.minutes > 1 else "same minute"
    rates = f"candidate {does} {candidate} of {requests} requests, stable {stable_does}{stable} of {others}"
    bad, requests_of, stable_bad, stable_of = evidence.recent
    if evidence.minutes < LONG_MINUTES:
        return f"{rates} in the {minutes}"
    last = f"{_figure(100 * bad / requests_of)} % against {_figure(100 * stable_bad / stable_of)} %"
    return f"{rates} in the {minutes} ({last} in the last {judging.RECENT_MINUTES})"


def _percent(bad: int, requests: int) -> float | None:
    return 100 * bad / requests if requests else None


def _figure(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004  two digits, and no 1e+02


def _tolerated_percent(evidence: Evidence) -> float:
    stable = _percent(evidence.stable_bad, evidence.stable) or 0.0
    return round(evidence.tolerance.max_ratio * stable + 100 * evidence.tolerance.max_increase, 3)


def _p_value(p: float) -> str:
    return f"= {p:.1g}" if p >= _SMALLEST_P else f"< {_SMALLEST_P:.6f}"


def _kept(evidence: Evidence) -> dict[str, Any]:
    return {
        "metric": evidence.metric,
        "minutes": evidence.minutes,
        "stable": [evidence.stable, evidence.stable_bad],
        "candidate": [evidence.candidate, evidence.candidate_bad],
        "worse": round(evidence.worse, 2),
        "worse_needed": round(evidence.worse_needed, 2),
        "intolerable": round(evidence.intolerable, 2),
        "intolerable_needed": round(evidence.intolerable_needed, 2),
        "p_worse": float(f"{evidence.p_worse:.2g}"),
        "p_intolerable": float(f"{evidence.p_intolerable:.2g}"),
        "excess_at_most_percent": round(100 * evidence.excess_at_most, 3),
        "gaps": evidence.gaps,
    }


def _kept_last_step(last: LastStepCheck) -> dict[str, Any]:
    return {
        "metric": last.metric,
        "candidate": [last.candidate, last.candidate_bad],
        "expected_at_most_percent": round(100 * last.expected_at_most, 3),
        "wealth": round(last.wealth, 2),
        "needed": round(last.needed, 2),
        "tripped": last.tripped,
    }
