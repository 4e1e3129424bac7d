"""Which rollouts watch an alarm: an item for each of them, so that who hears of an alarm asks for its watchers alone.

A plan brings its own with it and its end takes them away, in the transactions that store them. One that is left over
does no harm: whoever finds it asks the lock, and it expires.
"""

from __future__ import annotations

from typing import Any

from tidegate.aws import sdk, table
from tidegate.ending.lock import Lock
from tidegate.ending.record import watch_key, watched_alarm, watching_target
from tidegate.errors import AwsRefused
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan

#: A transaction has so many actions at most (DynamoDB Developer Guide, "Amazon DynamoDB Transactions").
MOST_ACTIONS = 100
#: No execution is older than 45 days: TimeoutSeconds of the state machine.
_KEPT_SECONDS = 60 * 86_400


@frozen
class Watch:
    """A rollout that watches an alarm."""

    target: str
    execution_arn: str


def of(alarm: str) -> list[Watch]:
    """Who watches that alarm now."""
    found = table.query(
        f"list who watches alarm {alarm}",
        KeyConditionExpression="target = :alarm",
        ExpressionAttributeValues={":alarm": table.text(watched_alarm(alarm))},
        ConsistentRead=True,
    )
    return [Watch(watching_target(item["record"]), item["execution_arn"]) for item in found]


def puts(plan: Plan) -> list[dict[str, Any]]:
    """The actions of a transaction that writes down what a rollout watches."""
    more = {
        "execution_arn": table.text(plan.execution_arn),
        "expires_at": table.number(int(plan.started_at) + _KEPT_SECONDS),
    }
    return [{"Put": {"TableName": table.name(), "Item": {**key, **more}}} for key in _keys(plan)]


def deletes(plan: Plan) -> list[dict[str, Any]]:
    """The actions of a transaction that forgets it again."""
    return [{"Delete": {"TableName": table.name(), "Key": key}} for key in _keys(plan)]


def adopt(lock: Lock) -> None:
    """Write down what a rollout watches that an earlier Tidegate has planned: its lock alone says so.

    That stays as it is where the lock has changed hands.
    """
    if lock.plan is None:
        return
    held = {"TableName": table.name(), **table.held_lock(lock.target, lock.execution_arn)}
    listed = {"Update": {**held, "UpdateExpression": "REMOVE alarms"}}
    try:
        write([*puts(lock.plan), listed], f"write down what {lock.target} watches")
    except AwsRefused as error:
        if error.code != sdk.CANCELLED:
            raise


def write(actions: list[dict[str, Any]], doing: str) -> None:
    """Perform the actions, the last ones together, and those that a transaction has no room for before.

    Raises:
        AwsRefused: a transaction was cancelled.
    """
    while actions:
        count = len(actions) % MOST_ACTIONS or MOST_ACTIONS
        with sdk.refusals(doing):
            table.client().transact_write_items(TransactItems=actions[:count])
        actions = actions[count:]


def _keys(plan: Plan) -> list[dict[str, Any]]:
    record = watch_key(plan.target, plan.rollout_id)
    return [table.key(watched_alarm(rule.name), record) for rule in plan.alarms]
