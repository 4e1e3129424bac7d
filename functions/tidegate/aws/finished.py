"""Finished rollouts, read back from the history: the last one, and the last promotion, which may be reverted."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.aws import history, sdk, table
from tidegate.control.commands import GivenCommand
from tidegate.ending.outcome import Outcome
from tidegate.ending.record import RolloutRecord, newest_first, plain
from tidegate.planning.plan import Plan

#: So many rollouts back a promotion is looked for; those after it left its alias alone.
_LOOK_BACK = 50


def last(target: str) -> RolloutRecord | None:
    """The newest finished rollout of an alias, or None."""
    return next(_newest_first(target, 1), None)


def last_promotion(target: str) -> RolloutRecord | None:
    """The newest promotion of an alias, or None."""
    return next((one for one in _newest_first(target, _LOOK_BACK) if one.ending.outcome is Outcome.PROMOTED), None)


def record_revert(promotion: RolloutRecord, plan: Plan, given: GivenCommand) -> None:
    """Write down that a promotion was taken back, by whom and why; its version is known to be bad from now on."""
    revert = {
        "TableName": table.name(),
        "Key": table.key(promotion.target, promotion.key),
        "UpdateExpression": "SET reverted = :command",
        "ConditionExpression": "attribute_exists(#document)",
        "ExpressionAttributeNames": {"#document": "document"},
        "ExpressionAttributeValues": {":command": table.text(given.to_json())},
    }
    bad = history.bad_version(plan, str(promotion.candidate), str(given), given.at)
    with sdk.refusals(f"record the revert of {promotion.target}"):
        table.client().transact_write_items(TransactItems=[{"Update": revert}, {"Put": bad}])


def _newest_first(target: str, limit: int) -> Iterator[RolloutRecord]:
    request = {"TableName": table.name(), **newest_first(target)}
    seen = 0
    while seen < limit:
        # A page holds 1 MB, which may be a few rollouts only.
        with sdk.refusals(f"read the history of {target}"):
            page = table.client().query(**request, Limit=limit - seen)
        yield from (RolloutRecord.parse(plain(item)) for item in page["Items"])
        seen += len(page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
