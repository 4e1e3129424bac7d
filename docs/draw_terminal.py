"""The terminal as `make demo` leaves it when the bad release has been taken back."""

from __future__ import annotations

import io
import re
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from docs.draw_rollout import played
from docs.drawing import MONO, Palette
from tidegate.views import live

_COLUMNS: Final = 96
#: As rich's own, but with a font of the reader's machine in place of one from the network, and no window around it.
_FORMAT: Final = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{{width}}" height="{{height:.0f}}"
 viewBox="0 0 {{width}} {{height:.0f}}" role="img" aria-label="A rollout in the terminal">
<style>text{{{{font:20px {MONO};white-space:pre}}}}
{{styles}}</style>
<defs>{{lines}}</defs>
<rect width="{{width}}" height="{{height:.0f}}" rx="10" fill="PAGE"/>
<g transform="translate(9,24)">{{backgrounds}}{{matrix}}</g>
</svg>
"""
_UPRIGHT: Final = re.compile(r'<text class="(t-r\d+)" x="([\d.]+)" y="([\d.]+)"[^>]*>│</text>')


def terminal(palette: Palette) -> str:
    """The last frame of the demo's bad release."""
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, color_system="truecolor")
    console.print(live.render(played("bad").view))
    drawn = console.export_svg(title="", theme=_theme(palette), code_format=_FORMAT, unique_id="t")
    return _UPRIGHT.sub(_line, drawn).replace("PAGE", palette.page).replace("><text", ">\n<text")


def _line(upright: re.Match[str]) -> str:
    """A border's upright as a shape: rich's lines are higher than many a font's signs, which leaves gaps."""
    style, x, y = upright[1], float(upright[2]), float(upright[3])
    return f'<rect class="{style}" x="{x + 5.4:.1f}" y="{y - 20:.1f}" width="1.5" height="25"/>'


def _theme(palette: Palette) -> TerminalTheme:
    red, green, yellow, cyan = (_rgb(each) for each in (palette.bad, palette.good, palette.warn, palette.candidate))
    page, plain, soft = _rgb(palette.page), _rgb(palette.ink), _rgb(palette.stable)
    # The eight colours of a terminal, black to white, and their bright brothers; blue and magenta are not in use.
    normal = [page, red, green, yellow, cyan, cyan, cyan, plain]
    return TerminalTheme(page, plain, normal, [soft, *normal[1:]])


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
