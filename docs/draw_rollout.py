"""The README's first picture: the demo's two releases, the bad one taken back and the good one promoted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from textwrap import wrap
from typing import Final

from docs.drawing import Palette, svg, text
from sandbox.command_line import DEMO_REQUEST, DEMO_SCENARIOS
from sandbox.scenario import shipped
from sandbox.story import play, rollout_view
from sandbox.world import World
from tidegate.duration import format_duration
from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import Counts, MinuteView, RolloutView, VerdictView

_SIZE: Final = (640, 600)
#: The traffic is shown for so long after the end.
_MINUTES_AFTER: Final = 2
#: A minute of fewer requests says nothing to the eye: one error in three would be a peak of 33 %.
_FEWEST_REQUESTS: Final = 10

_STYLE: Final = (
    ".head{font-size:20px;font-weight:650}.over{font-weight:600}.small{font-size:14px}.tick{font-size:13px}.number{font-size:13px;font-weight:700}"
    ".line{stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}.wash{opacity:.16}.thin{stroke-width:1}"
    ".ends{stroke-width:1.5;stroke-dasharray:5 4}"
)


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where a chart draws: minutes and percents in, SVG coordinates out."""

    top: float
    height: float
    minutes: float
    top_percent: float
    left: float = 66
    right: float = 616

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, minute: float) -> float:
        return round(self.left + (self.right - self.left) * minute / self.minutes, 1)

    def y(self, percent: float) -> float:
        return round(self.bottom - self.height * min(percent / self.top_percent, 1.0), 1)


def rollouts(palette: Palette) -> str:
    """Both rollouts, one above the other."""
    bad, good = _with_what_followed("bad"), _with_what_followed("good")
    return svg(palette, _SIZE, f"{_said(bad)} {_said(good)}", _STYLE, [*_bad(bad), *_good(good)])


def _said(view: RolloutView) -> str:
    shares = ", ".join(
        f"{views.percent(shift.weight_percent)} at {views.timer(shift.at_second)}" for shift in view.weights
    )
    return f"Traffic to version {view.candidate}: {shares}. {views.closing_words(view)}"


@dataclass(frozen=True, slots=True)
class Played:
    """A rollout at its end, and the whole minutes lived through after it."""

    view: RolloutView
    after: tuple[MinuteView, ...]


@cache
def played(name: str) -> Played:
    """One of the demo's rollouts."""
    ends: list[Played] = []

    def look(world: World) -> None:
        view = rollout_view(world)
        if view.outcome:
            ends.append(Played(view, tuple(_after(world, view))))

    play(DEMO_REQUEST, shipped()[DEMO_SCENARIOS[name]], seed=0, on_frame=look)
    return ends[-1]


def _after(world: World, view: RolloutView) -> Iterable[MinuteView]:
    first = len(view.minutes)
    for number, versions in world.traffic.minutes():
        over = 60 * (number + 1) <= world.clock.now() - view.started_at
        if number >= first and over:
            stable = Counts(*versions.get(view.stable, (0, 0, 0)))
            candidate = Counts(*versions.get(view.candidate or "", (0, 0, 0)))
            yield MinuteView(number, view.weight_percent, stable, candidate)


def _with_what_followed(name: str) -> RolloutView:
    end = played(name)
    return replace(end.view, minutes=(*end.view.minutes, *end.after[:_MINUTES_AFTER]))


# --- A bad release ----------------------------------------------------------------------------------------------------


def _bad(view: RolloutView) -> list[str]:
    minutes = len(view.minutes)
    traffic, errors = _Plot(92, 72, minutes, 20), _Plot(212, 100, minutes, 6)
    ended, candidate = traffic.x(view.verdicts[-1].at_second / 60), _until_the_end(view)[1]
    weight = view.weights[0].weight_percent
    return [
        *_heading(38, "A bad release is taken back", f"rolled back {_after_minutes(view)}", "bad"),
        text(24, 76, f"Traffic to version {view.candidate}", "over"),
        *_grid(traffic, (0, 10, 20)),
        *_weight(view, traffic),
        *_looks(view.verdicts, traffic),
        *_stage(traffic.x(0) + 18, traffic.y(weight) - 16, 1, [f"{views.percent(weight)} to version {view.candidate}"]),
        *_stage(traffic.x(0) + 18, traffic.y(weight) + 19, 2, ["looks: not sure yet"]),
        text(24, 196, "Error rate, minute by minute", "over"),
        *_grid(errors, (0, 3, 6)),
        *_rates(view, errors),
        text(errors.x(1.5), errors.y(4.9), f"version {view.candidate}", "over candidate", "middle"),
        text(errors.x(2.5), errors.y(0) - 9, f"version {view.stable}", "over stable", "middle"),
        f"<path class='ends bad-line' d='M{ended} {traffic.top - 4}V{errors.bottom}'/>",
        *_sign(ended, traffic.y(weight), "✕", "bad"),
        *_stage(ended + 24, errors.top + 20, 3, wrap(f"judge: {_finding(view)}", 18), "bad"),
        *_stage(ended + 24, traffic.y(weight) - 16, 4, ["restored:"], "bad"),
        text(ended + 38, traffic.y(weight) + 24, f"version {view.stable} serves all"),
        *_minutes(errors, 1),
        text(
            24,
            358,
            f"{candidate.errors} of version {view.candidate}'s {candidate.requests:,} requests failed."
            " No alarm or limit had been set.",
            "small soft",
        ),
    ]


