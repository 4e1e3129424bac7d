"""What a rule's verdicts are worth: good releases it rolled back, bad ones it missed, and how long harm lasted."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.judge.cases import Case, Truth

Verdict = Literal["fail", "pass", "inconclusive"]
_HEADS = ("false rollbacks", "misses", "median minutes", "requests hurt")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case's final verdict, and the poll (minute since the start) that rolled it back.

    `hurt` is how many requests a bad one has hurt until then, where the weights were not as recorded; None: what
    follows from the minute. `flinches` is how often the weight was lowered in between.
    """

    verdict: Verdict
    minute: int | None = None
    hurt: float | None = None
    flinches: int = 0


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
    oracle2_hurt: float | None
    verdicts: Mapping[str, Outcome]

    @property
    def ratio(self) -> float | None:
        """The requests hurt, as so many times those of the oracle; None where its are not known, or none."""
        return round(self.requests_hurt / self.oracle2_hurt, 3) if self.oracle2_hurt else None

    def figures(self) -> dict[str, Any]:
        """What is said of some of the cases, such as those of a regime."""
        return {
            "good": self.good,
            "false_rollbacks": self.false_rollbacks,
            "bad": self.bad,
            "misses": self.misses,
            "requests_hurt": self.requests_hurt,
            "oracle2_hurt": self.oracle2_hurt,
            "ratio": self.ratio,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; a verdict is a list of two."""
        return {
            **self.figures(),
            "median_minutes": self.median_minutes,
            "verdicts": {case: [one.verdict, one.minute] for case, one in self.verdicts.items()},
        }


def score(cases: Sequence[Case], outcomes: Mapping[str, Outcome]) -> Score:
    """Score one rule's outcomes, which name every case.

    A fail without a minute is one that only the end of the bake saw: caught, but all the harm was done. A bad
    release rolled back before its harm began counts with negative minutes; no harm came of it, and none is credited.
    """
    good = [outcomes[case.id] for case in cases if case.truth.label == "good"]
    bad = [(case.truth, outcomes[case.id]) for case in cases if case.truth.label == "bad"]
    minutes = [one.minute - truth.onset for truth, one in bad if one.verdict == "fail" and one.minute is not None]
    oracle = [case.truth.oracle2_hurt for case in cases if case.truth.label == "bad"]
    known = sum(one for one in oracle if one is not None) if oracle and None not in oracle else None
    return Score(
        good=len(good),
        false_rollbacks=sum(one.verdict == "fail" for one in good),
        bad=len(bad),
        misses=sum(one.verdict != "fail" for _, one in bad),
        median_minutes=float(statistics.median(minutes)) if minutes else None,
        requests_hurt=round(sum(_hurt(truth, one) for truth, one in bad)),
        oracle2_hurt=known,
        verdicts={case.id: outcomes[case.id] for case in cases},
    )


def _hurt(truth: Truth, outcome: Outcome) -> float:
    if outcome.hurt is not None:
        return outcome.hurt
    return sum(truth.expected_excess[: outcome.minute if outcome.verdict == "fail" else None])


def scores(cases: Sequence[Case], outcomes: Outcomes) -> dict[str, Score]:
    """Score every rule."""
    return {rule: score(cases, by_case) for rule, by_case in outcomes.items()}


def regimes(cases: Sequence[Case], outcomes: Mapping[str, Outcome]) -> dict[str, Score]:
    """Score one rule's outcomes by regime, in the order in which they first come."""
    named = dict.fromkeys(case.regime for case in cases if case.regime)
    return {regime: score([case for case in cases if case.regime == regime], outcomes) for regime in named}


def table(scored: Mapping[str, Score]) -> str:
    """The scores as plain text, a rule a line."""
    return _aligned(("rule", *_HEADS), {rule: _cells(one) for rule, one in scored.items()})


def table_of_regimes(scored: Mapping[str, Score]) -> str:
    """The judge's scores as plain text, a regime a line, beside the oracle's."""
    return _aligned(
        ("regime", *_HEADS, "an oracle's", "ratio"),
        {
            regime: (
                *_cells(one),
                "–" if one.oracle2_hurt is None else f"{one.oracle2_hurt:.0f}",
                "–" if one.ratio is None else f"{one.ratio:.2f}",
            )
            for regime, one in scored.items()
        },
    )


def _aligned(heads: tuple[str, ...], rows: Mapping[str, tuple[str, ...]]) -> str:
    lines = [heads, *((name, *cells) for name, cells in rows.items())]
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
