"""What the sandbox remembers of Lambda's functions beside moto: configurations, states, roles and aliases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.boundary import Params

LATEST: Final = "$LATEST"
FUNCTION_ARN: Final = "arn:aws:lambda:us-east-1:123456789012:function:"

_NOT_CONFIGURATION: Final = {
    "Description",
    "FunctionArn",
    "LastModified",
    "LastUpdateStatus",
    "ResponseMetadata",
    "RevisionId",
    "State",
    "Version",
}


@dataclass(slots=True)
class VersionState:
    """A version's state as the scenario wants it; None in `active_after_seconds`: it stays."""

    value: str
    active_after_seconds: float | None
    since: float

    def at(self, now: float) -> str:
        over = self.active_after_seconds is not None and now >= self.since + self.active_after_seconds
        return "Active" if over else self.value


@dataclass(slots=True)
class Alias:
    """An alias: its own version, and the weights of others, 0 to 1."""

    version: str
    weights: dict[str, float]
    revision_id: str


@dataclass(slots=True)
class Function:
    """What is remembered of one function. `configurations` holds $LATEST and each version as Lambda answered."""

    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    states: dict[str, VersionState] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    last_update_status: str = "Successful"

    @property
    def last_published(self) -> str | None:
        return max((version for version in self.configurations if version != LATEST), key=int, default=None)

    def same_as_latest(self, version: str) -> bool:
        return _fingerprint(self.configurations[version]) == _fingerprint(self.configurations[LATEST])

    def role(self, version: str) -> str | None:
        return self.roles.get(version, self.configurations[version].get("Role"))

    def dead_letter_target(self, version: str) -> str | None:
        target: str | None = self.configurations[version].get("DeadLetterConfig", {}).get("TargetArn")
        return target

    def state_at(self, version: str, now: float) -> str:
        """The State of a version, or of $LATEST."""
        state = self.states.get(version)
        return state.at(now) if state else "Active"


def function_name(params: Params) -> str:
    """The function's bare name, of a name, a partial ARN or an ARN, each with or without a qualifier."""
    return str(params["FunctionName"]).rpartition("function:")[2].partition(":")[0]


def _fingerprint(configuration: Mapping[str, Any]) -> str:
    """What makes a version: code and configuration, but not a description."""
    made_of = {key: value for key, value in configuration.items() if key not in _NOT_CONFIGURATION and value}
    return json.dumps(made_of, sort_keys=True, default=str)
