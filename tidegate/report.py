"""A rollout on one page: self-contained HTML with inline SVG, in the reader's own light or dark.

Nothing is loaded and nothing runs: the page may be mailed, archived or attached to a ticket. Every text that came from
outside is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

from tidegate import view as views
from tidegate.view import CheckView, Counts, MinuteView, RolloutView, VerdictView

#: More points than this no screen can tell apart.
_MAX_POINTS = 240
_MAX_TICKS = 9
_MAX_STEPS = 12
_TICK_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14400)
_RATE_TICKS_PERCENT = (0.5, 1, 2, 5, 10, 20, 50)

_MARKS = {"advance": "▲", "promote": "✓", "roll_back": "✕", "step_back": "▼", "hold": "‖"}
_FINDING_SIGNS = {"harmful": "✕", "suspect": "!", "unknown": "?", "healthy": "✓", "ignored": "–"}


def html(view: RolloutView) -> str:
    """The whole page."""
    title = escape(f"{view.target}: version {view.stable} → {view.candidate or '…'}")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{_heading(view)}
{_figures(view)}
{_charts(view)}
{_verdicts(view.verdicts)}
{_traffic_table(view)}
<footer>Tidegate · {escape(view.target)} · {views.moment(view.now)}</footer>
</main>
</body>
</html>
"""


def _heading(view: RolloutView) -> str:
    outcome = view.outcome or "running"
    tone = views.TONES.get(outcome, "plain")
    sentence = f"<p class='ending'>{escape(views.ending(view))}</p>" if view.outcome else ""
    cause = f"<blockquote>{escape(view.cause)}</blockquote>" if view.cause else ""
    return f"""<header>
<p class="over">{escape(view.function_name)} <span>alias</span> {escape(view.alias_name)}</p>
<h1>Version {escape(view.stable)} <span class="arrow">→</span> <span class="candidate">{escape(view.candidate or "…")}
</span><span class="badge {tone}">{escape(views.outcome_title(outcome))}</span></h1>
{sentence}{cause}
</header>"""


def _figures(view: RolloutView) -> str:
    candidate, stable = view.candidate_total, view.stable_total
    served = candidate.requests + stable.requests
    share = views.percent(100 * candidate.requests / served, 1) if served else "–"
    cells = (
        ("Took", views.span(view.elapsed_seconds), f"{len(view.verdicts):,} verdicts"),
        ("Requests to the candidate", f"{candidate.requests:,}", f"{share} of {served:,}"),
        (f"Errors of version {view.candidate or '…'}", views.percent(candidate.error_percent, 2), _failed(candidate)),
        (f"Errors of version {view.stable}", views.percent(stable.error_percent, 2), _failed(stable)),
    )
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd><strong>{escape(value)}</strong><small>{escape(note)}</small></dd></div>"
        for name, value, note in cells
    )
    return f"<dl class='figures'>{tiles}</dl><p class='plan'>{_plan(view)}</p>"


def _plan(view: RolloutView) -> str:
    steps = [views.percent(step.weight_percent) for step in view.steps]
    if len(steps) > _MAX_STEPS:
        steps = [*steps[: _MAX_STEPS - 1], "…", steps[-1]]
    return f"Started {views.moment(view.started_at)} · steps {' → '.join(steps) or 'not planned'}"


def _failed(counts: Counts) -> str:
    return f"{counts.errors:,} of {counts.requests:,} failed"


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