def _finding(view: RolloutView) -> str:
    """The verdict's last words, those that convict; what is of a piece is not to be torn."""
    return view.verdicts[-1].reason.rpartition("; ")[2].replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")


# --- A good release ---------------------------------------------------------------------------------------------------


def _good(view: RolloutView) -> list[str]:
    traffic = _Plot(462, 72, len(view.minutes), 100)
    stable, candidate = _until_the_end(view)
    return [
        "<path class='thin rule-line' d='M24 376H616'/>",
        *_heading(412, "A good release goes all the way", f"promoted {_after_minutes(view)}", "good"),
        text(24, 446, f"Traffic to version {view.candidate}", "over"),
        *_grid(traffic, (0, 50, 100)),
        *_weight(view, traffic),
        *_steps(view, traffic),
        *_sign(traffic.x(view.verdicts[-1].at_second / 60), traffic.y(100), "✓", "good"),
        *_minutes(traffic, 2),
        text(
            24,
            580,
            f"Failed: {views.percent(candidate.error_percent, 2)} of version {view.candidate}'s"
            f" {candidate.requests:,} requests, {views.percent(stable.error_percent, 2)} of version {view.stable}'s"
            f" {stable.requests:,}.",
            "small soft",
        ),
    ]


def _steps(view: RolloutView, plot: _Plot) -> list[str]:
    """Every weight beside its line: above a low one, below a high one."""
    begun = [shift.at_second for shift in view.weights]
    return [
        text(
            plot.x((shift.at_second + until) / 120),
            plot.y(shift.weight_percent) + (-7 if shift.weight_percent < plot.top_percent / 2 else 22),
            views.percent(shift.weight_percent),
            "over candidate",
            "middle",
        )
        for shift, until in zip(view.weights, [*begun[1:], view.verdicts[-1].at_second], strict=True)
    ]


# --- Both -------------------------------------------------------------------------------------------------------------


def _heading(y: float, words: str, end: str, tone: str) -> list[str]:
    return [text(24, y, words, f"head {tone}"), text(616, y, end, f"over {tone}", "end")]


def _after_minutes(view: RolloutView) -> str:
    return f"after {format_duration(view.elapsed_seconds // 30 * 30)}"


def _until_the_end(view: RolloutView) -> tuple[Counts, Counts]:
    """What both versions served from start to end, by the minutes that had begun."""
    lived = [minute for minute in view.minutes if minute.t < view.elapsed_seconds / 60]
    return (
        sum((minute.stable for minute in lived), Counts()),
        sum((minute.candidate for minute in lived), Counts()),
    )


def _stage(x: float, y: float, number: int, lines: list[str], tone: str = "ink") -> list[str]:
    """A numbered caption: the numbers are the order to read it in."""
    return [
        f"<circle class='{tone}' cx='{x:g}' cy='{y:g}' r='9'/>",
        text(x, y + 4.5, str(number), "number page", "middle"),
        *(text(x + 14, y + 5 + 19 * row, line, f"over {tone}") for row, line in enumerate(lines)),
    ]


def _grid(plot: _Plot, percents: Iterable[float]) -> list[str]:
    return [
        part
        for value in percents
        for part in (
            f"<path class='thin rule-line' d='M{plot.left:g} {plot.y(value)}H{plot.right:g}'/>",
            text(plot.left - 8, plot.y(value) + 4, views.percent(value), "tick soft", "end"),
        )
    ]


def _minutes(plot: _Plot, apart: int) -> list[str]:
    return [
        text(plot.x(minute), plot.bottom + 19, str(minute), "tick soft", "middle")
        for minute in range(0, int(plot.minutes * 0.88) + 1, apart)
    ] + [text(plot.right, plot.bottom + 19, "minutes", "tick soft", "end")]


def _weight(view: RolloutView, plot: _Plot) -> list[str]:
    path = f"M{plot.x(0)} {plot.y(0)}"
    for shift in view.weights:
        path += f"H{plot.x(shift.at_second / 60)}V{plot.y(shift.weight_percent)}"
    path += f"H{plot.x(plot.minutes)}"
    return [
        f"<path class='wash candidate' d='{path}V{plot.y(0)}H{plot.x(0)}Z'/>",
        f"<path class='line candidate-line' d='{path}'/>",
    ]


def _looks(verdicts: Iterable[VerdictView], plot: _Plot) -> list[str]:
    spots = ((plot.x(each.at_second / 60), plot.y(each.weight_percent)) for each in verdicts)
    return [f"<circle class='candidate' cx='{x}' cy='{y}' r='4.5'/>" for x, y in spots]


def _sign(x: float, y: float, sign: str, tone: str) -> list[str]:
    return [f"<circle class='{tone}' cx='{x}' cy='{y}' r='11'/>", text(x, y + 5, sign, "over page", "middle")]


def _rates(view: RolloutView, plot: _Plot) -> list[str]:
    drawn = []
    for name, counts in (
        ("stable", [minute.stable for minute in view.minutes]),
        ("candidate", [minute.candidate for minute in view.minutes]),
    ):
        spots = [
            (plot.x(minute + 0.5), plot.y(each.error_percent or 0.0))
            for minute, each in enumerate(counts)
            if each.requests >= _FEWEST_REQUESTS
        ]
        drawn.append(f"<path class='line {name}-line' d='M{'L'.join(f'{x} {y}' for x, y in spots)}'/>")
        drawn += [f"<circle class='{name}' cx='{x}' cy='{y}' r='4'/>" for x, y in spots]
    return drawn
