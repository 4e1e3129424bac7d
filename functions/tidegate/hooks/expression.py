"""JMESPath over what somebody else answered: the work of it is bounded, and what goes wrong is said in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jmespath
from jmespath.exceptions import (
    ArityError,
    EmptyExpressionError,
    IncompleteExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
    UnknownFunctionError,
)
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

#: What an expression may do over nothing, and over each part of a document, counted in parts visited and made.
_WORK, _WORK_A_PART = 100_000, 50

#: What jmespath lets through of its own code: `floor` of infinity, `<` of a text and a number, a slice of step 0.
_UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class ExpressionInvalid(ValueError):
    """The text is no JMESPath, or none that anything could be held against; the message is the end of a sentence."""


class NotApplicable(ValueError):
    """The expression gives nothing for this document; the message is a part of a sentence."""


def require_valid(expression: str) -> None:
    """Refuse an expression that can never be true.

    Raises:
        ExpressionInvalid: it is no JMESPath, calls what JMESPath does not have, or takes too much work.
    """
    try:
        with _own_words(expression):
            jmespath.compile(expression)
    except NotApplicable as error:
        raise ExpressionInvalid(f"cannot be used: {error}") from None
    # Most of JMESPath makes null of null, so that what doubles its work is seen to over an object.
    documents: tuple[Any, ...] = (None, {})
    for document in documents:
        # A function may not take these, which the real answer need not be.
        with suppress(NotApplicable):
            search(expression, document)


def search(expression: str, document: Any) -> Any:
    """What the expression gives for a JSON value.

    Raises:
        ExpressionInvalid: as `require_valid`.
        NotApplicable: it cannot be held against this document.
    """
    with _own_words(expression):
        return _Bounded(document).visit(jmespath.compile(expression).parsed, document)


class _TooMuchWork(Exception):
    pass


class _Bounded(TreeInterpreter):
    """Counts what is visited and made: `[@,@][]|[@,@][]` doubles the document with every eight characters."""

    def __init__(self, document: Any) -> None:
        super().__init__()
        #: The parts of what was met, by its identity, and itself, so that its identity stays its own.
        self._known: dict[int, tuple[int, Any]] = {}
        self._left = _WORK + _WORK_A_PART * self._parts(document)

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        made = super().visit(node, *args, **kwargs)
        self._left -= 1 if id(made) in self._known else 1 + self._parts(made)
        if self._left < 0:
            raise _TooMuchWork
        return made

    def _parts(self, value: Any) -> int:
        """How many parts the value has where it is written out, one that is held twice counted twice."""
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, (list, dict)):
            return 1
        if id(value) not in self._known:
            inside = value if isinstance(value, list) else value.values()
            self._known[id(value)] = (1 + sum(map(self._parts, inside)), value)
        return self._known[id(value)][0]


@contextmanager
def _own_words(expression: str) -> Iterator[None]:
    try:
        yield
    except _TooMuchWork:
        raise ExpressionInvalid("takes too much work: make it simpler") from None
    except (ParseError, EmptyExpressionError, UnknownFunctionError) as error:
        raise ExpressionInvalid(f"is not JMESPath: {_why(error, expression)}") from None
    except JMESPathTypeError as error:
        raise NotApplicable(f"{error.function_name}() does not take {_KINDS.get(error.actual_type, 'this')}") from None
    except RecursionError:
        raise NotApplicable("it is nested too deeply") from None
    except _UNFORESEEN:
        raise NotApplicable("it computes or compares what cannot be") from None


#: JMESPath's kinds of values (its specification, "Data Types").
_KINDS = {
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "expref": "an expression",
}


def _why(error: JMESPathError, expression: str) -> str:
    if isinstance(error, EmptyExpressionError):
        return "it is empty"
    if isinstance(error, UnknownFunctionError):
        called = (name for name in re.findall(r"(\w+)\(", expression) if name not in Functions.FUNCTION_TABLE)
        return f"it has no function {next(called, 'of this name')}"
    if isinstance(error, ArityError):
        return f"{error.function_name}() takes {error.expected_arity} values, and is given {error.actual_arity}"
    if isinstance(error, IncompleteExpressionError):
        return "it ends too early"
    position = error.lexer_position if isinstance(error, LexerError) else getattr(error, "lex_position", None) or 0
    return f"it cannot be read from character {position + 1} on"