def _charts(view: RolloutView) -> str:
    # A minute still filling, or the last one, may reach past the end of the rollout.
    minutes = max(view.elapsed_seconds / 60, max((minute.t + 1 for minute in view.minutes), default=0), 1.0)
    weights = _Frame(minutes, 100, 150)
    spread = _spread(view.minutes)
    rates = _Frame(minutes, _top_percent(spread, _error_limit(view)), 170)
    return f"""<section>
<h2>Traffic to version {escape(view.candidate or "…")}</h2>
{_svg(weights, "The candidate's share of the traffic over time", _weight_chart(view, weights))}
<h2>Error rate <span class="key"><i class="candidate"></i>version {escape(view.candidate or "…")}
<i class="stable"></i>version {escape(view.stable)}</span></h2>
{_svg(rates, "The error rate of both versions by the minute", _rate_chart(view, spread, rates))}
</section>"""


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
    size = f"0 0 934 {frame.bottom + 30:g}"
    svg = f"<svg viewBox='{size}' role='img' aria-label='{escape(label)}'>{grid}{axis}{drawing}</svg>"
    return f"<div class='chart'>{svg}</div>"


def _ticks(minutes: float) -> Iterator[int]:
    apart = next((tick for tick in _TICK_MINUTES if minutes / tick <= _MAX_TICKS), _TICK_MINUTES[-1])
    return iter(range(0, math.floor(minutes) + 1, apart))


def _weight_chart(view: RolloutView, frame: _Frame) -> str:
    x, y, path = frame.x(0), frame.y(0), f"M{frame.x(0)} {frame.y(0)}"
    for shift in view.weights:
        x, y = frame.x(shift.at_second / 60), frame.y(shift.weight_percent)
        path += f"H{x}V{y}"
    x = frame.x(view.elapsed_seconds / 60)
    area = f"<path class='area' d='{path}H{x}V{frame.y(0)}Z'/><path class='line candidate' d='{path}H{x}'/>"
    return area + "".join(_mark(verdict, frame) for verdict in view.verdicts if verdict.decision in _MARKS)


def _mark(verdict: VerdictView, frame: _Frame) -> str:
    x, y = frame.x(verdict.at_second / 60), frame.y(verdict.weight_percent)
    told = f"{views.timer(verdict.at_second)} {_spoken(verdict.decision)}: {verdict.reason}"
    return (
        f"<g class='mark {escape(verdict.decision)}'><title>{escape(told)}</title><circle cx='{x}' cy='{y}' r='9'/>"
        f"<text x='{x}' y='{y + 4}' text-anchor='middle'>{_MARKS[verdict.decision]}</text></g>"
    )


def _rate_chart(view: RolloutView, spread: tuple[_Point, ...], frame: _Frame) -> str:
    limit = _error_limit(view)
    drawing = ""
    if limit is not None:
        y = frame.y(limit)
        drawing += (
            f"<line class='limit' x1='{frame.left}' x2='{frame.right}' y1='{y}' y2='{y}'/>"
            f"<text class='tick' x='{frame.right}' y='{y - 6}' text-anchor='end'>limit {views.percent(limit)}</text>"
        )
    drawing += _line("stable", view.stable, spread, lambda point: point.stable, frame)
    return drawing + _line("candidate", view.candidate or "…", spread, lambda point: point.candidate, frame)


def _line(
    name: str, version: str, spread: Iterable[_Point], counts_of: Callable[[_Point], Counts], frame: _Frame
) -> str:
    """One version's error rate; the line breaks where it served nothing, for that is not a rate of 0."""
    path, dots, drawing = "", "", False
    for point in spread:
        counts = counts_of(point)
        rate = counts.error_percent
        if rate is None:
            drawing = False
            continue
        x, y = frame.x(point.middle), frame.y(rate)
        path += f"{'L' if drawing else 'M'}{x} {y}"
        drawing = True
        told = f"{views.timer(point.middle * 60)} version {version}: {views.percent(rate, 2)}, {_failed(counts)}"
        dots += f"<circle class='dot {name}' cx='{x}' cy='{y}' r='3'><title>{escape(told)}</title></circle>"
    return f"<path class='line {name}' d='{path}'/>{dots}" if path else ""


@dataclass(frozen=True, slots=True)
class _Point:
    """Some neighbouring minutes taken together; `middle` is in minutes since the start."""

    middle: float
    stable: Counts
    candidate: Counts


