"""N rollouts that start in the same moment, each of a function of its own, and an alarm that all of them watch.

Played twice: once to their ends, and once until the alarm has fired and every alias is back on its stable version.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from bench.scale.tally import Rate, Tally
from sandbox.member import Member
from sandbox.scenario import Scenario
from sandbox.scenario_quotas import bucket
from sandbox.target import set_alarm
from sandbox.world import PATIENCE_SECONDS, STARTED_AT, End, World
from tidegate.ending.outcome import Outcome

#: An account's own in a Region (Lambda Developer Guide, "Lambda quotas", API requests; CloudWatch User Guide,
#: "CloudWatch service quotas"; Step Functions Developer Guide, "Service quotas", API action throttling).
QUOTAS: Final[Mapping[str, Any]] = {
    "lambda": 15,
    "cloudwatch.DescribeAlarms": 9,
    "cloudwatch.GetMetricData": 50,
    "stepfunctions.DescribeExecution": {"rate": 15, "burst": 300},
}
#: It watches what nobody has, so it stays in the state in which it is put.
ALARM: Final = {"name": "everything", "metric": "Throttles", "treat_missing_data": "ignore"}
#: The alarm fires once all have a weight, and not before they look on as they do for the rest of their course.
FIRES_FROM_SECOND: Final = 120.0
#: So long a restore is waited for, and longer than any execution takes to find its alias restored.
LAST_RESTORE_SECONDS: Final = 1800.0
#: What the restore of all of them may take, or so many times what the quota takes for one write each.
RESTORED_SECONDS: Final = 60.0
TIMES_THE_FLOOR: Final = 1.2


@dataclass(frozen=True, slots=True)
class Starts:
    """How the rollouts ended to which nothing happened."""

    ends: Mapping[str, int]
    virtual_seconds: float
    wall_seconds: float
    cpu_seconds: float
    throttled: Mapping[str, Mapping[str, int]]
    calls: Mapping[str, Rate]


@dataclass(frozen=True, slots=True)
class Restores:
    """From the alarm until each alias that had a weight served its stable version alone; seconds are virtual.

    `floor_seconds` is what the quota of Lambda's control plane takes for one write of each of them.
    """

    exposed: int
    fired_at_second: float
    first_seconds: float | None
    median_seconds: float | None
    last_seconds: float | None
    not_restored: int
    floor_seconds: float
    ends: Mapping[str, int]
    wall_seconds: float
    cpu_seconds: float
    throttled: Mapping[str, Mapping[str, int]]
    calls: Mapping[str, Rate]

    @property
    def limit_seconds(self) -> float:
        """The last one may take so long."""
        return round(max(RESTORED_SECONDS, TIMES_THE_FLOOR * self.floor_seconds), 1)

    @property
    def in_time(self) -> bool:
        """Whether there were any, all were restored, and the last one within the limit."""
        last = self.last_seconds
        return last is not None and not self.not_restored and last <= self.limit_seconds


@dataclass(frozen=True, slots=True)
class Crowd:
    """What became of so many."""

    rollouts: int
    quotas: Mapping[str, Any]
    starts: Starts
    alarm: Restores

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "alarm": {**asdict(self.alarm), "limit_seconds": self.alarm.limit_seconds}}


def play(rollouts: int, quotas: Mapping[str, Any] = QUOTAS, seed: int = 0) -> Crowd:
    """Play so many rollouts under these quotas, as a scenario writes them."""
    return Crowd(rollouts, quotas, _starts(rollouts, quotas, seed), _alarm(rollouts, quotas, seed))


def _world(rollouts: int, quotas: Mapping[str, Any], seed: int) -> World:
    requests = [
        {"function_name": f"service-{number:03d}", "alias_name": "live", "alarms": [{"name": ALARM["name"]}]}
        for number in range(1, rollouts + 1)
    ]
    scenario = Scenario.of({"quotas": quotas, "alarms": [ALARM]})
    return World(scenario, requests[0], seed, beside=requests[1:])


def _starts(rollouts: int, quotas: Mapping[str, Any], seed: int) -> Starts:
    took = _Took()
    with _world(rollouts, quotas, seed) as world:
        tally = Tally(world, quotas)
        world.start()
        _until_all_have_ended(world)
        return Starts(
            _ends(world),
            round(world.clock.now() - STARTED_AT, 1),
            took.wall_seconds,
            took.cpu_seconds,
            tally.throttled,
            tally.rates(),
        )


def _alarm(rollouts: int, quotas: Mapping[str, Any], seed: int) -> Restores:
    took = _Took()
    with _world(rollouts, quotas, seed) as world:
        world.start()
        world.clock.sleep(FIRES_FROM_SECOND)
        _run(world, lambda: all(map(_has_weight_or_end, world.members, world.executions.values())))
        exposed, fired_at = list(filter(_is_exposed, world.members)), world.clock.now()
        tally = Tally(world, quotas)
        set_alarm(str(ALARM["name"]), "ALARM")
        _run(world, lambda: all(_restored_at(each, fired_at) for each in exposed), fired_at + LAST_RESTORE_SECONDS)
        throttled, calls = tally.throttled, tally.rates()
        _until_all_have_ended(world)
        seconds = [round(at - fired_at, 1) for each in exposed if (at := _restored_at(each, fired_at))]
        return Restores(
            exposed=len(exposed),
            fired_at_second=round(fired_at - STARTED_AT, 1),
            first_seconds=min(seconds, default=None),
            median_seconds=round(median(seconds), 1) if seconds else None,
            last_seconds=max(seconds, default=None),
            not_restored=len(exposed) - len(seconds),
            floor_seconds=_floor(len(exposed), quotas),
            ends=_ends(world),
            wall_seconds=took.wall_seconds,
            cpu_seconds=took.cpu_seconds,
            throttled=throttled,
            calls=calls,
        )


class _Took:
    """How long a play took here: on the wall, and of a processor, which is all that it would take alone."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall_seconds(self) -> float:
        return round(time.perf_counter() - self._wall, 1)

    @property
    def cpu_seconds(self) -> float:
        return round(time.process_time() - self._cpu, 1)


