"""What is known of the stable version's rate of bad requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Self

from tidegate.frozen import frozen

#: How many standard deviations a bound leaves to chance, and to the ups and downs from minute to minute.
DEVIATIONS: Final = 3.0
#: So many standard deviations of chi-squared above its mean are no chance.
SIGNIFICANT: Final = 2.0
#: Fewer minutes than this say nothing of ups and downs.
FEWEST_MINUTES: Final = 3


@frozen
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
        pooled = cls(sum(bad for _, bad in minutes), sum(requests for requests, _ in minutes))
        share, chance = pooled.share, pooled.share * (1 - pooled.share)
        # Chi-squared wants a failure a minute to be expected at least.
        served = [(requests, bad) for requests, bad in minutes if requests * share >= 1]
        others = len(served) - 1
        if len(served) < FEWEST_MINUTES or chance <= 0:
            return pooled
        between = sum(requests * (bad / requests - share) ** 2 for requests, bad in served) / others
        if others * between / chance < others + SIGNIFICANT * math.sqrt(2 * others):
            return pooled
        total = sum(requests for requests, _ in served)
        size = (total - sum(requests**2 for requests, _ in served) / total) / others
        return cls(pooled.bad, pooled.requests, math.sqrt(max(0.0, between - chance) / size))

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
