"""One rollout played to its end in a world of its own, and what is to be said about it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from sandbox.aws.cloudwatch import MINUTE_SECONDS
from sandbox.aws.dynamodb_rules import items_of
from sandbox.aws.execution_history import history
from sandbox.aws.lambda_rules import Routing
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, End, World
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.record import RolloutRecord
from tidegate.views import records
from tidegate.views.rollout_view import Counts, MinuteView, RolloutView, ShiftView

SOURCE = "tidegate"
#: How much virtual time passes from one frame to the next: so much at least, and such a part of all time so far.
FRAME_SECONDS, FRAME_PART = 5.0, 1 / 200

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What `--json` prints: how one rollout ended, what it did to its callers, and what it left behind."""

    status: str
    outcome: Outcome
    error: str | None
    cause: str | None
    alias: Record | None
    states: tuple[str, ...]
    history_events: int
    virtual_seconds: float
    wall_seconds: float
    traffic: Record
    seconds_from_alarm_to_restored: float | None
    api_calls: Mapping[str, int]
    proven: bool | None
    lock_released: bool
    history_recorded: bool
    events: tuple[str, ...]
    proven_by: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, keys as the contract has them."""
        return asdict(self)


def play(request: object, scenario: Scenario, seed: int = 0, on_frame: Callable[[World], None] | None = None) -> Story:
    """Play a rollout of any request, any JSON value, against a scenario, and let everything that follows it settle.

    `on_frame` looks at the world every few virtual seconds, and once more at the end.

    Raises:
        ScenarioInvalid: the scenario asks for what the sandbox cannot do.
    """
    began = time.perf_counter()
    with World(scenario, request, seed) as world:
        arn = world.start()
        if on_frame:
            _show(world, on_frame)
        end = world.follow(arn)
        world.settle()
        if on_frame:
            on_frame(world)
        return tell(world, arn, end, began)


def _show(world: World, on_frame: Callable[[World], None]) -> None:
    arn = next(iter(world.executions))

    def frame() -> None:
        # One that has ended may go on.
        if world.executions[arn] is None:
            on_frame(world)
        seconds = max(FRAME_SECONDS, FRAME_PART * (world.clock.now() - STARTED_AT))
        world.clock.at(world.clock.now() + seconds, frame, background=True)

    frame()


def tell(world: World, arn: str, end: End, began: float) -> Story:
    """What is to be said of a world in which an execution has ended; `began`: when, as `time.perf_counter` has it.

    Of one that was redriven after this end, the last end counts.
    """
    end = world.executions.get(arn) or end
    output = json.loads(end.output) if end.status == "SUCCEEDED" and end.output else {}
    events = history(arn)
    lock, finished = _kept_of(world, arn)
    return Story(
        status=end.status,
        outcome=_outcome(world, end, output),
        error=end.error,
        cause=end.cause,
        alias=_alias(world.routing),
        states=tuple(_states(events)),
        history_events=len(events),
        virtual_seconds=_rounded(end.at - STARTED_AT),
        wall_seconds=round(time.perf_counter() - began, 2),
        traffic=asdict(world.served),
        seconds_from_alarm_to_restored=_reaction(world),
        api_calls=dict(sorted(world.boundary.calls.items())),
        proven=output.get("proven"),
        lock_released=lock is None,
        history_recorded=len(finished) == 1,
        events=tuple(event["detail-type"] for event in world.eventbridge.put if event["source"] == SOURCE),
        proven_by=output.get("proven_by", []),
    )


def _outcome(world: World, end: End, output: Record) -> Outcome:
    if end.status == "SUCCEEDED":
        return Outcome(output["outcome"])
    if end.status == "FAILED" and (ours := Outcome.of_error(end.error)):
        return ours
    return Outcome.STOPPED_AND_RESTORED if _left(world, end) == (world.stable, {}) else Outcome.STOPPED


def _left(world: World, end: End) -> Routing | None:
    """The alias as an ended rollout and all that followed its end left it, before somebody else made it his own.

    A rollout that starts later closes first what it finds open: so the stable version alone is still this one's.
    """
    later = next((at for at in world.intervened_at if at >= end.at), None)
    if later is None:
        return world.routing
    left = [routing for at, routing in world.routings if at < later][-1]
    first = next((routing for at, routing in world.routings if at >= later), None)
    return first if first == (world.stable, {}) else left


def _alias(routing: Routing | None) -> Record | None:
    return routing and {"function_version": routing[0], "weights": routing[1]}


def _states(history: Iterable[Record]) -> Iterable[str]:
    """The names of the states that the execution entered, in order."""
    return (event["stateEnteredEventDetails"]["name"] for event in history if event["type"].endswith("StateEntered"))


def _reaction(world: World) -> float | None:
    """From the first time one of the request's alarms fired at the candidate until the stable version served alone."""
    named = _strings(world.request)
    fired = (at for at, name, state in world.alarm_changes if state == "ALARM" and name in named)
    for alarm_at in fired:
        if not (_routing_at(world, alarm_at) or ("", {}))[1]:
            continue
        restored = (at for at, routing in world.routings if at >= alarm_at and routing == (world.stable, {}))
        first = next(restored, None)
        return None if first is None else _rounded(first - alarm_at)
    return None


