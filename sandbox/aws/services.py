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


class Polls(Protocol):
    """Invokes with what is in a queue; `sandbox.aws.polling.Polling` does."""

    def keep(self, queue_arn: str, properties: Mapping[str, Any]) -> None:
        """Know what a template says of a queue."""

    def poll(self, properties: Mapping[str, Any]) -> None:
        """Poll a queue, as an event source mapping says."""


class Delivers(Protocol):
    """Invokes on events and on schedules; `sandbox.aws.eventbridge.EventBridge` does."""

    @property
    def polling(self) -> Polls:
        """Who polls the queues that it delivers to."""

    def schedule(self, name: str, expression: str, target: Mapping[str, Any]) -> None:
        """Invoke the target whenever the expression says so."""

    def configure_async(self, function_name: str, qualifier: str | None, config: Mapping[str, Any]) -> None:
        """Keep a function's retries and destinations for asynchronous invocations."""
