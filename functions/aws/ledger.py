"""What a rollout remembers: the lock with the live state, the history, and the versions known to be bad.

One DynamoDB table. Key: `target` (hash) and `record` (range).

    target          record                        what
    checkout:live   lock                          the running rollout: the lock, and its live state
    checkout:live   history#<start>#<execution>   one finished rollout
    checkout        bad#<version>                 a version that a verdict spoke against

The ledger serves; it never decides safety: a rollback works with the table gone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws import sdk
from aws.executions import Execution
from rollout.check import Check
from rollout.decision import Decision, Look
from rollout.errors import AwsRefused, AwsUnavailable, LockLost
from rollout.observation import Counts
from rollout.plan import Plan

LOCK = "lock"
#: What a lock says of its holder's rollout, beside who holds it.
_LIVE = ("plan", "candidate", "step", "weight_percent", "promoting", "verdicts", "last_verdict")
_DAY_SECONDS = 86_400
#: An item holds 400 KB (DynamoDB Developer Guide, "Quotas"); a verdict takes less than 3 KB, and mostly one.
_MAX_VERDICTS = 120
_MAX_CHECKS = 5
_MAX_REASON_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of one alias, as its holder left it.

    `plan` and `candidate` are None until they are known. `exposed`: a weight may have been set; `promoting`:
    the candidate may have been made the alias's own version; `convicted`: the last verdict spoke against it.
    """

    execution_arn: str
    taken_at: float
    plan: Plan | None
    candidate: str | None
    exposed: bool
    promoting: bool
    convicted: bool
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """How a rollout ended: what its history item says. `convicts` remembers the candidate as bad.

    `exposed` and `promoting` say what the closing is based on: where the lock has come to say more since, a handler
    was still in flight, and nothing is closed. `keep_lock` is for a rollout that a person must end.
    """

    plan: Plan
    candidate: str | None
    outcome: str
    cause: str
    proven: bool | None = None
    convicts: bool = False
    exposed: bool = True
    promoting: bool = True
    keep_lock: bool = False


