"""What finished rollouts leave behind: the history, and the versions known to be bad."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.aws import locks, sdk, settings, table
from tidegate.aws.executions import Execution
from tidegate.aws.locks import Lock
from tidegate.control import item_size
from tidegate.ending.claim import Claim
from tidegate.errors import AwsRefused, AwsUnavailable, LockLost
from tidegate.planning.plan import Plan

ROLLBACK_FAILED = "rollback_failed"
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Ended:
    """A rollout that ended a moment ago; a handler of it may still be in flight."""

    target: str
    record: str
    stable: str
    candidate: str | None
    outcome: str
    ended_at: float


@dataclass(frozen=True, slots=True)
class Closing:
    """How a rollout ended: what its history item says. `convicts` remembers the candidate as bad.

    `exposed` and `promoting` say what the closing is based on: where the lock has come to say more since, a handler
    was still in flight, and nothing is closed. `weights` are those that were set, as far as the closer knows: the lock
    knows better. `keep_lock` is for a rollout that a person must end.
    """

    plan: Plan
    candidate: str | None
    outcome: str
    cause: str
    proven: bool | None = None
    convicts: bool = False
    exposed: bool = True
    promoting: bool = True
    weights: frozenset[float] = frozenset()
    keep_lock: bool = False


@dataclass(frozen=True, slots=True)
class Booked:
    """What the history says of a rollout; `first`: it says so since just now."""

    outcome: str
    cause: str
    proven: bool | None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What the history keeps of an execution; without a `closing` it was refused before it had a plan."""

    cause: str
    closing: Closing | None = None


def refuse(target: str, execution: Execution, started_at: float, cause: str, *, held: bool = True) -> bool:
    """Write the history item of a rollout that was refused before it had a plan, and release its lock, if `held`.

    False where there is an item already: then the lock came late, from a handler in flight, and is only released.

    Raises:
        AwsUnavailable: the lock has come to say more, or somebody wrote at the same moment: nothing was done.
    """
    document: dict[str, Any] = {
        "plan": None,
        "candidate": None,
        "outcome": "rejected",
        "cause": item_size.cut(cause, item_size.MAX_CAUSE_BYTES),
        "proven": None,
        "verdicts": [],
        "commands": [],
    }
    record = _history_record(started_at, execution.name)
    item = _history_item(target, record, execution.arn, {**document, "ended_at": started_at}, started_at)
    lock = table.held_lock(target, execution.arn, without=("plan",))
    actions: list[dict[str, Any]] = [{"Put": item}]
    if held:
        actions.append({"Delete": {"TableName": table.name(), **lock}})
    try:
        with sdk.refusals(f"refuse the rollout of {target}"):
            table.client().transact_write_items(TransactItems=actions)
    except AwsRefused as error:
        if error.code != "TransactionCanceledException":
            raise
        if sdk.cancellation_reasons(error)[:1] != ["ConditionalCheckFailed"]:
            raise AwsUnavailable(str(error)) from error
        _release(target, execution.arn)
        return False
    return True


def booked(plan: Plan) -> Booked | None:
    """What the history says of a rollout by now, or None."""
    item = _item(plan.target, _history_record(plan.started_at, plan.rollout_id))
    if item is None:
        return None
    return Booked(item["outcome"]["S"], item["cause"]["S"], json.loads(item["document"]["S"])["proven"])


def kept(target: str, execution: Execution, started_at: float) -> Kept | None:
    """How the books say that an execution ended; None where they do not.

    Raises:
        LedgerUnreadable: its plan is none.
    """
    item = _item(target, _history_record(started_at, execution.name))
    if item is None:
        return None
    text, cause = item["document"]["S"], item["cause"]["S"]
    document = json.loads(text)
    if document["plan"] is None:
        return Kept(cause)
    plan = locks.parse_plan(text, target, "plan")
    return Kept(cause, Closing(plan, document["candidate"], item["outcome"]["S"], cause, proven=document["proven"]))


def left_by(rollout: Ended) -> tuple[Plan, Claim] | None:
    """What an ended rollout was to do, and what it may have left on its alias; None where it is forgotten by now.

    Raises:
        LedgerUnreadable: its plan is none.
    """
    item = _item(rollout.target, rollout.record)
    if item is None:
        return None
    plan, document = locks.parse_plan(item["document"]["S"], rollout.target, "plan"), json.loads(item["document"]["S"])
    weights = frozenset(map(float, document.get("weights", ())))
    promoting = bool(document.get("promoting", True))
    return plan, Claim(rollout.stable, rollout.candidate, weights, promoting=promoting, provisioned=plan.provisioned)


def _item(target: str, record: str) -> dict[str, Any] | None:
    with sdk.refusals(f"read the history of {target}"):
        answer = table.client().get_item(TableName=table.name(), Key=table.key(target, record), ConsistentRead=True)
    item: dict[str, Any] | None = answer.get("Item")
    return item


def known_bad(function_name: str, version: str) -> str | None:
    """Why a version is known to be bad, or None where nothing speaks against it."""
    key = table.key(function_name, f"bad#{version}")
    with sdk.refusals(f"look up version {version} of {function_name}"):
        item = table.client().get_item(TableName=table.name(), Key=key, ConsistentRead=True).get("Item")
    return item["cause"]["S"] if item else None


def ended() -> list[Ended]:
    """Every rollout that ended and was not let go of yet."""
    return [
        Ended(
            target=item["target"]["S"],
            record=item["record"]["S"],
            stable=item["stable"]["S"],
            candidate=item["candidate"]["S"] if "candidate" in item else None,
            outcome=item["outcome"]["S"],
            ended_at=float(item["ended_at"]["N"]),
        )
        for item in table.watched(table.ENDED)
    ]


