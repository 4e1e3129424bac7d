"""The alias that a command is about, as it is typed: `function:alias`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tidegate.terminal.exit_codes import Unusable

#: A function's name, or its ARN, and the alias. A version is no alias.
_TARGET = re.compile(
    r"(?:arn:[^:]+:lambda:[^:]+:\d{12}:function:)?([a-zA-Z0-9_-]{1,140}):((?!\d+$)[a-zA-Z0-9_-]{1,128})"
)
#: Step Functions API reference, StartExecution, `name`; its log takes no others.
EXECUTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
EXECUTION_NAME_RULE = "1 to 80 letters, digits, - and _"


@dataclass(frozen=True, slots=True)
class Target:
    """One alias of one function."""

    function_name: str
    alias_name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `function:alias`, or the alias's ARN.

        Raises:
            Unusable: it is neither.
        """
        found = _TARGET.fullmatch(text)
        if found is None:
            raise Unusable(f"{text!r} is no target: write function:alias, such as checkout:live")
        return cls(found[1], found[2])

    @classmethod
    def named_by(cls, request: object) -> Target | None:
        """The target that a request names itself; None where it leaves that to its profile, or names none."""
        if not isinstance(request, Mapping):
            return None
        try:
            return cls.parse(f"{request.get('function_name')}:{request.get('alias_name')}")
        except Unusable:
            return None

    def __str__(self) -> str:
        return f"{self.function_name}:{self.alias_name}"
