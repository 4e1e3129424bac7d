"""The lock of an alias, as its item has it: who rolls out, and how far that rollout is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tidegate.aws import sdk, table
from tidegate.control.commands import NO_CONTROLS, Controls, GivenCommand
from tidegate.errors import LedgerUnreadable
from tidegate.planning.plan import Plan

#: What a lock says of its holder's rollout, beside who holds it.
LIVE = (
    "plan",
    "candidate",
    "alarms",
    "step",
    "weight_percent",
    "weights",
    "revision_id",
    "promoting",
    "restoring",
    "restored",
    "convicted",
    "verdicts",
    "verdict_bytes",
    "last_verdict",
    "words",
    "pause",
    "order",
    "gate",
    "commands",
)
#: What a text raises that is not what it should be.
_NOT_READABLE = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)
_AND_THEN = ": see that the alias serves one version, then delete the item"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `theirs`: the alias was on somebody else's version, with a weight of ours that was cleared;
    then a sentence that says so.
    """

    theirs: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of one alias, as its holder left it.

    `plan` and `candidate` are None until they are known. `exposed`: a weight may have been set; `promoting`:
    the candidate may have been made the alias's own version; `restoring`: why somebody restores the stable version,
    so that no forward write follows; `restored`: what that has done, once it is done; `convicted`: the last verdict, or
    an alarm, spoke against the candidate. `weights` are all that were set, in percent, and `revision_id` is the alias's
    after the last write of this rollout that was answered. `gate` is the step that waits for an approval, `wheel` what
    people want, and `commands` all that they said, as JSON. `started_at` is the execution's own start, by which the
    history knows it.
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
    weights: frozenset[float] = frozenset()
    revision_id: str | None = None
    restored: Restored | None = None
    verdicts: tuple[str, ...] = ()
    step: int | None = None
    gate: int | None = None
    controls: Controls = NO_CONTROLS
    commands: tuple[str, ...] = ()


def read(target: str) -> Lock | None:
    """The alias's lock, or None where it is free.

    Raises:
        LedgerUnreadable: the item is no lock.
    """
    with sdk.refusals(f"read the lock of {target}"):
        item = (
            table.client()
            .get_item(TableName=table.name(), Key=table.key(target, table.LOCK), ConsistentRead=True)
            .get("Item")
        )
    return parse(item) if item else None


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
            locks.append(parse(item))
        except LedgerUnreadable as error:
            unreadable = error
    return locks, unreadable


def parse(item: dict[str, Any]) -> Lock:
    """The lock in an item.

    Raises:
        LedgerUnreadable: it is none.
    """
    target = item["target"]["S"]
    try:
        return _parse(item, target)
    except _NOT_READABLE as error:
        raise LedgerUnreadable(f"the lock of {target} cannot be read ({error!r}){_AND_THEN}") from error


def _parse(item: dict[str, Any], target: str) -> Lock:
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
        weights=_weights(item),
        revision_id=item["revision_id"]["S"] if "revision_id" in item else None,
        restored=Restored(**json.loads(item["restored"]["S"])) if "restored" in item else None,
        # A lost response makes the SDK append a verdict twice.
        verdicts=tuple(dict.fromkeys(verdict["S"] for verdict in item.get("verdicts", {}).get("L", []))),
        step=int(item["step"]["N"]) if "step" in item else None,
        gate=int(item["gate"]["N"]) if "gate" in item else None,
        controls=_controls(item),
        commands=tuple(dict.fromkeys(given["S"] for given in item.get("commands", {}).get("L", []))),
    )


def _weights(item: dict[str, Any]) -> frozenset[float]:
    """All that were set; of a lock that does not say so, by an earlier Tidegate, the last one."""
    last = [item["weight_percent"]["N"]] if "weight_percent" in item else []
    return frozenset(float(weight) for weight in item.get("weights", {}).get("NS", last))


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


def _controls(item: dict[str, Any]) -> Controls:
    words = {name: GivenCommand.from_json(item[name]["S"]) for name in ("pause", "order") if name in item}
    return Controls(count=int(item["words"]["N"]) if "words" in item else 0, **words)
