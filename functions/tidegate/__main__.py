"""The script's entry point, and `python -m tidegate`, where the script is not on PATH."""

from __future__ import annotations

from tidegate.terminal.outset import plainly


def main() -> None:
    """Run one command, and end the program with its exit code."""
    plainly("tidegate", _run)


def _run() -> None:
    from tidegate.cli import (  # noqa: PLC0415 - Ctrl-C may come while it is imported, which takes longer than a command
        app,
    )

    app.main()


if __name__ == "__main__":
    main()
