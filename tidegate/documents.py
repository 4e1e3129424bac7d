"""Documents that people write, JSON or YAML in any encoding of Unicode; what is wrong is said in plain words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NoReturn

_MOST_TOLD, _SHOWN = 50, 80
_YAML_SUFFIXES = frozenset({".yaml", ".yml"})
#: What Python's reader says, by the beginning of it, and what stands there in truth.
_PLAIN_MESSAGES = {
    "Expecting value": "a value is missing",
    "Expecting ',' delimiter": "a comma, or the end of the list or object, is missing",
    "Expecting ':' delimiter": "a colon is missing after the key",
    "Expecting property name": "a key in double quotes is missing",
    "Extra data": "something follows the end",
    "Illegal trailing comma": "a comma has nothing after it",
    "Invalid \\": "the text has a backslash that means nothing: write two",
    "Invalid control character": "the text has a line's end or a tab in it: write \\n or \\t",
    "Unterminated string": "the text has no closing quotes",
}


class Unreadable(ValueError):
    """A document is none; the message says why, after its name."""


def read(content: bytes, name: str) -> Any:
    """The value in a file's content: YAML where its name says so, or where it has none and it begins like no JSON.

    Raises:
        Unreadable: it is neither.
    """
    text = decoded(content)
    suffix = PurePath(name).suffix.lower()
    begins = text.lstrip()[:1]
    if suffix in _YAML_SUFFIXES or (not suffix and begins and begins not in '{["'):
        from tidegate.yaml_text import parsed_yaml  # noqa: PLC0415 - most documents are JSON

        return parsed_yaml(text)
    return parsed(text)


def decoded(content: bytes) -> str:
    """The text of a file, with or without a byte-order mark: PowerShell writes one.

    Raises:
        Unreadable: it is no text.
    """
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"is no text in UTF-8: byte {error.start + 1} cannot be read") from None


def parsed(text: str) -> Any:
    """The value of a JSON text, in which no object has a key twice.

    Raises:
        Unreadable: it is none.
    """
    wrong: list[str] = []

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        wrong.extend(repeated([key for key, _ in pairs]))
        return dict(pairs)

    def number(name: str) -> None:
        wrong.append(f"{name} is no number")

    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=number)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {_place(error)}") from None
    except ValueError:
        raise Unreadable("is not JSON: a number has too many digits") from None
    except RecursionError:
        too_deep()
    require_usable(wrong)
    return value


def repeated(keys: Sequence[str]) -> list[str]:
    """What is to be said of keys that stand more than once in one object, of which a reader would drop all but one."""
    return [f"the key {key[:_SHOWN]!r} is there twice" for key in dict.fromkeys(keys) if keys.count(key) > 1]


def require_usable(wrong: Sequence[str]) -> None:
    """Refuse a document that could be read, and means nothing certain.

    Raises:
        Unreadable: something is wrong.
    """
    said = list(dict.fromkeys(wrong))
    more = f"; and {len(said) - _MOST_TOLD:,} more of the kind" if len(said) > _MOST_TOLD else ""
    if said:
        raise Unreadable(f"cannot be used: {'; '.join(said[:_MOST_TOLD])}{more}")


def too_deep() -> NoReturn:
    """Refuse a document whose objects and lists hold more of their kind than anything could read.

    Raises:
        Unreadable: always.
    """
    raise Unreadable("is nested too deeply") from None


def _place(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "it is empty"
    said = next((plain for begins, plain in _PLAIN_MESSAGES.items() if error.msg.startswith(begins)), "it ends there")
    return f"line {error.lineno}, column {error.colno}: {said}"
