"""What moto and botocore work out anew for every call although it never changes, worked out once.

Nothing here is a rule of AWS: a world gives the same story without it, and takes longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import moto.core.responses
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from moto.core.serialize import XFormedAttributePicker
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined] # moto hides it from mypy
from moto.stepfunctions.parser.asl.utils import boto_client


@contextmanager
def installed() -> Iterator[None]:
    """Take the shortcuts, in this process."""
    with ExitStack() as patches:
        for target, name, replacement in _SHORTCUTS:
            patches.enter_context(patch.object(target, name, replacement))
        yield


def _possible_keys(picker: Any, context: Any) -> tuple[str, ...]:
    """Under which names a member of a response may be found: depends on its shape and on its holder's class."""
    member = context.shape, context.key, type(context.obj)
    if member not in _KEYS:
        _KEYS[member] = tuple(dict.fromkeys(_FIND_KEYS(picker, context)))
    return _KEYS[member]


def _user_agent(agent: UserAgentString) -> str:
    """A client's own, without what it says of each single call: nobody here reads it."""
    if agent not in _AGENTS:
        _AGENTS[agent] = _DESCRIBE(agent)
    return _AGENTS[agent]


def _unsigned(*_: Any, **__: Any) -> None:
    """Nobody here checks a signature: who calls is known (`boundary.identity`)."""


def _projected(item: Item, expressions: list[list[str]]) -> Item:
    """A part of an item; moto would make the whole of it plain anew for each attribute."""
    plain = functools.cache(item.to_regular_json)
    once: Any = SimpleNamespace(hash_key=item.hash_key, range_key=item.range_key, to_regular_json=plain)
    return _PROJECT(once, expressions)


_FIND_KEYS = XFormedAttributePicker.get_possible_keys
_KEYS: dict[Any, tuple[str, ...]] = {}
_DESCRIBE = UserAgentString.to_string
_AGENTS: WeakKeyDictionary[UserAgentString, str] = WeakKeyDictionary()
_PROJECT = Item.project

_SHORTCUTS: tuple[tuple[Any, str, Any], ...] = (
    (XFormedAttributePicker, "get_possible_keys", _possible_keys),
    (moto.core.responses, "method_names_from_class", functools.cache(method_names_from_class)),
    (Item, "project", _projected),
    # What it parses is only read, and copied by those who change it.
    (UpdateExpressionParser, "make", functools.lru_cache(maxsize=256)(UpdateExpressionParser.make)),
    (UserAgentString, "to_string", _user_agent),
    (RequestSigner, "sign", _unsigned),
)


def boto_client_for() -> Callable[..., Any]:
    """One client per service and Region, where moto makes one per Task."""
    make = boto_client.boto_client_for

    @functools.cache
    def cached(region: str, service: str) -> Any:
        return make(region=region, service=service)

    return lambda region, service, state_credentials=None: cached(region, service)  # noqa: ARG005
