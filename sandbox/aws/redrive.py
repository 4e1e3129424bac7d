"""Redrive: which ended executions of a state machine go on, and from where.

Step Functions developer guide, "Restarting state machine executions with redrive"; API reference, RedriveExecution and
DescribeExecution.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

REDRIVABLE_FOR: Final = timedelta(days=14)
MAX_EVENTS: Final = 24_999
_TOKENS: Final = 10
_TOKEN_LIVES_FOR: Final = timedelta(minutes=15)


@dataclass(slots=True)
class Redrives:
    """How often an execution was redriven, when last, and what calls with a client token were answered."""

    count: int = 0
    last_at: datetime | None = None
    _answered: dict[str, datetime] = field(default_factory=dict)

    def answered(self, token: str | None, now: datetime) -> datetime | None:
        """What a call under that token was answered: the last ten tokens are known, for fifteen minutes."""
        at = self._answered.get(token or "")
        return at if at and now - at <= _TOKEN_LIVES_FOR else None

    def note(self, token: str | None, now: datetime) -> None:
        self.count, self.last_at = self.count + 1, now
        if token:
            self._answered[token] = now
            for old in list(self._answered)[:-_TOKENS]:
                del self._answered[old]


def refusal(status: str, stopped_at: datetime | None, events: int, now: datetime) -> str | None:
    """Why an execution of so many events cannot be redriven at this moment; None: it can."""
    if status in {"RUNNING", "SUCCEEDED"}:
        return f"Execution is {status} and cannot be redriven"
    if events >= MAX_EVENTS:
        return "Execution history event limit exceeded"
    if stopped_at is not None and now - stopped_at > REDRIVABLE_FOR:
        return "Execution redrivable period exceeded"
    return None


@dataclass(frozen=True, slots=True)
class Reentry:
    """Where an execution goes on: the state that it was in, with that state's input; None: it was in none yet.

    `variables` are as they were when the state was entered: a state assigns only when it is left.
    """

    state: str | None
    input: Any
    variables: Mapping[str, Any]


def reentry(events: Sequence[Mapping[str, Any]]) -> Reentry:
    """Where the execution with this history ended."""
    state, given, variables = None, None, dict[str, Any]()
    for event in events:
        if entered := event.get("stateEnteredEventDetails"):
            state, given = entered["name"], json.loads(entered["input"])
        elif left := event.get("stateExitedEventDetails"):
            assigned = left.get("assignedVariables", {})
            variables |= {name: json.loads(value) for name, value in assigned.items()}
    return Reentry(state, given, variables)
