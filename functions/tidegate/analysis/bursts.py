"""Shared bursts: minutes in which the stable version itself fails far more than usual, so that neither can be told.

Such a minute may only cost (`e_process.log_wealth`), so flagging more of them than needed is always valid, by whatever
they are told: it is power that is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.analysis.e_process import NOTHING, Tally
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import Row
from tidegate.frozen import frozen

#: The stable version fails this often, this many times its usual rate, and so much above it: fewer failures are chance,
#: a rate may double with the hour, and many times next to nothing is next to nothing.
BURST_BAD, BURST_RATIO, BURST_INCREASE = 5, 5.0, 0.02
#: As many calm minutes of the stable version make its rate known where no history does: one or two may be its best.
#: Until then so much is a burst, which is more than nearly any alias fails from day to day.
BURST_KNOWN_MINUTES, BURST_UNKNOWN_RATE = 3, 0.1
#: What lasts longer than so many minutes is no burst but how things are: most outages are over by then, and a judge
#: that is mute for longer protects nobody. One blocks every acquittal for so many: metrics are one to three late.
BURST_LONGEST, BURST_RECENT = 15, 3
#: Where nobody knows the usual rate it need last only so long, if the candidate has failed so many times as often as
#: the stable version in it: an outage may hit it twice as hard, since its environments are new.
BURST_LONGEST_UNKNOWN, BURST_UNSHARED_RATIO = 4, 2.5


@frozen
class Bursts:
    """For how many minutes in a row the stable version fails far more than usual, up to and with each minute (0: it is
    calm), and which minutes are shared bursts.
    """

    lasted: tuple[int, ...]
    shared: tuple[bool, ...]


def has_just_ended(lasted: Sequence[int]) -> bool:
    """Whether the last of these minutes is calm, and one shortly before it was not."""
    return bool(lasted) and not lasted[-1] and any(lasted[-BURST_RECENT:])


def find_bursts(rows: Sequence[Row], baseline: Rate | None, failing_minutes: int = 0) -> Bursts:
    """Which minutes are shared bursts: the stable version itself fails far more than usual, or requests are throttled.

    Usual is its rate before the rollout where there is a history, or else over the earlier calm minutes. What lasts
    longer than any burst is how things are now: the judge must not stay mute. `failing_minutes` have it lasted when the
    rollout began.
    """
    lasted, shared, burst, length = list[int](), list[bool](), list[Tally](), failing_minutes
    bad, requests = (baseline.bad, baseline.requests) if baseline else (0.0, 0.0)
    calm = BURST_KNOWN_MINUTES if baseline else 0
    for row in rows:
        tally = row.tally or NOTHING
        limit = far_above(bad / requests if requests else 0.0) if calm >= BURST_KNOWN_MINUTES else BURST_UNKNOWN_RATE
        beyond = tally.stable_bad >= limit * tally.stable
        # How things are goes on, however few requests tell of it.
        goes_on = length > BURST_LONGEST and (tally.stable_bad > 0 or not tally.stable)
        if row.throttled or (beyond and (tally.stable_bad >= BURST_BAD or goes_on)):
            length += 1
            burst.append(tally)
        else:
            length, burst = 0, []
            if not baseline:
                bad, requests, calm = bad + tally.stable_bad, requests + tally.stable, calm + (tally.stable > 0)
        unshared = bool(burst) and calm < BURST_KNOWN_MINUTES and _is_unshared(burst)
        lasted.append(length)
        shared.append(0 < length <= (BURST_LONGEST_UNKNOWN if unshared else BURST_LONGEST))
    return Bursts(tuple(lasted), tuple(shared))


def far_above(usual: float) -> float:
    """From which share on a version fails far more than usual."""
    return max(BURST_RATIO * usual, usual + BURST_INCREASE)


def failing_minutes(minutes: Sequence[tuple[float, float]], usual: float) -> int:
    """For how many minutes of (requests, bad), up to the last one, a version has failed far more than usual."""
    limit, found, failed = far_above(usual), 0, 0.0
    for requests, bad in reversed(minutes):
        if not 0 < bad >= limit * requests:
            break
        found, failed = found + 1, failed + bad
    return found if failed >= BURST_BAD else 0


def _is_unshared(burst: Sequence[Tally]) -> bool:
    """Whether the candidate has failed far more often in a burst than any outage that both versions share explains."""
    stable = Rate(sum(one.stable_bad for one in burst), sum(one.stable for one in burst))
    candidate = Rate(sum(one.candidate_bad for one in burst), sum(one.candidate for one in burst))
    return candidate.share > BURST_UNSHARED_RATIO * stable.share
