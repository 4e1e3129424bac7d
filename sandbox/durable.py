"""Executions of the target, where it is a durable function: each request starts one, which goes on after it.

Lambda tells EventBridge of starts and ends (Lambda Developer Guide, "Monitoring durable functions"). They are told here
every few seconds, all that are due: nobody who waits for metrics by the minute sees the difference.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from sandbox.aws.boundary import Boundary, Params, Response
from sandbox.aws.clock import Clock
from sandbox.aws.eventbridge import EventBridge
from sandbox.aws.lambda_records import FUNCTION_ARN, function_name, qualifier

#: How often starts and ends are told.
TOLD_EVERY_SECONDS: Final = 5
EXECUTIONS_PER_CALL: Final = 100


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution: its ARN and name, its version, when it starts, and when and how it ends."""

    arn: str
    name: str
    version: str
    starts_at: float
    ends_at: float
    ends: str

    def detail(self, *, ended: bool) -> dict[str, Any]:
        """What EventBridge is told."""
        told = {
            "durableExecutionArn": self.arn,
            "durableExecutionName": self.name,
            "functionArn": f"{self.arn.partition('/')[0]}",
            "status": self.ends if ended else "RUNNING",
            "startTimestamp": _timestamp(self.starts_at),
        }
        return {**told, "endTimestamp": _timestamp(self.ends_at)} if ended else told

    def listed(self, now: float) -> dict[str, Any]:
        """What ListDurableExecutionsByFunction says of it."""
        ended = {"EndTimestamp": datetime.fromtimestamp(self.ends_at, UTC)} if self.ends_at <= now else {}
        return {
            "DurableExecutionArn": self.arn,
            "DurableExecutionName": self.name,
            "FunctionArn": self.arn.partition("/")[0],
            "Status": self.ends if ended else "RUNNING",
            "StartTimestamp": datetime.fromtimestamp(self.starts_at, UTC),
            **ended,
        }


class DurableExecutions:
    """The executions of one function. `seconds` is how long each takes, `replays` how often it is invoked again."""

    def __init__(
        self,
        clock: Clock,
        boundary: Boundary,
        eventbridge: EventBridge,
        function: str,
        *,
        seconds: float,
        replays: int,
        seed: int = 0,
    ) -> None:
        self.seconds = seconds
        self.replays = replays
        self._clock = clock
        self._eventbridge = eventbridge
        self._function = function
        self._random = Random(f"executions {seed}")
        self._started: list[Execution] = []
        self._due: list[tuple[float, int, bool, Execution]] = []
        self._told = 0
        boundary.serve("lambda.ListDurableExecutionsByFunction", self._list)

    def start(self, catch_up: Callable[[float], None]) -> None:
        """Tell of starts and ends from now on; `catch_up` has callers come up to a moment."""

        def tell() -> None:
            self._clock.at(self._clock.now() + TOLD_EVERY_SECONDS, tell, background=True)
            catch_up(self._clock.now())
            self._tell(self._clock.now())

        self._clock.at(self._clock.now() + TOLD_EVERY_SECONDS, tell, background=True)

    def begin(self, version: str, at: float, *, failed: bool, hung_seconds: float | None = None) -> None:
        """Start one: it fails at its end, or hangs for so many seconds until it is out of time."""
        name = f"order-{len(self._started) + 1}"
        ident = uuid.UUID(int=self._random.getrandbits(128), version=4)
        ends = "TIMED_OUT" if hung_seconds is not None else "FAILED" if failed else "SUCCEEDED"
        ends_at = at + (self.seconds if hung_seconds is None else hung_seconds)
        arn = f"{FUNCTION_ARN}{self._function}:{version}/durable-execution/{name}/{ident}"
        execution = Execution(arn, name, version, at, ends_at, ends)
        number = 2 * len(self._started)
        self._started.append(execution)
        heapq.heappush(self._due, (at, number, False, execution))
        heapq.heappush(self._due, (ends_at, number + 1, True, execution))

    def _tell(self, now: float) -> None:
        details = []
        while self._due and self._due[0][0] <= now:
            _, _, ended, execution = heapq.heappop(self._due)
            details.append(execution.detail(ended=ended))
        self._eventbridge.deliver_all("aws.lambda", "Durable Execution Status Change", details, "durable")

    def running(self, version: str, now: float) -> list[Execution]:
        """Those of a version that go on, in the order in which they started."""
        return [each for each in self._started if each.version == version and each.starts_at <= now < each.ends_at]

    def _list(self, params: Params) -> Response:
        """ListDurableExecutionsByFunction: of a version, newest last, by status."""
        now, version, asked = self._clock.now(), qualifier(params), params.get("Statuses")
        ours = self._started if function_name(params) == self._function else []
        listed = [each.listed(now) for each in ours if each.version == version and each.starts_at <= now]
        found = [each for each in listed if not asked or each["Status"] in asked]
        begin = int(params.get("Marker") or 0)
        end = begin + min(params.get("MaxItems") or EXECUTIONS_PER_CALL, EXECUTIONS_PER_CALL)
        more = {"NextMarker": str(end)} if end < len(found) else {}
        return {"DurableExecutions": found[begin:end], **more}


def _timestamp(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
