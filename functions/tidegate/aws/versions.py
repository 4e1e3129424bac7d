"""Versions: read, published, tried. Never returns a function's environment."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tidegate.alias import Alias
from tidegate.aws import invocation, sdk
from tidegate.errors import (
    AwsRefused,
    AwsUnavailable,
    CodeChanged,
    FunctionNotFound,
    FunctionNotPublishable,
    PermissionDenied,
    VersionNotFound,
)
from tidegate.hooks.smoke_test import Answer, SmokeTest
from tidegate.planning.difference import Configuration
from tidegate.version import Provisioning, Version

_ATTEMPTS = 5
#: Lambda may take its time with a large package; the function that asks has a minute.
_PUBLISH_SECONDS = 40
_OTHER_REVISION, _OTHER_CODE = "PreconditionFailedException", "InvalidParameterValueException"
#: What every write to a function changes, or none does; a description is for people.
_NOT_MADE_OF = ("CodeSha256", "Description", "LastModified", "LastUpdate", "ResponseMetadata", "RevisionId", "State")
#: What says nothing of how a version is made: whose it is, which one, how far it has come. CodeSize goes with the code.
_OF_NO_SETTING = (
    *("CodeSize", "ConfigSha256", "FunctionArn", "FunctionName", "LastModified", "LastUpdate", "MasterArn"),
    *("ResponseMetadata", "RevisionId", "State", "Version"),
)
#: Settings that are told first, by names of their own; all others by Lambda's.
_NAMES = {
    "CodeSha256": "code_sha256",
    "PackageType": "package_type",
    "Runtime": "runtime",
    "Architectures": "architectures",
    "Handler": "handler",
    "MemorySize": "memory",
    "Timeout": "timeout",
    "EphemeralStorage": "ephemeral_storage",
    "Layers": "layers",
    "Role": "role",
    "DeadLetterConfig": "dead_letter",
    "SnapStart": "snap_start",
    "ImageConfigResponse": "ImageConfig",
}
#: The part of a setting that is one; what else SnapStart says is how far its snapshot has come.
_ONE_PART = {
    "EphemeralStorage": "Size",
    "DeadLetterConfig": "TargetArn",
    "SnapStart": "ApplyOn",
    "ImageConfigResponse": "ImageConfig",
}
#: What an answer that is older than these settings would have said.
_OLDER = {
    "PackageType": "Zip",
    "Architectures": ["x86_64"],
    "EphemeralStorage": {"Size": 512},
    "SnapStart": {"ApplyOn": "None"},
}
_NO_ROOM = frozenset({"CodeStorageExceededException", "FunctionVersionsPerCapacityProviderLimitExceededException"})


def read(function_name: str, number: str, *, hasty: bool = False) -> Version:
    """A published version. `hasty`: whoever asks does not wait long for it.

    Raises:
        VersionNotFound: there is no such version.
    """
    try:
        return _read(function_name, {"Qualifier": number}, hasty=hasty)
    except AwsRefused as error:
        if error.code == "ResourceNotFoundException":
            raise VersionNotFound(f"function {function_name} has no version {number}") from error
        raise


def read_latest(function_name: str) -> Version:
    """$LATEST.

    Raises:
        FunctionNotFound: there is no such function.
        PermissionDenied: the role may not; it is the first that a rollout asks about its function.
    """
    try:
        return _read(function_name, {})
    except PermissionDenied as error:
        raise PermissionDenied(
            f"{error}: the parameter FunctionNamePattern of Tidegate's stack may not cover {function_name}"
        ) from error
    except AwsRefused as error:
        if error.code == "ResourceNotFoundException":
            region = sdk.client("lambda").meta.region_name
            raise FunctionNotFound(f"no function {function_name} in {region}: check name and region") from error
        raise


def read_configuration(function_name: str, number: str) -> Configuration:
    """What makes that version, or "$LATEST"; of its environment only the names, and digests of the values."""
    qualifier = {} if number == "$LATEST" else {"Qualifier": number}
    with sdk.refusals(f"read the configuration of {':'.join((function_name, *qualifier.values()))}"):
        found = sdk.client("lambda").get_function_configuration(FunctionName=function_name, **qualifier)
    told = {**_OLDER, **{name: value for name, value in found.items() if not name.startswith(_OF_NO_SETTING)}}
    environment = told.pop("Environment", None) or {}
    variables = environment.get("Variables") or {}
    settings = {_NAMES.get(name, name): _setting(name, told[name]) for name in (*_NAMES, *told) if name in told}
    unread = [_NAMES.get(name, name) for name, value in told.items() if _has_error(value)]
    return Configuration(
        settings={name: value for name, value in settings.items() if value is not None and name not in unread},
        environment={name: hashlib.sha256(value.encode()).hexdigest() for name, value in variables.items()},
        unknown=(*unread, *["environment"] * _has_error(environment)),
    )


def _has_error(setting: Any) -> bool:
    """Whether Lambda says that it could not read a setting, as where the key of an environment is out of its reach."""
    return isinstance(setting, dict) and bool(setting.get("Error"))


def _setting(name: str, value: Any) -> Any:
    """A setting without what is empty, which an answer may as well leave out; None where nothing is left."""
    if name == "Layers":
        return [layer["Arn"] for layer in value] or None
    if name in _ONE_PART and isinstance(value, dict):
        return _filled(value.get(_ONE_PART[name]))
    return _filled(value)


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        value = {name: left for name, part in value.items() if (left := _filled(part)) is not None}
    return value if value or (value == 0 and value is not False) else None


def publish(function_name: str, latest: Version, description: str) -> str:
    """Freeze $LATEST exactly as `latest` was read, and return the version's number.

    Lambda publishes nothing where nothing changed and returns the last version instead (API reference,
    PublishVersion), so calling this again is harmless. To publish gives $LATEST another RevisionId (recorded of AWS),
    so that the SDK is refused where it asks again for an answer that was lost or late, and so is who publishes for
    another alias at the same moment: where code and configuration are as they were read, it is published at the new
    one.

    Raises:
        CodeChanged: $LATEST is not what was read any more.
        FunctionNotPublishable: no room for another version.
        AwsUnavailable: somebody keeps writing to $LATEST.
    """
    revision_id = latest.revision_id
    for _ in range(_ATTEMPTS):
        try:
            return _publish(function_name, latest.code_sha256, revision_id, description)
        except AwsRefused as error:
            if error.code in _NO_ROOM:
                raise FunctionNotPublishable(f"{error}: delete versions that nothing uses") from error
            if error.code not in {_OTHER_REVISION, _OTHER_CODE}:
                raise
            now = read_latest(function_name)
            if error.code == _OTHER_CODE or not now.is_same_as(latest):
                raise CodeChanged(f"$LATEST of {function_name} changed while it was published: {error}") from error
            revision_id = now.revision_id
    raise AwsUnavailable(f"$LATEST of {function_name} changes faster than it can be published")


def _publish(function_name: str, code_sha256: str, revision_id: str, description: str) -> str:
    with sdk.refusals(f"publish function {function_name}"):
        response = sdk.slow_client("lambda", _PUBLISH_SECONDS).publish_version(
            FunctionName=function_name, CodeSha256=code_sha256, RevisionId=revision_id, Description=description
        )
    return str(response["Version"])


def read_provisioning(alias: Alias) -> Provisioning | None:
    """The alias's provisioned concurrency, or None where it has none."""
    try:
        with sdk.refusals(f"read the provisioned concurrency of {alias}"):
            found = sdk.client("lambda").get_provisioned_concurrency_config(
                FunctionName=alias.function_name, Qualifier=alias.name
            )
    except AwsRefused as error:
        if error.code == "ProvisionedConcurrencyConfigNotFoundException":
            return None
        raise
    return Provisioning(found["Status"], found.get("StatusReason", ""))


