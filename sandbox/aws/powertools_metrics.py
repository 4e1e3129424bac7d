"""What Powertools' Metrics keeps for a whole process: it is a process's own here too, though packages are shared.

Its metrics, dimensions and default dimensions are in the class, so that every `Metrics()` of a process adds to the same
line; and the cold start is a module's. Of two functions that run at once, or of two versions of one, each has its own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_KEPT: Final = ("_metrics", "_dimensions", "_metadata", "_default_dimensions")


@dataclass(frozen=True, slots=True)
class Kept:
    """What Metrics' class holds, by attribute, and whether the next cold start metric is due."""

    held: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_cold_start: bool = True


#: A process that has just begun, and one that has been started and holds nothing, as most do.
FRESH: Final = Kept()
_WARM: Final = Kept(is_cold_start=False)


def exchange(kept: Kept) -> Kept:
    """Make this what Powertools holds; what it held until now."""
    module = sys.modules.get("aws_lambda_powertools.metrics.metrics")
    if module is None:
        return FRESH
    cold_start: Any = sys.modules["aws_lambda_powertools.metrics.provider.cold_start"]
    was_cold, cold_start.is_cold_start = cold_start.is_cold_start, kept.is_cold_start
    held = [getattr(module.Metrics, name) for name in _KEPT]
    if not any(held) and not kept.held:
        return FRESH if was_cold else _WARM
    before = Kept({name: dict(each) for name, each in zip(_KEPT, held, strict=True)}, was_cold)
    for name, each in zip(_KEPT, held, strict=True):
        each.clear()
        each.update(kept.held.get(name, {}))
    return before
