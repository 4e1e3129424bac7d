"""State that another Tidegate stored: guards are newer than what still runs, and may be older after a step back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def known_fields(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that a JSON object has; what else it says is left out."""
    return {name: document[name] for name in kind.__dataclass_fields__ if name in document}
