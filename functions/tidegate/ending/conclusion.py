"""How a rollout ends, from all that is known of it: one answer, whoever asks.

RollBack asks while the execution runs; guard_execution, the sweeper and the next rollout of the alias ask once it has
ended; guard_alarm asks what its restore will have come to.
"""

from __future__ import annotations

from typing import Self

from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.failure import Failure, after
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.restore_intent import Failed, Holder, LeftAsFound, Restoration
from tidegate.ending.snapshot import Restored, RolloutSnapshot
from tidegate.errors import AliasMoved, AliasNotFound, LockLost
from tidegate.frozen import frozen


@frozen
class Reason:
    """Why a rollout ends, as whoever ends it knows. `failure_name` is the error that stopped it, if one did."""

    cause: str
    convicts: bool = False
    failure_name: str = ""

    @classmethod
    def of_failure(cls, failure: Failure) -> Self:
        """The reason where a task has failed."""
        return cls(str(failure), failure.convicts, failure.error_name)

    @property
    def alias_gone(self) -> bool:
        """Whether there was no alias any more."""
        return self.failure_name == AliasNotFound.__name__

    @property
    def alias_moved(self) -> bool:
        """Whether the alias was not as the rollout had left it; Promote, too, says so only where it wrote nothing."""
        return self.alias_gone or self.failure_name == AliasMoved.__name__

    @property
    def lock_lost(self) -> bool:
        """Whether a task found that the lock is not this execution's any more."""
        return self.failure_name == LockLost.__name__


@frozen
class Known:
    """What is known of a rollout that is ending.

    `end` is how its execution ended, None while that runs. `restoration` is what restoring the alias came to, None
    where there was nothing to restore. `holder` is whose lock the alias's is, as far as somebody has looked.
    """

    snapshot: RolloutSnapshot
    reason: Reason
    end: ExecutionEnd | None = None
    restoration: Restoration | None = None
    holder: Holder = Holder.UNKNOWN


def ending_of_execution(snapshot: RolloutSnapshot, end: ExecutionEnd | None) -> Ending | None:
    """How the rollout ended by its execution's own word: then the alias is as it should be, or was.

    None where the execution runs or did not come to such an end; and where somebody restores what it has promoted, for
    he does so because of harm.
    """
    if end is None or not end.ended_cleanly:
        return None
    outcome = end.outcome or (Outcome.PROMOTED if snapshot.promoting else Outcome.UNCHANGED)
    if outcome is Outcome.PROMOTED and snapshot.restoring:
        return None
    if outcome.is_success:
        return Ending(outcome, "closed after the execution had ended", end.proven, proven_by=end.proven_by)
    return Ending(outcome, end.cause, convicts=snapshot.convicted)


def conclude(known: Known) -> Ending:
    """How the rollout ends.

    Raises:
        RolloutError: it does not end yet: it could not be restored, and trying again may help.
    """
    if said := ending_of_execution(known.snapshot, known.end):
        return said
    match known.restoration:
        case Ending() as recorded:
            return recorded
        case LeftAsFound(why):
            return _interrupted(known, after(why, known.reason.cause))
        case Restored(str(theirs)):
            return _interrupted(known, after(theirs, known.reason.cause))
        case Restored():
            return _for_the_first_reason(known, Outcome.ROLLED_BACK)
        case Failed() as failed:
            return _not_restored(known, failed)
    if known.reason.lock_lost and known.holder is Holder.ANOTHER:
        return _interrupted(known, known.reason.cause)
    return _for_the_first_reason(known, Outcome.REJECTED)


def _interrupted(known: Known, cause: str) -> Ending:
    return Ending(Outcome.INTERRUPTED, cause, convicts=known.reason.convicts)


def _for_the_first_reason(known: Known, outcome: Outcome) -> Ending:
    """An end whose cause is why somebody restored first: what failed since is only what followed from that.

    The lock keeps that reason, cut to its room.
    """
    reason, first = known.reason, known.snapshot.restoring
    if first and not reason.cause.startswith(first.removesuffix("…")):
        return Ending(outcome, first, convicts=known.snapshot.convicted)
    return Ending(outcome, reason.cause, convicts=reason.convicts)


def _not_restored(known: Known, failed: Failed) -> Ending:
    """A person must look; not while trying again may help, unless the execution itself has given up before."""
    given_up = known.end is not None and known.end.outcome is Outcome.ROLLBACK_FAILED
    if failed.may_pass and not given_up:
        raise failed.error
    return Ending(Outcome.ROLLBACK_FAILED, after(str(failed.error), known.reason.cause))
