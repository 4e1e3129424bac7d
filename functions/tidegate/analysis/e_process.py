"""The bets: what one minute of both versions pays against a claim, and the wealth over many of them.

The judge (`judge`) says what is betted on and what a wealth means; here is the mathematics, with its sources.

**What keeps a wealth honest.** Whoever betted against a claim that is true could not expect to gain: given all earlier
minutes and the requests of this one, a minute multiplies the wealth by at most 1 in expectation. Every factor that the
wealth is multiplied by is of one of two kinds (tests/unit/analysis/test_guarantee.py enumerates each):

- *A fair pay-out or less.* The pay-out of a minute is a mixture of e-values (`log_e_value`) with stakes that earlier
  minutes have set. Whatever is taken from it may be taken by any rule, also by this minute's own failures, for it only
  lowers: what is beyond the cap, all of it in a shared burst. To lift the cap is no gain beyond the fair pay-out, only
  less taken from it: so a catastrophe may be told by this minute's failures, too.
- *Another e-value, chosen before.* Dividing ln e by a dispersion of 1 or more gives one (Jensen: E[e^(1/phi)] is at
  most E[e]^(1/phi)), if phi rests on earlier minutes, on what was known before the rollout, or on how many requests
  there are, and on none of this minute's failures. A higher edge is a weaker claim, so its e-values are e-values
  against the stronger one: that is what a minute of warm-up bets with, and when a version warms up the clock tells. A
  minute without a bet pays 1: that a count is missing has nothing to do with what it would have been.

Sums of wealths with shares that were set before are wealths (`row.wealth`): the account for warm-ups and the other one,
and the parts of the error budget that metrics have.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise, repeat
from typing import Final, NamedTuple

from tidegate.frozen import frozen

#: Bets against a harmless candidate: it fails so many times the tolerated rate. A mixture finds the best of them, and
#: pays ln 16 for not knowing it. Each lies within some two times its neighbour, near 1 closer, where more requests tell
#: them apart; the last one is for a stable version that never fails.
BETS: Final = (1.25, 1.6, 2.2, 3.5, 6.0, 12.0, 40.0, 1000.0)
#: Bets against a harmful one: it fails this part of the tolerated rate. The last one is for one that never fails, and
#: costs ln 6 beside the rule of three.
CLEARING_BETS: Final = (0.85, 0.7, 0.5, 0.3, 0.1, 0.001)
#: Half of the wealth starts in cash, which neither wins nor loses: so minutes without harm cost half of it in all, and
#: a hundredth each by what is spread anew. The rest is spread over the bets, of which none is likelier than another.
STAKES: Final = (0.5, *(0.5 / len(BETS) for _ in BETS))
#: After each minute this part of the wealth is spread anew (fixed share; Herbster and Warmuth, Machine Learning 1998):
#: harm that begins late is found, and no outage ruins a bet for good. As if things changed once in fifty minutes: what
#: begins late costs ln 50 to find, and what was there from the start a third of its wealth in 24 minutes.
SHARE: Final = 0.02
_SPREAD: Final = tuple(SHARE * stake for stake in STAKES)
#: One minute multiplies the wealth by at most this: a blip of one minute convicts nobody, since the first key needs 100
#: and the share of the budget. With 210, 13 % of drawn blips of a minute at 20 % were rolled back, without a cap 74 %,
LOG_CAP: Final = math.log(30)
#: unless it is a catastrophe: of at least so many requests this share fails, and hardly any of the stable version's.
#: Most of twenty is no blip of a few, and what costs most to wait for.
CATASTROPHE_REQUESTS, CATASTROPHE_RATE, CATASTROPHE_STABLE_RATE = 20, 0.5, 0.1
#: Dispersion is estimated over as many minutes (for about an hour traffic stays alike), starts as if so many had been
#: ordinary (one or two minutes say little), and is bounded: a candidate's harm looks like dispersion, too.
DISPERSION_MINUTES, DISPERSION_PRIOR, DISPERSION_MAX = 60, 3.0, 5.0
#: What was known before the rollout weighs as much as so many minutes of it. In a prototype 17 of 100 identical
#: versions were still rolled back with 3, at 60,000 requests a minute and a correlation of 0.01, and 6 with 8, where
#: twice the rate hurt a tenth more.
DISPERSION_KNOWN: Final = 5.0
#: Fewer minutes say nothing of correlation (a twentieth is left out, which is one of them), and so many standard errors
#: are clearly more than nothing: as in a test at 2.5 %.
FEWEST_CORRELATED, CLEARLY = 20, 2.0
#: Fewer bad requests in a minute say nothing of dispersion: their split has a variance below one, whatever it is.
FEWEST_SPLIT: Final = 4
#: So many minutes' bets are kept by a process: some metrics, with two tolerances each, of more than most rollouts have.
_KEPT_MINUTES: Final = 32_768
#: An acquittal that is wrong has at most this probability: the usual 5 %, since harm that it misses may yet convict.
CLEARANCE: Final = 0.05


@frozen
class Tolerance:
    """A candidate may fail `max_ratio` times the stable version's rate plus `max_increase` (a share: 0.001 is 0.1
    percentage points).
    """

    max_ratio: float
    max_increase: float


NO_WORSE: Final = Tolerance(1.0, 0.0)


class Tally(NamedTuple):
    """One metric in one minute: requests of both versions, and how many of them were bad.

    `known_rate` is for a stable version that is not counted but known: infinitely many requests, of which that share
    is bad. A tuple, since every poll looks up the bets of each minute by it.
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


