"""The real judge on drawn rollouts: how often it is wrong, and how long harm lasts.

A grid of traffic by the stable version's error rate. Requests a minute are Poisson with log-noise (AR(1), sd 0.15), the
error rate of both versions has a common log-noise (AR(1), sd 0.3), every request is routed by a coin, and 1 % are slow.
numpy draws the counts and nothing else: `comparison.compare` judges them. A minute's evidence rests on that minute and
the earlier ones alone, so the poll after the last minute also tells when an earlier one would have convicted.
"""

from __future__ import annotations

import math
import multiprocessing
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from tidegate.analysis import judge as judging
from tidegate.analysis.comparison import Comparison, compare
from tidegate.analysis.judge import Evidence, Judge
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import TOLERATED_ERRORS

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Kind = Literal["harmless", "tolerated", "harmful"]
Part = Literal["ramp", "day", "full", "partial"]

TRAFFIC: Final = (10, 100, 1_000, 10_000, 100_000)
ERROR_RATES: Final = (0.0, 0.001, 0.01, 0.05)
SLOW_RATE: Final = 0.01
#: How much of a minute's noise is left in the next.
NOISE_MEMORY: Final = 0.8
TRAFFIC_NOISE, ERROR_NOISE = 0.15, 0.3

#: 12 minutes at 10 %, 12 at 50 %; the last verdict waits two minutes more, at 50 %, for the last minutes to arrive.
STEPS: Final = ((12, 0.1), (12, 0.5))
RAMP_MINUTES: Final = 24
#: A minute is judged two minutes after its end.
DELAY_MINUTES: Final = 2
PROMOTED_AT: Final = RAMP_MINUTES + DELAY_MINUTES
#: A miss hurts requests, all of them from the promotion on, until somebody notices.
NOTICED_AT: Final = 60
FULL_MINUTES: Final = 10
DAY_MINUTES: Final = 24 * 60
DAY_CELLS: Final = tuple((rpm, 0.01) for rpm in (100, 1_000, 10_000))

#: What an environment serves in a minute, at a second a request: each new one begins with a slow request.
REQUESTS_PER_ENVIRONMENT: Final = 60
MEAN_CLUMP: Final = 3.0
#: In a shared outage retries go to the environment that failed before: the candidate is hit this much harder.
RETRIES: Final = 1.5
#: The judge's own level of suspicion, and stricter ones it could have.
SUSPICIONS: Final = (judging.SUSPICION, *(level for level in (0.05, 0.02, 0.01) if level < judging.SUSPICION))
#: The judge needs no rate from before the rollout; without a p99 nobody could say what is slow.
HISTORY: Final = TrafficBaseline(p99_ms=1.0)


# --- What happens in a rollout ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """One rollout's true rates by minute. `cold`: new environments are slow at first; `clumps`: failures are sticky."""

    stable: Array
    candidate: Array
    slow: Array
    cold: bool = False
    clumps: bool = False

    @property
    def excess(self) -> Array:
        """The share of the candidate's requests that it hurts."""
        return np.maximum(self.candidate - self.stable, 0.0) + np.maximum(self.slow - SLOW_RATE, 0.0)


Change = Callable[[World, np.random.Generator], World]


def _worse(rate: Callable[[Array], Array]) -> Change:
    return lambda world, _: replace(world, candidate=np.minimum(rate(world.stable), 1.0))


def _times(factor: float, instead: float) -> Change:
    """So many times the stable version's rate; a version that never fails has none to multiply."""
    return _worse(lambda stable: np.where(stable > 0, factor * stable, instead))


def _identical(world: World, _: np.random.Generator) -> World:
    return world


def _burst(world: World, rng: np.random.Generator, windows: int = 2, harder: float = 1.0) -> World:
    """A dependency fails both versions: in each window of 1 to 5 minutes, 5 to 80 % of the requests."""
    outage = np.zeros(len(world.stable))
    for _ in range(windows):
        length = int(rng.integers(1, 6))
        start = int(rng.integers(0, len(outage) - length + 1))
        outage[start : start + length] = rng.uniform(0.05, 0.8)
    hit = np.minimum(harder * outage, 1.0)
    candidate = world.candidate + (1 - world.candidate) * hit
    return replace(world, stable=world.stable + (1 - world.stable) * outage, candidate=candidate)


def _blip(world: World, rng: np.random.Generator) -> World:
    candidate = world.candidate.copy()
    candidate[rng.integers(0, len(candidate))] = 0.2
    return replace(world, candidate=candidate)


def _leak(world: World, _: np.random.Generator) -> World:
    return replace(world, candidate=np.minimum(world.stable + np.linspace(0, 0.05, len(world.stable)), 1.0))


