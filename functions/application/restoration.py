"""The one restore, which guards, sweeper, RollBack and an operator's abort share: idempotent, from several at once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from application.telemetry import best_effort, logger
from aws import aliases, executions, history, ledger
from aws.executions import Trace
from aws.history import Booked
from aws.ledger import Lock
from rollout.errors import AliasMoved, AwsUnavailable

#: Promote's function runs for a minute at most, and its last call may land a moment later.
_PROMOTE_IN_FLIGHT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known once the lock was to be marked: `held` where it is marked now, `lost` where it is no longer ours.

    Neither: nobody knows, the ledger does not answer.
    """

    found: Trace
    held: bool = False
    lost: bool = False

    def closed_before(self) -> Booked | None:
        """How somebody closed the books, where the lock is lost; None too where they do not answer."""
        with best_effort("read how the rollout was closed"):
            return history.booked(self.found.plan) if self.lost else None
        return None


def left_open(lock: Lock) -> Trace | None:
    """What a lock says of its holder's rollout; None before there is a plan."""
    if lock.plan is None:
        return None
    return Trace(lock.plan, lock.candidate, lock.exposed, lock.promoting, lock.convicted, lock.restoring)


def has_ended_as_meant(lock: Lock) -> bool:
    """Whether the execution has ended as it should, and only the books are open: what it told is not undone."""
    end = executions.end_of(lock.execution_arn, time.time() - lock.taken_at)
    return end is not None and end.left_as_meant


def mark(found: Trace, why: str, *, convicts: bool = False) -> Mark:
    """Say in the lock that the stable version is being restored: no forward write follows, and no promotion is closed.

    What the lock has come to say until then counts. A lock that is no longer this execution's was closed by somebody.
    """
    plan = found.plan
    with best_effort("mark the lock"):
        lock = ledger.mark_restoring(plan.target, plan.execution_arn, why, convicts=convicts)
        seen = left_open(lock) if lock else None
        # A lock without a plan was taken late, by a handler in flight, after this one's own had been closed.
        return Mark(seen, held=True) if seen else Mark(found, lost=True)
    return Mark(found)


def restore(marked: Mark, ended_at: float | None) -> Booked | None:
    """Restore the alias; the books instead, where they say already how the rollout ended.

    A promotion is undone only by whoever marked the lock. Where nobody could, it is undone only if the books do not
    say promoted, once no Promote can be in flight that might still write so; `ended_at` is when the last one may have
    begun, None while the execution goes on.

    Raises:
        AliasMoved, AliasNotFound: the alias is somebody else's by now; nothing was written.
        AwsUnavailable: a promotion may still be closed, or somebody keeps writing to the alias.
    """
    found, plan = marked.found, marked.found.plan
    if booked := marked.closed_before():
        return booked
    undoes = marked.held and found.promoting
    try:
        aliases.restore(plan.function_name, plan.alias_name, plan.stable, found.candidate, promoting=undoes)
    except AliasMoved:
        if undoes or not found.promoting:
            raise
        return _undo_unmarked(found, ended_at)
    logger.info("stable version restored")
    return None


def _undo_unmarked(found: Trace, ended_at: float | None) -> Booked | None:
    plan = found.plan
    if ended_at is None:
        raise AwsUnavailable(f"{plan.target} is being promoted, and its lock cannot be marked: nothing may be undone")
    with best_effort("read whether the promotion is closed"):
        if booked := history.booked(plan):
            return booked
    if time.time() - ended_at < _PROMOTE_IN_FLIGHT_SECONDS:
        raise AwsUnavailable(f"a promotion of {plan.target} may still be in flight: if it is not closed, it is undone")
    aliases.restore(plan.function_name, plan.alias_name, plan.stable, found.candidate, promoting=True)
    logger.info("stable version restored, without a mark")
    return None
