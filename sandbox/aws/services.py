"""What a stack needs of whoever runs its functions and delivers its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Runs(Protocol):
    """Runs Lambda functions; `sandbox.aws.runtime.Runtime` does."""

    def register(
        self,
        function_name: str,
        *,
        handler: str,
        environment: dict[str, str],
        timeout_seconds: float,
        role_arn: str,
        memory_mb: int,
    ) -> None:
        """Take over the function's invocations."""


class Delivers(Protocol):
    """Invokes on events and on schedules; `sandbox.aws.eventbridge.EventBridge` does."""

    def schedule(self, name: str, expression: str, target: Mapping[str, Any]) -> None:
        """Invoke the target whenever the expression says so."""

    def configure_async(self, function_name: str, qualifier: str | None, config: Mapping[str, Any]) -> None:
        """Keep a function's retries and destinations for asynchronous invocations."""