def _edge(stable: Array) -> Array:
    return TOLERATED_ERRORS.max_ratio * stable + TOLERATED_ERRORS.max_increase


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a candidate is like, in words and in rates."""

    says: str
    kind: Kind
    change: Change


RAMPS: Final[Mapping[str, Scenario]] = {
    "identical": Scenario("identical versions", "harmless", _identical),
    "burst": Scenario("two shared bursts", "harmless", _burst),
    "cold": Scenario(
        "cold start: each new environment's first request is slow",
        "harmless",
        lambda world, _: replace(world, cold=True),
    ),
    "blip": Scenario("one minute at 20 %", "harmless", _blip),
    "clumps": Scenario("failures in clumps of 3", "harmless", lambda world, _: replace(world, clumps=True)),
    "retries": Scenario(
        "retries in two shared bursts: the candidate hit 1.5 times as hard",
        "harmless",
        lambda world, rng: _burst(world, rng, harder=RETRIES),
    ),
    "tolerated": Scenario("halfway to the tolerance", "tolerated", _worse(lambda stable: (stable + _edge(stable)) / 2)),
    "catastrophe": Scenario("100 % failing", "harmful", _worse(np.ones_like)),
    "third": Scenario("a third failing", "harmful", _worse(lambda stable: stable + (1 - stable) / 3)),
    "material": Scenario("twice what is tolerated", "harmful", _worse(lambda stable: 2 * _edge(stable))),
    "x5": Scenario("5 times the errors", "harmful", _times(5, 0.005)),
    "leak": Scenario("a leak from 0 to 5 %", "harmful", _leak),
    "slow": Scenario("twice the slow requests", "harmful", lambda world, _: replace(world, slow=2 * world.slow)),
}

FULLS: Final[Mapping[str, Scenario]] = {
    "identical": Scenario("identical versions", "harmless", _identical),
    "burst": Scenario("a shared burst", "harmless", lambda world, rng: _burst(world, rng, windows=1)),
    "catastrophe": Scenario("100 % failing", "harmful", _worse(np.ones_like)),
    "x5": Scenario("5 times the errors", "harmful", _times(5, 0.005)),
}

DAY: Final = Scenario("at the edge of the tolerance, 24 hours", "tolerated", _worse(_edge))
PARTIAL: Final = Scenario("identical versions, judged on half of the newest minute", "harmless", _identical)


# --- Drawing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """One rollout's counts, and how many requests its candidate hurts in each minute."""

    minutes: tuple[Minute, ...]
    candidate_bad: int
    hurt: Array
    rpm: int


def _noise(rng: np.random.Generator, minutes: int, deviation: float) -> Array:
    """AR(1) noise that is stationary from the first minute on."""
    steps = rng.normal(0.0, deviation, minutes)
    steps[1:] *= math.sqrt(1 - NOISE_MEMORY**2)
    for minute in range(1, minutes):
        steps[minute] += NOISE_MEMORY * steps[minute - 1]
    return steps


def world(rng: np.random.Generator, minutes: int, error_rate: float) -> World:
    """Two versions alike."""
    stable = np.minimum(error_rate * np.exp(_noise(rng, minutes, ERROR_NOISE)), 1.0)
    return World(stable, stable, np.full(minutes, SLOW_RATE))


def draw(rng: np.random.Generator, truth: World, weights: Sequence[float], rpm: int) -> Drawn:
    """The counts of one rollout. Errors are drawn first; slow ones are any, so a request may be both."""
    count = len(weights)
    requests = rng.poisson(rpm * np.exp(_noise(rng, count, TRAFFIC_NOISE)))
    candidate = rng.binomial(requests, np.asarray(weights))
    stable = requests - candidate
    errors = [
        _failed(rng, n, p, clumps=truth.clumps) for n, p in ((stable, truth.stable), (candidate, truth.candidate))
    ]
    slow = [rng.binomial(stable, SLOW_RATE), rng.binomial(candidate, truth.slow)]
    if truth.cold:
        slow[1] = np.minimum(slow[1] + _new_environments(candidate), candidate)
    columns = (column.tolist() for column in (stable, errors[0], slow[0], candidate, errors[1], slow[1]))
    minutes = tuple(
        Minute(60 * t, Counts(n_b, x_b, n_b, s_b), Counts(n_c, x_c, n_c, s_c))
        for t, (n_b, x_b, s_b, n_c, x_c, s_c) in enumerate(zip(*columns, strict=True))
    )
    return Drawn(minutes, int(errors[1].sum()), candidate * truth.excess, rpm)


