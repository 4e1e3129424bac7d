"""PublishVersion: freeze $LATEST, or adopt the given version, and wait until it can serve."""

from __future__ import annotations

from tidegate.application.telemetry import Document, identify, logger, task
from tidegate.application.finalize import finalize
from tidegate.aws import history, ledger, locks, versions
from tidegate.aws.patience import LONG
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import LockLost, VersionKnownBad, VersionNotFound, VersionPending
from tidegate.planning.plan import Plan
from tidegate.version import Version


@task("PublishVersion", LONG)
def handler(event: Document) -> Document:
    """Event: `plan`. Result: `candidate`, and whether it is `unchanged`, that is serving already."""
    plan = Plan.from_json(event["plan"])
    candidate = _candidate(plan)
    identify({**event, "candidate": candidate.number})
    if candidate.number == plan.stable:
        cause = f"{plan.target} serves version {plan.stable} already, and nothing is newer"
        finalize(RolloutSnapshot(plan, plan.stable), Ending(Outcome.UNCHANGED, cause))
        return {"candidate": plan.stable, "unchanged": True}
    ledger.record_candidate(plan, candidate.number)
    _require_good(plan, candidate.number)
    candidate.require_ready(plan.region, tried=plan.tries_candidate)
    logger.info("candidate is ready", version=candidate.number, code_sha256=candidate.code_sha256)
    return {"candidate": candidate.number, "unchanged": False}


def _candidate(plan: Plan) -> Version:
    # A retry while the version is Pending must not publish what somebody deployed meanwhile.
    lock = locks.read(plan.target)
    if lock is None or lock.execution_arn != plan.execution_arn:
        raise LockLost(f"this execution no longer holds the lock of {plan.target}: nothing is published")
    if lock.candidate is not None:
        return versions.read(plan.function_name, lock.candidate)
    if plan.version is not None:
        adopted = versions.read(plan.function_name, plan.version)
        adopted.require_code(plan.expected_code_sha256)
        return adopted
    latest = versions.read_latest(plan.function_name)
    latest.require_publishable(plan.expected_code_sha256)
    description = plan.description or f"Published by rollout {plan.rollout_id}"
    number = versions.publish(plan.function_name, latest, description)
    try:
        return versions.read(plan.function_name, number)
    except VersionNotFound as error:
        raise VersionPending(
            f"version {number} of {plan.function_name} is published, and not to be seen yet"
        ) from error


def _require_good(plan: Plan, candidate: str) -> None:
    why = history.known_bad(plan.function_name, candidate)
    if why is None:
        return
    if not plan.force:
        raise VersionKnownBad(
            f"version {candidate} of {plan.function_name} failed before ({why}):"
            " deploy a fix, or set force to try again"
        )
    logger.warning("rolling out a version known to be bad", version=candidate, why=why)
