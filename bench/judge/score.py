"""What a rule's verdicts are worth: good releases it rolled back, bad ones it missed, and how long harm lasted."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.judge.cases import Case

Verdict = Literal["fail", "pass", "inconclusive"]
#: A case's final verdict, and the poll (minute since the start) that rolled it back.
Outcome = tuple[Verdict, int | None]
#: By rule, then by case id.
Outcomes = Mapping[str, Mapping[str, Outcome]]


@dataclass(frozen=True, slots=True)
class Score:
    """One rule on all cases. `median_minutes` runs from harm's onset to the rollback, over the bad cases caught."""

    good: int
    false_rollbacks: int
    bad: int
    misses: int
    median_minutes: float | None
    requests_hurt: int
    verdicts: Mapping[str, Outcome]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; a verdict is a list of two."""
        return {
            "good": self.good,
            "false_rollbacks": self.false_rollbacks,
            "bad": self.bad,
            "misses": self.misses,
            "median_minutes": self.median_minutes,
            "requests_hurt": self.requests_hurt,
            "verdicts": {case: list(outcome) for case, outcome in self.verdicts.items()},
        }


def score(cases: Sequence[Case], outcomes: Mapping[str, Outcome]) -> Score:
    """Score one rule's outcomes, which name every case.

    A fail without a minute is one that only the end of the bake saw: caught, but all the harm was done. A bad
    release rolled back before its harm began counts with negative minutes; no harm came of it, and none is credited.
    """
    good = [outcomes[case.id] for case in cases if case.truth.label == "good"]
    bad = [(case.truth, *outcomes[case.id]) for case in cases if case.truth.label == "bad"]
    minutes = [minute - truth.onset for truth, verdict, minute in bad if verdict == "fail" and minute is not None]
    hurt = sum(sum(truth.expected_excess[: minute if verdict == "fail" else None]) for truth, verdict, minute in bad)
    return Score(
        good=len(good),
        false_rollbacks=sum(verdict == "fail" for verdict, _ in good),
        bad=len(bad),
        misses=sum(verdict != "fail" for _, verdict, _ in bad),
        median_minutes=float(statistics.median(minutes)) if minutes else None,
        requests_hurt=round(hurt),
        verdicts={case.id: outcomes[case.id] for case in cases},
    )


def scores(cases: Sequence[Case], outcomes: Outcomes) -> dict[str, Score]:
    """Score every rule."""
    return {rule: score(cases, by_case) for rule, by_case in outcomes.items()}


def table(scored: Mapping[str, Score]) -> str:
    """The scores as plain text, a rule a line."""
    heads = ("rule", "false rollbacks", "misses", "median minutes", "requests hurt")
    lines = [heads, *((rule, *_cells(score)) for rule, score in scored.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
    )


def _cells(score: Score) -> tuple[str, str, str, str]:
    return (
        f"{score.false_rollbacks} of {score.good}",
        f"{score.misses} of {score.bad}",
        "–" if score.median_minutes is None else f"{score.median_minutes:g}",
        str(score.requests_hurt),
    )
