"""JSON that somebody else wrote: it may be anything, and what is wrong with it is said in plain words."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

_MOST_TOLD, _SHOWN = 50, 80
_CONTROL = "Invalid control character"
#: What Python's reader says, by the beginning of it, and what stands there in truth.
_PLAIN_MESSAGES = {
    "Expecting value": "a value is missing",
    "Expecting ',' delimiter": "a comma, or the end of the list or object, is missing",
    "Expecting ':' delimiter": "a colon is missing after the key",
    "Expecting property name": "a key in double quotes is missing",
    "Extra data": "something follows the end",
    "Illegal trailing comma": "a comma has nothing after it",
    "Invalid \\": "the text has a backslash that means nothing: write two",
    _CONTROL: "the text has a line's end or a tab in it: write \\n or \\t",
    "Unterminated string": "the text has no closing quotes",
}


class Unreadable(ValueError):
    """A document is none; the message says why, after its name, and `problems` each by itself where there are more."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


def parsed(text: object) -> Any:
    """The value of a JSON text; None where it is none, or one that is nested more deeply than can be read."""
    try:
        return json.loads(text) if isinstance(text, (str, bytes)) else None
    except (ValueError, RecursionError):
        return None


def as_object(value: object) -> dict[str, Any]:
    """An object as it is; an empty one where the value is anything else."""
    return value if isinstance(value, dict) else {}


def read(text: str) -> Any:
    """The value of a JSON text that a person wrote, in which no object has a key twice, and all numbers are finite.

    Raises:
        Unreadable: it is none.
    """
    wrong: list[str] = []

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        wrong.extend(repeated([key for key, _ in pairs]))
        return dict(pairs)

    def not_finite(name: str) -> None:
        wrong.append(f"{name} is no number")

    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=once,
            parse_constant=not_finite,
            parse_float=lambda number: fraction(number, wrong),
        )
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {_place(error)}") from None
    except ValueError:
        raise Unreadable("is not JSON: a number has too many digits") from None
    except RecursionError:
        too_deep()
    require_usable(wrong)
    return value


def fraction(text: str, wrong: list[str]) -> float:
    """The number; `wrong` is told of one that is larger than any that a program keeps (1.8e308)."""
    number = float(text)
    if math.isinf(number):
        wrong.append(f"the number {text[:_SHOWN]} is too large")
    return number


def repeated(keys: Sequence[str]) -> list[str]:
    """What is to be said of keys that stand more than once in one object, of which a reader would drop all but one."""
    return [repeats(key) for key, times in Counter(keys).items() if times > 1]


def repeats(key: str) -> str:
    """As `repeated`, of one of them."""
    return f"the key {key[:_SHOWN]!r} is there twice"


def require_usable(wrong: Sequence[str]) -> None:
    """Refuse a document that could be read, and means nothing certain.

    Raises:
        Unreadable: something is wrong.
    """
    said = list(dict.fromkeys(wrong))
    if len(said) > _MOST_TOLD:
        said[_MOST_TOLD:] = [f"and {len(said) - _MOST_TOLD:,} more of the kind"]
    if said:
        raise Unreadable(f"cannot be used: {'; '.join(said)}", said if len(said) > 1 else ())


def too_deep() -> NoReturn:
    """Refuse a document whose objects and lists hold more of their kind than anything could read.

    Raises:
        Unreadable: always.
    """
    raise Unreadable("is nested too deeply") from None


def _place(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "it is empty"
    if error.msg.startswith(_CONTROL) and (found := error.doc[error.pos]) not in "\t\r\n":
        said = f"the text has a control character in it: write it as \\u{ord(found):04x}"
        return f"line {error.lineno}, column {error.colno}: {said}"
    said = next((plain for begins, plain in _PLAIN_MESSAGES.items() if error.msg.startswith(begins)), "it ends there")
    return f"line {error.lineno}, column {error.colno}: {said}"