@lru_cache(maxsize=_KEPT_MINUTES)
def _against_harmless(
    tally: Tally, max_ratio: float, max_increase: float, dispersion: float
) -> tuple[float, tuple[float, ...]]:
    """What a minute pays on cash and on each bet, as parts of the most that any pays, and the logarithm of that.

    A poll reads every minute anew, and hardly any of them has changed.
    """
    tolerance = Tolerance(max_ratio, max_increase)
    gains = [0.0, *(log_e_value(tally, tolerance, bet) / dispersion for bet in BETS)]
    most = max(gains)
    return most, tuple(math.exp(gain - most) for gain in gains)


@lru_cache(maxsize=_KEPT_MINUTES)
def _against_harmful(tally: Tally, max_ratio: float, max_increase: float) -> tuple[float, ...]:
    """The logarithm of what a minute pays on each clearing bet."""
    tolerance = Tolerance(max_ratio, max_increase)
    return tuple(log_e_value(tally, tolerance, bet) for bet in CLEARING_BETS)


class Wealth(NamedTuple):
    """The logarithm of a wealth; `uncapped` is what it would be without the cap on minutes that are `fresh`."""

    log: float
    uncapped: float


def log_wealth(
    rows: Sequence[Tally | None], tolerance: Tolerance, dispersions: Iterable[float], bursts: Iterable[bool]
) -> list[float]:
    """The logarithm of the wealth after each minute, of which all of them are whole."""
    return [wealth.log for wealth in wealth_path(rows, tolerance, dispersions, bursts)]


