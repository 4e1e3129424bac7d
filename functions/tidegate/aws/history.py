"""What finished rollouts leave behind: the history, and the versions known to be bad."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tidegate.aws import locks, sdk, settings, table, watches
from tidegate.aws.executions import Execution
from tidegate.control import item_size
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.record import ENDED, INDEX, RecordSummary, RolloutRecord, bad_key, ending_of, history_key
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import AwsRefused, AwsUnavailable, LedgerUnreadable, LockLost
from tidegate.planning.plan import Plan

_DAY_SECONDS = 86_400


def refuse(target: str, execution: Execution, started_at: float, cause: str, *, held: bool = True) -> bool:
    """Write the record of a rollout that was refused before it had a plan, and release its lock, if `held`.

    False where there is a record already: then the lock came late, from a handler in flight, and is only released.

    Raises:
        AwsUnavailable: the lock has come to say more, or somebody wrote at the same moment: nothing was done.
    """
    refused = RolloutRecord(
        target=target,
        key=history_key(started_at, execution.name),
        execution_arn=execution.arn,
        plan=None,
        candidate=None,
        ending=Ending(Outcome.REJECTED, item_size.cut(cause, item_size.MAX_CAUSE_BYTES)),
        ended_at=started_at,
    )
    actions: list[dict[str, Any]] = [{"Put": _put(refused, started_at)}]
    if held:
        lock = table.held_lock(target, execution.arn, without=("plan",))
        actions.append({"Delete": {"TableName": table.name(), **lock}})
    try:
        with sdk.refusals(f"refuse the rollout of {target}"):
            table.client().transact_write_items(TransactItems=actions)
    except AwsRefused as error:
        if error.code != sdk.CANCELLED:
            raise
        if sdk.cancellation_reasons(error)[:1] != ["ConditionalCheckFailed"]:
            raise AwsUnavailable(str(error)) from error
        _release(target, execution.arn)
        return False
    return True


def recorded(plan: Plan) -> Ending | None:
    """How the history says by now that a rollout ended, or None."""
    item = _item(plan.target, history_key(plan.started_at, plan.rollout_id))
    return ending_of(item) if item else None


def record_of(target: str, execution: Execution, started_at: float) -> RolloutRecord | None:
    """What the history keeps of an execution; None where it does not know of its end.

    Raises:
        LedgerUnreadable: its plan is none.
    """
    item = _item(target, history_key(started_at, execution.name))
    return RolloutRecord.parse(item) if item else None


def whole_record(summary: RecordSummary) -> RolloutRecord | None:
    """All that is kept of a rollout that the index tells of; None where it is forgotten by now.

    Raises:
        LedgerUnreadable: its plan is none.
    """
    item = _item(summary.target, summary.key)
    return RolloutRecord.parse(item) if item else None


def _item(target: str, key: str) -> dict[str, Any] | None:
    return table.read(target, key, f"read the history of {target}")


def known_bad(function_name: str, version: str) -> str | None:
    """Why a version is known to be bad, or None where nothing speaks against it."""
    item = table.read(function_name, bad_key(version), f"look up version {version} of {function_name}")
    return item["cause"] if item else None


def ended() -> tuple[list[RecordSummary], LedgerUnreadable | None]:
    """Every rollout that ended and was not let go of yet.

    One that cannot be read, of a later Tidegate perhaps, is left out and comes as an error beside the others.
    """
    summaries, unreadable = [], None
    for item in table.watched(ENDED):
        try:
            summaries.append(RecordSummary.parse(item))
        except LedgerUnreadable as error:
            unreadable = error
    return summaries, unreadable


def let_go(summary: RecordSummary) -> None:
    """Watch an ended rollout no longer."""
    _change(summary, UpdateExpression=f"REMOVE {INDEX}, restoring")


def note_open(summary: RecordSummary, why: str) -> None:
    """Keep that the alias of an ended rollout is split and could not be put right: every sweep looks after it then."""
    why = item_size.cut(why, item_size.MAX_REASON_BYTES)
    _change(summary, UpdateExpression="SET restoring = :why", ExpressionAttributeValues={":why": table.text(why)})


def note_whole(summary: RecordSummary) -> None:
    """Keep that it is put right by now."""
    _change(summary, UpdateExpression="REMOVE restoring")


def _change(summary: RecordSummary, **how: Any) -> None:
    with sdk.refusals(f"keep how the alias of {summary.target} was left"):
        table.client().update_item(TableName=table.name(), Key=table.key(summary.target, summary.key), **how)


def finalize(snapshot: RolloutSnapshot, ending: Ending, now: float) -> Ending:
    """Write the record and release the lock, both or neither; how the history says that the rollout ended then.

    `snapshot` is what the ending is based on: where the lock has come to say more since, a handler was still in flight,
    and nothing is written. A rollback that had failed may still be recorded as what it became. A promotion is recorded
    only while nobody restores.

    Raises:
        AwsUnavailable: neither was done.
        LockLost: it is a promotion, and somebody restores the stable version.
    """
    plan = snapshot.plan
    found = locks.read(plan.target)
    lock = found if found is not None and found.execution_arn == plan.execution_arn else None
    actions: list[dict[str, Any]] = [{"Put": _put_ended(_record(snapshot, ending, lock, now), snapshot, now)}]
    if ending.convicts and snapshot.candidate:
        actions.append({"Put": bad_version(plan, snapshot.candidate, ending.cause, now)})
    if lock and not ending.keeps_lock:
        actions.append({"Delete": {"TableName": table.name(), **_lock_as_known(snapshot, ending)}})
        # Of a hundred alarms the last few have no room: what is left over of them expires.
        actions += watches.deletes(plan)[: watches.MOST_ACTIONS - len(actions)]
    try:
        with sdk.refusals(f"close the rollout of {plan.target}"):
            table.client().transact_write_items(TransactItems=actions)
    except AwsRefused as error:
        if error.code != sdk.CANCELLED:
            raise
        return _finalized_before(plan, ending, error, ours=lock is not None)
    return ending


def _lock_as_known(snapshot: RolloutSnapshot, ending: Ending) -> dict[str, Any]:
    """The lock's key, on condition that it says no more than what the ending is based on."""
    known = {
        "step": snapshot.traffic_shifted,
        "promoting": snapshot.promoting,
        "restoring": ending.outcome is not Outcome.PROMOTED,
    }
    unknown = [name for name, is_known in known.items() if not is_known]
    return table.held_lock(snapshot.plan.target, snapshot.plan.execution_arn, without=unknown)


