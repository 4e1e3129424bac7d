"""What is answered quickly is answered as moto does, and leaves the table as moto would; the rest is moto's.

Expressions are those of the ledger's adapters and of the command line, and their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws import dynamodb_quick as quick
from sandbox.aws import shortcuts
from sandbox.aws.boundary import AwsError
from sandbox.aws.dynamodb_expressions import Unknown
from sandbox.aws.stack import client

KEY = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}}
LOCK = {
    **KEY,
    "watched": {"S": "running"},
    "execution_arn": {"S": "me"},
    "candidate": {"S": "{}"},
    "alarms": {"SS": ["a", "b"]},
    "weights": {"NS": ["10"]},
    "verdicts": {"L": [{"S": "one"}]},
    "verdict_bytes": {"N": "3"},
    "step": {"N": "1.0"},
    "deep": {"M": {"flag": {"BOOL": True}}},
}
OTHERS = [
    {**LOCK, "target": {"S": "basket:live"}, "alarms": {"SS": ["c"]}},
    {**LOCK, "target": {"S": "zoo:live"}, "watched": {"S": "ended"}},
    {key: value for key, value in LOCK.items() if key != "watched"} | {"record": {"S": "history#1"}},
]
INDEX = {
    "IndexName": "watched",
    "KeySchema": [
        {"AttributeName": "watched", "KeyType": "HASH"},
        {"AttributeName": "target", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["execution_arn", "alarms", "deep"]},
}


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    """Two tables with the same items: moto's own calls go to the one, quick ones to the other."""
    with shortcuts.installed(), mock_aws(config={"core": {"reset_boto3_session": False}}):
        for name in ("moto", "quick"):
            client("dynamodb").create_table(
                TableName=name,
                AttributeDefinitions=[
                    {"AttributeName": key, "AttributeType": "S"} for key in ("target", "record", "watched")
                ],
                KeySchema=[
                    {"AttributeName": "target", "KeyType": "HASH"},
                    {"AttributeName": "record", "KeyType": "RANGE"},
                ],
                GlobalSecondaryIndexes=[INDEX],
                BillingMode="PAY_PER_REQUEST",
            )
            for item in (LOCK, *OTHERS):
                client("dynamodb").put_item(TableName=name, Item=item)
        yield


def ordered(value: Any) -> Any:
    """The same, with sets in order: a set has none."""
    if isinstance(value, dict):
        return {key: sorted(each) if key in {"SS", "NS"} else ordered(each) for key, each in value.items()}
    return [ordered(each) for each in value] if isinstance(value, list) else value


def by_moto(call: str, params: dict[str, Any]) -> Any:
    try:
        answer = getattr(client("dynamodb"), call)(TableName="moto", **params)
    except ClientError as error:
        return error.response["Error"]
    # What nobody asked for, AWS does not say: API reference, ReturnConsumedCapacity.
    return ordered({key: value for key, value in answer.items() if key not in {"ResponseMetadata", "ConsumedCapacity"}})


def quickly(call: str, params: dict[str, Any]) -> Any:
    try:
        return ordered(getattr(quick, call)({"TableName": "quick", **params}))
    except AwsError as error:
        return {"Code": error.code, "Message": error.message}


