"""Whether a request can be understood: told without AWS, by the very parser that PlanRollout has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCE = _HERE.parent / "functions"
#: Where the parser is: beside this package in the source, or within it, as `pip install .` brings it along.
_PLACE = str(_SOURCE if (_SOURCE / "rollout/request.py").is_file() else _HERE / "functions")


def problems(document: object) -> list[str]:
    """Everything that is wrong with the form of a request, any JSON value; what only AWS knows is left to a plan."""
    with _within_reach():
        from rollout.request import RolloutRequest  # noqa: PLC0415 - takes longer than most commands

        return RolloutRequest.problems(document)


@contextmanager
def _within_reach() -> Iterator[None]:
    """Handlers stand beside the parser, under everyday names: nothing else is to find them."""
    sys.path.insert(0, _PLACE)
    try:
        yield
    finally:
        sys.path.remove(_PLACE)