def _spread(minutes: tuple[MinuteView, ...]) -> tuple[_Point, ...]:
    """The minutes, taken together so that no more than a screen can show are left."""
    together = math.ceil(len(minutes) / _MAX_POINTS) or 1
    groups = [minutes[start : start + together] for start in range(0, len(minutes), together)]
    return tuple(
        _Point(
            middle=(group[0].t + group[-1].t + 1) / 2,
            stable=sum((minute.stable for minute in group), Counts()),
            candidate=sum((minute.candidate for minute in group), Counts()),
        )
        for group in groups
    )


def _error_limit(view: RolloutView) -> float | None:
    """The user's own limit for errors in percent, where the last verdicts know one."""
    for verdict in reversed(view.verdicts):
        for check in verdict.checks:
            if check.name == "errors" and check.unit == "%" and isinstance(check.limit, (int, float)):
                return float(check.limit)
    return None


def _top_percent(spread: Iterable[_Point], limit: float | None) -> float:
    rates = [counts.error_percent or 0.0 for point in spread for counts in (point.stable, point.candidate)]
    highest = max([*rates, (limit or 0.0) * 1.1])
    return next((tick for tick in _RATE_TICKS_PERCENT if highest <= tick), 100.0)


def _verdicts(verdicts: tuple[VerdictView, ...]) -> str:
    if not verdicts:
        return "<section><h2>Verdicts</h2><p class='none'>None: the rollout ended before the first look.</p></section>"
    rows = "".join(
        f"<tr class='{escape(verdict.decision)}'><td class='number'>{views.timer(verdict.at_second)}</td>"
        f"<td class='number'>{views.percent(verdict.weight_percent)}</td>"
        f"<td><b class='decision'>{escape(_spoken(verdict.decision))}</b></td>"
        f"<td>{escape(verdict.reason)}</td><td>{_checks(verdict.checks)}</td></tr>"
        for verdict in verdicts
    )
    return f"""<section><h2>Verdicts</h2><div class="wide"><table class="verdicts">
<thead><tr><th class="number">At</th><th class="number">Weight</th><th>Decision</th><th>Because</th>
<th>Checks: value beside limit</th></tr></thead>
<tbody>{rows}</tbody></table></div></section>"""


def _checks(checks: tuple[CheckView, ...]) -> str:
    return "".join(
        f"<div class='check {escape(check.state)}'><i title='{escape(check.state)}'>"
        f"{_FINDING_SIGNS.get(check.state, '·')}</i> {escape(check.name)} <strong>{escape(check.value_text)}</strong>"
        f" <small>{escape(check.limit_text)}</small></div>"
        for check in checks
    )


def _traffic_table(view: RolloutView) -> str:
    if not view.minutes:
        return ""
    rows = "".join(
        f"<tr><td class='number'>{minute.t}</td><td class='number'>{views.percent(minute.weight_percent)}</td>"
        + "".join(
            f"<td class='number'>{counts.requests:,}</td><td class='number'>{counts.errors:,}</td>"
            f"<td class='number'>{views.percent(counts.error_percent, 2)}</td>"
            for counts in (minute.candidate, minute.stable)
        )
        + "</tr>"
        for minute in view.minutes
    )
    of_one = "<th class='number'>Requests</th><th class='number'>Errors</th><th class='number'>Rate</th>"
    return f"""<details><summary>Traffic by the minute</summary><div class="wide"><table>
<thead><tr><th></th><th></th><th colspan="3" class="over-group">Version {escape(view.candidate or "…")}</th>
<th colspan="3" class="over-group">Version {escape(view.stable)}</th></tr>
<tr><th class="number">Minute</th><th class="number">Weight</th>{of_one}{of_one}</tr></thead>
<tbody>{rows}</tbody></table></div></details>"""


def _spoken(decision: str) -> str:
    return decision.replace("_", " ")


