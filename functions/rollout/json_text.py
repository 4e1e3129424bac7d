"""JSON that somebody else wrote, and that may be anything."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: object) -> Any:
    """The value of a JSON text; None where it is none, or one that is nested more deeply than can be read."""
    try:
        return json.loads(text) if isinstance(text, (str, bytes)) else None
    except (ValueError, RecursionError):
        return None
