"""What the stories of several writers share: the rollout, who acts when, and what the ledger holds."""

from sandbox.scenario import Scenario
from sandbox.stack import client
from sandbox.world import STARTED_AT, World

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
#: It fires only where somebody sets it.
ALARM = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}


def stops(second):
    return {"at_second": second, "do": "stop_execution"}


def call(name, error, **more):
    return {"call": name, "error": error, **more}


def world_of(request=None, **scenario):
    return World(Scenario.of(scenario), {**SMALLEST, **(request or {})})


def later(world, second, act):
    """Somebody acts at that second of the rollout."""
    world.clock.spawn(act, "somebody", STARTED_AT + second - world.clock.now())


def items(world):
    return client("dynamodb").scan(TableName=world.table_name)["Items"]
