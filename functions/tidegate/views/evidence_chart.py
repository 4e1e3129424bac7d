"""The judge's evidence over the rollout, a chart for each metric."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import Final

from tidegate.views import rollout_view as views
from tidegate.views.frame import (
    Dot,
    Frame,
    legend,
    limit_line,
    line,
    mark,
    svg,
    thinned,
)
from tidegate.views.rollout_view import EvidenceView, LastStepView, RolloutView, VerdictView

_TURNS_BACK: Final = frozenset({"roll_back", "step_back", "flinch"})
#: Evidence is drawn up to twice what convicts, in every report alike.
_EVIDENCE_TOP_PERCENT: Final = 200


def evidence_charts(view: RolloutView, minutes: float) -> str:
    """Each metric's wealths beside what convicts, and the guard's, which takes over where nobody is left to compare."""
    verdicts = view.verdicts
    metrics = dict.fromkeys(metric for verdict in verdicts for metric in _metrics(verdict))
    if not metrics:
        return ""
    last = " At full weight there is nobody to compare with: there the guard watches, and steps back."
    guarded = any(verdict.last_step for verdict in verdicts)
    return (
        f"<section>{''.join(_evidence_chart(view, metric, minutes) for metric in metrics)}"
        "<p class='note'>100 % is the evidence that convicts. A candidate is rolled back where both lines of one metric"
        f" reach it.{last if guarded else ''} Drawn between 0 and {_EVIDENCE_TOP_PERCENT} %.</p></section>"
    )


def _metrics(verdict: VerdictView) -> list[str]:
    return [one.metric for one in verdict.evidence] + [one.metric for one in verdict.last_step]


def _evidence_chart(view: RolloutView, metric: str, minutes: float) -> str:
    frame = Frame(minutes, _EVIDENCE_TOP_PERCENT, 120)
    worse, intolerable = f"worse than version {view.stable}", "worse than tolerated"
    seen, last_step = _strongest(view.verdicts, metric), _last_step_runs(view.verdicts, metric)
    first = [_evidence_dot(verdict, one, worse, one.worse_percent, one.p_worse) for verdict, one in seen]
    second = [
        _evidence_dot(verdict, one, intolerable, one.intolerable_percent, one.p_intolerable) for verdict, one in seen
    ]
    third = [[_last_step_dot(*look) for look in run] for run in last_step]
    lines = line("worse", [first], frame) + line("intolerable", [second], frame) + line("guard", third, frame)
    key = legend(
        *((("worse", worse), ("intolerable", intolerable)) if seen else ()),
        *((("guard", f"guard: worse than version {view.stable} was before"),) if last_step else ()),
    )
    turned = (verdict for verdict in view.verdicts if verdict.decision in _TURNS_BACK)
    marks = "".join(_back(verdict, frame, metric) for verdict in turned)
    title = f"Evidence on {views.metric_title(metric)}"
    drawing = lines + limit_line(frame, 100, "convicts") + marks
    return f"<h2>{escape(title)} {key}</h2>{svg(frame, f'{title}, in percent of what convicts', drawing)}"


def _strongest(verdicts: Iterable[VerdictView], metric: str) -> list[tuple[VerdictView, EvidenceView]]:
    """A metric's evidence; of neighbours too many to draw, the one nearest to convicting."""
    pairs = [(verdict, one) for verdict in verdicts for one in verdict.evidence if one.metric == metric]
    return [
        max(group, key=lambda pair: min(pair[1].worse_percent, pair[1].intolerable_percent)) for group in thinned(pairs)
    ]


def _last_step_runs(verdicts: Iterable[VerdictView], metric: str) -> list[list[tuple[VerdictView, LastStepView]]]:
    """A metric's guard in unbroken runs: a step back ends one."""
    looks = ((verdict, next((one for one in verdict.last_step if one.metric == metric), None)) for verdict in verdicts)
    runs = (list(run) for _, run in groupby(looks, key=lambda look: look[1] is None))
    return [
        [
            max(group, key=lambda pair: pair[1].percent)
            for group in thinned([(verdict, last) for verdict, last in run if last])
        ]
        for run in runs
        if run[0][1]
    ]


def _evidence_dot(verdict: VerdictView, one: EvidenceView, text: str, percent: float, p: float) -> Dot:
    told = (
        f"{views.timer(verdict.at_second)} {text}: {percent:.0f} % of what convicts, {views.p_value(p)};"
        f" {one.candidate} against {one.stable}"
    )
    return Dot(verdict.at_second / 60, percent, told)


def _last_step_dot(verdict: VerdictView, last: LastStepView) -> Dot:
    expected = views.measure(last.expected_at_most_percent, "%")
    told = (
        f"{views.timer(verdict.at_second)} guard: {last.percent:.0f} % of what trips it;"
        f" {last.candidate}, at most {expected} expected"
    )
    return Dot(verdict.at_second / 60, last.percent, told)


def _convicting(verdict: VerdictView, metric: str) -> float | None:
    """How far a metric's own evidence reached at a verdict, in percent; None where the verdict was not for it."""
    reached = [min(one.worse_percent, one.intolerable_percent) for one in verdict.evidence if one.metric == metric]
    reached += [last.percent for last in verdict.last_step if last.metric == metric]
    startled = any(one.startles for one in verdict.evidence if one.metric == metric)
    return next((percent for percent in reached if percent >= 100 or startled), None)  # noqa: PLR2004


def _back(verdict: VerdictView, frame: Frame, metric: str) -> str:
    """A turn back, from top to bottom, where this metric is why: alarms and limits are not evidence."""
    reached = _convicting(verdict, metric)
    if reached is None:
        return ""
    x = frame.x(verdict.at_second / 60)
    line = f"<line class='back {escape(verdict.decision)}' x1='{x}' x2='{x}' y1='{frame.top}' y2='{frame.bottom}'/>"
    return line + mark(verdict, frame, reached)
