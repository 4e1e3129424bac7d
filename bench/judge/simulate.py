"""The real control logic on drawn rollouts: how often it is wrong, and how long harm lasts.

A cell is one kind of candidate at one traffic and error rate, with so many rollouts of it, each a closed loop (`loop`).
"""

from __future__ import annotations

import math
import multiprocessing
import os
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final, Literal, TypeVar

import numpy as np

from bench.judge.interval import Mean, Share
from bench.judge.loop import Course, Outcome, roll_out
from bench.judge.scenarios import SCENARIOS, Scenario
from tidegate.planning.strategy import Step

Part = Literal["ramp", "halves", "day", "week"]
Given = TypeVar("Given")
Found = TypeVar("Found")

TRAFFIC: Final = (10, 100, 1_000, 10_000, 100_000)
ERROR_RATES: Final = (0.0, 0.001, 0.01, 0.05)
GRID: Final = tuple((rpm, rate) for rpm in TRAFFIC for rate in ERROR_RATES)
#: Where noise is looked at: the more requests a minute has, the more a correlation of them makes of it.
NOISY_TRAFFIC: Final = (600, 6_000, 60_000)
#: The traffic of most functions that a day is looked at of.
DAY_TRAFFIC: Final = (100, 1_000, 10_000)
#: Of a cell of its own at one error rate.
USUAL_RATE: Final = 0.01

#: The plan of each part.
STEPS: Final[Mapping[Part, tuple[Step, ...]]] = {
    "ramp": (Step(10, 720), Step(50, 720), Step(100, 300)),
    "halves": (Step(10, 720), Step(50, 720), Step(100, 300)),
    "day": (Step(50, 86_400), Step(100, 300)),
    "week": (Step(50, 7 * 86_400), Step(100, 300)),
}


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
    def about(self) -> Scenario:
        """What its candidate is like."""
        return SCENARIOS[self.scenario]

    def rng(self, *number: int) -> np.random.Generator:
        """A rollout's own generator: what it draws rests neither on the others nor on who computes it."""
        named = zlib.crc32(f"{self.part} {self.scenario}".encode())
        return np.random.default_rng([self.seed, named, self.rpm, round(1e6 * self.error_rate), *number])


@dataclass(frozen=True, slots=True)
class Result:
    """All of a cell's outcomes. `minutes` are infinitely many of a rollout that was not rolled back.

    `why` counts what rolled back, and `moved` the rollouts whose weight was moved by each action beside an advance.
    """

    cell: Cell
    rolled_back: Share
    proven: Share
    minutes: tuple[float, ...]
    hurt: Mean
    why: Mapping[str, int]
    moved: Mapping[str, int]

    @property
    def missed(self) -> Share:
        """Of a harmful candidate: those that were promoted."""
        return Share(self.rolled_back.of - self.rolled_back.count, self.rolled_back.of)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; shares are fractions."""
        return {
            **asdict(self.cell),
            "kind": self.cell.about.kind,
            "rolled_back": self.rolled_back.found,
            "interval": [self.rolled_back.at_least, self.rolled_back.at_most],
            "proven": self.proven.found,
            "median_minutes": None if math.isinf(middle := median(self.minutes)) else middle,
            "requests_hurt": round(self.hurt.found, 2),
            "requests_hurt_off_by": round(self.hurt.off_by, 2),
            "why": dict(self.why),
            "moved": dict(self.moved),
        }


def run(cell: Cell) -> Result:
    """Draw a cell's rollouts, and let each of them end."""
    course = Course(STEPS[cell.part], cell.rpm, cell.error_rate, halves=cell.part == "halves")
    return result(cell, [roll_out(course, cell.about, cell.rng(number)) for number in range(cell.replicates)])


def result(cell: Cell, found: Sequence[Outcome]) -> Result:
    """What these outcomes come to."""
    back = [one for one in found if one.minute is not None]
    return Result(
        cell=cell,
        rolled_back=Share(len(back), len(found)),
        proven=Share(sum(one.proven for one in found), len(found)),
        minutes=tuple(math.inf if one.minute is None else one.minute for one in found),
        hurt=Mean.of([one.hurt for one in found]),
        why=Counter(one.why for one in back),
        moved=Counter(action for one in found for action in {*one.actions} - {"advance"}),
    )


# --- All of it --------------------------------------------------------------------------------------------------------

#: The ramps that are looked at with all replicates, and where: what must be rare takes many of them to be seen.
HARMLESS: Final[Mapping[str, Sequence[tuple[int, float]]]] = {
    "identical": GRID,
    "cold": [(rpm, USUAL_RATE) for rpm in DAY_TRAFFIC],
    "blip": [(rpm, USUAL_RATE) for rpm in TRAFFIC],
    "tolerated": [(rpm, USUAL_RATE) for rpm in TRAFFIC],
    "jit": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "jit_told": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "correlated": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "noisy": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "clumps": [(NOISY_TRAFFIC[0], USUAL_RATE)],
    "clumps10": [(NOISY_TRAFFIC[0], USUAL_RATE)],
    "burst": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "burst15": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "burst2": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
    "storm": [(rpm, USUAL_RATE) for rpm in NOISY_TRAFFIC],
}
HARM: Final = ("catastrophe", "third", "material", "x5", "leak", "slow")
HARM_RATES: Final = (0.001, 0.01)
LATE: Final = ("late_burst", "late_catastrophe", "late_x5")
#: Of so many replicates of a harmless ramp one is made of: harm is no rare event; halves are looked at minute by
#: minute; a day costs as much as twenty ramps, and a week as hundred.
HARM_PARTS, HALVES_PARTS, DAY_PARTS, WEEK_PARTS = 4, 4, 5, 20


def cells(replicates: int, seed: int) -> list[Cell]:
    """The whole grid, the dearest cells first."""

    def some(part: Part, scenario: str, place: tuple[int, float], parts: int = 1) -> Cell:
        return Cell(part, scenario, *place, math.ceil(replicates / parts), seed)

    usual = [(rpm, USUAL_RATE) for rpm in TRAFFIC]
    return [
        some("week", "identical", (1_000, USUAL_RATE), WEEK_PARTS),
        *(some("day", name, (rpm, USUAL_RATE), DAY_PARTS) for name in ("edge", "identical") for rpm in DAY_TRAFFIC),
        *(some("halves", "identical", place, HALVES_PARTS) for place in usual),
        *(some("ramp", name, place) for name, places in HARMLESS.items() for place in places),
        *(some("ramp", name, (rpm, USUAL_RATE), HARM_PARTS) for name in LATE for rpm in DAY_TRAFFIC),
        *(some("ramp", name, (rpm, rate), HARM_PARTS) for name in HARM for rpm in TRAFFIC for rate in HARM_RATES),
    ]


def simulate(
    todo: Sequence[Cell], processes: int | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Result]:
    """Every cell's result, in the order asked for."""
    return in_processes(run, todo, processes, say)


def in_processes(
    does: Callable[[Given], Found],
    todo: Sequence[Given],
    processes: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Found]:
    """What becomes of each of them, in their order; by default on every core. Says now and then how far it is."""
    if processes == 1:
        return [does(one) for one in todo]
    tenth, found = max(1, len(todo) // 10), list[Found]()
    with ProcessPoolExecutor(processes or os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for one in pool.map(does, todo):
            found.append(one)
            if len(found) % tenth == 0:
                say(f"{len(found)} of {len(todo)} cells")
    return found