def wealth_path(
    rows: Sequence[Tally | None],
    tolerance: Tolerance,
    dispersions: Iterable[float],
    bursts: Iterable[bool],
    whole: Iterable[bool] | None = None,
    allowances: Iterable[float] | None = None,
    fresh: Iterable[bool] | None = None,
) -> list[Wealth]:
    """The wealth after each minute; None is a minute without a bet.

    A catastrophe lifts the cap, and outweighs a burst, once its minute is `whole`: a version's failures may be there
    before its successes. That is a matter of sense, not of fairness: what it lets pass is the fair pay-out.
    `allowances` are what the candidate may fail beyond the tolerance in each minute, as a share, set before it.
    `dispersions` are 1 or more, and rest on no failure of their own minute. A minute that is a shared burst may only
    cost. `uncapped` is fair as well: it takes less from the same pay-outs.
    """
    path: list[Wealth] = []
    total, withheld, stakes = 0.0, 0.0, list(STAKES)
    every, new = (repeat(True) if given is None else given for given in (whole, fresh))
    edges = repeat(0.0) if allowances is None else allowances
    minutes = zip(rows, dispersions, bursts, every, edges, new, strict=False)
    for tally, dispersion, burst, final, more, lifted in minutes:
        if tally is not None:
            most, pays = _against_harmless(tally, tolerance.max_ratio, tolerance.max_increase + more, dispersion)
            worth = [stake * pay for stake, pay in zip(stakes, pays, strict=True)]
            together = math.fsum(worth)
            kept = (1 - SHARE) / together
            stakes = [kept * one + spread for one, spread in zip(worth, _SPREAD, strict=True)]
            gain = most + math.log(together)
            believed = gain if final and tally.is_catastrophe else min(gain, 0.0 if burst else LOG_CAP)
            total += believed
            withheld += gain - believed if lifted and not burst else 0.0
        path.append(Wealth(total, total + withheld))
    return path


def dispersions(rows: Sequence[Tally | None], known: float = 0.0) -> list[float]:
    """For each minute, how much more than coin flips the split of bad requests varied before it: 1 is coin flips.

    Retries, clients that hammer and failures tied to one environment come in clumps. One Mantel-Haenszel ratio over the
    earlier minutes says what split to expect; chi-squared over its degrees of freedom says how far they were from it.
    `known` is what was learnt before the rollout: the correlation of two requests of one minute (`correlation`). It
    stands for some minutes that were as it says, and no bound holds for it: it is no guess from a candidate's harm.

    A minute's own counts of requests are used, and its failures are not. What was left out of the hour before may well
    have been chosen by its outcome: all of it was known before the first bet.
    """
    found: list[float] = []
    past: deque[Tally | None] = deque(maxlen=DISPERSION_MINUTES)
    numerator, denominator = 0.5, 0.5
    for tally in rows:
        before = max(1.0, _spread_by(known, tally)) if known and tally else 1.0
        found.append(_dispersion(past, numerator / denominator, before))
        for one, sign in ((tally, 1), (past[0] if len(past) == DISPERSION_MINUTES else None, -1)):
            if one and (both := one.stable + one.candidate):
                numerator += sign * one.candidate_bad * one.stable / both
                denominator += sign * one.stable_bad * one.candidate / both
        past.append(tally)
    return found


def _spread_by(known: float, tally: Tally) -> float:
    """How much more than coin flips the versions' rates differ in a minute whose requests are so correlated.

    Of beta-binomial counts a rate's variance is p (1 - p) (1 + (n - 1) rho) / n, so that of the difference of two is
    wider by 1 + 2 rho / (1 / n_c + 1 / n_b), but for a request.
    """
    both = tally.stable + tally.candidate
    return 1 + 2 * known * tally.stable * tally.candidate / both if both else 1.0


def correlation(minutes: Iterable[tuple[float, float]]) -> float:
    """How alike the requests of one minute are, from a version's own minutes of (requests, bad): 0 is coin flips.

    With d the difference of the rates of neighbouring minutes and e = p (1 - p) (1 / n1 + 1 / n2) what coin flips make
    of d squared, rho is the mean of (d^2 - e) / (2 p (1 - p)); neighbours, since a rate that drifts is no clump. The
    largest twentieth are left out: an outage that begins is one. 0 where it is not clearly more than nothing: chance
    makes as much of it in half of all hours.
    """
    served = [(requests, bad) for requests, bad in minutes if requests > 0]
    together = sum(requests for requests, _ in served)
    rate = sum(bad for _, bad in served) / together if together else 0.0
    chance = rate * (1 - rate)
    if not chance or len(served) <= FEWEST_CORRELATED:
        return 0.0
    excesses = sorted(
        ((bad / requests - next_bad / next_requests) ** 2 - chance * (1 / requests + 1 / next_requests)) / (2 * chance)
        for (requests, bad), (next_requests, next_bad) in pairwise(served)
    )
    kept = excesses[: math.ceil(len(excesses) * 0.95)]
    mean = sum(kept) / len(kept)
    error = math.sqrt(sum((one - mean) ** 2 for one in kept) / len(kept) / len(kept))
    return mean if mean > CLEARLY * error else 0.0