_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f8; --card: #ffffff; --ink: #15202b; --soft: #5b6875; --rule: #e2e6ea;
  --stable: #7d8a97; --candidate: #0b7f8c; --wash: #0b7f8c1f; --good: #187a3c; --bad: #c02a37; --warn: #9a6300; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1418; --card: #171e24; --ink: #e8edf1; --soft: #97a4b0;
  --rule: #2a333b; --stable: #8b98a5; --candidate: #35b9c6; --wash: #35b9c626; --good: #4cc274; --bad: #ff6f78;
  --warn: #e5ad45; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1020px; margin: 0 auto; padding: 40px 24px 56px; }
.over { color: var(--soft); font-weight: 600; } .over span { font-weight: 400; }
h1 { font-size: 34px; line-height: 1.25; letter-spacing: -.015em; font-weight: 650; }
h1 .arrow { color: var(--soft); font-weight: 400; } h1 .candidate { color: var(--candidate); }
.badge { display: inline-block; vertical-align: middle; margin: 0 0 6px 14px; padding: 2px 14px; border-radius: 99px;
  border: 1.5px solid; font-size: 15px; font-weight: 600; letter-spacing: 0; color: var(--soft); }
.badge.good { color: var(--good); } .badge.bad { color: var(--bad); }
.ending { font-size: 17px; }
blockquote { margin-top: 12px; padding: 10px 16px; background: var(--card); border: 1px solid var(--rule);
  border-left: 4px solid var(--bad); border-radius: 6px; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin-top: 24px; }
.figures > div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 16px; }
dt { color: var(--soft); font-size: 13px; } dd strong { display: block; font-size: 25px; line-height: 1.3;
  font-weight: 620; } small { color: var(--soft); font-size: 13px; }
.plan { color: var(--soft); font-size: 13px; margin-top: 10px; }
section, details { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 20px 20px 14px;
  margin-top: 20px; }
h2 { font-size: 16px; font-weight: 620; margin-bottom: 6px; } .chart + h2 { margin-top: 18px; }
.key { font-size: 13px; font-weight: 400; color: var(--soft); margin-left: 10px; }
.key i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin: 0 6px 3px 8px;
  background: var(--stable); } .key i.candidate { background: var(--candidate); }
.chart, .wide { overflow-x: auto; } svg { display: block; width: 100%; min-width: 620px; }
.grid { stroke: var(--rule); } .tick { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.area { fill: var(--wash); } .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.stable { stroke: var(--stable); } .line.candidate { stroke: var(--candidate); }
.dot.stable { fill: var(--stable); } .dot.candidate { fill: var(--candidate); } .dot:hover { r: 6px; }
.limit { stroke: var(--bad); stroke-dasharray: 5 4; }
.mark circle { fill: var(--candidate); stroke: var(--card); stroke-width: 2; }
.mark text { fill: var(--card); font-size: 10px; font-weight: 700; }
.mark.promote circle { fill: var(--good); } .mark.roll_back circle { fill: var(--bad); }
.mark.step_back circle, .mark.hold circle { fill: var(--warn); }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-size: 13px; font-weight: 500; white-space: nowrap; }
th, td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.over-group { text-align: center; } .decision { white-space: nowrap; font-weight: 600; }
tr.wait td { color: var(--soft); } tr.wait .decision { font-weight: 400; }
tr.advance .decision { color: var(--candidate); } tr.promote .decision { color: var(--good); }
tr.roll_back .decision { color: var(--bad); } tr.step_back .decision, tr.hold .decision { color: var(--warn); }
.check { white-space: nowrap; } .check strong { font-weight: 600; font-variant-numeric: tabular-nums; }
.check small::before { content: "limit "; }
.check i { display: inline-block; width: 1.1em; font-style: normal; font-weight: 700; text-align: center; }
.check.healthy i { color: var(--good); } .check.harmful i, .check.harmful strong { color: var(--bad); }
.check.suspect i, .check.suspect strong { color: var(--warn); }
summary { cursor: pointer; font-weight: 620; } details table { margin-top: 12px; } .none { color: var(--soft); }
footer { color: var(--soft); font-size: 13px; margin-top: 24px; }
@media print { section, details, .figures > div { break-inside: avoid; } }
"""
