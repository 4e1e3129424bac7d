"""A rollout in an account, followed from look to look until it has ended and is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from tidegate.alias import Alias
from tidegate.cli.account import Account, Execution, now
from tidegate.cli.target import named_by, parse_target
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.terminal.exit_codes import AwsFailed, NothingThere
from tidegate.views.records import finished_view, planning_view, running_view
from tidegate.views.rollout_view import RolloutView

#: The state machine looks once a minute, so this often is soon enough.
EVERY_SECONDS = 5.0
#: How long a watched rollout may be out of sight, and how long one that was just started.
SILENCE_SECONDS = 300.0
YOUNG_SECONDS = 60.0
#: A guard closes what was stopped within seconds, the sweeper within minutes.
GUARDS_SECONDS = 240.0
#: How many finished rollouts are searched for one of them.
LOOK_BACK = 200
_UNNAMED = Alias("?", "?")


def follow(account: Account, arn: str, every_seconds: float = EVERY_SECONDS) -> Iterator[RolloutView]:
    """A view every few seconds; the last one has an outcome.

    A rollout takes hours, so AWS may fail to answer for a while once it has answered. DescribeExecution is eventually
    consistent: it may not know an execution that was started a moment ago.
    """
    last: RolloutView | None = None
    answered_at: float | None = None
    unknown_until = now() + YOUNG_SECONDS
    while True:
        try:
            execution = account.execution(arn)
            if execution and execution.runs:
                last = _running(account, execution)
                yield last
            elif execution or last or now() >= unknown_until:
                yield _ended(account, arn, execution, last, every_seconds)
                return
            answered_at = now()
        except AwsFailed:
            if answered_at is None or now() - answered_at > SILENCE_SECONDS:
                raise
        time.sleep(every_seconds)


def current(account: Account, target: Alias) -> RolloutView:
    """The running rollout of an alias as it is now, or the last one.

    Raises:
        NothingThere: there is neither.
    """
    lock = account.lock(target)
    if lock is None:
        return finished(account, target)
    execution = account.execution(lock.execution_arn)
    if execution is not None and execution.runs:
        return running_view(lock, now())
    # It has ended, and a guard is about to close what it left open.
    view = running_view(lock, execution.ended_at if execution and execution.ended_at else now())
    return _with_end(view, execution)


def finished(account: Account, target: Alias, rollout_id: str | None = None) -> RolloutView:
    """A finished rollout: the one of that id, or else the last one.

    Raises:
        NothingThere: nothing is known of it.
    """
    for item in account.finished(target, 1 if rollout_id is None else LOOK_BACK):
        view = finished_view(item)
        if rollout_id in {None, view.rollout_id}:
            return view
    which = f"rollout {rollout_id}" if rollout_id else "rollout"
    raise NothingThere(f"no {which} of {target} is known: see tidegate list, and --stack and --region")


def _running(account: Account, execution: Execution) -> RolloutView:
    target = named_by(execution.request)
    lock = account.lock(target) if target else _lock_of(account, execution)
    if lock is None or lock.execution_arn != execution.arn:
        return planning_view(str(target or _UNNAMED), execution.name, execution.started_at, now())
    return running_view(lock, now())


def _lock_of(account: Account, execution: Execution) -> Lock | None:
    """The lock of an execution whose target is its profile's secret."""
    return next((lock for lock in account.running() if lock.execution_arn == execution.arn), None)


def _ended(
    account: Account, arn: str, execution: Execution | None, last: RolloutView | None, every_seconds: float
) -> RolloutView:
    """How it ended, by its record; where a guard has to close them, it is waited for."""
    name = arn.rpartition(":")[2]
    started_at = execution.started_at if execution else now()
    asked = named_by(execution.request) if execution else None
    target = parse_target(last.target) if last and last.steps else asked
    ours = execution is not None and (execution.status == "SUCCEEDED" or Outcome.of_error(execution.error) is not None)
    patience = now() + (0 if ours else GUARDS_SECONDS)
    while target is not None:
        try:
            return finished(account, target, name)
        except NothingThere:
            if now() >= patience:
                break
            time.sleep(every_seconds)
    seen = last if last and last.steps else None
    return _with_end(seen or planning_view(str(target or _UNNAMED), name, started_at, now()), execution)


def _with_end(view: RolloutView, execution: Execution | None) -> RolloutView:
    """A view with the end that Step Functions tells of, for want of a record."""
    if execution is None:
        return replace(
            view, outcome=Outcome.STOPPED, cause="Step Functions knows this execution no longer", holding=None
        )
    said = Outcome.of_success(execution.output.get("outcome")) or Outcome.of_error(execution.error)
    outcome = said or Outcome.STOPPED
    why = execution.cause or execution.error or f"the execution is {execution.status}"
    return replace(
        view,
        outcome=outcome,
        cause=None if outcome.is_success else why,
        proven=execution.output.get("proven"),
        proven_by=tuple(execution.output.get("proven_by") or ()),
        weight_percent=100.0 if outcome is Outcome.PROMOTED else view.weight_percent,
        now=execution.ended_at or view.now,
        holding=None,
        next_at=None,
    )
