"""What fits into one item of the ledger, in bytes: what is least worth keeping goes first, and nothing fails for room.

An item holds 400 KB, names and values in UTF-8 (DynamoDB Developer Guide, "Quotas" and "DynamoDB item sizes and
formats"). JSON is stored with everything beyond ASCII escaped, so that its length is its size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate

ITEM_BYTES = 400 * 1024
#: For all that a lock or a history item holds beside its plan and its lists, and for what is said at the same moment.
RESERVED_BYTES = 48 * 1024
#: Verdicts of a rollout are kept as seldom as comes to so many; the last one is always kept beside.
MAX_VERDICTS = 120
MAX_COMMANDS = 50
MAX_COMMANDS_BYTES = 48 * 1024
MAX_REASON_BYTES = 1_200
MAX_CAUSE_BYTES = 4_096
#: Of the names by which a promotion is proven; a hundred alarms may have long ones.
MAX_PROVEN_BYTES = 12 * 1024
_MORE = "…"


def size(text: str) -> int:
    """How many bytes a text takes."""
    return len(text.encode("utf-8", "replace"))


def cut(text: str, most: int) -> str:
    """The text, or as much of its beginning as takes so many bytes; what is in no text that could be stored is "?"."""
    stored = text.encode("utf-8", "replace")
    if len(stored) <= most:
        return stored.decode()
    return stored[: most - len(_MORE.encode())].decode("utf-8", "ignore") + _MORE


def first(texts: Sequence[str], most_bytes: int) -> tuple[str, ...]:
    """As many of the first ones as take so many bytes in JSON."""
    sizes = accumulate(len(json.dumps(text)) + 1 for text in texts)
    return tuple(text for text, taken in zip(texts, sizes, strict=True) if taken <= most_bytes)


def for_lists(plan_bytes: int) -> int:
    """How many bytes verdicts and commands may take together, beside a plan (with its alarms) of that size."""
    return max(0, ITEM_BYTES - RESERVED_BYTES - plan_bytes)


def for_commands(plan_bytes: int) -> int:
    """How many bytes of these the commands may take."""
    return min(MAX_COMMANDS_BYTES, for_lists(plan_bytes) // 2)


def newest(texts: Sequence[str], most_bytes: int) -> tuple[str, ...]:
    """As many of the last ones as take so many bytes, in their order."""
    kept: list[str] = []
    for text in reversed(texts):
        most_bytes -= size(text)
        if most_bytes < 0:
            break
        kept.append(text)
    return tuple(reversed(kept))


def telling(turns: Sequence[bool], texts: Sequence[str], most_bytes: int) -> tuple[str, ...]:
    """As many as take so many bytes, in their order: first those that are turns, then the others, the newest first."""
    kept = set[int]()
    for wanted in (True, False):
        for place in reversed([number for number, turn in enumerate(turns) if turn is wanted]):
            if size(texts[place]) <= most_bytes:
                most_bytes -= size(texts[place])
                kept.add(place)
    return tuple(text for place, text in enumerate(texts) if place in kept)
