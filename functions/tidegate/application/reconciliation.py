"""What an ended execution left open: the stable version restored, and the end recorded. Idempotent, from anywhere.

`guard_execution`, `sweep` and the next rollout share it.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.application.telemetry import logger
from tidegate.alias import Alias
from tidegate.application.finalize import finalize, tell, tell_refused
from tidegate.application.restoration import IsAlone, attempt, begin
from tidegate.aws import history
from tidegate.aws.executions import Execution
from tidegate.ending.conclusion import Known, Reason, conclude, ending_of_execution
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.restore_intent import Failed
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import RolloutError


def reconcile_lock(lock: Lock, end: ExecutionEnd, request: object = None, is_alone: IsAlone = None) -> Outcome:
    """Close what an ended execution's lock still holds; how the rollout ended. `request` is the execution's input.

    Raises:
        RolloutError: as `reconcile`.
    """
    if lock.snapshot is not None:
        return reconcile(lock.snapshot, end, is_alone)
    if history.refuse(lock.target, Execution.parse(lock.execution_arn), lock.started_at, end.cause):
        tell_refused(lock.execution_arn, request or Alias.parse(lock.target).names, end.cause)
    return Outcome.REJECTED


def reconcile(snapshot: RolloutSnapshot, end: ExecutionEnd, is_alone: IsAlone = None) -> Outcome:
    """Restore where the end did not, record and tell; how the rollout ended. `is_alone` as in `restore`.

    Raises:
        RolloutError: the alias could not be restored, the end not recorded, or a handler of the execution was still
            in flight: whoever asked asks again.
    """
    said = ending_of_execution(snapshot, end)
    known = Known(snapshot, Reason(end.cause), end) if said else _restored(snapshot, end, is_alone)
    ending = conclude(known)
    if isinstance(known.restoration, Failed):
        _give_up(known.snapshot, ending)
        raise known.restoration.error
    if not ending.recorded:
        return _finalized(known.snapshot, ending)
    if end.outcome is None:
        # Whoever recorded it may not have lived to tell.
        tell(snapshot.plan, snapshot.candidate, ending)
    return ending.outcome


def _restored(snapshot: RolloutSnapshot, end: ExecutionEnd, is_alone: IsAlone) -> Known:
    intent = begin(snapshot, snapshot.restoring or end.cause)
    found = intent.snapshot
    reason = Reason(found.restoring or end.cause, found.convicted)
    if not found.traffic_shifted:
        return Known(found, reason, end, intent.recorded)
    try:
        done = attempt(intent, reason.cause, ended_at=end.ended_at, is_alone=is_alone)
    except RolloutError as error:
        return Known(found, reason, end, Failed(error))
    return Known(found, reason, end, done)


def _finalized(snapshot: RolloutSnapshot, ending: Ending) -> Outcome:
    found = finalize(snapshot, ending)
    if found.outcome is not ending.outcome:
        logger.warning("recorded before, as something else", recorded=found.outcome, found=ending.outcome)
    return found.outcome


def _give_up(snapshot: RolloutSnapshot, ending: Ending) -> None:
    """Say so at once; whether the next try succeeds or not, a person should look."""
    command = snapshot.plan.restore_command
    remedy = f"Run: {command}\n" if command else "No alias was there to restore; see whether there is one now, "
    told = replace(ending, cause=f"{remedy}because {ending.cause}")
    try:
        finalize(snapshot, told)
    except RolloutError as unwritten:
        logger.warning("ledger not closed", reason=str(unwritten))
        tell(snapshot.plan, snapshot.candidate, told)
