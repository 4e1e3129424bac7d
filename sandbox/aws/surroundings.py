"""What a process finds around it: a standard output that keeps what is written, and environment variables."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping


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


def wear(variables: Mapping[str, str]) -> dict[str, str]:
    """Make these the environment variables, touching only what differs; the ones that were there."""
    before = dict(os.environ)
    for name in before.keys() - variables.keys():
        del os.environ[name]
    for name, value in variables.items():
        if before.get(name) != value:
            os.environ[name] = value
    return before
