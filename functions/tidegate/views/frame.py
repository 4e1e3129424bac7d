"""What every chart of the report is drawn with: a frame with its axes, lines, dots and marks, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, TypeVar

from tidegate.duration import format_duration
from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import VerdictView

_Each = TypeVar("_Each")
#: More points than this no screen can tell apart.
MAX_POINTS: Final = 240
#: Up to so many points are drawn large enough to be pointed at.
ROOMY_POINTS: Final = 100
_MAX_TICKS: Final = 9
_TICK_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14400)
MARKS: Final = {"advance": "▲", "promote": "✓", "roll_back": "✕", "flinch": "▽", "step_back": "▼", "hold": "‖"}


@dataclass(frozen=True, slots=True)
class Frame:
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
class Dot:
    """One point of a line, and what it says when pointed at."""

    minute: float
    percent: float
    told: str


def svg(frame: Frame, label: str, drawing: str) -> str:
    grid = "".join(
        f"<line class='grid' x1='{frame.left}' x2='{frame.right}' y1='{frame.y(value)}' y2='{frame.y(value)}'/>"
        f"<text class='tick' x='{frame.left - 8}' y='{frame.y(value) + 4}' text-anchor='end'>"
        f"{views.percent(value)}</text>"
        for value in (0, frame.top_percent / 2, frame.top_percent)
    )
    axis = "".join(
        f"<text class='tick' x='{frame.x(minute)}' y='{frame.bottom + 20}' text-anchor='middle'>"
        f"{format_duration(minute * 60) if minute else '0'}</text>"
        for minute in ticks(frame.minutes)
    )
    size = f"0 0 934 {frame.bottom + 28:g}"
    drawn = f"<svg viewBox='{size}' role='img' aria-label='{escape(label)}'>{grid}{axis}{drawing}</svg>"
    return f"<div class='chart'>{drawn}</div>"


def ticks(minutes: float) -> Iterator[int]:
    apart = next((tick for tick in _TICK_MINUTES if minutes / tick <= _MAX_TICKS), _TICK_MINUTES[-1])
    return iter(range(0, math.floor(minutes) + 1, apart))


def legend(*entries: tuple[str, str]) -> str:
    """A legend: each line's class and its name."""
    return (
        f"<span class='key'>{''.join(f'<span><i class={name!r}></i>{escape(text)}</span>' for name, text in entries)}"
        "</span>"
    )


def mark(verdict: VerdictView, frame: Frame, percent: float) -> str:
    reason = f"{views.spoken(verdict.decision)}: {verdict.reason}"
    return mark_at(frame, verdict.at_second, percent, verdict.decision, reason)


def mark_at(frame: Frame, second: float, percent: float, decision: str, reason: str) -> str:
    x, y = frame.x(second / 60), frame.y(percent)
    return (
        f"<g class='mark {escape(decision)}'><title>{escape(f'{views.timer(second)} {reason}')}</title>"
        f"<circle cx='{x}' cy='{y}' r='9'/>"
        f"<text x='{x}' y='{y + 4}' text-anchor='middle'>{MARKS[decision]}</text></g>"
    )


def limit_line(frame: Frame, percent: float, name: str) -> str:
    y = frame.y(percent)
    return (
        f"<line class='limit' x1='{frame.left}' x2='{frame.right}' y1='{y}' y2='{y}'/>"
        f"<text class='tick over-line' x='{frame.left + 4}' y='{y - 6}'>{escape(name)}</text>"
    )


def line(name: str, runs: Sequence[Sequence[Dot]], frame: Frame) -> str:
    path, dots = "", ""
    radius = 3 if sum(map(len, runs)) <= ROOMY_POINTS else 1.5
    for run in runs:
        for number, dot in enumerate(run):
            x, y = frame.x(dot.minute), frame.y(dot.percent)
            path += f"{'L' if number else 'M'}{x} {y}"
            dots += (
                f"<circle class='dot {name}' cx='{x}' cy='{y}' r='{radius}'><title>{escape(dot.told)}</title></circle>"
            )
    return f"<path class='line {name}' d='{path}'/>{dots}" if path else ""


def thinned(points: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    """Neighbours in groups, so that there are no more groups than a screen can show."""
    together = math.ceil(len(points) / MAX_POINTS) or 1
    return (points[start : start + together] for start in range(0, len(points), together))
