"""What a process finds around it: a standard output that keeps what is written, and environment variables."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

#: By name, as the process keeps them: encoded, where its system encodes them.
Variables = dict[Any, Any]


class Lines(io.TextIOBase):
    """A standard output that keeps whole lines."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        self.lines.extend(whole)
        return len(text)


def variables_of(variables: Mapping[str, str]) -> Variables:
    """Environment variables to wear."""
    return {os.environ.encodekey(name): os.environ.encodevalue(value) for name, value in variables.items()}


def wear(variables: Variables) -> Variables:
    """Make these the environment variables, as far as Python asks for any; the ones that were there.

    They are exchanged as a whole: some hundred of them, each set and unset at every step of every handler, take longer
    than many a handler.
    """
    before: Variables = os.environ._data  # type: ignore[attr-defined] # as CPython calls it
    os.environ._data = variables  # type: ignore[attr-defined]
    return before
