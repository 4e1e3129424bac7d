"""The end of a rollout, whichever it is: history written and lock released, an event, a metric."""

from __future__ import annotations

import time

from aws import events, ledger
from aws.ledger import Closing
from telemetry import best_effort, count, logger

_EVENTS = {
    "promoted": "RolloutPromoted",
    "unchanged": "RolloutUnchanged",
    "rolled_back": "RolloutRolledBack",
    "rejected": "RolloutRejected",
    "interrupted": "RolloutInterrupted",
    "rollback_failed": "RollbackFailed",
}


def close(closing: Closing) -> None:
    """Write the books, then tell; a second call for the same rollout does nothing.

    Raises:
        AwsUnavailable: the ledger could not be reached; nothing was told.
    """
    if ledger.close(closing, time.time()):
        tell(closing)


def tell(closing: Closing) -> None:
    """Log, count and announce how the rollout ended; never fails."""
    logger.info(f"rollout {closing.outcome}", cause=closing.cause, proven=closing.proven)
    count("Rollouts", outcome=closing.outcome)
    detail = closing.plan.about(closing.candidate, outcome=closing.outcome, cause=closing.cause, proven=closing.proven)
    with best_effort("announce the end"):
        events.emit(_EVENTS[closing.outcome], detail)
