"""The end of a rollout, whichever it is: recorded, its lock released, and told as an event and a metric."""

from __future__ import annotations

import time

from tidegate.application.telemetry import Document, count, gauge, logger
from tidegate.application.announcement import announce
from tidegate.aws import history
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.json_text import as_object
from tidegate.planning.plan import Plan

#: The metric under RollbackFailedAlarm: how many ended rollouts have left an alias that is not put right.
OPEN_ROLLBACKS = "OpenRollbacks"


def finalize(snapshot: RolloutSnapshot, ending: Ending) -> Ending:
    """Record the end, then tell of it; what is recorded by now, which may be another end: nobody may ignore that.

    Telling is at least once: whoever repeats this after a crash tells again. A rollback that goes on failing is told of
    once, and an end that is recorded otherwise not at all.

    Raises:
        AwsUnavailable: the ledger could not be reached, or a handler was still in flight; nothing was told.
        LockLost: it is a promotion, and somebody restores the stable version.
    """
    found = history.finalize(snapshot, ending, time.time())
    if found.outcome is ending.outcome and not (found.recorded and ending.keeps_lock):
        tell(snapshot.plan, snapshot.candidate, ending)
    return found


def tell(plan: Plan, candidate: str | None, ending: Ending) -> None:
    """Log, count and announce how the rollout ended; never fails."""
    logger.info(f"rollout {ending.outcome}", cause=ending.cause, proven=ending.proven)
    if ending.outcome is Outcome.ROLLBACK_FAILED:
        # At once; how many there are, and when there is none any more, is the sweeper's to say.
        gauge(OPEN_ROLLBACKS, 1)
    detail = plan.about(
        candidate,
        outcome=ending.outcome,
        cause=ending.cause,
        proven=ending.proven,
        proven_by=list(ending.proven_by),
    )
    _announce(ending.outcome, detail)


def tell_refused(execution_arn: str, request: object, cause: str) -> None:
    """The same for a rollout that never had a plan; `request` is any JSON."""
    asked = as_object(request)
    detail: Document = {
        "execution_arn": execution_arn,
        "function_name": _excerpt(asked.get("function_name")),
        "alias_name": _excerpt(asked.get("alias_name")),
        "from_version": None,
        "to_version": None,
        "outcome": Outcome.REJECTED,
        "cause": cause,
        "proven": None,
        "proven_by": [],
    }
    # Nobody was told that it had started.
    _announce(Outcome.REJECTED, detail, notice=False)


def _excerpt(name: object) -> str | None:
    return name[:140] if isinstance(name, str) else None


def _announce(outcome: Outcome, detail: Document, *, notice: bool = True) -> None:
    count("Rollouts", outcome=outcome)
    announce(outcome.event, detail, notice=notice)
