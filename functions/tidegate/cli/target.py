"""The alias that a command is about, as it is typed: `function:alias`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidegate.alias import Alias
from tidegate.terminal.exit_codes import Unusable

#: A function's name, or its ARN, and the alias. A version is no alias.
_TARGET = re.compile(
    r"(?:arn:[^:]+:lambda:[^:]+:\d{12}:function:)?([a-zA-Z0-9_-]{1,140}):((?!\d+$)[a-zA-Z0-9_-]{1,128})"
)
#: Step Functions API reference, StartExecution, `name`; its log takes no others.
EXECUTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
EXECUTION_NAME_RULE = "1 to 80 letters, digits, - and _"


def parse_target(text: str) -> Alias:
    """From `function:alias`, or the alias's ARN.

    Raises:
        Unusable: it is neither.
    """
    found = _TARGET.fullmatch(text)
    if found is None:
        raise Unusable(f"{text!r} is no target: write function:alias, such as checkout:live")
    return Alias(found[1], found[2])


def named_by(request: object) -> Alias | None:
    """The alias that a request names itself; None where it leaves that to its profile, or names none."""
    if not isinstance(request, Mapping):
        return None
    try:
        return parse_target(f"{request.get('function_name')}:{request.get('alias_name')}")
    except Unusable:
        return None