def _finalized_before(plan: Plan, ending: Ending, error: AwsRefused, *, ours: bool) -> Ending:
    if sdk.cancellation_reasons(error)[:1] == ["ConditionalCheckFailed"]:
        if ours and not ending.keeps_lock:
            _release(plan.target, plan.execution_arn)
        if before := recorded(plan):
            return before
    lock = locks.read(plan.target)
    if ending.outcome is Outcome.PROMOTED and lock and lock.execution_arn == plan.execution_arn and lock.restoring:
        raise LockLost(f"the stable version of {plan.target} is being restored: {lock.restoring}") from error
    # Another write was in the way, or the lock changed hands just now: nothing of ours was written.
    raise AwsUnavailable(str(error)) from error


def _record(snapshot: RolloutSnapshot, ending: Ending, lock: Lock | None, now: float) -> RolloutRecord:
    """What is kept of the rollout; where the lock is its own, that knows best."""
    plan = snapshot.plan
    verdicts, commands = _kept_of(plan, lock) if lock else ((), ())
    return RolloutRecord(
        target=plan.target,
        key=history_key(plan.started_at, plan.rollout_id),
        execution_arn=plan.execution_arn,
        plan=plan,
        candidate=snapshot.candidate,
        ending=replace(ending, cause=item_size.cut(ending.cause, item_size.MAX_CAUSE_BYTES)),
        ended_at=round(now, 1),
        promoting=lock.promoting if lock else snapshot.promoting,
        weights=lock.weights if lock else snapshot.weights,
        verdicts=tuple(map(json.loads, verdicts)),
        commands=tuple(map(json.loads, commands)),
    )


def _kept_of(plan: Plan, lock: Lock) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Verdicts and commands, as far as there is room: commands before verdicts, and verdicts that led to a step before
    those that only waited.
    """
    left = item_size.for_lists(item_size.size(json.dumps(plan.to_json())))
    commands = item_size.newest(lock.commands, left)
    turns = [json.loads(verdict)["action"] not in {"wait", "hold"} for verdict in lock.verdicts]
    return item_size.telling(turns, lock.verdicts, left - sum(map(item_size.size, commands))), commands


def _put_ended(record: RolloutRecord, snapshot: RolloutSnapshot, now: float) -> dict[str, Any]:
    """The Put of a record that the index tells of; it takes the place of a rollback that had failed."""
    put = _put(record, now)
    put["Item"] |= {
        INDEX: table.text(ENDED),
        "stable": table.text(snapshot.plan.stable),
        "ended_at": table.number(record.ended_at),
    }
    if record.candidate:
        put["Item"]["candidate"] = table.text(record.candidate)
    if record.ending.outcome is not Outcome.ROLLBACK_FAILED:
        put["ConditionExpression"] += " OR outcome = :failed"
        put["ExpressionAttributeValues"] = {":failed": table.text(Outcome.ROLLBACK_FAILED)}
    return put


def _put(record: RolloutRecord, now: float) -> dict[str, Any]:
    """The Put of a transaction that writes a record, where there is none."""
    item = {
        **table.key(record.target, record.key),
        "execution_arn": table.text(record.execution_arn),
        "outcome": table.text(record.ending.outcome),
        "cause": table.text(record.ending.cause or "-"),
        "document": table.text(json.dumps(record.document(), separators=(",", ":"))),
        "expires_at": _expiry(now),
    }
    return {
        "TableName": table.name(),
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#target)",
        "ExpressionAttributeNames": {"#target": "target"},
    }


def bad_version(plan: Plan, version: str, cause: str, now: float) -> dict[str, Any]:
    """The Put of a transaction that remembers a version as bad."""
    item = {
        **table.key(plan.function_name, bad_key(version)),
        "cause": table.text(item_size.cut(cause, item_size.MAX_CAUSE_BYTES)),
        "execution_arn": table.text(plan.execution_arn),
        "expires_at": _expiry(now),
    }
    return {"TableName": table.name(), "Item": item}


def _release(target: str, execution_arn: str) -> None:
    try:
        with sdk.refusals(f"release the lock of {target}"):
            table.client().delete_item(TableName=table.name(), **table.held_lock(target, execution_arn))
    except AwsRefused as error:
        if error.code != "ConditionalCheckFailedException":
            raise


def _expiry(now: float) -> dict[str, str]:
    return table.number(int(now) + settings.current().history_retention_days * _DAY_SECONDS)
