"""CheckHealth: observe, judge, decide: wait, advance, flinch, step back, promote or roll back."""

from __future__ import annotations

import time
from dataclasses import replace

from tidegate.application.telemetry import Document, logger, task
from tidegate.analysis.durable import beside, unsettled
from tidegate.analysis.measurement import Minute
from tidegate.analysis.sight import ALL_SEEN, Unseen
from tidegate.application.announcement import tell_waiting
from tidegate.aws import alarms, aliases, durable, metrics, verdicts
from tidegate.control.decision import decide
from tidegate.control.observation import Observation
from tidegate.control.progress import Progress, Standing
from tidegate.errors import AliasMoved, AwsUnavailable, LockLost, RolloutError
from tidegate.planning.plan import Plan
from tidegate.routing import Routing

#: How often a look decides anew because somebody spoke meanwhile.
_TRIES = 5


@task("CheckHealth")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` and `progress`. Result: the new `progress`, and the `decision`."""
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    progress = Progress.from_json(event["progress"])
    revision_id = _require_unmoved(plan, candidate, progress)
    now = time.time()
    readings = alarms.read(
        (rule.name for rule in plan.alarms),
        since=progress.first_shift_at,
        seen=progress.alarms_seen,
        ignored_since={
            rule.name: plan.started_at for rule in plan.alarms if rule.if_already_firing == "ignore_until_ok"
        },
    )
    minutes, unseen = _minutes(plan, candidate, progress, now)
    watched = [readings[rule.name] for rule in plan.alarms]
    observed = Observation.of(plan, progress, minutes, watched, now, unseen)
    standing = _decide(plan, progress.seeing(readings), observed, revision_id)
    decision = standing.decision
    if standing.progress.approval_step not in {None, progress.approval_step}:
        tell_waiting(plan, candidate, decision.reason)
    logger.info(decision.action, reason=decision.reason, checks=[check.to_json() for check in observed.checks])
    if decision.action != "promote":
        # The last hook's yes is for the look that follows it: what is held or looked at longer is asked about anew.
        standing = replace(standing, progress=replace(standing.progress, final_hook_passed=False))
    return standing.to_json()


def _require_unmoved(plan: Plan, candidate: str, progress: Progress) -> str:
    """The alias's revision now: whoever wrote since and moved nothing, a description for instance, changed it."""
    expected = progress.routing(plan.stable, candidate)
    alias = aliases.read(plan.alias)
    found = alias.routing
    if found == expected:
        return alias.revision_id
    earlier = [Routing.split(plan.stable, candidate, shift.weight_percent) for shift in progress.shifts]
    if found == Routing.alone(plan.stable):
        # A guard's or a person's restore says so in the lock, which RollBack reads where it can.
        whose = "it was restored meanwhile"
    else:
        whose = "as it did before" if found in earlier else "somebody else moved it"
    raise AliasMoved(f"{plan.target} should serve {expected}, and serves {found}: {whose}")


def _minutes(plan: Plan, candidate: str, progress: Progress, now: float) -> tuple[tuple[Minute, ...], Unseen]:
    """Both versions' requests, or executions of a durable function, by the minute.

    None, and why, where CloudWatch, or the table, does not answer: that is unknown, and no fault.
    """
    if not progress.shifts:
        return (), ALL_SEEN
    try:
        if plan.counts_executions:
            started = durable.read_executions(
                plan.alias, plan.stable, candidate, since=progress.first_shift_at, now=now
            )
            counted = _requests(plan, candidate, progress, now) if plan.asked.metrics else ()
            return beside(started, counted), unsettled(started, progress.shifts)
        minutes = _requests(plan, candidate, progress, now)
    except AwsUnavailable as error:
        logger.warning("blind", reason=str(error))
        return (), Unseen(str(error))
    return minutes, ALL_SEEN


def _requests(plan: Plan, candidate: str, progress: Progress, now: float) -> tuple[Minute, ...]:
    return metrics.read_rollout(
        plan.alias,
        plan.stable,
        candidate,
        first_shift_at=progress.first_shift_at,
        shifted_at=progress.shifted_at,
        now=now,
        asked=plan.asked,
    )


def _decide(plan: Plan, progress: Progress, observed: Observation, revision_id: str) -> Standing:
    """Decide and write it down; once more where people said something meanwhile.

    Only who could write it down still had the lock when the alias was read: the revision that it had then is this
    rollout's.
    """
    for _ in range(_TRIES):
        standing = decide(plan, progress, observed)
        try:
            controls = verdicts.record(plan, standing, observed, revision_id)
        except LockLost:
            raise
        except RolloutError as error:
            # A verdict to roll back does not wait for the ledger.
            if standing.decision.action != "roll_back":
                raise
            logger.warning("verdict not recorded", reason=str(error))
            return standing
        if controls is None:
            return replace(standing, progress=replace(standing.progress, revision_id=revision_id))
        progress = progress.with_commands(controls, observed.now)
    raise AwsUnavailable(f"more commands are given for {plan.target} than can be applied")
