"""What the command line shares with the handlers: their package `rollout`, found once, and the quick parts of it.

Whether a request can be understood is told by the very parser that PlanRollout has, and what others wrote is read and
shown as the handlers do it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCE = _HERE.parent / "functions"
#: Where the package is: beside this one in the source, or within it, as `pip install .` brings it along.
_PLACE = str(_SOURCE if (_SOURCE / "rollout/request.py").is_file() else _HERE / "functions")


@contextmanager
def _within_reach() -> Iterator[None]:
    """Handlers stand beside the package, under everyday names: nothing else is to find them."""
    sys.path.insert(0, _PLACE)
    try:
        yield
    finally:
        sys.path.remove(_PLACE)


with _within_reach():
    from rollout import json_text
    from rollout.json_text import Unreadable
    from rollout.printable import one_line, printable

__all__ = ["Unreadable", "json_text", "one_line", "printable", "problems"]


def problems(document: object) -> list[str]:
    """Everything that is wrong with the form of a request, any JSON value; what only AWS knows is left to a plan."""
    with _within_reach():
        from rollout.request import RolloutRequest  # noqa: PLC0415 - takes longer than most commands

        return RolloutRequest.problems(document)
