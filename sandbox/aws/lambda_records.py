"""What the sandbox remembers of Lambda's functions beside moto: configurations, states, roles and aliases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.aws.boundary import Params
from sandbox.aws.settings import as_image

LATEST: Final = "$LATEST"
FUNCTION_ARN: Final = "arn:aws:lambda:us-east-1:123456789012:function:"

_NOT_CONFIGURATION: Final = {
    "FunctionArn",
    "LastModified",
    "LastUpdateStatus",
    "ResponseMetadata",
    "RevisionId",
    "State",
    "Version",
}


WAKING_SECONDS: Final = 60.0
"""How long Lambda takes to make an idle version ready again: chosen; between 40 and 106 seconds were seen
(aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws#801)."""


@dataclass(slots=True)
class VersionState:
    """A version's state as the scenario wants it; None in `active_after_seconds`: it stays.

    `woken_at`: when an invocation found it Inactive, so that Lambda makes it ready again.
    """

    value: str
    active_after_seconds: float | None
    since: float
    woken_at: float | None = None

    def at(self, now: float) -> str:
        if self.is_waking(now):
            return "Pending"
        ready_at = self._ready_at()
        return "Active" if ready_at is not None and now >= ready_at else self.value

    def is_waking(self, now: float) -> bool:
        """Whether it was Inactive and is being made ready again."""
        return self.woken_at is not None and self.woken_at <= now < self.woken_at + WAKING_SECONDS

    def _ready_at(self) -> float | None:
        if self.woken_at is not None:
            return self.woken_at + WAKING_SECONDS
        return None if self.active_after_seconds is None else self.since + self.active_after_seconds


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias: its own version, the weights of others, 0 to 1, and what it says of itself."""

    version: str
    weights: Mapping[str, float]
    revision_id: str
    description: str = ""


@dataclass(slots=True)
class Function:
    """What is remembered of one function. `configurations` holds $LATEST and each version as Lambda answered,
    `made_of` what $LATEST was when each version was published, `deleted` versions that are gone.
    """

    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    made_of: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    states: dict[str, VersionState] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    roles: dict[str, str] = field(default_factory=dict)
    package_type: str = "Zip"
    last_update_status: str = "Successful"

    @property
    def last_published(self) -> str | None:
        return max((version for version in self.configurations if version != LATEST), key=int, default=None)

    def as_packed(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration as that of the function's kind of package."""
        return as_image(configuration) if self.package_type == "Image" else dict(configuration)

    def publish(self, version: str, configuration: dict[str, Any]) -> None:
        """A version of $LATEST as it now is."""
        self.configurations[version] = configuration
        self.made_of[version] = _fingerprint(self.configurations[LATEST])

    def same_as_latest(self, version: str) -> bool:
        return self.made_of[version] == _fingerprint(self.configurations[LATEST])

    def role(self, version: str) -> str | None:
        return self.roles.get(version, self.configurations[version].get("Role"))

    def dead_letter_target(self, version: str) -> str | None:
        target: str | None = self.configurations[version].get("DeadLetterConfig", {}).get("TargetArn")
        return target

    def state_at(self, version: str, now: float) -> str:
        """The State of a version, or of $LATEST."""
        state = self.states.get(version)
        return state.at(now) if state else "Active"

    def reason_at(self, version: str, now: float) -> dict[str, str]:
        """StateReason and StateReasonCode of a version: none of an Active one. The codes are the API model's; the texts
        of an idle version and of one that failed are chosen.
        """
        value = self.state_at(version, now)
        if value == "Failed":
            return {"StateReason": "The function failed to initialize.", "StateReasonCode": "FunctionError"}
        if value == "Inactive":
            return {"StateReason": "The function is idle.", "StateReasonCode": "Idle"}
        if value != "Pending":
            return {}
        if self.states[version].is_waking(now):
            return {"StateReason": "The function is being restored.", "StateReasonCode": "Restoring"}
        return {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}


def function_name(params: Params) -> str:
    """The function's bare name, of a name, a partial ARN or an ARN, each with or without a qualifier."""
    return str(params["FunctionName"]).rpartition("function:")[2].partition(":")[0]


def qualifier(params: Params) -> str:
    """Which version or alias a call means, given beside the function's name or with it; otherwise $LATEST."""
    named = str(params["FunctionName"]).rpartition("function:")[2].partition(":")[2]
    return str(params.get("Qualifier") or named or LATEST)


def _fingerprint(configuration: Mapping[str, Any]) -> str:
    """What makes a version: code and configuration, the description included (recorded facts, L9)."""
    made_of = {key: value for key, value in configuration.items() if key not in _NOT_CONFIGURATION and value}
    return json.dumps(made_of, sort_keys=True, default=str)