def take_lock(target: str, execution_arn: str, now: float, ended_holder: str | None = None) -> bool:
    """Take the alias's lock, or keep it where this execution holds it already; False where another one does.

    `ended_holder` is an execution known to have ended, whose lock may be taken over. What the lock has come to say of
    this execution stays: the call may arrive late, when the rollout is well on its way.
    """
    free_or_mine = "attribute_not_exists(#holder) OR #holder = "
    take = "SET #holder = :me, taken_at = :now"
    values = {":me": _text(execution_arn), ":now": _number(now)}
    names = {"#holder": "execution_arn"}
    if ended_holder is not None:
        values[":ended"] = _text(ended_holder)
        names |= {f"#{name}": name for name in _LIVE}
        take += " REMOVE " + ", ".join(f"#{name}" for name in _LIVE)
    try:
        with sdk.refusals(f"take the lock of {target}"):
            _client().update_item(
                TableName=_table(),
                Key=_key(target, LOCK),
                UpdateExpression=take,
                ConditionExpression=free_or_mine + (":me" if ended_holder is None else ":ended"),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def read_lock(target: str) -> Lock | None:
    """The alias's lock, or None where it is free."""
    with sdk.refusals(f"read the lock of {target}"):
        item = _client().get_item(TableName=_table(), Key=_key(target, LOCK), ConsistentRead=True).get("Item")
    if item is None:
        return None
    return Lock(
        execution_arn=item["execution_arn"]["S"],
        taken_at=float(item["taken_at"]["N"]),
        plan=Plan.from_json(json.loads(item["plan"]["S"])) if "plan" in item else None,
        candidate=item["candidate"]["S"] if "candidate" in item else None,
        exposed="step" in item,
        promoting="promoting" in item,
        convicted="last_verdict" in item and bool(json.loads(item["last_verdict"]["S"])["convicts"]),
        # A lost response makes the SDK append a verdict twice.
        verdicts=tuple(dict.fromkeys(verdict["S"] for verdict in item.get("verdicts", {}).get("L", []))),
    )


def drop_lock(target: str, execution_arn: str) -> None:
    """Give back a lock without a plan where this execution holds it; harmless where it does not."""
    try:
        with sdk.refusals(f"release the lock of {target}"):
            _client().delete_item(TableName=_table(), **_held_lock(target, execution_arn, without=("plan",)))
    except AwsRefused as error:
        if error.code != "ConditionalCheckFailedException":
            raise


def refuse(target: str, execution: Execution, started_at: float, cause: str) -> None:
    """Write the history item of a rollout that was refused before it had a plan, and release its lock."""
    document: dict[str, Any] = {
        "plan": None,
        "candidate": None,
        "outcome": "rejected",
        "cause": cause,
        "proven": None,
        "verdicts": [],
    }
    record = _history_record(started_at, execution.name)
    item = _history_item(target, record, execution.arn, {**document, "ended_at": started_at}, started_at)
    held = _held_lock(target, execution.arn, without=("plan",))
    with sdk.refusals(f"refuse the rollout of {target}"):
        _client().transact_write_items(TransactItems=[{"Put": item}, {"Delete": {"TableName": _table(), **held}}])


def record_plan(plan: Plan) -> None:
    """Store the plan with the lock.

    Raises:
        LockLost: another execution holds the lock.
    """
    _update(plan, {"plan": _text(json.dumps(plan.to_json()))})


def record_candidate(plan: Plan, candidate: str) -> None:
    """Store which version is the candidate.

    Raises:
        LockLost: another execution holds the lock.
    """
    _update(plan, {"candidate": _text(candidate)})


def record_shift(plan: Plan, step: int, weight_percent: float) -> None:
    """Store the weight that is about to be set: whoever lost the lock must not set it.

    Raises:
        LockLost: another execution holds the lock.
    """
    _update(plan, {"step": _number(step), "weight_percent": _number(weight_percent)})


def record_promotion(plan: Plan) -> None:
    """Store that the candidate is about to become the alias's own version.

    Raises:
        LockLost: another execution holds the lock.
    """
    _update(plan, {"promoting": _text("true")})


def record_verdict(plan: Plan, decision: Decision, look: Look) -> None:
    """Append one verdict with its numbers, as long as there is room for it; the last one is always kept beside.

    Raises:
        LockLost: another execution holds the lock.
    """
    verdict = {
        "at": round(look.now, 1),
        "step": decision.progress.step,
        "weight_percent": decision.progress.weight_percent,
        "action": decision.action,
        "reason": decision.reason[:_MAX_REASON_CHARACTERS],
        "proven": decision.proven,
        "convicts": decision.convicts,
        "checks": [check.to_json() for check in _telling(look.checks)],
        "stable": _counted(look.stable_in_rollout),
        "candidate": _counted(look.in_rollout),
        **look.verdict.to_json(),
    }
    document = json.dumps(verdict, separators=(",", ":"))
    # A long rollout looks more often than the item has room for: then only every n-th wait is kept, and every turn.
    turns = (len(plan.steps) + 2) * (plan.max_step_backs + 1)
    polls = plan.longest_seconds // plan.poll_seconds
    keep_every = polls // max(1, _MAX_VERDICTS - turns) + 1
    number = round((look.now - plan.started_at) / plan.poll_seconds)
    kept = decision.action != "wait" or number % keep_every == 0
    last = {"last_verdict": _text(document)}
    try:
        _update(plan, last, append={"verdicts": document} if kept else {})
    except AwsRefused as error:
        # No room left: what is not written down must not end a healthy rollout.
        if error.code != "ValidationException" or not kept:
            raise
        _update(plan, last)


def _counted(counts: Counts) -> dict[str, int | None]:
    return {"requests": counts.requests, "errors": counts.errors, "slow": counts.slow}


def _telling(checks: tuple[Check, ...]) -> list[Check]:
    """The checks that say most, most severe first; limits before alarms that are well."""
    return sorted(checks, key=lambda check: (-check.finding.severity, check.of is None))[:_MAX_CHECKS]


def known_bad(function_name: str, version: str) -> str | None:
    """Why a version is known to be bad, or None where nothing speaks against it."""
    key = _key(function_name, f"bad#{version}")
    with sdk.refusals(f"look up version {version} of {function_name}"):
        item = _client().get_item(TableName=_table(), Key=key, ConsistentRead=True).get("Item")
    return item["cause"]["S"] if item else None


def close(closing: Closing, now: float) -> bool:
    """Write the history item and release the lock, both or neither; False where that was done before.

    Raises:
        AwsUnavailable: neither was done.
    """
    plan = closing.plan
    lock = read_lock(plan.target)
    ours = lock is not None and lock.execution_arn == plan.execution_arn
    verdicts = [json.loads(verdict) for verdict in lock.verdicts] if lock is not None and ours else []
    actions: list[dict[str, Any]] = [{"Put": _history(closing, verdicts[-_MAX_VERDICTS:], now)}]
    if closing.convicts and closing.candidate:
        actions.append({"Put": {"TableName": _table(), "Item": _bad_version(closing, now)}})
    if ours and not closing.keep_lock:
        unseen = [name for name, seen in (("step", closing.exposed), ("promoting", closing.promoting)) if not seen]
        held = _held_lock(plan.target, plan.execution_arn, without=unseen)
        actions.append({"Delete": {"TableName": _table(), **held}})
    try:
        with sdk.refusals(f"close the rollout of {plan.target}"):
            _client().transact_write_items(TransactItems=actions)
    except AwsRefused as error:
        if error.code != "TransactionCanceledException":
            raise
        if sdk.cancellation_reasons(error)[:1] != ["ConditionalCheckFailed"]:
            # Another write was in the way, or the lock changed hands just now: nothing of ours was written.
            raise AwsUnavailable(str(error)) from error
        if ours and not closing.keep_lock:
            _release(plan)
        return False
    return True


def _history(closing: Closing, verdicts: list[Any], now: float) -> dict[str, Any]:
    plan = closing.plan
    document = {
        "plan": plan.to_json(),
        "candidate": closing.candidate,
        "outcome": closing.outcome,
        "cause": closing.cause,
        "proven": closing.proven,
        "ended_at": round(now, 1),
        "verdicts": verdicts,
    }
    record = _history_record(plan.started_at, plan.rollout_id)
    return _history_item(plan.target, record, plan.execution_arn, document, now)


def _history_item(
    target: str, record: str, execution_arn: str, document: Mapping[str, Any], now: float
) -> dict[str, Any]:
    item = {
        **_key(target, record),
        "execution_arn": _text(execution_arn),
        "outcome": _text(document["outcome"]),
        "cause": _text(document["cause"] or "-"),
        "document": _text(json.dumps(document, separators=(",", ":"))),
        "expires_at": _expiry(now),
    }
    return {
        "TableName": _table(),
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#target)",
        "ExpressionAttributeNames": {"#target": "target"},
    }


def _history_record(started_at: float, rollout_id: str) -> str:
    return f"history#{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(started_at))}#{rollout_id}"


def _bad_version(closing: Closing, now: float) -> dict[str, Any]:
    return {
        **_key(closing.plan.function_name, f"bad#{closing.candidate}"),
        "cause": _text(closing.cause),
        "execution_arn": _text(closing.plan.execution_arn),
        "expires_at": _expiry(now),
    }


def _update(plan: Plan, values: Mapping[str, dict[str, str]], append: Mapping[str, str] | None = None) -> None:
    names = {f"#{name}": name for name in (*values, *(append or {}))}
    bound: dict[str, Any] = {f":{name}": value for name, value in values.items()}
    changes = [f"#{name} = :{name}" for name in values]
    for name, text in (append or {}).items():
        changes.append(f"#{name} = list_append(if_not_exists(#{name}, :none), :{name})")
        bound |= {f":{name}": {"L": [_text(text)]}, ":none": {"L": []}}
    try:
        with sdk.refusals(f"record the rollout of {plan.target}"):
            _client().update_item(
                TableName=_table(),
                Key=_key(plan.target, LOCK),
                UpdateExpression="SET " + ", ".join(changes),
                ConditionExpression="execution_arn = :me",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**bound, ":me": _text(plan.execution_arn)},
            )
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            raise LockLost(f"this execution no longer holds the lock of {plan.target}: it stops") from error
        raise


