"""The sandbox's command line: `python -m sandbox demo | run | scenarios`."""

from __future__ import annotations

import sys

from tidegate.terminal.outset import plainly


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    from sandbox import command_line  # noqa: PLC0415 - Ctrl-C may come while it is imported

    return command_line.main(arguments)


if __name__ == "__main__":
    sys.exit(plainly("sandbox", main))
