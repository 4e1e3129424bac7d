"""A rollout on one page: self-contained HTML with inline SVG, in the reader's own light or dark.

Nothing is loaded and nothing runs: the page may be mailed, archived or attached to a ticket. Every text that came from
outside is escaped, and so is what would turn the order in which it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tidegate.duration import format_duration
from tidegate.printable import printable
from tidegate.views import rollout_view as views
from tidegate.views.charts import charts
from tidegate.views.rollout_view import (
    CheckView,
    CommandView,
    Counts,
    EvidenceView,
    LastStepView,
    RolloutView,
    VerdictView,
)

_MAX_STEPS = 12
_FINDING_SIGNS = {
    "harmful": "✕",
    "suspect": "!",
    "unknown": "?",
    "healthy": "✓",
    "ignored": "–",
    "noted": "–",
    "unseen": "–",
}
_LEGEND = "✓ harm ruled out, ? not known yet, ! suspected, ✕ convicted, – proves nothing; the smaller p, the worse"


def html(view: RolloutView) -> str:
    """The whole page."""
    title = escape(f"{view.target}: version {view.stable} → {view.candidate or '…'}")
    page = f"""<!doctype html>
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
{charts(view)}
{_verdicts(view.verdicts)}
{_commands(view.commands)}
{_traffic_table(view)}
<footer>Tidegate · {escape(view.target)} · {views.moment(view.now)}</footer>
</main>
</body>
</html>
"""
    return printable(page)


def _heading(view: RolloutView) -> str:
    sentence = f"<p class='ending'>{escape(views.ending(view))}</p>" if view.outcome else ""
    cause = f"<blockquote>{escape(views.why(view))}</blockquote>" if views.why(view) else ""
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in view.warnings)
    return f"""<header>
<p class="over">{escape(view.function_name)} <span>alias</span> {escape(view.alias_name)}</p>
<h1>Version {escape(view.stable)} <span class="arrow">→</span> <span class="candidate">{escape(view.candidate or "…")}
</span><span class="badge {views.tone(view)}">{escape(views.outcome_title(view))}</span>{_proof_badge(view)}</h1>
{sentence}{_proof(view)}{cause}{_remedy(view)}
{f"<ul class='warnings' aria-label='Warnings'>{warnings}</ul>" if warnings else ""}
</header>"""


def _remedy(view: RolloutView) -> str:
    command = escape(views.remedy(view))
    return f"<p class='remedy'>{escape(views.remedy_title(view))}</p><pre>{command}</pre>" if command else ""


def _proof_badge(view: RolloutView) -> str:
    tone = "good" if view.proven else "warn"
    return "" if view.proven is None else f'<span class="badge {tone}">{views.proof_title(view)}</span>'


def _proof(view: RolloutView) -> str:
    """What a promotion rests on, or by how much a candidate that is not proven may be worse than tolerated."""
    if view.proven is None:
        return ""
    evidence = view.verdicts[-1].evidence if view.verdicts else ()
    uncompared = [one.metric for one in evidence if not one.minutes and one.metric not in view.proven_by]
    more = f" Not compared: {', '.join(uncompared)}." * bool(uncompared) if view.proven else _bounds(evidence)
    return f"<p class='proof'>{escape(views.proof(view) + more)}</p>"


def _bounds(evidence: Sequence[EvidenceView]) -> str:
    bounds = [
        f"{views.metric_title(one.metric)} at most {one.excess_at_most_percent:.2g} % of its requests"
        for one in evidence
    ]
    return f" Beyond the tolerated ratio, with 95 % confidence: {', '.join(bounds)}." if bounds else ""


def _figures(view: RolloutView) -> str:
    candidate, stable = view.candidate_total, view.stable_total
    served = candidate.requests + stable.requests
    share = views.percent(100 * candidate.requests / served, 1) if served else "–"
    cells = (
        ("Took", format_duration(view.elapsed_seconds), f"{len(view.verdicts):,} verdicts"),
        ("Requests to the candidate", f"{candidate.requests:,}", f"{share} of {served:,}"),
        (
            f"Errors of version {view.candidate or '…'}",
            views.percent(candidate.error_percent, 2),
            _failed(view, candidate),
        ),
        (f"Errors of version {view.stable}", views.percent(stable.error_percent, 2), _failed(view, stable)),
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


def _failed(view: RolloutView, counts: Counts) -> str:
    return f"{counts.errors:,} of {counts.requests:,} failed{', as callers saw it' * view.by_callers}"


def _verdicts(verdicts: tuple[VerdictView, ...]) -> str:
    if not verdicts:
        return "<section><h2>Verdicts</h2><p class='none'>None: the rollout ended before the first look.</p></section>"
    rows = "".join(
        f"<tr class='{escape(verdict.decision)}'><td class='number'>{views.timer(verdict.at_second)}</td>"
        f"<td class='number'>{views.percent(verdict.weight_percent)}</td>"
        f"<td><b class='decision'>{escape(views.spoken(verdict.decision))}</b></td>"
        f"<td>{escape(verdict.reason)}</td><td>{_findings(verdict)}</td></tr>"
        for verdict in verdicts
    )
    judged = any(verdict.evidence for verdict in verdicts)
    findings = (
        "Evidence: candidate against stable; checks: value beside limit" if judged else "Checks: value beside limit"
    )
    return f"""<section><h2>Verdicts</h2><div class="wide"><table class="verdicts">
