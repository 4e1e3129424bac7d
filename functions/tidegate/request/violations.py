"""What is wrong with a request, said so that it can be put right.

A value is repeated only where it cannot be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from tidegate.printable import one_line, printable

KeysAt = Callable[[Sequence[str | int]], Collection[str]]

#: A Cause holds 32,768 characters (Step Functions API reference, Fail state), and Lambda writes the message as JSON.
MAX_MESSAGE_CHARACTERS = 20_000
#: "unknown key; " is the shortest violation, so more of them than this do not fit. Each takes a search.
_MAX_LINES = MAX_MESSAGE_CHARACTERS // len("unknown key; ") + 1

#: Every kind of pydantic's that a request can meet, in words of ours; the names in braces are of its context.
_PLAIN_MESSAGES = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "extra_forbidden": "unknown key",
    "finite_number": "must be a number that is not infinite",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "invalid_key": "has a key that is no text, or holds half a character (a lone surrogate)",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "missing": "is required",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "recursion_loop": "holds itself",
    "string_too_long": "may have {max_length} characters at most",
    "string_too_short": "must not be empty",
    "string_type": "must be a text in quotes",
    "string_unicode": "holds half a character (a lone surrogate)",
    "tidegate": "{message}",
    "too_long": "may have {max_length} entries at most",
    "too_short": "must not be empty",
    "union_tag_invalid": "type must be canary, linear, exponential or all_at_once",
    "union_tag_not_found": "needs a type: canary, linear, exponential or all_at_once",
}
_NOT_UNDERSTOOD = "cannot be understood"
_SHOWN_CHARACTERS = 60
#: What pydantic adds to a path to say which member of a union was tried.
_TAGS = {"canary", "linear", "exponential", "all_at_once", "<number>", "<alias>"}


def sentence(found: Sequence[Mapping[str, Any]], keys_at: KeysAt, whose: str = "the request") -> str:
    """Every violation in one sentence; `found` and `keys_at` are those of `lines`."""
    text = f"{count(len(found))} in {whose}: " + "; ".join(lines(found, keys_at))
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[:MAX_MESSAGE_CHARACTERS] + " … and more of the kind"


def lines(found: Sequence[Mapping[str, Any]], keys_at: KeysAt) -> list[str]:
    """Every violation by itself; `found` is what pydantic's `ValidationError.errors()` gives.

    `keys_at` gives the keys that are known at a place, of which an unknown one may be a misspelling.
    """
    return [printable(_one(violation, keys_at)) for violation in found[:_MAX_LINES]]


def count(problems: int) -> str:
    """How many problems there are, in words."""
    return "1 problem" if problems == 1 else f"{problems} problems"


def _one(violation: Mapping[str, Any], keys_at: KeysAt) -> str:
    where = ""
    for part in violation["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        elif part not in _TAGS or not where:
            where += f".{one_line(part)}" if where else one_line(str(part)[:80])
    message = _PLAIN_MESSAGES.get(violation["type"], _NOT_UNDERSTOOD).format_map(_plain(violation.get("ctx")))
    if violation["type"] == "extra_forbidden":
        *object_place, key = violation["loc"]
        if nearest := _nearest(str(key), keys_at(object_place)) or _deeper(str(key), object_place, keys_at):
            message += f" (did you mean {nearest}?)"
    if not where and violation["type"] == "string_unicode":
        message = f"a key {message}"
    given = violation.get("input")
    # A payload or an unknown key may hold a secret; a scalar in a field of ours does not.
    harmless = violation["type"] != "extra_forbidden" and violation["loc"][:1] != ("smoke_tests",)
    if violation["type"] not in {"tidegate", "missing"} and harmless and isinstance(given, (str, int, float)):
        message += f" (got {_shown(given)})"
    return f"{where}: {message}" if where else message


def _plain(context: Mapping[str, Any] | None) -> dict[str, Any]:
    """A context's numbers as people write them: 100, where pydantic says 100.0."""
    return {
        key: f"{value:,.15g}" if isinstance(value, (int, float)) else value for key, value in (context or {}).items()
    }


def _shown(given: str | float) -> str:
    if isinstance(given, str):
        return repr(given[:_SHOWN_CHARACTERS])
    # JSON's words, not Python's; and a number of 300 digits is a number too.
    text = str(given).lower() if isinstance(given, bool) else f"{given}"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _nearest(key: str, known: Collection[str]) -> str | None:
    """The known key that was meant: one whose unit or last word was left out, or one that is spelled much alike.

    The sandbox, which imports nothing of this, says so of a scenario's keys.
    """
    longer = [name for name in known if name.startswith(f"{key}_")]
    found = get_close_matches(key, longer, n=1, cutoff=0) or get_close_matches(key, known, n=1, cutoff=0.7)
    return found[0] if found else None


def _deeper(key: str, place: Sequence[str | int], keys_at: KeysAt) -> str | None:
    """The same key one object further in than `place`: health.judge.metrics, where health.metrics was given."""
    above = [part for part in place if isinstance(part, str) and part not in _TAGS]
    return next(
        (".".join([*above, name, key]) for name in sorted(keys_at(place)) if key in keys_at([*place, name])), None
    )
