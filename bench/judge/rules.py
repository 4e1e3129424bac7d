"""The rules that rollouts are judged by elsewhere, as faithfully as counts per minute allow.

A rule is asked at a poll and says "fail" or "continue"; the first fail rolls the release back. It keeps no state:
everything is counted anew from what it can see, so a poll that is skipped costs nothing and late data heal.
By default rules see `settled` minutes, as in a comparison in which nobody is faster for taking half a datapoint.

Left out: Flagger's halting of the weight (the recorded schedule is fixed), and who reacts how fast to an alarm.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist, fmean, median
from typing import Literal, Protocol, get_args

from bench.judge.cases import Case, Counts, Metric, Minute, View, settled
from bench.judge.score import Outcome

Say = Literal["fail", "continue"]
METRICS: tuple[Metric, ...] = get_args(Metric)

#: The static rules' limits: a share of requests that fail, and one of requests that are slow.
LIMITS: Mapping[Metric, float] = {"errors": 0.01, "slow": 0.03}


class Rule(Protocol):
    """Says at the poll at `now` (minutes since the start) whether to roll back."""

    def __call__(self, case: Case, now: int, view: View = settled) -> Say: ...


def replay(rule: Rule, case: Case, view: View = settled) -> Outcome:
    """Poll a rule every minute. These rules know no inconclusive: what none of the polls fails has passed."""
    for now in range(1, len(case.minutes) + 1):
        if rule(case, now, view) == "fail":
            return Outcome("fail", now)
    return Outcome("pass")


def replay_all(cases: Iterable[Case], view: View = settled) -> dict[str, dict[str, Outcome]]:
    """Every peer's outcome on every case, by rule and case id."""
    cases = tuple(cases)
    return {name: {case.id: replay(rule, case, view) for case in cases} for name, rule in RULES.items()}


def _say(failed: bool) -> Say:
    return "fail" if failed else "continue"


# --- Alarms on the alias ----------------------------------------------------------------------------------------------


def codedeploy(case: Case, now: int, view: View = settled) -> Say:
    """The alarm of SAM's documentation for a CodeDeploy deployment: Errors of the alias > 0, two periods of 60 s.

    The alias counts both versions.
    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html
    """
    return _say(_alarms([_alias(minute, "errors")[0] > 0 for minute in view(case, now)], datapoints=2, periods=2))


def error_rate_alarm(case: Case, now: int, view: View = settled) -> Say:
    """A metric-math alarm on the alias: 1 % errors in two of three minutes, and its twin on slow requests."""
    minutes = view(case, now)

    def breaching(minute: Minute, metric: Metric) -> bool:
        count, requests = _alias(minute, metric)
        limit = LIMITS[metric] * requests
        return requests > 0 and (count >= limit if metric == "errors" else count > limit)

    return _say(any(_alarms([breaching(minute, metric) for minute in minutes], 2, 3) for metric in METRICS))


def _alias(minute: Minute, metric: Metric) -> tuple[int, int]:
    """Bad requests and requests of the alias. Sum adds what there is: a missing datapoint breaches nothing."""
    versions = (minute.stable, minute.candidate)
    return sum(version.bad(metric) or 0 for version in versions), sum(version.n or 0 for version in versions)


def _alarms(breaching: Sequence[bool], datapoints: int, periods: int) -> bool:
    """Whether `datapoints` out of any `periods` consecutive minutes breached."""
    return any(sum(breaching[max(0, end - periods) : end]) >= datapoints for end in range(1, len(breaching) + 1))


# --- Thresholds on the candidate --------------------------------------------------------------------------------------

FLAGGER_THRESHOLD = 5
ARGO_FAILURE_LIMIT = 3


def flagger(case: Case, now: int, view: View = settled) -> Say:
    """A check a minute; the fifth that fails rolls back, whether or not they follow each other.

    No data is a failed check, "Halt advancement no values found": fluxcd/flagger 15bd6ad, pkg/controller/
    scheduler_metrics.go and scheduler.go.
    """
    checks = (_crosses_limit(minute.candidate) for minute in view(case, now))
    return _say(sum(crosses is not False for crosses in checks) >= FLAGGER_THRESHOLD)


def argo(case: Case, now: int, view: View = settled) -> Say:
    """A measurement a minute of one metric, failed where either share is over its limit; more than 3 fail the run.

    Without requests the query has nothing to measure. argoproj/argo-rollouts 9f8d111, analysis/analysis.go.
    """
    measurements = (_crosses_limit(minute.candidate) for minute in view(case, now))
    return _say(sum(crosses is True for crosses in measurements) > ARGO_FAILURE_LIMIT)


