"""What the judge makes of one poll: both versions' minutes become rows, the rows evidence, the evidence a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from tidegate.analysis import judge as judging
from tidegate.analysis.bursts import BURST_INCREASE, find_bursts
from tidegate.analysis.check import Check, Finding
from tidegate.analysis.e_process import Tally
from tidegate.analysis.judge import Evidence, Judge
from tidegate.analysis.last_step import LastStepCheck, check_last_step
from tidegate.analysis.measurement import MetricBaseline, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import Judged, Kind
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import Row
from tidegate.analysis.rows import Place, long_enough
from tidegate.analysis.sentences import WORDS, figure, label, p_value, percent, side_by_side
from tidegate.frozen import frozen
from tidegate.routing import ALL_PERCENT

#: CloudWatch is one to three minutes late, and a part of a minute's requests is still a fair sample of both versions: a
#: conviction waits only until the minute has been over for so long.
CONVICTION_AGE_SECONDS: Final = 60
#: What a candidate that fixes the stable version fails less in.
_FAILURES: Final = frozenset({Kind.FAILED, Kind.EXECUTED, Kind.COUNTED})
#: Fewer requests than this leave a margin of over one percentage point (3 / n): then the day before says more.
FEWEST_USUAL: Final = 300
#: An outage goes on where one of so many minutes was in it: one alone may be a lull.
ONGOING_MINUTES: Final = 2


_UNJUDGED: Final = Check(
    "slow compared",
    None,
    "-",
    "",
    Finding.NOTED,
    sentence="slow: how long served requests took in the day before is not known, so nothing can be called slow",
)


@frozen
class Comparison:
    """The evidence of every metric that is judged, and at weight 100 what guards it.

    `alone`: no stable traffic is left to compare with. `unguarded` names the metrics of which no rate is known.
    `unjudged`: nobody can say what is slow. `stable` is what sentences call the stable version. `learnt`: a minute that
    may be judged, with requests of the candidate, began since the weight was last lowered.
    """

    evidence: tuple[Evidence, ...] = ()
    last_step: tuple[LastStepCheck, ...] = ()
    alone: bool = False
    unguarded: tuple[str, ...] = ()
    unjudged: bool = False
    stable: str = "the stable version"
    learnt: bool = True

    @property
    def tripped(self) -> tuple[LastStepCheck, ...]:
        """The guards that ask for a comparison."""
        return tuple(last for last in self.last_step if last.tripped)

    @property
    def startling(self) -> tuple[Evidence, ...]:
        """What would convict, were one minute alone believed as far as it goes."""
        return tuple(one for one in self.evidence if one.startles)

    @property
    def uneasy(self) -> tuple[Evidence, ...]:
        """What still speaks against the candidate, or cannot tell: as long as it does no lowered weight goes up."""
        return tuple(one for one in self.evidence if one.suspected or one.burst or not one.calm)

    @property
    def grave(self) -> bool:
        """Whether that is more than what chance and clumps make of so few requests: in the end it is rolled back."""
        return any(one.suspected or one.hinted or one.burst for one in self.evidence)

    @property
    def burst(self) -> bool:
        """Whether both versions fail just now or requests are throttled, or were until a moment ago.

        Of a fix only its failures are asked: what runs into a time-out is slow as well.
        """
        return any(one.burst for one in self.evidence if one.metric.kind in _FAILURES or not self.is_fix)

    @property
    def is_fix(self) -> bool:
        """Whether the stable version itself fails, and the candidate clearly less."""
        return any(one.improved.fix for one in self.evidence if one.metric.kind in _FAILURES)

    @property
    def better(self) -> str:
        """That the candidate is clearly better in what it fails, in words; "" where it is not."""
        better = (one for one in self.evidence if one.improved.better and one.metric.kind in _FAILURES)
        return next((self._no_worse(one) for one in better), "")

    @property
    def beaten_percent(self) -> float | None:
        """How often the stable version has failed in the last minutes, where the candidate clearly fails less."""
        better = (one.recent for one in self.evidence if one.improved.better and one.metric.kind.is_failure)
        return next((percent(bad, of) for _, _, bad, of in better), None)

    @property
    def hints(self) -> tuple[str, ...]:
        """Signs of harm that are no proof of it, in words."""
        hinted = [side_by_side(one) for one in self.evidence if one.hinted]
        return (*hinted, *(str(last) for last in self.last_step if last.hinted and last.candidate_bad))

    @property
    def step_cleared(self) -> bool:
        """Whether this step alone rules out harm beyond the tolerance in every metric: an early acquittal.

        Of a fix it is enough that nothing else looks like harm: as long as it waits, the stable version fails.
        """
        fix = self.is_fix
        asked = [one.metric.proves and (one.improved.fix or not fix) for one in self.evidence]
        cleared = [one.step_cleared if ask else one.quiet for ask, one in zip(asked, self.evidence, strict=True)]
        return any(one.metric.proves for one in self.evidence) and (fix or not self.unjudged) and all(cleared)

    @property
    def unjudged_metric(self) -> str:
        """What is asked about and cannot be judged, in words; "" where everything can."""
        return _UNJUDGED.sentence if self.unjudged else ""

    @property
    def compared(self) -> str:
        """Both versions' failures so far, in words; "" where they are not compared."""
        return self.better or next((side_by_side(one) for one in self.evidence if one.metric.kind.is_failure), "")

    def checks(self) -> tuple[Check, ...]:
        """One gate per metric; one that is asked about and cannot be judged is noted, and is no gate."""
        checks = tuple(self._check(one) for one in self.evidence if one.is_told)
        return (*checks, _UNJUDGED) if self.unjudged else checks

    def _check(self, evidence: Evidence) -> Check:
        finding = self._finding(evidence)
        unknown = finding is Finding.UNKNOWN
        return Check(
            name=f"{evidence.metric.name} compared",
            value=percent(evidence.candidate_bad, evidence.candidate),
            limit=_tolerated_percent(evidence),
            unit="%",
            finding=finding,
            of=evidence.candidate,
            convicts=finding is Finding.HARMFUL,
            sentence=self._unproven(evidence) if unknown else self._says(evidence),
            covers=evidence.metric.name,
        )

    def _unproven(self, evidence: Evidence) -> str:
        """What keeps it from being healthy, and that it is better all the same."""
        better = evidence.improved.better
        return (
            f"{f'{self._no_worse(evidence)};' if better else f'{evidence.metric.name}:'} {self._conclusion(evidence)}"
        )

    def _says(self, evidence: Evidence) -> str:
        if self._finding(evidence) is Finding.HEALTHY:
            return self._no_worse(evidence)
        return f"{self._seen(evidence)}; {self._conclusion(evidence)}"

    def _seen(self, evidence: Evidence) -> str:
        """Both versions side by side; or the last weight, where they never were."""
        last = next((one for one in self.last_step if one.metric == evidence.metric and one.candidate), None)
        compared = evidence.candidate and evidence.stable
        return side_by_side(evidence) if compared or last is None else f"{evidence.metric.name}: {last}"

    def _no_worse(self, evidence: Evidence) -> str:
        """What was seen of a metric that is healthy; what it may still hide is in the evidence's figures."""
        if not evidence.candidate or not evidence.stable:
            return self._seen(evidence)
        candidate, stable = (
            100 * bad / of
            for bad, of in ((evidence.candidate_bad, evidence.candidate), (evidence.stable_bad, evidence.stable))
        )
        how, words = "no worse" if candidate <= stable else "hardly worse", WORDS[evidence.metric.kind]
        how = "better" if evidence.improved.better else how
        rates = f"{figure(candidate)} % of {evidence.candidate:,} against {figure(stable)} % of {evidence.stable:,}"
        return f"{label(evidence.metric)}{how} than {self.stable}: {words.saw}{rates}{words.was}"

    def _finding(self, evidence: Evidence) -> Finding:
        if evidence.convicted_at is not None:
            return Finding.HARMFUL
        if evidence.suspected:
            return Finding.SUSPECT
        if not evidence.metric.proves:
            return Finding.NOTED
        hinted = any(last.hinted for last in self.last_step)
        own = all(last.quiet for last in self.last_step if last.metric == evidence.metric)
        guarded = own and not hinted and not self.unguarded
        return Finding.HEALTHY if evidence.proven and guarded else Finding.UNKNOWN

    def _conclusion(self, evidence: Evidence) -> str:
        finding = self._finding(evidence)
        excess = f"{figure(max(100 * evidence.excess_at_most, 0.01))} percentage points"
        if finding is Finding.HARMFUL:
            return f"worse than tolerated with p {p_value(evidence.p_intolerable)}"
        if finding is Finding.SUSPECT:
            return f"suspected to be worse, with p {p_value(evidence.p_worse)}"
        if evidence.burst:
            return "both versions fail or requests are throttled, so neither can be told from the other"
        if not evidence.quiet or any(last.hinted for last in self.last_step):
            return "not quiet enough to acquit"
        if not evidence.settled_minutes:
            return "no requests of the candidate to go by yet"
        if evidence.excess_at_most > evidence.provable_excess and not evidence.improved.better:
            return f"too few requests to rule out that it is {excess} worse"
        last = [one for one in self.last_step if one.collapsed and one.metric == evidence.metric]
        unsettled = "nothing is known to hold the last weight against" if self.unguarded else "not settled yet"
        return str(last[0].of_itself) if last else unsettled

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it: wealths are natural logarithms, counts are [requests, bad].

        What is not told is left out: the ledger has room for so much.
        """
        evidence = [
            {**_kept(one), "state": self._finding(one).value, "says": self._says(one)}
            for one in self.evidence
            if one.is_told
        ]
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
    unjudged = bool(judge.quantiles) and not any(map(baseline.slow_above_ms, judge.quantiles))
    alone = shifts[-1].weight_percent == ALL_PERCENT
    judge = _judgeable(judge, baseline, compared=any(shift.weight_percent < ALL_PERCENT for shift in shifts))
    over = [minute for minute in minutes if minute.end + CONVICTION_AGE_SECONDS <= now]
    places = [Place.of(minute, shifts, now) for minute in over]
    evidence, last_step, unguarded = [], [], []
    for name, metric in judge.judged().items():
        before = _before(metric, baseline)
        rows = [place.row(metric, before.share if before else 0.0) for place in places]
        alike, failing = _now(baseline) if metric.kind is Kind.FAILED else (0.0, 0)
        known = _usual(ramp := _ramp(over, rows, shifts, before, failing), before)
        last = [row for row in rows if row.in_step] if alone and metric.proves else []
        calm = _stable_rate(ramp, burst=False) if metric.usual_share is None else None
        settled = list(_uncompared(metric, last if known else (), (known, before, calm), missing))
        table, counted = list(long_enough(over, rows, shifts)), not (missing and metric.kind.is_failure)
        evidence.append(judging.examine(name, table, judge, before, settled, alike, failing, all_counted=counted))
        if alone and known and metric.proves:
            own = _own_rate(ramp) if evidence[-1].improved.better else None
            last_step.append(check_last_step(name, last, judge, known, own))
        elif alone and metric.proves:
            unguarded.append(name)
    return Comparison(tuple(evidence), tuple(last_step), alone, tuple(unguarded), unjudged, learnt=_has_learnt(places))


def _has_learnt(places: Iterable[Place]) -> bool:
    return any(place.fresh and place.minute.candidate.requests for place in places)


def _judgeable(judge: Judge, baseline: TrafficBaseline, *, compared: bool) -> Judge:
    """What can be judged of what is asked: of which it is known where bad begins.

    Equal quantiles are one. Where no two versions are compared only the highest is held against the day before: what
    is slower than a median changes with the hour.
    """
    quantiles, slow = judge.quantiles, dict[float, str]()
    for quantile in quantiles:
        above = baseline.slow_above_ms(quantile)
        if above is not None and (compared or quantile == max(quantiles)):
            slow[above] = quantile
    metrics = [one for one in judge.metrics if one.above is None or baseline.of(one.name).above is not None]
    by = {quantile: quantiles[quantile] for quantile in slow.values()}
    return replace(judge.with_quantiles(by), metrics=tuple(metrics))


def _uncompared(metric: Judged, last: Iterable[Row], rates: Iterable[Rate | None], missing: int) -> Iterator[Tally]:
    """What bounds the excess beside the compared rows: the last weight, and all that is missing as if it had failed."""
    floors = [rate.at_least for rate in rates if rate and rate.requests]
    # What is slow is by definition a share of the day before; failures are held against the lowest rate that is known.
    floor = (min if metric.usual_share is None else max)(floors, default=0.0)
    yield from (Tally.against(row.evidence, floor) for row in last if row.settled and row.evidence)
    if missing and metric.kind.is_failure:
        yield Tally(math.inf, missing, 0, missing, floor)


def _ramp(
    minutes: Sequence[Minute], rows: Sequence[Row], shifts: Sequence[Shift], day_before: Rate | None, failing: int
) -> list[tuple[Tally, bool]]:
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


def _usual(ramp: Sequence[tuple[Tally, bool]], day_before: Rate | None) -> Rate | None:
    """The stable version's rate on the way up to the present weight, or else before the rollout."""
    # An outage that is over would hide harm; one that goes on is what the last weight must bear with, and nothing else.
    ongoing = any(burst for _, burst in ramp[-ONGOING_MINUTES:])
    seen_rate = _stable_rate(ramp, burst=ongoing)
    if seen_rate.requests < FEWEST_USUAL and not ongoing and day_before and day_before.requests > seen_rate.requests:
        return day_before
    return seen_rate if seen_rate.requests else None


