"""Lambda's rules for versions, aliases and function states, where moto keeps none of its own.

moto goes on keeping functions, versions and aliases. What is corrected here stands around its calls: this module
remembers what passes, refuses what Lambda would refuse, and fills in what moto's answers lack. Rules are cited from
the Lambda API reference and the Lambda developer guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sandbox.boundary import AwsError, Boundary, Params, Proceed, Response
from sandbox.clock import Clock, Handle

LATEST: Final = "$LATEST"
FUNCTION_ARN: Final = "arn:aws:lambda:us-east-1:123456789012:function:"
PROVISIONING_SECONDS: Final = 90.0
"""How long Lambda takes to provision an alias's concurrency on another version; minutes in life, never at once."""

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
_FORGOTTEN_BY_MOTO: Final = ("DeadLetterConfig", "SnapStart")

AliasCallback = Callable[[str, str], None]
Routing = tuple[str, dict[str, float]]
"""An alias's version and the weights of others, 0 to 1."""


@dataclass(slots=True)
class _State:
    """A version's state as the scenario wants it; None in `active_after_seconds`: it stays."""

    value: str
    active_after_seconds: float | None
    since: float

    def at(self, now: float) -> str:
        over = self.active_after_seconds is not None and now >= self.since + self.active_after_seconds
        return "Active" if over else self.value


@dataclass(slots=True)
class _Alias:
    version: str
    weights: dict[str, float]
    revision_id: str


@dataclass(slots=True)
class _Provisioned:
    """Provisioned concurrency of an alias: ready on a version, or on its way to another one."""

    concurrency: int
    ready_on: str
    moving: Handle | None = None


@dataclass(slots=True)
class _Function:
    """What is remembered of one function. `configurations` holds $LATEST and each version as Lambda answered."""

    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, _Alias] = field(default_factory=dict)
    provisioned: dict[str, _Provisioned] = field(default_factory=dict)
    states: dict[str, _State] = field(default_factory=dict)
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


