"""An alias of a function: what is rolled out."""

from __future__ import annotations

from typing import Self

from tidegate.frozen import frozen


@frozen
class Alias:
    """As text it is `function:alias`: so the ledger, CloudWatch's dimension `Resource` and people name it."""

    function_name: str
    name: str

    @classmethod
    def parse(cls, target: str) -> Self:
        """From its text."""
        function_name, _, name = target.rpartition(":")
        return cls(function_name, name)

    @property
    def names(self) -> dict[str, str]:
        """As requests, commands and events have it."""
        return {"function_name": self.function_name, "alias_name": self.name}

    def __str__(self) -> str:
        return f"{self.function_name}:{self.name}"