def let_go(rollout: Ended) -> None:
    """Watch an ended rollout no longer."""
    with sdk.refusals(f"let go of {rollout.target}"):
        table.client().update_item(
            TableName=table.name(),
            Key=table.key(rollout.target, rollout.record),
            UpdateExpression=f"REMOVE {table.INDEX}",
        )


def close(closing: Closing, now: float) -> Booked:
    """Write the history item and release the lock, both or neither; what the books say then.

    A rollback that had failed may still be closed as what it became. A promotion is closed only while nobody restores.

    Raises:
        AwsUnavailable: neither was done.
        LockLost: it is a promotion, and somebody restores the stable version.
    """
    plan = closing.plan
    lock = locks.read(plan.target)
    ours = lock is not None and lock.execution_arn == plan.execution_arn
    kept = lock if ours else None
    actions: list[dict[str, Any]] = [{"Put": _history(closing, kept, now)}]
    if closing.convicts and closing.candidate:
        actions.append({"Put": bad_version(closing.plan, closing.candidate, closing.cause, now)})
    if ours and not closing.keep_lock:
        seen = {"step": closing.exposed, "promoting": closing.promoting, "restoring": closing.outcome != "promoted"}
        held = table.held_lock(
            plan.target, plan.execution_arn, without=[name for name, known in seen.items() if not known]
        )
        actions.append({"Delete": {"TableName": table.name(), **held}})
    try:
        with sdk.refusals(f"close the rollout of {plan.target}"):
            table.client().transact_write_items(TransactItems=actions)
    except AwsRefused as error:
        if error.code != "TransactionCanceledException":
            raise
        return _closed_before(closing, error, ours=ours)
    return Booked(closing.outcome, closing.cause, closing.proven, first=True)


def _closed_before(closing: Closing, error: AwsRefused, *, ours: bool) -> Booked:
    plan = closing.plan
    if sdk.cancellation_reasons(error)[:1] == ["ConditionalCheckFailed"]:
        if ours and not closing.keep_lock:
            _release(plan.target, plan.execution_arn)
        if before := booked(plan):
            return before
    lock = locks.read(plan.target)
    if closing.outcome == "promoted" and lock and lock.execution_arn == plan.execution_arn and lock.restoring:
        raise LockLost(f"the stable version of {plan.target} is being restored: {lock.restoring}") from error
    # Another write was in the way, or the lock changed hands just now: nothing of ours was written.
    raise AwsUnavailable(str(error)) from error


def _history(closing: Closing, lock: Lock | None, now: float) -> dict[str, Any]:
    plan = closing.plan
    document = {
        "plan": plan.to_json(),
        "candidate": closing.candidate,
        "outcome": closing.outcome,
        "cause": item_size.cut(closing.cause, item_size.MAX_CAUSE_BYTES),
        "proven": closing.proven,
        "ended_at": round(now, 1),
        "weights": sorted(lock.weights if lock else closing.weights),
        "promoting": lock.promoting if lock else closing.promoting,
        **_lists(plan, lock),
    }
    record = _history_record(plan.started_at, plan.rollout_id)
    put = _history_item(plan.target, record, plan.execution_arn, document, now)
    put["Item"] |= {
        table.INDEX: table.text(table.ENDED),
        "stable": table.text(plan.stable),
        "ended_at": table.number(round(now, 1)),
    }
    if closing.candidate:
        put["Item"]["candidate"] = table.text(closing.candidate)
    if closing.outcome != ROLLBACK_FAILED:
        put["ConditionExpression"] += " OR outcome = :failed"
        put["ExpressionAttributeValues"] = {":failed": table.text(ROLLBACK_FAILED)}
    return put


def _lists(plan: Plan, lock: Lock | None) -> dict[str, list[Any]]:
    """What was seen and said on the way, as far as there is room: words before verdicts, and verdicts that led to a
    step before those that only waited.
    """
    if lock is None:
        return {"verdicts": [], "commands": []}
    left = item_size.for_lists(item_size.size(json.dumps(plan.to_json())))
    commands = item_size.newest(lock.commands, left)
    turns = [json.loads(verdict)["action"] not in {"wait", "hold"} for verdict in lock.verdicts]
    verdicts = item_size.telling(turns, lock.verdicts, left - sum(map(item_size.size, commands)))
    return {"verdicts": list(map(json.loads, verdicts)), "commands": list(map(json.loads, commands))}


def _history_item(
    target: str, record: str, execution_arn: str, document: Mapping[str, Any], now: float
) -> dict[str, Any]:
    item = {
        **table.key(target, record),
        "execution_arn": table.text(execution_arn),
        "outcome": table.text(document["outcome"]),
        "cause": table.text(document["cause"] or "-"),
        "document": table.text(json.dumps(document, separators=(",", ":"))),
        "expires_at": _expiry(now),
    }
    return {
        "TableName": table.name(),
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#target)",
        "ExpressionAttributeNames": {"#target": "target"},
    }


def _history_record(started_at: float, rollout_id: str) -> str:
    return f"history#{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(started_at))}#{rollout_id}"


def bad_version(plan: Plan, version: str, cause: str, now: float) -> dict[str, Any]:
    """The Put of a transaction that remembers a version as bad."""
    item = {
        **table.key(plan.function_name, f"bad#{version}"),
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
