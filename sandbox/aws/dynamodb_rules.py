"""What moto gets wrong about DynamoDB, put right: repeated transactions, the size of an item, and reads that lag."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

from sandbox.aws import dynamodb_quick
from sandbox.aws.boundary import AwsError, Boundary, Params, Proceed, Response
from sandbox.aws.clock import Clock
from sandbox.aws.past import Past
from sandbox.aws.stack import ACCOUNT_ID, REGION

#: Developer guide, "Quotas in Amazon DynamoDB": an item holds 400 KB, names and values.
MAX_ITEM_BYTES: Final = 400 * 1024
#: An item is measured after a write only where it may come to this part of the limit: no update copies it thrice.
_PLAUSIBLE_PART: Final = 4
_TOO_LARGE: Final = "Item size has exceeded the maximum allowed size"
_UPDATED_TOO_LARGE: Final = "Item size to update has exceeded the maximum allowed size"
_WRITES: Final = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")

#: A value of moto's whose own annotations do not tell its attributes.
Moto = Any


class DynamoDbRules:
    """DynamoDB's rules around moto's.

    Tables are remembered for `stale_seconds`, which costs a copy at each write; 0: not at all.
    """

    def __init__(self, boundary: Boundary, clock: Clock, stale_seconds: float = 0.0) -> None:
        self._clock = clock
        self._stale_seconds = stale_seconds
        self._answered: dict[str, Response] = {}
        self._past: defaultdict[str, Past[Moto]] = defaultdict(Past)
        dynamodb_quick.serve(boundary)
        boundary.correct("dynamodb.PutItem", self._put_item)
        boundary.correct("dynamodb.UpdateItem", self._update_item)
        boundary.correct("dynamodb.TransactWriteItems", self._transact_write_items)
        if stale_seconds:
            for call in _WRITES:
                boundary.correct(f"dynamodb.{call}", self._remember)
        for call in ("GetItem", "Query"):
            boundary.recall(f"dynamodb.{call}", self._recall)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put aside moto's own limit, in this process: another one, counted in another way, at every attribute."""
        with patch.object(LimitedSizeDict, "__setitem__", dict.__setitem__):
            yield

    # --- Transactions -------------------------------------------------------------------------------------------------

    def _transact_write_items(self, params: Params, proceed: Proceed) -> Response:
        """Repeating a transaction under the same client token within ten minutes writes nothing and succeeds.

        API reference, TransactWriteItems, "Idempotency": the SDK sends a token with every transaction, so that its own
        retry after a lost response is harmless. moto performs the transaction again.
        """
        token = params.get("ClientRequestToken")
        if token in self._answered:
            return self._answered[token]
        response = self._transact(params["TransactItems"], proceed)
        if token:
            self._answered[token] = response
        return response

    def _transact(self, actions: list[Params], proceed: Proceed) -> Response:
        """API reference, TransactionCanceledException: an item that becomes too large cancels everything. Which text an
        item has that is put, and not updated, is written nowhere: that of PutItem (chosen).
        """
        writes = [(kind, write) for action in actions for kind, write in action.items() if kind in {"Put", "Update"}]
        places = {id(write): _Place.of(write) for _, write in writes}
        plausible = any(places[id(write)].may_outgrow(write) for _, write in writes)
        undo = [place.undo() for place in places.values()] if plausible else []
        response = proceed()
        if not plausible:
            return response
        messages = {"Put": _TOO_LARGE, "Update": _UPDATED_TOO_LARGE}
        reasons = [
            {"Code": "ValidationError", "Message": messages[kind]}
            if id(write) in places and places[id(write)].bytes > MAX_ITEM_BYTES
            else {"Code": "None"}
            for action in actions
            for kind, write in action.items()
        ]
        codes = [reason["Code"] for reason in reasons]
        if "ValidationError" in codes:
            for step in undo:
                step()
            message = (
                f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
            )
            raise AwsError("TransactionCanceledException", message, extra={"CancellationReasons": reasons})
        return response

    # --- The size of an item ------------------------------------------------------------------------------------------

    def _put_item(self, params: Params, proceed: Proceed) -> Response:
        if item_bytes(params["Item"]) > MAX_ITEM_BYTES:
            raise AwsError("ValidationException", _TOO_LARGE)
        return proceed()

    def _update_item(self, params: Params, proceed: Proceed) -> Response:
        place = _Place.of(params)
        if not place.may_outgrow(params):
            return proceed()
        undo = place.undo()
        response = proceed()
        if place.bytes > MAX_ITEM_BYTES:
            undo()
            raise AwsError("ValidationException", _UPDATED_TOO_LARGE)
        return response

    # --- Reads that lag -----------------------------------------------------------------------------------------------

    def _remember(self, _: Params, proceed: Proceed) -> Response:
        response, now = proceed(), self._clock.now()
        for name, table in _tables().items():
            self._past[name].note(now, copy.deepcopy(table.items))
            self._past[name].forget_before(now - self._stale_seconds)
        return response

    def _recall(self, params: Params, proceed: Proceed, moment: float) -> Response:
        """Have moto read the table as it was. Nobody else has a turn meanwhile: moto does not wait for the clock."""
        table = _tables().get(params["TableName"])
        if table is None:
            return proceed()
        present, then = table.items, self._past[params["TableName"]].at(moment)
        table.items = defaultdict(dict) if then is None else then
        try:
            return proceed()
        finally:
            table.items = present


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a write puts its item; `table` is moto's, None where it does not exist."""

    table: Moto
    hash_key: DynamoType | None
    range_key: DynamoType | None

    @classmethod
    def of(cls, write: Params) -> _Place:
        table, key = _tables().get(write["TableName"]), write.get("Key") or write.get("Item", {})
        names = (table.hash_key_attr, table.range_key_attr) if table else (None, None)
        hash_key, range_key = (DynamoType(key[name]) if name in key else None for name in names)
        return cls(table, hash_key, range_key)

    @property
    def item(self) -> Item | None:
        """What is there, moto's own object."""
        if self.table is None or self.hash_key is None:
            return None
        found: Item | None = self.table.get_item(self.hash_key, self.range_key)
        return found

    @property
    def bytes(self) -> int:
        return item_bytes(self.item.attrs) if self.item else 0

    def may_outgrow(self, write: Params) -> bool:
        """Whether the item, once it is written, must be measured."""
        given = item_bytes(write.get("Item") or write.get("ExpressionAttributeValues") or {})
        return self.bytes + given > MAX_ITEM_BYTES // _PLAUSIBLE_PART

    def undo(self) -> Any:
        """What puts the item back as it is now."""
        return partial(self._restore, copy.deepcopy(self.item))

    def _restore(self, before: Item | None) -> None:
        if before is None:
            self.table.delete_item(self.hash_key, self.range_key)
        elif self.item is not None:
            self.item.attrs = before.attrs


