"""What a Catch was given: `$states.errorOutput`, whose Cause is Lambda's JSON or any other text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from tidegate.errors import CONVICTING
from tidegate.frozen import frozen
from tidegate.json_text import parsed

_MAX_CHARACTERS = 2_000


@frozen
class Failure:
    """An error by its name, and its message in one sentence."""

    error_name: str
    message: str

    @classmethod
    def from_error_output(cls, error_output: Mapping[str, Any]) -> Self | None:
        """The failure, or None where nothing failed."""
        name = str(error_output.get("Error") or "")
        if not name:
            return None
        cause = str(error_output.get("Cause") or "")
        told = parsed(cause)
        message = str(told["errorMessage"]) if isinstance(told, dict) and "errorMessage" in told else cause
        return cls(name, (message or name)[:_MAX_CHARACTERS])

    @property
    def convicts(self) -> bool:
        """Whether it speaks against the candidate, which is remembered as bad then."""
        return self.error_name in CONVICTING

    def __str__(self) -> str:
        return f"{self.error_name}: {self.message}" if self.message != self.error_name else self.error_name


def after(found: str, cause: str) -> str:
    """What was found while the rollout was taken back, with what had led to that, each said once."""
    return cause if found in cause else f"{found} (after {cause})"
