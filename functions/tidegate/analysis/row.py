"""One metric's minutes as they are bet on, and the wealth that comes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.analysis.e_process import Tally, Tolerance, Wealth, log_sum, wealth_path

#: Fewer bad requests than this convict nobody: two may have one cause that has nothing to do with the version.
FEWEST_BAD: Final = 3
#: A candidate is quiet while the second wealth is below this, and acquitted only while it is quiet: chance alone ever
#: doubles a wealth in at most half of all rollouts, so what has not doubled says nothing.
QUIET_LOG_WEALTH: Final = math.log(2)
#: Of the wealth on a metric that warms up so much bets from the first minute on: ln (4/3) is what it costs to find harm
#: that shows only later, and ln 4 to find what shows at once. With all of it there, two bad releases more were missed.
WARMING_STAKE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """One metric's minute as the judge reads it.

    `tally` is None where a count is missing although there was traffic: it speaks for and against nobody. `comparable`
    is False while the candidate warms up, and where one version only replaced the other. `throttled`: requests were
    turned away, of whichever version. `in_step`: it began at the present weight. `settled`: it is old enough to acquit
    on. `whole`: so many of the candidate's requests are there that its failures did not come alone. `minutes`: where
    requests are rare, it is so many of them. `allowance`: so much more than is tolerated is usual in it, as a share;
    None where it is compared as all others. `fresh`: it began since the weight was last lowered.
    """

    tally: Tally | None
    comparable: bool = True
    throttled: bool = False
    in_step: bool = True
    settled: bool = True
    minutes: int = 1
    whole: bool = True
    allowance: float | None = None
    fresh: bool = True

    @property
    def evidence(self) -> Tally | None:
        """The tally where it counts as evidence."""
        return self.tally if self.comparable else None

    @property
    def bet(self) -> Tally | None:
        """The tally where harm may be betted on: also of a minute that is too unusual to acquit on."""
        return self.tally if self.comparable or self.allowance is not None else None


def wealth(
    rows: Sequence[Row], key: Tolerance, spread: Sequence[float], bursts: Sequence[bool], share: float = 0.0
) -> list[Wealth]:
    """The wealth against one claim: most of it bets where both versions are warm, a part in every minute.

    It begins with that share of the error budget, a logarithm.

    A mixture of e-processes is one, too, where its parts are set before. Each keeps what the other loses: while a
    version warms up only great harm pays, and a little costs what would find it later. In those minutes the second one
    bets against more than is tolerated, which is a weaker claim: it is fair against the stronger one as well.
    """
    whole, fresh = [row.whole for row in rows], [row.fresh for row in rows]
    warm = wealth_path([row.evidence for row in rows], key, spread, bursts, whole, fresh=fresh)
    if all(row.allowance is None for row in rows):
        return [Wealth(*(share + one for one in both)) for both in warm]
    allowances = [row.allowance or 0.0 for row in rows]
    ever = wealth_path([row.bet for row in rows], key, spread, bursts, whole, allowances, fresh)
    parts = share + math.log1p(-WARMING_STAKE), share + math.log(WARMING_STAKE)
    return [
        Wealth(*(log_sum([parts[0] + one, parts[1] + other]) for one, other in zip(*both, strict=True)))
        for both in zip(warm, ever, strict=True)
    ]


def startles(rows: Sequence[Row], keys: Sequence[Sequence[Wealth]], needed: tuple[float, float]) -> bool:
    """Whether a fresh minute would convict, were one minute believed as far as it goes.

    The cap stands between a blip of one minute and a conviction: without it what is no proof yet is reason enough to
    risk less, and where the weight is lowered the minutes so far count as capped again.
    """
    bad = 0
    for row, worse, intolerable in zip(rows, *keys, strict=True):
        bad += row.tally.candidate_bad if row.tally else 0
        turned = worse.uncapped >= needed[0] and intolerable.uncapped >= needed[1]
        if turned and row.fresh and bad >= FEWEST_BAD:
            return True
    return False


def is_calm(rows: Sequence[Row], tolerance: Tolerance, bursts: Sequence[bool]) -> bool:
    """Whether the fresh minutes by themselves say nothing of a candidate that is worse than tolerated."""
    fresh = [(row, burst) for row, burst in zip(rows, bursts, strict=True) if row.fresh]
    path = wealth([row for row, _ in fresh], tolerance, [1.0] * len(fresh), [burst for _, burst in fresh])
    return not path or path[-1].uncapped < QUIET_LOG_WEALTH