def _crosses_limit(counts: Counts) -> bool | None:
    """Whether any share is over its limit; None where a share is missing and none of the others is over."""
    crosses: list[bool | None] = []
    for metric, limit in LIMITS.items():
        bad = counts.bad(metric)
        crosses.append(None if not counts.n or bad is None else bad / counts.n > limit)
    return True if True in crosses else None if None in crosses else False


# --- Kayenta ----------------------------------------------------------------------------------------------------------

KAYENTA_CONFIDENCE = 0.98
KAYENTA_TOLERANCE = 0.25

Classification = Literal["high", "pass", "no data", "error"]


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the experiment lies above the control: the Hodges-Lehmann estimate and its confidence interval."""

    lower: float
    estimate: float
    upper: float


def kayenta(case: Case, now: int, view: View = settled) -> Say:
    """One canary analysis at the end of each step, of that step's shares per minute; high is the bad direction.

    spinnaker/kayenta a69573b, NetflixACAJudge and WeightedSumScorer: with two metrics of equal weight one that is
    high costs half the score, which passes no usual threshold; half of the metrics without data score 0, so a step
    at 100 %, without a control, fails (kayenta #799, #377).
    """
    step = next((step for step in case.steps if step.end == now), None)
    if step is None:
        return "continue"
    last = case.minutes[step.end - 1].t
    minutes = [minute for minute in view(case, now) if case.minutes[step.start].t <= minute.t <= last]
    found = Counter(
        classify(_shares(minutes, "candidate", metric), _shares(minutes, "stable", metric)) for metric in METRICS
    )
    return _say(found["high"] > 0 or 2 * found["no data"] >= len(METRICS) or found["pass"] == 0)


def _shares(minutes: Iterable[Minute], version: Literal["stable", "candidate"], metric: Metric) -> list[float]:
    """The shares of the minutes that have one; the rest are NaN, and nanStrategy is remove."""
    counts = [getattr(minute, version) for minute in minutes]
    return [count.bad(metric) / count.n for count in counts if count.n and count.bad(metric) is not None]


def classify(
    experiment: Sequence[float],
    control: Sequence[float],
    confidence: float = KAYENTA_CONFIDENCE,
    tolerance: float = KAYENTA_TOLERANCE,
) -> Classification:
    """MannWhitneyClassifier: high where the interval lies above a quarter of the estimate.

    Kayenta adds noise where both series are constant, for its root finder's sake; `shift` needs none. The mean
    ratio is held against allowedIncrease 1.0, and against nothing where the control's mean is 0.
    """
    if not experiment or not control:
        return "no data"
    if sorted(experiment) == sorted(control) or len({*experiment, *control}) == 1:
        return "pass"
    found = shift(experiment, control, confidence)
    if found is None:
        return "error"
    control_mean = fmean(control)
    grew = control_mean == 0 or fmean(experiment) / control_mean >= 1
    return "high" if grew and found.lower > tolerance * abs(found.estimate) else "pass"


def shift(experiment: Sequence[float], control: Sequence[float], confidence: float) -> Shift | None:
    """MannWhitney.scala, after R's asymptotic wilcox.test: where the corrected z crosses the normal quantiles.

    z falls in jumps, at the differences between a value of each series, and is constant between them: so a bound is
    one of the differences, where Kayenta's solver comes within its accuracy of it, and z is 0 at their median. None
    where there is one value of each, with which Kayenta throws an exception.
    """
    m, n = len(experiment), len(control)
    if m * n == 1:
        return None
    ties = sum(k**3 - k for series in (experiment, control) for k in Counter(series).values())
    sigma = math.sqrt(m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1))))
    differences = sorted(a - b for a in experiment for b in control)

    def z(below: int) -> float:
        surplus = m * n / 2 - below
        return (surplus - math.copysign(0.5, surplus)) / sigma if surplus else 0.0

    def crossing(quantile: float) -> float:
        """The first difference above which z is no more than the quantile, or the outermost there is."""
        gap = bisect_left(range(m * n + 1), -quantile, key=lambda below: -z(below))
        return differences[min(max(gap - 1, 0), m * n - 1)]

    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    return Shift(lower=crossing(quantile), estimate=median(differences), upper=crossing(-quantile))


# --- Tests at every poll ----------------------------------------------------------------------------------------------

FISHER_P_VALUE = 0.05
SAFE_ALPHA = 0.01
#: safestats' default prior for a test of two proportions.
SAFE_PRIOR = 0.18


@dataclass(frozen=True, slots=True)
class Table:
    """Bad requests out of requests, of both versions: of one minute, or pooled."""

    stable_bad: int = 0
    stable: int = 0
    candidate_bad: int = 0
    candidate: int = 0

    def __add__(self, other: Table) -> Table:
        return Table(
            self.stable_bad + other.stable_bad,
            self.stable + other.stable,
            self.candidate_bad + other.candidate_bad,
            self.candidate + other.candidate,
        )


def _tables(minutes: Iterable[Minute], metric: Metric) -> list[Table]:
    """A table for each minute whose counts are whole: no count missing where there were requests."""
    tables = []
    for minute in minutes:
        stable, candidate = minute.stable.n or 0, minute.candidate.n or 0
        stable_bad = minute.stable.bad(metric) if stable else 0
        candidate_bad = minute.candidate.bad(metric) if candidate else 0
        if stable_bad is not None and candidate_bad is not None:
            tables.append(Table(min(stable_bad, stable), stable, min(candidate_bad, candidate), candidate))
    return tables


def fisher(case: Case, now: int, view: View = settled) -> Say:
    """Fisher's exact test on the counts of the rollout so far, of either metric, at 5 % and at every poll.

    One-sided, since only a candidate that is worse is rolled back; without any correction for looking so often.
    """
    minutes = view(case, now)
    pooled = [sum(_tables(minutes, metric), Table()) for metric in METRICS]
    return _say(any(fisher_p_value(table) < FISHER_P_VALUE for table in pooled))


def fisher_p_value(table: Table) -> float:
    """P(X >= candidate_bad), with X hypergeometric: the bad requests strike either version blindly.

    Summed away from the mean, where every term is smaller than the one before.
    """
    drawn, total = table.candidate_bad + table.stable_bad, table.candidate + table.stable
    lowest, highest = max(0, drawn - table.stable), min(drawn, table.candidate)
    if table.candidate_bad * total > drawn * table.candidate:
        return _hypergeometric_sum(range(table.candidate_bad, highest + 1), drawn, table)
    return 1.0 - _hypergeometric_sum(range(table.candidate_bad - 1, lowest - 1, -1), drawn, table)


def _hypergeometric_sum(values: Iterable[int], drawn: int, table: Table) -> float:
    log_all = _log_choose(table.candidate + table.stable, drawn)
    found = 0.0
    for value in values:
        ways = _log_choose(table.candidate, value) + _log_choose(table.stable, drawn - value)
        term = math.exp(ways - log_all)
        found += term
        if term < found * 1e-17:
            break
    return min(found, 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def turner_ly_grunwald(case: Case, now: int, view: View = settled) -> Say:
    """The safe test of two proportions, a block a minute; a metric fails when its e-value ever reached 2 / alpha.

    Two metrics share alpha, which so bounds the whole rollout, at any poll. Turner, Ly, Grünwald, JSPI 2024.
    """
    minutes = view(case, now)
    enough = math.log(len(METRICS) / SAFE_ALPHA)
    return _say(any(max(safe_log_e_values(_tables(minutes, metric)), default=0.0) >= enough for metric in METRICS))


def safe_log_e_values(blocks: Sequence[Table]) -> list[float]:
    """The logarithm of the e-value after each block, against "the candidate is no worse".

    A block bets on the rates learnt from the blocks before; the null's rate is their mean, weighted by the block's
    sizes, which makes the ratio an e-variable. While the candidate looks no worse, nothing is bet.
    """
    pasts = accumulate(blocks, initial=Table())
    return list(accumulate(_safe_log_e(past, block) for past, block in zip(pasts, blocks, strict=False)))


def _safe_log_e(past: Table, block: Table) -> float:
    stable = (past.stable_bad + SAFE_PRIOR) / (past.stable + 2 * SAFE_PRIOR)
    candidate = (past.candidate_bad + SAFE_PRIOR) / (past.candidate + 2 * SAFE_PRIOR)
    if candidate <= stable or not block.stable or not block.candidate:
        return 0.0
    both = (block.stable * stable + block.candidate * candidate) / (block.stable + block.candidate)
    return (
        block.candidate_bad * math.log(candidate / both)
        + (block.candidate - block.candidate_bad) * math.log((1 - candidate) / (1 - both))
        + block.stable_bad * math.log(stable / both)
        + (block.stable - block.stable_bad) * math.log((1 - stable) / (1 - both))
    )


#: In the order of the table that they are shown in.
RULES: Mapping[str, Rule] = {
    "codedeploy": codedeploy,
    "error_rate_alarm": error_rate_alarm,
    "flagger": flagger,
    "argo": argo,
    "kayenta": kayenta,
    "fisher": fisher,
    "turner_ly_grunwald": turner_ly_grunwald,
}
