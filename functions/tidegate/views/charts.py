"""The report's charts, one under the other on one time axis: inline SVG that needs no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from statistics import NormalDist, median
from typing import Final, TypeVar

from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import Counts, EvidenceView, GuardView, MinuteView, RolloutView, VerdictView

_Each = TypeVar("_Each")

#: More points than this no screen can tell apart.
_MAX_POINTS: Final = 240
#: Up to so many points are drawn large enough to be pointed at.
_ROOMY_POINTS: Final = 100
_MAX_TICKS: Final = 9
_TICK_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14400)
_SHARE_TICKS_PERCENT: Final = (0.5, 1, 2, 5, 10, 20, 50)
#: Evidence is drawn up to twice what convicts, in every report alike.
_EVIDENCE_TOP_PERCENT: Final = 200
_BAND_Z: Final = NormalDist().inv_cdf(0.975)
#: A point without neighbours gets a band this wide, to each side.
_LONE_BAND: Final = 4

_MARKS: Final = {"advance": "▲", "promote": "✓", "roll_back": "✕", "step_back": "▼", "hold": "‖"}
_TURNS_BACK: Final = frozenset({"roll_back", "step_back"})


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a chart draws: minutes and percents in, SVG coordinates out."""

    minutes: float
    top_percent: float
    height: float
    left: float = 48
    right: float = 908
    top: float = 14

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, minute: float) -> float:
        return round(self.left + (self.right - self.left) * min(minute / self.minutes, 1.0), 1)

    def y(self, percent: float) -> float:
        return round(self.bottom - self.height * min(percent / self.top_percent, 1.0), 1)


@dataclass(frozen=True, slots=True)
class _Share:
    """One kind of bad request, as a share of all."""

    title: str
    label: str
    became: str
    bad_of: Callable[[Counts], int]
    percent_of: Callable[[Counts], float | None]


_ERRORS: Final = _Share(
    "Error rate",
    "The error rate of both versions by the minute, with its 95 % interval",
    "failed",
    lambda counts: counts.errors,
    lambda counts: counts.error_percent,
)
_SLOW: Final = _Share(
    "Slow requests",
    "The share of slow requests of both versions by the minute, with its 95 % interval",
    "were slow",
    lambda counts: counts.slow,
    lambda counts: counts.slow_percent,
)


@dataclass(frozen=True, slots=True)
class _Point:
    """Some neighbouring minutes taken together; `middle` is in minutes since the start."""

    middle: float
    stable: Counts
    candidate: Counts


@dataclass(frozen=True, slots=True)
class _Dot:
    """One point of a line, and what it says when pointed at."""

    minute: float
    percent: float
    told: str


def charts(view: RolloutView) -> str:
    """Weight, error rate and slow requests, and the evidence where there is any."""
    # A minute still filling, or the last one, may reach past the end of the rollout.
    minutes = max(view.elapsed_seconds / 60, max((minute.t + 1 for minute in view.minutes), default=0), 1.0)
    spread = _spread(view.minutes)
    weights = _Frame(minutes, 100, 130)
    return f"""<section>
<h2>Traffic to version {escape(view.candidate or "…")}</h2>
{_svg(weights, "The candidate's share of the traffic over time", _weight_chart(view, weights))}
{_share_chart(view, spread, minutes, _ERRORS, _error_limit(view))}
{_share_chart(view, spread, minutes, _SLOW, None)}
<p class="note">Bands are the 95 % intervals of each point. Slow is slower than the stable version's p99 before the
rollout.</p>
</section>{_evidence_charts(view, minutes)}"""


def interval_percent(bad: int, requests: int) -> tuple[float, float]:
    """A 95 % interval for a share, in percent: Wilson's, which holds for few requests and for none that is bad.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927); recommended
    for few requests by Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16
    (2001). `requests` is at least 1.
    """
    share = min(bad / requests, 1.0)
    shrink = 1 + _BAND_Z**2 / requests
    centre = (share + _BAND_Z**2 / (2 * requests)) / shrink
    reach = _BAND_Z / shrink * math.sqrt(share * (1 - share) / requests + (_BAND_Z / (2 * requests)) ** 2)
    return max(0.0, 100 * (centre - reach)), min(100.0, 100 * (centre + reach))


