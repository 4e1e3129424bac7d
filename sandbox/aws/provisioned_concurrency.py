"""Provisioned concurrency: environments of a version, initialised in advance for an alias or for that version alone.

moto knows nothing of it. Its calls are cited from the Lambda API reference and the Lambda developer guide. What Lambda
does while such an alias moves is documented nowhere: it was seen in terraform-provider-aws#48116, terraform#24957,
serverless#7250 and gradientedge/cdk-utils#1110. What nobody has seen is chosen here, and said to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal

from sandbox.aws.boundary import AwsError, Boundary, Params, Response
from sandbox.aws.clock import Clock, Handle
from sandbox.aws.lambda_records import FUNCTION_ARN, LATEST, Alias, Function, function_name

PROVISIONING_SECONDS: Final = 90.0
"""How long Lambda takes to make concurrency ready on another version, or to find that it cannot, where a scenario says
nothing else: chosen, so that stories stay short. In life it was seen to take six to eight minutes."""

INIT_FAILURE: Final = "FUNCTION_ERROR_INIT_FAILURE"

_UNPUBLISHED: Final = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
_NOT_PUBLISHED: Final = "The function resource provided must be an alias or a published version."

_Weights = dict[str, float]


class _Provisioned:
    """What an alias or a version was promised. `ready_on` is the version whose environments are warm: they stay until
    those of another version are, so that going back is immediate (chosen).
    """

    def __init__(self, clock: Clock, requested: int, ready_on: str | None, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._requested = requested
        self._last_modified = clock.now()
        self._due: Handle | None = None
        self.ready_on = ready_on
        self.status: Literal["READY", "IN_PROGRESS", "FAILED"] = "READY"

    def prepare(self, version: str, initialises: Callable[[], bool], settled: Callable[[], None]) -> None:
        """Make a version ready in place of whatever is being made ready; `settled` is called where that took time."""
        self.cancel()
        self.status = "READY" if version == self.ready_on else "IN_PROGRESS"
        if self.status == "READY":
            return

        def settle() -> None:
            self._due = None
            if initialises():
                self.status, self.ready_on = "READY", version
            else:
                self.status = "FAILED"
            settled()

        self._due = self._clock.at(self._clock.now() + self._seconds, settle)

    def cancel(self) -> None:
        if self._due:
            self._due.cancel()
            self._due = None

    def shown(self) -> dict[str, Any]:
        """As Lambda shows it. The environments of the version that still serves count until others are READY (recorded
        facts, P11), and where there never will be any (chosen).
        """
        allocated = self._requested if self.ready_on else 0
        return {
            "RequestedProvisionedConcurrentExecutions": self._requested,
            "AvailableProvisionedConcurrentExecutions": allocated,
            "AllocatedProvisionedConcurrentExecutions": allocated,
            "Status": self.status,
            **({"StatusReason": INIT_FAILURE} if self.status == "FAILED" else {}),
            "LastModified": datetime.fromtimestamp(self._last_modified, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        }


class ProvisionedConcurrency:
    """The provisioned concurrency of an account. `write_weights(function, alias, weights)` writes an alias as Lambda
    itself would.
    """

    def __init__(
        self,
        boundary: Boundary,
        clock: Clock,
        function_of: Callable[[str], Function],
        write_weights: Callable[[str, str, _Weights], None],
    ) -> None:
        self._clock = clock
        self._function_of = function_of
        self._write_weights = write_weights
        self._provisioned: dict[str, dict[str, _Provisioned]] = {}
        self._initialises: dict[str, Callable[[str], bool]] = {}
        self._seconds = PROVISIONING_SECONDS
        boundary.serve("lambda.GetProvisionedConcurrencyConfig", self._get)
        boundary.serve("lambda.PutProvisionedConcurrencyConfig", self._put)
        boundary.serve("lambda.DeleteProvisionedConcurrencyConfig", self._delete)

    # What a scenario says.

    def give(self, function: str, alias: str, concurrency: int) -> None:
        """Give an existing alias provisioned concurrency, ready on its own version, whatever its weights are."""
        version = self._function_of(function).aliases[alias].version
        self._of(function)[alias] = _Provisioned(self._clock, concurrency, version, self._seconds)

    def take(self, seconds: float) -> None:
        """Take so long to make ready what is given from now on, or to find that it cannot be."""
        self._seconds = seconds

    def set_initialisation(self, function: str, initialises: Callable[[str], bool]) -> None:
        """Say which versions of a function initialise when they are asked to; otherwise every Active one does."""
        self._initialises[function] = initialises

    # What happens to aliases and versions.

    def refuse_move(self, function: str, alias: str, version: str, weights: Mapping[str, float]) -> None:
        """UpdateAlias: such an alias moves to another published version, or has weights, but not both in one write, and
        weights that a failed move left behind count. The message is from gradientedge/cdk-utils#1110.
        """
        if alias not in self._of(function) or version == self._function_of(function).aliases[alias].version:
            return
        if weights:
            raise _invalid("Invalid alias configuration for Provisioned Concurrency")
        if version == LATEST:
            raise _invalid(_UNPUBLISHED)
        self._refuse_a_second(function, alias, version)

    def move(self, function: str, name: str, before: Alias, version: str) -> _Weights:
        """An alias now points to another version: the weights that Lambda itself gives it.

        Traffic stays where it was, as a weight of 1 beside the new version, until concurrency is ready on that one;
        where the new version cannot initialise, the weight stays until somebody clears it. Back on the version that
        is ready there is nothing to wait for. What stays is the alias's own version, whatever weight another one had
        (chosen).
        """
        provisioned = self._of(function).get(name)
        if provisioned is None or version == before.version:
            return {}
        ready_on = provisioned.ready_on
        serving = ready_on if ready_on and before.weights == {ready_on: 1.0} else before.version
        kept = {serving: 1.0}
        settled = partial(self._end_move, function, name, version, kept)
        provisioned.prepare(version, partial(self._comes_up, function, version), settled)
        return {} if provisioned.status == "READY" else kept

    def release(self, function: str, qualifier: str) -> None:
        """An alias or a version is gone, and what it had with it."""
        if provisioned := self._of(function).pop(qualifier, None):
            provisioned.cancel()

    def _end_move(self, function: str, name: str, version: str, kept: _Weights) -> None:
        """Concurrency is ready, or never will be. Somebody may have written the alias since: only the weight that
        Lambda gave is taken back.
        """
        alias = self._function_of(function).aliases[name]
        if self._of(function)[name].status == "READY" and (alias.version, alias.weights) == (version, kept):
            self._write_weights(function, name, {})

    def _comes_up(self, function: str, version: str) -> bool:
        """Whether a version's environments initialise at this moment."""
        active = self._function_of(function).state_at(version, self._clock.now()) == "Active"
        return active and (function not in self._initialises or self._initialises[function](version))

    def _of(self, function: str) -> dict[str, _Provisioned]:
        return self._provisioned.setdefault(function, {})

    # Its calls.

    def _get(self, params: Params) -> Response:
        """GetProvisionedConcurrencyConfig, of an alias or of a published version."""
        function, qualifier = self._named(params, _NOT_PUBLISHED)
        if qualifier not in self._of(function):
            message = "No Provisioned Concurrency Config found for this function"
            raise AwsError("ProvisionedConcurrencyConfigNotFoundException", message, status=404)
        return self._of(function)[qualifier].shown()

    def _put(self, params: Params) -> Response:
        """PutProvisionedConcurrencyConfig: from the beginning, also where there was some."""
        function, qualifier = self._named(params, _UNPUBLISHED)
        alias = self._function_of(function).aliases.get(qualifier)
        version = alias.version if alias else qualifier
        if version == LATEST:
            raise _invalid(_UNPUBLISHED)
        self._refuse_weighted(alias)
        self._refuse_a_second(function, qualifier, version)
        self.release(function, qualifier)
        provisioned = _Provisioned(self._clock, params["ProvisionedConcurrentExecutions"], None, self._seconds)
        provisioned.prepare(version, partial(self._comes_up, function, version), lambda: None)
        self._of(function)[qualifier] = provisioned
        return provisioned.shown()

    def _delete(self, params: Params) -> Response:
        """DeleteProvisionedConcurrencyConfig: a success also where there is none."""
        function, qualifier = self._named(params, _NOT_PUBLISHED)
        self._refuse_weighted(self._function_of(function).aliases.get(qualifier))
        self.release(function, qualifier)
        return {}

    def _named(self, params: Params, refused_latest: str) -> tuple[str, str]:
        """The function and the qualifier of a call, both of which exist; $LATEST is refused with a message."""
        name, qualifier = function_name(params), params["Qualifier"]
        if qualifier == LATEST:
            raise _invalid(refused_latest)
        function, arn = self._function_of(name), f"{FUNCTION_ARN}{name}:{qualifier}"
        if qualifier not in function.aliases and qualifier not in function.configurations:
            message = f"Function not found: {arn}" if qualifier.isdigit() else f"Cannot find alias arn: {arn}"
            raise AwsError("ResourceNotFoundException", message, status=404)
        return name, qualifier

    def _refuse_weighted(self, alias: Alias | None) -> None:
        """Developer guide, "Configuring provisioned concurrency": not to be changed while the alias has a routing
        configuration, whoever gave it. The message is from terraform#24957.
        """
        if alias and alias.weights:
            raise _invalid("Alias with weights can not be used with Provisioned Concurrency")

    def _refuse_a_second(self, function: str, qualifier: str, version: str) -> None:
        """Developer guide, "Configuring provisioned concurrency": a version has one configuration at most, its own or
        that of an alias which points to it.
        """
        aliases = self._function_of(function).aliases
        others = self._of(function).keys() - {qualifier}
        if version not in {aliases[other].version if other in aliases else other for other in others}:
            return
        message = (
            "Version is pointed by a Provisioned Concurrency alias"
            if qualifier.isdigit()
            else "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        )
        raise AwsError("ResourceConflictException", message, status=409)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message)
