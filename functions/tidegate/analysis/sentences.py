"""What is said of one metric's evidence: both versions side by side, in the words that suit its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tidegate.analysis.judge import RECENT_MINUTES, Evidence
from tidegate.analysis.metric import SLOW, Judged, Kind
from tidegate.frozen import frozen

#: From so many minutes on, the last ones are told beside.
LONG_MINUTES: Final = 15
_SMALLEST_P: Final = 1e-6


@frozen
class Words:
    """What is said of a kind of metric: before the candidate's share and the stable version's, and of what it is.

    `label` begins the sentence where only the metric's own name says what is counted. `saw` stands before both shares
    where nothing is wrong, and `was` after them.
    """

    does: str
    stable_does: str
    of: str = " requests"
    label: bool = False
    saw: str = ""
    was: str = ""


WORDS: Final[Mapping[Kind, Words]] = {
    Kind.FAILED: Words("fails ", "", was=" requests failed"),
    Kind.EXECUTED: Words("fails ", "", of=" executions", was=" executions failed"),
    Kind.SLOW: Words("is slow in ", "in ", saw="slow in ", was=" requests"),
    Kind.COUNTED: Words("", "", of="", label=True),
    Kind.MEASURED: Words("above the usual in ", "in ", of=" values", label=True, saw="above the usual in "),
}


def label(metric: Judged) -> str:
    """What begins a sentence on a metric that only its name tells from others."""
    if metric.kind is Kind.SLOW and metric.name != SLOW:
        return f"{metric.name}: "
    return f"{metric.name}: " if WORDS[metric.kind].label else ""


def _does(metric: Judged) -> str:
    """What is said before the candidate's share: of what lies above a percentile, of which one.

    Half of the stable version's requests are above its p50, which nobody would call slow.
    """
    usual = f"p{100 * (1 - (metric.usual_share or 0.0)):.4g}"
    if metric.kind is Kind.SLOW and metric.name != SLOW:
        return f"takes longer than the usual {usual} in "
    return f"above the usual {usual} in " if metric.kind is Kind.MEASURED else WORDS[metric.kind].does


def side_by_side(evidence: Evidence) -> str:
    """Both versions' shares over the minutes that they were compared in, and over the last ones of many."""
    words, does = WORDS[evidence.metric.kind], _does(evidence.metric)
    if not evidence.candidate or not evidence.stable:
        return f"{evidence.metric.name}: no minute seen yet in which both versions served"
    both = (
        (evidence.candidate_bad, evidence.candidate),
        (evidence.stable_bad, evidence.stable),
    )
    (candidate, requests), (stable, others) = ((f"{figure(100 * bad / of)} %", f"{of:,}") for bad, of in both)
    minutes = f"same {evidence.minutes:,} minutes" if evidence.minutes > 1 else "same minute"
    seen = f"candidate {does}{candidate} of {requests}{words.of}, stable {words.stable_does}{stable} of {others}"
    rates = label(evidence.metric) + seen
    bad, requests_of, stable_bad, stable_of = evidence.recent
    if evidence.minutes < LONG_MINUTES:
        return f"{rates} in the {minutes}"
    last = f"{figure(100 * bad / requests_of)} % against {figure(100 * stable_bad / stable_of)} %"
    return f"{rates} in the {minutes} ({last} in the last {RECENT_MINUTES})"


def percent(bad: int, requests: int) -> float | None:
    """A share in percent; None of nothing."""
    return 100 * bad / requests if requests else None


def figure(value: float) -> str:
    """A percentage to two digits."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 - no 1e+02


def p_value(p: float) -> str:
    """A p-value with its sign; below the smallest one only that it is."""
    return f"= {p:.1g}" if p >= _SMALLEST_P else f"< {_SMALLEST_P:.6f}"
