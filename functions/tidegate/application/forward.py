"""A forward move of the alias: the next weight, or the promotion, on exactly the state that this rollout left."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.aws import aliases
from tidegate.aws.aliases import AliasState
from tidegate.errors import AliasMoved, AwsUnavailable
from tidegate.planning.plan import Plan
from tidegate.routing import Routing

_ATTEMPTS = 5


def move(
    plan: Plan,
    desired: Routing,
    *,
    left: Routing,
    revision_id: str,
    record: Callable[[], object],
    is_there: Callable[[Routing], bool] | None = None,
) -> AliasState:
    """Make the routing so, if the alias is still at that revision, and see that it is so.

    Where it is at another one, it is read. It may be as desired: the first attempt's answer was lost, and the SDK asked
    again. It may be as this rollout `left` it: somebody wrote and moved nothing, a description or a permission for
    instance, which gives it another RevisionId too. Then `record` says once more that this rollout is about to write,
    which fails where it is being restored, and only after it is written at the revision that was read: whoever restores
    in between changes that.

    `is_there` is where a routing that is not the desired one will become it.

    Raises:
        AliasMoved: somebody else moved it; nothing was written.
        AwsUnavailable: somebody keeps writing to it.
        RolloutError: as `record`.
    """
    for _ in range(_ATTEMPTS):
        written = aliases.write(plan.alias, desired, revision_id)
        found = written or aliases.read(plan.alias)
        if found.routing == desired or (is_there and is_there(found.routing)):
            return found
        if written or found.routing != left:
            raise AliasMoved(
                f"{plan.target} should get {desired}, and was written to meanwhile: its RevisionId is another one, and"
                f" it serves {found.routing}"
            )
        record()
        revision_id = found.revision_id
    raise AwsUnavailable(f"{plan.target} changes faster than it can be moved")
