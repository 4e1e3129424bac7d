"""Faults of a scenario: which attempt they strike, and how.

`skip` attempts go by, then `times` attempts are struck. Every attempt counts, the SDK's own retries included. Where
several faults could strike the same attempt, the first in the scenario does, and the others keep their turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

Times = int | Literal["always"]

#: What a fault `stale` can strike: reads for which the sandbox remembers what they would have said.
STALE_CALLS: Final = ("dynamodb.GetItem", "dynamodb.Query", "lambda.GetAlias", "lambda.GetFunctionConfiguration")


def may_be_stale(name: str, params: Mapping[str, Any]) -> bool:
    """Whether a call's answer may be an old one: strongly consistent reads never are.

    DynamoDB developer guide, "DynamoDB read consistency".
    """
    return name in STALE_CALLS and not params.get("ConsistentRead", False)


@dataclass(frozen=True, slots=True)
class CallFault:
    """Strikes a handler's calls of AWS. `call` is like "lambda.UpdateAlias" and may hold wildcards.

    `error` is an error code as AWS names it, or `lost_response`, `held` (for `seconds`), `slow` (answered `seconds`
    late), `stale` (the answer of `seconds` ago), `crash_before`, `crash_after`.
    """

    call: str
    error: str
    times: Times = 1
    skip: int = 0
    seconds: float = 0.0

    def concerns(self, name: str, params: Mapping[str, Any]) -> bool:
        return fnmatchcase(name, self.call) and (self.error != "stale" or may_be_stale(name, params))


@dataclass(frozen=True, slots=True)
class HandlerFault:
    """Strikes invocations of a handler, named after its module. `error` is `timeout`, `crash` or `throttled`."""

    handler: str
    error: str
    times: Times = 1
    skip: int = 0

    def concerns(self, name: str, _: Mapping[str, Any]) -> bool:
        return fnmatchcase(name, self.handler)


@dataclass(frozen=True, slots=True)
class EventFault:
    """Strikes the delivery of events, `execution`, `alarm` or `durable`. `error` is `lost`, `duplicated` or `late`
    (`seconds`).
    """

    event: str
    error: str
    seconds: float = 0.0
    times: Times = 1
    skip: int = 0

    def concerns(self, name: str, _: Mapping[str, Any]) -> bool:
        return name == self.event


class _Fault(Protocol):
    @property
    def times(self) -> Times: ...

    @property
    def skip(self) -> int: ...

    def concerns(self, name: str, params: Mapping[str, Any], /) -> bool: ...


F = TypeVar("F", bound=_Fault)
_NOTHING: Final[Mapping[str, Any]] = {}


class _Tally(Generic[F]):
    """How often one fault was asked, and how often it struck."""

    def __init__(self, fault: F) -> None:
        self.fault = fault
        self.asked = 0
        self.struck = 0

    def ready(self) -> bool:
        self.asked += 1
        times = self.fault.times
        return self.asked > self.fault.skip and (times == "always" or self.struck < times)


class Faults:
    """All faults of one story, with their counts. Asking counts an attempt."""

    def __init__(
        self,
        calls: Sequence[CallFault] = (),
        handlers: Sequence[HandlerFault] = (),
        events: Sequence[EventFault] = (),
    ) -> None:
        self._calls = [_Tally(fault) for fault in calls]
        self._handlers = [_Tally(fault) for fault in handlers]
        self._events = [_Tally(fault) for fault in events]

    def stale_seconds(self, service: str) -> float:
        """How far back the answers of a service may reach ("dynamodb"); 0 where none is stale."""
        stale = (tally.fault for tally in self._calls if tally.fault.error == "stale")
        reads = [call for call in STALE_CALLS if call.startswith(f"{service}.")]
        return max(
            (fault.seconds for fault in stale if any(fnmatchcase(call, fault.call) for call in reads)), default=0.0
        )

    def for_call(self, name: str, params: Mapping[str, Any] | None = None) -> CallFault | None:
        return _strike(self._calls, name, params or _NOTHING)

    def for_handler(self, name: str) -> HandlerFault | None:
        return _strike(self._handlers, name)

    def for_event(self, kind: str) -> EventFault | None:
        return _strike(self._events, kind)


def _strike(tallies: list[_Tally[F]], name: str, params: Mapping[str, Any] = _NOTHING) -> F | None:
    ready = [tally for tally in tallies if tally.fault.concerns(name, params) and tally.ready()]
    if not ready:
        return None
    ready[0].struck += 1
    return ready[0].fault
