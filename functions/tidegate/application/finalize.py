"""The end of a rollout, whichever it is: history written and lock released, an event, a metric."""

from __future__ import annotations

import time

from tidegate.application.telemetry import Document, count, gauge, logger
from tidegate.application.announcement import announce
from tidegate.aws import history
from tidegate.aws.history import ROLLBACK_FAILED, Booked, Closing
from tidegate.json_text import as_object

#: The metric under RollbackFailedAlarm: how many ended rollouts have left an alias that is not put right.
OPEN_ROLLBACKS = "OpenRollbacks"

_EVENTS = {
    "promoted": "RolloutPromoted",
    "unchanged": "RolloutUnchanged",
    "rolled_back": "RolloutRolledBack",
    "rejected": "RolloutRejected",
    "interrupted": "RolloutInterrupted",
    "rollback_failed": "RollbackFailed",
}


def close(closing: Closing) -> Booked:
    """Write the books, then tell; what they say by now, which may be another end: nobody may ignore that.

    Telling is at least once: whoever repeats this after a crash tells again. A rollback that goes on failing is told of
    once, and an end that the books know otherwise not at all.

    Raises:
        AwsUnavailable: the ledger could not be reached, or a handler was still in flight; nothing was told.
        LockLost: it is a promotion, and somebody restores the stable version.
    """
    booked = history.close(closing, time.time())
    if booked.outcome == closing.outcome and (booked.first or not closing.keep_lock):
        tell(closing)
    return booked


def tell(closing: Closing) -> None:
    """Log, count and announce how the rollout ended; never fails."""
    logger.info(f"rollout {closing.outcome}", cause=closing.cause, proven=closing.proven)
    if closing.outcome == ROLLBACK_FAILED:
        # At once; how many there are, and when there is none any more, is the sweeper's to say.
        gauge(OPEN_ROLLBACKS, 1)
    _announce(
        closing.outcome,
        closing.plan.about(closing.candidate, outcome=closing.outcome, cause=closing.cause, proven=closing.proven),
    )


def tell_refused(execution_arn: str, request: object, cause: str) -> None:
    """The same for a rollout that never had a plan; `request` is any JSON."""
    asked = as_object(request)
    detail = {
        "execution_arn": execution_arn,
        "function_name": _excerpt(asked.get("function_name")),
        "alias_name": _excerpt(asked.get("alias_name")),
        "from_version": None,
        "to_version": None,
        "outcome": "rejected",
        "cause": cause,
        "proven": None,
    }
    # Nobody was told that it had started.
    _announce("rejected", detail, notice=False)


def _excerpt(name: object) -> str | None:
    return name[:140] if isinstance(name, str) else None


def _announce(outcome: str, detail: Document, *, notice: bool = True) -> None:
    count("Rollouts", outcome=outcome)
    announce(_EVENTS[outcome], detail, notice=notice)
