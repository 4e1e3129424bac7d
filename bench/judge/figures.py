"""What the simulation found, and which of the judge's limits hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.judge.interval import Mean, Share, percent
from bench.judge.score import Score
from bench.judge.simulate import Cell, Part, Result

#: What must hold: a part's scenario at some traffic (0: at any), what is said of it, and the share of its rollouts that
#: may be rolled back. The day's is the worst cell's, the others' that of all cells together.
ROLLED_BACK: Final[Sequence[tuple[Part, str, int, str, float]]] = (
    ("ramp", "identical", 0, "identical versions over the whole grid", 0.0005),
    ("ramp", "correlated", 6_000, "identical versions, correlation 0.01, 6,000 rpm", 0.03),
    ("ramp", "clumps", 600, "identical versions, clumps of 3, 600 rpm", 0.035),
    ("ramp", "jit_told", 0, "a compiler's 6 % more slow requests, with `warm_up_seconds`", 0.02),
    ("ramp", "blip", 0, "one minute at 20 %", 0.0),
    ("ramp", "burst", 0, "two shared outages", 0.005),
    ("day", "edge", 0, "24 hours at the edge of the tolerance, in the worst cell", 0.10),
)
#: How many requests the candidate may hurt in the mean, at 10 % of 10,000 requests a minute.
HURT: Final[Sequence[tuple[str, str, float]]] = (
    ("catastrophe", "requests hurt, 100 % failing, 10,000 rpm", 3_000),
    ("third", "requests hurt, a third failing, 10,000 rpm", 1_100),
)
_HURT_RPM: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, and what was found."""

    says: str
    at_most: float
    found: Share | Mean

    @property
    def holds(self) -> bool:
        """Whether no more was found than is allowed."""
        return self.found.found <= self.at_most

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "does not hold"
        at_most = percent(self.at_most) if isinstance(self.found, Share) else f"{self.at_most:,.0f}"
        return f"{verdict}: {self.says}: {self.found}, at most {at_most}"


@dataclass(frozen=True, slots=True)
class Figures:
    """Every cell's result, how every rule scored on the same cases, and how it was run."""

    results: tuple[Result, ...]
    replicates: int
    seed: int
    scores: Mapping[str, Score] = field(default_factory=dict)

    def of(self, part: Part, scenario: str | None = None, rpm: int = 0) -> list[Result]:
        """The cells of a part, or of one of its scenarios, at any traffic or at one."""
        return [
            one
            for one in self.results
            if one.cell.part == part and scenario in {None, one.cell.scenario} and rpm in {0, one.cell.rpm}
        ]

    def limits(self) -> list[Limit]:
        """The limits whose cells were run."""
        found = []
        for part, scenario, rpm, says, at_most in ROLLED_BACK:
            shares = [one.rolled_back for one in self.of(part, scenario, rpm)]
            if shares:
                worst = max(shares, key=lambda share: share.found)
                found.append(Limit(f"{says}, rolled back", at_most, worst if part == "day" else together(shares)))
        for scenario, says, at_most in HURT:
            means = [one.hurt for one in self.of("ramp", scenario, _HURT_RPM)]
            if means:
                found.append(Limit(says, at_most, max(means, key=lambda mean: mean.found)))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; shares are fractions, minutes count from the start of the rollout."""
        return {
            "seed": self.seed,
            "replicates": self.replicates,
            "cells": [one.to_json() for one in self.results],
            "limits": [
                {"limit": one.says, "at_most": one.at_most, "found": one.found.found, "holds": one.holds}
                for one in self.limits()
            ],
            "rules": {rule: one.figures() for rule, one in self.scores.items()},
        }


def together(shares: Iterable[Share]) -> Share:
    """The share of all of them."""
    return sum(shares, Share(0, 0))


def place(cell: Cell) -> str:
    """Where a cell is."""
    return f"{cell.rpm:,} rpm, {percent(cell.error_rate)} errors"