class LambdaRules:
    """Lambda's rules around moto's Lambda, and the scenario's word on states, roles and provisioned concurrency."""

    def __init__(self, boundary: Boundary, clock: Clock) -> None:
        self._clock = clock
        self._functions: dict[str, _Function] = {}
        self._listeners: list[AliasCallback] = []
        self._revisions = 0
        boundary.serve("lambda.GetProvisionedConcurrencyConfig", self._get_provisioned_concurrency)
        for name, correction in (
            ("CreateFunction", self._create_function),
            ("UpdateFunctionCode", self._update_function),
            ("UpdateFunctionConfiguration", self._update_function),
            ("DeleteFunction", self._delete_function),
            ("GetFunction", self._get_function),
            ("GetFunctionConfiguration", self._get_function_configuration),
            ("ListVersionsByFunction", self._list_versions),
            ("PublishVersion", self._publish_version),
            ("CreateAlias", self._create_alias),
            ("UpdateAlias", self._update_alias),
            ("DeleteAlias", self._delete_alias),
            ("GetAlias", self._get_alias),
            ("ListAliases", self._list_aliases),
        ):
            boundary.correct(f"lambda.{name}", correction)

    # What a scenario says, and what others ask.

    def set_version_state(self, function: str, version: str, state: str, active_after: float | None) -> None:
        """Give a version a state, at once or from its publication on; `active_after` seconds later it is Active."""
        self._of(function).states[version] = _State(state, active_after, self._clock.now())

    def set_role(self, function: str, version: str, role: str) -> None:
        """Have a version run under another role, also one that is yet to be published."""
        self._of(function).roles[version] = role

    def set_last_update_status(self, function: str, status: str) -> None:
        """Say how the last update of $LATEST went: Successful, InProgress or Failed."""
        self._of(function).last_update_status = status

    def set_provisioned_concurrency(self, function: str, alias: str, concurrency: int) -> None:
        """Give an existing alias provisioned concurrency, ready on the version that it points to."""
        record = self._of(function)
        record.provisioned[alias] = _Provisioned(concurrency, record.aliases[alias].version)

    def on_alias_change(self, callback: AliasCallback) -> None:
        """Call `callback(function, alias)` right before each write to an alias takes effect, and right after."""
        self._listeners.append(callback)

    def routing(self, function: str, alias: str) -> Routing | None:
        """The alias's own version and its additional weights, 0 to 1; None where it does not exist."""
        found = self._of(function).aliases.get(alias)
        return (found.version, dict(found.weights)) if found else None

    def version_state(self, function: str, version: str) -> str:
        """The State of a version, or of $LATEST."""
        state = self._of(function).states.get(version)
        return state.at(self._clock.now()) if state else "Active"

    def _of(self, function: str) -> _Function:
        return self._functions.setdefault(function, _Function())

    def _new_revision(self) -> str:
        self._revisions += 1
        return str(uuid5(NAMESPACE_URL, f"revision {self._revisions}"))

    # Functions and versions.

    def _create_function(self, params: Params, proceed: Proceed) -> Response:
        return self._remember(params, proceed())

    def _update_function(self, params: Params, proceed: Proceed) -> Response:
        function = self._of(_name(params))
        if LATEST not in function.configurations:
            return proceed()
        self._refuse_while_updating(params, function)
        _refuse_stale(params, function.configurations[LATEST]["RevisionId"])
        return self._remember(params, proceed())

    def _remember(self, params: Params, response: Response) -> Response:
        """Keep $LATEST, and the version where the call published one, as the response shows them."""
        function = self._of(_name(params))
        before = function.configurations.get(LATEST, {})
        latest = {**response, "Version": LATEST, "RevisionId": self._new_revision()}
        for key in _FORGOTTEN_BY_MOTO:
            if value := params.get(key, before.get(key)):
                latest[key] = value
        function.configurations[LATEST] = latest
        if response["Version"] == LATEST:
            return self._shown(function, response)
        return self._published(function, response)

    def _published(self, function: _Function, response: dict[str, Any]) -> dict[str, Any]:
        version, latest = response["Version"], function.configurations[LATEST]
        kept: dict[str, Any] = {key: latest[key] for key in _FORGOTTEN_BY_MOTO if key in latest}
        configuration = {**response, **kept, "RevisionId": self._new_revision()}
        configuration.pop("ResponseMetadata", None)
        function.configurations[version] = configuration
        if version in function.states:
            function.states[version].since = self._clock.now()
        return self._shown(function, response)

    def _publish_version(self, params: Params, proceed: Proceed) -> Response:
        """PublishVersion: refused while an update is on its way, conditional on CodeSha256 and RevisionId, and a
        success that returns the last version where nothing changed, or where what changed could not be applied.
        """
        function = self._of(_name(params))
        if LATEST not in function.configurations:
            return proceed()
        latest, last = function.configurations[LATEST], function.last_published
        self._refuse_while_updating(params, function)
        _refuse_stale(params, latest["RevisionId"])
        if params.get("CodeSha256", latest["CodeSha256"]) != latest["CodeSha256"]:
            raise AwsError(
                "InvalidParameterValueException",
                f"CodeSHA256 ({params['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
                f"({latest['CodeSha256']}). Please try again with the CodeSHA256 in $LATEST.",
            )
        if last and (function.last_update_status == "Failed" or function.same_as_latest(last)):
            return self._shown(function, function.configurations[last])
        return self._published(function, proceed())

    def _refuse_while_updating(self, params: Params, function: _Function) -> None:
        arn, pending = FUNCTION_ARN + _name(params), self.version_state(_name(params), LATEST) == "Pending"
        if pending or function.last_update_status == "InProgress":
            what = (
                "The function is currently in the following state: Pending"
                if pending
                else (f"An update is in progress for resource: {arn}")
            )
            message = f"The operation cannot be performed at this time. {what}"
            raise AwsError("ResourceConflictException", message, status=409)

    def _shown(self, function: _Function, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration as Lambda shows it now: moto's, with everything that moto lacks."""
        version = configuration["Version"]
        known = function.configurations.get(version)
        if known is None:
            return dict(configuration)
        state = function.states.get(version)
        value = state.at(self._clock.now()) if state else "Active"
        shown = {**configuration, "State": value, "LastUpdateStatus": "Successful", "RevisionId": known["RevisionId"]}
        if value == "Pending":
            shown |= {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
        if version == LATEST:
            shown |= {"LastUpdateStatus": function.last_update_status}
        if "DeadLetterConfig" in known:
            shown |= {"DeadLetterConfig": known["DeadLetterConfig"]}
        if known.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions":
            optimized = version != LATEST and value == "Active"
            shown |= {"SnapStart": {**known["SnapStart"], "OptimizationStatus": "On" if optimized else "Off"}}
        return {**shown, "Role": function.role(version)}

    def _get_function(self, params: Params, proceed: Proceed) -> Response:
        response = proceed()
        return {**response, "Configuration": self._shown(self._of(_name(params)), response["Configuration"])}

    def _get_function_configuration(self, params: Params, proceed: Proceed) -> Response:
        return self._shown(self._of(_name(params)), proceed())

    def _list_versions(self, params: Params, proceed: Proceed) -> Response:
        response, function = proceed(), self._of(_name(params))
        return {**response, "Versions": [self._shown(function, each) for each in response["Versions"]]}

    def _delete_function(self, params: Params, proceed: Proceed) -> Response:
        """DeleteFunction: a version that an alias names, also in its weights, cannot go."""
        name, version = _name(params), params.get("Qualifier")
        for alias, routing in self._of(name).aliases.items():
            if version and version in (routing.version, *routing.weights):
                message = f"Unable to delete version because the following aliases reference it: [{alias}]"
                raise AwsError("ResourceConflictException", message, status=409)
        response = proceed()
        if version:
            self._of(name).configurations.pop(version, None)
        else:
            self._functions.pop(name, None)
        return response

    # Aliases.

    def _create_alias(self, params: Params, proceed: Proceed) -> Response:
        name, alias, function = _name(params), params["Name"], self._of(_name(params))
        if alias in function.aliases:
            message = f"Alias already exists: {FUNCTION_ARN}{name}:{alias}"
            raise AwsError("ResourceConflictException", message, status=409)
        weights = params.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        if LATEST in function.configurations:
            _refuse_routing(name, function, params["FunctionVersion"], weights)
        routing = _Alias(params["FunctionVersion"], dict(weights), self._new_revision())
        return self._write_alias(params, proceed, routing)

    def _update_alias(self, params: Params, proceed: Proceed) -> Response:
        """UpdateAlias: conditional on RevisionId, and partial, so that weights stay where RoutingConfig is absent."""
        name, function = _name(params), self._of(_name(params))
        alias = function.aliases.get(params["Name"])
        if alias is None:
            return proceed()
        _refuse_stale(params, alias.revision_id)
        version, weights = params.get("FunctionVersion", alias.version), alias.weights
        if "RoutingConfig" in params:
            weights = params["RoutingConfig"].get("AdditionalVersionWeights", {})
        _refuse_routing(name, function, version, weights)
        return self._write_alias(params, proceed, _Alias(version, dict(weights), self._new_revision()))

    def _write_alias(self, params: Params, proceed: Proceed, alias: _Alias) -> Response:
        name, function = _name(params), self._of(_name(params))
        before = function.aliases.get(params["Name"])
        self._tell(name, params["Name"])
        response = proceed()
        function.aliases[params["Name"]] = alias
        if before and before.version != alias.version and params["Name"] in function.provisioned:
            self._move_provisioned(name, params["Name"], before.version)
        self._tell(name, params["Name"])
        return _alias_shown(response, alias)

    def _delete_alias(self, params: Params, proceed: Proceed) -> Response:
        name = _name(params)
        self._tell(name, params["Name"])
        response = proceed()
        self._of(name).aliases.pop(params["Name"], None)
        self._tell(name, params["Name"])
        return response

    def _get_alias(self, params: Params, proceed: Proceed) -> Response:
        return _alias_shown(proceed(), self._of(_name(params)).aliases.get(params["Name"]))

    def _list_aliases(self, params: Params, proceed: Proceed) -> Response:
        response, aliases = proceed(), self._of(_name(params)).aliases
        return {**response, "Aliases": [_alias_shown(each, aliases.get(each["Name"])) for each in response["Aliases"]]}

    def _tell(self, function: str, alias: str) -> None:
        for listener in self._listeners:
            listener(function, alias)

    # Provisioned concurrency.

    def _move_provisioned(self, name: str, alias_name: str, previous: str) -> None:
        """Moving an alias with provisioned concurrency: Lambda itself keeps traffic on the previous version, as a
        weight of 1 beside the new one, until concurrency is ready there. Seen by terraform-provider-aws, #48116.
        """
        function = self._of(name)
        alias, provisioned = function.aliases[alias_name], function.provisioned[alias_name]
        if provisioned.moving:
            provisioned.moving.cancel()
            provisioned.moving = None
        if alias.version == provisioned.ready_on or alias.weights:
            return
        alias.weights = {previous: 1.0}

        def ready() -> None:
            provisioned.moving, provisioned.ready_on = None, alias.version
            # Somebody may have written the alias again by now: only the weight that Lambda gave is taken back.
            present = function.aliases.get(alias_name)
            if present and (present.version, present.weights) == (alias.version, {previous: 1.0}):
                self._tell(name, alias_name)
                present.weights, present.revision_id = {}, self._new_revision()
                self._tell(name, alias_name)

        provisioned.moving = self._clock.at(self._clock.now() + PROVISIONING_SECONDS, ready)

    def _get_provisioned_concurrency(self, params: Params) -> Response:
        provisioned = self._of(_name(params)).provisioned.get(params["Qualifier"])
        if provisioned is None:
            message = "No Provisioned Concurrency Config found for this function"
            raise AwsError("ProvisionedConcurrencyConfigNotFoundException", message, status=404)
        ready = 0 if provisioned.moving else provisioned.concurrency
        return {
            "RequestedProvisionedConcurrentExecutions": provisioned.concurrency,
            "AvailableProvisionedConcurrentExecutions": ready,
            "AllocatedProvisionedConcurrentExecutions": ready,
            "Status": "IN_PROGRESS" if provisioned.moving else "READY",
            "LastModified": datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        }


def _name(params: Params) -> str:
    """The function's bare name, of a name, a partial ARN or an ARN, each with or without a qualifier."""
    return str(params["FunctionName"]).rpartition("function:")[2].partition(":")[0]


def _fingerprint(configuration: Mapping[str, Any]) -> str:
    """What makes a version: code and configuration, but not a description."""
    made_of = {key: value for key, value in configuration.items() if key not in _NOT_CONFIGURATION and value}
    return json.dumps(made_of, sort_keys=True, default=str)


def _alias_shown(response: dict[str, Any], alias: _Alias | None) -> dict[str, Any]:
    """An alias as Lambda shows it: RoutingConfig is absent where one version serves alone."""
    if alias is None:
        return response
    shown = {key: value for key, value in response.items() if key != "RoutingConfig"}
    if alias.weights:
        shown["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    return {**shown, "FunctionVersion": alias.version, "RevisionId": alias.revision_id}


def _refuse_stale(params: Params, revision_id: str) -> None:
    if params.get("RevisionId", revision_id) != revision_id:
        raise AwsError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
            status=412,
        )


def _refuse_routing(name: str, function: _Function, version: str, weights: Mapping[str, float]) -> None:
    """What an alias may not be. API reference, AliasRoutingConfiguration, and developer guide, "Implement Lambda
    canary deployments using a weighted alias".
    """
    for each in (version, *weights):
        if each not in function.configurations and (each == version or re.fullmatch("[0-9]+", each)):
            message = f"Function not found: {FUNCTION_ARN}{name}:{each}"
            raise AwsError("ResourceNotFoundException", message, status=404)
    reason = _routing_fault(function, version, weights)
    if reason:
        raise AwsError("InvalidParameterValueException", reason)


def _routing_fault(function: _Function, version: str, weights: Mapping[str, float]) -> str | None:
    if not weights:
        return None
    if len(weights) > 1:
        return f"Number of items in AdditionalVersionWeights cannot be greater than 1. Number of items: {len(weights)}"
    ((other, weight),) = weights.items()
    if LATEST in (version, other):
        return f"{LATEST} is not supported for an alias pointing to more than 1 version"
    if other not in function.configurations:
        return f"Value '{other}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: [0-9]+"
    if not 0 <= weight <= 1:
        return f"Value '{weight}' at 'routingConfig.additionalVersionWeights' must be between 0.0 and 1.0"
    if other == version:
        included = f"Function version {other} is already included in routing configuration"
        return f"Invalid function version {other}. {included}"
    if function.role(version) != function.role(other):
        return f"Function versions {version} and {other} must have the same execution role"
    if function.dead_letter_target(version) != function.dead_letter_target(other):
        return f"Function versions {version} and {other} must have the same dead-letter queue configuration"
    return None
