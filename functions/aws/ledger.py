"""What a running rollout remembers: the alias's lock, with the live state.

The ledger serves; it never decides safety: a rollback works with the table gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws import sdk, table
from rollout.check import Check
from rollout.decision import Decision
from rollout.errors import AwsRefused, LedgerUnreadable, LockLost, PromotionPaused
from rollout.look import Look
from rollout.observation import Counts
from rollout.plan import Plan
from rollout.wheel import NO_WORDS, Wheel, Word

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
    "words",
    "pause",
    "order",
    "gate",
    "commands",
)
#: An item holds 400 KB (DynamoDB Developer Guide, "Quotas"); a verdict takes less than 3 KB, and mostly one.
MAX_VERDICTS = 120
_MAX_CHECKS = 5
_MAX_REASON_CHARACTERS = 600
#: What is kept of people's words; the first ones, and what counts of the later ones all the same.
MAX_COMMANDS = 50
_KEEP_WORD = "commands = list_append(if_not_exists(commands, :none), :said)"
#: Where a word is kept until it is heeded.
_PLACES = {"pause": "pause", "approve": "order", "advance": "order", "finish": "order"}
#: What a word ends.
_ENDED = {"pause": "order", "resume": "pause", "finish": "pause"}
_UNRESTORED = "attribute_not_exists(restoring)"
#: What a text raises that is not what it should be.
_NOT_READABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_AND_THEN = ": see that the alias serves one version, then delete the item"


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of one alias, as its holder left it.

    `plan` and `candidate` are None until they are known. `exposed`: a weight may have been set; `promoting`:
    the candidate may have been made the alias's own version; `restoring`: why somebody restores the stable version,
    so that no forward write follows; `convicted`: the last verdict, or an alarm, spoke against the candidate. `gate` is
    the step that waits for an approval, `wheel` what people want, and `commands` all that they said, as JSON.
    `started_at` is the execution's own start, by which the history knows it.
    """

    target: str
    execution_arn: str
    taken_at: float
    started_at: float
    plan: Plan | None
    candidate: str | None
    exposed: bool
    promoting: bool
    restoring: str | None
    convicted: bool
    verdicts: tuple[str, ...] = ()
    step: int | None = None
    gate: int | None = None
    wheel: Wheel = NO_WORDS
    commands: tuple[str, ...] = ()


def take_lock(
    target: str, execution_arn: str, now: float, ended_holder: str | None = None, started_at: float | None = None
) -> bool:
    """Take the alias's lock, or keep it where this execution holds it already; False where another one does.

    `ended_holder` is an execution known to have ended, whose lock may be taken over. What the lock has come to say of
    this execution stays: the call may arrive late, when the rollout is well on its way.
    """
    free_or_mine = "attribute_not_exists(#holder) OR #holder = "
    take = f"SET #holder = :me, taken_at = :now, started_at = :started, {table.INDEX} = :running"
    values = {
        ":me": table.text(execution_arn),
        ":now": table.number(now),
        ":started": table.number(now if started_at is None else started_at),
        ":running": table.text(table.RUNNING),
    }
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
    """The lock in an item.

    Raises:
        LedgerUnreadable: it is none.
    """
    target = item["target"]["S"]
    try:
        return _parse_lock(item, target)
    except _NOT_READABLE as error:
        raise LedgerUnreadable(f"the lock of {target} cannot be read ({error!r}){_AND_THEN}") from error


def _parse_lock(item: dict[str, Any], target: str) -> Lock:
    last = json.loads(item["last_verdict"]["S"]) if "last_verdict" in item else {"convicts": False}
    return Lock(
        target=target,
        execution_arn=item["execution_arn"]["S"],
        taken_at=float(item["taken_at"]["N"]),
        # The index leaves it out.
        started_at=float(item.get("started_at", item["taken_at"])["N"]),
        plan=parse_plan(item["plan"]["S"], target) if "plan" in item else None,
        candidate=item["candidate"]["S"] if "candidate" in item else None,
        exposed="step" in item,
        promoting="promoting" in item,
        restoring=item["restoring"]["S"] if "restoring" in item else None,
        convicted="convicted" in item or bool(last["convicts"]),
        # A lost response makes the SDK append a verdict twice.
        verdicts=tuple(dict.fromkeys(verdict["S"] for verdict in item.get("verdicts", {}).get("L", []))),
        step=int(item["step"]["N"]) if "step" in item else None,
        gate=int(item["gate"]["N"]) if "gate" in item else None,
        wheel=_wheel(item),
        commands=tuple(dict.fromkeys(word["S"] for word in item.get("commands", {}).get("L", []))),
    )


def parse_plan(text: str, target: str, *path: str) -> Plan:
    """The plan in a JSON text, at that path.

    Raises:
        LedgerUnreadable: it is none.
    """
    try:
        document = json.loads(text)
        for name in path:
            document = document[name]
        return Plan.from_json(document)
    except _NOT_READABLE as error:
        raise LedgerUnreadable(f"the ledger's plan for {target} cannot be read ({error!r}){_AND_THEN}") from error


