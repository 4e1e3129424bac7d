"""The next rollout begins while the last one's guard is still at work: stop, start, and a guard who hears late.

Each case is aimed: it is played once to see at which attempts the guard, or a redriven RollBack, asks AWS, and one of
those is struck. What the second rollout writes then must stand: `python -m tests.chaos --restarts 300`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.chaos.case import Case
from tests.chaos.excuses import may_read_an_old_alias
from tests.chaos.observe import Execution, Observation, observe

_CALLS = ["lambda.GetAlias", "dynamodb.UpdateItem", "lambda.UpdateAlias"]
#: How each of them fails besides, or misleads.
_FAILS = {
    "lambda.GetAlias": "stale",
    "dynamodb.UpdateItem": "InternalServerError",
    "lambda.UpdateAlias": "TooManyRequestsException",
}
_TARGET = {"function_name": "checkout", "alias_name": "live"}
_REQUESTS: list[dict[str, Any]] = [
    {**_TARGET, "version": "2", "steps": [{"weight": 10, "bake_seconds": 60}, {"weight": 100, "bake_seconds": 60}]},
    {**_TARGET, "version": "2", "steps": [{"weight": 25, "bake_seconds": 30}, {"weight": 100, "bake_seconds": 120}]},
    {**_TARGET, "steps": [{"weight": 50, "bake_seconds": 120}, {"weight": 100, "bake_seconds": 60}]},
    {**_TARGET, "version": "2", "strategy": "AllAtOnce"},
]
#: Whoever may still work for the stopped rollout, once it is stopped.
_LATE = frozenset({"guard_execution", "roll_back", "check_health", "shift_traffic", "promote", "sweep"})


def restart(name: str) -> Case:
    """The case of that name: the same name gives the same one."""
    random = Random(f"restart {name}")  # noqa: S311 - a case must be repeatable, not secret
    request = random.choice(_REQUESTS)
    stopped = round(random.choice([random.uniform(1.5, 10), random.uniform(1.5, 70), random.uniform(10, 200)]), 2)
    started = round(stopped + random.uniform(0.3, 4), 2)
    again = {**_TARGET, "version": "2", "strategy": "AllAtOnce"} if random.random() < 0.25 else request
    scenario: dict[str, Any] = {
        # Version 2 is there before either of them, so that both roll out the same one.
        "versions": {"2": {"state": "Active"}},
        "timeline": [
            {"at_second": stopped, "do": "stop_execution"},
            {"at_second": started, "do": "start_execution", "request": again},
        ],
    }
    if random.random() < 0.25:
        scenario["candidate"] = {"error_rate": random.choice([0.05, 0.5])}
    redriven = random.random() < 0.3
    if redriven:
        at = round(started + random.uniform(1, 60), 2)
        scenario["timeline"] += [{"at_second": at, "do": "redrive"}]
    case = Case(f"restart {name}", request, scenario, random.randrange(1_000_000))
    return replace(case, scenario={**scenario, "faults": _aimed(random, observe(case), stopped)})


def _aimed(random: Random, seen: Observation, stopped: float) -> list[dict[str, Any]]:
    """A fault at a call that somebody makes for the stopped rollout; anywhere near where none does."""
    if random.random() < 0.1:
        return [{"event": "execution", "error": "late", "seconds": round(random.uniform(0.5, 6), 1)}]
    began = min((call.at for call in seen.calls), default=0.0)
    targets: list[tuple[str, int]] = []
    for name in _CALLS:
        calls = [call for call in seen.calls if call.name == name]
        targets += [
            (name, number)
            for number, call in enumerate(calls)
            if call.caller in _LATE and -1 < call.at - began - stopped < 30
        ]
    call, skip = random.choice(targets) if targets else (random.choice(_CALLS), random.randint(2, 8))
    error = random.choice(["slow", "slow", "held", "lost_response", _FAILS[call]])
    fault: dict[str, Any] = {"call": call, "error": error, "skip": skip, "times": random.choice([1, 1, 2, 3])}
    if error in {"slow", "held", "stale"}:
        fault["seconds"] = round(random.choice([random.uniform(0.5, 5), random.uniform(0.5, 20)]), 1)
    if error.endswith(("Exception", "Error")):
        fault["times"] = random.choice([1, 4, 8, 16])  # beyond the SDK's own retries, so that somebody goes on without
    return [fault]


def undone(case: Case, seen: Observation) -> dict[str, str]:
    """Whether the second rollout was kept from its own end: promoted, or taken back for its own reasons."""
    second = seen.executions[1]
    if second.outcome in {"promoted", "unchanged"} or not _began(seen, second):
        return {}
    cause = second.cause or ""
    of_its_own = not any(word in cause for word in ("AliasMoved", "LockLost", "somebody else"))
    harmful = "error_rate" in case.scenario.get("candidate", {})
    if may_read_an_old_alias(case) and second.outcome == "rolled_back":
        return {}  # it took its own alias, as it was a moment ago, for somebody else's
    if of_its_own and (cause.startswith("AwsUnavailable") or harmful) and second.outcome == "rolled_back":
        return {}  # the fault struck itself, or its candidate was bad
    return {"undone": f"{second.outcome}: {cause}"}


def _began(seen: Observation, second: Execution) -> bool:
    """Whether it got as far as a weight; who asks while the first one's books are open is turned away."""
    return any(write.by == "shift_traffic" and write.serves == second.arn for write in seen.writes)
