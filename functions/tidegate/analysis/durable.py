"""Executions of a durable function, by the minute in which they started: what they become for the judge.

An invocation of such a function is no trial: Lambda counts each replay as one, and calls it failed only where the
invocation itself failed (Lambda Developer Guide, "Monitoring durable functions"). What can go well or badly is an
execution. It is a trial once it has ended, of the minute in which it started: then it was chance which version got it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tidegate.analysis.measurement import Counts, Minute, Shift
from tidegate.analysis.sight import FEWEST_EXPECTED, Unseen
from tidegate.frozen import frozen

#: A minute is settled where at most one execution in so many, of either version, has not ended.
_ONE_OPEN_IN = 100
#: Where the candidate's part that goes on is at most so many times the stable version's, that is how long they take.
ALIKE = 1.25


@frozen
class Executions:
    """How many executions of one version started, and how many of those have ended by now, and how.

    `bad` have failed or run out of time; `stopped` were stopped by somebody, which speaks for and against nobody.
    """

    started: int = 0
    succeeded: int = 0
    bad: int = 0
    stopped: int = 0

    @property
    def trials(self) -> int:
        """Those that ended by themselves."""
        return self.succeeded + self.bad

    @property
    def unended(self) -> int:
        """Those that have not ended: unknown, and never healthy."""
        return max(0, self.started - self.trials - self.stopped)

    @property
    def settled(self) -> bool:
        """Whether as good as all of them have ended."""
        return _as_good_as_none(self.unended, self.started)

    def __add__(self, other: Executions) -> Executions:
        return Executions(
            self.started + other.started,
            self.succeeded + other.succeeded,
            self.bad + other.bad,
            self.stopped + other.stopped,
        )


@frozen
class StartMinute:
    """What started in the minute from `at` on, in seconds since the epoch."""

    at: float
    stable: Executions = Executions()
    candidate: Executions = Executions()

    @property
    def settled(self) -> bool:
        """Whether the versions can be compared: whichever ends sooner when it fails would look worse before."""
        return self.stable.settled and self.candidate.settled

    @property
    def measured(self) -> Minute:
        """The minute as the judge reads one: trials and bad ends, or traffic of which nothing is known yet."""
        return Minute(self.at, _counts(self.stable, self.settled), _counts(self.candidate, self.settled))


def _counts(executions: Executions, settled: bool) -> Counts:
    if not settled:
        return Counts(executions.started, None, None, None, None) if executions.started else Counts()
    return Counts(executions.trials, executions.bad)


def beside(found: Iterable[StartMinute], counted: Iterable[Minute]) -> tuple[Minute, ...]:
    """Executions by the minute, oldest first, and beside them what the user's own metrics have counted."""
    minutes = {minute.at: minute.measured for minute in found}
    for minute in counted:
        started = minutes.get(minute.at, Minute(minute.at, Counts(), Counts()))
        stable = replace(started.stable, others=minute.stable.others)
        candidate = replace(started.candidate, others=minute.candidate.others)
        minutes[minute.at] = replace(started, stable=stable, candidate=candidate)
    return tuple(minutes[at] for at in sorted(minutes))


def unsettled(found: Sequence[StartMinute], shifts: Sequence[Shift]) -> Unseen:
    """What is not known of this step although executions of the candidate have started.

    It is shared where as large a part of the stable version's goes on: executions that take hours hide no more of the
    candidate than of it.
    """
    since = shifts[-1].at if len(shifts) > 1 else 0.0
    step = [minute for minute in found if minute.at >= since and minute.candidate.started]
    if any(minute.settled and minute.candidate.trials for minute in step):
        return Unseen(overdue=overtaken(found))
    stable, candidate = total(step)
    if candidate.started < FEWEST_EXPECTED:
        return Unseen(overdue=overtaken(found))
    reason = (
        f"{candidate.unended:,} of {candidate.started:,} executions that started on the candidate have not ended, and"
        f" {stable.unended:,} of {stable.started:,} on the stable version"
    )
    open_here, open_there = candidate.unended * max(1, stable.started), stable.unended * candidate.started
    return Unseen(reason, shared=open_here <= ALIKE * open_there, overdue=overtaken(found))


def overtaken(found: Sequence[StartMinute]) -> int:
    """How many executions of the candidate go on in minutes that have not settled, although a later one has.

    Minutes in which all ended say nothing of the others: whoever waits in vain would never be counted. As few of all as
    may go on in a minute that settles are none.
    """
    last = max((minute.at for minute in found if minute.settled and minute.candidate.trials), default=0.0)
    earlier = [minute.candidate for minute in found if minute.at < last]
    unended = sum(one.unended for one in earlier if not one.settled)
    return 0 if _as_good_as_none(unended, sum(one.started for one in earlier)) else unended


def _as_good_as_none(unended: int, started: int) -> bool:
    return unended * _ONE_OPEN_IN <= started


def total(found: Iterable[StartMinute]) -> tuple[Executions, Executions]:
    """All executions of the stable version, and of the candidate."""
    stable, candidate = Executions(), Executions()
    for minute in found:
        stable, candidate = stable + minute.stable, candidate + minute.candidate
    return stable, candidate
