"""What the pictures share: two palettes, and SVG that loads nothing, runs nothing and is the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final


@dataclass(frozen=True, slots=True)
class Palette:
    """One look. The pages are GitHub's own, so that a picture lies on the page and not in a box."""

    name: str
    page: str
    card: str
    ink: str
    soft: str
    rule: str
    stable: str
    candidate: str
    good: str
    bad: str
    warn: str


LIGHT: Final = Palette(
    name="light",
    page="#ffffff",
    card="#f4f6f8",
    ink="#15202b",
    soft="#56636f",
    rule="#d5dbe1",
    stable="#6b7884",
    candidate="#0b7f8c",
    good="#187a3c",
    bad="#c02a37",
    warn="#8f5b00",
)
DARK: Final = Palette(
    name="dark",
    page="#0d1117",
    card="#171e25",
    ink="#e8edf1",
    soft="#a3afba",
    rule="#323c46",
    stable="#98a5b1",
    candidate="#35b9c6",
    good="#4cc274",
    bad="#ff7078",
    warn="#e5ad45",
)
PALETTES: Final = (LIGHT, DARK)
SANS: Final = "system-ui,-apple-system,'Segoe UI','Helvetica Neue','DejaVu Sans',sans-serif"
MONO: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


def svg(palette: Palette, size: tuple[int, int], said: str, style: str, drawing: list[str]) -> str:
    """A whole picture, one element a line so that a change of it can be read; `said` is for whoever cannot see it."""
    width, height = size
    opening = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}'"
        f" role='img' aria-label='{escape(said)}'>"
    )
    rules = "".join(f".{name}{{{color}}}" for name, color in _colors(palette).items())
    return "\n".join(
        [
            opening,
            f"<style>text{{font:15px {SANS};fill:{palette.ink}}}{style}{rules}</style>",
            f"<rect width='{width}' height='{height}' rx='10' fill='{palette.page}'/>",
            *drawing,
            "</svg>\n",
        ]
    )


def _colors(palette: Palette) -> dict[str, str]:
    """A class for what is filled with a colour, text for one, and another for what is drawn with it."""
    named = ("page", "card", "ink", "soft", "rule", "stable", "candidate", "good", "bad", "warn")
    fills = {name: f"fill:{getattr(palette, name)}" for name in named}
    return fills | {f"{name}-line": f"fill:none;stroke:{getattr(palette, name)}" for name in named}


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """One line of text; `style` is its classes. Widths differ from machine to machine, so leave room."""
    return f"<text class='{style}' x='{x:g}' y='{y:g}' text-anchor='{anchor}'>{escape(words)}</text>"
