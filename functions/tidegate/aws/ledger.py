"""What a running rollout, and whoever restores or commands it, writes into the alias's lock.

The ledger serves; it never decides safety: a rollback works with the table gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tidegate.aws import sdk, table, watches
from tidegate.aws.locks import read
from tidegate.control import item_size
from tidegate.control.commands import KINDS, GivenCommand
from tidegate.ending.lock import LIVE, Lock
from tidegate.ending.record import INDEX, LOCK, RUNNING, plain
from tidegate.ending.snapshot import Restored
from tidegate.errors import AwsRefused, AwsUnavailable, LockLost, PromotionPaused
from tidegate.planning.plan import Plan

_MINE = "execution_arn = :me"
_UNRESTORED = "attribute_not_exists(restoring)"
#: What stays as it was written first.
_KEPT = frozenset({"first_shift_at"})
_FIRST = "if_not_exists(#{0}, :{0})"
_NOT_PROMOTING = "attribute_not_exists(promoting)"
#: Of an earlier Tidegate it may be a text.
_CONVICTS_LATER = "(attribute_not_exists(convicted) OR (attribute_type(convicted, :number) AND convicted < :by))"
#: DynamoDB's code for an item that would be too large.
NO_ROOM = "ValidationException"
_CHANGED = "ConditionalCheckFailedException"
#: Why a transaction was cancelled that will always be (API reference, TransactWriteItems).
_NEVER_WRITTEN = frozenset({"ItemCollectionSizeLimitExceeded", "ValidationError"})


def take_lock(
    target: str, execution_arn: str, now: float, ended_holder: str | None = None, started_at: float | None = None
) -> bool:
    """Take the alias's lock, or keep it where this execution holds it already; False where another one does.

    `ended_holder` is an execution known to have ended, whose lock may be taken over. What the lock has come to say of
    this execution stays: the call may arrive late, when the rollout is well on its way.
    """
    free_or_mine = "attribute_not_exists(#holder) OR #holder = "
    take = f"SET #holder = :me, taken_at = :now, started_at = :started, {INDEX} = :running"
    values = {
        ":me": table.text(execution_arn),
        ":now": table.number(now),
        ":started": table.number(now if started_at is None else started_at),
        ":running": table.text(RUNNING),
    }
    names = {"#holder": "execution_arn"}
    if ended_holder is not None:
        values[":ended"] = table.text(ended_holder)
        names |= {f"#{name}": name for name in LIVE}
        take += " REMOVE " + ", ".join(f"#{name}" for name in LIVE)
    try:
        with sdk.refusals(f"take the lock of {target}"):
            table.client().update_item(
                TableName=table.name(),
                Key=table.key(target, LOCK),
                UpdateExpression=take,
                ConditionExpression=free_or_mine + (":me" if ended_holder is None else ":ended"),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
    except AwsRefused as error:
        if error.code == _CHANGED:
            return False
        raise
    return True


def record_plan(plan: Plan) -> None:
    """Store the plan with the lock, and which alarms it watches.

    Raises:
        LockLost: another execution holds the lock.
        AwsUnavailable: somebody else wrote to the lock at that moment, or DynamoDB is throttled.
    """
    target, values = plan.target, {"plan": table.text(_text(plan))}
    if not plan.alarms:
        update(plan, values)
        return
    stored = {"Update": _change(target, plan.execution_arn, values)}
    try:
        watches.write([*watches.puts(plan), stored], f"record the rollout of {target}")
    except AwsRefused as error:
        if error.code != sdk.CANCELLED:
            raise
        reasons = sdk.cancellation_reasons(error)
        if "ConditionalCheckFailed" in reasons:
            raise _lost(target) from error
        if _NEVER_WRITTEN.isdisjoint(reasons):
            raise AwsUnavailable(str(error)) from error
        raise


def _text(plan: Plan) -> str:
    return json.dumps(plan.to_json())


def plan_bytes(plan: Plan) -> int:
    """How much of a lock its plan takes."""
    return item_size.size(_text(plan))


def record_candidate(plan: Plan, candidate: str) -> None:
    """Store which version is the candidate.

    Raises:
        LockLost: another execution holds the lock.
    """
    update(plan, {"candidate": table.text(candidate)})


def record_shift(
    plan: Plan,
    step: int,
    weight_percent: float,
    *,
    at: float | None = None,
    unless_paused: bool = True,
    forgets: tuple[str, ...] = (),
) -> bool:
    """Store the weight that is about to be set: whoever lost the lock must not set it. The first one also keeps when. A
    promotion that AWS throttled before is not tried any more, and what the lock `forgets` beside is gone with it.

    False where the rollout was paused; nothing is stored then.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    values = {"step": table.number(step), "weight_percent": table.number(weight_percent)}
    values |= {} if at is None else {"first_shift_at": table.number(at)}
    again = "#step = :step AND #weight_percent = :weight_percent"
    conditions = [_UNRESTORED, *([f"(attribute_not_exists(pause) OR ({again}))"] if unless_paused else [])]
    set_so_far, forgotten = {"weights": {"NS": [str(weight_percent)]}}, ["approval_step", "promoting", *forgets]
    try:
        update(plan, values, add=set_so_far, remove=forgotten, conditions=conditions)
    except LockLost:
        if not unless_paused or going_on(plan) is None:
            raise
        return False
    return True


