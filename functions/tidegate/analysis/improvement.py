"""Is the candidate better? The judge's own bets with the roles swapped: they pay where the stable version fails more.

Of a table that names the candidate first and the stable version second, `e_process` bets against "the stable version
fails at most `max_ratio` times as often as the candidate, and `max_increase` more". What its docstrings say of the
wealth holds word for word, since the versions of a table are only names. So a candidate that is no better is called
better with probability at most `BETTER` over the whole rollout, at whatever poll one looks, and over all metrics: each
has its share of this budget as of the judge's own, and the two claims have half of that each.

Only minutes that are old enough to acquit on count: of a younger one the candidate's failures may be late. That the
last ones must agree, and that no outage has just ended, only ever takes the word back: the wealth remembers both.

Better says nothing of any other metric: what is better in failures and slower is convicted for that as ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tidegate.analysis.bursts import BURST_RECENT, BURST_UNSHARED_RATIO, Bursts, has_just_ended
from tidegate.analysis.e_process import NO_WORSE, Tally, Tolerance, log_wealth
from tidegate.frozen import frozen

#: As seldom is a candidate called better that is not: as seldom as one is rolled back that is no worse.
BETTER: Final = 0.01
#: A fix is one that the stable version fails so many times as often as, and a percentage point more: no outage that
#: both share explains that (it may hit one of them twice as hard), and below a point nobody calls a version broken.
FIX: Final = Tolerance(BURST_UNSHARED_RATIO, 0.01)


@frozen
class Improvement:
    """Whether the candidate is clearly better, and so clearly that the stable version's failures are its own."""

    better: bool = False
    fix: bool = False


#: Of what is not compared, and of a candidate some of whose requests nobody has counted: they may yet fail.
NONE: Final = Improvement()


def find_improvement(
    rows: Sequence[Tally | None], bursts: Bursts, dispersions: Sequence[float], budget: float
) -> Improvement:
    """Whether the candidate is clearly better in one metric.

    A shared burst is left out of "better": it may hit the stable version harder, and says nothing of other minutes. The
    minutes that are left out are those in which the stable version fails most, so leaving them out is no gain in
    expectation. A fix stands up to that.

    Args:
        rows: the minutes that are old enough to acquit on, oldest first; None: no minute to count.
        bursts: in which of them the stable version fails far more than usual.
        dispersions: as the judge's own; a split of failures varies as much whoever is named first.
        budget: the metric's share of the error budget.
    """
    compared = [(row, lasted) for row, lasted in zip(rows, bursts.lasted, strict=True) if row and row.stable]
    last = [row for row, _ in compared[-BURST_RECENT:]]
    if has_just_ended([lasted for _, lasted in compared]) or not _agree(last, NO_WORSE):
        return NONE
    swapped = [row and _swapped(row) for row in rows]
    needed = -math.log(budget * BETTER / 2)

    def won(tallies: Sequence[Tally | None], claim: Tolerance) -> bool:
        return log_wealth(tallies, claim, dispersions, [False] * len(tallies))[-1] >= needed

    fix = _agree(last, FIX) and won(swapped, FIX)
    calm = [None if burst else row for row, burst in zip(swapped, bursts.shared, strict=True)]
    return Improvement(fix or won(calm, NO_WORSE), fix)


def _agree(last: Sequence[Tally], claim: Tolerance) -> bool:
    """Whether the stable version has failed more than is claimed in the last minutes, as they were counted."""
    candidate, stable = sum(row.candidate for row in last), sum(row.stable for row in last)
    if not candidate or not stable:
        return False
    failed = sum(row.candidate_bad for row in last) / candidate
    return sum(row.stable_bad for row in last) / stable > claim.max_ratio * failed + claim.max_increase


def _swapped(row: Tally) -> Tally:
    return Tally(row.candidate, round(row.stable), row.candidate_bad, row.stable_bad)