<thead><tr><th class="number">At</th><th class="number">Weight</th><th>Decision</th><th>Because</th>
<th>{findings}</th></tr></thead>
<tbody>{rows}</tbody></table></div><p class="note">{_LEGEND}</p></section>"""


def _commands(commands: tuple[CommandView, ...]) -> str:
    """What people said, when, and why."""
    if not commands:
        return ""
    rows = "".join(
        f"<tr><td class='number'>{views.timer(word.at_second)}</td><td><b class='decision'>{escape(word.command)}</b>"
        f"</td><td>{escape(word.author)}</td><td>{escape(word.reason)}</td></tr>"
        for word in commands
    )
    return f"""<section><h2>Commands</h2><div class="wide"><table class="commands">
<thead><tr><th class="number">At</th><th>Command</th><th>By</th><th>Because</th></tr></thead>
<tbody>{rows}</tbody></table></div></section>"""


def _findings(verdict: VerdictView) -> str:
    # The judge's own checks say the same as its evidence, in fewer numbers.
    compared = {f"{one.metric} compared" for one in verdict.evidence}
    checks = [check for check in verdict.checks if check.name not in compared]
    return "".join([*map(_evidence, verdict.evidence), *map(_guard, verdict.last_step), *map(_check, checks)])


def _evidence(one: EvidenceView) -> str:
    excess = views.measure(one.excess_at_most_percent, "%")
    told = (
        f"{one.state}; {one.minutes:,} minutes; worse than stable: {views.p_value(one.p_worse)}; worse than tolerated:"
        f" {views.p_value(one.p_intolerable)}; at most {excess} of the requests bad beyond the tolerated ratio"
    )
    value, beside = (
        ("better" if one.better else views.p_value(one.p_worse), f"{one.candidate} against {one.stable}")
        if one.minutes
        else ("–", "nothing compared yet")
    )
    return _finding(one.state, told, views.metric_title(one.metric), value, beside)


def _guard(last: LastStepView) -> str:
    state = "suspect" if last.tripped else "healthy"
    told = f"{'tripped' if last.tripped else 'not tripped'}: {last.percent:.0f} % of the evidence that trips it"
    expected = views.measure(last.expected_at_most_percent, "%")
    return _finding(
        state, told, f"{views.metric_title(last.metric)}, guard", str(last.candidate), f"at most {expected}"
    )


def _check(check: CheckView) -> str:
    return _finding(check.state, check.state, check.name, check.value_text, f"limit {check.limit_text}")


def _finding(state: str, told: str, name: str, value: str, beside: str) -> str:
    return (
        f"<div class='check {escape(state)}'><i title='{escape(told)}'>{_FINDING_SIGNS.get(state, '·')}</i>"
        f" {escape(name)} <strong>{escape(value)}</strong> <small>{escape(beside)}</small></div>"
    )


def _traffic_table(view: RolloutView) -> str:
    if not view.minutes:
        return ""
    rows = "".join(
        f"<tr><td class='number'>{minute.t}</td><td class='number'>{views.percent(minute.weight_percent)}</td>"
        + "".join(
            f"<td class='number'>{counts.requests:,}</td><td class='number'>{counts.errors:,}</td>"
            f"<td class='number'>{views.percent(counts.error_percent, 2)}</td><td class='number'>{counts.slow:,}</td>"
            for counts in (minute.candidate, minute.stable)
        )
        + "</tr>"
        for minute in view.minutes
    )
    of_one = "".join(f"<th class='number'>{name}</th>" for name in ("Requests", "Errors", "Rate", "Slow"))
    return f"""<details><summary>Traffic by the minute</summary><div class="wide"><table>
