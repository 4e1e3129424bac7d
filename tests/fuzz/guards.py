"""The doors of both guards and of `command`: what EventBridge and people may send them, in a world with a lock."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from sandbox.aws.boundary import caller
from sandbox.aws.stack import REGION, client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests import plans
from tests.fuzz.doors import PASSED, REFUSED, REQUESTS, ROOT, Door, Unclear, clear
from tests.fuzz.mutations import as_json, changed
from tidegate.analysis.health import AlarmRule
from tidegate.aws import ledger, sdk
from tidegate.errors import LockLost, RolloutError

PLAN = replace(plans.PLAN, started_at=STARTED_AT - 60, alarms=(AlarmRule("checkout-errors"),))
_ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "HISTORY_RETENTION_DAYS": "90",
}
_EVENTS = {
    name: json.loads((ROOT / f"events/{name}.json").read_text())
    for name in ("guard_alarm", "guard_execution", "command")
}


def _family(kind: type[RolloutError] = RolloutError) -> Iterator[str]:
    yield kind.__name__
    for child in kind.__subclasses__():
        yield from _family(child)


CLEAR = frozenset(_family())


@contextmanager
def guarded() -> Iterator[tuple[Door, ...]]:
    """The doors, while the world in which they are stands."""
    with World(Scenario.of({"versions": {"2": {}}}), {}) as world, patch.dict(os.environ, _ENVIRONMENT):
        os.environ["ROLLOUT_TABLE"] = world.table_name
        refused = world.start()
        world.follow(refused)
        nobody = caller.set("check_health")
        hold = partial(_hold, world)
        yield (
            Door("guard_execution", 5, partial(_stopped, refused), partial(_invoke, world, "GuardExecution", hold)),
            Door("guard_alarm", 4, partial(_of, "guard_alarm"), partial(_invoke, world, "GuardAlarm", hold)),
            Door("command function", 4, partial(_of, "command"), partial(_invoke, world, "Command", hold)),
            Door("a typo's end", 5, partial(_typo, refused), partial(_silent, world)),
        )
        caller.reset(nobody)
    for cached in (sdk.client, sdk.hasty_client, sdk.slow_client, sdk.patient_client):
        cached.cache_clear()


def _hold(world: World) -> None:
    """Every input finds a rollout that has moved traffic, whatever the one before has made of it."""
    key = {"target": {"S": PLAN.target}, "record": {"S": "lock"}}
    for _ in range(3):
        Context().run(client("dynamodb").delete_item, TableName=world.table_name, Key=key)
        # The world's own sweeper, whose minute may be over just now, finds no execution that holds it.
        with suppress(LockLost):
            ledger.take_lock(PLAN.target, PLAN.execution_arn, STARTED_AT)
            ledger.record_plan(PLAN)
            ledger.record_shift(PLAN, 0, 10.0)
            return


def _of(name: str, random: Random) -> Any:
    return changed(_EVENTS[name], random)


def _stopped(refused: str, random: Random) -> Any:
    """An event of the lock's holder, of one that was refused, or of anything."""
    event = copy.deepcopy(_EVENTS["guard_execution"])
    event["detail"]["executionArn"] = random.choice((PLAN.execution_arn, refused, event["detail"]["executionArn"]))
    event["detail"] |= random.choice(({}, {"status": "FAILED", "error": "Rejected"}, {"status": "TIMED_OUT"}))
    return changed(event, random)


def _typo(refused: str, random: Random) -> Any:
    """The end of an execution that PlanRollout refused, for whatever its input was."""
    event = copy.deepcopy(_EVENTS["guard_execution"])
    asked = changed(random.choice(REQUESTS), random)
    event["detail"] |= {"executionArn": refused, "status": "FAILED", "error": "Rejected", "input": as_json(asked)}
    return event


def _invoke(world: World, name: str, prepare: Any, event: Any) -> str:
    prepare()
    payload = as_json(event)
    answer = Context().run(client("lambda").invoke, FunctionName=world.stack.ref(f"{name}Function"), Payload=payload)
    said = json.loads(answer["Payload"].read())
    if "FunctionError" not in answer:
        return PASSED
    if said["errorType"] not in CLEAR:
        raise Unclear(f"{said['errorType']}: {said['errorMessage']}"[:2_000])
    return REFUSED if said["errorMessage"] else clear("")


def _silent(world: World, event: Any) -> str:
    """Nobody is paged for a typo: the event is not handed to the dead-letter queue."""
    if _invoke(world, "GuardExecution", lambda: None, event) != PASSED:
        raise Unclear("the dead-letter queue has a message, and its alarm fires")
    return PASSED
