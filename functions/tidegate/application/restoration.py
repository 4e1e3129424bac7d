"""The one restore, which guards, sweeper, RollBack and an operator's abort share: idempotent, from several at once.

Nobody restores because an alias looks like this rollout's: a later rollout of the same versions may have it by now.
Each write names a RevisionId that is known to be this rollout's own. Either the lock, or the execution itself, keeps it
as that of the rollout's last write: at that revision the alias is as the rollout left it, and it is restored before
anything is said to the ledger, at which a restorer may die each time. Or the alias is read first, and the intent is
written to its lock, or that at least read, after: whoever holds it then held it when the alias was read, and a later
holder changes the revision.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tidegate.application.telemetry import best_effort, logger
from tidegate.aws import aliases, executions, history, ledger, locks
from tidegate.aws.aliases import AliasState
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.restore_intent import Holder, LeftAsFound, RestoreIntent, restored
from tidegate.ending.snapshot import Restored, RolloutSnapshot
from tidegate.errors import (
    AliasNotFound,
    AwsRefused,
    AwsUnavailable,
    Interrupted,
    PermissionDenied,
    RolloutError,
    VersionFailed,
)
from tidegate.routing import Routing

#: Whether nobody but that rollout can be at its alias, where the ledger is silent; None: whoever asks cannot say.
IsAlone = Callable[[], bool] | None

#: Promote's function runs for a minute at most, and its last call may land a moment later.
_PROMOTE_IN_FLIGHT_SECONDS = 120
_ATTEMPTS = 5


def has_ended_cleanly(lock: Lock) -> bool:
    """Whether the execution has ended as it should, and only its record is open: what it told is not undone."""
    end = executions.end_of(lock.execution_arn, time.time() - lock.heard_at)
    return end is not None and end.ended_cleanly


def begin(found: RolloutSnapshot, why: str, *, hasty: bool = False) -> RestoreIntent:
    """Restore the alias where it is as the rollout left it, as far as is known, and say so then, as `intend`.

    Who restores a rollout that was never redriven begins so. `restore` writes once more, whatever came of it here: only
    what is written after the intent fences off a forward write that was recorded before it.
    """
    revision_id: str | None = None
    if found.traffic_shifted and not (found.promoting or found.restored):
        with best_effort("restore the alias as it was left"):
            revision_id = _restore_as_left(found)
    intent = intend(found, why, hasty=hasty)
    if revision_id is None:
        return intent
    return replace(intent, snapshot=replace(intent.snapshot, revision_id=revision_id), as_left=True)


def intend(
    found: RolloutSnapshot, why: str, *, convicts_if_shifted_by: float | None = None, hasty: bool = False
) -> RestoreIntent:
    """Say in the lock that the stable version is being restored: no forward write follows, and no promotion is
    recorded.

    What the lock has come to say until then counts. A lock that cannot be written is read. `convicts_if_shifted_by`: as
    in `ledger.record_intent`. `hasty`: whoever may restore without the ledger does not wait long for one that hangs.
    """
    plan = found.plan
    try:
        lock = ledger.record_intent(
            plan.target, plan.execution_arn, why, convicts_if_shifted_by=convicts_if_shifted_by, hasty=hasty
        )
    except RolloutError as error:
        logger.warning("the lock could not be marked", reason=str(error))
        return RestoreIntent(found, Holder.UNKNOWN) if hasty else _read(found)
    seen = lock.snapshot if lock else None
    return RestoreIntent(seen, Holder.OURS, in_lock=True) if seen else _not_ours(found)


def _read(found: RolloutSnapshot) -> RestoreIntent:
    """Who holds the lock, where nothing could be said in it."""
    with best_effort("read the lock"):
        lock = locks.read(found.plan.target)
        seen = lock.snapshot if lock and lock.execution_arn == found.plan.execution_arn else None
        return RestoreIntent(seen, Holder.OURS) if seen else _not_ours(found)
    return RestoreIntent(found, Holder.UNKNOWN)


def _not_ours(found: RolloutSnapshot) -> RestoreIntent:
    with best_effort("read how the rollout was closed"):
        recorded = history.recorded(found.plan)
        if recorded and recorded.outcome is Outcome.ROLLBACK_FAILED:
            recorded = None
        taken = recorded or locks.read(found.plan.target)
        return RestoreIntent(found, Holder.ANOTHER if taken else Holder.NOBODY, recorded=recorded)
    return RestoreIntent(found, Holder.NOT_OURS)


def restore(
    intent: RestoreIntent,
    why: str,
    *,
    ended_at: float | None,
    alias_gone: bool = False,
    is_alone: IsAlone = None,
) -> Restored | Ending:
    """Put all traffic on the stable version; or, where somebody else has moved the alias to a version of his, take the
    weight away that is this rollout's own. An ending instead, where the history says already how the rollout ended.

    The revision of this rollout's last write is tried also where the alias was read as moved: a read may be old. Where
    it was not found at all (`alias_gone`), it is read once more instead. `is_alone` is asked once the alias was read,
    and the ledger is silent. `ended_at` is when the last Promote may have begun, None while the execution goes on: a
    promotion that nobody could forbid in the lock is undone once it can no longer be recorded.

    Raises:
        AliasMoved, AliasNotFound: nothing of the alias is this rollout's; nothing was written.
        LockLost: another rollout has the alias; nothing was written.
        AwsUnavailable: whose the alias is cannot be said now, a promotion may still be recorded, or somebody keeps
            writing to the alias.
    """
    if done := intent.done_before():
        return done
    if not (alias_gone or intent.snapshot.promoting) and _restore_as_left(intent.snapshot):
        logger.info("stable version restored")
        return Restored()
    plan = intent.snapshot.plan
    for _ in range(_ATTEMPTS):
        alias = aliases.read(plan.alias)
        intent = intend(intent.snapshot, why)
        if ended := intent.ended_before() or _closed_promotion(intent, alias, ended_at):
            return ended
        if intent.holder is Holder.UNKNOWN and not (is_alone and is_alone()):
            raise AwsUnavailable(f"whose {plan.target} is cannot be said while the ledger is silent: nothing is undone")
        whole = intent.whole(alias.routing)
        if _write(intent, alias, whole):
            return _logged(restored(plan.stable, plan.target, alias.routing, whole))
    raise AwsUnavailable(f"{plan.target} changes faster than it can be restored")


def attempt(
    intent: RestoreIntent, why: str, *, ended_at: float | None, alias_gone: bool = False, is_alone: IsAlone = None
) -> Restored | Ending | LeftAsFound:
    """The same; what is not this rollout's, or is not there, is a result too.

    Raises:
        RolloutError: the alias may still have to be restored.
    """
    try:
        return restore(intent, why, ended_at=ended_at, alias_gone=alias_gone, is_alone=is_alone)
    except (Interrupted, AliasNotFound) as error:
        return LeftAsFound(str(error))


def attempt_at_once(intent: RestoreIntent, why: str) -> Restored | Ending | LeftAsFound:
    """The same while the execution goes on; what was done is kept in the lock, so that it is not done again."""
    found = intent.snapshot
    done = attempt(intent, why, ended_at=None)
    if isinstance(done, Restored) and done is not found.restored:
        with best_effort("keep what was restored"):
            ledger.record_restored(found.plan.target, found.plan.execution_arn, done)
    return done


def _restore_as_left(found: RolloutSnapshot) -> str | None:
    """The new revision of an alias that was at that of this rollout's last write, and is restored: proof enough.

    None where it was at another one.
    """
    plan = found.plan
    if found.revision_id is None:
        return None
    stable = Routing.alone(plan.stable)
    try:
        written = aliases.write(plan.alias, stable, found.revision_id)
    except (PermissionDenied, VersionFailed, AwsRefused):
        now = aliases.read(plan.alias)
        if now.routing == stable:
            return now.revision_id
        if found.claim.whole(now.routing) is None:
            return None  # where it is somebody else's by now, there is nothing to be refused
        raise
    return written.revision_id if written else None


def _write(intent: RestoreIntent, alias: AliasState, whole: Routing) -> bool:
    """Whether the alias is whole now; False where somebody wrote since it was read."""
    plan = intent.snapshot.plan
    try:
        return aliases.write(plan.alias, whole, alias.revision_id) is not None
    except (PermissionDenied, VersionFailed):
        # The stable version serves alone: a fence that is denied is no reason to call a person. Another role's write
        # may still come late, which the sweeper sees; one beside a Failed version is refused too.
        if alias.routing == whole:
            return True
        raise


def _logged(done: Restored) -> Restored:
    if done.theirs is None:
        logger.info("stable version restored")
    else:
        logger.warning("weight cleared", reason=done.theirs)
    return done


def _closed_promotion(intent: RestoreIntent, alias: AliasState, ended_at: float | None) -> Ending | None:
    """How the history says that it ended, where the alias shows a promotion that is recorded; None where there is none,
    or it may be undone.

    Raises:
        AwsUnavailable: it may still be recorded.
    """
    plan = intent.snapshot.plan
    if not intent.may_be_a_closed_promotion(alias.routing):
        return None
    if ended_at is None:
        raise AwsUnavailable(f"{plan.target} is being promoted, and its lock cannot be marked: nothing may be undone")
    with best_effort("read whether the promotion is closed"):
        if recorded := history.recorded(plan):
            return recorded
    if time.time() - ended_at < _PROMOTE_IN_FLIGHT_SECONDS:
        raise AwsUnavailable(f"a promotion of {plan.target} may still be in flight: if it is not closed, it is undone")
    return None