<thead><tr><th></th><th></th><th colspan="4" class="over-group">Version {escape(view.candidate or "…")}</th>
<th colspan="4" class="over-group">Version {escape(view.stable)}</th></tr>
<tr><th class="number">Minute</th><th class="number">Weight</th>{of_one}{of_one}</tr></thead>
<tbody>{rows}</tbody></table></div></details>"""


_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f8; --card: #ffffff; --ink: #15202b; --soft: #5b6875; --rule: #e2e6ea;
  --stable: #7d8a97; --candidate: #0b7f8c; --wash: #0b7f8c1f; --good: #187a3c; --bad: #c02a37; --warn: #9a6300;
  --worse: #6a45c9; --beyond: #b8500f; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1418; --card: #171e24; --ink: #e8edf1; --soft: #97a4b0;
  --rule: #2a333b; --stable: #8b98a5; --candidate: #35b9c6; --wash: #35b9c626; --good: #4cc274; --bad: #ff6f78;
  --warn: #e5ad45; --worse: #b09bff; --beyond: #f4934a; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1020px; margin: 0 auto; padding: 40px 24px 56px; }
.over { color: var(--soft); font-weight: 600; } .over span { font-weight: 400; }
h1 { font-size: 34px; line-height: 1.25; letter-spacing: -.015em; font-weight: 650; }
h1 .arrow { color: var(--soft); font-weight: 400; } h1 .candidate { color: var(--candidate); }
.badge { display: inline-block; vertical-align: middle; margin: 0 0 6px 14px; padding: 2px 14px; border-radius: 99px;
  border: 1.5px solid; font-size: 15px; font-weight: 600; letter-spacing: 0; color: var(--soft); }
.badge + .badge { margin-left: 8px; }
.badge.good { color: var(--good); } .badge.bad { color: var(--bad); } .badge.warn { color: var(--warn); }
.ending { font-size: 17px; } .proof { margin-top: 2px; color: var(--soft); }
.warnings { list-style: none; padding: 0; }
.warnings li { margin-top: 12px; padding: 10px 16px; overflow-wrap: anywhere; background: var(--card);
  border: 1px solid var(--rule); border-left: 4px solid var(--warn); border-radius: 6px; }
blockquote { margin-top: 12px; padding: 10px 16px; background: var(--card); border: 1px solid var(--rule);
  border-left: 4px solid var(--bad); border-radius: 6px; overflow-wrap: anywhere; }
.remedy { margin-top: 12px; font-weight: 600; }
pre { margin-top: 4px; padding: 10px 16px; background: var(--card); border: 1px solid var(--rule); border-radius: 6px;
  font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin-top: 24px; }
.figures > div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 16px; }
dt { color: var(--soft); font-size: 13px; } dd strong { display: block; font-size: 25px; line-height: 1.3;
  font-weight: 620; } small { color: var(--soft); font-size: 13px; }
.plan { color: var(--soft); font-size: 13px; margin-top: 10px; }
section, details { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 20px 20px 14px;
  margin-top: 20px; }
h2 { font-size: 16px; font-weight: 620; margin-bottom: 6px; } .chart + h2 { margin-top: 18px; }
.key { font-size: 13px; font-weight: 400; color: var(--soft); margin-left: 6px; }
.key > span { display: inline-block; margin-left: 10px; } .key i { display: inline-block; width: 18px; height: 3px;
  border-radius: 2px; margin: 0 6px 3px 0; }
.stable { --line: var(--stable); } .candidate, .guard { --line: var(--candidate); } .worse { --line: var(--worse); }
.intolerable { --line: var(--beyond); } .key i { background: var(--line); }
.note { color: var(--soft); font-size: 13px; margin-top: 4px; }
.chart, .wide { overflow-x: auto; } svg { display: block; width: 100%; min-width: 620px; }
.grid { stroke: var(--rule); } .tick { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.over-line { paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
.area { fill: var(--wash); } .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line { stroke: var(--line); } .dot { fill: var(--line); } .dot:hover { r: 6px; }
.line.intolerable { stroke-dasharray: 6 5; }
.key i.intolerable { background: repeating-linear-gradient(90deg, var(--line) 0 6px, transparent 6px 9px); }
.band { fill: var(--line); opacity: .16; } .back { stroke: var(--bad); }
.back.step_back, .back.flinch { stroke: var(--warn); }
.limit { stroke: var(--bad); stroke-dasharray: 5 4; }
.mark circle { fill: var(--candidate); stroke: var(--card); stroke-width: 2; }
.mark text { fill: var(--card); font-size: 10px; font-weight: 700; }
.mark.promote circle { fill: var(--good); } .mark.roll_back circle { fill: var(--bad); }
.mark.step_back circle, .mark.flinch circle, .mark.hold circle { fill: var(--warn); }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-size: 13px; font-weight: 500; white-space: nowrap; }
th, td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.over-group { text-align: center; } .decision { white-space: nowrap; font-weight: 600; }
tr.wait td { color: var(--soft); } tr.wait .decision { font-weight: 400; }
tr.advance .decision { color: var(--candidate); } tr.promote .decision { color: var(--good); }
tr.roll_back .decision { color: var(--bad); }
tr.step_back .decision, tr.flinch .decision, tr.hold .decision { color: var(--warn); }
.verdicts td:nth-child(4) { min-width: 240px; } .verdicts td:nth-child(5) { min-width: 330px; }
.commands .number { width: 1%; } .commands td:nth-child(4) { width: 60%; }
.check { padding-left: 1.4em; text-indent: -1.4em; }
.check strong { font-weight: 600; font-variant-numeric: tabular-nums; }
.check i { display: inline-block; width: 1.1em; font-style: normal; font-weight: 700; text-align: center;
  text-indent: 0; }
.check.healthy i { color: var(--good); } .check.harmful i, .check.harmful strong { color: var(--bad); }
.check.suspect i, .check.suspect strong { color: var(--warn); }
summary { cursor: pointer; font-weight: 620; } details table { margin-top: 12px; } .none { color: var(--soft); }
footer { color: var(--soft); font-size: 13px; margin-top: 24px; }
@media print { section, details, .figures > div { break-inside: avoid; } }
"""
