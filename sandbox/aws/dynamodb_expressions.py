"""DynamoDB's expressions as functions, for what the commonest calls write: worked out once for each text.

Whatever is not known here is `Unknown`, and moto's to answer or to refuse: paths into documents, arithmetic, names that
are reserved, mistakes. Developer guide, "Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Meaning = TypeVar("Meaning")
Each = TypeVar("Each")

Attributes = Mapping[str, DynamoType]
#: An item's attributes and the expression's values in, what the expression says out.
Test = Callable[[Attributes, Attributes], bool]
Value = Callable[[Attributes, Attributes], DynamoType]

_TOKEN: Final = re.compile(r"\s*(?:([:#]?\w+)|(<=|>=|<>|[=<>(),]))")
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
_RESERVED: Final = frozenset(ReservedKeywords.get_reserved_keywords())


class Unknown(Exception):
    """moto's to answer."""


@dataclass(frozen=True, slots=True)
class Update:
    """What an update sets each attribute to, worked out of the item as it was; and what it removes."""

    sets: tuple[tuple[str, Value], ...]
    removes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expression(Generic[Meaning]):
    """What an expression means, and which placeholders it names: a call must give those and no others."""

    meaning: Meaning
    placeholders: frozenset[str]


class _Words:
    """The tokens of an expression, taken from the left; `names` are those of the call."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._tokens = list(_tokens(text))
        self._names = names
        self.placeholders: set[str] = set()

    @property
    def next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def take(self, *expected: str) -> str:
        if not self._tokens or (expected and self._tokens[0] not in expected):
            raise Unknown
        return self._tokens.pop(0)

    def takes(self, word: str) -> bool:
        """Take that word, if it is next."""
        return self.next == word and bool(self.take())

    def attribute(self) -> str:
        word = self.take()
        if word.startswith("#"):
            self.placeholders.add(word)
            if word in self._names:
                return self._names[word]
        elif word.isidentifier() and word.upper() not in _RESERVED:
            return word
        raise Unknown

    def value(self) -> str:
        word = self.take()
        if not word.startswith(":"):
            raise Unknown
        self.placeholders.add(word)
        return word

    def listed(self, each: Callable[[], Each]) -> list[Each]:
        found = [each()]
        while self.takes(","):
            found.append(each())
        return found

    def expression(self, meaning: Meaning) -> Expression[Meaning]:
        if self._tokens:
            raise Unknown
        return Expression(meaning, frozenset(self.placeholders))


def _tokens(text: str) -> Iterator[str]:
    at, text = 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unknown
        at = match.end()
        yield match[1] or match[2]


# --- Conditions -------------------------------------------------------------------------------------------------------


def condition(text: str | None, names: Mapping[str, str]) -> Expression[Test]:
    """A condition, or a filter; None holds always.

    Raises:
        Unknown: it is moto's.
    """
    return _condition(text, frozenset(names.items()))


@lru_cache(maxsize=256)
def _condition(text: str | None, names: frozenset[tuple[str, str]]) -> Expression[Test]:
    if text is None:
        return Expression(lambda _, __: True, frozenset())
    words = _Words(text, dict(names))
    return words.expression(_any(words))


def _any(words: _Words) -> Test:
    tests = [_all(words)]
    while words.takes("OR"):
        tests.append(_all(words))
    return tests[0] if len(tests) == 1 else lambda item, values: any(test(item, values) for test in tests)


def _all(words: _Words) -> Test:
    tests = [_one(words)]
    while words.takes("AND"):
        tests.append(_one(words))
    return tests[0] if len(tests) == 1 else lambda item, values: all(test(item, values) for test in tests)


def _one(words: _Words) -> Test:
    if words.takes("("):
        inner = _any(words)
        words.take(")")
        return inner
    if words.next in {"attribute_exists", "attribute_not_exists"}:
        exists = words.take() == "attribute_exists"
        words.take("(")
        name = words.attribute()
        words.take(")")
        return lambda item, _: (name in item) is exists
    if words.takes("contains"):
        words.take("(")
        name, _, value = words.attribute(), words.take(","), words.value()
        words.take(")")
        return lambda item, values: name in item and _contains(item[name], values[value])
    return _comparison(words)


def _comparison(words: _Words) -> Test:
    name, compared, value = words.attribute(), _COMPARED[words.take(*_COMPARED)], words.value()

    def test(item: Attributes, values: Attributes) -> bool:
        if name not in item:
            return False
        one, other = item[name], values[value]
        if one.type != other.type or one.type not in {"S", "N"}:
            raise Unknown
        if one.type == "N":
            return compared(Decimal(one.value), Decimal(other.value))
        return compared(one.value, other.value)

    return test


def _contains(whole: DynamoType, part: DynamoType) -> bool:
    if (whole.type, part.type) != ("SS", "S"):
        raise Unknown
    return part.value in whole.value


# --- Updates ----------------------------------------------------------------------------------------------------------


def update(text: str, names: Mapping[str, str]) -> Expression[Update]:
    """An update.

    Raises:
        Unknown: it is moto's.
    """
    return _update(text, frozenset(names.items()))


@lru_cache(maxsize=256)
def _update(text: str, names: frozenset[tuple[str, str]]) -> Expression[Update]:
    words = _Words(text, dict(names))
    clauses = {"SET": lambda: _set(words), "REMOVE": words.attribute, "ADD": lambda: _add(words)}
    found: dict[str, list[Any]] = {}
    while words.next or not found:
        clause = words.take(*(clauses.keys() - found.keys()))
        found[clause] = words.listed(clauses[clause])
    sets, removes = (*found.get("SET", ()), *found.get("ADD", ())), tuple(found.get("REMOVE", ()))
    changed = [name for name, _ in sets] + list(removes)
    if len(changed) != len(set(changed)):
        raise Unknown
    return words.expression(Update(sets, removes))


def _set(words: _Words) -> tuple[str, Value]:
    name, _ = words.attribute(), words.take("=")
    if not words.takes("list_append"):
        return name, _operand(words)
    words.take("(")
    first, _, second = _operand(words), words.take(","), _operand(words)
    words.take(")")

    def appended(item: Attributes, values: Attributes) -> DynamoType:
        one, other = first(item, values), second(item, values)
        if one.type != "L" or other.type != "L":
            raise Unknown
        return _of("L", [*one.value, *other.value])

    return name, appended


def _operand(words: _Words) -> Value:
    if not words.takes("if_not_exists"):
        given = words.value()
        return lambda _, values: values[given]
    words.take("(")
    name, _, otherwise = words.attribute(), words.take(","), words.value()
    words.take(")")
    return lambda item, values: item[name] if name in item else values[otherwise]


def _add(words: _Words) -> tuple[str, Value]:
    name, given = words.attribute(), words.value()

    def added(item: Attributes, values: Attributes) -> DynamoType:
        more = values[given]
        if more.type not in {"N", "SS", "NS"} or (name in item and item[name].type != more.type):
            raise Unknown
        if more.type == "N":
            return item.get(name, DynamoType({"N": "0"})) + more
        return _of(more.type, list(dict.fromkeys([*(item[name].value if name in item else ()), *more.value])))

    return name, added


def _of(kind: str, content: list[Any]) -> DynamoType:
    """A value of values that are moto's already, which its own way of making one would copy."""
    made = DynamoType({"S": ""})
    made.type, made.value = kind, content
    return made
