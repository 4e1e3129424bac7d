"""What of an alias is a rollout's own, so that it may be taken back, and what is somebody else's and stays."""

from __future__ import annotations

from tidegate.frozen import frozen
from tidegate.routing import ALL_PERCENT, Routing


@frozen
class Claim:
    """What a rollout may have left on an alias.

    `weights` are all that it has set, in percent; `promoting`: it may have made the candidate the alias's own version;
    `provisioned`: the alias has provisioned concurrency, so that Lambda itself hands traffic over at weight 100.
    """

    stable: str
    candidate: str | None
    weights: frozenset[float] = frozenset()
    promoting: bool = False
    provisioned: bool = False

    def whole(self, found: Routing) -> Routing | None:
        """What the alias is to serve instead of what was found, on one version; None where nothing of it is ours.

        On the stable version any weight of the candidate is ours: one that was changed by hand still splits *our* two
        versions. On somebody else's version only a weight that this rollout has set is: UpdateAlias is a partial
        update, so that whoever moves an alias and says nothing of weights leaves ours on his version (API reference,
        UpdateAlias). His version then stays, and serves alone.
        """
        promoted = self.promoting and found.was_promoted_by(self.stable, self.candidate)
        if promoted or found.belongs_to(self.stable, self.candidate):
            return Routing.alone(self.stable)
        return Routing.alone(found.version) if self._is_our_weight(found) else None

    def _is_our_weight(self, found: Routing) -> bool:
        handed_over = self.provisioned and found.weight_percent == ALL_PERCENT
        return (
            found.additional is not None
            and found.additional == self.candidate
            and found.weight_percent in self.weights
            and not self.promoting
            and not handed_over
        )
