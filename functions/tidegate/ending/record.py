"""What the ledger keeps of a rollout that is over, and what its items are called. No adapter and no reader knows more.

Key: `target` (hash) and `record` (range).

    target          record                        what
    checkout:live   lock                          the running rollout: the lock, and its live state (`ending.lock`)
    checkout:live   history#<start>#<execution>   one finished rollout (`RolloutRecord`)
    checkout        bad#<version>                 a version that a verdict spoke against
    checkout        seen#…, counts#…              executions of a durable function (`aws.durable`)
    alarm#errors    checkout:live#<execution>     a running rollout that watches the alarm (`aws.watches`)

The index `watched` finds all locks, and the rollouts that ended a moment ago (`RecordSummary`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from tidegate.control.commands import GivenCommand
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import LedgerUnreadable
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan

LOCK, HISTORY, BAD = "lock", "history#", "bad#"
_ALARM = "alarm#"
#: The index, and the attribute that it is over.
INDEX = "watched"
RUNNING, ENDED = "running", "ended"
#: What a text raises that is not what it should be.
NOT_READABLE = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)
AND_THEN = ": see that the alias serves one version, then delete the item"

Item = Mapping[str, Any]


def history_key(started_at: float, rollout_id: str) -> str:
    """The range key of a finished rollout: by its start, so that they are in order."""
    return f"{HISTORY}{datetime.fromtimestamp(int(started_at), UTC):%Y-%m-%dT%H:%M:%SZ}#{rollout_id}"


def bad_key(version: str) -> str:
    """The range key of a version that is known to be bad."""
    return f"{BAD}{version}"


def watched_alarm(alarm: str) -> str:
    """The hash key of those who watch an alarm. No function's name has a #."""
    return f"{_ALARM}{alarm}"


def watch_key(target: str, rollout_id: str) -> str:
    """The range key of a rollout that watches an alarm: its own, so that its end takes no later one's away."""
    return f"{target}#{rollout_id}"


def watching_target(key: str) -> str:
    """The alias of the rollout with that range key; neither it nor an execution's name has a #."""
    return key.partition("#")[0]


def newest_first(target: str) -> dict[str, Any]:
    """What a Query of the finished rollouts of an alias asks for, beside the table's name; DynamoDB's own JSON."""
    return {
        "KeyConditionExpression": "target = :target AND begins_with(#record, :history)",
        "ExpressionAttributeNames": {"#record": "record"},
        "ExpressionAttributeValues": {":target": {"S": target}, ":history": {"S": HISTORY}},
        "ScanIndexForward": False,
        "ConsistentRead": True,
    }


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An item's attributes as plain values, from DynamoDB's own JSON."""
    return {name: _value(typed) for name, typed in item.items()}


def _value(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    match kind:
        case "N":
            return float(value)
        case "NS":
            return {float(each) for each in value}
        case "L":
            return [_value(each) for each in value]
        case _:
            return value


def plan_of(document: object, target: str) -> Plan:
    """The plan in a document of the ledger's.

    Raises:
        LedgerUnreadable: it is none.
    """
    try:
        return Plan.from_json(document if isinstance(document, dict) else {})
    except NOT_READABLE as error:
        raise LedgerUnreadable(f"the ledger's plan for {target} cannot be read ({error!r}){AND_THEN}") from error


def plan_in(text: str, target: str) -> Plan:
    """The plan in a JSON text; raises as `plan_of`."""
    try:
        return plan_of(json.loads(text), target)
    except (ValueError, RecursionError) as error:
        raise LedgerUnreadable(f"the ledger's plan for {target} cannot be read ({error!r}){AND_THEN}") from error


def ending_of(item: Item) -> Ending:
    """How the rollout of a history item ended; all that is read of it.

    Raises:
        LedgerUnreadable: no Tidegate of this version ends so.
    """
    document = json.loads(item["document"])
    proven_by = tuple(map(str, document.get("proven_by") or ()))
    return Ending(_outcome(item), item["cause"], document["proven"], recorded=True, proven_by=proven_by)


def _outcome(item: Item) -> Outcome:
    try:
        return Outcome(item["outcome"])
    except ValueError as error:
        raise LedgerUnreadable(f"the history of {item['target']} cannot be read: {error}") from error


@frozen
class RolloutRecord:
    """One finished rollout. `plan` and `candidate` are None where it was refused before it had any.

    `promoting` and `weights` are what it may have left on its alias. `verdicts` and `commands` are what was seen and
    said on the way, as plain JSON; `reverted` is who took its promotion back, if somebody did.
    """

    target: str
    key: str
    execution_arn: str
    plan: Plan | None
    candidate: str | None
    ending: Ending
    ended_at: float
    promoting: bool = True
    weights: frozenset[float] = frozenset()
    verdicts: Sequence[Item] = ()
    commands: Sequence[Item] = ()
    reverted: GivenCommand | None = None

    @property
    def rollout_id(self) -> str:
        """The name of its execution."""
        return self.key.rsplit("#", 1)[-1]

    @property
    def snapshot(self) -> RolloutSnapshot | None:
        """What it had done when it ended; None where it had no plan."""
        if self.plan is None:
            return None
        return RolloutSnapshot(self.plan, self.candidate, promoting=self.promoting, weights=self.weights)

    @classmethod
    def parse(cls, item: Item) -> Self:
        """From the attributes of a history item.

        Raises:
            LedgerUnreadable: it is none.
        """
        try:
            return cls._parse(item, item["target"], json.loads(item["document"]))
        except NOT_READABLE as error:
            raise LedgerUnreadable(f"the history of {item['target']} cannot be read ({error!r})") from error

    @classmethod
    def _parse(cls, item: Item, target: str, document: Item) -> Self:
        return cls(
            target=target,
            key=item["record"],
            execution_arn=item["execution_arn"],
            plan=plan_of(document["plan"], target) if document["plan"] else None,
            candidate=document["candidate"],
            ending=ending_of(item),
            ended_at=float(document["ended_at"]),
            promoting=bool(document.get("promoting", True)),
            weights=frozenset(map(float, document.get("weights", ()))),
            verdicts=document["verdicts"],
            commands=document.get("commands") or (),
            reverted=GivenCommand.from_json(item["reverted"]) if "reverted" in item else None,
        )

    def document(self) -> dict[str, Any]:
        """What the item keeps as one JSON text, beside the attributes that somebody looks for."""
        return {
            "plan": self.plan and self.plan.to_json(),
            "candidate": self.candidate,
            "outcome": self.ending.outcome,
            "cause": self.ending.cause,
            "proven": self.ending.proven,
            "proven_by": list(self.ending.proven_by),
            "ended_at": self.ended_at,
            "weights": sorted(self.weights),
            "promoting": self.promoting,
            "verdicts": list(self.verdicts),
            "commands": list(self.commands),
        }


@frozen
class RecordSummary:
    """What the index says of a rollout that ended a moment ago; a handler of it may still be in flight.

    `is_open`: its alias was found split after its end, and could not be put right.
    """

    target: str
    key: str
    stable: str
    candidate: str | None
    outcome: Outcome
    ended_at: float
    is_open: bool = False

    @classmethod
    def parse(cls, item: Item) -> Self:
        """From the attributes that the index has."""
        return cls(
            target=item["target"],
            key=item["record"],
            stable=item["stable"],
            candidate=item.get("candidate"),
            outcome=_outcome(item),
            ended_at=float(item["ended_at"]),
            is_open="restoring" in item,
        )
