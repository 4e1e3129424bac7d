"""What happens in a drawn rollout: the true rates of both versions, and the counts that chance makes of them.

Requests a minute are Poisson with log-noise (AR(1), sd 0.15), the error rate of both versions has a common log-noise
(AR(1), sd 0.3), every request is routed by a coin, and 1 % are slow. numpy draws the counts and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from tidegate.analysis.e_process import correlation
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import quantile_name
from tidegate.routing import ALL_PERCENT

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

MINUTE_SECONDS: Final = 60
QUARTER_SECONDS: Final = 900
DAY_MINUTES: Final = 24 * 60
#: The share of requests that are slower than the p99 of the day before.
SLOW_RATE: Final = 0.01
#: Of those that are not, so many are slower than its p90, and of those that are not even that, than its p50. What slows
#: a request puts it beyond all three.
_ABOVE_P90, _ABOVE_P50 = 0.09 / 0.99, 0.4 / 0.9
#: How much of a minute's noise is left in the next.
NOISE_MEMORY: Final = 0.8
TRAFFIC_NOISE, ERROR_NOISE = 0.15, 0.3
#: What an environment serves in a minute, at a second a request: each new one begins with a slow request.
REQUESTS_PER_ENVIRONMENT: Final = 60
#: For so many minutes a new environment is slower than later, at first by all that it is slower, then less and less.
WARMING_MINUTES: Final = 12
#: The durations of the day before, in milliseconds; the counts are drawn by share, so they may be any.
P50_MS, P90_MS, P99_MS = 50.0, 200.0, 400.0
_HOUR_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Noise:
    """How failures come beside coin flips: in clumps of so many in the mean, and correlated within a minute.

    `stable` is False where only the candidate's do.
    """

    clump: float = 1.0
    correlation: float = 0.0
    stable: bool = True


NO_NOISE: Final = Noise()


@dataclass(frozen=True, slots=True)
class World:
    """One rollout's true rates by minute, as shares.

    `calls`: how often each request is sent. What is to happen does so in the first `course` minutes. `cold`: the first
    request of a new environment is slow; `warming`: so many more of its requests are, fading over `WARMING_MINUTES`.
    """

    stable: Array
    candidate: Array
    slow: Array
    calls: Array
    course: int
    cold: bool = False
    warming: float = 0.0
    noise: Noise = NO_NOISE

    @classmethod
    def of_identical(cls, rng: np.random.Generator, minutes: int, error_rate: float, course: int | None = None) -> Self:
        """Two versions alike."""
        stable = np.minimum(error_rate * np.exp(_noise(rng, minutes, ERROR_NOISE)), 1.0)
        return cls(stable, stable, np.full(minutes, SLOW_RATE), np.ones(minutes), course or minutes)

    @property
    def excess(self) -> Array:
        """The share of the candidate's requests that it hurts."""
        return np.maximum(self.candidate - self.stable, 0.0) + np.maximum(self.slow - SLOW_RATE, 0.0)

    def since(self, minute: int) -> World:
        """The same from that minute on."""
        rates: dict[str, Any] = {name: getattr(self, name)[minute:] for name in _RATES}
        return replace(self, **rates, course=self.course - minute)

    def until(self, minute: int, later: World) -> World:
        """The same up to that minute, and then another."""
        rates: dict[str, Any] = {
            name: np.concatenate([getattr(self, name)[:minute], getattr(later, name)]) for name in _RATES
        }
        return replace(later, **rates, course=self.course)


_RATES: Final = ("stable", "candidate", "slow", "calls")


def _noise(rng: np.random.Generator, minutes: int, deviation: float) -> Array:
    """AR(1) noise that is stationary from the first minute on."""
    steps = rng.normal(0.0, deviation, minutes)
    steps[1:] *= math.sqrt(1 - NOISE_MEMORY**2)
    for minute in range(1, minutes):
        steps[minute] += NOISE_MEMORY * steps[minute - 1]
    return steps


def requests(rng: np.random.Generator, world: World, rpm: int) -> Whole:
    """The requests of each minute, of both versions together."""
    usual = rpm * np.exp(_noise(rng, len(world.calls), TRAFFIC_NOISE))
    return rng.poisson(usual * world.calls)


