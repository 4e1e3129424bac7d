"""Profiles: a request's defaults, in SSM Parameter Store, which counts and keeps their versions."""

from __future__ import annotations

from typing import Any

from tidegate.aws import sdk
from tidegate.errors import AwsRefused, ProfileNotFound, RequestInvalid
from tidegate.planning.profile import Profile

PREFIX = "/tidegate/profiles/"
_MISSING = frozenset({"ParameterNotFound", "ParameterVersionNotFound"})


def read(name: str) -> Profile:
    """The profile of that name, its newest version, or with `name:7` its version 7.

    Raises:
        ProfileNotFound: there is none.
        RequestInvalid: it is no profile.
    """
    parameter = PREFIX + name
    found = _stored(name, parameter)
    if found["Type"] != "String":
        raise RequestInvalid(f"profile {name}: parameter {parameter} is a {found['Type']}: store it as a String")
    return Profile.parse(name.partition(":")[0], int(found["Version"]), found["Value"])


def _stored(name: str, parameter: str) -> dict[str, Any]:
    client = sdk.client("ssm")
    try:
        with sdk.refusals(f"read parameter {parameter}"):
            # A role for rollouts has no business with what is encrypted.
            found: dict[str, Any] = client.get_parameter(Name=parameter, WithDecryption=False)["Parameter"]
    except AwsRefused as error:
        if error.code not in _MISSING:
            raise
        raise ProfileNotFound(
            f"no profile {name}: there is no parameter {parameter} in {client.meta.region_name}: store it there, or"
            " correct the request's profile"
        ) from error
    return found
