"""GetItem, UpdateItem and Query on moto's own tables, where moto takes milliseconds to read the same expressions anew.

No rule of AWS: what is answered here is answered as moto does, and whatever is out of the ordinary, a mistake above
all, is left to moto. moto's tables stay what they are, for every other call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT

from sandbox.aws import dynamodb_expressions as expressions
from sandbox.aws.boundary import AwsError, Boundary, Params, Proceed, Response
from sandbox.aws.dynamodb_expressions import Attributes, Expression, Unknown
from sandbox.aws.stack import ACCOUNT_ID, REGION

#: A value of moto's whose own annotations do not tell its attributes.
Moto = Any

_NAMES, _VALUES = "ExpressionAttributeNames", "ExpressionAttributeValues"
_GET: Final = frozenset({"TableName", "Key", "ConsistentRead"})
_UPDATE: Final = frozenset(
    {"TableName", "Key", "UpdateExpression", "ConditionExpression", "ReturnValues", _NAMES, _VALUES}
)
_QUERY: Final = frozenset({"TableName", "IndexName", "KeyConditionExpression", "FilterExpression", _NAMES, _VALUES})
#: Which values are as they are in JSON; sets and lists are lists of such.
_PLAIN: Final = frozenset({"S", "N", "BOOL"})
_SETS: Final = frozenset({"SS", "NS"})


def serve(boundary: Boundary) -> None:
    """Answer what can be answered quickly; before any correction of moto's answers."""
    for name, answer in {"GetItem": get_item, "UpdateItem": update_item, "Query": query}.items():

        def correction(params: Params, proceed: Proceed, answer: Any = answer) -> Response:
            try:
                answered: Response = answer(params)
            except Unknown:
                return proceed()
            return answered

        boundary.correct(f"dynamodb.{name}", correction)


def get_item(params: Params) -> Response:
    """What GetItem answers.

    Raises:
        Unknown: moto knows.
    """
    _require(params.keys() <= _GET)
    item = _item(_table(params), params["Key"])
    return {} if item is None else {"Item": _json_of(item.attrs)}


def update_item(params: Params) -> Response:
    """What UpdateItem answers, once it is done.

    Raises:
        Unknown: moto knows, and nothing is done.
        AwsError: ConditionalCheckFailedException.
    """
    _require(params.keys() <= _UPDATE)
    names, values = params.get(_NAMES, {}), _typed(params.get(_VALUES, {}))
    update = expressions.update(params.get("UpdateExpression", ""), names)
    condition = expressions.condition(params.get("ConditionExpression"), names)
    _require_all_used(params, update, condition)
    table, returned = _table(params), params.get("ReturnValues", "NONE")
    item = _item(table, params["Key"])
    # What makes an item, or changes a key or an index's key, has rules of its own.
    keys = {each["AttributeName"] for each in table.attr}
    changed = {*(name for name, _ in update.meaning.sets), *update.meaning.removes}
    _require(item is not None and not changed & keys and returned in {"NONE", "ALL_NEW"} and table.stream_shard is None)
    if not condition.meaning(item.attrs, values):
        raise AwsError("ConditionalCheckFailedException", "The conditional request failed")
    after = {**item.attrs, **{name: value(item.attrs, values) for name, value in update.meaning.sets}}
    for name in update.meaning.removes:
        after.pop(name, None)
    response = {"Attributes": _json_of(after)} if returned == "ALL_NEW" else {}
    item.attrs.clear()
    item.attrs.update(after)
    return response


def query(params: Params) -> Response:
    """What a Query of one value of an index's hash key answers.

    Raises:
        Unknown: moto knows.
    """
    _require(params.keys() <= _QUERY and "IndexName" in params)
    names, values = params.get(_NAMES, {}), _typed(params.get(_VALUES, {}))
    table = _table(params)
    index: Moto = next((each for each in table.global_indexes if each.name == params["IndexName"]), None)
    _require(index is not None)
    hash_key = next(each["AttributeName"] for each in index.schema if each["KeyType"] == "HASH")
    _require(params.get("KeyConditionExpression", "").split()[:2] == [hash_key, "="])
    of_key, of_filter = (expressions.condition(params.get(name), names) for name in _CONDITIONS)
    _require_all_used(params, of_key, of_filter)
    keys = list(dict.fromkeys([*(each["AttributeName"] for each in index.schema), *table.table_key_attrs]))
    found = [item for item in table.all_items() if all(key in item.attrs for key in keys)]
    found = [item for item in found if of_key.meaning(item.attrs, values)]
    _require(sum(item.size() for item in found) < RESULT_SIZE_LIMIT)
    found.sort(key=lambda item: [item.attrs[key].value for key in keys])
    shown = [_projected(item.attrs, index.projection, keys) for item in found]
    passed = [_json_of(attributes) for attributes in shown if of_filter.meaning(attributes, values)]
    return {"Count": len(passed), "ScannedCount": len(found), "Items": passed}


_CONDITIONS: Final = ("KeyConditionExpression", "FilterExpression")


def _projected(attributes: Attributes, projection: Mapping[str, Any], keys: list[str]) -> Attributes:
    if projection["ProjectionType"] == "ALL":
        return attributes
    shown = [*keys, *projection.get("NonKeyAttributes", ())]
    return {name: attributes[name] for name in shown if name in attributes}


def _table(params: Params) -> Moto:
    table = dynamodb_backends[ACCOUNT_ID][REGION].tables.get(params["TableName"])
    # Keys are strings wherever this is asked for; of another kind they are moto's.
    _require(table is not None and all(each["AttributeType"] == "S" for each in table.attr))
    return table


def _item(table: Moto, key: Mapping[str, dict[str, Any]]) -> Moto:
    """moto's own item under a whole key; None where there is none."""
    _require(key.keys() == set(table.table_key_attrs) and all(value.get("S") for value in key.values()))
    return table.get_item(*(DynamoType(key[name]) for name in table.table_key_attrs))


def _require(ordinary: Any) -> None:
    if not ordinary:
        raise Unknown


def _require_all_used(params: Params, *read: Expression[Any]) -> None:
    given = {*params.get(_NAMES, {}), *params.get(_VALUES, {})}
    _require(all(params.get(name, True) for name in (_NAMES, _VALUES)))
    _require(given == frozenset().union(*(each.placeholders for each in read)))


def _typed(values: Mapping[str, Mapping[str, Any]]) -> dict[str, DynamoType]:
    """The values of a call as moto keeps them."""
    for value in values.values():
        _require_plain(value)
    return {
        name: DynamoType({kind: list(content)} if kind in _SETS else {kind: content})
        for name, ((kind, content),) in ((name, tuple(value.items())) for name, value in values.items())
    }


def _require_plain(value: Mapping[str, Any]) -> None:
    ((kind, content),) = value.items()
    _require(kind in _PLAIN or (kind in _SETS and content) or kind == "L")
    if kind == "L":
        for each in content:
            _require_plain(each)


def _json_of(attributes: Attributes) -> dict[str, Any]:
    return {name: _json(value) for name, value in attributes.items()}


def _json(value: DynamoType) -> dict[str, Any]:
    if value.type in _PLAIN:
        return {value.type: value.value}
    if value.type in _SETS:
        return {value.type: list(value.value)}
    if value.type == "L":
        return {"L": [_json(each) for each in value.value]}
    if value.type == "M":
        return {"M": _json_of(value.value)}
    raise Unknown
