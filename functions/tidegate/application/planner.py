"""What a rollout will do, from its request and from what AWS says of its target; for real, and for a dry run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

from tidegate.application.telemetry import best_effort
from tidegate.alias import Alias
from tidegate.analysis.health import AlarmRule, HealthPolicy
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.analysis.metric import DURABLE
from tidegate.aws import alarms, aliases, callers, hooks, metrics, profiles, stacks, versions
from tidegate.aws.aliases import AliasState
from tidegate.aws.executions import Execution
from tidegate.errors import AliasNotFound, AliasNotReady, MetricUnusable, PlanTooLong, StableUnusable, VersionNotFound
from tidegate.frozen import frozen
from tidegate.planning import fix, out_of_sight, preflight
from tidegate.planning.alarm_watch import alarm_warnings, baked_for_alarms, timed
from tidegate.planning.callers import Caller
from tidegate.planning.forecast import Forecast, forecast
from tidegate.planning.pace import pace
from tidegate.planning.plan import Plan
from tidegate.planning.profile import Profile, name_in
from tidegate.planning.strategy import Step
from tidegate.request.rollout_request import FromAlias, RolloutRequest
from tidegate.routing import ALL_PERCENT, restore_command
from tidegate.version import Version

UNPAUSABLE = "this rollout cannot be paused: with so long a plan there is no room for it in one execution's history"
UNGATED = "no alarm and no limit is set, and the judge is turned off: nothing can speak against the candidate"
UNASKED = "a first release has no step: only the before_traffic hook is asked"
UNTRIED = "no smoke test and no before_traffic hook is set: the alias is made on whatever was deployed"
#: A state's input may hold 256 KiB (Step Functions Developer Guide, "Quotas"): with the progress, and what a Wait adds.
MAX_PLAN_BYTES = 180_000
NOTHING_LEFT = (
    "health.judge.errors: of a durable function only executions and metrics of yours can be judged, and slow cannot:"
    " nothing is left; set judge to false"
)
#: A new alias has nobody who calls it, and no version to compare with.
FIRST_RELEASE = (Step(ALL_PERCENT, 0),)


@frozen
class ResolvedRequest:
    """A request, and the profile that it names."""

    request: RolloutRequest
    profile: Profile | None

    @classmethod
    def parse(cls, document: object, execution: Execution) -> ResolvedRequest:
        """From any JSON.

        Raises:
            RequestInvalid: it cannot be understood, or its profile cannot.
            ProfileNotFound: it names a profile that is not there.
        """
        name = name_in(document)
        profile = profiles.read(name) if name else None
        here = {"partition": execution.partition, "region": execution.region, "account": execution.account}
        request = RolloutRequest.parse(document, **here, profile=profile)
        return cls(request, profile)

    @property
    def alias(self) -> Alias:
        """What is to be rolled out, wherever that was said."""
        return Alias(self.request.function_name, self.request.alias_name)

    @property
    def target(self) -> str:
        """The alias as text: `function:alias`."""
        return str(self.alias)


def taken(target: str, holder: str) -> str:
    """What is said where another execution rolls out the alias."""
    return f"{target} is being rolled out by {holder}: wait for it, or stop it"


def make_plan(resolved: ResolvedRequest, execution: Execution, started_at: float) -> Plan:
    """The plan of that execution.

    Raises:
        Rejected: it cannot be done, for the reason that the error's name says.
    """
    request, alias = resolved.request, resolved.alias
    tried = _tried(request, versions.read_latest(alias.function_name))
    found = _found(request, alias)
    provisioning = versions.read_provisioning(alias) if found else None
    if found:
        preflight.require_ready_alias(resolved.target, found.routing, provisioning)
        _require_stable(alias.function_name, found.routing.version, execution.region)
    rules, hooked = _ready_alarms(request), request.hooks.hooks()
    steps, health = _steps(request, rules) if found else FIRST_RELEASE, _health(request, tried)
    preflight.require_usable_hooks(hooks.faults(hooked.names()))
    paced = pace(steps, health, hooked, request.max_pause_seconds, provisioned=provisioning is not None)
    stable = found.routing.version if found else ""
    health, traffic = _day_before(alias, stable, health, started_at) if found else (health, TrafficBaseline())
    expected = _expect(request, steps, health, traffic) if found else _expect_nothing(request)
    return Plan(
        rollout_id=execution.name,
        execution_arn=execution.arn,
        region=execution.region,
        function_name=alias.function_name,
        alias_name=alias.name,
        started_at=started_at,
        stable=stable,
        revision_id=found.revision_id if found else "",
        steps=steps,
        restore_command=restore_command(execution.region, alias, stable) if found else "",
        alarms=rules,
        health=health,
        version=_adopted(request),
        expected_code_sha256=request.expected_code_sha256,
        description=request.description,
        smoke_tests=len(request.smoke_tests),
        force=request.force,
        provisioned=provisioning is not None,
        profile=str(resolved.profile) if resolved.profile else None,
        hooks=hooked,
        creates_alias=found is None,
        revert_window_seconds=request.revert_window_seconds,
        baseline=_comparable(traffic, tried),
        expectations=expected.steps,
        timeout_seconds=tried.timeout_seconds,
        durable=tried.durable,
        warnings=(
            *expected.warnings,
            *([UNPAUSABLE] if paced.max_pause_seconds < request.max_pause_seconds else []),
            *(_watched(request, rules, steps, stable, traffic, tried) if found else ()),
            *(_about(alias, execution) if found else ()),
        ),
        **asdict(paced),
    )


def with_room(plan: Plan) -> Plan:
    """The plan, if every state can have it beside the progress.

    Raises:
        PlanTooLong: it takes too much room.
    """
    takes = len(json.dumps(plan.to_json()))
    if takes > MAX_PLAN_BYTES:
        raise PlanTooLong(
            f"the plan takes {takes:,} bytes, and {MAX_PLAN_BYTES:,} is the limit: name fewer alarms, or metrics with"
            " fewer and shorter dimensions"
        )
    return plan


def _watched(
    request: RolloutRequest,
    rules: tuple[AlarmRule, ...],
    steps: tuple[Step, ...],
    stable: str,
    traffic: TrafficBaseline,
    tried: Version,
) -> Iterator[str]:
    """Warnings of a stable version that fails, and of alarms and of a judge that will not be able to tell."""
    if not tried.durable:
        yield from fix.warnings(stable, traffic, request.health.policy(), rules)
    yield from alarm_warnings(rules, steps[-1], bakes_for_them=request.health.bake_for_alarms)
    health = request.health.policy()
    yield from out_of_sight.warnings(steps, traffic, health, tried.timeout_seconds, durable=tried.durable)


def _tried(request: RolloutRequest, latest: Version) -> Version:
    """The candidate, or what will be published as it: for how long a request may run, and whether it is durable."""
    with best_effort("read the adopted version"):
        if (adopted := _adopted(request)) is not None:
            return versions.read(request.function_name, adopted)
    return latest


def _health(request: RolloutRequest, tried: Version) -> HealthPolicy:
    """What the candidate must hold to. Nobody times executions: of a durable function, nothing is slow.

    Raises:
        MetricUnusable: executions are to be judged of a function that has none, or nothing is left to judge.
    """
    health, asked = request.health.policy(), request.health.judge
    if not tried.durable:
        if asked and asked.asks_for_executions:
            raise MetricUnusable(f"{DURABLE} counts executions, and {request.function_name} is no durable function")
        return health
    judge = health.judge and replace(health.judge.with_quantiles({}), durable=True)
    if judge and not judge.judged():
        raise MetricUnusable(NOTHING_LEFT)
    return replace(health, judge=judge, max_duration_p99_ms=None)


def _comparable(traffic: TrafficBaseline, tried: Version) -> TrafficBaseline:
    """The day before as the judge may use it. Nobody has counted its executions, and its invocations are none."""
    if not tried.durable:
        return traffic
    timed = replace(traffic, p99_ms=None, p90_ms=None, p50_ms=None)
    return replace(timed, requests=0, errors=0, throttled=0, hour_requests=0, hour_errors=0, failing_minutes=0)


def _ready_alarms(request: RolloutRequest) -> tuple[AlarmRule, ...]:
    """The request's alarms, with the time that each needs."""
    rules = request.alarm_rules()
    readings = alarms.read((rule.name for rule in rules), timed=True)
    preflight.require_ready_alarms(rules, readings)
    return timed(rules, readings)


