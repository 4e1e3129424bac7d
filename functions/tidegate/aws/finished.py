"""Finished rollouts, read back from the history: the last one, and the last promotion, which may be reverted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tidegate.aws import history, locks, sdk, table
from tidegate.control.commands import GivenCommand
from tidegate.planning.plan import Plan

#: So many rollouts back a promotion is looked for; those after it left its alias alone.
_LOOK_BACK = 50


@dataclass(frozen=True, slots=True)
class Finished:
    """One finished rollout; `plan` and `candidate` are None where it was refused before it had any."""

    target: str
    record: str
    rollout_id: str
    outcome: str
    plan: Plan | None
    candidate: str | None
    ended_at: float
    reverted: GivenCommand | None


def last(target: str) -> Finished | None:
    """The newest finished rollout of an alias, or None."""
    return next(_newest_first(target, 1), None)


def last_promotion(target: str) -> Finished | None:
    """The newest promotion of an alias, or None."""
    return next((one for one in _newest_first(target, _LOOK_BACK) if one.outcome == "promoted"), None)


def record_revert(promotion: Finished, plan: Plan, given: GivenCommand) -> None:
    """Write down that a promotion was taken back, by whom and why; its version is known to be bad from now on."""
    revert = {
        "TableName": table.name(),
        "Key": table.key(promotion.target, promotion.record),
        "UpdateExpression": "SET reverted = :word",
        "ConditionExpression": "attribute_exists(#document)",
        "ExpressionAttributeNames": {"#document": "document"},
        "ExpressionAttributeValues": {":word": table.text(given.to_json())},
    }
    bad = history.bad_version(plan, str(promotion.candidate), str(given), given.at)
    with sdk.refusals(f"record the revert of {promotion.target}"):
        table.client().transact_write_items(TransactItems=[{"Update": revert}, {"Put": bad}])


def _newest_first(target: str, limit: int) -> Iterator[Finished]:
    request: dict[str, Any] = {
        "TableName": table.name(),
        "KeyConditionExpression": "target = :target AND begins_with(#record, :history)",
        "ExpressionAttributeNames": {"#record": "record"},
        "ExpressionAttributeValues": {":target": table.text(target), ":history": table.text("history#")},
        "ScanIndexForward": False,
        "ConsistentRead": True,
    }
    seen = 0
    while seen < limit:
        # A page holds 1 MB, which may be a few rollouts only.
        with sdk.refusals(f"read the history of {target}"):
            page = table.client().query(**request, Limit=limit - seen)
        yield from map(_finished, page["Items"])
        seen += len(page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _finished(item: dict[str, Any]) -> Finished:
    document = json.loads(item["document"]["S"])
    record = item["record"]["S"]
    return Finished(
        target=item["target"]["S"],
        record=record,
        rollout_id=record.rsplit("#", 1)[-1],
        outcome=item["outcome"]["S"],
        plan=locks.parse_plan(item["document"]["S"], item["target"]["S"], "plan") if document["plan"] else None,
        candidate=document["candidate"],
        ended_at=document["ended_at"],
        reverted=GivenCommand.from_json(item["reverted"]["S"]) if "reverted" in item else None,
    )
