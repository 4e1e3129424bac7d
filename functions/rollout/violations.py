"""What is wrong with a request, said so that it can be put right.

A value is repeated only where it cannot be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

KeysAt = Callable[[Sequence[str | int]], Collection[str]]

#: A Cause holds 32,768 characters (Step Functions API reference, Fail state), and Lambda writes the message as JSON.
MAX_MESSAGE_CHARACTERS = 20_000
#: "unknown key; " is the shortest violation, so more of them than this do not fit. Each takes a search.
_MAX_LINES = MAX_MESSAGE_CHARACTERS // len("unknown key; ") + 1

_PLAIN_MESSAGES = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "extra_forbidden": "unknown key",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is required",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "string_type": "must be a text in quotes",
    "too_short": "must not be empty",
    "union_tag_invalid": "type must be canary, linear, exponential or all_at_once",
    "union_tag_not_found": "needs a type: canary, linear, exponential or all_at_once",
}
#: What pydantic adds to a path to say which member of a union was tried.
_TAGS = {"canary", "linear", "exponential", "all_at_once", "<number>", "<alias>"}


def sentence(found: Sequence[Mapping[str, Any]], keys_at: KeysAt, whose: str = "the request") -> str:
    """Every violation in one sentence; `found` is what pydantic's `ValidationError.errors()` gives.

    `keys_at` gives the keys that are known at a place, of which an unknown one may be a misspelling.
    """
    lines = [_one(violation, keys_at) for violation in found[:_MAX_LINES]]
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    text = f"{count} in {whose}: " + "; ".join(lines)
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[:MAX_MESSAGE_CHARACTERS] + " … and more of the kind"


def _one(violation: Mapping[str, Any], keys_at: KeysAt) -> str:
    where = ""
    for part in violation["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        elif part not in _TAGS or not where:
            where += f".{part}" if where else str(part)[:80]
    message = _PLAIN_MESSAGES.get(violation["type"], violation["msg"].replace("Input should be", "must be"))
    if violation["type"] == "extra_forbidden":
        *object_place, key = violation["loc"]
        if nearest := _nearest(str(key), keys_at(object_place)):
            message += f" (did you mean {nearest}?)"
    given = violation.get("input")
    # A payload or an unknown key may hold a secret; a scalar in a field of ours does not.
    harmless = violation["type"] != "extra_forbidden" and violation["loc"][0] != "smoke_tests"
    if violation["type"] not in {"tidegate", "missing"} and harmless and isinstance(given, (str, int, float)):
        message += f" (got {str(given)[:60]!r})" if isinstance(given, str) else f" (got {given})"
    return f"{where}: {message}" if where else message


def _nearest(key: str, known: Collection[str]) -> str | None:
    """The known key that was meant: one whose unit or last word was left out, or one that is spelled much alike.

    The sandbox, which imports nothing of this, says so of a scenario's keys.
    """
    longer = [name for name in known if name.startswith(f"{key}_")]
    found = get_close_matches(key, longer, n=1, cutoff=0) or get_close_matches(key, known, n=1, cutoff=0.7)
    return found[0] if found else None
