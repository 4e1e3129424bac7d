"""Where an alias sends its requests, and the moves a rollout may make.

The stable version stays the alias's own version until Promote; the candidate lives in the additional
weights, the last step at weight 100 included. Clearing the weights is therefore always the rollback.
"""

from __future__ import annotations

from tidegate.alias import Alias
from tidegate.frozen import frozen

ALL_PERCENT = 100.0


@frozen
class Routing:
    """One alias's routing: `version` serves what `additional` does not.

    An alias points to at most two versions (AWS Lambda Developer Guide, "Lambda alias routing
    configuration"). `weight_percent` is the share of `additional`, 0 where there is none.
    """

    version: str
    additional: str | None = None
    weight_percent: float = 0.0

    @classmethod
    def alone(cls, version: str) -> Routing:
        """All traffic to one version."""
        return cls(version)

    @classmethod
    def split(cls, stable: str, candidate: str, weight_percent: float) -> Routing:
        """`weight_percent` of the traffic to the candidate, the rest to the stable version."""
        return cls(stable, candidate, weight_percent)

    @property
    def is_split(self) -> bool:
        """Whether a second version is named, at whatever weight."""
        return self.additional is not None

    def belongs_to(self, stable: str, candidate: str | None) -> bool:
        """Whether a rollout of these two versions left the alias like this before Promote.

        Any weight counts: a weight that somebody changed by hand still splits *our* two versions, and
        restoring the stable one is what ends it.
        """
        return self.version == stable and (not self.is_split or self.additional == candidate)

    def was_promoted_by(self, stable: str, candidate: str | None) -> bool:
        """Whether Promote of these two versions left the alias like this.

        With provisioned concurrency Lambda itself shows candidate + {stable: 1.0} for a while, where
        clearing the weights would promote: restoring must name the stable version.
        """
        return candidate is not None and self.version == candidate and self.additional in (None, stable)

    def is_handed_over_from(self, stable: str, candidate: str) -> bool:
        """Whether Lambda itself still sends everything to the version before, until the promoted one is provisioned."""
        return self == Routing.split(candidate, stable, ALL_PERCENT)

    def __str__(self) -> str:
        if not self.is_split:
            return f"version {self.version} alone"
        return f"version {self.version} with {self.weight_percent:g} % to version {self.additional}"


def restore_command(region: str, alias: Alias, stable: str) -> str:
    """The AWS CLI command with which a person restores the stable version."""
    return (
        f"aws lambda update-alias --region {region} --function-name {alias.function_name} --name {alias.name}"
        f" --function-version {stable} --routing-config '{{\"AdditionalVersionWeights\":{{}}}}'"
    )
