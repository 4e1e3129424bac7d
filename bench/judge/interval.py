"""How sure a share is, and a mean, of so many that were drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Final, Self

from tidegate.analysis.binomial import upper_tail

CONFIDENCE: Final = 0.95
_HALVINGS: Final = 50


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, with the exact interval of Clopper and Pearson (Biometrika 26, 1934)."""

    count: int
    of: int

    def __add__(self, other: Share) -> Share:
        return Share(self.count + other.count, self.of + other.of)

    @property
    def found(self) -> float:
        """As a fraction; 0 of none."""
        return self.count / self.of if self.of else 0.0

    @property
    def at_least(self) -> float:
        """The share under which so many or more come in one of forty such samples."""
        return _least(self.count, self.of) if self.of else 0.0

    @property
    def at_most(self) -> float:
        """The share under which so few or fewer come in one of forty such samples."""
        return 1 - _least(self.of - self.count, self.of) if self.of else 1.0

    def __str__(self) -> str:
        return f"{percent(self.found)} ({100 * self.at_least:.2g}–{percent(self.at_most)})"


def _least(count: int, of: int) -> float:
    """The probability under which `count` or more of `of` have (1 - CONFIDENCE) / 2."""
    if not count:
        return 0.0
    return _root(lambda share: upper_tail(count, of, share) - (1 - CONFIDENCE) / 2, count / of)


def _root(rises: Callable[[float], float], high: float) -> float:
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) > 0 else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean, and by how much it may be off: of many values a normal one."""

    found: float
    off_by: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of one value nobody knows how far it is off, which is told as nothing."""
        normal = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        off_by = normal * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        return cls(fmean(values) if values else 0.0, off_by)

    def __str__(self) -> str:
        return f"{self.found:,.0f} ± {self.off_by:,.0f}"


def percent(share: float) -> str:
    """A share with as many digits as it takes."""
    return f"{100 * share:.3g} %"