def _failed(rng: np.random.Generator, requests: Whole, rate: Array, *, clumps: bool) -> Whole:
    if not clumps:
        return rng.binomial(requests, rate)
    found = rng.binomial(requests, rate / MEAN_CLUMP)
    more = np.where(found > 0, rng.negative_binomial(np.maximum(found, 1), 1 / MEAN_CLUMP), 0)
    return np.minimum(found + more, requests)


def _new_environments(requests: Whole) -> Whole:
    """How many environments each minute adds to the most there were; all of them stay."""
    most = np.maximum.accumulate(-(-requests // REQUESTS_PER_ENVIRONMENT))
    return np.diff(most, prepend=0)


def half(rng: np.random.Generator, minute: Minute) -> Minute:
    """A random half of a minute's requests, as if the other half's metrics had not arrived yet."""
    return replace(minute, stable=_half(rng, minute.stable), candidate=_half(rng, minute.candidate))


def _half(rng: np.random.Generator, counts: Counts) -> Counts:
    """Requests are thinned as bad and good ones; one that is both failed and slow is rare enough to be taken apart."""
    errors, slow = counts.errors or 0, min(counts.slow or 0, counts.requests - (counts.errors or 0))
    kept = [int(rng.binomial(n, 0.5)) for n in (errors, slow, counts.requests - errors - slow)]
    return Counts(sum(kept), kept[0], sum(kept), kept[1])


# --- Judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One scenario at one traffic and error rate, with so many rollouts of each."""

    part: Part
    scenario: str
    rpm: int
    error_rate: float
    replicates: int
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        """Its own generator: what a cell draws rests neither on the other cells nor on who computes it."""
        named = zlib.crc32(f"{self.part} {self.scenario}".encode())
        return np.random.default_rng([self.seed, named, self.rpm, round(1e6 * self.error_rate)])


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rollout. `minute` is when it was rolled back (or its guard tripped), None where it never was.

    `also` is the same of the judge that it is compared with. `suspected` holds for each of `SUSPICIONS` whether the
    end of the bake suspects a candidate that nothing convicted: that one is rolled back at the end of the extension.
    """

    minute: int | None
    hurt: float = 0.0
    proven: bool = False
    suspected: tuple[bool, ...] = (False,) * len(SUSPICIONS)
    also: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """All of a cell's outcomes, as shares of its rollouts; a miss counts as `NOTICED_AT` minutes."""

    cell: Cell
    rolled_back: float
    minutes: tuple[int, ...]
    hurt: float
    proven: float
    suspected: tuple[float, ...]
    also: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            **asdict(self.cell),
            "rolled_back": self.rolled_back,
            "median_minutes": median(self.minutes),
            "requests_hurt": round(self.hurt, 2),
            "proven": self.proven,
            "suspected": dict(zip(map(str, SUSPICIONS), self.suspected, strict=True)),
            "rolled_back_after_120_seconds": self.also if self.cell.part == "partial" else None,
        }


def run(cell: Cell) -> Result:
    """Draw and judge a cell."""
    rng, judged = cell.rng, _JUDGED[cell.part]
    found = [judged(cell, rng) for _ in range(cell.replicates)]
    return Result(
        cell=cell,
        rolled_back=fmean(one.minute is not None for one in found),
        minutes=tuple(NOTICED_AT if one.minute is None else one.minute for one in found),
        hurt=fmean(one.hurt for one in found),
        proven=fmean(one.proven for one in found),
        suspected=tuple(fmean(column) for column in zip(*(one.suspected for one in found), strict=True)),
        also=fmean(one.also is not None for one in found),
    )


def _weights(steps: Iterable[tuple[int, float]]) -> list[float]:
    return [weight for minutes, weight in steps for _ in range(minutes)]


def _shifts(weights: Sequence[float], now: int) -> tuple[Shift, ...]:
    """Every weight up to the minute `now`."""
    return tuple(
        Shift(60 * t, 100 * weight)
        for t, weight in enumerate(weights)
        if t < now and (t == 0 or weight != weights[t - 1])
    )


def _compare(minutes: Sequence[Minute], weights: Sequence[float], now: int) -> Comparison:
    return compare(Judge(), minutes, _shifts(weights, now), 60 * now, HISTORY)


def _convicted(verdict: Comparison) -> int | None:
    """When the first metric that convicts did so, in minutes since the start."""
    rows = [one.convicted_at for one in verdict.evidence if one.convicted_at is not None]
    return min(rows) + 1 + DELAY_MINUTES if rows else None


def _ramp(cell: Cell, rng: np.random.Generator) -> Outcome:
    weights = _weights(STEPS)
    truth = RAMPS[cell.scenario].change(world(rng, RAMP_MINUTES, cell.error_rate), rng)
    drawn = draw(rng, truth, weights, cell.rpm)
    verdict = _compare(drawn.minutes, weights, PROMOTED_AT)
    minute = _convicted(verdict)
    suspected = tuple(minute is None and _suspects(verdict.evidence, level) for level in SUSPICIONS)
    return Outcome(minute, _hurt(drawn, truth, minute), all(one.proven for one in verdict.evidence), suspected)


def _suspects(evidence: Iterable[Evidence], level: float) -> bool:
    """Whether any metric is suspected, were `level` the judge's `SUSPICION`."""
    return any(one.suspected and one.worse >= -math.log(level) for one in evidence)


def _hurt(drawn: Drawn, truth: World, minute: int | None) -> float:
    """The requests hurt until traffic is restored. After the last minute the last excess goes on."""
    until, share = minute or NOTICED_AT, float(truth.excess[-1])
    settling = max(0, min(until, PROMOTED_AT) - RAMP_MINUTES) * STEPS[-1][1]
    promoted = max(0, until - PROMOTED_AT)
    return float(drawn.hurt[:until].sum()) + drawn.rpm * share * (settling + promoted)


def _day(cell: Cell, rng: np.random.Generator) -> Outcome:
    weights = [0.5] * DAY_MINUTES
    truth = DAY.change(world(rng, DAY_MINUTES, cell.error_rate), rng)
    drawn = draw(rng, truth, weights, cell.rpm)
    return Outcome(_convicted(_compare(drawn.minutes, weights, DAY_MINUTES + DELAY_MINUTES)))


def _full(cell: Cell, rng: np.random.Generator) -> Outcome:
    """Minutes at weight 100 after a ramp of identical versions. What tripped stays so, hence the bisection."""
    weights = [*_weights(STEPS), *[1.0] * FULL_MINUTES]
    before = world(rng, len(weights), cell.error_rate)
    last = World(before.stable[RAMP_MINUTES:], before.candidate[RAMP_MINUTES:], before.slow[RAMP_MINUTES:])
    changed = FULLS[cell.scenario].change(last, rng)
    truth = replace(before, candidate=np.concatenate([before.candidate[:RAMP_MINUTES], changed.candidate]))
    minutes = draw(rng, truth, weights, cell.rpm).minutes

    def tripped(after: int) -> bool:
        seen = RAMP_MINUTES + after
        return bool(_compare(minutes[:seen], weights, seen + DELAY_MINUTES).tripped)

    if not tripped(FULL_MINUTES):
        return Outcome(None)
    low, high = 0, FULL_MINUTES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tripped(middle) else (middle, high)
    return Outcome(high + DELAY_MINUTES)


def _partial(cell: Cell, rng: np.random.Generator) -> Outcome:
    """Every poll judges the newest minute on half of its requests; the next poll has all of them."""
    weights = _weights(STEPS)
    minutes = draw(rng, world(rng, RAMP_MINUTES, cell.error_rate), weights, cell.rpm).minutes
    waited = _convicted(_compare(minutes, weights, PROMOTED_AT))
    for newest, minute in enumerate(minutes):
        seen = [*minutes[:newest], half(rng, minute)]
        if _convicted(_compare(seen, weights, newest + 2)) is not None:
            return Outcome(newest + 2, also=waited)
    return Outcome(waited, also=waited)


_JUDGED: Final[Mapping[Part, Callable[[Cell, np.random.Generator], Outcome]]] = {
    "ramp": _ramp,
    "day": _day,
    "full": _full,
    "partial": _partial,
}


# --- All of it --------------------------------------------------------------------------------------------------------


def cells(replicates: int, seed: int) -> list[Cell]:
    """The whole grid, the dearest cells first. A day costs as much as a hundred ramps, so there are half as many."""
    grid = [(rpm, rate) for rpm in TRAFFIC for rate in ERROR_RATES]
    days = [Cell("day", "edge", *place, math.ceil(replicates / 2), seed) for place in DAY_CELLS]
    partial = [Cell("partial", "identical", *place, replicates, seed) for place in grid]
    full = [Cell("full", name, *place, replicates, seed) for name in FULLS for place in grid]
    ramps = [Cell("ramp", name, *place, replicates, seed) for name in RAMPS for place in grid]
    return [*days, *partial, *full, *ramps]


def simulate(todo: Sequence[Cell], processes: int = 2) -> list[Result]:
    """Every cell's result, in the order asked for."""
    if processes == 1:
        return [run(cell) for cell in todo]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.map(run, todo, chunksize=1)
