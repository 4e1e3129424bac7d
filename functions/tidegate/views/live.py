"""A rollout while it runs: `render` for a terminal, `lines` for anything that only takes lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tidegate.duration import format_duration
from tidegate.ending.outcome import Outcome
from tidegate.printable import one_line, printable
from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import Counts, RolloutView, VerdictView

STABLE, CANDIDATE = "bright_black", "cyan"
TONE_STYLES = {"good": "green", "bad": "red", "plain": "blue"}
DECISION_STYLES = {
    "wait": "bright_black",
    "hold": "yellow",
    "advance": "cyan",
    "flinch": "yellow",
    "step_back": "yellow",
    "promote": "green",
    "roll_back": "bold red",
}

_WIDTH = 96
_BAR = 48
_STEPS = 5
_TREND_MINUTES = 16
_TREND = "▁▂▃▄▅▆▇█"
#: The log keeps its height, so that nothing jumps while the rollout runs.
_LOG = 7


def render(view: RolloutView) -> RenderableType:
    """The rollout as one panel of constant height, at most 96 columns wide; it fits in 80."""
    parts: list[RenderableType] = [_traffic(view), _steps(view), *_warnings(view)]
    parts += [_holding(view), _versions(view), Text(), _log(view)]
    if view.outcome:
        parts += [Text(), _end(view)]
    return Panel(
        Padding(Group(*parts), (1, 2)),
        title=_title(view),
        title_align="left",
        subtitle=_subtitle(view),
        subtitle_align="right",
        border_style=_border(view),
        box=box.ROUNDED,
        width=_WIDTH,
    )


def lines(
    view: RolloutView, previous: RolloutView | None = None, spoken: Iterable[tuple[float, str]] = ()
) -> list[str]:
    """What changed since `previous`, one plain line each: for logs, pipes and terminals that cannot redraw.

    `spoken` is what else was said in the meantime, each sentence with its second; it stands where it belongs.
    """
    said = _plan_lines(view) if view.steps and not (previous and previous.steps) else []
    happened = sorted([*_events(view, previous), *spoken], key=lambda pair: pair[0])
    if view.holding and (previous is None or previous.holding != view.holding):
        happened.append((view.elapsed_seconds, view.holding))
    if view.outcome and (previous is None or previous.outcome is None):
        happened.append((view.elapsed_seconds, "\n".join(_end_lines(view))))
    # By the second that is shown: the books round the end to a tenth, which may be before what led to it.
    for second, event in sorted(happened, key=lambda pair: int(pair[0])):
        said += f"{views.timer(second)}  {event}".split("\n")
    return [printable(line) for line in said]


def _events(view: RolloutView, previous: RolloutView | None) -> list[tuple[float, str]]:
    """Weights, verdicts and people's words since `previous`, each with its second."""
    shifts, commands = (len(previous.weights), len(previous.commands)) if previous else (0, 0)
    # By their moments: of holds only the first and the last are kept, so what follows one takes another's place.
    heard = previous.verdicts[-1].at_second if previous and previous.verdicts else -1.0
    verdicts = sum(verdict.at_second <= heard for verdict in view.verdicts)
    return [
        *(
            (shift.at_second, f"{views.percent(shift.weight_percent)} of the traffic to version {view.candidate}")
            for shift in view.weights[shifts:]
        ),
        *(
            (word.at_second, f"{word.command} by {one_line(word.author)}: {one_line(word.reason)}")
            for word in view.commands[commands:]
        ),
        *(
            (verdict.at_second, f"{views.spoken(verdict.decision)}: {one_line(verdict.reason)}{_errors_so_far(view)}")
            for verdict in _unheld(view.verdicts, verdicts)
        ),
    ]


def _end_lines(view: RolloutView) -> list[str]:
    end = f"{views.outcome_title(view)}. {views.ending(view)}{_proof(view)}"
    return [line for line in (end, views.why(view), *_remedy_lines(view)) if line]


def _remedy_lines(view: RolloutView) -> list[str]:
    return [views.remedy_title(view), views.remedy(view)] if views.remedy(view) else []


def _unheld(verdicts: Sequence[VerdictView], first: int) -> list[VerdictView]:
    """The verdicts from `first` on, but those that only held on: a hold may last for days, at a look a minute."""
    held = [verdict.decision == "hold" for verdict in verdicts]
    goes_on = [now and before for before, now in zip([False, *held], held, strict=False)]
    return [verdict for verdict, left_out in zip(verdicts[first:], goes_on[first:], strict=True) if not left_out]


def _errors_so_far(view: RolloutView) -> str:
    both = ((view.stable, view.stable_total), (view.candidate, view.candidate_total))
    rates = [f"version {version} {views.percent(total.error_percent, 2)}" for version, total in both]
    return f"  [errors{' as callers saw them' * view.by_callers}: {', '.join(rates)} so far]"


def _plan_lines(view: RolloutView) -> list[str]:
    steps = [f"{views.percent(step.weight_percent)} for {format_duration(step.bake_seconds)}" for step in view.steps]
    plan = f"{view.target} on version {view.stable}: {', '.join(steps)}"
    return [plan, *(f"warning: {one_line(warning)}" for warning in view.warnings)]


def _title(view: RolloutView) -> Text:
    return Text.assemble(
        (" Tidegate ", "bold default"),
        (f" {view.target} ", "default"),
        (f" version {view.stable}", STABLE),
        (" → ", "default"),
        (f"{view.candidate or '…'} ", f"bold {CANDIDATE}"),
    )


def _subtitle(view: RolloutView) -> Text:
    text = Text(f" {views.timer(view.elapsed_seconds)} ", style="bold default")
    if not view.outcome and view.steps:
        text.append(f"of about {views.timer(sum(step.bake_seconds for step in view.steps))} ", style="default")
    if coming := views.next_look(view):
        text.append(f"· {coming} ", style=STABLE)
    return text


