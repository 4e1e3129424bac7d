"""The last step, at weight 100, where there is nobody to compare with.

It is held against the rates that the stable version had before: the judge's own bets against a stable version of
infinitely many requests and that very rate. They are fair against a candidate that fails no more often than that, at
any poll; but that the rate has stayed what it was is nobody's claim. So a trip convicts nobody: it asks for a
comparison.

A stable version that fails is what a fix is held against, however bad it was just before: to go back to it for less
would hurt. That proves nothing of a fix that fails far more at the last weight than it did on the way up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tidegate.analysis.e_process import Tally, log_wealth
from tidegate.analysis.judge import Judge, served
from tidegate.analysis.metric import Judged, Kind
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import FEWEST_BAD, QUIET_LOG_WEALTH, Row
from tidegate.frozen import frozen

_SAYS: Final = {
    Kind.FAILED: "fails {} requests",
    Kind.EXECUTED: "fails {} executions",
    Kind.SLOW: "is slow in {} requests",
    Kind.COUNTED: "has {name} in {}",
    Kind.MEASURED: "is above the usual {name} in {}",
}


@frozen
class LastStepCheck:
    """The last step against the rate known before. Wealths as in `Evidence`; a trip asks for a comparison.

    `of_itself` is the same against the rate that a candidate which is clearly better had on the way up.
    """

    metric: Judged
    candidate: int
    candidate_bad: int
    settled_minutes: int
    expected_at_most: float
    wealth: float
    peak: float
    needed: float
    of_itself: LastStepCheck | None = None

    @property
    def collapsed(self) -> bool:
        """Whether it fails far more often than it did before: that it is no worse than a stable version which fails is
        no reason to go back, and no proof.
        """
        return self.of_itself is not None and self.of_itself.tripped

    @property
    def tripped(self) -> bool:
        """Whether a comparison is called for. What was seen once stays seen."""
        return self.candidate_bad >= FEWEST_BAD and self.peak >= self.needed

    @property
    def quiet(self) -> bool:
        """Whether it has seen the last weight at all, and nothing hints at harm."""
        return self.settled_minutes > 0 and not self.hinted and not self.collapsed

    @property
    def hinted(self) -> bool:
        """Whether the last weight looks worse than before, though not clearly."""
        return self.wealth >= QUIET_LOG_WEALTH

    def __str__(self) -> str:
        percent = 100 * self.candidate_bad / max(self.candidate, 1)
        of = f"{percent:.3g} % of its {self.candidate:,}"
        rate = f"{_SAYS[self.metric.kind].format(of, name=self.metric.name)} at the last weight"
        return f"candidate {rate}, and at most {100 * self.expected_at_most:.2g} % were to be expected"


def check_last_step(
    name: str, rows: Sequence[Row], judge: Judge, usual: Rate, own: Rate | None = None
) -> LastStepCheck:
    """The minutes at weight 100 against the rate that the stable version had before.

    Such a comparison over time takes a shared outage for the candidate's fault. So it does not convict: where it
    trips, the rollout steps back to a weight at which both versions serve, and they are compared. `own` is the rate on
    the way up of a candidate that is clearly better.
    """
    metric = judge.judged()[name]
    tolerance, share = metric.tolerance, math.log(metric.budget)
    bets = [Tally.against(row.evidence, usual.at_most) if row.evidence else None for row in rows]
    path = log_wealth(bets, tolerance, [1.0] * len(rows), [False] * len(rows))
    return LastStepCheck(
        metric=metric,
        candidate=sum(bet.candidate for bet in bets if bet),
        candidate_bad=sum(bet.candidate_bad for bet in bets if bet),
        settled_minutes=served([row.evidence for row in rows if row.settled]),
        expected_at_most=tolerance.max_ratio * usual.at_most + tolerance.max_increase,
        wealth=share + (path[-1] if path else 0.0),
        peak=share + max(path, default=0.0),
        # A trip costs some minutes and convicts nobody, so the milder budget is its own.
        needed=-math.log(judge.tolerated_rollback),
        of_itself=check_last_step(name, rows, judge, own) if own else None,
    )
