"""Rollouts in a table, one a row."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from tidegate.printable import printable
from tidegate.views import live
from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import RolloutView

_UNBROKEN = frozenset({"started", "versions", "weight", "outcome"})


def table(headings: Sequence[str], rows: Sequence[Sequence[str | Text | None]]) -> Table:
    """The rows under their headings, whoever wrote what is in them."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        drawn.add_column(heading, overflow="fold", no_wrap=heading in _UNBROKEN)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell or "")) for cell in row))
    return drawn


def outcome(view: RolloutView) -> Text:
    """An outcome in its colour."""
    said = views.outcome_title(view) if view.outcome else ""
    return Text(said, style=live.TONE_STYLES[views.tone(view)])