def items(table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("dynamodb").scan(TableName=table)["Items"]
    return found


def update(
    changes: str, condition: str | None = None, values: Any = None, names: Any = None, **more: Any
) -> dict[str, Any]:
    given = {
        "ConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ExpressionAttributeNames": names,
    }
    return {
        "Key": KEY,
        "UpdateExpression": changes,
        **{key: value for key, value in given.items() if value is not None},
        **more,
    }


ME, NUMBER, TEXT = {":me": {"S": "me"}}, {":n": {"N": "2.50"}}, {":t": {"S": "text"}}
APPENDED = {":none": {"L": []}, ":more": {"L": [{"S": "two"}, {"N": "3"}]}}
UPDATES = {
    "a text": update("SET candidate = :t", "execution_arn = :me", ME | TEXT),
    "a name": update("SET #p = :t", "#who = :me", ME | TEXT, {"#p": "candidate", "#who": "execution_arn"}),
    "not mine": update("SET candidate = :t", "execution_arn = :t", TEXT),
    "not there": update("SET candidate = :t", "nothing = :t", TEXT),
    "no condition": update("SET candidate = :t, further = :n", None, TEXT | NUMBER),
    "a set": update("SET alarms = :s", None, {":s": {"SS": ["c"]}}),
    "kept": update("SET step = if_not_exists(step, :n), shifted = if_not_exists(shifted, :n)", None, NUMBER),
    "appended": update("SET verdicts = list_append(if_not_exists(verdicts, :none), :more)", None, APPENDED),
    "begun": update("SET commands = list_append(if_not_exists(commands, :none), :more)", None, APPENDED),
    "added": update("ADD verdict_bytes :n, fresh :n", None, NUMBER),
    "added to a set": update("ADD weights :w, fresh :w", None, {":w": {"NS": ["10", "50.0"]}}),
    "removed": update("REMOVE candidate, nothing", "attribute_exists(candidate)"),
    "all three": update(
        "SET #s = :t REMOVE candidate, #nothing ADD verdict_bytes :n",
        None,
        TEXT | NUMBER,
        {"#s": "said", "#nothing": "no"},
    ),
    "answered": update("SET candidate = :t REMOVE step", None, TEXT, ReturnValues="ALL_NEW"),
    **{
        f"where {condition}": update("SET said = :t", condition, TEXT | ({} if ":n" not in condition else NUMBER))
        for condition in (
            "attribute_not_exists(candidate)",
            "attribute_not_exists(pause) AND attribute_exists(candidate)",
            "attribute_not_exists(candidate) OR attribute_not_exists(pause) AND attribute_exists(nothing)",
            "(attribute_not_exists(candidate) OR attribute_not_exists(pause)) AND attribute_exists(candidate)",
            *(f"verdict_bytes {compared} :n" for compared in ("=", "<", "<=", ">", ">=")),
            "attribute_not_exists(verdict_bytes) OR verdict_bytes<:n",
            "candidate > :t",
            "contains(alarms, :t)",
        )
    },
}
MOTOS = {
    "an item that is not there": update("SET candidate = :t", None, TEXT) | {"Key": KEY | {"record": {"S": "new"}}},
    "a part of a key": update("SET candidate = :t", None, TEXT) | {"Key": {"target": {"S": "checkout:live"}}},
    "an index's key": update("SET watched = :t", None, TEXT),
    "a path": update("SET deep.flag = :t", None, TEXT),
    "arithmetic": update("SET step = step + :n", None, NUMBER),
    "a reserved name": update("SET name = :t", None, TEXT),
    "twice": update("SET candidate = :t, candidate = :t", None, TEXT),
    "set and removed": update("SET candidate = :t REMOVE candidate", None, TEXT),
    "a clause twice": update("SET candidate = :t SET further = :t", None, TEXT),
    "an unused value": update("SET candidate = :t", None, TEXT | NUMBER),
    "an unused name": update("SET candidate = :t", None, TEXT, {"#no": "no"}),
    "an undefined value": update("SET candidate = :no", None, TEXT),
    "an undefined name": update("SET #no = :t", None, TEXT, {"#p": "candidate"}),
    "a reserved name in a condition": update("SET candidate = :t", "attribute_exists(plan)", TEXT),
    "no names": update("SET candidate = :t", None, TEXT, {}),
    "nothing": update(""),
    "no sense": update("SET candidate : t", None, TEXT),
    "too little": update("SET candidate =", None, TEXT),
    "too much": update("SET candidate = :t)", None, TEXT),
    "an empty set": update("SET alarms = :s", None, {":s": {"SS": []}}),
    "bytes": update("SET raw = :b", None, {":b": {"B": b"1"}}),
    "another kind added": update("ADD candidate :n", None, NUMBER),
    "another kind appended": update("SET candidate = list_append(candidate, :more)", None, {":more": {"L": []}}),
    "no list": update("SET candidate = list_append(if_not_exists(candidate, :t), :t)", None, TEXT),
    "other kinds compared": update("SET candidate = :t", "verdict_bytes < :t", TEXT),
    "sets compared": update("SET alarms = :s", "alarms = :s", {":s": {"SS": ["a", "b"]}}),
    "part of a text": update("SET candidate = :t", "contains(candidate, :t)", TEXT),
    "another answer": update("SET candidate = :t", None, TEXT, ReturnValues="ALL_OLD"),
    "the item that did not pass": update(
        "SET candidate = :t", "candidate = :t", TEXT, ReturnValuesOnConditionCheckFailure="ALL_OLD"
    ),
}
GETS = {
    "there": {"Key": KEY},
    "consistently": {"Key": KEY, "ConsistentRead": True},
    "not there": {"Key": KEY | {"record": {"S": "no"}}},
}
RUNNING = {":what": {"S": "running"}}


def query(*conditions: str, values: Any = RUNNING, **more: Any) -> dict[str, Any]:
    texts = dict(zip(("KeyConditionExpression", "FilterExpression"), conditions, strict=False))
    return {"IndexName": "watched", "ExpressionAttributeValues": values, **texts, **more}


QUERIES = {
    "running": query("watched = :what"),
    "nothing": query("watched = :what", values={":what": {"S": "no"}}),
    "filtered": query("watched = :what", "contains(alarms, :a)", values=RUNNING | {":a": {"S": "a"}}),
    "filtered by what is not in the index": query("watched = :what", "attribute_exists(candidate)"),
    "filtered by a name": query(
        "watched = :what", "attribute_exists(#e)", ExpressionAttributeNames={"#e": "execution_arn"}
    ),
}
MOTOS_QUERIES = {
    "the table": query("target = :what") | {"IndexName": None},
    "no hash key": query("target = :what"),
    "another index": query("watched = :what") | {"IndexName": "no"},
    "a page": query("watched = :what", Limit=1),
    "a projection": query("watched = :what", ProjectionExpression="target"),
    "an unused value": query("watched = :what", values=RUNNING | NUMBER),
    "no condition": query(),
}


@pytest.mark.parametrize("params", UPDATES.values(), ids=UPDATES)
def test_an_update_is_answered_and_done_as_by_moto(params):
    assert quickly("update_item", params) == by_moto("update_item", params)
    assert items("quick") == items("moto")


@pytest.mark.parametrize("params", MOTOS.values(), ids=MOTOS)
def test_an_update_out_of_the_ordinary_is_motos_and_changes_nothing(params):
    before = items("quick")
    with pytest.raises(Unknown):
        quickly("update_item", params)
    assert items("quick") == before


@pytest.mark.parametrize("params", GETS.values(), ids=GETS)
def test_an_item_is_read_as_by_moto(params):
    assert quickly("get_item", params) == by_moto("get_item", params)


@pytest.mark.parametrize("params", QUERIES.values(), ids=QUERIES)
def test_an_index_is_queried_as_by_moto(params):
    assert quickly("query", params) == by_moto("query", params)


@pytest.mark.parametrize("params", MOTOS_QUERIES.values(), ids=MOTOS_QUERIES)
def test_a_query_out_of_the_ordinary_is_motos(params):
    with pytest.raises(Unknown):
        quickly("query", {key: value for key, value in params.items() if value is not None})


def test_a_page_of_more_than_a_megabyte_is_motos():
    for number in range(3):
        large = {**LOCK, "target": {"S": f"large-{number}"}, "text": {"S": "x" * 350_000}}
        client("dynamodb").put_item(TableName="quick", Item=large)
    with pytest.raises(Unknown):
        quickly("query", query("watched = :what"))


def test_what_was_given_or_answered_is_nobodys_to_change():
    alarms = {":s": {"SS": ["c"]}}
    answered = quickly("update_item", update("SET alarms = :s", None, alarms, ReturnValues="ALL_NEW"))
    alarms[":s"]["SS"].append("d")
    answered["Attributes"]["verdicts"]["L"].append({"S": "x"})
    answered["Attributes"]["alarms"]["SS"].append("x")
    kept = quickly("get_item", {"Key": KEY})["Item"]
    assert (kept["alarms"], kept["verdicts"]) == ({"SS": ["c"]}, LOCK["verdicts"])