def _wheel(item: dict[str, Any]) -> Wheel:
    words = {name: Word.from_json(item[name]["S"]) for name in ("pause", "order") if name in item}
    return Wheel(count=int(item["words"]["N"]) if "words" in item else 0, **words)


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


def record_shift(plan: Plan, step: int, weight_percent: float, *, unless_paused: bool = True) -> bool:
    """Store the weight that is about to be set: whoever lost the lock must not set it.

    False where the rollout was paused; nothing is stored then.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    values = {"step": table.number(step), "weight_percent": table.number(weight_percent)}
    conditions = [_UNRESTORED, *(["(attribute_not_exists(pause) OR #step = :step)"] if unless_paused else [])]
    try:
        _update(plan, values, remove=["gate"], conditions=conditions)
    except LockLost:
        if not unless_paused or _going_on(plan) is None:
            raise
        return False
    return True


def record_gate(plan: Plan, gate: int) -> None:
    """Store that a step waits for an approval before there was any traffic.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    _update(plan, {"gate": table.number(gate)}, conditions=[_UNRESTORED])


def record_promotion(plan: Plan) -> None:
    """Store that the candidate is about to become the alias's own version.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    unpaused = "(attribute_not_exists(pause) OR attribute_exists(promoting))"
    try:
        _update(plan, {"promoting": table.text("true")}, conditions=[_UNRESTORED, unpaused])
    except LockLost:
        lock = None if plan.creates_alias else _going_on(plan)
        if lock is None:
            raise
        raise PromotionPaused(f"{plan.target} is {lock.wheel.pause or 'no longer paused'}: look again") from None


def record_verdict(plan: Plan, decision: Decision, look: Look) -> Wheel | None:
    """Append one verdict with its numbers, as long as there is room for it; the last one is always kept beside.

    None: it is stored. What people want, where they said something that this verdict does not know: nothing is stored.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    known = decision.progress.words
    condition = "words = :words" if known else "attribute_not_exists(words)"
    try:
        _append_verdict(plan, decision, look, condition, {":words": table.number(known)} if known else {})
    except LockLost:
        lock = _going_on(plan)
        if lock is None:
            raise
        return lock.wheel
    return None


def _going_on(plan: Plan) -> Lock | None:
    """The lock where it is this execution's and nobody restores: then only people's words stood against a write.

    They may have changed since: a pause may be over by now.
    """
    lock = read_lock(plan.target)
    return lock if lock and lock.execution_arn == plan.execution_arn and not lock.restoring else None


def _append_verdict(plan: Plan, decision: Decision, look: Look, condition: str, bound: Mapping[str, Any]) -> None:
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
    kept = _is_kept(plan, decision, look)
    last = {"last_verdict": table.text(document)}
    gate = decision.progress.gate
    changes: dict[str, Any] = {
        "values": last if gate is None else {**last, "gate": table.number(gate)},
        "remove": ["gate"] if gate is None else [],
        "conditions": [condition],
        "bound": bound,
    }
    try:
        _update(plan, append={"verdicts": document} if kept else {}, **changes)
    except AwsRefused as error:
        # No room left: what is not written down must not end a healthy rollout.
        if error.code != "ValidationException" or not kept:
            raise
        _update(plan, **changes)


def _is_kept(plan: Plan, decision: Decision, look: Look) -> bool:
    """Whether a verdict goes into the list: every turn; of the holds the first; of the waits as many as have room."""
    if decision.action == "hold":
        gate_opens = decision.progress.gate is not None and decision.progress.held_since == look.now
        pause_begins = decision.progress.paused_seconds == decision.wait_seconds
        return gate_opens or pause_begins
    turns = (len(plan.steps) + 2) * (plan.max_step_backs + 1)
    polls = plan.watched_seconds // plan.poll_seconds
    keep_every = polls // max(1, MAX_VERDICTS - turns) + 1
    number = round((look.now - plan.started_at) / plan.poll_seconds)
    return decision.action != "wait" or number % keep_every == 0


def _counted(counts: Counts) -> dict[str, int | None]:
    return {"requests": counts.requests, "errors": counts.errors, "slow": counts.slow}


def _telling(checks: tuple[Check, ...]) -> list[Check]:
    """The checks that say most, most severe first; limits before alarms that are well."""
    return sorted(checks, key=lambda check: (-check.finding.severity, check.of is None))[:_MAX_CHECKS]


def mark_restoring(
    target: str, execution_arn: str, why: str, *, convicts: bool = False, word: Word | None = None
) -> Lock | None:
    """Say that the stable version is being restored, before it is: no forward write of this rollout follows.

    The lock as it is now, or None where this execution no longer holds it. The first reason is kept. `word` is the
    command that asks for it, where one does.
    """
    changes = "SET restoring = if_not_exists(restoring, :why)" + (", convicted = :yes" if convicts else "")
    values: dict[str, Any] = {
        ":me": table.text(execution_arn),
        ":why": table.text(why[:_MAX_REASON_CHARACTERS]),
        ":one": table.number(1),
        **({":yes": table.text("true")} if convicts else {}),
    }
    doing = f"mark the lock of {target}"
    try:
        item = _speak(target, doing, changes, "execution_arn = :me", values, word)
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            return None
        raise
    return _lock(item)


