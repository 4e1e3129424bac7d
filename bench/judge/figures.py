"""What the simulation found, for people and for programs, and which of the judge's limits hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median
from typing import Any, Final

import numpy as np

from bench.judge import simulate
from bench.judge.simulate import NOTICED_AT, SUSPICIONS, Part, Result, Scenario

#: What must hold: a part's scenario, and the share of its rollouts that may be rolled back in any case.
LIMITS: Final[Sequence[tuple[Part, str, str, float]]] = (
    ("ramp", "identical", "identical versions rolled back", 0.001),
    ("ramp", "burst", "shared bursts rolled back", 0.005),
    ("day", "edge", "at the edge of the tolerance rolled back in 24 hours, in the worst cell", 0.10),
)
HARMLESS_SUSPECTED: Final = 0.001


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, and what was found."""

    says: str
    at_most: float
    found: float

    @property
    def holds(self) -> bool:
        """Whether no more was found than is allowed."""
        return self.found <= self.at_most

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "BROKEN"
        return f"{verdict}: {self.says}: {percent(self.found)}, at most {percent(self.at_most)}"


@dataclass(frozen=True, slots=True)
class Figures:
    """Every cell's result, and how it was run."""

    results: tuple[Result, ...]
    replicates: int
    seed: int

    def of(self, part: Part, scenario: str | None = None) -> list[Result]:
        """The cells of a part, or of one of its scenarios."""
        return [one for one in self.results if one.cell.part == part and scenario in (None, one.cell.scenario)]

    def limits(self) -> list[Limit]:
        """The limits whose cells were run; the day's is the worst cell's, the others' the mean over the cells."""
        found = []
        for part, scenario, says, at_most in LIMITS:
            shares = [one.rolled_back for one in self.of(part, scenario)]
            if shares:
                found.append(Limit(says, at_most, max(shares) if part == "day" else fmean(shares)))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; shares are fractions, minutes count from the start of the rollout."""
        return {
            "seed": self.seed,
            "replicates": self.replicates,
            "cells": [one.to_json() for one in self.results],
            "limits": [
                {"limit": one.says, "at_most": one.at_most, "found": one.found, "holds": one.holds}
                for one in self.limits()
            ],
        }

    def markdown(self) -> str:
        """The page of docs/judge-figures.md."""
        return "\n".join(
            [
                "# The judge in figures",
                "",
                "<!-- generated: run the command below, do not edit -->",
                "",
                *self._set_up(),
                "",
                "## Limits",
                "",
                *(f"* {limit}" for limit in self.limits()),
                "",
                "## Harmless candidates",
                "",
                *self._harmless(),
                *self._suspected_cells(),
                "",
                "## Harm",
                "",
                *self._harmful(),
                "",
                "## By traffic",
                "",
                *self._by_traffic(),
                "",
                "## The last step",
                "",
                *self._full(),
                "",
                "## Half of the newest minute",
                "",
                *self._partial(),
                "",
                *self._day(),
                "",
            ]
        )

    def _set_up(self) -> list[str]:
        command = f"python -m bench.judge --simulate --replicates {self.replicates} --seed {self.seed}"
        rpm = ", ".join(f"{one:,}" for one in simulate.TRAFFIC)
        rates = ", ".join(percent(one) for one in simulate.ERROR_RATES)
        days = self.of("day")
        parts = (
            f"`{command}`: the real judge (`tidegate/analysis`) on drawn rollouts: 12 minutes at 10 %, 12 at 50 %.",
            f"{self.replicates:,} rollouts in each cell of the grid: {rpm} requests a minute, a stable version that",
            f"fails {rates} of them.",
            f"A day at the edge: {days[0].cell.replicates:,} in each of its cells." if days else "",
            "Minutes are two minutes late. A share of 0 among n rollouts is below 3 / n with 95 % confidence.",
            f"Drawn by numpy {np.__version__}.",
        )
        return [" ".join(part for part in parts if part)]

    def _harmless(self) -> list[str]:
        lines = [
            (
                "Rolled back: convicted in any minute. Suspected: not convicted, but suspected when the bake ends,"
                " which rolls back at the end of the extension. Proven: the final verdict."
            ),
            "",
            "| candidate | rolled back | in the worst cell | suspected | in the worst cell | proven |",
            "|---|---|---|---|---|---|",
        ]
        for scenario, cells in self._scenarios("ramp", ("harmless", "tolerated")):
            shares = (
                fmean(one.rolled_back for one in cells),
                max(one.rolled_back for one in cells),
                fmean(one.suspected[0] for one in cells),
                max(one.suspected[0] for one in cells),
                fmean(one.proven for one in cells),
            )
            lines.append(f"| {scenario.says} | {' | '.join(map(percent, shares))} |")
        return lines

    def _suspected_cells(self) -> list[str]:
        """Which cells suspect the harmless too often, and what level of suspicion would not."""
        lines = []
        for name in ("identical", "burst"):
            cells = self.of("ramp", name)
            if not cells or fmean(one.suspected[0] for one in cells) <= HARMLESS_SUSPECTED:
                continue
            shares = [percent(fmean(one.suspected[i] for one in cells)) for i in range(len(SUSPICIONS))]
            levels = ", ".join(f"{share} at {level:g}" for share, level in zip(shares, SUSPICIONS, strict=True))
            lines += ["", f"{simulate.RAMPS[name].says.capitalize()}, suspected by level of suspicion: {levels}.", ""]
            lines += [
                f"* {one.cell.rpm:,} rpm, {percent(one.cell.error_rate)} errors: {percent(one.suspected[0])}"
                for one in cells
                if one.suspected[0]
            ]
        return lines

    def _harmful(self) -> list[str]:
        lines = [
            (
                f"Minutes run from the start; a miss counts as {NOTICED_AT}. Hurt is the mean of requests that fail or"
                f" are slow because of the candidate, at 10,000 rpm; a miss hurts until minute {NOTICED_AT}."
            ),
            "",
            "| candidate | rolled back | in the worst cell | median minutes | hurt at 10,000 rpm |",
            "|---|---|---|---|---|",
        ]
        for scenario, cells in self._scenarios("ramp", ("harmful",)):
            hurt = [one.hurt for one in cells if one.cell.rpm == 10_000]  # noqa: PLR2004  the table's own head
            lines.append(
                f"| {scenario.says} | {percent(fmean(one.rolled_back for one in cells))}"
                f" | {percent(min(one.rolled_back for one in cells))} | {_median(cells)}"
                f" | {fmean(hurt) if hurt else 0:,.0f} |"
            )
        return lines

    def _by_traffic(self) -> list[str]:
        """Share rolled back / median minutes / hurt, by requests a minute."""
        heads = " | ".join(f"{rpm:,} rpm" for rpm in simulate.TRAFFIC)
        lines = [
            "Rolled back / median minutes / requests hurt.",
            "",
            f"| candidate | {heads} |",
            "|---" * (len(simulate.TRAFFIC) + 1) + "|",
        ]
        for scenario, cells in self._scenarios("ramp", ("harmful",)):
            row = []
            for rpm in simulate.TRAFFIC:
                at = [one for one in cells if one.cell.rpm == rpm]
                share = percent(fmean(one.rolled_back for one in at)) if at else "–"
                row.append(f"{share} / {_median(at)} / {fmean(one.hurt for one in at):,.0f}" if at else "–")
            lines.append(f"| {scenario.says} | {' | '.join(row)} |")
        return lines

    def _full(self) -> list[str]:
        lines = [
            (
                "Ten minutes at weight 100 after a ramp of identical versions. Tripped: the guard asked for a"
                " comparison, a step back. Minutes run from the shift to 100 %, over those that tripped."
            ),
            "",
            "| at 100 % | tripped | in the worst cell | median minutes |",
            "|---|---|---|---|",
        ]
        for scenario, cells in self._scenarios("full", ("harmless", "harmful")):
            worst = max if scenario.kind == "harmless" else min
            tripped = [minute for one in cells for minute in one.minutes if minute < NOTICED_AT]
            lines.append(
                f"| {scenario.says} | {percent(fmean(one.rolled_back for one in cells))}"
                f" | {percent(worst(one.rolled_back for one in cells))} | {median(tripped) if tripped else '–'} |"
            )
        return lines

    def _partial(self) -> list[str]:
        cells = self.of("partial")
        if not cells:
            return []
        soon, waited = (fmean(column) for column in zip(*((one.rolled_back, one.also) for one in cells), strict=True))
        worst = max(one.rolled_back for one in cells)
        return [
            (
                "Identical versions, judged as soon as a minute has been over for 60 seconds, on a random half of its"
                f" requests, at every poll: {percent(soon)} rolled back ({percent(worst)} in the worst cell). The same"
                f" rollouts judged after 120 seconds, on all of them: {percent(waited)}."
            ),
        ]

    def _day(self) -> list[str]:
        lines = [
            f"## {simulate.DAY.says.capitalize()}",
            "",
            "1,440 minutes at 50 %, a stable version that fails 1 %.",
            "",
        ]
        return lines + [
            f"* {one.cell.rpm:,} rpm: {percent(one.rolled_back)} of {one.cell.replicates:,} rolled back"
            for one in self.of("day")
        ]

    def _scenarios(self, part: Part, kinds: Sequence[str]) -> Iterable[tuple[Scenario, list[Result]]]:
        """Each scenario of the part that was run, with its cells."""
        named = simulate.RAMPS if part == "ramp" else simulate.FULLS
        for name, group in groupby(self.of(part), key=lambda one: one.cell.scenario):
            if named[name].kind in kinds:
                yield named[name], list(group)


def percent(share: float) -> str:
    """A share with as many digits as it takes."""
    return f"{100 * share:.3g} %"


def _median(cells: Iterable[Result]) -> str:
    minutes = median(minute for one in cells for minute in one.minutes)
    return "never" if minutes >= NOTICED_AT else f"{minutes:g}"
