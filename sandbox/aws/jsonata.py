"""JSONata as Step Functions speaks it, on jsonata-python: null is not undefined, and some functions are its own."""

from __future__ import annotations

import functools
import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

#: Whatever jsonata-python raises where an expression fails.
FAILURES = (JException, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class NotJson(Exception):
    """A JSONata result that is no JSON value; the message says what the expression did."""


@functools.lru_cache(maxsize=1024)
def _compiled(expression: str) -> Jsonata:
    return Jsonata(expression)


def evaluate(expression: str, bindings: Mapping[str, Any]) -> Any:
    """The value of an expression, as JSON; bindings are values of `to_jsonata`, by name.

    Raises:
        NotJson: the expression has no value, or none that JSON knows.
    """
    compiled = _compiled(expression)
    Jsonata.CURRENT.jsonata = compiled  # jsonata-python evaluates with whichever was made last
    compiled.set_output_convert_nulls(False)
    value = compiled.evaluate(None, bindings)
    if value is None:
        raise NotJson("returned nothing (undefined).")
    return _from_jsonata(value)


def to_jsonata(value: Any) -> Any:
    """A copy for jsonata-python, which tells null from undefined."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, dict):
        return {key: to_jsonata(each) for key, each in value.items()}
    if isinstance(value, list):
        return [to_jsonata(each) for each in value]
    return timestamp(value) if isinstance(value, datetime) else value


def _from_jsonata(value: Any) -> Any:
    if value is Utils.NULL_VALUE:
        return None
    if isinstance(value, dict):
        return {key: _from_jsonata(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_from_jsonata(value[index]) for index in range(len(value))]  # a RangeList iterates one short
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise NotJson("returned an unsupported result type.")


def functions(draws: random.Random) -> dict[str, Any]:
    """Step Functions' own JSONata functions, and $eval, which it does not allow."""

    def seeded(seed: Any = None) -> float:
        return draws.random() if seed is None else random.Random(repr(seed)).random()

    def parse(text: str) -> Any:
        return to_jsonata(json.loads(text))

    def digest(value: Any, algorithm: str) -> str:
        content = value if isinstance(value, str) else as_json(_from_jsonata(value))
        return hashlib.new(algorithm.replace("-", "").lower(), content.encode()).hexdigest()

    def partition(array: list[Any], size: int) -> list[list[Any]]:
        return [array[start : start + size] for start in range(0, len(array), size)]

    def numbers(first: int, last: int, step: int) -> list[int]:
        return list(range(first, last + (1 if step > 0 else -1), step))

    made = {
        "random": seeded,
        "parse": parse,
        "hash": digest,
        "partition": partition,
        "range": numbers,
        "uuid": functools.partial(identifier, draws),
    }
    return {"eval": None, **{name: Jsonata.JLambda(function) for name, function in made.items()}}


def identifier(draws: random.Random) -> str:
    """A UUID that the seed decides."""
    return str(uuid.UUID(int=draws.getrandbits(128), version=4))


def as_json(value: Any) -> str:
    """The value as compact JSON."""
    return json.dumps(value, separators=(",", ":"), default=timestamp)


def timestamp(value: datetime) -> str:
    """A moment as Step Functions writes it."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
