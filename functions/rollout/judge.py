"""The judge: is the candidate worse than the stable version, over the same minutes and the same traffic?

**The idea.** A sceptic who believes that the candidate is no worse sells bets at fair prices, one minute after the
other. We buy bets that pay where the candidate fails more than its share of that minute's requests. Were the sceptic
right, our *wealth* could not be expected to grow, whatever we bet and however often we look: it exceeds 1/a, ever, with
probability at most a (Ville's inequality, 1939). So a wealth of 100 is evidence against the sceptic at the 1 % level
at any poll, of a rollout of any length. One minute's pay-out is an *e-value*; the wealth is their product, an
*e-process* (Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 2023).

Every minute is a table of its own, two versions by good and bad requests. Nothing is pooled over minutes, so changing
weights, changing traffic and outages that hit both versions make no difference: which version a failing request was
routed to is chance.

**Two keys.** A candidate is convicted where two wealths are high in the same minute: against "no worse than the
stable version" (the first key, at `false_rollback`), and against "no worse than tolerated" (the second key, at
`tolerated_rollback`). Over the whole rollout, all polls and metrics together, a candidate that is never worse is
convicted with probability at most `false_rollback`, and one that is worse but always within the tolerance with at most
`tolerated_rollback`. This assumes that, given a minute's conditions, counts do not depend on the version; what
protects beyond it (dispersion, cap, shared bursts) only ever lowers the wealth.

At weight 100 there is nobody to compare with. The last step is guarded by the rates that the stable version had
before: the same bets against a stable version of infinitely many requests and that very rate.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rollout.rate import Rate

MetricName = Literal["errors", "slow"]

#: Bets against a harmless candidate: it fails so many times the tolerated rate. A mixture finds the best of them.
BETS: Final = (1.25, 1.6, 2.2, 3.5, 6.0, 12.0, 40.0, 1000.0)
#: Bets against a harmful one: it fails this part of the tolerated rate.
CLEARING_BETS: Final = (0.85, 0.7, 0.5, 0.3, 0.1, 0.001)
#: Half of the wealth starts in cash, which neither wins nor loses; the rest is spread over the bets.
STAKES: Final = (0.5, *(0.5 / len(BETS) for _ in BETS))
#: After each minute this part of the wealth is spread anew (fixed share; Herbster and Warmuth, Machine Learning 1998):
#: harm that begins late is found, and no outage ruins a bet for good.
SHARE: Final = 0.02
#: One minute multiplies the wealth by at most this: a blip of one minute convicts nobody,
LOG_CAP: Final = math.log(30)
#: unless it is a catastrophe: of at least so many requests this share fails, and hardly any of the stable version's.
CATASTROPHE_REQUESTS, CATASTROPHE_RATE, CATASTROPHE_STABLE_RATE = 20, 0.5, 0.1
#: Fewer bad requests than this convict nobody.
FEWEST_BAD: Final = 3
#: A shared burst: the stable version itself fails this often, this many times its usual rate, and so much above it.
BURST_BAD, BURST_RATIO, BURST_INCREASE = 5, 5.0, 0.02
#: More throttled requests than this share are a burst too: they count for the alias alone, so for neither version.
BURST_THROTTLED: Final = 0.01
#: As many calm minutes of the stable version make its rate known where no history does; until then, so much is a burst.
BURST_KNOWN_MINUTES, BURST_UNKNOWN_RATE = 3, 0.1
#: What lasts longer than so many minutes is no burst but how things are; one blocks every acquittal for so many.
BURST_LONGEST, BURST_RECENT = 15, 3
#: Dispersion is estimated over as many minutes, starts as if so many had been ordinary, and is bounded.
DISPERSION_MINUTES, DISPERSION_PRIOR, DISPERSION_MAX = 60, 3.0, 5.0
#: A candidate is quiet while the second wealth is below this, and acquitted only while it is quiet.
QUIET_LOG_WEALTH: Final = math.log(2)
#: Harm is suspected at this level of the first key, of a candidate that is not quiet and has failed often enough.
SUSPICION: Final = 0.02
#: At this one it is a sign of harm, which is enough not to promote a candidate that nothing has proven.
HINT: Final = 0.1
#: An acquittal that is wrong has at most this probability.
CLEARANCE: Final = 0.05
#: The last minutes are told beside the whole, which would drown them in a long rollout.
RECENT_MINUTES: Final = 5
#: How many settled minutes with requests of the candidate an acquittal needs; an early one, of the step alone.
FEWEST_MINUTES: Final = 5
#: A candidate is proven harmless where it exceeds the tolerated ratio by less than this share of its requests.
PROVEN_INCREASE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A candidate may fail `max_ratio` times the stable version's rate plus `max_increase` (a share: 0.001 is 0.1
    percentage points).
    """

    max_ratio: float
    max_increase: float


