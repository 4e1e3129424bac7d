"""The one DynamoDB table; what its items are called, and what they say, is in `tidegate.ending.record`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tidegate.aws import sdk
from tidegate.ending.record import INDEX, LOCK, plain


def client() -> Any:
    """DynamoDB's client."""
    return sdk.client("dynamodb")


def hasty_client() -> Any:
    """One that gives up soon."""
    return sdk.hasty_client("dynamodb")


def name() -> str:
    """The table's name."""
    return os.environ["ROLLOUT_TABLE"]


def key(target: str, record: str) -> dict[str, dict[str, str]]:
    """An item's key."""
    return {"target": text(target), "record": text(record)}


def text(value: str) -> dict[str, str]:
    """A string, as DynamoDB writes it."""
    return {"S": value}


def number(value: float) -> dict[str, str]:
    """A number, as DynamoDB writes it."""
    return {"N": str(value)}


def read(target: str, record: str, doing: str) -> dict[str, Any] | None:
    """An item's attributes as plain values, as they are now; None where there is no such item."""
    with sdk.refusals(doing):
        answer = client().get_item(TableName=name(), Key=key(target, record), ConsistentRead=True)
    return plain(answer["Item"]) if "Item" in answer else None


def watched(what: str) -> list[dict[str, Any]]:
    """Every item of the index with that value, plain, perhaps a moment old."""
    wanted = {"KeyConditionExpression": f"{INDEX} = :what", "ExpressionAttributeValues": {":what": text(what)}}
    return query(f"list what is {what}", IndexName=INDEX, **wanted)


def query(doing: str, **wanted: Any) -> list[dict[str, Any]]:
    """All that a Query finds, plain, page by page."""
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        with sdk.refusals(doing):
            page = client().query(TableName=name(), **wanted, **more)
        found += map(plain, page["Items"])
        if "LastEvaluatedKey" not in page:
            return found
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def held_lock(target: str, execution_arn: str, without: Sequence[str] = ()) -> dict[str, Any]:
    """A lock's key, and the condition that this execution holds it and it lacks those attributes."""
    conditions = ["execution_arn = :me", *(f"attribute_not_exists(#{attribute})" for attribute in without)]
    names = {"ExpressionAttributeNames": {f"#{attribute}": attribute for attribute in without}} if without else {}
    return {
        "Key": key(target, LOCK),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeValues": {":me": text(execution_arn)},
        **names,
    }
