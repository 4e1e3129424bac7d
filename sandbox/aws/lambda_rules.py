"""Lambda's rules for versions, aliases and function states, where moto keeps none of its own.

moto goes on keeping functions, versions and aliases. What is corrected here stands around its calls: this module
remembers what passes, refuses what Lambda would refuse, and fills in what moto's answers lack. Rules are cited from
the Lambda API reference and the Lambda developer guide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

from moto.awslambda.utils import get_backend

from sandbox.aws.alias_rules import conflict, no_function, refuse_failed, refuse_name, refuse_routing, refuse_stale
from sandbox.aws.boundary import AwsError, Boundary, Params, Proceed, Response
from sandbox.aws.clock import Clock
from sandbox.aws.lambda_records import FUNCTION_ARN, LATEST, Alias, Function, VersionState, function_name, qualifier
from sandbox.aws.past import Past
from sandbox.aws.provisioned_concurrency import ProvisionedConcurrency
from sandbox.aws.settings import KEPT, Setting, changed
from sandbox.aws.stack import ACCOUNT_ID, REGION

AliasCallback = Callable[[str, str], None]
Routing = tuple[str, dict[str, float]]
"""An alias's version and the weights of others, 0 to 1."""


class LambdaRules:
    """Lambda's rules around moto's Lambda, and the scenario's word on states, roles and provisioned concurrency."""

    def __init__(self, boundary: Boundary, clock: Clock) -> None:
        self._clock = clock
        self._functions: dict[str, Function] = {}
        self._past_aliases: defaultdict[tuple[str, str], Past[Alias]] = defaultdict(Past)
        self._past_configurations: defaultdict[tuple[str, str], Past[dict[str, Any]]] = defaultdict(Past)
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
            ("Invoke", self._invoke),
        ):
            boundary.correct(f"lambda.{name}", correction)
        boundary.recall("lambda.GetAlias", self._recall_alias)
        boundary.recall("lambda.GetFunctionConfiguration", self._recall_configuration)

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

    def set_package_type(self, function: str, package_type: str) -> None:
        """Say what the function's code comes in, Zip or Image, before it is made."""
        self._of(function).package_type = package_type

    def change_setting(self, function: str, setting: Setting) -> None:
        """Have a setting of $LATEST differ from what was published."""
        self.give_settings(function, changed(setting))

    def give_settings(self, function: str, settings: Mapping[str, Any]) -> None:
        """Have $LATEST show these settings, and every version that is published of it."""
        self._write_latest(function, {**self._of(function).configurations[LATEST], **settings})

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
        refuse_stale(params, function.configurations[LATEST]["RevisionId"])
        return self._updating(function_name(params), self._remember(params, proceed()))

    def _updating(self, name: str, shown: dict[str, Any]) -> dict[str, Any]:
        """What an update of $LATEST is answered: that it is on its way, under a RevisionId that is another one once it
        is done (recorded facts, L8). Here it is done right after the answer (chosen).
        """
        if shown["Version"] != LATEST:
            return shown
        self._write_latest(name, self._of(name).configurations[LATEST])
        return {
            **shown,
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being created.",
            "LastUpdateStatusReasonCode": "Creating",
        }

    def _remember(self, params: Params, response: Response) -> Response:
        """Keep $LATEST, and the version where the call published one, as the response shows them."""
        function = self._of(function_name(params))
        before = function.configurations.get(LATEST, {})
        latest = {**function.as_packed(response), "Version": LATEST}
        for key in KEPT:
            if value := params.get(key, before.get(key)):
                latest[key] = value
        self._write_latest(function_name(params), latest)
        if response["Version"] == LATEST:
            return self._shown(response, function)
        return self._published(function_name(params), response)

    def _write_latest(self, name: str, configuration: Mapping[str, Any]) -> None:
        """$LATEST under another RevisionId."""
        latest = {key: value for key, value in configuration.items() if key != "ResponseMetadata"}
        latest["RevisionId"] = self._new_revision()
        self._of(name).configurations[LATEST] = latest
        self._past_configurations[name, LATEST].note(self._clock.now(), latest)

    def _published(self, name: str, response: dict[str, Any]) -> dict[str, Any]:
        """A new version. Its RevisionId is its own, and $LATEST gets another one too (recorded facts, L3)."""
        function, version = self._of(name), response["Version"]
        latest = function.configurations[LATEST]
        kept: dict[str, Any] = {key: latest[key] for key in KEPT if key in latest}
        described = {"Description": response["Description"]} if response.get("Description") else {}
        configuration = {**function.as_packed(response), **kept, **described, "RevisionId": self._new_revision()}
        configuration.pop("ResponseMetadata", None)
        function.publish(version, configuration)
        self._past_configurations[name, version].note(self._clock.now(), configuration)
        if version in function.states:
            function.states[version].since = self._clock.now()
        self._write_latest(name, latest)
        return self._shown(response, function)

    def _publish_version(self, params: Params, proceed: Proceed) -> Response:
        """PublishVersion: refused while an update is on its way, conditional on CodeSha256 and RevisionId, and a
        success that returns the last version where nothing changed, or where what changed could not be applied.
        """
        name, function = function_name(params), self._of(function_name(params))
        if LATEST not in function.configurations:
            return proceed()
        latest, last = function.configurations[LATEST], function.last_published
        self._refuse_while_updating(params, function)
        refuse_stale(params, latest["RevisionId"])
        if params.get("CodeSha256", latest["CodeSha256"]) != latest["CodeSha256"]:
            raise AwsError(
                "InvalidParameterValueException",
                f"CodeSHA256 ({params['CodeSha256']}) is different from current CodeSHA256 in $LATEST "
                f"({latest['CodeSha256']}). Please try again with the CodeSHA256 in $LATEST.",
            )
        if last and (function.last_update_status == "Failed" or function.same_as_latest(last)):
            return self._shown(function.configurations[last], function)
        # What is new is judged here: moto compares with the last version even where that one is gone.
        get_backend(ACCOUNT_ID, REGION).get_function(name).code_or_config_updated = True
        return self._published(name, proceed())

    def _refuse_while_updating(self, params: Params, function: Function) -> None:
        if self.version_state(function_name(params), LATEST) == "Pending":
            raise conflict("The function is currently in the following state: Pending")
        if function.last_update_status == "InProgress":
            raise conflict(f"An update is in progress for resource: {FUNCTION_ARN}{function_name(params)}")

    def _shown(self, configuration: Mapping[str, Any], function: Function) -> dict[str, Any]:
        """A configuration as Lambda shows it now: moto's, with everything that moto lacks."""
        known = function.configurations.get(configuration["Version"])
        return (
            dict(configuration) if known is None else self._shown_at(self._clock.now(), configuration, known, function)
        )

    def _shown_at(
        self, moment: float, configuration: Mapping[str, Any], known: Mapping[str, Any], function: Function
    ) -> dict[str, Any]:
        version = configuration["Version"]
        value = function.state_at(version, moment)
        shown = {**function.as_packed(configuration), **{key: known[key] for key in KEPT if key in known}}
        shown |= {"State": value, "LastUpdateStatus": "Successful", "RevisionId": known["RevisionId"]}
        shown |= function.reason_at(version, moment)
        if version == LATEST:
            shown |= {"LastUpdateStatus": function.last_update_status}
        if known.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions":
            optimized = version != LATEST and value == "Active"
            shown |= {"SnapStart": {**known["SnapStart"], "OptimizationStatus": "On" if optimized else "Off"}}
        return {**shown, "Role": function.roles.get(version, known.get("Role"))}

    def _get_function(self, params: Params, proceed: Proceed) -> Response:
        function = self._of(function_name(params))
        self._refuse_deleted(params, function)
        response = proceed()
        shown = self._shown(response["Configuration"], function)
        return {**response, "Configuration": _as_named(shown, params, function)}

    def _get_function_configuration(self, params: Params, proceed: Proceed) -> Response:
        function = self._of(function_name(params))
        self._refuse_deleted(params, function)
        return _as_named(self._shown(proceed(), function), params, function)

    def _recall_configuration(self, params: Params, _: Proceed, moment: float) -> Response:
        name, named = function_name(params), qualifier(params)
        alias = _then(self._past_aliases, (name, named), moment)
        known = _then(self._past_configurations, (name, alias.version if alias else named), moment)
        if known is None:
            raise no_function(name, named)
        return _as_named(self._shown_at(moment, known, known, self._of(name)), params, self._of(name))

    def _list_versions(self, params: Params, proceed: Proceed) -> Response:
        """ListVersionsByFunction: no version's state is shown (recorded facts, L34)."""
        response, function = proceed(), self._of(function_name(params))
        there = (each for each in response["Versions"] if each["Version"] not in function.deleted)
        return {**response, "Versions": [_stateless(self._shown(each, function)) for each in there]}

    def _refuse_deleted(self, params: Params, function: Function) -> None:
        if qualifier(params) in function.deleted:
            raise no_function(function_name(params), qualifier(params))

    def _delete_function(self, params: Params, proceed: Proceed) -> Response:
        """DeleteFunction, of a version or of everything."""
        name, version = function_name(params), qualifier(params)
        return (
            self._delete_everything(name, proceed)
            if version == LATEST
            else self._delete_version(name, version, proceed)
        )

    def _delete_version(self, name: str, version: str, proceed: Proceed) -> Response:
        """A version that an alias names, also in its weights, cannot go. One that is gone never comes again: moto would
        give its number to another one, so it keeps the version, and nobody sees it.
        """
        function = self._of(name)
        if LATEST not in function.configurations:
            return proceed()
        if version not in function.configurations:
            raise no_function(name, version)
        for alias, routing in function.aliases.items():
            if version in (routing.version, *routing.weights):
                message = f"Unable to delete version because the following aliases reference it: [{alias}]"
                raise AwsError("ResourceConflictException", message, status=409)
        self.provisioned_concurrency.release(name, version)
        del function.configurations[version]
        function.deleted.add(version)
        self._past_configurations[name, version].note(self._clock.now(), None)
        return {}

    def _delete_everything(self, name: str, proceed: Proceed) -> Response:
        """The function with its versions and aliases."""
        function = self._of(name)
        for alias in function.aliases:
            self._tell(name, alias)
        response = proceed()
        del self._functions[name]
        for gone in (*function.configurations, *function.aliases):
            self.provisioned_concurrency.release(name, gone)
        for version in function.configurations:
            self._past_configurations[name, version].note(self._clock.now(), None)
        for alias in function.aliases:
            self._past_aliases[name, alias].note(self._clock.now(), None)
            self._tell(name, alias)
        return response

    def _invoke(self, params: Params, proceed: Proceed) -> Response:
        """Invoke: a version that is gone or not ready does not run.

        Developer guide, "Lambda function states": an invocation of an Inactive function fails, and has it made ready
        again. How it fails, and until it is ready: boto/boto3#3788 and
        aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws#801.
        """
        name, named, now = function_name(params), qualifier(params), self._clock.now()
        function = self._of(name)
        if (name, LATEST) not in self._past_configurations:
            return proceed()
        version = function.aliases[named].version if named in function.aliases else named
        if not function.configurations or version in function.deleted:
            raise no_function(name, named)
        state = function.states.get(version)
        if state and state.at(now) == "Inactive":
            state.woken_at = now
        if state and state.is_waking(now):
            message = "Lambda is initializing your function. It will be ready to invoke shortly."
            raise AwsError("CodeArtifactUserPendingException", message, status=409)
        if state and state.at(now) == "Pending":
            raise conflict("The function is currently in the following state: Pending")
        return proceed()

    # Aliases.

    def _create_alias(self, params: Params, proceed: Proceed) -> Response:
        name, alias, function = function_name(params), params["Name"], self._of(function_name(params))
        refuse_name(alias)
        if alias in function.aliases:
            message = f"Alias already exists: {FUNCTION_ARN}{name}:{alias}"
            raise AwsError("ResourceConflictException", message, status=409)
        weights = params.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        refuse_routing(name, function, params["FunctionVersion"], weights)
        refuse_failed(function, params["FunctionVersion"], weights, self._clock.now())
        created = Alias(params["FunctionVersion"], dict(weights), self._new_revision(), params.get("Description", ""))
        return self._write_alias(params, proceed, created)

    def _update_alias(self, params: Params, proceed: Proceed) -> Response:
        """UpdateAlias: conditional on RevisionId, and partial: weights and description stay where they are absent.

        What changes nothing is a write too, with a new RevisionId (recorded facts, L15).
        """
        name, function = function_name(params), self._of(function_name(params))
        alias = function.aliases.get(params["Name"])
        if alias is None:
            message = f"Alias not found: {FUNCTION_ARN}{name}:{params['Name']}"
            raise AwsError("ResourceNotFoundException", message, status=404)
        refuse_stale(params, alias.revision_id)
        version, weights = params.get("FunctionVersion", alias.version), alias.weights
        if "RoutingConfig" in params:
            weights = params["RoutingConfig"].get("AdditionalVersionWeights", {})
        refuse_routing(name, function, version, weights)
        refuse_failed(function, version, weights, self._clock.now())
        self.provisioned_concurrency.refuse_move(name, params["Name"], version, weights)
        description = params.get("Description", alias.description)
        return self._write_alias(params, proceed, Alias(version, dict(weights), self._new_revision(), description))

    def _write_alias(self, params: Params, proceed: Proceed, alias: Alias) -> Response:
        name = function_name(params)
        before = self._of(name).aliases.get(params["Name"])
        self._tell(name, params["Name"])
        response = proceed()
        self._keep(name, params["Name"], alias)
        written = _alias_shown(response, alias)
        if before and (kept := self.provisioned_concurrency.move(name, params["Name"], before, alias.version)):
            self._give(name, params["Name"], kept)
        self._tell(name, params["Name"])
        return written

    def _keep(self, name: str, alias_name: str, alias: Alias) -> None:
        self._of(name).aliases[alias_name] = alias
        self._past_aliases[name, alias_name].note(self._clock.now(), alias)

    def _write_weights(self, name: str, alias_name: str, weights: dict[str, float]) -> None:
        """Lambda itself changes an alias's weights, unasked."""
        self._tell(name, alias_name)
        self._give(name, alias_name, weights)
        self._tell(name, alias_name)

    def _give(self, name: str, alias_name: str, weights: dict[str, float]) -> None:
        """Weights of Lambda's own. Nobody has said whether they change the RevisionId: here they do, and after
        UpdateAlias was answered, which is the harder case for whoever names a revision in the next write.
        """
        alias = replace(self._of(name).aliases[alias_name], weights=dict(weights), revision_id=self._new_revision())
        self._keep(name, alias_name, alias)

    def _delete_alias(self, params: Params, proceed: Proceed) -> Response:
        name = function_name(params)
        self._tell(name, params["Name"])
        response = proceed()
        self.provisioned_concurrency.release(name, params["Name"])
        if self._of(name).aliases.pop(params["Name"], None):
            self._past_aliases[name, params["Name"]].note(self._clock.now(), None)
        self._tell(name, params["Name"])
        return response

    def _get_alias(self, params: Params, proceed: Proceed) -> Response:
        """As it is kept here; moto refuses one that nobody made."""
        name, alias_name = function_name(params), params["Name"]
        alias = self._of(name).aliases.get(alias_name)
        return _alias_shown(_named(name, alias_name), alias) if alias else proceed()

    def _recall_alias(self, params: Params, _: Proceed, moment: float) -> Response:
        name, alias_name = function_name(params), params["Name"]
        named, alias = _named(name, alias_name), _then(self._past_aliases, (name, alias_name), moment)
        if alias is None:
            raise AwsError("ResourceNotFoundException", f"Cannot find alias arn: {named['AliasArn']}", status=404)
        return _alias_shown(named, alias)

    def _list_aliases(self, params: Params, proceed: Proceed) -> Response:
        response, aliases = proceed(), self._of(function_name(params)).aliases
        return {**response, "Aliases": [_alias_shown(each, aliases.get(each["Name"])) for each in response["Aliases"]]}

    def _tell(self, function: str, alias: str) -> None:
        for listener in self._listeners:
            listener(function, alias)


def _named(function: str, alias: str) -> dict[str, Any]:
    return {"AliasArn": f"{FUNCTION_ARN}{function}:{alias}", "Name": alias}


def _alias_shown(response: dict[str, Any], alias: Alias | None) -> dict[str, Any]:
    """An alias as Lambda shows it: RoutingConfig is absent where one version serves alone."""
    if alias is None:
        return response
    shown = {key: value for key, value in response.items() if key != "RoutingConfig"}
    if alias.weights:
        shown["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    shown |= {"FunctionVersion": alias.version, "Description": alias.description, "RevisionId": alias.revision_id}
    return shown


def _as_named(shown: dict[str, Any], params: Params, function: Function) -> dict[str, Any]:
    """A configuration under the ARN by which it was asked for: that of the alias, too (recorded facts, L32)."""
    named = qualifier(params)
    return (
        {**shown, "FunctionArn": f"{FUNCTION_ARN}{function_name(params)}:{named}"}
        if named in function.aliases
        else shown
    )


def _stateless(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if not key.startswith(("State", "LastUpdate"))}


T = TypeVar("T")


def _then(past: Mapping[tuple[str, str], Past[T]], key: tuple[str, str], moment: float) -> T | None:
    return past[key].at(moment) if key in past else None