def shares(shifts: Sequence[Shift], first: int, end: int) -> Array:
    """The candidate's share of the traffic in the minutes `first` up to, not including, `end`: its weights by time."""
    edges = 60.0 * np.arange(first, end)
    found = np.zeros(end - first)
    until = [*(after.at for after in shifts[1:]), math.inf]
    for shift, over in zip(shifts, until, strict=True):
        seconds = np.minimum(edges + MINUTE_SECONDS, over) - np.maximum(edges, shift.at)
        found += np.maximum(seconds, 0.0) / MINUTE_SECONDS * shift.weight_percent / ALL_PERCENT
    return np.minimum(found, 1.0)


# --- The counts -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Drawing:
    """The counts of one rollout, drawn minute by minute as far as its weights are known.

    `hidden` draws what no recorded case has, so that those are drawn alike with it and without.
    """

    rng: np.random.Generator
    world: World
    requests: Whole
    minutes: list[Minute] = field(default_factory=list)
    hidden: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        (self.hidden,) = self.rng.spawn(1)

    def until(self, end: int, shifts: Sequence[Shift]) -> list[Minute]:
        """The minutes up to, not including, `end`, under these weights."""
        if end > len(self.minutes):
            self.minutes += self._drawn(len(self.minutes), end, shifts)
        return self.minutes[:end]

    def forget(self, at: float) -> None:
        """The weight moves then, in seconds: what was drawn of the minutes that are not over is void."""
        del self.minutes[math.floor(at / MINUTE_SECONDS) :]

    def _drawn(self, first: int, end: int, shifts: Sequence[Shift]) -> list[Minute]:
        """Errors are drawn first; slow ones are any, so a request may be both."""
        rng, world, span = self.rng, self.world, slice(first, end)
        candidate = rng.binomial(self.requests[span], shares(shifts, first, end))
        stable = self.requests[span] - candidate
        errors = (
            _failed(rng, stable, world.stable[span], world.noise if world.noise.stable else NO_NOISE),
            _failed(rng, candidate, world.candidate[span], world.noise),
        )
        slow = [rng.binomial(stable, SLOW_RATE), rng.binomial(candidate, self._slow(first, end, shifts))]
        if world.cold:
            slow[1] = np.minimum(slow[1] + self._new_environments(candidate), candidate)
        versions = [self._counts(*counts) for counts in zip((stable, candidate), errors, slow, strict=True)]
        return [
            Minute(MINUTE_SECONDS * (first + number), *both) for number, both in enumerate(zip(*versions, strict=True))
        ]

    def _slow(self, first: int, end: int, shifts: Sequence[Shift]) -> Array:
        """The share of the candidate's requests that are slow; its new environments warm up."""
        slow = self.world.slow[first:end]
        if not self.world.warming:
            return slow
        begins = np.array([shift.at for shift in shifts])
        weights = np.array([shift.weight_percent for shift in shifts])
        ends = MINUTE_SECONDS * np.arange(first + 1, end + 1)[:, None]
        there = begins < ends
        ages = ends / MINUTE_SECONDS - 1 - begins / MINUTE_SECONDS
        new = np.maximum(np.diff(weights, prepend=0.0), 0.0) * np.clip(1 - ages / WARMING_MINUTES, 0.0, 1.0) * there
        weight = weights[np.maximum(there.sum(axis=1) - 1, 0)]
        warming: Array = self.world.warming * np.minimum(new.sum(axis=1) / weight, 1.0)
        return slow + (1 - slow) * warming

    def _new_environments(self, candidate: Whole) -> Whole:
        """How many environments each minute adds to the most there were; all of them stay."""
        most = max((-(-minute.candidate.requests // REQUESTS_PER_ENVIRONMENT) for minute in self.minutes), default=0)
        needed = np.maximum.accumulate(np.maximum(-(-candidate // REQUESTS_PER_ENVIRONMENT), most))
        return np.diff(needed, prepend=most)

    def _counts(self, of: Whole, errors: Whole, slow: Whole) -> list[Counts]:
        p90 = slow + self.hidden.binomial(of - slow, _ABOVE_P90)
        p50 = p90 + self.hidden.binomial(of - p90, _ABOVE_P50)
        columns = (column.tolist() for column in (of, errors, slow, p90, p50))
        return [
            Counts(n, bad, n, p99, others={_P90: (n, above_p90), _P50: (n, above_p50)})
            for n, bad, p99, above_p90, above_p50 in zip(*columns, strict=True)
        ]


_P50, _P90 = quantile_name("p50"), quantile_name("p90")


def _failed(rng: np.random.Generator, of: Whole, rate: Array, noise: Noise) -> Whole:
    """How many of the requests of each minute fail, at those rates."""
    if noise.correlation:
        alike = (1 - noise.correlation) / noise.correlation
        fails = rate > 0
        rate = np.where(fails, rng.beta(np.where(fails, rate, 0.5) * alike, (1 - rate) * alike), 0.0)
    if noise.clump <= 1:
        return rng.binomial(of, rate)
    found = rng.binomial(of, rate / noise.clump)
    more = np.where(found > 0, rng.negative_binomial(np.maximum(found, 1), 1 / noise.clump), 0)
    return np.minimum(found + more, of)


def coarser(minutes: Sequence[Minute], recent: float) -> list[Minute]:
    """The same by the quarter hour up to that moment, in seconds, as a look reads what is long ago."""
    split = math.floor(recent / QUARTER_SECONDS) * QUARTER_SECONDS // MINUTE_SECONDS
    each = QUARTER_SECONDS // MINUTE_SECONDS
    quarters = [minutes[first : min(first + each, split)] for first in range(0, split, each)]
    return [*map(_quarter, quarters), *minutes[split:]]


def _quarter(minutes: Sequence[Minute]) -> Minute:
    stable, candidate = (_sum([getattr(one, version) for one in minutes]) for version in ("stable", "candidate"))
    return Minute(minutes[0].at, stable, candidate, seconds=QUARTER_SECONDS)


def _sum(counts: Sequence[Counts]) -> Counts:
    others = {
        name: (sum(one.requests for one in counts), sum(_bad(one, name) for one in counts)) for name in (_P90, _P50)
    }
    return replace(sum(counts, Counts()), others=others)


def _bad(counts: Counts, name: str) -> int:
    return (counts.others[name] or (0, 0))[1]


def half(rng: np.random.Generator, minute: Minute) -> Minute:
    """A random half of a minute's requests, as if the other half's metrics had not arrived yet."""
    return replace(minute, stable=_half(rng, minute.stable), candidate=_half(rng, minute.candidate))


def _half(rng: np.random.Generator, counts: Counts) -> Counts:
    """Requests, and how many of those that are left failed, and are beyond each quantile; these bands are nested."""
    of = int(rng.binomial(counts.requests, 0.5))
    errors, slow = int(_among(rng, counts.errors or 0, counts.requests, of)), counts.slow or 0
    kept, above, left = [0], 0, counts.requests
    for band in (slow, _bad(counts, _P90), _bad(counts, _P50)):
        kept.append(kept[-1] + int(_among(rng, band - above, left, of - kept[-1])))
        above, left = band, counts.requests - band
    _, p99, p90, p50 = kept
    return Counts(of, errors, of, p99, others={_P90: (of, p90), _P50: (of, p50)})


def _among(rng: np.random.Generator, bad: int, of: int, kept: int) -> int:
    """How many bad ones are among those that are kept, any of them alike."""
    return int(rng.hypergeometric(bad, of - bad, kept)) if of else 0


# --- The day before ---------------------------------------------------------------------------------------------------


def day_before(rng: np.random.Generator, error_rate: float, rpm: int, noise: Noise) -> TrafficBaseline:
    """What the plan knows of the stable version, as `aws.metrics.read_baseline` reads it.

    Rates are of the whole day, and how alike one minute's failures are of its last hour, which is drawn by the minute.
    """
    hour = World.of_identical(rng, _HOUR_MINUTES, error_rate)
    of = requests(rng, hour, rpm)
    bad = _failed(rng, of, hour.stable, noise if noise.stable else NO_NOISE)
    # The mean of a log-normal rate: its noise averages out over a day.
    mean = min(error_rate * math.exp(ERROR_NOISE**2 / 2), 1.0)
    day = int(rng.poisson(rpm * DAY_MINUTES * math.exp(TRAFFIC_NOISE**2 / 2)))
    return TrafficBaseline(
        requests=day,
        errors=int(rng.binomial(day, mean)),
        requests_per_minute=day / DAY_MINUTES,
        since=-60.0 * DAY_MINUTES,
        hourly=(day // 24,) * 24,
        p50_ms=P50_MS,
        p90_ms=P90_MS,
        p99_ms=P99_MS,
        correlation=correlation(zip(of.tolist(), bad.tolist(), strict=True)),
    )