def _release(plan: Plan) -> None:
    try:
        with sdk.refusals(f"release the lock of {plan.target}"):
            _client().delete_item(TableName=_table(), **_held_lock(plan.target, plan.execution_arn))
    except AwsRefused as error:
        if error.code != "ConditionalCheckFailedException":
            raise


def _held_lock(target: str, execution_arn: str, without: Sequence[str] = ()) -> dict[str, Any]:
    conditions = ["execution_arn = :me", *(f"attribute_not_exists(#{name})" for name in without)]
    names = {"ExpressionAttributeNames": {f"#{name}": name for name in without}} if without else {}
    return {
        "Key": _key(target, LOCK),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeValues": {":me": _text(execution_arn)},
        **names,
    }


def _expiry(now: float) -> dict[str, str]:
    return _number(int(now) + int(os.environ["HISTORY_RETENTION_DAYS"]) * _DAY_SECONDS)


def _client() -> Any:
    return sdk.client("dynamodb")


def _table() -> str:
    return os.environ["ROLLOUT_TABLE"]


def _key(target: str, record: str) -> dict[str, dict[str, str]]:
    return {"target": _text(target), "record": _text(record)}


def _text(value: str) -> dict[str, str]:
    return {"S": value}


def _number(value: float) -> dict[str, str]:
    return {"N": str(value)}
