"""Restoring the stable version: who may, what of the alias is taken back, and what it can come to."""

from __future__ import annotations

from enum import Enum

from tidegate.ending.outcome import Ending
from tidegate.ending.snapshot import Restored, RolloutSnapshot
from tidegate.errors import AliasMoved, AwsUnavailable, LockLost, RolloutError, Transient
from tidegate.frozen import frozen
from tidegate.routing import Routing


class Holder(Enum):
    """Who holds the alias's lock."""

    OURS = "this execution"
    ANOTHER = "another execution"
    NOBODY = "nobody"
    NOT_OURS = "not this execution, and no more is known"
    UNKNOWN = "the ledger does not say"


@frozen
class LeftAsFound:
    """Nothing of the alias was this rollout's, or there is no alias; `why` is a sentence that says so."""

    why: str


@frozen
class Failed:
    """The alias could not be restored."""

    error: RolloutError

    @property
    def may_pass(self) -> bool:
        """Whether trying again may help."""
        return isinstance(self.error, Transient)


#: What restoring came to. An ending: the history says already how the rollout ended, and nothing was written.
Restoration = Restored | LeftAsFound | Ending | Failed


@frozen
class RestoreIntent:
    """What is known once somebody has said, or tried to say, in the lock that he restores the stable version.

    Where the lock is ours, `snapshot` is what it says now, and `in_lock` whether it says that somebody restores. Where
    it is not, `recorded` is how the history says that the rollout ended, None where it does not, or could not be
    restored. `as_left`: the alias was as the rollout left it and was restored before; `snapshot` has the revision that
    it got by that.
    """

    snapshot: RolloutSnapshot
    holder: Holder
    in_lock: bool = False
    recorded: Ending | None = None
    as_left: bool = False

    def done_before(self) -> Restored | Ending | None:
        """What makes another write needless; None where the alias must be restored.

        Raises:
            LockLost, AwsUnavailable: as `ended_before`.
        """
        if self.as_left and self.holder not in {Holder.OURS, Holder.UNKNOWN}:
            return self.recorded or Restored()
        return self.ended_before() or self.snapshot.restored

    def ended_before(self) -> Ending | None:
        """How the history says that the rollout ended; None where it does not, and this rollout may have the alias.

        Raises:
            LockLost: the history does not say, and another execution has the lock.
            AwsUnavailable: the lock is not this execution's, and the history does not answer.
        """
        target = self.snapshot.plan.target
        if self.holder is Holder.NOT_OURS:
            raise AwsUnavailable(
                f"the lock of {target} is not this rollout's any more, and its history does not answer"
            )
        if self.recorded is None and self.holder is Holder.ANOTHER:
            raise LockLost(f"another rollout of {target} has its lock: nothing is undone")
        return self.recorded

    def may_be_a_closed_promotion(self, found: Routing) -> bool:
        """Whether the alias shows a promotion that may be recorded: only an intent in the lock rules that out."""
        plan, snapshot = self.snapshot.plan, self.snapshot
        promoted = snapshot.promoting and found.was_promoted_by(plan.stable, snapshot.candidate)
        return promoted and not self.in_lock

    def whole(self, found: Routing) -> Routing:
        """What the alias is to serve on one version.

        Raises:
            AliasMoved: nothing of it is this rollout's.
        """
        snapshot, plan = self.snapshot, self.snapshot.plan
        whole = snapshot.claim.whole(found)
        if whole is None:
            raise AliasMoved(
                f"{plan.target} serves {found}, which this rollout of version {snapshot.candidate} over version"
                f" {plan.stable} did not write: left as found"
            )
        return whole


def restored(stable: str, target: str, before: Routing, whole: Routing) -> Restored:
    """What a write of the whole alias has done."""
    return Restored() if whole.version == stable else Restored(cleared(target, before))


def cleared(target: str, before: Routing) -> str:
    """What is said where a weight of ours was taken from somebody else's version."""
    return (
        f"{target} served {before}: somebody else moved it to version {before.version}, and the weight of version"
        f" {before.additional} was left of this rollout. That weight is cleared, and version {before.version} serves"
        " alone"
    )
