"""What a running rollout remembers: the alias's lock, with the live state.

The ledger serves; it never decides safety: a rollback works with the table gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws import sdk, table
from rollout.check import Check
from rollout.decision import Decision, Look
from rollout.errors import AwsRefused, LockLost
from rollout.observation import Counts
from rollout.plan import Plan

#: What a lock says of its holder's rollout, beside who holds it.
_LIVE = (
    "plan",
    "candidate",
    "alarms",
    "step",
    "weight_percent",
    "promoting",
    "restoring",
    "convicted",
    "verdicts",
    "last_verdict",
)
#: An item holds 400 KB (DynamoDB Developer Guide, "Quotas"); a verdict takes less than 3 KB, and mostly one.
MAX_VERDICTS = 120
_MAX_CHECKS = 5
_MAX_REASON_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of one alias, as its holder left it.

    `plan` and `candidate` are None until they are known. `exposed`: a weight may have been set; `promoting`:
    the candidate may have been made the alias's own version; `restoring`: why somebody restores the stable version,
    so that no forward write follows; `convicted`: the last verdict, or an alarm, spoke against the candidate.
    """

    target: str
    execution_arn: str
    taken_at: float
    plan: Plan | None
    candidate: str | None
    exposed: bool
    promoting: bool
    restoring: str | None
    convicted: bool
    verdicts: tuple[str, ...] = ()


def take_lock(target: str, execution_arn: str, now: float, ended_holder: str | None = None) -> bool:
    """Take the alias's lock, or keep it where this execution holds it already; False where another one does.

    `ended_holder` is an execution known to have ended, whose lock may be taken over. What the lock has come to say of
    this execution stays: the call may arrive late, when the rollout is well on its way.
    """
    free_or_mine = "attribute_not_exists(#holder) OR #holder = "
    take = f"SET #holder = :me, taken_at = :now, {table.INDEX} = :running"
    values = {":me": table.text(execution_arn), ":now": table.number(now), ":running": table.text(table.RUNNING)}
    names = {"#holder": "execution_arn"}
    if ended_holder is not None:
        values[":ended"] = table.text(ended_holder)
        names |= {f"#{name}": name for name in _LIVE}
        take += " REMOVE " + ", ".join(f"#{name}" for name in _LIVE)
    try:
        with sdk.refusals(f"take the lock of {target}"):
            table.client().update_item(
                TableName=table.name(),
                Key=table.key(target, table.LOCK),
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
        item = (
            table.client()
            .get_item(TableName=table.name(), Key=table.key(target, table.LOCK), ConsistentRead=True)
            .get("Item")
        )
    return _lock(item) if item else None


def _lock(item: dict[str, Any]) -> Lock:
    last = json.loads(item["last_verdict"]["S"]) if "last_verdict" in item else {"convicts": False}
    return Lock(
        target=item["target"]["S"],
        execution_arn=item["execution_arn"]["S"],
        taken_at=float(item["taken_at"]["N"]),
        plan=Plan.from_json(json.loads(item["plan"]["S"])) if "plan" in item else None,
        candidate=item["candidate"]["S"] if "candidate" in item else None,
        exposed="step" in item,
        promoting="promoting" in item,
        restoring=item["restoring"]["S"] if "restoring" in item else None,
        convicted="convicted" in item or bool(last["convicts"]),
        # A lost response makes the SDK append a verdict twice.
        verdicts=tuple(dict.fromkeys(verdict["S"] for verdict in item.get("verdicts", {}).get("L", []))),
    )


def record_plan(plan: Plan) -> None:
    """Store the plan with the lock.

    Raises:
        LockLost: another execution holds the lock.
    """
    values: dict[str, Any] = {"plan": table.text(json.dumps(plan.to_json()))}
    if plan.alarms:
        values["alarms"] = {"SS": sorted(gate.name for gate in plan.alarms)}
    _update(plan, values)


def record_candidate(plan: Plan, candidate: str) -> None:
    """Store which version is the candidate.

    Raises:
        LockLost: another execution holds the lock.
    """
    _update(plan, {"candidate": table.text(candidate)})


def record_shift(plan: Plan, step: int, weight_percent: float) -> None:
    """Store the weight that is about to be set: whoever lost the lock must not set it.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    _update(plan, {"step": table.number(step), "weight_percent": table.number(weight_percent)}, forward=True)


def record_promotion(plan: Plan) -> None:
    """Store that the candidate is about to become the alias's own version.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    _update(plan, {"promoting": table.text("true")}, forward=True)


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
    keep_every = polls // max(1, MAX_VERDICTS - turns) + 1
    number = round((look.now - plan.started_at) / plan.poll_seconds)
    kept = decision.action != "wait" or number % keep_every == 0
    last = {"last_verdict": table.text(document)}
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


def mark_restoring(target: str, execution_arn: str, why: str, *, convicts: bool = False) -> Lock | None:
    """Say that the stable version is being restored, before it is: no forward write of this rollout follows.

    The lock as it is now, or None where this execution no longer holds it. The first reason is kept.
    """
    changes = "SET restoring = if_not_exists(restoring, :why)" + (", convicted = :yes" if convicts else "")
    values = {":me": table.text(execution_arn), ":why": table.text(why[:_MAX_REASON_CHARACTERS])}
    try:
        with sdk.refusals(f"mark the lock of {target}"):
            item = table.client().update_item(
                TableName=table.name(),
                Key=table.key(target, table.LOCK),
                UpdateExpression=changes,
                ConditionExpression="execution_arn = :me",
                ExpressionAttributeValues=values | ({":yes": table.text("true")} if convicts else {}),
                ReturnValues="ALL_NEW",
            )["Attributes"]
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            return None
        raise
    return _lock(item)


def running(alarm: str | None = None) -> list[Lock]:
    """Every lock, or those whose rollout watches an alarm; without their verdicts, and perhaps a moment old."""
    watching: dict[str, Any] = {}
    if alarm is not None:
        watching = {"FilterExpression": "contains(alarms, :alarm)", "values": {":alarm": table.text(alarm)}}
    return [_lock(item) for item in table.watched(table.RUNNING, **watching)]


def _update(
    plan: Plan, values: Mapping[str, Any], append: Mapping[str, str] | None = None, *, forward: bool = False
) -> None:
    names = {f"#{name}": name for name in (*values, *(append or {}))}
    bound: dict[str, Any] = {f":{name}": value for name, value in values.items()}
    changes = [f"#{name} = :{name}" for name in values]
    for name, text in (append or {}).items():
        changes.append(f"#{name} = list_append(if_not_exists(#{name}, :none), :{name})")
        bound |= {f":{name}": {"L": [table.text(text)]}, ":none": {"L": []}}
    try:
        with sdk.refusals(f"record the rollout of {plan.target}"):
            table.client().update_item(
                TableName=table.name(),
                Key=table.key(plan.target, table.LOCK),
                UpdateExpression="SET " + ", ".join(changes),
                ConditionExpression="execution_arn = :me" + (" AND attribute_not_exists(restoring)" if forward else ""),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**bound, ":me": table.text(plan.execution_arn)},
            )
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            raise LockLost(f"this execution no longer holds the lock of {plan.target}, or is being restored") from error
        raise