def record_revision(plan: Plan, revision_id: str) -> None:
    """Store the alias's RevisionId after a write of this rollout: at that one it is as this rollout left it.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    update(plan, {"revision_id": table.text(revision_id)}, conditions=[_UNRESTORED])


def record_approval_step(plan: Plan, number: int) -> None:
    """Store that a step waits for an approval before there was any traffic.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    update(plan, {"approval_step": table.number(number)}, conditions=[_UNRESTORED])


def record_promotion(plan: Plan) -> None:
    """Store that the candidate is about to become the alias's own version.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    unpaused = "(attribute_not_exists(pause) OR attribute_exists(promoting))"
    try:
        update(plan, {"promoting": table.text("true")}, conditions=[_UNRESTORED, unpaused])
    except LockLost:
        lock = None if plan.creates_alias else going_on(plan)
        if lock is None:
            raise
        raise PromotionPaused(f"{plan.target} is {lock.controls.pause or 'no longer paused'}: look again") from None


def forget_promotion(plan: Plan) -> None:
    """Store that the candidate was not made the alias's own version: its write was refused. Who restores may know it.

    Raises:
        LockLost: another execution holds the lock.
    """
    _write(plan.target, plan.execution_arn, {}, remove=["promoting"])


def going_on(plan: Plan) -> Lock | None:
    """The lock where it is this execution's and nobody restores: then something else stood against a write.

    People's commands, which may have changed since (a pause may be over by now), or the room that is left.
    """
    lock = read(plan.target)
    return lock if lock and lock.execution_arn == plan.execution_arn and not lock.restoring else None


def record_intent(
    target: str,
    execution_arn: str,
    why: str,
    *,
    convicts_if_shifted_by: float | None = None,
    given: GivenCommand | None = None,
    hasty: bool = False,
) -> Lock | None:
    """Say that the stable version is being restored, before it is: no forward write of this rollout follows.

    The lock as it is now, or None where this execution no longer holds it. The first reason is kept.
    `convicts_if_shifted_by`: it speaks against a candidate that had its first traffic by then, in seconds since the
    epoch; of several alarms the one that convicts counts, which is the latest. `given` is the command that asks for it,
    where one does and there is room for it; `hasty` gives up soon where nobody answers.
    """
    doing, changes = f"record why {target} is restored", "SET restoring = if_not_exists(restoring, :why)"
    values: dict[str, Any] = {
        ":me": table.text(execution_arn),
        ":why": table.text(item_size.cut(why, item_size.MAX_REASON_BYTES)),
    }
    if given is not None:
        changes += ", commands = list_append(if_not_exists(commands, :none), :said)"
        values |= {":said": {"L": [table.text(given.to_json())]}, ":none": {"L": []}}
    if convicts_if_shifted_by is not None:
        condition, moment = f"{_MINE} AND {_CONVICTS_LATER}", table.number(convicts_if_shifted_by)
        by = {**values, ":by": moment, ":number": table.text("N")}
        if later := _speak(target, doing, f"{changes}, convicted = :by", condition, by, hasty=hasty):
            return later
    return _speak(target, doing, changes, _MINE, values, hasty=hasty)


def record_restored(target: str, execution_arn: str, restored: Restored) -> None:
    """Store what a restore has done, for whoever comes after: it is not done again.

    Raises:
        LockLost: this execution does not hold the lock, or nobody has said that he restores.
    """
    _write(
        target,
        execution_arn,
        {"restored": table.text(json.dumps(asdict(restored)))},
        conditions=["attribute_exists(restoring)"],
    )


def say(lock: Lock, given: GivenCommand) -> bool:
    """Keep a command in the lock for the next look; False where the lock has changed since it was read, or the
    candidate is being promoted.

    The next look applies it: a verdict is stored only by who knows all commands. The newest counts: a pause takes back
    what was not applied yet, and to finish ends a pause. Where there is no room for all of them, the oldest are no
    longer kept.
    """
    place, ended = KINDS[given.command].kept_as, KINDS[given.command].ends
    known = lock.controls.count
    kept = item_size.newest((*lock.commands, given.to_json())[-item_size.MAX_COMMANDS :], _room_for_commands(lock))
    setting = ["commands = :said", *[f"#{place} = :command"] * bool(place)]
    changes = f"SET {', '.join(setting)}" + f" REMOVE #{ended}" * bool(ended)
    counted = "command_count = :known" if known else "attribute_not_exists(command_count)"
    values: dict[str, Any] = {
        ":me": table.text(lock.execution_arn),
        ":said": {"L": [table.text(text) for text in kept]},
        **({":command": table.text(given.to_json())} if place else {}),
        **({":known": table.number(known)} if known else {}),
    }
    names = {f"#{name}": name for name in (place, ended) if name}
    condition = f"{_MINE} AND {_UNRESTORED} AND {_NOT_PROMOTING} AND {counted}"
    doing = f"keep the command {given.command} for {lock.target}"
    return _speak(lock.target, doing, changes, condition, values, names) is not None


def _room_for_commands(lock: Lock) -> int:
    return item_size.for_commands(plan_bytes(lock.plan)) if lock.plan else 0


def _speak(
    target: str,
    doing: str,
    changes: str,
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
    *,
    hasty: bool = False,
) -> Lock | None:
    """Change a lock by somebody's command, and count it; the lock then, None where the condition does not hold.

    A person's command is worth more than what was seen on the way: where there is no room left, the verdicts go.
    """
    request: dict[str, Any] = {
        "TableName": table.name(),
        "Key": table.key(target, LOCK),
        "ConditionExpression": condition,
        "ExpressionAttributeValues": {**values, ":one": table.number(1)},
        "ReturnValues": "ALL_NEW",
        **({"ExpressionAttributeNames": dict(names)} if names else {}),
    }
    try:
        return _changed(doing, request, f"{changes} ADD command_count :one", hasty=hasty)
    except AwsRefused as error:
        if error.code != NO_ROOM:
            raise
    spared = f"{changes}, verdicts" if " REMOVE " in changes else f"{changes} REMOVE verdicts"
    return _changed(doing, request, f"{spared} ADD command_count :one", hasty=hasty)


def _changed(doing: str, request: Mapping[str, Any], changes: str, *, hasty: bool) -> Lock | None:
    client = table.hasty_client() if hasty else table.client()
    try:
        with sdk.refusals(doing):
            return Lock.parse(plain(client.update_item(**request, UpdateExpression=changes)["Attributes"]))
    except AwsRefused as error:
        if error.code == _CHANGED:
            return None
        raise


def update(
    plan: Plan,
    values: Mapping[str, Any],
    append: Mapping[str, str] | None = None,
    *,
    add: Mapping[str, Any] | None = None,
    remove: Sequence[str] = (),
    conditions: Sequence[str] = (),
    bound: Mapping[str, Any] | None = None,
) -> None:
    """Change the lock of this rollout: set `values`, `append` a text to a list each, `add` numbers, where the
    `conditions` hold; `bound` are values that only these name.

    Raises:
        LockLost: another execution holds the lock, or a condition does not hold.
    """
    _write(plan.target, plan.execution_arn, values, append, add=add, remove=remove, conditions=conditions, bound=bound)


def _write(
    target: str,
    execution_arn: str,
    values: Mapping[str, Any],
    append: Mapping[str, str] | None = None,
    *,
    add: Mapping[str, Any] | None = None,
    remove: Sequence[str] = (),
    conditions: Sequence[str] = (),
    bound: Mapping[str, Any] | None = None,
) -> None:
    request = _change(target, execution_arn, values, append, add=add, remove=remove, conditions=conditions, bound=bound)
    try:
        with sdk.refusals(f"record the rollout of {target}"):
            table.client().update_item(**request)
    except AwsRefused as error:
        if error.code == _CHANGED:
            raise _lost(target) from error
        raise


def _lost(target: str) -> LockLost:
    return LockLost(f"this execution no longer holds the lock of {target}, or is being restored")


def _change(
    target: str,
    execution_arn: str,
    values: Mapping[str, Any],
    append: Mapping[str, str] | None = None,
    *,
    add: Mapping[str, Any] | None = None,
    remove: Sequence[str] = (),
    conditions: Sequence[str] = (),
    bound: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An Update of the lock, where that execution holds it and the conditions hold."""
    added = add or {}
    names = {f"#{name}": name for name in (*values, *(append or {}), *added)}
    bound = {**(bound or {}), **{f":{name}": value for name, value in {**values, **added}.items()}}
    changes = [f"#{name} = " + (_FIRST if name in _KEPT else ":{0}").format(name) for name in values]
    for name, text in (append or {}).items():
        changes.append(f"#{name} = list_append(if_not_exists(#{name}, :none), :{name})")
        bound = {**bound, f":{name}": {"L": [table.text(text)]}, ":none": {"L": []}}
    clauses = [f"SET {', '.join(changes)}"] * bool(changes) + [f"REMOVE {', '.join(remove)}"] * bool(remove)
    clauses += ["ADD " + ", ".join(f"#{name} :{name}" for name in added)] * bool(added)
    return {
        "TableName": table.name(),
        "Key": table.key(target, LOCK),
        "UpdateExpression": " ".join(clauses),
        "ConditionExpression": " AND ".join([_MINE, *conditions]),
        "ExpressionAttributeValues": {**bound, ":me": table.text(execution_arn)},
        **({"ExpressionAttributeNames": names} if names else {}),
    }
