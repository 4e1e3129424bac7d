"""The table: what was measured, what it may be, whether that holds, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADS = ("figure", "measured", "limit", "verdict", "note")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, ready to read. `holds` is None where there is no limit, or where nothing could be measured."""

    figure: str
    measured: str
    limit: str = ""
    holds: bool | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """One word."""
        if not self.limit:
            return ""
        return {True: "holds", False: "MISSED", None: "not measured"}[self.holds]

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """As the table has them."""
        return self.figure, self.measured, self.limit, self.verdict, self.note


def text(rows: Sequence[Row]) -> str:
    """The table for a terminal. The note stands last, since it may be long."""
    lines = [HEADS, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return "\n".join(
        "  ".join([*map(str.ljust, line[:-1], widths), line[-1]]).rstrip()
        for line in (lines[0], tuple("-" * width for width in (*widths, len(HEADS[-1]))), *lines[1:])
    )


def markdown(rows: Sequence[Row]) -> str:
    """The table for the page."""
    lines = [HEADS, ("---",) * len(HEADS), *(row.cells for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