NO_WORSE: Final = Tolerance(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Judge:
    """What is judged, and how often the judge may be wrong; a metric is None where it is not judged."""

    errors: Tolerance | None = Tolerance(1.2, 0.001)
    slow: Tolerance | None = Tolerance(1.25, 0.002)
    false_rollback: float = 0.01
    tolerated_rollback: float = 0.10

    def tolerances(self) -> dict[MetricName, Tolerance]:
        """The metrics that are judged."""
        both: dict[MetricName, Tolerance | None] = {"errors": self.errors, "slow": self.slow}
        return {name: tolerance for name, tolerance in both.items() if tolerance is not None}


@dataclass(frozen=True, slots=True)
class Tally:
    """One metric in one minute: requests of both versions, and how many of them were bad.

    `known_rate` is for a stable version that is not counted but known: infinitely many requests, of which that share
    is bad.
    """

    stable: float
    candidate: int
    stable_bad: int
    candidate_bad: int
    known_rate: float = 0.0

    @classmethod
    def against(cls, tally: Tally, known_rate: float) -> Tally:
        """The candidate's part of a tally, against a known rate."""
        return cls(math.inf, tally.candidate, 0, tally.candidate_bad, known_rate)

    @property
    def is_catastrophe(self) -> bool:
        """Whether most of the candidate's requests are bad, and hardly any of the stable version's."""
        return (
            self.candidate >= CATASTROPHE_REQUESTS
            and self.candidate_bad >= CATASTROPHE_RATE * self.candidate
            and self.stable_bad <= CATASTROPHE_STABLE_RATE * self.stable
        )


NOTHING: Final = Tally(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One metric's minute as the judge reads it.

    `tally` is None where a count is missing although there was traffic: it speaks for and against nobody. `comparable`
    is False while the candidate warms up, and where one version only replaced the other. `throttled`: requests were
    turned away, of whichever version. `in_step`: it began at the present weight. `settled`: it is old enough to acquit
    on.
    """

    tally: Tally | None
    comparable: bool = True
    throttled: bool = False
    in_step: bool = True
    settled: bool = True

    @property
    def evidence(self) -> Tally | None:
        """The tally where it counts as evidence."""
        return self.tally if self.comparable else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one metric says. Wealths are natural logarithms, and hold the metric's share of the error budgets already.

    The counts are of the minutes that both versions were compared in, `recent` (bad and all of the candidate's, and of
    the stable version's) of the last five of them. `worse_peak` and `intolerable_peak` are the most
    that either key ever reached: exp(-peak) is a p-value that holds at any poll. `excess_at_most` bounds what the
    candidate fails beyond the tolerated ratio, as a share of its requests, with 95 % confidence.
    """

    metric: MetricName
    tolerance: Tolerance
    minutes: int
    stable: int
    candidate: int
    stable_bad: int
    candidate_bad: int
    recent: tuple[int, ...]
    worse: float
    intolerable: float
    worse_peak: float
    intolerable_peak: float
    worse_needed: float
    intolerable_needed: float
    convicted_at: int | None
    suspected: bool
    hinted: bool
    quiet: bool
    burst: bool
    gaps: int
    settled_minutes: int
    step_cleared: bool
    excess_at_most: float

    @property
    def p_worse(self) -> float:
        """How improbable this evidence is for a candidate no worse than the stable version; holds at any poll."""
        return min(1.0, math.exp(-self.worse_peak))

    @property
    def p_intolerable(self) -> float:
        """The same for a candidate within the tolerance."""
        return min(1.0, math.exp(-self.intolerable_peak))

    @property
    def proven(self) -> bool:
        """Whether harm worth mentioning is ruled out, and nothing hints at any."""
        calm = self.quiet and not self.burst and self.settled_minutes >= FEWEST_MINUTES
        return calm and self.excess_at_most <= PROVEN_INCREASE


@dataclass(frozen=True, slots=True)
class Guard:
    """The last step against the rate known before. Wealths as in `Evidence`; a trip asks for a comparison."""

    metric: MetricName
    candidate: int
    candidate_bad: int
    settled_minutes: int
    expected_at_most: float
    wealth: float
    peak: float
    needed: float

    @property
    def tripped(self) -> bool:
        """Whether a comparison is called for. What was seen once stays seen."""
        return self.candidate_bad >= FEWEST_BAD and self.peak >= self.needed

    @property
    def quiet(self) -> bool:
        """Whether it has seen the last weight at all, and nothing hints at harm."""
        return self.settled_minutes > 0 and not self.hinted

    @property
    def hinted(self) -> bool:
        """Whether the last weight looks worse than before, though not clearly."""
        return self.wealth >= QUIET_LOG_WEALTH

    def __str__(self) -> str:
        does = "fails" if self.metric == "errors" else "is slow in"
        percent = 100 * self.candidate_bad / max(self.candidate, 1)
        rate = f"{does} {percent:.3g} % of its {self.candidate:,} requests at the last weight"
        return f"candidate {rate}, and at most {100 * self.expected_at_most:.2g} % were to be expected"


def log_e_value(tally: Tally, tolerance: Tolerance, bet: float) -> float:
    """The logarithm of one minute's e-value of one bet: "the candidate fails `bet` times the tolerated rate".

    With rho and delta of the tolerance, theta = rho n_c / (rho n_c + n_b) is the candidate's share of the bad requests
    at the edge of the tolerance, D = 1 + theta (R - 1), and

        ln e = x_c ln R - (x_c + x_b) ln D - delta n_c (R/D - 1).

    E[e] <= 1 for every rate of the stable version and every rate of the candidate up to rho p_b + delta, since
    (1 + p (a - 1))^n <= exp(n p (a - 1)). With R < 1 the same is true of the opposite: p_c >= rho p_b + delta. For
    delta = 0 this is the likelihood ratio of the conditional binomial test, for n_b → ∞ Wald's sequential test for
    Poisson counts (MaxSPRT in Kulldorff et al., Sequential Analysis 2011): there x_b ln D becomes rho p_b n_c (R - 1).
    """
    weighed = tolerance.max_ratio * tally.candidate
    both = weighed + tally.stable
    theta = weighed / both if both else 0.0
    log_d = math.log1p(theta * (bet - 1))
    beyond = tolerance.max_increase + tolerance.max_ratio * tally.known_rate
    expected = beyond * tally.candidate * (bet - 1) * (1 - theta) * math.exp(-log_d)
    return tally.candidate_bad * math.log(bet) - (tally.candidate_bad + tally.stable_bad) * log_d - expected


def log_wealth(
    rows: Sequence[Tally | None],
    tolerance: Tolerance,
    dispersions: Iterable[float],
    bursts: Iterable[bool],
    settled: Iterable[bool] | None = None,
) -> list[float]:
    """The logarithm of the wealth after each minute; None is a minute without a bet.

    A catastrophe lifts the cap, and outweighs a burst, once its minute has settled: a version's failures may be there
    before its successes.

    Dividing ln e by a dispersion of at least 1 that is known before the minute keeps it an e-value (Jensen), and a
    minute that is a shared burst may only cost.
    """
    path: list[float] = []
    total, stakes = 0.0, list(STAKES)
    old_enough = [True] * len(rows) if settled is None else settled
    for tally, dispersion, burst, final in zip(rows, dispersions, bursts, old_enough, strict=True):
        if tally is not None:
            gains = [0.0, *(log_e_value(tally, tolerance, bet) / dispersion for bet in BETS)]
            worth = [math.log(stake) + gain for stake, gain in zip(stakes, gains, strict=True)]
            gain = _log_sum(worth)
            stakes = [
                (1 - SHARE) * math.exp(one - gain) + SHARE * start for one, start in zip(worth, STAKES, strict=True)
            ]
            if not (final and tally.is_catastrophe):
                gain = min(gain, 0.0 if burst else LOG_CAP)
            total += gain
        path.append(total)
    return path


def dispersions(rows: Sequence[Tally | None]) -> list[float]:
    """For each minute, how much more than coin flips the split of bad requests varied before it: 1 is coin flips.

    Retries, clients that hammer and failures tied to one environment come in clumps. One Mantel-Haenszel ratio over the
    earlier minutes says what split to expect; chi-squared over its degrees of freedom says how far they were from it.
    """
    found: list[float] = []
    past: deque[Tally | None] = deque(maxlen=DISPERSION_MINUTES)
    for tally in rows:
        found.append(_dispersion([one for one in past if one is not None and one.stable and one.candidate]))
        past.append(tally)
    return found


def _dispersion(past: Sequence[Tally]) -> float:
    ratio = (sum(one.candidate_bad * one.stable / (one.stable + one.candidate) for one in past) + 0.5) / (
        sum(one.stable_bad * one.candidate / (one.stable + one.candidate) for one in past) + 0.5
    )
    chi_squared, minutes = 0.0, 0
    for one in past:
        bad = one.candidate_bad + one.stable_bad
        share = ratio * one.candidate / (ratio * one.candidate + one.stable)
        variance = bad * share * (1 - share)
        if variance >= 1:
            chi_squared += (one.candidate_bad - bad * share) ** 2 / variance
            minutes += 1
    estimate = (DISPERSION_PRIOR + chi_squared) / (DISPERSION_PRIOR + max(minutes - 1, 0))
    return min(max(estimate, 1.0), DISPERSION_MAX)


def shared_bursts(rows: Sequence[Row], history: Rate | None) -> list[bool]:
    """Which minutes are shared bursts: the stable version itself fails far more than usual, or requests are throttled.

    Usual is its rate before the rollout where there is a history, or else over the earlier calm minutes. Flagging more
    minutes than needed is always valid: a flagged minute may only cost (see `log_wealth`). What lasts longer than any
    burst is how things are now: the judge must not stay mute.
    """
    found: list[bool] = []
    usual, calm, lasted = history or Rate(0, 0), BURST_KNOWN_MINUTES if history else 0, 0
    for row in rows:
        tally = row.tally or NOTHING
        minute = Rate(tally.stable_bad, tally.stable)
        usual_at_most = max(BURST_RATIO * usual.share, usual.share + BURST_INCREASE)
        limit = usual_at_most if calm >= BURST_KNOWN_MINUTES else BURST_UNKNOWN_RATE
        if row.throttled or (minute.bad >= BURST_BAD and minute.share >= limit):
            lasted += 1
        else:
            lasted = 0
            if not history:
                usual, calm = Rate(usual.bad + minute.bad, usual.requests + minute.requests), calm + (tally.stable > 0)
        found.append(0 < lasted <= BURST_LONGEST)
    return found


def examine(
    name: MetricName, rows: Sequence[Row], judge: Judge, history: Rate | None = None, last: Sequence[Tally] = ()
) -> Evidence:
    """What one metric says of the candidate, from every minute of the rollout.

    Args:
        name: the metric.
        rows: every minute so far, oldest first. A minute may come back corrected at the next poll: nothing is kept
            from one poll to the next, and a poll that was missed loses nothing.
        judge: tolerances and error budgets.
        history: the stable version's rate before the rollout.
        last: the settled minutes at weight 100, each against the stable version's rate; they bound the
            excess, and convict nobody.
    """
    tolerance = judge.tolerances()[name]
    share = math.log(1 / len(judge.tolerances()))
    bets = [row.evidence for row in rows]
    bursts, spread = shared_bursts(rows, history), dispersions(bets)
    old_enough = [row.settled for row in rows]
    worse = [share + one for one in log_wealth(bets, NO_WORSE, spread, bursts, old_enough)]
    intolerable = [share + one for one in log_wealth(bets, tolerance, spread, bursts, old_enough)]
    needed = (-math.log(judge.false_rollback), -math.log(judge.tolerated_rollback))
    bad = sum(row.tally.candidate_bad for row in rows if row.tally)
    latest = (worse[-1], intolerable[-1] - share) if rows else (0.0, 0.0)
    quiet, burst = latest[1] < QUIET_LOG_WEALTH, any(bursts[-BURST_RECENT:])
    step = [row.evidence for row in rows if row.in_step and row.settled]
    settled = [row.evidence for row in rows if row.settled]
    compared = [tally for tally in bets if tally and tally.stable and tally.candidate]
    return Evidence(
        metric=name,
        tolerance=tolerance,
        minutes=len(compared),
        stable=round(sum(tally.stable for tally in compared)),
        candidate=sum(tally.candidate for tally in compared),
        stable_bad=sum(tally.stable_bad for tally in compared),
        candidate_bad=sum(tally.candidate_bad for tally in compared),
        recent=_recent(compared),
        worse=latest[0],
        intolerable=latest[1] + share,
        worse_peak=max(worse, default=0.0),
        intolerable_peak=max(intolerable, default=0.0),
        worse_needed=needed[0],
        intolerable_needed=needed[1],
        convicted_at=_convicted_at(rows, worse, intolerable, needed),
        suspected=bad >= FEWEST_BAD and latest[0] >= -math.log(SUSPICION) and not quiet,
        hinted=bad >= FEWEST_BAD and latest[0] >= -math.log(HINT) and not quiet,
        quiet=quiet,
        burst=burst,
        gaps=sum(row.tally is None for row in rows),
        settled_minutes=_served(settled),
        step_cleared=quiet
        and not burst
        and _served(step) >= FEWEST_MINUTES
        and excess_bound(step, tolerance.max_ratio) <= tolerance.max_increase,
        excess_at_most=excess_bound([*settled, *last], tolerance.max_ratio),
    )


def _recent(compared: Sequence[Tally]) -> tuple[int, ...]:
    last = [(one.candidate_bad, one.candidate, one.stable_bad, round(one.stable)) for one in compared[-RECENT_MINUTES:]]
    return tuple(sum(column) for column in zip(*last, strict=True))


def _convicted_at(
    rows: Sequence[Row], worse: Sequence[float], intolerable: Sequence[float], needed: tuple[float, float]
) -> int | None:
    """The first minute in which both keys turn. What was proven once stays proven."""
    bad = 0
    for number, (row, first, second) in enumerate(zip(rows, worse, intolerable, strict=True)):
        bad += row.tally.candidate_bad if row.tally else 0
        if bad >= FEWEST_BAD and first >= needed[0] and second >= needed[1]:
            return number
    return None


def _served(rows: Sequence[Tally | None]) -> int:
    return sum(bool(row and row.candidate) for row in rows)


def excess_bound(rows: Sequence[Tally | None], max_ratio: float, confidence: float = 1 - CLEARANCE) -> float:
    """The smallest delta for which "p_c >= max_ratio * p_b + delta" is refuted: a share of the candidate's requests.

    It holds at any poll. Without any bad request it is some 4.05 / n: the rule of three's 3 / n (Hanley and
    Lippman-Hand, JAMA 1983), and the price of betting on six ratios at once.
    """
    clearing, needed = _clearing(rows, max_ratio), -math.log(1 - confidence)
    if clearing.wealth(1.0) < needed:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if clearing.wealth(middle) >= needed else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class _Clearing:
    """Each clearing bet's ln e over some minutes, as gain + delta * slope: it is linear in delta."""

    gains: tuple[float, ...]
    slopes: tuple[float, ...]

    def wealth(self, delta: float) -> float:
        """The logarithm of the wealth of a plain mixture against "the excess is delta or more"."""
        return _log_sum([gain + delta * slope for gain, slope in zip(self.gains, self.slopes, strict=True)]) - math.log(
            len(self.gains)
        )


def _clearing(rows: Sequence[Tally | None], max_ratio: float) -> _Clearing:
    gains, slopes = [], []
    for bet in CLEARING_BETS:
        at_none = [log_e_value(row, Tolerance(max_ratio, 0.0), bet) for row in rows if row]
        at_one = [log_e_value(row, Tolerance(max_ratio, 1.0), bet) for row in rows if row]
        gains.append(math.fsum(at_none))
        slopes.append(math.fsum(at_one) - math.fsum(at_none))
    return _Clearing(tuple(gains), tuple(slopes))


def watch(name: MetricName, rows: Sequence[Row], judge: Judge, usual: Rate) -> Guard:
    """The minutes at weight 100 against the rate that the stable version had before.

    Such a comparison over time takes a shared outage for the candidate's fault. So it does not convict: where it
    trips, the rollout steps back to a weight at which both versions serve, and they are compared.
    """
    tolerance, share = judge.tolerances()[name], math.log(1 / len(judge.tolerances()))
    bets = [Tally.against(row.evidence, usual.at_most) if row.evidence else None for row in rows]
    path = log_wealth(bets, tolerance, [1.0] * len(rows), [False] * len(rows))
    return Guard(
        metric=name,
        candidate=sum(bet.candidate for bet in bets if bet),
        candidate_bad=sum(bet.candidate_bad for bet in bets if bet),
        settled_minutes=_served([row.evidence for row in rows if row.settled]),
        expected_at_most=tolerance.max_ratio * usual.at_most + tolerance.max_increase,
        wealth=share + (path[-1] if path else 0.0),
        peak=share + max(path, default=0.0),
        # A trip costs some minutes and convicts nobody, so the milder budget is its own.
        needed=-math.log(judge.tolerated_rollback),
    )


def _log_sum(logs: Sequence[float]) -> float:
    """ln Σ exp(log), without overflow."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(one - highest) for one in logs))
