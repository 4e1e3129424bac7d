"""One case of chaos: a request, a scenario as its file has it, and the seed of its callers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Fault = Mapping[str, Any]

#: How long a handler waits for most answers.
READ_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Case:
    """What is played. `name` says where it comes from, such as "7.123": seed 7, case 123."""

    name: str
    request: Any
    scenario: Mapping[str, Any]
    seed: int = 0

    @classmethod
    def read(cls, path: Path) -> Self:
        """A case that `written` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(document["name"], document["request"], document["scenario"], document["seed"])

    def written(self, broken: Mapping[str, str]) -> str:
        """The case as a file, with what it broke."""
        document = {
            "name": self.name,
            "broke": dict(broken),
            "seed": self.seed,
            "request": self.request,
            "scenario": dict(self.scenario),
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    # --- What the scenario says, for those who judge the end --------------------------------------------------------

    @property
    def stable(self) -> str:
        """The version that the alias points to before the rollout."""
        return str(self.scenario.get("alias", {}).get("function_version", "1"))

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(self.scenario.get("faults", ()))

    @property
    def timeline(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.scenario.get("timeline", ()))

    def endless(self, kind: str) -> Iterator[Fault]:
        """The faults of that kind ("call", "handler" or "event") that never stop, and leave nobody an answer."""
        return (
            fault
            for fault in self.faults
            if kind in fault and fault.get("times") == "always" and not _is_answered(fault)
        )


def _is_answered(fault: Fault) -> bool:
    """Whether an answer comes, though late or an old one."""
    return fault["error"] == "stale" or (fault["error"] == "slow" and fault["seconds"] < READ_TIMEOUT_SECONDS)
