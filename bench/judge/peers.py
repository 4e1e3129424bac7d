"""The judge beside the rules that rollouts are judged by elsewhere, on drawn rollouts of one fixed schedule.

Twelve minutes at 10 %, twelve at 50 %, as in the recorded cases, and replayed as they are: nobody's rule moves the
weight of another. The stable version fails 0.1 %, so that a threshold of 1 % is no unfair one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.judge import cases, record, replay, score
from bench.judge.interval import Share
from bench.judge.score import Outcome, Outcomes, Score
from bench.judge.simulate import Cell, in_processes

ERROR_RATE: Final = 0.001
TRAFFIC: Final = (100, 1_000, 10_000)
GOOD: Final = ("identical", "cold", "blip", "clumps", "burst", "storm")
BAD: Final = ("catastrophe", "third", "material", "x5", "leak", "slow")
#: Of so many replicates of a ramp one is made: seven more rules are asked at each of its minutes.
PARTS: Final = 10
#: Every rule in words, in the order of the table.
SAYS: Final[Mapping[str, str]] = {
    replay.RULE: "**Tidegate's judge**",
    "codedeploy": "CodeDeploy alarm, an error in two minutes",
    "error_rate_alarm": "alarm on the alias, 1 % in two of three minutes",
    "flagger": "Flagger, candidate above 1 %",
    "argo": "Argo, candidate above 1 %",
    "kayenta": "Kayenta, at the end of each step",
    "fisher": "Fisher's exact test at every look",
    "turner_ly_grunwald": "safe test of two proportions",
}


def cells(replicates: int, seed: int) -> list[Cell]:
    """What is replayed."""
    each = math.ceil(replicates / PARTS)
    return [Cell("ramp", name, rpm, ERROR_RATE, each, seed) for name in (*GOOD, *BAD) for rpm in TRAFFIC]


def scores(
    todo: Sequence[Cell], processes: int | None = None, say: Callable[[str], None] = lambda _: None
) -> dict[str, Score]:
    """Every rule's score on all of these cells together."""
    found = in_processes(_replayed, todo, processes, say)
    replayed = [case for some, _ in found for case in some]
    outcomes: dict[str, dict[str, Outcome]] = {rule: {} for _, by_rule in found for rule in by_rule}
    for _, by_rule in found:
        for rule, by_case in by_rule.items():
            outcomes[rule].update(by_case)
    return score.scores(replayed, outcomes)


def _replayed(cell: Cell) -> tuple[tuple[cases.Case, ...], Outcomes]:
    drawn = [
        {"id": f"{cell.scenario} {cell.rpm} {number}", **record.drawn(cell, cell.rng(number))}
        for number in range(cell.replicates)
    ]
    found = cases.from_json({"cases": drawn})
    return found, replay.replay_all(found)


def table(scored: Mapping[str, Score]) -> list[str]:
    """Every rule's score as Markdown, with the interval of each share."""
    return [
        "| rule | good releases rolled back | bad ones missed | minutes to rollback | requests hurt |",
        "|---|---|---|---|---|",
        *(
            f"| {SAYS[rule]} | {Share(one.false_rollbacks, one.good)} | {Share(one.misses, one.bad)}"
            f" | {'–' if one.median_minutes is None else f'{one.median_minutes:g}'} | {one.requests_hurt:,} |"
            for rule, one in scored.items()
        ),
    ]