def _svg(frame: _Frame, label: str, drawing: str) -> str:
    grid = "".join(
        f"<line class='grid' x1='{frame.left}' x2='{frame.right}' y1='{frame.y(value)}' y2='{frame.y(value)}'/>"
        f"<text class='tick' x='{frame.left - 8}' y='{frame.y(value) + 4}' text-anchor='end'>"
        f"{views.percent(value)}</text>"
        for value in (0, frame.top_percent / 2, frame.top_percent)
    )
    axis = "".join(
        f"<text class='tick' x='{frame.x(minute)}' y='{frame.bottom + 20}' text-anchor='middle'>"
        f"{views.span(minute * 60) if minute else '0'}</text>"
        for minute in _ticks(frame.minutes)
    )
    size = f"0 0 934 {frame.bottom + 28:g}"
    svg = f"<svg viewBox='{size}' role='img' aria-label='{escape(label)}'>{grid}{axis}{drawing}</svg>"
    return f"<div class='chart'>{svg}</div>"


def _ticks(minutes: float) -> Iterator[int]:
    apart = next((tick for tick in _TICK_MINUTES if minutes / tick <= _MAX_TICKS), _TICK_MINUTES[-1])
    return iter(range(0, math.floor(minutes) + 1, apart))


def _key(*entries: tuple[str, str]) -> str:
    """A legend: each line's class and its name."""
    return (
        f"<span class='key'>{''.join(f'<span><i class={name!r}></i>{escape(text)}</span>' for name, text in entries)}"
        "</span>"
    )


# --- Weight -----------------------------------------------------------------------------------------------------------


def _weight_chart(view: RolloutView, frame: _Frame) -> str:
    x, y, path = frame.x(0), frame.y(0), f"M{frame.x(0)} {frame.y(0)}"
    for shift in view.weights:
        x, y = frame.x(shift.at_second / 60), frame.y(shift.weight_percent)
        path += f"H{x}V{y}"
    x = frame.x(view.elapsed_seconds / 60)
    area = f"<path class='area' d='{path}H{x}V{frame.y(0)}Z'/><path class='line candidate' d='{path}H{x}'/>"
    turns = [verdict for verdict in view.verdicts if verdict.decision in _MARKS]
    marks = [_mark(verdict, frame, verdict.weight_percent) for verdict in turns]
    return area + "".join(marks) + _end_mark(view, frame, turns[-1].decision if turns else "")


def _end_mark(view: RolloutView, frame: _Frame, last: str) -> str:
    """The end of a rollout that had moved traffic, where no verdict marks it: a person or a guard ended it."""
    decision = "promote" if view.outcome == "promoted" else "roll_back"
    moved = [shift.weight_percent for shift in view.weights if shift.weight_percent]
    if view.outcome is None or last == decision or not moved:
        return ""
    reason = f"{views.outcome_title(view.outcome)}. {views.why(view)}".strip()
    return _mark_at(frame, view.elapsed_seconds, moved[-1], decision, reason)


def _mark(verdict: VerdictView, frame: _Frame, percent: float) -> str:
    reason = f"{views.spoken(verdict.decision)}: {verdict.reason}"
    return _mark_at(frame, verdict.at_second, percent, verdict.decision, reason)


def _mark_at(frame: _Frame, second: float, percent: float, decision: str, reason: str) -> str:
    x, y = frame.x(second / 60), frame.y(percent)
    return (
        f"<g class='mark {escape(decision)}'><title>{escape(f'{views.timer(second)} {reason}')}</title>"
        f"<circle cx='{x}' cy='{y}' r='9'/>"
        f"<text x='{x}' y='{y + 4}' text-anchor='middle'>{_MARKS[decision]}</text></g>"
    )


# --- Shares of bad requests -------------------------------------------------------------------------------------------


def _share_chart(
    view: RolloutView, spread: Sequence[_Point], minutes: float, share: _Share, limit: float | None
) -> str:
    frame = _Frame(minutes, _top_percent(spread, share, limit), 150)
    versions: tuple[tuple[str, str, Callable[[_Point], Counts]], ...] = (
        ("stable", view.stable, lambda point: point.stable),
        ("candidate", view.candidate or "…", lambda point: point.candidate),
    )
    bands = "".join(_band(name, _runs(spread, counts_of), share, frame) for name, _, counts_of in versions)
    lines = "".join(
        _line(name, [_dots(run, version, share) for run in _runs(spread, counts_of)], frame)
        for name, version, counts_of in versions
    )
    key = _key(*((name, f"version {version}") for name, version, _ in reversed(versions)))
    threshold = "" if limit is None else _threshold(frame, limit, f"limit {views.percent(limit)}")
    return f"<h2>{share.title} {key}</h2>{_svg(frame, share.label, bands + lines + threshold)}"


def _threshold(frame: _Frame, percent: float, name: str) -> str:
    y = frame.y(percent)
    return (
        f"<line class='limit' x1='{frame.left}' x2='{frame.right}' y1='{y}' y2='{y}'/>"
        f"<text class='tick over-line' x='{frame.left + 4}' y='{y - 6}'>{escape(name)}</text>"
    )


