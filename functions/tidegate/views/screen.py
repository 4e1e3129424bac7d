"""A rollout shown while it runs: redrawn on a terminal, line by line anywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.live import Live

from tidegate.printable import printable
from tidegate.views import live
from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import RolloutView


def show(seen: Iterable[RolloutView], console: Console) -> RolloutView | None:
    """Show every view as it comes; the last one, or None where none came."""
    return _redraw(seen, console) if console.is_terminal else _print(seen, console)


def _redraw(seen: Iterable[RolloutView], console: Console) -> RolloutView | None:
    last = None
    with Live(console=console, auto_refresh=False) as screen:
        for view in seen:
            last = view
            if has_begun(view):
                screen.update(live.render(view), refresh=True)
    if last is not None and last.outcome:
        console.print(printable(views.closing_words(last)), markup=False, highlight=False, soft_wrap=True)
    return last


def _print(seen: Iterable[RolloutView], console: Console) -> RolloutView | None:
    last = None
    for view in seen:
        if has_begun(view):
            for line in live.lines(view, last):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            last = view
    return last


def has_begun(view: RolloutView) -> bool:
    """Whether there is anything to look at: a plan, or an end without one."""
    return bool(view.steps or view.outcome)


def paced(seen: Sequence[RolloutView], console: Console, seconds: float) -> Iterator[RolloutView]:
    """What was played in virtual time, as slowly as a person can follow; at once where nobody watches."""
    for view in seen:
        yield view
        if console.is_terminal:
            time.sleep(seconds / len(seen))
