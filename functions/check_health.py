"""CheckHealth: observe, judge, decide: wait, advance, flinch, step back, promote or roll back."""

from __future__ import annotations

import random
from dataclasses import replace

from tidegate.application.telemetry import Document, logger, task
from tidegate.analysis.check import Finding
from tidegate.application.announcement import tell_waiting
from tidegate.application.look import Look
from tidegate.aws import verdicts
from tidegate.aws.patience import BRIEF, throttled
from tidegate.control.decision import decide
from tidegate.control.pressure import strained, stretched
from tidegate.control.progress import Progress, Standing
from tidegate.errors import AwsThrottled, AwsUnavailable, LockLost, RolloutError
from tidegate.planning.plan import Plan

#: How often a look decides anew because somebody spoke meanwhile.
_TRIES = 5
#: What a look does not do that could not see, or write down, everything.
_FORWARD = frozenset({"advance", "promote"})


@task("CheckHealth", BRIEF)
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate`, `progress` and `decision`. Result: the last two anew."""
    plan, candidate, came = Plan.from_json(event["plan"]), str(event["candidate"]), Standing.from_json(event)
    if came.decision.action == "late":
        came = replace(came, progress=replace(came.progress, late=came.progress.late + 1, unanswered=True))
    look = Look(plan, candidate, came)
    standing = _decide(look)
    decision = standing.decision
    if standing.progress.approval_step not in {None, came.progress.approval_step}:
        tell_waiting(plan, candidate, decision.reason)
    logger.info(decision.action, reason=decision.reason, checks=[check.to_json() for check in look.observed.checks])
    if decision.action != "promote":
        # The last hook's yes is for the look that follows it: what is held or looked at longer is asked about anew.
        standing = replace(standing, progress=replace(standing.progress, final_hook_passed=False))
    # What was throttled last, such as the verdict's own record, stretches the next look.
    return replace(standing, progress=_strained(look, standing.progress)).to_json()


def _decide(look: Look) -> Standing:
    """Decide and write it down; once more where people said something meanwhile.

    Only who could write it down still had the lock when the alias was read: the revision that it had then is this
    rollout's.
    """
    for _ in range(_TRIES):
        standing, observed = _decided(look), look.observed
        try:
            controls = verdicts.record(look.plan, standing, observed, look.revision_id)
        except LockLost:
            raise
        except RolloutError as error:
            return _unrecorded(look, standing, error)
        if controls is None:
            return replace(standing, progress=replace(standing.progress, revision_id=look.revision_id))
        look.progress = look.progress.with_commands(controls, observed.now)
    raise AwsUnavailable(f"more commands are given for {look.plan.target} than can be applied")


def _decided(look: Look) -> Standing:
    """The decision at the pace that AWS has room for. For any but to wait the alarms are asked, unless harm is seen."""
    standing = decide(_paced(look), look.progress, look.observed)
    waits = standing.decision.action in {"wait", "hold"}
    if not (waits or look.alarms_asked or look.observed.found(Finding.HARMFUL)):
        look.ask_alarms()
        standing = decide(_paced(look), look.progress, look.observed)
    return standing


def _paced(look: Look) -> Plan:
    """The plan at the pace that every call of this look so far leaves room for."""
    look.progress = _strained(look, look.progress)
    return stretched(look.plan, look.progress.strain, random.random())  # noqa: S311 - no secret


def _strained(look: Look, progress: Progress) -> Progress:
    return strained(progress, look.strain_before, throttled=throttled())


def _unrecorded(look: Look, standing: Standing, error: RolloutError) -> Standing:
    """What follows a decision that could not be written down.

    One to roll back does not wait for the ledger. Where that is throttled no other one ends the rollout: nothing goes
    forward meanwhile.

    Raises:
        RolloutError: the ledger fails, or the request wants to go on with what nobody saw.
    """
    logger.warning("verdict not recorded", reason=str(error))
    if standing.decision.action == "roll_back":
        return standing
    if not isinstance(error, AwsThrottled):
        raise error
    if standing.decision.action in _FORWARD:
        look.miss(str(error))
        standing = _decided(look)
    if standing.decision.action in _FORWARD:
        raise error
    return standing
