"""What befalls a rollout from others: releases without weights, deletions, restarts, redrives, leave that is
taken away, old and slow answers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Action = dict[str, Any]
Fault = dict[str, Any]
Trouble = tuple[list[Action], list[Fault]]

STALE_READS = ["lambda.GetAlias", "dynamodb.Query", "dynamodb.GetItem"]
SLOW_CALLS = [
    "lambda.GetAlias",
    "lambda.UpdateAlias",
    "dynamodb.UpdateItem",
    "dynamodb.GetItem",
    "dynamodb.TransactWriteItems",
    "cloudwatch.GetMetricData",
    "stepfunctions.DescribeExecution",
    "lambda.PublishVersion",
    "*",
]
#: What a guard and whoever comes after it both write or ask.
_CONTESTED = ["lambda.GetAlias", "dynamodb.UpdateItem", "lambda.UpdateAlias"]
_ALL_AT_ONCE = {"function_name": "checkout", "alias_name": "live", "strategy": "AllAtOnce"}


def meddled(random: Random, scenario: dict[str, Any]) -> dict[str, Any]:
    """The world with one or two of them in it: with all else that happens there, or with little else."""
    alone = random.random() < 0.5
    noise = {"timeline", "faults", "publish", "alias", random.choice(["candidate", "requests_per_minute"])}
    world = {key: value for key, value in scenario.items() if not alone or key not in noise}
    timeline, faults = list(world.get("timeline", ())), list(world.get("faults", ()))
    if alone and random.random() < 0.3:
        faults = list(scenario.get("faults", ()))[:1]
    for kind in random.sample(_KINDS, random.choice([1, 1, 2])):
        actions, struck = kind(random)
        timeline += actions
        faults = [*struck, *faults]
    if random.random() < 0.08:
        world["alias"] = {"weights": {random.choice(["9", "9", "2"]): 0.0}}
    elif random.random() < 0.08:
        world["alias"] = {"provisioned_concurrency": 2}
        timeline.append(_describe(random))
    return {**world, "timeline": timeline, "faults": faults}


def _moment(random: Random) -> float:
    """Most rollouts move within seconds, and look once a minute."""
    if random.random() < 0.35:
        return round(random.choice([60, 120, 180]) + random.uniform(0, 5), 2)
    return round(random.uniform(1, random.choice([8, 8, 70, 200, 400])), 2)


def _act(at: float, do: str, **more: Any) -> Action:
    return {"at_second": round(at, 2), "do": do, **more}


# --- Who writes to the alias ------------------------------------------------------------------------------------------


def _partial(random: Random) -> Trouble:
    """A release that says nothing of weights, as `aws lambda update-alias --function-version` makes it."""
    version = random.choice(["2", "3", "3", "7"])
    struck = [slow(random, random.choice(_CONTESTED))] if random.random() < 0.3 else []
    return [_act(_moment(random), "update_alias", function_version=version)], struck


def _describe(random: Random) -> Action:
    return _act(_moment(random), "describe_alias", description=f"build {random.randrange(100)}")


def _described(random: Random) -> Trouble:
    return [_describe(random) for _ in range(random.choice([1, 1, 3]))], []


def _deleted(random: Random) -> Trouble:
    do = random.choice(["delete_alias", "delete_alias", "delete_function", "delete_version", "delete_version"])
    version = {"version": random.choice(["1", "2", "3"])} if do == "delete_version" else {}
    return [_act(_moment(random), do, **version)], []


# --- Who starts, stops and redrives -----------------------------------------------------------------------------------


def _restarted(random: Random) -> Trouble:
    """Stopped, and started again within seconds, while the first one's guard is at work; seldom redriven on top."""
    at, gap = _moment(random), random.uniform(0.2, 6)
    request = {"request": _ALL_AT_ONCE} if random.random() < 0.4 else {}
    actions = [_act(at, "stop_execution"), _act(at + gap, "start_execution", **request)]
    if random.random() < 0.25:
        actions.append(_act(at + gap + random.uniform(0.5, 40), "redrive"))
    return actions, contested(random)


def _redriven(random: Random) -> Trouble:
    """Redriven after a Stop, or after whatever end it had by then; seldom with another one running."""
    at = _moment(random)
    actions = [_act(at, "stop_execution")] if random.random() < 0.6 else []
    after = random.choice([random.uniform(0.5, 10), random.uniform(10, 90), random.uniform(90, 600)])
    if random.random() < 0.3:
        actions.append(_act(at + after * random.random(), "start_execution"))
    return [*actions, _act(at + after, "redrive")], contested(random) if random.random() < 0.3 else []


def _denied(random: Random) -> Trouble:
    """Stopped while nobody may write the alias, and redriven, before somebody gives the leave back or after."""
    at = _moment(random)
    actions = [_act(at, "stop_execution"), _act(at + random.uniform(5, 400), "redrive")]
    if random.random() < 0.3:
        weights = {"2": random.choice([0.05, 0.33])}
        actions.append(_act(at * random.random(), "update_alias", function_version="1", weights=weights))
    times, skip = random.choice([2, 5, 10, 30]), random.choice([1, 1, 2, 3])
    return actions, [{"call": "lambda.UpdateAlias", "error": "AccessDeniedException", "skip": skip, "times": times}]


def contested(random: Random) -> list[Fault]:
    """What makes the guard late, where another rollout may be on its way by then."""
    seconds = round(random.choice([random.uniform(0.5, 5), random.uniform(0.5, 20)]), 1)
    if random.random() < 0.15:
        return [{"event": "execution", "error": "late", "seconds": round(random.uniform(1, 10), 1)}]
    call, skip, error = random.choice(_CONTESTED), random.randint(0, 12), random.choice(["slow", "slow", "held"])
    if call == "lambda.GetAlias" and random.random() < 0.3:
        error = "stale"
    return [{"call": call, "error": error, "seconds": seconds, "skip": skip, "times": random.choice([1, 1, 2, 3, 8])}]


# --- Whose answers are old, or late -----------------------------------------------------------------------------------


def _stale(random: Random) -> Trouble:
    seconds = random.choice([1, 2, 5, 10, 30, 60])
    times = "always" if random.random() < 0.1 else random.choice([1, 1, 2, 5, 20])
    fault = {"call": random.choice(STALE_READS), "error": "stale", "seconds": seconds}
    return [], [{**fault, "skip": random.choice([0, 0, 1, 2, 4, 8]), "times": times}]


def slow(random: Random, call: str) -> Fault:
    """A call that is answered late; beyond the read time-out its caller has no answer."""
    seconds = random.choice([0.5, 1, 2, 4, 6, 10, 20])
    return {
        "call": call,
        "error": "slow",
        "seconds": seconds,
        "skip": random.choice([0, 1, 2, 3, 5, 8]),
        "times": random.choice([1, 1, 2, 3]),
    }


def _slow(random: Random) -> Trouble:
    return [], [slow(random, random.choice(SLOW_CALLS))]


_KINDS: list[Callable[[Random], Trouble]] = [
    _partial,
    _partial,
    _described,
    _deleted,
    _deleted,
    _restarted,
    _restarted,
    _redriven,
    _redriven,
    _denied,
    _stale,
    _stale,
    _slow,
]