def _dispersion(past: Iterable[Tally | None], ratio: float, before: float) -> float:
    chi_squared, minutes = 0.0, 0
    for one in past:
        # A split of fewer has a variance below one, whatever its share.
        if one is None or (bad := one.candidate_bad + one.stable_bad) < FEWEST_SPLIT or not one.stable:
            continue
        share = ratio * one.candidate / (ratio * one.candidate + one.stable)
        variance = bad * share * (1 - share)
        if variance >= 1:
            chi_squared += (one.candidate_bad - bad * share) ** 2 / variance
            minutes += 1
    seen = (DISPERSION_PRIOR + chi_squared) / (DISPERSION_PRIOR + max(minutes - 1, 0))
    if before > 1:
        known = (DISPERSION_KNOWN * before + chi_squared) / (DISPERSION_KNOWN + max(minutes - 1, 0))
        return max(min(max(seen, 1.0), DISPERSION_MAX), known)
    return min(max(seen, 1.0), DISPERSION_MAX)


def excess_bound(rows: Sequence[Tally | None], max_ratio: float, confidence: float = 1 - CLEARANCE) -> float:
    """The smallest delta for which "p_c >= max_ratio * p_b + delta" is refuted: a share of the candidate's requests.

    It holds at any poll, of an excess that there is in every minute. Without any bad request it is some 4.05 / n: the
    rule of three's 3 / n (Hanley and Lippman-Hand, JAMA 1983), and the price of betting on six ratios at once.

    It takes failures for coin flips. Where they come in clumps of three it was wrong in 13 of 100 drawn rollouts of 720
    requests of the candidate, and in 6 of 100 of ten times as many, not in 5. Dividing by the dispersion mends little:
    what acquits is failures that are missing. A wrong acquittal ends nothing: the judge goes on, up to the promotion.
    """
    clearing, needed = _clearing(rows, max_ratio), -math.log(1 - confidence)
    if clearing.wealth(1.0) < needed:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if clearing.wealth(middle) >= needed else (middle, high)
    return high


@frozen
class _Clearing:
    """Each clearing bet's ln e over some minutes, as gain + delta * slope: it is linear in delta."""

    gains: tuple[float, ...]
    slopes: tuple[float, ...]

    def wealth(self, delta: float) -> float:
        """The logarithm of the wealth of a plain mixture against "the excess is delta or more"."""
        return log_sum([gain + delta * slope for gain, slope in zip(self.gains, self.slopes, strict=True)]) - math.log(
            len(self.gains)
        )


def _clearing(rows: Sequence[Tally | None], max_ratio: float) -> _Clearing:
    at_none = _summed(rows, Tolerance(max_ratio, 0.0))
    at_one = _summed(rows, Tolerance(max_ratio, 1.0))
    return _Clearing(at_none, tuple(one - none for none, one in zip(at_none, at_one, strict=True)))


def _summed(rows: Sequence[Tally | None], tolerance: Tolerance) -> tuple[float, ...]:
    each = [_against_harmful(row, tolerance.max_ratio, tolerance.max_increase) for row in rows if row]
    return tuple(map(math.fsum, zip(*each, strict=True))) if each else (0.0,) * len(CLEARING_BETS)


def log_sum(logs: Sequence[float]) -> float:
    """ln Σ exp(log), without overflow."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(one - highest) for one in logs))
