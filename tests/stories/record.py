"""What a world has seen: of each rollout its outcome, path and length, and every write of the alias, call and event.

As a plugin of pytest (`-p tests.stories.record`) it writes this down of every world that a test leaves, a line each, to
a file of its own in the folder that the environment names.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from sandbox.aws.execution_history import history
from sandbox.scenario import Scenario
from sandbox.story import ledger_records
from sandbox.world import STARTED_AT, End, World

FOLDER = "TIDEGATE_STORIES"
_SCENARIO = TypeAdapter(Scenario)
#: So many states at most are taken for a round that repeats.
_LONGEST_ROUND = 6


def pytest_configure() -> None:
    """Be there whenever a world is left. With several workers each has a process, and so a file, of its own."""
    file = Path(os.environ[FOLDER]) / f"{os.getpid()}.jsonl"
    leave = World.__exit__

    def exit_(world: World, *error: Any) -> None:
        try:
            if world.executions and not any(error):
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(seen(world)) + "\n")
        finally:
            leave(world, *error)

    World.__exit__ = exit_  # type: ignore[method-assign]


def seen(world: World) -> dict[str, Any]:
    """A world that is still open, as plain JSON; `asked` is what was put into it, and `key` stands for that."""
    asked = {
        "request": world.request,
        "scenario": _SCENARIO.dump_python(world.scenario, mode="json", exclude_defaults=True, warnings=False),
        "seed": world.seed,
    }
    return {
        "key": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12],
        "asked": asked,
        "did": {
            "rollouts": [_rollout(arn, end) for arn, end in world.executions.items()],
            "alias": [_write(at, routing) for at, routing in world.routings],
            "calls": dict(sorted(world.boundary.calls.items())),
            "events": [event["detail-type"] for event in world.eventbridge.put if event["source"] == "tidegate"],
            "history": _history(world),
        },
    }


def _history(world: World) -> list[str] | None:
    """What the table says of the rollouts that have ended; None where a story took the table away."""
    try:
        records = ledger_records(world)
    except ClientError:
        return None
    return sorted(f"{each['outcome']}: {each['cause']}" for each in records if each["record"].startswith("history#"))


def _rollout(arn: str, end: End | None) -> dict[str, Any]:
    states = [
        event["stateEnteredEventDetails"]["name"] for event in history(arn) if event["type"].endswith("StateEntered")
    ]
    ended = end and {
        "seconds": round(end.at - STARTED_AT, 1),
        "status": end.status,
        "error": end.error,
        "cause": end.cause,
        "output": end.output and json.loads(end.output),
    }
    return {"states": rounds(states), "end": ended}


def rounds(states: list[str]) -> str:
    """The path in words, a round of states that follows itself told once: `(Bake CheckHealth) x 14`."""
    told, at = [], 0
    while at < len(states):
        length, times = max(
            ((length, _times(states, at, length)) for length in range(1, _LONGEST_ROUND + 1)),
            key=lambda found: (found[0] * (found[1] - 1), -found[0]),
        )
        path = " ".join(states[at : at + length])
        told.append(f"({path}) x {times}" if times > 1 else states[at])
        at += length * times if times > 1 else 1
    return " ".join(told)


def _times(states: list[str], at: int, length: int) -> int:
    times, one = 1, states[at : at + length]
    while states[at + times * length : at + (times + 1) * length] == one:
        times += 1
    return times


def _write(at: float, routing: Any) -> str:
    if routing is None:
        return f"{at - STARTED_AT:.1f} gone"
    version, weights = routing
    return " ".join([f"{at - STARTED_AT:.1f} {version}", *(f"{each}:{weights[each]:g}" for each in sorted(weights))])