def _floor(writes: int, quotas: Mapping[str, Any]) -> float:
    """So many seconds until the quota has let so many writes through, if nobody else called."""
    if "lambda" not in quotas:
        return 0.0
    quota = bucket(Scenario.of({"quotas": quotas}).quotas["lambda"])
    return round(max(0.0, (writes - quota.burst) / quota.rate), 1)


def _run(world: World, until: Callable[[], bool], limit: float | None = None) -> None:
    world.clock.run(until, world.clock.now() + PATIENCE_SECONDS if limit is None else limit)


def _until_all_have_ended(world: World) -> None:
    _run(world, lambda: all(world.executions.values()))


def _has_weight_or_end(member: Member, end: End | None) -> bool:
    return end is not None or _is_exposed(member)


def _is_exposed(member: Member) -> bool:
    """Whether its alias sends traffic to another version than its own."""
    routing = member.routings[-1][1]
    return bool(routing and routing[1])


def _restored_at(member: Member, fired_at: float) -> float | None:
    """When its alias was whole again, on the version that it had at first."""
    stable = member.routings[0][1]
    return next((at for at, routing in member.routings if at >= fired_at and routing == stable), None)


def _ends(world: World) -> dict[str, int]:
    return dict(Counter(map(_end, world.executions.values())).most_common())


def _end(end: End | None) -> str:
    """In the words of a story; what still runs after so long is stuck."""
    if end is None:
        return "stuck"
    if end.status == "SUCCEEDED":
        return str(json.loads(end.output or "{}")["outcome"])
    return str(Outcome.of_error(end.error) or end.status.lower())
