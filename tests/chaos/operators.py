"""Random people and helpers of a rollout: who commands it when, which functions have a word in it, what is stored."""

from __future__ import annotations

from random import Random
from typing import Any

COMMANDS = ["pause", "resume", "approve", "reject", "advance", "finish", "abort", "revert"]
#: Several at about the same moment, by people who do not know of each other, or by one who presses twice.
_AT_ONCE = [
    ["approve", "reject"],
    ["reject", "approve"],
    ["pause", "finish"],
    ["finish", "pause"],
    ["finish", "abort"],
    ["finish", "approve"],
    ["advance", "pause"],
    ["pause", "resume"],
    ["pause", "abort"],
    ["resume", "pause"],
    ["abort", "resume"],
    ["advance", "advance", "advance"],
]
MOMENTS = ["before_traffic", "each_step", "after_traffic"]
_YES, _NO = {"status": "Succeeded"}, {"status": "Failed", "reason": "not today"}
#: What a profile may hold of a request.
_STORED = ["steps", "strategy", "health", "alarms", "smoke_tests", "hooks", "max_pause_seconds"]


# --- Commands ---------------------------------------------------------------------------------------------------------


def commands(random: Random, *, gated: bool) -> list[dict[str, Any]]:
    """What people say of a rollout; of one that waits for approvals they say more."""
    if random.random() < (0.25 if gated else 0.55):
        return []
    kinds = [_some, _some, _at_once, _pause, _late_revert]
    if gated:
        kinds += [_approvals, _approvals, _approvals]
    said = random.choice(kinds)(random)
    return said + (random.choice(kinds)(random) if random.random() < 0.3 else [])


def _say(random: Random, at: float, command: str) -> dict[str, Any]:
    action: dict[str, Any] = {"at_second": round(max(0.0, at), 3), "do": "command", "command": command}
    if random.random() < 0.08:
        action["rollout_id"] = random.choice(["story-1", "story-1", "story-2", "gone"])
    return action


def _moment(random: Random) -> float:
    """Often around a look or a shift, else any time."""
    if random.random() < 0.5:
        return random.choice([2, 4, 62, 64, 123, 125, 185, 188, 250, 310]) + random.uniform(-1, 3)
    return random.uniform(0, random.choice([8, 100, 300, 700]))


def _some(random: Random) -> list[dict[str, Any]]:
    wanted = ["pause", "finish", "advance", "abort", "revert", *COMMANDS]
    return [_say(random, _moment(random), random.choice(wanted)) for _ in range(random.randint(1, 3))]


def _at_once(random: Random) -> list[dict[str, Any]]:
    at = _moment(random)
    wanted = random.choice([*_AT_ONCE, [random.choice(COMMANDS)] * 2])
    gap = random.choice([0.001, 0.002, 0.05, 0.4, 2])
    return [_say(random, at + gap * number, command) for number, command in enumerate(wanted)]


def _pause(random: Random) -> list[dict[str, Any]]:
    at = _moment(random)
    ends = at + random.choice([1, 20, 65, 130, 250])
    return [_say(random, at, "pause"), _say(random, ends, random.choice(["resume", "resume", "finish", "abort"]))]


def _approvals(random: Random) -> list[dict[str, Any]]:
    at = random.uniform(2, 80)
    said = []
    for _ in range(random.randint(1, 4)):
        said.append(_say(random, at, random.choice(["approve"] * 6 + ["reject"])))
        at += random.choice([0.1, 30, 65, 120, 240])
    return said


def _late_revert(random: Random) -> list[dict[str, Any]]:
    at = random.choice([random.uniform(120, 420), random.uniform(300, 1600)])
    return [
        _say(random, at + random.choice([0.001, 0.05, 0.5]) * number, "revert")
        for number in range(random.randint(1, 2))
    ]


# --- Hooks ------------------------------------------------------------------------------------------------------------


def hooks(random: Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The request's hooks, and the functions that they name; seldom one that is not there."""
    asked = random.sample(MOMENTS, random.choice([1, 1, 2, 3]))
    wanted: dict[str, Any] = {}
    for moment in asked:
        name = random.choice(["doorman", "doorman", "doorman:1", "auditor"])
        timeout = random.choice([1, 5, 60, 60])
        wanted[moment] = random.choice([name, {"function_name": name, "timeout_seconds": timeout}])
    functions = [_function(random, "doorman"), _function(random, "auditor")]
    return wanted, functions[: 1 if random.random() < 0.1 else 2]


def _function(random: Random, name: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name, "duration_ms": random.choice([50, 100, 4000, 40_000])}
    kind = random.random()
    if kind < 0.7:
        return {**function, "answer": _YES}
    if kind < 0.85:
        return {**function, "answers": [_YES] * random.randint(0, 3) + [random.choice([_NO, None, {}, "yes"])]}
    return {**function, "answer": _NO} if kind < 0.93 else {**function, "error": "no database"}


# --- Profiles ---------------------------------------------------------------------------------------------------------


def stored(random: Random, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request with a part of it kept in a profile; the profiles. Seldom one that is broken, or is not there."""
    keys = [key for key in _STORED if key in request and random.random() < 0.6]
    keys += [
        key for key in random.choice([[], [], [], ["function_name"], ["function_name", "alias_name"]]) if key in request
    ]
    profile = {key: request[key] for key in keys}
    kept = {key: value for key, value in request.items() if key not in keys}
    kept["profile"] = random.choice(["usual", "usual", "usual", "usual:1"])
    odd = random.random()
    if odd < 0.04:
        return {**kept, "profile": random.choice(["usual:2", "unknown"])}, {"usual": profile}
    if odd < 0.08:
        return kept, {"usual": random.choice(["{", [], {**profile, "profile": "usual"}, {**profile, "stpes": 1}])}
    if odd < 0.2:
        profile |= {"max_pause_seconds": 120, "health": {"max_extension_seconds": 60, **profile.get("health", {})}}
    return kept, {"usual": profile}
