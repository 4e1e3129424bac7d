"""The report's charts, one under the other on one time axis: inline SVG that needs no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from statistics import NormalDist, median
from typing import Final

from tidegate.ending.outcome import Outcome
from tidegate.views import rollout_view as views
from tidegate.views.evidence_chart import evidence_charts
from tidegate.views.frame import (
    MARKS,
    Dot,
    Frame,
    legend,
    limit_line,
    line,
    mark,
    mark_at,
    svg,
    thinned,
)
from tidegate.views.rollout_view import Counts, MinuteView, RolloutView

_SHARE_TICKS_PERCENT: Final = (0.5, 1, 2, 5, 10, 20, 50)
_BAND_Z: Final = NormalDist().inv_cdf(0.975)
_AS_CALLERS_SAW: Final = " Errors are as callers saw them; the judge sees Lambda's Errors."
#: A point without neighbours gets a band this wide, to each side.
_LONE_BAND: Final = 4


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


def charts(view: RolloutView) -> str:
    """Weight, error rate and slow requests, and the evidence where there is any."""
    # A minute still filling, or the last one, may reach past the end of the rollout.
    minutes = max(view.elapsed_seconds / 60, max((minute.t + 1 for minute in view.minutes), default=0), 1.0)
    spread = _spread(view.minutes)
    weights = Frame(minutes, 100, 130)
    return f"""<section>
<h2>Traffic to version {escape(view.candidate or "…")}</h2>
{svg(weights, "The candidate's share of the traffic over time", _weight_chart(view, weights))}
{_share_chart(view, spread, minutes, _ERRORS, _error_limit(view))}
{_share_chart(view, spread, minutes, _SLOW, None)}
<p class="note">Bands are the 95 % intervals of each point.{_AS_CALLERS_SAW * view.by_callers} Slow is slower than the
stable version's p99 before the rollout; p50 and p90 are in the evidence below, where they spoke.</p>
</section>{evidence_charts(view, minutes)}"""


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


# --- Weight -----------------------------------------------------------------------------------------------------------


def _weight_chart(view: RolloutView, frame: Frame) -> str:
    x, y, path = frame.x(0), frame.y(0), f"M{frame.x(0)} {frame.y(0)}"
    for shift in view.weights:
        x, y = frame.x(shift.at_second / 60), frame.y(shift.weight_percent)
        path += f"H{x}V{y}"
    x = frame.x(view.elapsed_seconds / 60)
    area = f"<path class='area' d='{path}H{x}V{frame.y(0)}Z'/><path class='line candidate' d='{path}H{x}'/>"
    turns = [verdict for verdict in view.verdicts if verdict.decision in MARKS]
    marks = [mark(verdict, frame, verdict.weight_percent) for verdict in turns]
    return area + "".join(marks) + _end_mark(view, frame, turns[-1].decision if turns else "")


def _end_mark(view: RolloutView, frame: Frame, last: str) -> str:
    """The end of a rollout that had moved traffic, where no verdict marks it: a person or a guard ended it."""
    decision = "promote" if view.outcome is Outcome.PROMOTED else "roll_back"
    moved = [shift.weight_percent for shift in view.weights if shift.weight_percent]
    if view.outcome is None or last == decision or not moved:
        return ""
    reason = f"{views.outcome_title(view)}. {views.why(view)}".strip()
    return mark_at(frame, view.elapsed_seconds, moved[-1], decision, reason)


# --- Shares of bad requests -------------------------------------------------------------------------------------------


def _share_chart(
    view: RolloutView, spread: Sequence[_Point], minutes: float, share: _Share, limit: float | None
) -> str:
    frame = Frame(minutes, _top_percent(spread, share, limit), 150)
    versions: tuple[tuple[str, str, Callable[[_Point], Counts]], ...] = (
        ("stable", view.stable, lambda point: point.stable),
        ("candidate", view.candidate or "…", lambda point: point.candidate),
    )
    bands = "".join(_band(name, _runs(spread, counts_of), share, frame) for name, _, counts_of in versions)
    lines = "".join(
        line(name, [_dots(run, version, share) for run in _runs(spread, counts_of)], frame)
        for name, version, counts_of in versions
    )
    key = legend(*((name, f"version {version}") for name, version, _ in reversed(versions)))
    threshold = "" if limit is None else limit_line(frame, limit, f"limit {views.percent(limit)}")
    return f"<h2>{share.title} {key}</h2>{svg(frame, share.label, bands + lines + threshold)}"


def _runs(spread: Iterable[_Point], counts_of: Callable[[_Point], Counts]) -> list[list[tuple[float, Counts]]]:
    """One version's points in unbroken runs: where it served nothing the line breaks, for that is not a share of 0."""
    points = ((point.middle, counts_of(point)) for point in spread)
    return [list(run) for served, run in groupby(points, key=lambda point: point[1].requests > 0) if served]


def _dots(run: Iterable[tuple[float, Counts]], version: str, share: _Share) -> list[Dot]:
    dots = []
    for middle, counts in run:
        bad, percent = share.bad_of(counts), share.percent_of(counts) or 0.0
        low, high = interval_percent(bad, counts.requests)
        told = (
            f"{views.timer(middle * 60)} version {version}: {views.percent(percent, 2)} ({low:.2f} to {high:.2f} %),"
            f" {bad:,} of {counts.requests:,} {share.became}"
        )
        dots.append(Dot(middle, percent, told))
    return dots


def _band(name: str, runs: Iterable[Sequence[tuple[float, Counts]]], share: _Share, frame: Frame) -> str:
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
        for group in thinned(minutes)
    )


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