def _runs(spread: Iterable[_Point], counts_of: Callable[[_Point], Counts]) -> list[list[tuple[float, Counts]]]:
    """One version's points in unbroken runs: where it served nothing the line breaks, for that is not a share of 0."""
    points = ((point.middle, counts_of(point)) for point in spread)
    return [list(run) for served, run in groupby(points, key=lambda point: point[1].requests > 0) if served]


def _dots(run: Iterable[tuple[float, Counts]], version: str, share: _Share) -> list[_Dot]:
    dots = []
    for middle, counts in run:
        bad, percent = share.bad_of(counts), share.percent_of(counts) or 0.0
        low, high = interval_percent(bad, counts.requests)
        told = (
            f"{views.timer(middle * 60)} version {version}: {views.percent(percent, 2)} ({low:.2f} to {high:.2f} %),"
            f" {bad:,} of {counts.requests:,} {share.became}"
        )
        dots.append(_Dot(middle, percent, told))
    return dots


def _line(name: str, runs: Sequence[Sequence[_Dot]], frame: _Frame) -> str:
    path, dots = "", ""
    radius = 3 if sum(map(len, runs)) <= _ROOMY_POINTS else 1.5
    for run in runs:
        for number, dot in enumerate(run):
            x, y = frame.x(dot.minute), frame.y(dot.percent)
            path += f"{'L' if number else 'M'}{x} {y}"
            dots += (
                f"<circle class='dot {name}' cx='{x}' cy='{y}' r='{radius}'><title>{escape(dot.told)}</title></circle>"
            )
    return f"<path class='line {name}' d='{path}'/>{dots}" if path else ""


def _band(name: str, runs: Iterable[Sequence[tuple[float, Counts]]], share: _Share, frame: _Frame) -> str:
    path = ""
    for run in runs:
        upper, lower = [], []
        for middle, counts in run:
            low, high = interval_percent(share.bad_of(counts), counts.requests)
            spots = [frame.x(middle)] if len(run) > 1 else [frame.x(middle) - _LONE_BAND, frame.x(middle) + _LONE_BAND]
            upper += [f"{x} {frame.y(high)}" for x in spots]
            lower += [f"{x} {frame.y(low)}" for x in spots]
        path += f"M{'L'.join([*upper, *reversed(lower)])}Z"
    return f"<path class='band {name}' d='{path}'/>" if path else ""


def _spread(minutes: tuple[MinuteView, ...]) -> tuple[_Point, ...]:
    """The minutes, taken together so that no more than a screen can show are left."""
    return tuple(
        _Point(
            middle=(group[0].t + group[-1].t + 1) / 2,
            stable=sum((minute.stable for minute in group), Counts()),
            candidate=sum((minute.candidate for minute in group), Counts()),
        )
        for group in _thinned(minutes)
    )