def _tables() -> dict[str, Moto]:
    tables: dict[str, Moto] = dynamodb_backends[ACCOUNT_ID][REGION].tables
    return tables


def items_of(table_name: str) -> list[dict[str, Any]]:
    """Every item of a table, as the API has them: what a Scan would answer, without asking as often."""
    items = _tables()[table_name].all_items()
    return [{name: value.to_regular_json() for name, value in item.attrs.items()} for item in items]


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item, given as in the API or as moto keeps it.

    Developer guide, "DynamoDB item sizes and formats": UTF-8 bytes of names and values, and what each type adds.
    """
    return sum(_text_bytes(name) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: DynamoType | Mapping[str, Any]) -> int:
    kind, content = (value.type, value.value) if isinstance(value, DynamoType) else next(iter(value.items()))
    if kind == "M":
        return 3 + sum(1 + _text_bytes(name) + _value_bytes(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _value_bytes(each) for each in content)
    if kind in _BYTES:
        return _BYTES[kind](content)
    return sum(map(_BYTES[kind[0]], content)) if kind in {"SS", "NS", "BS"} else 1


def _text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _number_bytes(number: str) -> int:
    """A byte for each two significant digits, and one more."""
    digits = number.lower().partition("e")[0].lstrip("-+").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1


def _binary_bytes(content: bytes | str) -> int:
    """Raw bytes, which moto keeps in base64."""
    return len(content) if isinstance(content, bytes) else len(content) * 3 // 4 - content.count("=")


_BYTES: Final[Mapping[str, Callable[[Any], int]]] = {"S": _text_bytes, "N": _number_bytes, "B": _binary_bytes}
