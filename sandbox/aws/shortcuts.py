"""What moto and botocore work out anew for every call although it never changes, worked out once.

Nothing here is a rule of AWS: a world gives the same story without it, and takes longer.
"""

from __future__ import annotations

import copy
import functools
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.machinery import SourceFileLoader
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import moto.core.models
import moto.core.responses
from botocore.awsrequest import AWSPreparedRequest
from botocore.httpsession import URLLib3Session
from botocore.loaders import JSONFileLoader
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from moto import backend_index, backends
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.request import normalize_request
from moto.core.serialize import XFormedAttributePicker
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node  # type: ignore[attr-defined] # as below
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined] # moto hides it from mypy
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service
from moto.stepfunctions.parser.asl.eval import states
from moto.stepfunctions.parser.asl.utils import boto_client
from werkzeug.exceptions import HTTPException

from sandbox.aws.runtime import ACCOUNT_ID


@contextmanager
def installed() -> Iterator[None]:
    """Take the shortcuts, in this process; before moto is started, so that it starts quickly too."""
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


def _file_loaded(loader: JSONFileLoader, path: str) -> Any:
    """A service's model, for every session of this process: sessions add to it what another one added already."""
    if path not in _FILES:
        _FILES[path] = _LOAD(loader, path)
    return _FILES[path]


def _projected(item: Item, expressions: list[list[str]]) -> Item:
    """A part of an item; moto would make the whole of it plain anew for each attribute."""
    plain = functools.cache(item.to_regular_json)
    once: Any = SimpleNamespace(hash_key=item.hash_key, range_key=item.range_key, to_regular_json=plain)
    return _PROJECT(once, expressions)


def _unconnected(*_: Any, **__: Any) -> None:
    """A client's connections: nothing is sent over any, and reading the certificates for them takes long."""


def _code_of(loader: SourceFileLoader, data: bytes, path: str, **more: Any) -> Any:
    """A module's code: each process imports our modules anew, and where no bytecode is kept each would compile them."""
    if (path, data) not in _CODE:
        _CODE[path, data] = _COMPILE(loader, data, path, **more)
    return _CODE[path, data]


def _process_request(stubber: BotocoreStubber, request: AWSPreparedRequest) -> Any:
    """An answer by what moto has for the URL; it would try some hundred patterns for every call."""
    answer = _answering(request.url.partition("?")[0])
    if answer is None:
        return _PROCESS(stubber, request)
    normalized = normalize_request(request)
    try:
        return answer(normalized, normalized.raw_url, normalized.headers)
    except HTTPException as error:
        return error.code, error.get_headers(), error.get_body()


@functools.lru_cache(maxsize=4096)
def _answering(url: str) -> Callable[..., Any] | None:
    """Of the service whose pattern comes first the method whose pattern does; None where no service's own says so."""
    service = next((name for name, pattern in backend_index.backend_url_patterns if pattern.match(url)), None)
    if service is None:
        return None
    regions: Any = backends.get_backend(service)[ACCOUNT_ID]  # type: ignore[call-overload]
    urls = regions["us-east-1" if "us-east-1" in regions else "aws"].urls
    return next((method for pattern, method in urls.items() if re.match(pattern, url)), None)


def _traverse(traverser: DepthFirstTraverser, root: Any) -> Any:
    """The same walk; moto would ask at every node which kinds of node are processed."""
    processed = traverser._processing_map()
    kinds = tuple(processed)

    def walk(node: Any, number: int) -> Any:
        if not isinstance(node, Node):
            return node
        parent = node.parent
        for index, child in enumerate(node.children or ()):
            traverser.pre_processing_of_child(node, index)
            walk(child, index)
        if isinstance(node, kinds):
            node = next(process for kind, process in processed.items() if isinstance(node, kind))(node)
            node.parent = parent
            if parent:
                parent.children[number] = node
        return node

    return walk(root, -1)


def _expression_copied(value: Any) -> Any:
    """A copy, quick where it is of a parsed expression: nobody changes those."""
    if not isinstance(value, Node):
        return copy.deepcopy(value)
    return pickle.loads(_pickled(value))  # noqa: S301 - what was pickled here


@functools.lru_cache(maxsize=256)
def _pickled(expression: Any) -> bytes:
    return pickle.dumps(expression, pickle.HIGHEST_PROTOCOL)


def _json_copied(value: Any) -> Any:
    """A copy of what is JSON most of the time, without a memory of what was copied already."""
    if isinstance(value, dict):
        return {key: _json_copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json_copied(each) for each in value]
    return value if value is None or isinstance(value, (str, int, float)) else copy.deepcopy(value)


_PROCESS = BotocoreStubber.process_request
_FIND_KEYS = XFormedAttributePicker.get_possible_keys
_KEYS: dict[Any, tuple[str, ...]] = {}
_DESCRIBE = UserAgentString.to_string
_AGENTS: WeakKeyDictionary[UserAgentString, str] = WeakKeyDictionary()
_LOAD = JSONFileLoader.load_file
_FILES: dict[str, Any] = {}
_PROJECT = Item.project
_COMPILE = SourceFileLoader.source_to_code
_CODE: dict[tuple[str, bytes], Any] = {}

_SHORTCUTS: tuple[tuple[Any, str, Any], ...] = (
    (XFormedAttributePicker, "get_possible_keys", _possible_keys),
    (moto.core.responses, "method_names_from_class", functools.cache(method_names_from_class)),
    (Item, "project", _projected),
    # What it parses is only read, and copied by those who change it.
    (UpdateExpressionParser, "make", functools.lru_cache(maxsize=256)(UpdateExpressionParser.make)),
    (validators, "deepcopy", _expression_copied),
    (DepthFirstTraverser, "traverse", _traverse),
    (states, "copy", SimpleNamespace(deepcopy=_json_copied)),
    (result_path, "copy", SimpleNamespace(deepcopy=_json_copied)),
    (state_task_service, "copy", SimpleNamespace(deepcopy=_json_copied)),
    (result_path, "parse", functools.lru_cache(maxsize=64)(result_path.parse)),  # type: ignore[attr-defined] # as above
    (BotocoreStubber, "process_request", _process_request),
    # For calls that are not made by the SDK; nobody makes any.
    (moto.core.models, "RESPONSES_METHODS", ()),
    (UserAgentString, "to_string", _user_agent),
    (RequestSigner, "sign", _unsigned),
    (JSONFileLoader, "load_file", _file_loaded),
    (SourceFileLoader, "source_to_code", _code_of),
    (URLLib3Session, "__init__", _unconnected),
)


def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:  # noqa: ARG001 - moto's names
    """One client per service and Region, where moto makes one per Task; it holds no state of an account."""
    return _client(region, service)


@functools.cache
def _client(region: str, service: str) -> Any:
    return boto_client.boto_client_for(region=region, service=service)