def _steps(request: RolloutRequest, rules: tuple[AlarmRule, ...]) -> tuple[Step, ...]:
    steps = request.chosen_steps()
    return baked_for_alarms(steps, rules) if request.health.bake_for_alarms else steps


def _found(request: RolloutRequest, alias: Alias) -> AliasState | None:
    """The alias; None where there is none yet and the rollout is to make it."""
    try:
        return aliases.read(alias)
    except AliasNotFound as error:
        if request.create_alias:
            return None
        raise AliasNotFound(f"{error}, or set create_alias to have it made on the candidate") from error


def _day_before(
    alias: Alias, stable: str, health: HealthPolicy, started_at: float
) -> tuple[HealthPolicy, TrafficBaseline]:
    """The policy, knowing which of its metrics were seen before, and the alias's traffic where anything asks for it."""
    traffic = TrafficBaseline()
    if health.judge:
        asked = health.judge.metrics
        traffic = metrics.read_baseline(alias, before=started_at, stable=stable, metrics=asked)
        known = preflight.known_metrics(asked, traffic, alias, stable)
        return replace(health, judge=replace(health.judge, metrics=known)), traffic
    if _is_limited(health):
        with best_effort("read the day before"):
            traffic = metrics.read_baseline(alias, before=started_at)
    return health, traffic