def invoke(function_name: str, number: str, test: SmokeTest) -> Answer:
    """Invoke the exact version with the test's payload, once: it may have effects.

    An answer that does not come in time is an answer too: one that took too long.

    Raises:
        AwsUnavailable: Lambda did not run the function (throttled, not ready).
    """
    return invocation.once(function_name, number, test.payload, -(-test.max_duration_ms // 1000))


def _read(function_name: str, qualifier: dict[str, str], *, hasty: bool = False) -> Version:
    client = sdk.hasty_client if hasty else sdk.client
    with sdk.refusals(f"read the configuration of {':'.join((function_name, *qualifier.values()))}"):
        found = client("lambda").get_function_configuration(FunctionName=function_name, **qualifier)
    snap_start = found.get("SnapStart") or {}
    return Version(
        function_name=function_name,
        number=found["Version"],
        # Both are absent from functions older than the fields themselves, which are settled.
        state=found.get("State", "Active"),
        state_reason=_reason(found, "State"),
        last_update_status=found.get("LastUpdateStatus", "Successful"),
        last_update_reason=_reason(found, "LastUpdateStatus"),
        code_sha256=found["CodeSha256"],
        revision_id=found.get("RevisionId", ""),
        role=found["Role"],
        dead_letter_arn=(found.get("DeadLetterConfig") or {}).get("TargetArn"),
        snap_start_pending=snap_start.get("ApplyOn") == "PublishedVersions"
        and snap_start.get("OptimizationStatus") != "On",
        configuration_sha256=_digest(found),
        timeout_seconds=found.get("Timeout"),
        durable=bool(found.get("DurableConfig")),
    )


def _reason(found: Any, of: str) -> str:
    return ": ".join(filter(None, (found.get(f"{of}ReasonCode"), found.get(f"{of}Reason"))))


def _digest(found: dict[str, Any]) -> str:
    """Of all that GetFunctionConfiguration says of a version, but for what a write changes that changes nothing."""
    made_of = {name: value for name, value in found.items() if not name.startswith(_NOT_MADE_OF)}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode()).hexdigest()
