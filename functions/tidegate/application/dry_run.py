"""A dry run: what PlanRollout would say, without taking the alias, writing anything or telling anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace

from tidegate.application.telemetry import Document, identify, logger
from tidegate.application.planner import ResolvedRequest, make_plan, taken, with_room
from tidegate.aws import executions, history, locks, versions
from tidegate.aws.executions import Execution
from tidegate.errors import FunctionUpdating, RolloutRunning, VersionKnownBad, VersionPending
from tidegate.planning.difference import Difference, differences, may_be_nothing
from tidegate.planning.plan import Plan
from tidegate.version import Version

UNCHANGED = "nothing new: would end Unchanged"
IDLE = "what is asked of it before any traffic wakes it, and the rollout would wait for it"
MAYBE_UNCHANGED = (
    "only what a version may have got when it was published, or from AWS since, differs: perhaps nothing new, and then"
    " it would end Unchanged"
)


def rehearse(request: object, execution: Execution, started_at: float) -> Document:
    """The `plan`, and the `differences` between the stable version and what would be released.

    Raises:
        RolloutError: what the rollout would be refused for, as far as it can be told now.
    """
    resolved = ResolvedRequest.parse(request, execution)
    _require_free(resolved.target)
    plan = with_room(make_plan(resolved, execution, started_at))
    identify({"plan": plan.to_json()})
    candidate = _candidate(plan)
    found = _differences(plan, candidate)
    warnings = plan.warnings + tuple(_warnings(plan, candidate, found))
    logger.info("planned, for show", differences=len(found))
    return {
        "plan": replace(plan, warnings=warnings).to_json(),
        "differences": [asdict(difference) for difference in found],
    }


def _require_free(target: str) -> None:
    """A lock whose execution has ended is no obstacle: the rollout would take it over."""
    held = locks.read(target)
    if held and executions.end_of(held.execution_arn, time.time() - held.heard_at) is None:
        raise RolloutRunning(taken(target, held.execution_arn))


def _candidate(plan: Plan) -> Version:
    """The version to adopt, or $LATEST as it would be published."""
    if plan.version is None:
        candidate = versions.read_latest(plan.function_name)
    else:
        candidate = versions.read(plan.function_name, plan.version)
        why = history.known_bad(plan.function_name, plan.version)
        if why is not None and not plan.force and plan.version != plan.stable:
            raise VersionKnownBad(f"version {plan.version} of {plan.function_name} failed before ({why})")
    candidate.require_code(plan.expected_code_sha256)
    if not plan.creates_alias:
        candidate.require_compatible(versions.read(plan.function_name, plan.stable))
    return candidate


def _differences(plan: Plan, candidate: Version) -> tuple[Difference, ...]:
    if plan.creates_alias:
        return ()
    stable = versions.read_configuration(plan.function_name, plan.stable)
    return differences(stable, versions.read_configuration(plan.function_name, candidate.number))


def _warnings(plan: Plan, candidate: Version, found: tuple[Difference, ...]) -> Iterator[str]:
    """What is no refusal: the rollout would wait for what is not ready, and end well where nothing changed.

    Raises:
        Rejected: what is not ready never will be.
    """
    try:
        if plan.version is None:
            candidate.require_publishable(plan.expected_code_sha256)
        else:
            candidate.require_ready(plan.region, tried=plan.tries_candidate)
    except (FunctionUpdating, VersionPending) as error:
        yield f"{error}: the rollout would wait for it"
    if plan.version is not None and candidate.is_idle:
        yield f"version {plan.version} of {plan.function_name} is Inactive: {IDLE}"
    if plan.version == plan.stable or (plan.version is None and not plan.creates_alias and not found):
        yield UNCHANGED
    elif plan.version is None and may_be_nothing(found):
        yield MAYBE_UNCHANGED
