"""What Lambda has an alias not be, in its own words.

API reference, AliasRoutingConfiguration; developer guide, "Implement Lambda canary deployments using a weighted alias";
texts as recorded (recorded facts, L16 to L31).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.aws.boundary import AwsError, Params
from sandbox.aws.lambda_records import FUNCTION_ARN, LATEST, Function

_INVALID = "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: {}"
_NAME = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"
_KEYS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length"
    " greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
)
_VALUES = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value"
    " greater than or equal to 0.0, Member must not be null]"
)


def no_function(name: str, named: str) -> AwsError:
    """There is no such function, or no such version of it."""
    arn = FUNCTION_ARN + name + ("" if named == LATEST else f":{named}")
    return AwsError("ResourceNotFoundException", f"Function not found: {arn}", status=404)


def conflict(reason: str) -> AwsError:
    """Lambda cannot do that now."""
    message = f"The operation cannot be performed at this time. {reason}"
    return AwsError("ResourceConflictException", message, status=409)


def refuse_stale(params: Params, revision_id: str) -> None:
    """A call that names a RevisionId is for that one alone."""
    if params.get("RevisionId", revision_id) != revision_id:
        raise AwsError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
            status=412,
        )


def refuse_name(alias: str) -> None:
    """An alias's name is no number, so that nobody takes it for a version."""
    if not re.fullmatch(_NAME, alias):
        constraint = f"Member must satisfy regular expression pattern: {_NAME}"
        raise AwsError("ValidationException", _INVALID.format(alias, "name", constraint))


def refuse_routing(name: str, function: Function, version: str, weights: Mapping[str, float]) -> None:
    """Refuse a version and weights that no alias of the function may have, whatever states its versions are in."""
    _refuse_malformed(weights)
    for each in (version, *weights):
        if each not in function.configurations:
            raise no_function(name, each)
    if reason := _fault(function, version, weights):
        raise AwsError("InvalidParameterValueException", reason)


def refuse_failed(function: Function, version: str, weights: Mapping[str, float], now: float) -> None:
    """Refuse a version that is Failed.

    Reported, not recorded (R1, hashicorp/terraform-provider-aws#49904): code and status. The text is chosen, in the
    manner of that for other states.
    """
    for each in (version, *weights):
        if function.state_at(each, now) == "Failed":
            raise conflict("The function is currently in the following state: Failed")


def _refuse_malformed(weights: Mapping[str, float]) -> None:
    shown = "{" + ", ".join(f"{version}={float(weight)}" for version, weight in weights.items()) + "}"
    for constraint, holds in (
        (_KEYS, all(re.fullmatch("[0-9]{1,1024}", version) for version in weights)),
        (_VALUES, all(0 <= weight <= 1 for weight in weights.values())),
    ):
        if not holds:
            message = _INVALID.format(shown, "routingConfig.additionalVersionWeights", constraint)
            raise AwsError("ValidationException", message)


def _fault(function: Function, version: str, weights: Mapping[str, float]) -> str | None:
    if not weights:
        return None
    if len(weights) > 1:
        return "Number of items in AdditionalVersionWeights cannot be greater than 1"
    if version == LATEST:
        return f"{LATEST} is not supported for an alias pointing to more than 1 version"
    (other,) = weights
    if other == version:
        included = f"Function version {other} is already included in routing configuration"
        return f"Invalid function version {other}. {included}."
    if function.role(version) != function.role(other):
        return f"Function versions {version} and {other} must have the same execution role"
    if function.dead_letter_target(version) != function.dead_letter_target(other):
        return f"Function versions {version} and {other} must have the same dead-letter queue configuration"
    return None
