"""What a rollout was doing when it was last seen, whoever saw it: its lock, its history of states, or itself."""

from __future__ import annotations

from tidegate.ending.claim import Claim
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan


@frozen
class Restored:
    """What a restore did. `theirs`: the alias was on somebody else's version, with a weight of ours that was cleared;
    then a sentence that says so.
    """

    theirs: str | None = None


@frozen
class RolloutSnapshot:
    """What a rollout was doing. Where nobody says otherwise, the worst is assumed of it.

    `traffic_shifted`: a weight may have been set; `promoting`: the candidate may have been made the alias's own
    version; `convicted`: the last verdict, or an alarm, spoke against the candidate; `restoring`: why somebody restores
    the stable version, and `restored` what that has done. `weights` are those that were set, in percent, and
    `revision_id` is the alias's after the last write that is known to have been answered.
    """

    plan: Plan
    candidate: str | None
    traffic_shifted: bool = True
    promoting: bool = True
    convicted: bool = False
    restoring: str | None = None
    restored: Restored | None = None
    weights: frozenset[float] = frozenset()
    revision_id: str | None = None

    @property
    def claim(self) -> Claim:
        """What it may have left on its alias."""
        plan = self.plan
        return Claim(plan.stable, self.candidate, self.weights, promoting=self.promoting, provisioned=plan.provisioned)