def _own_rate(ramp: Iterable[tuple[Tally, bool]]) -> Rate:
    """The candidate's rate on the way up to the present weight."""
    return Rate.over([(tally.candidate, tally.candidate_bad) for tally, _ in ramp])


def _stable_rate(ramp: Sequence[tuple[Tally, bool]], *, burst: bool) -> Rate:
    return Rate.over([(tally.stable, tally.stable_bad) for tally, flagged in ramp if flagged == burst])


def _before(metric: Judged, baseline: TrafficBaseline) -> Rate | None:
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


def _now(baseline: TrafficBaseline) -> tuple[float, int]:
    """How alike failures were in the last hour, and for how many minutes far more have failed than usual."""
    return baseline.correlation, baseline.failing_minutes


def _tolerated_percent(evidence: Evidence) -> float:
    stable = percent(evidence.stable_bad, evidence.stable) or 0.0
    tolerance = evidence.metric.tolerance
    return round(tolerance.max_ratio * stable + 100 * tolerance.max_increase, 3)


def _kept(evidence: Evidence) -> dict[str, Any]:
    return {
        "metric": evidence.metric.name,
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
        **({"better": True} if evidence.improved.better else {}),
        **({"startles": True} if evidence.startles else {}),
    }


def _kept_last_step(last: LastStepCheck) -> dict[str, Any]:
    return {
        "metric": last.metric.name,
        "candidate": [last.candidate, last.candidate_bad],
        "expected_at_most_percent": round(100 * last.expected_at_most, 3),
        "wealth": round(last.wealth, 2),
        "needed": round(last.needed, 2),
        "tripped": last.tripped,
    }