def _thinned(points: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    """Neighbours in groups, so that there are no more groups than a screen can show."""
    together = math.ceil(len(points) / _MAX_POINTS) or 1
    return (points[start : start + together] for start in range(0, len(points), together))


def _error_limit(view: RolloutView) -> float | None:
    """The user's own limit for errors in percent, where the last verdicts know one."""
    for verdict in reversed(view.verdicts):
        for check in verdict.checks:
            if check.name == "errors" and check.unit == "%" and isinstance(check.limit, (int, float)):
                return float(check.limit)
    return None


def _top_percent(spread: Iterable[_Point], share: _Share, limit: float | None) -> float:
    """What shows every rate and the limit, and most of the bands: one minute of few requests is not to flatten all."""
    served = [counts for point in spread for counts in (point.stable, point.candidate) if counts.requests]
    shown = [share.percent_of(counts) or 0.0 for counts in served]
    if served:
        shown.append(median(interval_percent(share.bad_of(counts), counts.requests)[1] for counts in served))
    highest = max([*shown, (limit or 0.0) * 1.1])
    return next((tick for tick in _SHARE_TICKS_PERCENT if highest <= tick), 100.0)


# --- Evidence ---------------------------------------------------------------------------------------------------------


def _evidence_charts(view: RolloutView, minutes: float) -> str:
    """Each metric's wealths beside what convicts, and the guard's, which takes over where nobody is left to compare."""
    verdicts = view.verdicts
    metrics = dict.fromkeys(metric for verdict in verdicts for metric in _metrics(verdict))
    if not metrics:
        return ""
    guard = " At full weight there is nobody to compare with: there the guard watches, and steps back."
    guarded = any(verdict.guards for verdict in verdicts)
    return (
        f"<section>{''.join(_evidence_chart(view, metric, minutes) for metric in metrics)}"
        "<p class='note'>100 % is the evidence that convicts. A candidate is rolled back where both lines of one metric"
        f" reach it.{guard if guarded else ''} Drawn between 0 and {_EVIDENCE_TOP_PERCENT} %.</p></section>"
    )


def _metrics(verdict: VerdictView) -> list[str]:
    return [one.metric for one in verdict.evidence] + [one.metric for one in verdict.guards]


def _evidence_chart(view: RolloutView, metric: str, minutes: float) -> str:
    frame = _Frame(minutes, _EVIDENCE_TOP_PERCENT, 120)
    worse, intolerable = f"worse than version {view.stable}", "worse than tolerated"
    seen, guards = _strongest(view.verdicts, metric), _guarded(view.verdicts, metric)
    first = [_evidence_dot(verdict, one, worse, one.worse_percent, one.p_worse) for verdict, one in seen]
    second = [
        _evidence_dot(verdict, one, intolerable, one.intolerable_percent, one.p_intolerable) for verdict, one in seen
    ]
    third = [[_guard_dot(*look) for look in run] for run in guards]
    lines = _line("worse", [first], frame) + _line("intolerable", [second], frame) + _line("guard", third, frame)
    key = _key(
        *((("worse", worse), ("intolerable", intolerable)) if seen else ()),
        *((("guard", f"guard: worse than version {view.stable} was before"),) if guards else ()),
    )
    turned = (verdict for verdict in view.verdicts if verdict.decision in _TURNS_BACK)
    marks = "".join(_back(verdict, frame, metric) for verdict in turned)
    title = f"Evidence on {views.metric_title(metric)}"
    drawing = lines + _threshold(frame, 100, "convicts") + marks
    return f"<h2>{escape(title)} {key}</h2>{_svg(frame, f'{title}, in percent of what convicts', drawing)}"


def _strongest(verdicts: Iterable[VerdictView], metric: str) -> list[tuple[VerdictView, EvidenceView]]:
    """A metric's evidence; of neighbours too many to draw, the one nearest to convicting."""
    pairs = [(verdict, one) for verdict in verdicts for one in verdict.evidence if one.metric == metric]
    return [
        max(group, key=lambda pair: min(pair[1].worse_percent, pair[1].intolerable_percent))
        for group in _thinned(pairs)
    ]


def _guarded(verdicts: Iterable[VerdictView], metric: str) -> list[list[tuple[VerdictView, GuardView]]]:
    """A metric's guard in unbroken runs: a step back ends one."""
    looks = ((verdict, next((one for one in verdict.guards if one.metric == metric), None)) for verdict in verdicts)
    runs = (list(run) for _, run in groupby(looks, key=lambda look: look[1] is None))
    return [
        [
            max(group, key=lambda pair: pair[1].percent)
            for group in _thinned([(verdict, guard) for verdict, guard in run if guard])
        ]
        for run in runs
        if run[0][1]
    ]


def _evidence_dot(verdict: VerdictView, one: EvidenceView, text: str, percent: float, p: float) -> _Dot:
    told = (
        f"{views.timer(verdict.at_second)} {text}: {percent:.0f} % of what convicts, {views.p_value(p)};"
        f" {one.candidate} against {one.stable}"
    )
    return _Dot(verdict.at_second / 60, percent, told)


def _guard_dot(verdict: VerdictView, guard: GuardView) -> _Dot:
    expected = views.measure(guard.expected_at_most_percent, "%")
    told = (
        f"{views.timer(verdict.at_second)} guard: {guard.percent:.0f} % of what trips it;"
        f" {guard.candidate}, at most {expected} expected"
    )
    return _Dot(verdict.at_second / 60, guard.percent, told)


def _convicting(verdict: VerdictView, metric: str) -> float | None:
    """How far a metric's own evidence reached at a verdict, in percent; None where it did not convict."""
    reached = [min(one.worse_percent, one.intolerable_percent) for one in verdict.evidence if one.metric == metric]
    reached += [guard.percent for guard in verdict.guards if guard.metric == metric]
    return next((percent for percent in reached if percent >= 100), None)  # noqa: PLR2004


def _back(verdict: VerdictView, frame: _Frame, metric: str) -> str:
    """A step back or a rollback, from top to bottom, where this metric is why: alarms and limits are not evidence."""
    reached = _convicting(verdict, metric)
    if reached is None:
        return ""
    x = frame.x(verdict.at_second / 60)
    line = f"<line class='back {escape(verdict.decision)}' x1='{x}' x2='{x}' y1='{frame.top}' y2='{frame.bottom}'/>"
    return line + _mark(verdict, frame, reached)
