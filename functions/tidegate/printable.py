"""Text of others made fit to be shown, by handlers and command line alike.

What steers a terminal, or turns the order in which it is read, is written out.
A piece that stands within a line of ours (a key, a name) goes through `one_line`, so that it makes no line of its own.
"""

from __future__ import annotations

import re

#: C0 but for the line's end, DEL and C1; marks, embeddings, overrides and isolates of direction (Unicode Standard Annex
#: 9); separators of lines and paragraphs; a byte-order mark; and lone surrogates, which no encoding has.
_STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with each such character as JSON would escape it: JSON stays the same JSON by it."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """As `printable`, and the line's end as JSON writes it, too."""
    return printable(text).replace("\n", "\\n")
