"""The alias: read, made, and written at a revision.

Every write names a RevisionId, so that it takes effect on exactly the state that its writer knew, or not at all. Even a
write that changes nothing gives the alias another RevisionId (recorded of AWS), which is what fences off a write that
is still in flight.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tidegate.alias import Alias
from tidegate.aws import sdk, versions
from tidegate.errors import (
    AliasMoved,
    AliasNotFound,
    AwsRefused,
    AwsUnavailable,
    FunctionUpdating,
    PermissionDenied,
    VersionNotFound,
)
from tidegate.frozen import frozen
from tidegate.routing import Routing


@frozen
class AliasState:
    """An alias as AWS has it; the revision id changes at every update."""

    routing: Routing
    revision_id: str


def read(alias: Alias) -> AliasState:
    """The alias now.

    Raises:
        AliasNotFound: there is no such alias, or no such function.
    """
    try:
        with sdk.refusals(f"read alias {alias}"):
            return _alias(sdk.client("lambda").get_alias(FunctionName=alias.function_name, Name=alias.name))
    except AwsRefused as error:
        if error.code == "ResourceNotFoundException":
            raise AliasNotFound(
                f"function {alias.function_name} has no alias {alias.name}: create it on a version"
            ) from error
        raise


def create(alias: Alias, version: str) -> AliasState:
    """Make the alias, on that version alone; where it is there already and just so, it was this rollout's first try.

    Raises:
        AliasMoved: somebody else made it on something else.
        VersionFailed: the version is Failed.
        FunctionUpdating: Lambda is still changing the function.
    """
    desired, doing = Routing.alone(version), f"create alias {alias}"
    try:
        with sdk.refusals(doing):
            return _alias(
                sdk.client("lambda").create_alias(
                    FunctionName=alias.function_name, Name=alias.name, FunctionVersion=version
                )
            )
    except FunctionUpdating as conflict:
        # "The resource already exists, or another operation is in progress" (API reference, CreateAlias).
        try:
            found = read(alias)
        except AliasNotFound:
            _require_not_failed(alias.function_name, desired, doing)
            raise conflict from None
    if found.routing != desired:
        raise AliasMoved(f"{alias} should be made on version {version}, and is there already, on {found.routing}")
    return found


def write(alias: Alias, desired: Routing, revision_id: str) -> AliasState | None:
    """Make the routing so, if the alias is still at that revision; None where it is at another one.

    None does not say that nothing was written: where an answer is lost, the SDK asks again, and is refused because its
    first attempt has changed the revision. Who cares reads the alias.

    Raises:
        AliasNotFound: there is no such alias, or no such function.
        VersionFailed: a version that it was to serve is Failed.
        FunctionUpdating: Lambda is still changing the function, as far as is known.
        AwsRefused: Lambda does not have it so, for instance because a version is gone.
    """
    # UpdateAlias is a partial update: weights go only when an empty map is sent.
    weights = {desired.additional: _fraction(desired.weight_percent)} if desired.additional else {}
    doing = f"route {alias} to {desired}"
    try:
        with sdk.refusals(doing):
            response = sdk.client("lambda").update_alias(
                FunctionName=alias.function_name,
                Name=alias.name,
                FunctionVersion=desired.version,
                RoutingConfig={"AdditionalVersionWeights": weights},
                RevisionId=revision_id,
            )
    except FunctionUpdating:
        _require_not_failed(alias.function_name, desired, doing)
        raise
    except AwsRefused as error:
        if error.code == "PreconditionFailedException":
            return None
        if error.code == "ResourceNotFoundException":
            # The alias, or a version that it was to serve.
            read(alias)
        raise
    return _alias(response)


def _require_not_failed(function_name: str, desired: Routing, doing: str) -> None:
    """Tell a version that is Failed from a function that is busy, where Lambda has refused a write.

    It says ResourceConflictException to both (reported: hashicorp/terraform-provider-aws#49904). A state that cannot be
    read says nothing: the function may be busy, and whoever asked asks again.

    Raises:
        VersionFailed: a version of the routing is.
    """
    for number in filter(None, (desired.version, desired.additional)):
        with suppress(AwsRefused, AwsUnavailable, PermissionDenied, VersionNotFound):
            versions.read(function_name, number, hasty=True).require_not_failed(doing)


def _fraction(weight_percent: float) -> float:
    return round(weight_percent / 100, 4)


def _alias(response: dict[str, Any]) -> AliasState:
    weights = (response.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    version = response["FunctionVersion"]
    revision_id = response["RevisionId"]
    for additional, fraction in weights.items():
        # A weight of 0 that a tool has left sends nothing anywhere: the alias serves one version.
        if fraction > 0:
            return AliasState(Routing.split(version, additional, round(fraction * 100, 2)), revision_id)
    return AliasState(Routing.alone(version), revision_id)
