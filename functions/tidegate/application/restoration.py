"""The one restore, which guards, sweeper, RollBack and an operator's abort share: idempotent, from several at once.

Nobody restores because an alias looks like this rollout's: a later rollout of the same versions may have it by now.
Each write names a RevisionId that is known to be this rollout's own. Either the lock, or the execution itself, keeps it
as that of the rollout's last write: at that revision the alias is as the rollout left it, and it is restored before
anything is said to the ledger, at which a restorer may die each time. Or the alias is read first, and its lock is
marked, or at least read, after: whoever holds it then held it when the alias was read, and a later holder changes the
revision.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from tidegate.application.telemetry import best_effort, logger
from tidegate.aws import aliases, executions, history, ledger, locks
from tidegate.aws.aliases import Alias
from tidegate.aws.executions import Trace
from tidegate.aws.history import ROLLBACK_FAILED, Booked
from tidegate.aws.locks import Lock, Restored
from tidegate.errors import (
    AliasMoved,
    AwsRefused,
    AwsUnavailable,
    LockLost,
    PermissionDenied,
    RolloutError,
    VersionFailed,
)
from tidegate.routing import Routing

#: Promote's function runs for a minute at most, and its last call may land a moment later.
_PROMOTE_IN_FLIGHT_SECONDS = 120
_ATTEMPTS = 5


class Holder(Enum):
    """Who holds the alias's lock."""

    OURS = "this execution"
    ANOTHER = "another execution"
    NOBODY = "nobody"
    NOT_OURS = "not this execution, and no more is known"
    UNKNOWN = "the ledger does not say"


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known once the lock was to be marked.

    Where it is ours, `found` is what it says now, and `marked` whether it says that somebody restores. Where it is not,
    `booked` is how somebody closed the books, None where nobody did, or could not restore. `as_left`: the alias was as
    the rollout left it and was restored before; `found` has the revision that it got by that.
    """

    found: Trace
    holder: Holder
    marked: bool = False
    booked: Booked | None = None
    as_left: bool = False


def left_open(lock: Lock) -> Trace | None:
    """What a lock says of its holder's rollout; None before there is a plan."""
    if lock.plan is None:
        return None
    return Trace(
        lock.plan,
        lock.candidate,
        lock.exposed,
        lock.promoting,
        lock.convicted,
        lock.restoring,
        lock.restored,
        lock.weights,
        lock.revision_id,
    )


def has_ended_as_meant(lock: Lock) -> bool:
    """Whether the execution has ended as it should, and only the books are open: what it told is not undone."""
    end = executions.end_of(lock.execution_arn, time.time() - lock.taken_at)
    return end is not None and end.left_as_meant


def begin(found: Trace, why: str, *, convicts: bool = False, hasty: bool = False) -> Mark:
    """Restore the alias where it is as the rollout left it, as far as is known, and mark the lock then, as `mark`.

    Who restores a rollout that was never redriven begins so. `restore` writes once more, whatever came of it here: only
    what is written after the mark fences off a forward write that was recorded before it.
    """
    revision_id: str | None = None
    if found.exposed and not (found.promoting or found.restored):
        with best_effort("restore the alias as it was left"):
            revision_id = _restore_as_left(found)
    marked = mark(found, why, convicts=convicts, hasty=hasty)
    if revision_id is None:
        return marked
    return replace(marked, found=replace(marked.found, revision_id=revision_id), as_left=True)


def mark(found: Trace, why: str, *, convicts: bool = False, hasty: bool = False) -> Mark:
    """Say in the lock that the stable version is being restored: no forward write follows, and no promotion is closed.

    What the lock has come to say until then counts. A lock that cannot be written is read. `hasty`: whoever may restore
    without the ledger does not wait long for one that hangs.
    """
    plan = found.plan
    try:
        lock = ledger.mark_restoring(plan.target, plan.execution_arn, why, convicts=convicts, hasty=hasty)
    except RolloutError as error:
        logger.warning("the lock could not be marked", reason=str(error))
        return Mark(found, Holder.UNKNOWN) if hasty else _read(found)
    seen = left_open(lock) if lock else None
    return Mark(seen, Holder.OURS, marked=True) if seen else _not_ours(found)


def _read(found: Trace) -> Mark:
    """Who holds the lock, where it could not be marked."""
    with best_effort("read the lock"):
        lock = locks.read(found.plan.target)
        seen = left_open(lock) if lock and lock.execution_arn == found.plan.execution_arn else None
        return Mark(seen, Holder.OURS) if seen else _not_ours(found)
    return Mark(found, Holder.UNKNOWN)


def _not_ours(found: Trace) -> Mark:
    with best_effort("read how the rollout was closed"):
        booked = history.booked(found.plan)
        if booked and booked.outcome == ROLLBACK_FAILED:
            booked = None
        taken = booked or locks.read(found.plan.target)
        return Mark(found, Holder.ANOTHER if taken else Holder.NOBODY, booked=booked)
    return Mark(found, Holder.NOT_OURS)