def running(alarm: str | None = None) -> tuple[list[Lock], LedgerUnreadable | None]:
    """Every lock, or those whose rollout watches an alarm; without their verdicts, and perhaps a moment old.

    A lock that cannot be read is left out, so that the others are looked after, and comes as an error beside them.
    """
    watching: dict[str, Any] = {}
    if alarm is not None:
        watching = {"FilterExpression": "contains(alarms, :alarm)", "values": {":alarm": table.text(alarm)}}
    locks, unreadable = [], None
    for item in table.watched(table.RUNNING, **watching):
        try:
            locks.append(_lock(item))
        except LedgerUnreadable as error:
            unreadable = error
    return locks, unreadable


def say(lock: Lock, word: Word) -> bool:
    """Keep a pause, its end or an order in the lock; False where the lock has changed since it was read.

    The next look heeds it: a verdict is stored only by who knows all words. The newest word counts: a pause takes back
    an order that was not heeded yet, and to finish ends a pause.
    """
    place, ended = _PLACES.get(word.command), _ENDED.get(word.command)
    known = lock.wheel.count
    changes = " ".join([f"SET #{place} = :word"] * bool(place) + [f"REMOVE #{ended}"] * bool(ended))
    conditions = ["execution_arn = :me", _UNRESTORED, "words = :known" if known else "attribute_not_exists(words)"]
    values: dict[str, Any] = {
        ":me": table.text(lock.execution_arn),
        ":one": table.number(1),
        **({":word": table.text(word.to_json())} if place else {}),
        **({":known": table.number(known)} if known else {}),
    }
    names = {f"#{name}": name for name in (place, ended) if name}
    doing = f"keep the word {word.command} for {lock.target}"
    kept = word if len(lock.commands) < MAX_COMMANDS else None
    try:
        _speak(lock.target, doing, changes, " AND ".join(conditions), values, kept, names)
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _speak(
    target: str,
    doing: str,
    changes: str,
    condition: str,
    values: Mapping[str, Any],
    word: Word | None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Change a lock by somebody's word, and count it; the item then. `word` is kept beside, where there is room."""
    request: dict[str, Any] = {
        "TableName": table.name(),
        "Key": table.key(target, table.LOCK),
        "ConditionExpression": condition,
        "ReturnValues": "ALL_NEW",
        **({"ExpressionAttributeNames": dict(names)} if names else {}),
    }
    if word is not None:
        kept = {":said": {"L": [table.text(word.to_json())]}, ":none": {"L": []}}
        others = f", {changes.removeprefix('SET ')}" if changes.startswith("SET ") else f" {changes}"
        and_keep = f"SET {_KEEP_WORD}{others}"
        try:
            with sdk.refusals(doing):
                return _changed(request, f"{and_keep} ADD words :one", {**values, **kept})
        except AwsRefused as error:
            # No room left: what is not written down counts all the same.
            if error.code != "ValidationException":
                raise
    with sdk.refusals(doing):
        return _changed(request, f"{changes} ADD words :one", values)


def _changed(request: Mapping[str, Any], changes: str, values: Mapping[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = table.client().update_item(
        **request, UpdateExpression=changes, ExpressionAttributeValues=dict(values)
    )["Attributes"]
    return item


def _update(
    plan: Plan,
    values: Mapping[str, Any],
    append: Mapping[str, str] | None = None,
    *,
    remove: Sequence[str] = (),
    conditions: Sequence[str] = (),
    bound: Mapping[str, Any] | None = None,
) -> None:
    names = {f"#{name}": name for name in (*values, *(append or {}))}
    bound = {**(bound or {}), **{f":{name}": value for name, value in values.items()}}
    changes = [f"#{name} = :{name}" for name in values]
    for name, text in (append or {}).items():
        changes.append(f"#{name} = list_append(if_not_exists(#{name}, :none), :{name})")
        bound = {**bound, f":{name}": {"L": [table.text(text)]}, ":none": {"L": []}}
    try:
        with sdk.refusals(f"record the rollout of {plan.target}"):
            table.client().update_item(
                TableName=table.name(),
                Key=table.key(plan.target, table.LOCK),
                UpdateExpression=f"SET {', '.join(changes)}" + (f" REMOVE {', '.join(remove)}" if remove else ""),
                ConditionExpression=" AND ".join(["execution_arn = :me", *conditions]),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**bound, ":me": table.text(plan.execution_arn)},
            )
    except AwsRefused as error:
        if error.code == "ConditionalCheckFailedException":
            raise LockLost(f"this execution no longer holds the lock of {plan.target}, or is being restored") from error
        raise
