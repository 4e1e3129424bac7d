"""DynamoDB as AWS has it: one test per rule that moto does not keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.boundary import caller
from sandbox.aws.dynamodb_rules import MAX_ITEM_BYTES, item_bytes, items_of
from sandbox.aws.stack import client
from sandbox.world import World

ITEM = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}}
KEY_BYTES = len("target") + len("checkout:live") + len("record") + len("lock")
UPDATED_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"


def refusal(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    return dict(caught.value.response)


def test_a_transaction_repeated_under_its_token_writes_nothing_and_succeeds(inhabit):
    world = inhabit()
    put = {
        "TableName": world.table_name,
        "Item": ITEM,
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": "record"},
    }
    for _ in range(2):
        client("dynamodb").transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken="the-same")
    assert client("dynamodb").scan(TableName=world.table_name)["Count"] == 1


# The size of an item: developer guide, "DynamoDB item sizes and formats" and "Quotas in Amazon DynamoDB" (400 KB).


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "\u00e9\u20ac"}, 5),
        ({"N": "0"}, 1),
        ({"N": "-12345"}, 4),
        ({"N": "1200000"}, 2),
        ({"N": "1.5E+30"}, 2),
        ({"B": b"12345"}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"NS": ["1", "22"]}, 4),
        ({"BS": [b"12", b"3"]}, 3),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "7"}]}, 3 + 3 + 3),
        ({"M": {"key": {"S": "ab"}}}, 3 + 1 + 3 + 2),
    ],
)
def test_size_of_a_value(value, size):
    assert item_bytes({"n": value}) == 1 + size


def test_size_of_an_item_is_the_same_in_the_table(inhabit):
    world = inhabit()
    item = {**ITEM, "b": {"B": b"1234567"}, "m": {"M": {"l": {"L": [{"N": "1.50"}, {"BS": [b"12", b"3"]}]}}}}
    client("dynamodb").put_item(TableName=world.table_name, Item=item)
    (kept,) = client("dynamodb").scan(TableName=world.table_name)["Items"]
    assert item_bytes(kept) == item_bytes(item)


def _full(record: str = "lock", more: int = 0) -> dict[str, Any]:
    """An item of 400 KB, and so many bytes more."""
    key = {"target": {"S": "checkout:live"}, "record": {"S": record}}
    return {**key, "text": {"S": "x" * (MAX_ITEM_BYTES - item_bytes(key) - len("text") + more)}}


def test_item_of_400_kilobytes_is_put_and_a_larger_one_is_not(inhabit):
    """PutItem: the text is quoted in amazon-archives/aws-dynamodb-session-tomcat#4 and many others."""
    world = inhabit()
    put = {"TableName": world.table_name}
    client("dynamodb").put_item(Item=_full(), **put)
    refused = refusal(lambda: client("dynamodb").put_item(Item=_full(more=1), **put))
    assert refused["Error"] == {
        "Code": "ValidationException",
        "Message": "Item size has exceeded the maximum allowed size",
    }
    (kept,) = client("dynamodb").scan(**put)["Items"]
    assert item_bytes(kept) == MAX_ITEM_BYTES


def _append(world: World, text: str) -> dict[str, Any]:
    return {
        "TableName": world.table_name,
        "Key": ITEM,
        "UpdateExpression": "SET texts = list_append(if_not_exists(texts, :none), :new)",
        "ExpressionAttributeValues": {":none": {"L": []}, ":new": {"L": [{"S": text}]}},
    }


def test_update_that_makes_an_item_too_large_changes_nothing(inhabit):
    """UpdateItem; the text is that of TransactionCanceledException's documentation. Bytes count, not characters."""
    world = inhabit()
    update, room = client("dynamodb").update_item, MAX_ITEM_BYTES - KEY_BYTES - len("texts") - 3
    update(**_append(world, "\u20ac" * 100_000))
    (before,) = client("dynamodb").scan(TableName=world.table_name)["Items"]
    left = room - 1 - 300_000
    refused = refusal(lambda: update(**_append(world, "x" * left)))
    assert refused["Error"] == {"Code": "ValidationException", "Message": UPDATED_TOO_LARGE}
    assert client("dynamodb").scan(TableName=world.table_name)["Items"] == [before]
    update(**_append(world, "x" * (left - 1)))