def _routing_at(world: World, moment: float) -> Routing | None:
    return [routing for at, routing in world.routings if at <= moment][-1]


def _strings(value: object) -> set[str]:
    """Every string anywhere in a JSON value: an alarm is the request's if the request names it."""
    if isinstance(value, str):
        return {value}
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_strings, inside))


def _rounded(seconds: float) -> float:
    """To a tenth, and whole where it is whole."""
    tenths = round(seconds, 1)
    return int(tenths) if tenths == int(tenths) else tenths


# --- The ledger -------------------------------------------------------------------------------------------------------


def ledger_records(world: World) -> list[dict[str, Any]]:
    """Every record of the ledger's table. Read from outside: faults strike handlers alone."""
    plain = TypeDeserializer().deserialize
    return [{key: plain(value) for key, value in item.items()} for item in items_of(world.table_name)]


def _kept_of(world: World, arn: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The lock that an execution holds, and what the history says of it: one record, if all is well."""
    own = [each for each in ledger_records(world) if each.get("execution_arn") == arn]
    lock = next((each for each in own if each["record"] == "lock"), None)
    return lock, [each for each in own if each["record"].startswith("history#")]


# --- For people -------------------------------------------------------------------------------------------------------


def rollout_view(world: World) -> RolloutView:
    """The rollout as people see it at this moment: the ledger's word on plan and verdicts, the callers' own counts."""
    arn = next(iter(world.executions))
    end = world.executions[arn]
    lock, finished = _kept_of(world, arn)
    live = records.Live.of(Lock.parse(lock)) if lock else records.Live()
    # One that was redriven runs on with a lock of its own.
    record = RolloutRecord.parse(finished[0]) if finished and (end or not lock) else None
    log = records.LoggedRollout.of_record(record) if record else live.log
    verdicts = log.verdict_views(STARTED_AT)
    world.traffic.catch_up(world.clock.now())
    candidate = log.candidate
    # Who takes a promotion back later does so in a story of his own.
    until = end.at if end and end.status == "SUCCEEDED" else world.clock.now()
    shifts = tuple(_shifts(world, candidate, until))
    outcome = _outcome(world, end, json.loads(end.output or "{}")) if end else None
    if outcome is Outcome.STOPPED and finished and finished[0]["outcome"] == Outcome.INTERRUPTED:
        outcome = Outcome.INTERRUPTED  # the alias is as somebody else has it, and needs nobody
    return RolloutView(
        function_name=world.target.function_name,
        alias_name=world.target.alias_name,
        stable=world.stable,
        candidate=candidate,
        steps=log.steps(),
        step=live.step if lock else verdicts[-1].step if verdicts else 0,
        weight_percent=shifts[-1].weight_percent if shifts else 0.0,
        started_at=STARTED_AT,
        now=_ended_at(end, outcome, shifts) if end else world.clock.now(),
        minutes=tuple(_minutes(world, end, candidate)),
        verdicts=verdicts,
        outcome=outcome,
        # Who is stopped says nothing; whoever recorded the end after him does.
        cause=end.cause or (record.ending.cause if record and end.status != "SUCCEEDED" else None) if end else None,
        shifts=shifts,
        proven=record.ending.proven if record else None,
        proven_by=record.ending.proven_by if record else (),
        warnings=log.plan.warnings if log.plan else (),
        rollout_id=arn.rpartition(":")[2],
        holding=None if end else live.holding,
        next_at=None if end else live.next_at,
        commands=log.command_views(STARTED_AT),
        restore_command=log.plan.restore_command if log.plan else None,
        by_callers=True,
    )


def _ended_at(end: End, outcome: Outcome | None, shifts: tuple[ShiftView, ...]) -> float:
    """When the rollout was over: one that was stopped is, once its guard has restored the stable version."""
    if outcome is not Outcome.STOPPED_AND_RESTORED or not shifts:
        return end.at
    return max(end.at, STARTED_AT + shifts[-1].at_second)


def _percent_of(candidate: str | None, routing: Routing | None) -> float:
    """The candidate's share of the traffic, whoever gave it."""
    if routing is None:
        return 0.0
    version, weights = routing
    return 100 * (1 - sum(weights.values()) if version == candidate else weights.get(candidate or "", 0.0))


def _shifts(world: World, candidate: str | None, until: float) -> Iterable[ShiftView]:
    """Every change of the candidate's share; promoting it changes none."""
    share = 0.0
    for at, routing in world.routings:
        if at <= until and _percent_of(candidate, routing) != share:
            share = _percent_of(candidate, routing)
            yield ShiftView(at - STARTED_AT, share)


def _minutes(world: World, end: End | None, candidate: str | None) -> Iterable[MinuteView]:
    """The minutes up to the end of the rollout."""
    for number, versions in world.traffic.minutes():
        begins = STARTED_AT + number * MINUTE_SECONDS
        if end and begins >= end.at:
            return
        stable = Counts(*versions.get(world.stable, (0, 0, 0)))
        theirs = Counts(*versions.get(candidate or "", (0, 0, 0)))
        routing = _routing_at(world, begins + MINUTE_SECONDS)
        yield MinuteView(number, _percent_of(candidate, routing), stable, theirs)
