"""How a version serves: which of its requests fail, hang or answer an error, and how long they take."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from statistics import NormalDist
from typing import Final, Self

from sandbox.aws.statistics import Samples
from sandbox.scenario_traffic import Version

_SHOW_P99: Final = 600
"""As many requests, evenly spread over a distribution, show its p99."""

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_NORMAL: Final = NormalDist()
_Z99: Final = _NORMAL.inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a version serves in one minute: the shares of its requests that fail, that are answered with an error which
    is none of Lambda's, and that hang; and how long all others take: log-normal, times `slowness`. What fails takes
    `fails_in_ms`; None: as long as others.
    """

    error_rate: float
    answered_error_rate: float
    hang_share: float
    median_ms: float
    spread: float
    slowness: float
    fails_in_ms: float | None = None

    def serves(self, failing: float, hanging: float, answering: float) -> bool:
        """Whether a request for which this was drawn, each 0 to 1, is served."""
        return failing >= self.error_rate and hanging >= self.hang_share and answering >= self.answered_error_rate

    def duration_ms(self, quantile: float) -> float:
        """The duration at a quantile between 0 and 1, both exclusive."""
        return log_normal(self.median_ms, self.spread, quantile) * self.slowness


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a version serves: which share of requests fails, and how many times as long they take (both by minute of the
    rollout where given, the last value holding on), log-normal durations, how much longer its first requests take,
    which share is answered with an error, and which hangs for how many seconds until Lambda ends it; how long what
    fails takes, if not as long as others.
    """

    error_rate: float = 0.001
    median_ms: float = 80.0
    p99_ms: float = 400.0
    error_rate_by_minute: tuple[float, ...] = ()
    cold_start_ms: float = 0.0
    cold_starts: int = 0
    answered_error_rate: float = 0.0
    slow_by_minute: tuple[float, ...] = ()
    hang_share: float = 0.0
    hang_seconds: float = 0.0
    fails_in_ms: float | None = None

    @classmethod
    def of(cls, version: Version) -> Self:
        """A version of a scenario, whose defaults are filled in, as the callers meet it."""
        given = {
            "error_rate": version.error_rate,
            "median_ms": version.duration_ms and version.duration_ms.median,
            "p99_ms": version.duration_ms and version.duration_ms.p99,
            "error_rate_by_minute": version.error_rate_by_minute,
            "cold_start_ms": version.cold_start_ms,
            "cold_starts": version.cold_starts,
            "answered_error_rate": version.answered_error_rate,
            "slow_by_minute": version.slow_by_minute,
            "hang_share": version.hang and version.hang.share,
            "hang_seconds": version.hang and version.hang.seconds,
            "fails_in_ms": version.fails_in_ms,
        }
        return cls(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]

    def at(self, minute: int) -> Manner:
        """How it serves in a minute of the rollout; before it, as usual."""
        return Manner(
            self.rate_at(minute),
            self.answered_error_rate,
            self.hang_share,
            self.median_ms,
            spread_of(self.median_ms, self.p99_ms),
            _by_minute(self.slow_by_minute, minute, 1.0),
            self.fails_in_ms,
        )

    def rate_at(self, minute: int) -> float:
        """The error rate in a minute of the rollout; before it, the plain one."""
        return _by_minute(self.error_rate_by_minute, minute, self.error_rate)


def spread_of(median: float, p99: float) -> float:
    """How far a log-normal distribution of these two percentiles spreads."""
    return math.log(p99 / median) / _Z99


def log_normal(median: float, spread: float, quantile: float) -> float:
    """The value at a quantile between 0 and 1, both exclusive."""
    return median * math.exp(spread * _NORMAL.inv_cdf(quantile))


def _by_minute(values: tuple[float, ...], minute: int, usual: float) -> float:
    if not values or minute < 0:
        return usual
    return values[min(minute, len(values) - 1)]


def turn_of(first: int, requests: int) -> int:
    """Whose turn a minute is, by the number of its first request: any few that follow each other are spread out."""
    return int(turns(requests) * (first // requests * _GOLDEN % 1))


def turns(requests: int) -> int:
    """How many minutes of so many requests show a distribution's p99; at most an hour."""
    return max(1, min(60, math.ceil(_SHOW_P99 / requests)))


@lru_cache(maxsize=256)
def usual_ms(behaviour: Behaviour, requests: int, turn: int) -> Samples:
    """What so many usual requests take, spread evenly over the behaviour's distribution.

    A few would never reach its p99, so minutes take turns: each looks at quantiles of its own.
    """
    offset = (turn + 0.5) / turns(requests)
    manner = behaviour.at(-1)
    usual = (manner.duration_ms((index + offset) / requests) for index in range(requests))
    return Counter(whole_ms(duration) for duration in usual)


def successes(random: Random, trials: int, rate: float) -> int:
    """How many of so many trials succeed: a binomial draw that costs as much as it has successes."""
    if rate <= 0 or rate >= 1:
        return trials if rate >= 1 else 0
    successes, trial = 0, 0
    while True:
        trial += 1 + int(math.log(1.0 - random.random()) / math.log1p(-rate))
        if trial > trials:
            return successes
        successes += 1


_LONGEST_MS = 365 * 86_400_000.0


def whole_ms(duration_ms: float) -> int:
    """Lambda's Duration, a whole number of milliseconds here, never none, and a year at most."""
    return max(1, round(min(duration_ms, _LONGEST_MS)))