def _border(view: RolloutView) -> str:
    return TONE_STYLES[views.tone(view)] if view.outcome else STABLE


def _traffic(view: RolloutView) -> Text:
    filled = round(_BAR * view.weight_percent / 100)
    if 0 < view.weight_percent < 100:  # noqa: PLR2004
        filled = min(max(filled, 1), _BAR - 1)
    text = Text(no_wrap=True)
    text.append("traffic     ", style="bold")
    text.append("━" * filled, style=CANDIDATE)
    text.append("━" * (_BAR - filled), style=STABLE)
    text.append(f"  {views.percent(view.weight_percent)}", style=f"bold {CANDIDATE}")
    text.append(f" to {view.candidate}" if view.candidate else "")
    return text


def _steps(view: RolloutView) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("steps       ", style="bold")
    first = max(0, min(view.step - 1, len(view.steps) - _STEPS))
    text.append("… " if first else "", style=STABLE)
    for number, step in enumerate(view.steps[first : first + _STEPS], start=first):
        mark, style = _mark(view, number)
        text.append(f"{mark} {views.percent(step.weight_percent)}", style=style)
        text.append(f" {format_duration(step.bake_seconds)}   ", style=STABLE)
    text.append("…" if first + _STEPS < len(view.steps) else "", style=STABLE)
    return text


def _warnings(view: RolloutView) -> list[RenderableType]:
    """The plan's warnings in full: they end in what to do. There are few, and mostly none."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=10)
    table.add_column()
    for warning in view.warnings:
        table.add_row(Text("warning", style="bold yellow"), Text(one_line(warning)))
    return [table] if view.warnings else []


def _holding(view: RolloutView) -> Text:
    """What the rollout waits for, in the line that is empty otherwise: so nothing jumps."""
    return Text(printable(view.holding or ""), style="bold yellow", no_wrap=True, overflow="ellipsis")


def _mark(view: RolloutView, number: int) -> tuple[str, str]:
    if view.outcome is Outcome.PROMOTED or number < view.step:
        return "✓", "green"
    if number > view.step or not view.weights:
        return "○", STABLE
    return ("✗", "red") if view.outcome else ("●", f"bold {CANDIDATE}")


def _versions(view: RolloutView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=STABLE)
    table.add_column("callers:" * view.by_callers, min_width=9)
    for heading in ("requests", "errors", "error rate", "last minute"):
        table.add_column(heading, justify="right")
    table.add_column("by the minute")
    rows = (
        (f"version {view.stable}", STABLE, view.stable_total, [minute.stable for minute in view.minutes]),
        (
            f"version {view.candidate or '…'}",
            CANDIDATE,
            view.candidate_total,
            [minute.candidate for minute in view.minutes],
        ),
    )
    highest = max(_rates(minute for row in rows for minute in row[3][-_TREND_MINUTES:]), default=0.0)
    for name, style, total, minutes in rows:
        last = minutes[-1] if minutes else Counts()
        table.add_row(
            Text(name, style=f"bold {style}"),
            f"{total.requests:,}",
            f"{total.errors:,}",
            views.percent(total.error_percent, 2),
            views.percent(last.error_percent, 2),
            Text(_trend(minutes[-_TREND_MINUTES:], highest), style=style),
        )
    return table


def _rates(minutes: Iterable[Counts]) -> list[float]:
    return [rate for minute in minutes if (rate := minute.error_percent) is not None]


def _trend(minutes: Sequence[Counts], highest: float) -> str:
    """One sign a minute, both versions to the same scale; blank where nothing was served."""
    signs = []
    for minute in minutes:
        rate = minute.error_percent
        if rate is None:
            signs.append(" ")
        else:
            # A scale of at least 1 % keeps the noise of a healthy version low.
            signs.append(_TREND[round(rate / max(highest, 1.0) * (len(_TREND) - 1))])
    return "".join(signs)


def _log(view: RolloutView) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, min_width=7)
    table.add_column(justify="right", no_wrap=True, min_width=5)
    table.add_column(no_wrap=True, min_width=9)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    shown = _folded(view.verdicts)[-_LOG:]
    for verdict in shown:
        table.add_row(
            Text(views.timer(verdict.at_second), style=STABLE),
            views.percent(verdict.weight_percent),
            Text(views.spoken(verdict.decision), style=DECISION_STYLES.get(verdict.decision, "")),
            Text(one_line(verdict.reason), style=STABLE if verdict.decision == "wait" else ""),
        )
    for _ in range(_LOG - len(shown)):
        table.add_row("", "", "", "")
    return table


def _folded(verdicts: Iterable[VerdictView]) -> list[VerdictView]:
    """All verdicts but those waits and holds that another one of their kind at the same step followed."""
    kept: list[VerdictView] = []
    for verdict in verdicts:
        if kept and kept[-1].decision == verdict.decision in {"wait", "hold"} and kept[-1].step == verdict.step:
            kept.pop()
        kept.append(verdict)
    return kept


def _end(view: RolloutView) -> Text:
    style = TONE_STYLES[views.tone(view)]
    return Text.assemble(
        (f"{views.outcome_title(view)}. ", f"bold {style}"),
        (f"{views.ending(view)}{_proof(view)}", style),
        # The log cuts a reason to one line: here the one that decided stands in full.
        *(f"\n{printable(line)}" for line in (views.decided(view), views.why(view), *_remedy_lines(view)) if line),
    )


def _proof(view: RolloutView) -> str:
    """Whether a promotion is proven, as one more sentence; short, for the panel is not to grow."""
    title = views.proof_words(view)
    return f" {title}." if view.proven else f" {title}: not enough was seen." if title else ""
