"""Every point at which the canonical rollout can be hurt: each AWS call in turn, and Stop in every state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.aws.boundary import Call
from sandbox.world import STARTED_AT
from tests.chaos.case import Case
from tests.chaos.invariants import broken
from tests.chaos.observe import Observation, observe

_REQUEST = {
    "function_name": "checkout",
    "alias_name": "live",
    "alarms": ["checkout-errors"],
    "smoke_tests": [{"payload": {"order": 1}, "expect": "statusCode == `200`"}],
}
_ALARMS = [{"name": "checkout-errors", "threshold": 100_000}]
#: The canonical rollout where all is well, and where the candidate fails half of its requests from minute 1 on.
STORIES: Mapping[str, Case] = {
    "good": Case("good", _REQUEST, {"alarms": _ALARMS}),
    "bad": Case("bad", _REQUEST, {"alarms": _ALARMS, "candidate": {"error_rate_by_minute": [0, 0.5]}}),
}

#: How one attempt at a call goes wrong.
HURTS: Mapping[str, Mapping[str, Any]] = {
    "refused": {"error": "AccessDeniedException"},
    "died before": {"error": "crash_before"},
    "answer lost": {"error": "lost_response"},
    "died after": {"error": "crash_after"},
}
#: Every write denied from the second on, when the alias is split: the one end that needs a person.
DENIED = {"call": "lambda.UpdateAlias", "error": "AccessDeniedException", "times": "always", "skip": 1}

#: What may come with a Stop; "ledger gone" is made for each moment.
EVENTS: Mapping[str, Mapping[str, Any]] = {
    "the event lost": {"event": "execution", "error": "lost", "times": "always"},
    "the event twice": {"event": "execution", "error": "duplicated", "times": "always"},
    "the event 30 s late": {"event": "execution", "error": "late", "seconds": 30},
    "the event 10 min late": {"event": "execution", "error": "late", "seconds": 600},
}
NOTHING_ELSE, LEDGER_GONE, HELD, HELD_ALWAYS = (
    "nothing else",
    "the ledger gone",
    "a write held 15 s",
    "a write and its retries held 15 s",
)
#: Between two sends of a call (0.05 s on the wire), so that Stop comes while the handler is at work.
_MID_CALL_SECONDS, _WIRE_SECONDS = 0.02, 0.05
_EVERY_SECONDS, _SELDOM_SECONDS = 15, 60
#: What may come with a Stop is tried inside of every so many-th call.
_SELDOM_CALLS = 4
#: After a held write was sent: before and after the caller gives up, before and after it takes effect.
_AFTER_HELD_SECONDS = (1, 6, 14, 16)
_ATTEMPTS = 4
_WRITES = frozenset({"UpdateAlias", "PublishVersion", "UpdateItem", "PutItem", "DeleteItem", "TransactWriteItems"})
#: Schedules call on and on; of the sweeper's calls the first few are as good as all.
_SWEEPER, _SWEEPS = "sweep", 4


@dataclass(frozen=True, slots=True)
class Point:
    """One play: `row` says where it hurts (handler and call, or state), `column` how, `number` which of the calls."""

    story: str
    table: str
    number: int
    row: tuple[str, str]
    column: str
    case: Case


@dataclass(frozen=True, slots=True)
class End:
    """How a point ended; `broke` is empty where it ended safe."""

    point: Point
    outcome: str
    broke: Mapping[str, str]


def end_of(point: Point) -> End:
    """Play a point."""
    seen = observe(point.case)
    return End(point, outcome_of(seen), broken(point.case, seen))


def outcome_of(seen: Observation) -> str:
    """One word on how the rollout ended, and what the alias shows."""
    if seen.outcome == "stopped" and seen.final and not seen.final[1] and seen.executions[0].history:
        return "promoted" if seen.executions[0].history[0]["outcome"] == "promoted" else "stopped"
    return "restored" if seen.outcome == "stopped_and_restored" else seen.outcome.replace("_", " ")


def points(story: str, whole: Observation) -> Iterator[Point]:
    """All points of one story, by its undisturbed course."""
    yield from _call_points(story, whole)
    yield from _stop_points(story, whole)
    yield from _held_points(story, whole)
    denied = _hurt(story, DENIED, name=f"{story}: UpdateAlias denied for ever")
    yield Point(
        story, "calls", -1, ("every handler", "lambda.UpdateAlias, always from the second on"), "refused", denied
    )


def calls(whole: Observation) -> list[tuple[Call, int]]:
    """The story's calls, in order, each with how often its name came before; of the sweeper's the first few."""
    counted: dict[str, int] = {}
    kept, swept = [], 0
    for call in whole.calls:
        earlier = counted.get(call.name, 0)
        counted[call.name] = earlier + 1
        swept += call.caller == _SWEEPER
        if call.caller != _SWEEPER or swept <= _SWEEPS:
            kept.append((call, earlier))
    return kept


def _call_points(story: str, whole: Observation) -> Iterator[Point]:
    for number, (call, earlier) in enumerate(calls(whole)):
        for hurt, fault in HURTS.items():
            case = _hurt(story, {"call": call.name, "skip": earlier, **fault}, name=f"{story}: {call.name}, {hurt}")
            yield Point(story, "calls", number, (str(call.caller), call.name), hurt, case)


def _stop_points(story: str, whole: Observation) -> Iterator[Point]:
    ended_at = whole.executions[0].ended_at or 0.0
    inside = [
        round(call.at - STARTED_AT + _MID_CALL_SECONDS, 2)
        for call, _ in calls(whole)
        if call.caller != _SWEEPER and call.at - STARTED_AT < ended_at
    ]
    often = [float(second) for second in range(0, int(ended_at) + 1, _EVERY_SECONDS)]
    seldom = [float(second) for second in range(0, int(ended_at) + 1, _SELDOM_SECONDS)]
    for second in sorted({*inside, *often}):
        yield _stop(story, whole, second, NOTHING_ELSE)
    for second in sorted({*inside[::_SELDOM_CALLS], *seldom}):
        for column, fault in EVENTS.items():
            yield _stop(story, whole, second, column, fault)
        gone = sum(call.name.startswith("dynamodb.") and _performed_at(call) <= second for call in whole.calls)
        fault = {"call": "dynamodb.*", "error": "ResourceNotFoundException", "times": "always", "skip": gone}
        yield _stop(story, whole, second, LEDGER_GONE, fault)


def _held_points(story: str, whole: Observation) -> Iterator[Point]:
    """Stop while a write is on its way; of the verdicts' writes, one each poll, the first and the last."""
    ended_at = whole.executions[0].ended_at or 0.0
    writes = [
        (call, earlier)
        for call, earlier in calls(whole)
        if call.name.partition(".")[2] in _WRITES and call.caller != _SWEEPER and call.at - STARTED_AT < ended_at
    ]
    verdicts = [write for write in writes if write[0].caller == "check_health"]
    for call, earlier in writes:
        if (call, earlier) in verdicts[1:-1]:
            continue
        for after in _AFTER_HELD_SECONDS:
            second = round(call.at - STARTED_AT + after, 2)
            for column, times in ((HELD, 1), (HELD_ALWAYS, _ATTEMPTS)):
                held = {"call": call.name, "skip": earlier, "error": "held", "seconds": 15, "times": times}
                stop = {"at_second": second, "do": "stop_execution"}
                case = _hurt(story, held, stop, name=f"{story}: {call.name} held, Stop at {second} s")
                yield Point(story, "held", 0, (str(call.caller), call.name), column, case)


def _stop(story: str, whole: Observation, second: float, column: str, *faults: Mapping[str, Any]) -> Point:
    stop = {"at_second": second, "do": "stop_execution"}
    case = _hurt(story, *faults, stop, name=f"{story}: Stop at {second} s, {column}")
    state = [name for at, name in whole.executions[0].entered if at <= second]
    return Point(story, "stops", 0, ("Stop", state[-1] if state else "PlanRollout"), column, case)


def _performed_at(call: Call) -> float:
    return call.at - STARTED_AT + _WIRE_SECONDS


def _hurt(story: str, *hurts: Mapping[str, Any], name: str) -> Case:
    whole = STORIES[story]
    timeline = [hurt for hurt in hurts if "do" in hurt]
    faults = [hurt for hurt in hurts if "do" not in hurt]
    more = {key: value for key, value in (("timeline", timeline), ("faults", faults)) if value}
    return Case(name, whole.request, {**whole.scenario, **more})
