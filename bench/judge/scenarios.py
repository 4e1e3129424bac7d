"""What a candidate may be like, beside its stable version, in words and in rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from bench.judge.drawing import NO_NOISE, WARMING_MINUTES, Array, Noise, World
from tidegate.analysis.metric import TOLERATED_ERRORS

Kind = Literal["harmless", "tolerated", "harmful"]
Change = Callable[[World, np.random.Generator], World]

#: A share of requests, of the candidate alone, in one minute.
BLIP: Final = 0.2
#: How alike two requests of one minute and version are, where they are: beta-binomial counts.
CORRELATION: Final = 0.01
#: So many more requests are slow while a compiler has yet to work.
COMPILING: Final = 0.06
#: How often a caller tries again what has failed.
RETRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of candidate; `judge` is what the request says of it (`health.judge`)."""

    says: str
    kind: Kind
    change: Change
    noise: Noise = NO_NOISE
    judge: Mapping[str, Any] = field(default_factory=dict)

    def world(self, rng: np.random.Generator, minutes: int, error_rate: float, course: int | None = None) -> World:
        """The true rates of one rollout with such a candidate."""
        identical = World.of_identical(rng, minutes, error_rate, course)
        return replace(self.change(identical, rng), noise=self.noise)


def _identical(world: World, _: np.random.Generator) -> World:
    return world


def _worse(rate: Callable[[Array], Array]) -> Change:
    return lambda world, _: replace(world, candidate=np.minimum(rate(world.stable), 1.0))


def _times(factor: float, instead: float) -> Change:
    """So many times the stable version's rate; a version that never fails has none to multiply."""
    return _worse(lambda stable: np.where(stable > 0, factor * stable, instead))


def _outage(harder: float = 1.0, *, windows: int = 2, retries: int = 0) -> Change:
    """A dependency fails both versions: in each window of 1 to 5 minutes, 5 to 80 % of the requests.

    The candidate is hit so many times as hard. What fails is tried again, and fails as often.
    """

    def changed(world: World, rng: np.random.Generator) -> World:
        outage = np.zeros(len(world.stable))
        for _ in range(windows):
            length = int(rng.integers(1, 6))
            start = int(rng.integers(0, max(world.course - length, 0) + 1))
            outage[start : start + length] = rng.uniform(0.05, 0.8)
        hit = np.minimum(harder * outage, 1.0)
        return replace(
            world,
            stable=world.stable + (1 - world.stable) * outage,
            candidate=world.candidate + (1 - world.candidate) * hit,
            calls=sum((outage**again for again in range(1, retries + 1)), np.ones(len(outage))),
        )

    return changed


def _blip(world: World, rng: np.random.Generator) -> World:
    candidate = world.candidate.copy()
    candidate[rng.integers(0, world.course)] = BLIP
    return replace(world, candidate=candidate)


def _leak(world: World, _: np.random.Generator) -> World:
    leaked = np.full(len(world.stable), 0.05)
    leaked[: world.course] = np.linspace(0, 0.05, world.course)
    return replace(world, candidate=np.minimum(world.stable + leaked, 1.0))


def edge(stable: Array) -> Array:
    """The most that is tolerated."""
    return TOLERATED_ERRORS.max_ratio * stable + TOLERATED_ERRORS.max_increase


def _late(change: Change, minute: int) -> Change:
    """The same, but only from that minute on."""
    return lambda world, rng: world.until(minute, change(world.since(minute), rng))


_CATASTROPHE, _X5 = _worse(np.ones_like), _times(5, 0.005)
_COMPILER = f"a compiler makes {100 * COMPILING:g} % more requests slow at first, fading over {WARMING_MINUTES} minutes"


def _compiles(world: World, _: np.random.Generator) -> World:
    return replace(world, warming=COMPILING)


#: The rollout's course by its plan: 12 minutes at 10 %, 12 at 50 %, and five at 100 %.
RAMP_MINUTES, COURSE_MINUTES = 24, 29
#: From then on all traffic has been the candidate's for a minute's part at least.
_LAST_STEP: Final = RAMP_MINUTES + 1

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "identical": Scenario("identical versions", "harmless", _identical),
    "cold": Scenario(
        "cold start: each new environment's first request is slow",
        "harmless",
        lambda world, _: replace(world, cold=True),
    ),
    "jit": Scenario(_COMPILER, "harmless", _compiles),
    "jit_told": Scenario(
        f"the same, with `warm_up_seconds: {60 * WARMING_MINUTES}`",
        "harmless",
        _compiles,
        judge={"slow": {"warm_up_seconds": 60 * WARMING_MINUTES}},
    ),
    "blip": Scenario(f"one minute at {100 * BLIP:g} %", "harmless", _blip),
    "correlated": Scenario(
        f"each version's failures beta-binomial, correlation {CORRELATION:g}",
        "harmless",
        _identical,
        Noise(correlation=CORRELATION),
    ),
    "clumps": Scenario("failures in clumps of 3", "harmless", _identical, Noise(clump=3.0)),
    "clumps10": Scenario("failures in clumps of 10", "harmless", _identical, Noise(clump=10.0)),
    "noisy": Scenario(
        f"the candidate's failures alone beta-binomial, correlation {CORRELATION:g}",
        "harmless",
        _identical,
        Noise(correlation=CORRELATION, stable=False),
    ),
    "burst": Scenario("two shared outages", "harmless", _outage()),
    "burst15": Scenario("two outages, the candidate hit 1.5 times as hard", "harmless", _outage(1.5)),
    "burst2": Scenario("two outages, the candidate hit 2 times as hard", "harmless", _outage(2.0)),
    "storm": Scenario(
        f"two shared outages, and what fails is tried {RETRIES} times more", "harmless", _outage(retries=RETRIES)
    ),
    "tolerated": Scenario("halfway to the tolerance", "tolerated", _worse(lambda stable: (stable + edge(stable)) / 2)),
    "edge": Scenario("at the edge of the tolerance", "tolerated", _worse(edge)),
    "catastrophe": Scenario("100 % failing", "harmful", _CATASTROPHE),
    "third": Scenario("a third failing", "harmful", _worse(lambda stable: stable + (1 - stable) / 3)),
    "material": Scenario("twice what is tolerated", "harmful", _worse(lambda stable: 2 * edge(stable))),
    "x5": Scenario("5 times the errors", "harmful", _X5),
    "leak": Scenario("a leak from 0 to 5 %", "harmful", _leak),
    "slow": Scenario("twice the slow requests", "harmful", lambda world, _: replace(world, slow=2 * world.slow)),
    "late_burst": Scenario("a shared outage at 100 %", "harmless", _late(_outage(windows=1), _LAST_STEP)),
    "late_catastrophe": Scenario("100 % failing from 100 % on", "harmful", _late(_CATASTROPHE, _LAST_STEP)),
    "late_x5": Scenario("5 times the errors from 100 % on", "harmful", _late(_X5, _LAST_STEP)),
}