def test_update_of_nothing_that_is_too_large_leaves_nothing(inhabit):
    world = inhabit()
    refusal(lambda: client("dynamodb").update_item(**_append(world, "x" * MAX_ITEM_BYTES)))
    assert client("dynamodb").scan(TableName=world.table_name)["Count"] == 0


@pytest.mark.parametrize("kind", ["Put", "Update"])
def test_transaction_with_an_item_that_is_too_large_is_cancelled_as_a_whole(inhabit, kind):
    """API reference, TransactionCanceledException: code ValidationError, and "None" for whatever was not the reason."""
    world = inhabit()
    other = {"Put": {"TableName": world.table_name, "Item": {**ITEM, "record": {"S": "other"}}}}
    put = {"TableName": world.table_name, "Item": _full(more=1)}
    large = {"Put": put} if kind == "Put" else {"Update": _append(world, "x" * MAX_ITEM_BYTES)}
    refused = refusal(lambda: client("dynamodb").transact_write_items(TransactItems=[other, large]))
    assert refused["Error"]["Code"] == "TransactionCanceledException"
    assert refused["Error"]["Message"].endswith("[None, ValidationError]")
    reasons = refused["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ValidationError"]
    assert kind == "Put" or reasons[1]["Message"] == UPDATED_TOO_LARGE
    assert client("dynamodb").scan(TableName=world.table_name)["Count"] == 0


# Reads that lag: developer guide, "DynamoDB read consistency".


@pytest.fixture
def stale(inhabit) -> Iterator[World]:
    """Every read that may lag is ten seconds old. The test's own calls are anybody's."""
    world = inhabit(faults=[{"call": "dynamodb.*", "error": "stale", "seconds": 10, "times": "always"}])
    handler = caller.set(None)
    yield world
    caller.reset(handler)


def _as_handler(call: Callable[..., Any], **params: Any) -> dict[str, Any]:
    before = caller.set("check_health")
    try:
        return dict(call(**params))
    finally:
        caller.reset(before)


def test_item_is_read_as_it_was_unless_the_read_is_consistent(stale):
    database, table = client("dynamodb"), {"TableName": stale.table_name}

    def read(**params: Any) -> Any:
        return _as_handler(database.get_item, Key=ITEM, **table, **params).get("Item", {}).get("word", {}).get("S")

    database.put_item(Item={**ITEM, "word": {"S": "first"}}, **table)
    stale.clock.sleep(5)
    set_word = {"UpdateExpression": "SET word = :w", "ExpressionAttributeValues": {":w": {"S": "second"}}}
    database.update_item(Key=ITEM, **set_word, **table)
    assert [read(), read(ConsistentRead=True)] == [None, "second"]
    stale.clock.sleep(5)
    assert read() == "first"
    stale.clock.sleep(5)
    database.delete_item(Key=ITEM, **table)
    assert [read(), read(ConsistentRead=True)] == ["second", None]
    stale.clock.sleep(10)
    assert read() is None


def test_index_is_queried_as_it_was(stale):
    """Developer guide, "Using Global Secondary Indexes": an index follows its table with a lag."""
    database, table = client("dynamodb"), {"TableName": stale.table_name}
    query = {
        "IndexName": "watched",
        "KeyConditionExpression": "watched = :w",
        "ExpressionAttributeValues": {":w": {"S": "running"}},
        **table,
    }
    put = {"Put": {"Item": {**ITEM, "watched": {"S": "running"}}, **table}}
    database.transact_write_items(TransactItems=[put])
    assert database.query(**query)["Count"] == 1
    assert _as_handler(database.query, **query)["Count"] == 0
    stale.clock.sleep(10)
    assert _as_handler(database.query, **query)["Count"] == 1


def test_what_is_in_a_table_is_what_a_scan_answers(inhabit):
    """No rule of AWS's: who shows a rollout reads the table at every frame, and a Scan takes its time."""
    world = inhabit()
    values = {"set": {"SS": ["a"]}, "list": {"L": [{"S": "b"}, {"N": "1"}]}, "map": {"M": {"deep": {"BOOL": True}}}}
    client("dynamodb").put_item(TableName=world.table_name, Item={**ITEM, **values})
    assert items_of(world.table_name) == client("dynamodb").scan(TableName=world.table_name)["Items"] != []
