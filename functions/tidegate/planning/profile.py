"""A profile: named defaults of a request, kept apart from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from tidegate import json_text
from tidegate.errors import RequestInvalid
from tidegate.frozen import frozen
from tidegate.json_text import Unreadable

#: A name of SSM's without a path, and a version of it (SSM User Guide, "Working with parameter versions").
NAME_PATTERN = r"^[a-zA-Z0-9_.-]{1,100}(:[1-9]\d{0,9})?$"
#: What may be said only once, whichever way.
_EITHER = frozenset({"strategy", "steps"})


@frozen
class Profile:
    """Stored defaults; `version` counts their changes."""

    name: str
    version: int
    document: Mapping[str, Any]

    @classmethod
    def parse(cls, name: str, version: int, text: str) -> Self:
        """From the stored text.

        Raises:
            RequestInvalid: it is no JSON object, or names a profile in turn.
        """
        try:
            document = json_text.read(text)
        except Unreadable as error:
            raise RequestInvalid(f"profile {name}:{version} {error}: correct it") from None
        if not isinstance(document, dict):
            raise RequestInvalid(f"profile {name}:{version} is not a JSON object: store keys of a request in it")
        if "profile" in document:
            raise RequestInvalid(f"profile {name}:{version} names a profile itself: write out what it should say")
        return cls(name, version, document)

    def under(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The request in `document` with these defaults below it: objects key by key, anything else as a whole."""
        kept = {
            key: value for key, value in self.document.items() if not (key in _EITHER and _EITHER & document.keys())
        }
        return _over(kept, document)

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def name_in(document: object) -> str | None:
    """The profile that a request names, if it names one as it should."""
    name = document.get("profile") if isinstance(document, dict) else None
    return name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) else None


def _over(defaults: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in document.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and key != "strategy":
            merged[key] = _over(below, value)
        else:
            merged[key] = value
    return merged
