"""What is known of the stable version's rate of bad requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

#: How many standard deviations a bound leaves to chance, and to the ups and downs from minute to minute.
DEVIATIONS: Final = 3.0
#: Fewer minutes than this say nothing of ups and downs.
FEWEST_MINUTES: Final = 3


@dataclass(frozen=True, slots=True)
class Rate:
    """So many bad requests among so many; `spread` is the standard deviation of the rate between minutes."""

    bad: float
    requests: float
    spread: float = 0.0

    @classmethod
    def over(cls, minutes: Sequence[tuple[float, float]]) -> Self:
        """The rate over minutes of (requests, bad), and how it varied beyond chance.

        The spread is the analysis-of-variance estimate for proportions of unequal size (Kleinman, Journal of the
        American Statistical Association 68, 1973).
        """
        served = [(requests, bad) for requests, bad in minutes if requests]
        pooled = cls(sum(bad for _, bad in served), sum(requests for requests, _ in served))
        if len(served) < FEWEST_MINUTES or not pooled.bad:
            return pooled
        others, share = len(served) - 1, pooled.share
        between = sum(requests * (bad / requests - share) ** 2 for requests, bad in served) / others
        size = (pooled.requests - sum(requests**2 for requests, _ in served) / pooled.requests) / others
        return cls(pooled.bad, pooled.requests, math.sqrt(max(0.0, between - share * (1 - share)) / size))

    @property
    def share(self) -> float:
        """Bad requests as a share of all; 0 where there were none."""
        return self.bad / self.requests if self.requests else 0.0

    @property
    def at_most(self) -> float:
        """The highest rate to be expected of a minute: (x + 3 √x + 3) / n, and three times the spread."""
        margin = DEVIATIONS * (math.sqrt(self.bad) + 1)
        return min(1.0, (self.bad + margin) / self.requests + DEVIATIONS * self.spread) if self.requests else 1.0

    @property
    def at_least(self) -> float:
        """The lowest mean rate that is probable: (x - 3 √x) / n."""
        margin = DEVIATIONS * math.sqrt(self.bad)
        return max(0.0, (self.bad - margin) / self.requests) if self.requests else 0.0
