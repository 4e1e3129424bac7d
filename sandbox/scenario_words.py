"""What is wrong with a scenario, in plain words: nobody who writes one knows pydantic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.printable import one_line

#: By pydantic's kind of error; the names in braces are of its context.
_PLAIN_MESSAGES = {
    "bool_type": "must be true or false",
    "dataclass_type": "must be an object",
    "dict_type": "must be an object",
    "finite_number": "must be a number that is not infinite",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "json_invalid": "holds half a character (a lone surrogate), or is nested too deeply",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "missing": "is required",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_long": "may have {max_length} characters at most",
    "string_too_short": "must not be empty",
    "string_type": "must be a text in quotes",
    "string_unicode": "holds half a character (a lone surrogate)",
    "too_long": "may have {max_length} entries at most",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}
#: By its pattern, what a text must be.
FORMS = {
    r"^[1-9][0-9]{0,2}$": 'must be the number of a version in quotes, from "1" to "999"',
    r"^([1-9][0-9]{0,2}|\$LATEST)$": 'must be the number of a version in quotes, from "1" to "999", or "$LATEST"',
    r"^[a-zA-Z0-9_-]{1,64}$": "must be a function's name: 1 to 64 letters, digits, '-' and '_'",
    r"^[a-zA-Z0-9_.-]{1,100}$": "must be a profile's name: 1 to 100 letters, digits, '_', '.' and '-'",
    r"^[a-z0-9*?-]+(\.[A-Za-z0-9*?]+)?$": "must be a call such as lambda.UpdateAlias, lambda.* or *",
    r"^[a-z0-9-]+(\.[A-Za-z0-9]+)?$": "must be a service such as lambda, or a call such as lambda.UpdateAlias",
    r"^[!-9;-~][ -~]{0,254}$": "must be 1 to 255 ASCII characters that can be printed, the first neither ':' nor ' '",
    r"^[^\x00-\x1f\x7f]+$": "must not be empty, and must have no control character",
}
#: Kinds that the scenario's own shapes have, with words of their own.
_OWN = frozenset({"action_kind", "counts_kind", "fault_kind"})


def place_in_words(parts: Sequence[int | str]) -> str:
    """A place in a file as a request's is said: `alarms[0].name`; "" of the whole file."""
    words = (f"[{part}]" if isinstance(part, int) else f".{one_line(part)}" for part in parts)
    return "".join(words).removeprefix(".")


def plain(kind: str, message: str, context: Mapping[str, Any] | None) -> str:
    """The end of a sentence that begins with the place; `message` is pydantic's."""
    if kind in _OWN:
        return message
    if kind == "string_pattern_mismatch":
        return FORMS[(context or {})["pattern"]]
    told = {
        key: f"{value:,.15g}" if isinstance(value, (int, float)) else value for key, value in (context or {}).items()
    }
    return _PLAIN_MESSAGES.get(kind, "cannot be understood").format_map(told)
