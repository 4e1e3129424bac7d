"""Metrics of the user's own: what the requests of each version leave in them, minute by minute.

They are kept as Powertools keeps them where a handler adds a value for each request: one sample a request that ended,
so Sum counts what counts and SampleCount the requests. What hangs is ended by Lambda before it could add anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Final

from sandbox.arrivals import Arrivals
from sandbox.aws.cloudwatch import MINUTE_SECONDS, CloudWatch, ones_and_zeros
from sandbox.aws.statistics import Samples
from sandbox.behaviour import log_normal, spread_of, successes, turn_of, turns
from sandbox.scenario_metrics import Metric, Shares, Spread

#: A value is one of so many equally likely ones: few, and still a distribution with a p99 of its own.
_VALUES: Final = 1000
_DIGITS: Final = 3
#: From this variance on a binomial number is drawn as a normal one.
_MANY: Final = 50


class CustomMetrics:
    """A scenario's metrics, as CloudWatch keeps them: the rollout's minutes as they end, and a day before them."""

    def __init__(self, cloudwatch: CloudWatch, metrics: Sequence[Metric], seed: int) -> None:
        self._cloudwatch = cloudwatch
        self._metrics = metrics
        self._seed = seed

    def record(self, minute: int, at: float, version: str, *, stable: bool, requests: int, answered: int) -> None:
        """Keep a minute of one version, which begins `at` (epoch seconds): so many requests, all of which have ended,
        and so many of them `answered` with an error.
        """
        for metric in self._metrics if requests else ():
            if not metric.silent_in(minute, stable=stable):
                random = Random(f"{self._seed} minute {minute} of version {version} in {_name(metric)}")
                samples = _samples(metric, random, requests, answered, stable=stable)
                self._cloudwatch.keep(metric.namespace, metric.name, metric.at(version), at, samples)

    def record_day_before(
        self, arrivals: Arrivals, version: str, started_at: float, minutes: range, answered_share: float
    ) -> None:
        """Keep what the stable version's requests left in `minutes` before the rollout, which began at `started_at`
        (epoch seconds); `answered_share` of them were answered with an error.
        """
        for metric in self._metrics:
            if not metric.silent_in(-1, stable=True):
                past = _past(arrivals, minutes, *_of_stable(metric, answered_share), f"{self._seed} {_name(metric)}")
                found = {int(started_at) + minute * MINUTE_SECONDS: samples for minute, samples in past.items()}
                self._cloudwatch.record_all(metric.at(version), {metric.name: found}, metric.namespace)


def _name(metric: Metric) -> str:
    """What tells a metric from all others, and its random numbers from theirs."""
    return f"{metric.namespace} {metric.name} {sorted(metric.dimensions.items())}"


def _samples(metric: Metric, random: Random, requests: int, answered: int, *, stable: bool) -> Samples:
    if metric.values:
        spread = metric.values.stable if stable else metric.values.candidate or metric.values.stable
        return Counter(random.choices(_values(spread.median, spread.p99), k=requests))
    ones = answered if metric.counts == "answered_errors" else requests
    if isinstance(metric.counts, Shares):
        ones = _drawn(random, requests, _share(metric.counts, stable=stable))
    return ones_and_zeros(ones, requests - ones)


def _share(shares: Shares, *, stable: bool) -> float:
    return shares.stable if stable or shares.candidate is None else shares.candidate


@lru_cache(maxsize=64)
def _values(median: float, p99: float) -> list[float]:
    """The equally likely values of a log-normal distribution, to three digits."""
    spread = spread_of(median, p99)
    return [_rounded(log_normal(median, spread, (index + 0.5) / _VALUES)) for index in range(_VALUES)]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _drawn(random: Random, trials: int, share: float) -> int:
    """How many of so many trials succeed, at a cost that does not grow with them."""
    variance = trials * share * (1 - share)
    if variance < _MANY:
        rarer = min(share, 1 - share)
        rare = successes(random, trials, rarer)
        return rare if rarer == share else trials - rare
    return min(max(round(random.gauss(trials * share, math.sqrt(variance))), 0), trials)


# --- The day before ---------------------------------------------------------------------------------------------------


def _of_stable(metric: Metric, answered_share: float) -> tuple[float, Spread | None]:
    """Which share of the stable version's requests counts, or of which values they are."""
    if metric.values:
        return 0.0, metric.values.stable
    if isinstance(metric.counts, Shares):
        return metric.counts.stable, None
    return (1.0 if metric.counts == "requests" else answered_share), None


@lru_cache(maxsize=64)
def _past(arrivals: Arrivals, minutes: range, share: float, spread: Spread | None, name: str) -> Mapping[int, Samples]:
    """What the day before left in a metric, by the minute: the same in every story of a seed, and never changed."""
    return dict(_by_minute(arrivals, minutes, share, spread, Random(f"the day before of {name}")))


def _by_minute(
    arrivals: Arrivals, minutes: range, share: float, spread: Spread | None, random: Random
) -> Iterator[tuple[int, Samples]]:
    for minute in minutes:
        requests = arrivals.in_minute(minute)
        if requests and spread:
            yield minute, _usual(spread, requests, turn_of(arrivals.before(minute), requests))
        elif requests:
            ones = _drawn(random, requests, share)
            yield minute, ones_and_zeros(ones, requests - ones)


@lru_cache(maxsize=256)
def _usual(spread: Spread, requests: int, turn: int) -> Samples:
    """The values of so many requests, spread evenly over their distribution, as usual durations are."""
    offset, width = (turn + 0.5) / turns(requests), spread_of(spread.median, spread.p99)
    usual = (log_normal(spread.median, width, (index + offset) / requests) for index in range(requests))
    return Counter(_rounded(value) for value in usual)
