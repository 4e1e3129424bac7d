"""VerifyCandidate: try the exact version before it gets any traffic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidegate.application.telemetry import Document, best_effort, logger, task
from tidegate.application.hook import ask
from tidegate.aws import alarms, profiles, versions
from tidegate.aws.patience import LONG
from tidegate.errors import AwsUnavailable, PermissionDenied, RolloutError, SmokeTestFailed, VersionPending
from tidegate.hooks import smoke_test
from tidegate.hooks.smoke_test import SmokeTest
from tidegate.planning import preflight
from tidegate.planning.plan import Plan
from tidegate.version import Version


@task("VerifyCandidate", LONG)
def handler(event: Document) -> Document:
    """Event: `plan`, `candidate` and `smoke_tests`, null where the request gives none.

    Result: how many smoke tests passed, and which hook was `asked`.
    """
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    found = versions.read(plan.function_name, candidate)
    if not plan.creates_alias:
        found.require_compatible(versions.read(plan.function_name, plan.stable))
    found.require_ready(plan.region, tried=plan.tries_candidate)
    tests = [SmokeTest.from_json(test) for test in _wanted(plan, event["smoke_tests"])]
    with _waking(found, plan.region, invoked=bool(tests)):
        for number, test in enumerate(tests, start=1):
            why = smoke_test.failure(test, versions.invoke(plan.function_name, candidate, test))
            if why is not None:
                raise SmokeTestFailed(f"smoke test {number} of version {candidate} of {plan.function_name} {why}")
        asked = ask(plan, candidate, "before_traffic")
    _require_quiet(plan)
    logger.info("candidate verified", smoke_tests=len(tests))
    return {"smoke_tests_passed": len(tests), "asked": asked}


@contextmanager
def _waking(found: Version, region: str, *, invoked: bool) -> Iterator[None]:
    """What is tried on an idle version does not run, and wakes it: all of that counts only once it is awake.

    `invoked`: a smoke test invokes it for certain, so that it wakes whatever Lambda still says of it. A hook may have
    invoked it, or have a reason of its own to say no.

    Raises:
        VersionPending: it was idle, and is to be tried again.
        VersionUnusable: it was idle, and nothing of the user's has woken it.
        RolloutError: what was tried failed, and not because it was idle.
    """
    try:
        yield
    except PermissionDenied:
        raise
    except RolloutError as error:
        if found.is_idle and (invoked or not _now(found).is_idle):
            raise VersionPending(f"version {found.number} of {found.function_name} was idle: {error}") from error
        raise
    if not found.is_idle:
        return
    now = _now(found)
    if now.is_idle and invoked:
        raise VersionPending(f"version {found.number} of {found.function_name} was idle, and is not awake yet")
    now.require_ready(region)


def _now(found: Version) -> Version:
    return versions.read(found.function_name, found.number)


def _require_quiet(plan: Plan) -> None:
    """Minutes may have passed since the plan: what fires now, fires without the candidate.

    Where CloudWatch does not answer, nothing is tried again for it: the first look reads the alarms too.
    """
    with best_effort("read the alarms once more", AwsUnavailable):
        preflight.require_ready_alarms(plan.alarms, alarms.read(rule.name for rule in plan.alarms))


def _wanted(plan: Plan, requested: list[Document] | None) -> list[Document]:
    """The request's smoke tests, or its profile's at the plan's version: a payload is no part of a plan."""
    if requested is None and plan.profile is not None:
        return list(profiles.read(plan.profile).document.get("smoke_tests", []))
    return requested or []