def restore(
    marked: Mark,
    why: str,
    *,
    ended_at: float | None,
    alias_gone: bool = False,
    is_alone: Callable[[], bool] | None = None,
) -> Restored | Booked:
    """Put all traffic on the stable version; or, where somebody else has moved the alias to a version of his, take the
    weight away that is this rollout's own. The books instead, where they say already how the rollout ended.

    The revision of this rollout's last write is tried also where the alias was read as moved: a read may be old. Where
    it was not found at all (`alias_gone`), it is read once more instead. `is_alone` is asked, once the alias was read,
    where the ledger is silent: whether nobody but this rollout can be at it; without it, that is not known.

    A promotion is undone only by whoever marked the lock. Where nobody could, it is undone only if the books do not
    say promoted, once no Promote can be in flight that might still write so; `ended_at` is when the last one may have
    begun, None while the execution goes on.

    Raises:
        AliasMoved, AliasNotFound: nothing of the alias is this rollout's; nothing was written.
        LockLost: another rollout has the alias; nothing was written.
        AwsUnavailable: whose the alias is cannot be said now, a promotion may still be closed, or somebody keeps
            writing to the alias.
    """
    if marked.as_left and marked.holder not in {Holder.OURS, Holder.UNKNOWN}:
        return marked.booked or Restored()
    if booked := _booked(marked):
        return booked
    if marked.found.restored:
        return marked.found.restored
    if not (alias_gone or marked.found.promoting) and _restore_as_left(marked.found):
        logger.info("stable version restored")
        return Restored()
    plan = marked.found.plan
    for _ in range(_ATTEMPTS):
        alias = aliases.read(plan.function_name, plan.alias_name)
        marked = mark(marked.found, why)
        if booked := _booked(marked) or _closed_promotion(marked, alias, ended_at):
            return booked
        if marked.holder is Holder.UNKNOWN and not (is_alone and is_alone()):
            raise AwsUnavailable(f"whose {plan.target} is cannot be said while the ledger is silent: nothing is undone")
        whole = _whole(marked.found, alias)
        if _write(marked.found, alias, whole):
            return _done(marked.found, alias.routing, whole)
    raise AwsUnavailable(f"{plan.target} changes faster than it can be restored")


def restore_at_once(marked: Mark, why: str) -> Restored | Booked:
    """The same while the execution goes on; what was done is kept in the lock, so that it is not done again.

    Raises:
        RolloutError: as `restore`.
    """
    found = marked.found
    done = restore(marked, why, ended_at=None)
    if isinstance(done, Restored) and done is not found.restored:
        with best_effort("keep what was restored"):
            ledger.record_restored(found.plan.target, found.plan.execution_arn, done)
    return done


def _booked(marked: Mark) -> Booked | None:
    """The books, where they are closed.

    Raises:
        LockLost: they do not say so, and another execution has the lock.
        AwsUnavailable: the lock is not this execution's, and the books do not answer.
    """
    target = marked.found.plan.target
    if marked.holder is Holder.NOT_OURS:
        raise AwsUnavailable(f"the lock of {target} is not this rollout's any more, and its history does not answer")
    if marked.booked is None and marked.holder is Holder.ANOTHER:
        raise LockLost(f"another rollout of {target} has its lock: nothing is undone")
    return marked.booked


def _whole(found: Trace, alias: Alias) -> Routing:
    """What the alias is to serve on one version.

    Raises:
        AliasMoved: nothing of it is this rollout's.
    """
    whole = found.claim.whole(alias.routing)
    if whole is None:
        raise AliasMoved(
            f"{found.plan.target} serves {alias.routing}, which this rollout of version {found.candidate} over version"
            f" {found.plan.stable} did not write: left as found"
        )
    return whole


def _restore_as_left(found: Trace) -> str | None:
    """The new revision of an alias that was at that of this rollout's last write, and is restored: proof enough.

    None where it was at another one.
    """
    plan = found.plan
    if found.revision_id is None:
        return None
    stable = Routing.alone(plan.stable)
    try:
        written = aliases.write(plan.function_name, plan.alias_name, stable, found.revision_id)
    except (PermissionDenied, VersionFailed, AwsRefused):
        now = aliases.read(plan.function_name, plan.alias_name)
        if now.routing == stable:
            return now.revision_id
        if found.claim.whole(now.routing) is None:
            return None  # where it is somebody else's by now, there is nothing to be refused
        raise
    return written.revision_id if written else None


def _write(found: Trace, alias: Alias, whole: Routing) -> bool:
    """Whether the alias is whole now; False where somebody wrote since it was read."""
    plan = found.plan
    try:
        return aliases.write(plan.function_name, plan.alias_name, whole, alias.revision_id) is not None
    except (PermissionDenied, VersionFailed):
        # The stable version serves alone: a fence that is denied is no reason to call a person. Another role's write
        # may still come late, which the sweeper sees; one beside a Failed version is refused too.
        if alias.routing == whole:
            return True
        raise


def _done(found: Trace, before: Routing, whole: Routing) -> Restored:
    plan = found.plan
    if whole.version == plan.stable:
        logger.info("stable version restored")
        return Restored()
    done = Restored(cleared(plan.target, before))
    logger.warning("weight cleared", reason=done.theirs)
    return done


def cleared(target: str, before: Routing) -> str:
    """What is said where a weight of ours was taken from somebody else's version."""
    return (
        f"{target} served {before}: somebody else moved it to version {before.version}, and the weight of version"
        f" {before.additional} was left of this rollout. That weight is cleared, and version {before.version} serves"
        " alone"
    )


def _closed_promotion(marked: Mark, alias: Alias, ended_at: float | None) -> Booked | None:
    """The books, where the alias shows a promotion that is closed; None where there is none, or it may be undone.

    Raises:
        AwsUnavailable: it may still be closed.
    """
    plan, found = marked.found.plan, marked.found
    if marked.marked or not (found.promoting and alias.routing.was_promoted_by(plan.stable, found.candidate)):
        return None
    if ended_at is None:
        raise AwsUnavailable(f"{plan.target} is being promoted, and its lock cannot be marked: nothing may be undone")
    with best_effort("read whether the promotion is closed"):
        if booked := history.booked(plan):
            return booked
    if time.time() - ended_at < _PROMOTE_IN_FLIGHT_SECONDS:
        raise AwsUnavailable(f"a promotion of {plan.target} may still be in flight: if it is not closed, it is undone")
    return None
