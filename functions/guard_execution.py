"""guard_execution: an execution ended, failed, was stopped or timed out; restore and close what is still open."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from tidegate.application.telemetry import Document, identify, logger, task
from tidegate.application.finalize import tell, tell_refused
from tidegate.application.reconciliation import reconcile, reconcile_lock
from tidegate.aws import executions, history, locks
from tidegate.aws.executions import Execution
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.record import RolloutRecord
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import REFUSALS, RolloutError
from tidegate.json_text import parsed
from tidegate.moment import moment
from tidegate.planning.plan import Plan

#: A promotion that is older than this may be somebody's later one of the same version.
_UNDONE_WITHIN_SECONDS = 15 * 60
#: Later executions are listed by then.
_LISTED_AFTER_SECONDS = 45
_NOTHING = {"outcome": "nothing open"}


@task("guard_execution")
def handler(event: Document) -> Document:
    """Event: EventBridge's "Step Functions Execution Status Change". Result: what was done.

    Raises:
        RolloutError: neither ledger nor history answered, the alias could not be restored, or a handler of the
            execution was still in flight: Lambda invokes the guard again, and then hands the event to the
            dead-letter queue. The sweeper carries what is left.
    """
    detail = executions.end_of_event(event)
    if detail is None:
        logger.warning("no event of an execution's")
        return _NOTHING
    identify({"execution_arn": detail["executionArn"]})
    end, target = ExecutionEnd.parse(detail), _target(detail)
    if end is None:
        return _NOTHING
    try:
        lock = _lock(detail["executionArn"], target)
    except RolloutError as error:
        logger.warning("ledger not readable, reading the history", reason=str(error))
        found = _by_history(detail, end)
        if found is None:
            # Nothing moved that is not back, and the record may be open all the same.
            raise
        return {"outcome": reconcile(found, end, partial(_is_alone, found.plan, end))}
    if lock is not None:
        identify({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
        is_alone = partial(_is_alone, lock.plan, end) if lock.plan else None
        return {"outcome": reconcile_lock(lock, end, _request(detail), is_alone)}
    if target is None and (found := _by_history(detail, end)):
        return {"outcome": reconcile(found, end)}
    return _announce_end(detail, end, target)


def _lock(execution_arn: str, target: str | None) -> Lock | None:
    """The lock that the execution holds. Its input may leave the alias to a profile: then the index finds it."""
    if target is None:
        target = next((one.target for one in locks.running()[0] if one.execution_arn == execution_arn), None)
    lock = locks.read(target) if target else None
    return lock if lock and lock.execution_arn == execution_arn else None


def _by_history(detail: Document, end: ExecutionEnd) -> RolloutSnapshot | None:
    """What the execution's own history says; nothing where its end left the alias as it should be.

    Without the ledger nobody knows whose promotion an alias shows after a while: a late event undoes none.
    """
    found = None if end.ended_cleanly else executions.snapshot(detail["executionArn"])
    if found is None:
        return None
    identify({"plan": found.plan.to_json(), "candidate": found.candidate})
    late = found.promoting and time.time() - end.ended_at > _UNDONE_WITHIN_SECONDS
    return replace(found, promoting=False, weights=frozenset()) if late else found


def _is_alone(plan: Plan, end: ExecutionEnd) -> bool:
    """Whether no later execution can be at the alias; "eventually consistent" (API reference, ListExecutions), so that
    one which was started a moment ago may not be listed.
    """
    return time.time() - end.ended_at > _LISTED_AFTER_SECONDS and executions.is_last(plan)


def _announce_end(detail: Document, end: ExecutionEnd, target: str | None) -> Document:
    """Tell of an execution that holds no lock, where nobody may have: it had none yet, or was closed without a word.

    Its history item is for a lock, too, that a handler in flight still takes.
    """
    if end.status == "succeeded" or end.outcome not in {None, Outcome.REJECTED}:
        return _NOTHING
    execution = Execution.parse(detail["executionArn"])
    started_at = moment(detail.get("startDate")) or executions.started_at(execution.arn)
    if record := history.record_of(target, execution, started_at) if target else None:
        return _tell_recorded(record, detail, end)
    if end.error and executions.last_error(execution.arn) in REFUSALS:
        return _NOTHING
    if target and not history.refuse(target, execution, started_at, end.cause, held=False):
        return _NOTHING
    tell_refused(execution.arn, _request(detail), end.cause)
    return {"outcome": Outcome.REJECTED}


def _tell_recorded(record: RolloutRecord, detail: Document, end: ExecutionEnd) -> Document:
    """Tell what the history says, where no end state of ours did.

    It was written after the Stop, or its answer was lost, so that nobody lived to tell of it, or knew of it; who did
    has told it twice now.
    """
    ending, plan = record.ending, record.plan
    if plan is not None and (ending.outcome.is_success or end.outcome is None):
        tell(plan, record.candidate, ending)
        return {"outcome": ending.outcome}
    if plan is not None or end.outcome is not None:
        return _NOTHING
    tell_refused(detail["executionArn"], _request(detail), ending.cause)
    return {"outcome": Outcome.REJECTED}


def _request(detail: Document) -> object:
    """The execution's input; None where EventBridge left a long one out, or it is no JSON."""
    return parsed(detail.get("input"))


def _target(detail: Document) -> str | None:
    """The alias that the execution's input names; None where it is no request."""
    request = _request(detail)
    return executions.target_of(request) if isinstance(request, dict) else None
