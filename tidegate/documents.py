"""Documents that people write, JSON or YAML in any encoding of Unicode; what is wrong is said in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from tidegate.domain import Unreadable, json_text

_YAML_SUFFIXES = frozenset({".yaml", ".yml"})


def taken(reading: Callable[[], bytes]) -> bytes:
    """The content of a file, or of standard input: what `reading` gives.

    Raises:
        Unreadable: there is none.
    """
    try:
        return reading()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    except ValueError:
        # Of a character that no file's name can have.
        raise Unreadable("cannot be a file's name") from None


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
    return json_text.read(text)


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
