"""Functions beside the target, such as the hooks of a rollout: made as the scenario says, and what they were told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox import scenario as scenarios
from sandbox.aws.clock import Clock
from sandbox.aws.runtime import Runtime
from sandbox.target import create_function

_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """One invocation: when it began (epoch seconds), of which function, by which qualifier, and with what JSON."""

    at: float
    function_name: str
    qualifier: str | None
    document: Any


@dataclass(slots=True)
class Hooked:
    """Answers for the scenario's functions. `told` holds every invocation in order."""

    clock: Clock
    told: list[Told] = field(default_factory=list)

    def create(self, functions: Sequence[scenarios.Function], runtime: Runtime) -> None:
        """Each function, with its version 1 published, and routed to its answers."""
        for function in functions:
            create_function(function.name, publish=True)
            runtime.route(function.name, _Answers(self, function).answer)


@dataclass(slots=True)
class _Answers:
    """One function's answers, in turn; the last one holds on."""

    hooked: Hooked
    function: scenarios.Function
    given: int = 0

    def answer(self, qualifier: str, payload: bytes) -> tuple[bytes, str | None]:
        """An invocation: (payload, function error), once its time has passed."""
        function, clock = self.function, self.hooked.clock
        self.hooked.told.append(Told(clock.now(), function.name, qualifier, json.loads(payload)))
        said = function.answers[min(self.given, len(function.answers) - 1)] if function.answers else function.answer
        self.given += 1
        if clock.current() is not None:
            clock.sleep(function.duration_ms / _MILLISECONDS)
        if function.error is not None:
            error = {"errorMessage": function.error, "errorType": "Exception", "stackTrace": []}
            return json.dumps(error).encode(), "Unhandled"
        return json.dumps(said).encode(), None
