"""Documents that people write, JSON or YAML in any encoding of Unicode; what is wrong is said in plain words."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from tidegate import json_text
from tidegate.json_text import Unreadable
from tidegate.printable import one_line
from tidegate.terminal.exit_codes import Unusable

#: An execution's input may hold so many bytes (Step Functions Developer Guide, "Service quotas").
MAX_REQUEST_BYTES = 262_144
#: No quota of anybody's: a `replay` of two months, minute by minute, fits.
MAX_SCENARIO_BYTES = 10_000_000
_YAML_SUFFIXES = frozenset({".yaml", ".yml"})


def named(path: str | Path | None) -> str:
    """How a file is called in a sentence; None is standard input."""
    return "standard input" if path is None else one_line(str(path)) or "''"


def taken(path: str | Path | None, most_bytes: int = MAX_REQUEST_BYTES, whose: str = "a request") -> bytes:
    """The content of a file, or of standard input; of an endless one, too, no more is read than may be there.

    Raises:
        Unreadable: there is none, or more than `whose` may have.
    """
    if path is None and sys.stdin is None:
        raise Unreadable("cannot be read: it is closed")
    try:
        content = _beginning(path, most_bytes + 1)
    except IsADirectoryError as error:
        raise Unreadable("is a folder") from error
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    except ValueError:
        # Of a character that no file's name can have.
        raise Unreadable("cannot be a file's name") from None
    if len(content) > most_bytes:
        raise Unreadable(f"has more than {most_bytes:,} bytes, which is the most {whose} may have")
    return content


def _beginning(path: str | Path | None, size: int) -> bytes:
    if path is None:
        return sys.stdin.buffer.read(size)
    with Path(path).open("rb") as file:
        return file.read(size)


def require_place(path: str | Path) -> None:
    """Refuse a place that a page cannot be written to, before there is a page.

    Raises:
        Unusable: it cannot.
    """
    place = Path(path)
    with _writing(path):
        if place.is_dir() or not str(path):
            raise IsADirectoryError
        if not place.absolute().parent.is_dir():
            raise Unusable(f"{named(path)} cannot be written: there is no such folder")
        if not os.access(place if place.exists() else place.absolute().parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write(path: str | Path, text: str) -> None:
    """Write a page.

    Raises:
        Unusable: it cannot be.
    """
    with _writing(path):
        Path(path).write_text(text, encoding="utf-8")


@contextmanager
def _writing(path: str | Path) -> Iterator[None]:
    try:
        yield
    except IsADirectoryError as error:
        raise Unusable(f"{named(path)} is a folder: name a file in it") from error
    except OSError as error:
        raise Unusable(f"{named(path)} cannot be written: {error.strerror}") from error
    except ValueError as error:
        raise Unusable(f"{named(path)} cannot be a file's name") from error


def read(content: bytes, name: str) -> Any:
    """The value in a file's content: YAML where its name says so, or where it has none and it begins like no JSON.

    Raises:
        Unreadable: it is neither.
    """
    text = decoded(content)
    suffix = PurePath(name).suffix.lower()
    begins = text.lstrip()[:1]
    if suffix in _YAML_SUFFIXES or (not suffix and begins and begins not in '{["'):
        from tidegate.terminal.yaml_text import parsed_yaml  # noqa: PLC0415 - most documents are JSON

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
