"""The alias: read, made, given its next weight, promoted, restored.

Forward writes name the RevisionId of the state before (optimistic locking); a restore may be made from
several places at once and always writes while the stable version is still the alias's own, because that
write fences off a forward write that is still in flight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws import sdk
from rollout.errors import AliasMoved, AliasNotFound, AwsRefused, AwsUnavailable, FunctionUpdating, PermissionDenied
from rollout.routing import Routing

_RESTORE_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias as AWS has it; the revision id changes at every update."""

    routing: Routing
    revision_id: str


def read(function_name: str, alias_name: str) -> Alias:
    """The alias now.

    Raises:
        AliasNotFound: there is no such alias, or no such function.
    """
    try:
        with sdk.refusals(f"read alias {function_name}:{alias_name}"):
            return _alias(sdk.client("lambda").get_alias(FunctionName=function_name, Name=alias_name))
    except AwsRefused as error:
        if error.code == "ResourceNotFoundException":
            raise AliasNotFound(
                f"function {function_name} has no alias {alias_name}: create it on a version"
            ) from error
        raise


def create(function_name: str, alias_name: str, version: str) -> Alias:
    """Make the alias, on that version alone; where it is there already and just so, it was this rollout's first try.

    Raises:
        AliasMoved: somebody else made it on something else.
        FunctionUpdating: Lambda is still changing the function.
    """
    desired = Routing.alone(version)
    try:
        with sdk.refusals(f"create alias {function_name}:{alias_name}"):
            return _alias(
                sdk.client("lambda").create_alias(FunctionName=function_name, Name=alias_name, FunctionVersion=version)
            )
    except FunctionUpdating as conflict:
        # "The resource already exists, or another operation is in progress" (API reference, CreateAlias).
        try:
            found = read(function_name, alias_name)
        except AliasNotFound:
            raise conflict from None
    if found.routing != desired:
        raise AliasMoved(
            f"{function_name}:{alias_name} should be made on version {version}, and is there already, on"
            f" {found.routing}"
        )
    return found


def promote(function_name: str, alias_name: str, stable: str, candidate: str, revision_id: str) -> Alias:
    """Make the candidate the alias's own version, in one call, if the alias is still at that revision.

    An alias with provisioned concurrency then shows the stable version at weight 1.0 for a while: Lambda's own doing
    (terraform-provider-aws#48116).

    Raises:
        AliasMoved: the alias is neither at that revision nor promoted; nothing was written.
    """
    desired = Routing.alone(candidate)
    try:
        return write(function_name, alias_name, desired, revision_id)
    except AliasMoved:
        found = read(function_name, alias_name)
        if found.routing == desired or found.routing.is_handed_over_from(stable, candidate):
            return found
        raise


def write(function_name: str, alias_name: str, desired: Routing, revision_id: str) -> Alias:
    """Make the routing so, if the alias is still at that revision, and see that it is so.

    A lost response makes the SDK's own retry fail with 412 although the first attempt succeeded: the
    alias is then read, and the desired state is a success.

    Raises:
        AliasMoved: the alias is neither at that revision nor as desired; nothing was written.
    """
    try:
        written = _update(function_name, alias_name, desired, revision_id)
    except AwsRefused as error:
        if error.code != "PreconditionFailedException":
            raise
        written = read(function_name, alias_name)
    if written.routing != desired:
        raise AliasMoved(
            f"{function_name}:{alias_name} should get {desired}, and was written to meanwhile: its RevisionId is"
            f" another one, and it serves {written.routing}"
        )
    return written


def restore(
    function_name: str, alias_name: str, stable: str, candidate: str | None, *, promoting: bool = False
) -> Alias:
    """Put all traffic on the stable version, unless the alias is somebody else's by now.

    Raises:
        AliasMoved: the alias shows a state this rollout cannot have left; nothing was written.
        AwsUnavailable: somebody keeps writing to the alias.
    """
    desired = Routing.alone(stable)
    for _ in range(_RESTORE_ATTEMPTS):
        found = read(function_name, alias_name)
        ours = found.routing.belongs_to(stable, candidate)
        if not ours and not (promoting and found.routing.was_promoted_by(stable, candidate)):
            raise AliasMoved(
                f"{function_name}:{alias_name} serves {found.routing}, which this rollout of version {candidate}"
                f" over version {stable} did not write: left as found"
            )
        try:
            restored = _update(function_name, alias_name, desired, found.revision_id)
            if restored.routing == desired:
                return restored
        except PermissionDenied:
            # The stable version serves alone: a fence that is denied is no reason to call a person. Another role's
            # write may still come late, which the sweeper sees.
            if found.routing == desired:
                return found
            raise
        except AwsRefused as error:
            # Somebody wrote between the read and this write: look again before deciding whose alias it is.
            if error.code != "PreconditionFailedException":
                raise
    raise AwsUnavailable(f"{function_name}:{alias_name} changes faster than it can be restored")


def _update(function_name: str, alias_name: str, desired: Routing, revision_id: str) -> Alias:
    # UpdateAlias is a partial update: weights go only when an empty map is sent.
    weights = {desired.additional: _fraction(desired.weight_percent)} if desired.additional else {}
    with sdk.refusals(f"route {function_name}:{alias_name} to {desired}"):
        response = sdk.client("lambda").update_alias(
            FunctionName=function_name,
            Name=alias_name,
            FunctionVersion=desired.version,
            RoutingConfig={"AdditionalVersionWeights": weights},
            RevisionId=revision_id,
        )
    return _alias(response)


def _fraction(weight_percent: float) -> float:
    return round(weight_percent / 100, 4)


def _alias(response: dict[str, Any]) -> Alias:
    weights = (response.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    version = response["FunctionVersion"]
    revision_id = response["RevisionId"]
    for additional, fraction in weights.items():
        return Alias(Routing.split(version, additional, round(fraction * 100, 2)), revision_id)
    return Alias(Routing.alone(version), revision_id)