def _is_limited(health: HealthPolicy) -> bool:
    return (health.max_error_percent, health.max_duration_p99_ms) != (None, None)


def _expect(
    request: RolloutRequest, steps: tuple[Step, ...], health: HealthPolicy, traffic: TrafficBaseline
) -> Forecast:
    """What the judge will be able to see with as much traffic as in the day before."""
    if health.judge is None:
        return Forecast((), () if _is_limited(health) or request.alarms else (UNGATED,))
    return forecast(steps, traffic, health.judge)


def _expect_nothing(request: RolloutRequest) -> Forecast:
    hooks = request.hooks
    untried = not request.smoke_tests and not hooks.before_traffic
    warnings = [*[UNTRIED] * untried, *[UNASKED] * bool(hooks.each_step or hooks.after_traffic)]
    return Forecast((), tuple(warnings))


def _about(alias: Alias, execution: Execution) -> tuple[str, ...]:
    """Warnings of the alias itself; best effort, and in no hurry's way."""
    arn = f"arn:{execution.partition}:lambda:{execution.region}:{execution.account}:function:{alias}"
    return (*_moved_by_a_stack(arn), *_unseen(alias, arn))


def _moved_by_a_stack(arn: str) -> tuple[str, ...]:
    """A warning where a CloudFormation stack would undo this rollout."""
    with best_effort("see whose alias it is"):
        declared = stacks.read_alias(arn)
        return declared.warnings() if declared else ()
    return ()


def _unseen(alias: Alias, arn: str) -> tuple[str, ...]:
    """Warnings of callers whose failures Lambda does not count; one that cannot be asked costs its own."""
    found = list[Caller]()
    for read in callers.READS:
        with best_effort("see who calls the alias"):
            found += read(alias, arn)
    return tuple(caller.warning for caller in dict.fromkeys(found))


def _require_stable(function_name: str, version: str, region: str) -> None:
    try:
        versions.read(function_name, version).require_stable(region)
    except VersionNotFound as error:
        raise StableUnusable(f"{error}, which a rollback would return to") from error


def _adopted(request: RolloutRequest) -> str | None:
    if not isinstance(request.version, FromAlias):
        return request.version
    other = Alias(request.function_name, request.version.from_alias)
    source = aliases.read(other).routing
    if source.is_split or not source.version.isdigit():
        raise AliasNotReady(
            f"{other} serves {source}, so it does not say which version to adopt: point it to one version"
        )
    return source.version
