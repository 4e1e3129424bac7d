"""docs/judge-figures.md: the simulation's figures in words and tables, of which the README repeats one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median
from typing import Final

import numpy as np

from bench.judge import peers, simulate
from bench.judge.figures import Figures, place, together
from bench.judge.interval import percent
from bench.judge.loop import LATE_SECONDS, NOTICED_AT
from bench.judge.scenarios import SCENARIOS
from bench.judge.simulate import Result

#: Between these lines stands the table that the README repeats.
MARKS: Final = ("<!-- beside other rules -->", "<!-- end of the other rules -->")


def markdown(figures: Figures) -> str:
    """The whole page."""
    sections = [
        ["# The judge in figures", "", "<!-- generated: run the command below, do not edit -->"],
        [_set_up(figures)],
        ["## Limits", "", *(f"* {limit}" for limit in figures.limits())],
        ["## Harmless candidates", "", *_harmless(figures)],
        ["## Harm", "", *_harm(figures)],
        ["## The last step", "", *_last_step(figures)],
        ["## Half of the newest minute", "", *_halves(figures)],
        ["## Days", "", *_days(figures)],
        ["## Beside other rules", "", *_rules(figures)],
        ["## Every cell", "", *_cells(figures.results)],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def rules_table(page: str) -> str:
    """The table of the other rules on a page that was written.

    Raises:
        ValueError: the page has lost its marks.
    """
    if any(page.count(mark) != 1 for mark in MARKS):
        raise ValueError(f"the page must have each of these lines once: {' and '.join(MARKS)}")
    return page.partition(MARKS[0])[2].partition(MARKS[1])[0].strip()


def _set_up(figures: Figures) -> str:
    command = f"python -m bench.judge --simulate --replicates {figures.replicates} --seed {figures.seed}"
    rates = ", ".join(percent(one) for one in simulate.ERROR_RATES)
    return (
        f"`{command}`: the real control logic on drawn rollouts, as a closed loop. A look sees the minutes that have"
        f" been over for {LATE_SECONDS} seconds and decides as CheckHealth does; what it decides is the weight from"
        " then on, and so what is drawn, and when the next look comes. The plan is 12 minutes at 10 %, 12 at 50 % and 5"
        " at 100 %, with the defaults of a request; the day before is drawn, too. The grid is"
        f" {', '.join(f'{rpm:,}' for rpm in simulate.TRAFFIC)} requests a minute by a stable version that fails {rates}"
        f" of them; elsewhere it fails {percent(simulate.USUAL_RATE)}. Behind each share stands its exact 95 % interval"
        " (Clopper and Pearson), behind each mean how far it may be off with 95 % confidence. Drawn by numpy"
        f" {np.__version__}."
    )


# --- Harmless ---------------------------------------------------------------------------------------------------------


def _harmless(figures: Figures) -> Iterator[str]:
    yield (
        "Rolled back, for whatever reason. Proven: promoted with proof. Of the rest nothing was known in the end, and"
        " nothing hinted at harm."
    )
    yield ""
    yield "| candidate | rollouts | rolled back | in the worst cell | proven | weight moved |"
    yield "|---|---|---|---|---|---|"
    for name, results in _by_scenario(figures.of("ramp"), simulate.HARMLESS):
        back = together(one.rolled_back for one in results)
        worst = max(results, key=lambda one: one.rolled_back.found)
        yield (
            f"| {SCENARIOS[name].says} | {back.of:,} | {back} | {worst.rolled_back}, {place(worst.cell)}"
            f" | {percent(together(one.proven for one in results).found)} | {_moved(results)} |"
        )
    yield ""
    yield from _why(figures.of("ramp", "identical"))


def _why(results: Sequence[Result]) -> Iterator[str]:
    reasons = sum((Counter(one.why) for one in results), Counter[str]())
    if reasons:
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        yield f"Why identical versions were rolled back: {told}."


def _moved(results: Sequence[Result]) -> str:
    """How often the weight was moved otherwise than up."""
    counts = sum((Counter(one.moved) for one in results), Counter[str]())
    of = sum(one.rolled_back.of for one in results)
    told = (f"{action.replace('_', ' ')} in {percent(count / of)}" for action, count in sorted(counts.items()))
    return ", ".join(told) or "–"


# --- Harm -------------------------------------------------------------------------------------------------------------


def _harm(figures: Figures) -> Iterator[str]:
    rates = " and ".join(percent(rate) for rate in simulate.HARM_RATES)
    yield (
        "Missed / median minutes to the rollback, from the start / requests hurt in the mean. What is missed hurts"
        f" until minute {NOTICED_AT}. The stable version fails {rates}, both taken together; each alone is below."
    )
    yield ""
    yield f"| candidate | {' | '.join(f'{rpm:,} rpm' for rpm in simulate.TRAFFIC)} |"
    yield "|---" * (len(simulate.TRAFFIC) + 1) + "|"
    for name, results in _by_scenario(figures.of("ramp"), simulate.HARM):
        cells = [_harm_at([one for one in results if one.cell.rpm == rpm]) for rpm in simulate.TRAFFIC]
        yield f"| {SCENARIOS[name].says} | {' | '.join(cells)} |"


def _harm_at(results: Sequence[Result]) -> str:
    if not results:
        return "–"
    hurt = sum(one.hurt.found for one in results) / len(results)
    return f"{percent(together(one.missed for one in results).found)} / {_median(results)} / {hurt:,.0f}"


def _median(results: Iterable[Result]) -> str:
    minutes = median(minute for one in results for minute in one.minutes)
    return "never" if math.isinf(minutes) else f"{minutes:.1f}".removesuffix(".0")


def _last_step(figures: Figures) -> Iterator[str]:
    yield "What begins once all traffic is the candidate's. The rollout steps back, and compares both versions again."
    yield ""
    yield "| candidate | rolled back | minutes to it | requests hurt | weight moved |"
    yield "|---|---|---|---|---|"
    for name, results in _by_scenario(figures.of("ramp"), simulate.LATE):
        back = together(one.rolled_back for one in results)
        hurt = ", ".join(f"{one.hurt} at {one.cell.rpm:,} rpm" for one in results)
        harmful = SCENARIOS[name].kind == "harmful"
        yield (
            f"| {SCENARIOS[name].says} | {back} | {_median(results)} | {hurt if harmful else '–'} | {_moved(results)} |"
        )


# --- The rest ---------------------------------------------------------------------------------------------------------


def _halves(figures: Figures) -> Iterator[str]:
    results = figures.of("halves")
    if results:
        yield (
            "Identical versions; of each minute a random half of its requests is seen once it has been over for 60"
            f" seconds, and all of it after 120: {together(one.rolled_back for one in results)} rolled back."
        )


def _days(figures: Figures) -> Iterator[str]:
    yield "At 50 % for so long, and then five minutes at 100 %."
    yield ""
    says = {"day": "24 hours", "week": "7 days"}
    for part in ("day", "week"):
        for one in figures.of(part):
            yield (
                f"* {one.cell.about.says}, {says[part]}, {one.cell.rpm:,} rpm: {one.rolled_back} of"
                f" {one.rolled_back.of:,} rolled back; weight moved: {_moved([one])}"
            )


def _rules(figures: Figures) -> Iterator[str]:
    if figures.scores:
        good, bad = (
            ", ".join(SCENARIOS[name].says.partition(":")[0] for name in names) for names in (peers.GOOD, peers.BAD)
        )
        counted = next(iter(figures.scores.values()))
        yield (
            "The same drawn cases for every rule: twelve minutes at 10 %, twelve at 50 %, a stable version that fails"
            f" {percent(peers.ERROR_RATE)}, {' and '.join(f'{rpm:,}' for rpm in peers.TRAFFIC)} requests a minute."
            f" {counted.good:,} good ones ({good}), {counted.bad:,} bad ones ({bad}). Harm ends with the"
            " schedule, also where nobody has seen it."
        )
        yield ""
    yield MARKS[0]
    yield from peers.table(figures.scores)
    yield MARKS[1]


def _cells(results: Sequence[Result]) -> Iterator[str]:
    yield "| candidate | where | rollouts | rolled back | median minutes | requests hurt | proven | weight moved |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in results:
        says = one.cell.about.says if one.cell.part == "ramp" else f"{one.cell.about.says} ({one.cell.part})"
        hurt = "–" if one.cell.about.kind == "harmless" else str(one.hurt)
        yield (
            f"| {says} | {place(one.cell)} | {one.rolled_back.of:,} | {one.rolled_back} | {_median([one])} | {hurt}"
            f" | {percent(one.proven.found)} | {_moved([one])} |"
        )


def _by_scenario(results: Sequence[Result], names: Iterable[str]) -> Iterator[tuple[str, list[Result]]]:
    """Those of these scenarios that were run, each with its cells."""
    wanted = set(names)
    for name, group in groupby(results, key=lambda one: one.cell.scenario):
        if name in wanted:
            yield name, list(group)
