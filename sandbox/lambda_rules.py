"""Lambda's rules for versions, aliases and function states, where moto keeps none of its own.

moto goes on keeping functions, versions and aliases. What is corrected here stands around its calls: this module
remembers what passes, refuses what Lambda would refuse, and fills in what moto's answers lack. Rules are cited from
the Lambda API reference and the Lambda developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sandbox.boundary import AwsError, Boundary, Params, Proceed, Response
from sandbox.clock import Clock
from sandbox.lambda_records import FUNCTION_ARN, LATEST, Alias, Function, VersionState, function_name
from sandbox.provisioned_concurrency import ProvisionedConcurrency

_FORGOTTEN_BY_MOTO: Final = ("DeadLetterConfig", "SnapStart")

AliasCallback = Callable[[str, str], None]
Routing = tuple[str, dict[str, float]]
"""An alias's version and the weights of others, 0 to 1."""


class LambdaRules:
    """Lambda's rules around moto's Lambda, and the scenario's word on states, roles and provisioned concurrency."""

    def __init__(self, boundary: Boundary, clock: Clock) -> None:
        self._clock = clock
        self._functions: dict[str, Function] = {}
        self._listeners: list[AliasCallback] = []
        self._revisions = 0
        self.provisioned_concurrency = ProvisionedConcurrency(boundary, clock, self._of, self._write_weights)
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
        self._of(function).states[version] = VersionState(state, active_after, self._clock.now())

    def set_role(self, function: str, version: str, role: str) -> None:
        """Have a version run under another role, also one that is yet to be published."""
        self._of(function).roles[version] = role

    def set_last_update_status(self, function: str, status: str) -> None:
        """Say how the last update of $LATEST went: Successful, InProgress or Failed."""
        self._of(function).last_update_status = status

    def on_alias_change(self, callback: AliasCallback) -> None:
        """Call `callback(function, alias)` right before each write to an alias takes effect, Lambda's own included, and
        right after.
        """
        self._listeners.append(callback)

    def routing(self, function: str, alias: str) -> Routing | None:
        """The alias's own version and its additional weights, 0 to 1; None where it does not exist."""
        found = self._of(function).aliases.get(alias)
        return (found.version, dict(found.weights)) if found else None

    def version_state(self, function: str, version: str) -> str:
        """The State of a version, or of $LATEST."""
        return self._of(function).state_at(version, self._clock.now())

    def _of(self, function: str) -> Function:
        return self._functions.setdefault(function, Function())

    def _new_revision(self) -> str:
        self._revisions += 1
        return str(uuid5(NAMESPACE_URL, f"revision {self._revisions}"))

    # Functions and versions.

    def _create_function(self, params: Params, proceed: Proceed) -> Response:
        return self._remember(params, proceed())

    def _update_function(self, params: Params, proceed: Proceed) -> Response:
        function = self._of(function_name(params))
        if LATEST not in function.configurations:
            return proceed()
        self._refuse_while_updating(params, function)
        _refuse_stale(params, function.configurations[LATEST]["RevisionId"])
        return self._remember(params, proceed())

    def _remember(self, params: Params, response: Response) -> Response:
        """Keep $LATEST, and the version where the call published one, as the response shows them."""
        function = self._of(function_name(params))
        before = function.configurations.get(LATEST, {})
        latest = {**response, "Version": LATEST, "RevisionId": self._new_revision()}
        for key in _FORGOTTEN_BY_MOTO:
            if value := params.get(key, before.get(key)):
                latest[key] = value
        function.configurations[LATEST] = latest
        if response["Version"] == LATEST:
            return self._shown(function, response)
        return self._published(function, response)

    def _published(self, function: Function, response: dict[str, Any]) -> dict[str, Any]:
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
        function = self._of(function_name(params))
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

    def _refuse_while_updating(self, params: Params, function: Function) -> None:
        arn, pending = (
            FUNCTION_ARN + function_name(params),
            self.version_state(function_name(params), LATEST) == "Pending",
        )
        if pending or function.last_update_status == "InProgress":
            what = (
                "The function is currently in the following state: Pending"
                if pending
                else (f"An update is in progress for resource: {arn}")
            )
            message = f"The operation cannot be performed at this time. {what}"
            raise AwsError("ResourceConflictException", message, status=409)

    def _shown(self, function: Function, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration as Lambda shows it now: moto's, with everything that moto lacks."""
        version = configuration["Version"]
        known = function.configurations.get(version)
        if known is None:
            return dict(configuration)
        value = function.state_at(version, self._clock.now())
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
        return {**response, "Configuration": self._shown(self._of(function_name(params)), response["Configuration"])}

    def _get_function_configuration(self, params: Params, proceed: Proceed) -> Response:
        return self._shown(self._of(function_name(params)), proceed())

    def _list_versions(self, params: Params, proceed: Proceed) -> Response:
        response, function = proceed(), self._of(function_name(params))
        return {**response, "Versions": [self._shown(function, each) for each in response["Versions"]]}

    def _delete_function(self, params: Params, proceed: Proceed) -> Response:
        """DeleteFunction: a version that an alias names, also in its weights, cannot go."""
        name, version = function_name(params), params.get("Qualifier")
        for alias, routing in self._of(name).aliases.items():
            if version and version in (routing.version, *routing.weights):
                message = f"Unable to delete version because the following aliases reference it: [{alias}]"
                raise AwsError("ResourceConflictException", message, status=409)
        response = proceed()
        gone = [version] if version else [*self._of(name).configurations, *self._of(name).aliases]
        for qualifier in gone:
            self.provisioned_concurrency.release(name, qualifier)
        if version:
            self._of(name).configurations.pop(version, None)
        else:
            self._functions.pop(name, None)
        return response

    # Aliases.

    def _create_alias(self, params: Params, proceed: Proceed) -> Response:
        name, alias, function = function_name(params), params["Name"], self._of(function_name(params))
        if alias in function.aliases:
            message = f"Alias already exists: {FUNCTION_ARN}{name}:{alias}"
            raise AwsError("ResourceConflictException", message, status=409)
        weights = params.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        if LATEST in function.configurations:
            _refuse_routing(name, function, params["FunctionVersion"], weights)
        routing = Alias(params["FunctionVersion"], dict(weights), self._new_revision())
        return self._write_alias(params, proceed, routing)

    def _update_alias(self, params: Params, proceed: Proceed) -> Response:
        """UpdateAlias: conditional on RevisionId, and partial, so that weights stay where RoutingConfig is absent."""
        name, function = function_name(params), self._of(function_name(params))
        alias = function.aliases.get(params["Name"])
        if alias is None:
            return proceed()
        _refuse_stale(params, alias.revision_id)
        version, weights = params.get("FunctionVersion", alias.version), alias.weights
        if "RoutingConfig" in params:
            weights = params["RoutingConfig"].get("AdditionalVersionWeights", {})
        _refuse_routing(name, function, version, weights)
        self.provisioned_concurrency.refuse_move(name, params["Name"], version, weights)
        return self._write_alias(params, proceed, Alias(version, dict(weights), self._new_revision()))

    def _write_alias(self, params: Params, proceed: Proceed, alias: Alias) -> Response:
        name, function = function_name(params), self._of(function_name(params))
        before = function.aliases.get(params["Name"])
        self._tell(name, params["Name"])
        response = proceed()
        function.aliases[params["Name"]] = alias
        written = _alias_shown(response, alias)
        if before and (kept := self.provisioned_concurrency.move(name, params["Name"], before, alias.version)):
            self._give(alias, kept)
        self._tell(name, params["Name"])
        return written

    def _write_weights(self, name: str, alias_name: str, weights: dict[str, float]) -> None:
        """Lambda itself changes an alias's weights, unasked."""
        self._tell(name, alias_name)
        self._give(self._of(name).aliases[alias_name], weights)
        self._tell(name, alias_name)

    def _give(self, alias: Alias, weights: dict[str, float]) -> None:
        """Weights of Lambda's own. Nobody has said whether they change the RevisionId: here they do, and after
        UpdateAlias was answered, which is the harder case for whoever names a revision in the next write.
        """
        alias.weights, alias.revision_id = dict(weights), self._new_revision()

    def _delete_alias(self, params: Params, proceed: Proceed) -> Response:
        name = function_name(params)
        self._tell(name, params["Name"])
        response = proceed()
        self.provisioned_concurrency.release(name, params["Name"])
        self._of(name).aliases.pop(params["Name"], None)
        self._tell(name, params["Name"])
        return response

    def _get_alias(self, params: Params, proceed: Proceed) -> Response:
        return _alias_shown(proceed(), self._of(function_name(params)).aliases.get(params["Name"]))

    def _list_aliases(self, params: Params, proceed: Proceed) -> Response:
        response, aliases = proceed(), self._of(function_name(params)).aliases
        return {**response, "Aliases": [_alias_shown(each, aliases.get(each["Name"])) for each in response["Aliases"]]}

    def _tell(self, function: str, alias: str) -> None:
        for listener in self._listeners:
            listener(function, alias)


def _alias_shown(response: dict[str, Any], alias: Alias | None) -> dict[str, Any]:
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


def _refuse_routing(name: str, function: Function, version: str, weights: Mapping[str, float]) -> None:
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


def _routing_fault(function: Function, version: str, weights: Mapping[str, float]) -> str | None:
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
