"""What the stories of several writers share: the rollout, who acts when, and what the ledger holds."""

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
ON_STABLE = {"function_version": "1", "weights": {}}
#: 10, 50 and 100 %, a minute each, and when each is set; the promotion comes after the last one.
STEPS = {"steps": [{"weight": weight, "bake_seconds": 60} for weight in (10, 50, 100)], "health": {"judge": False}}
#: It fires only where somebody sets it.
ALARM = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}


def at(second, **action):
    return {"at_second": second, **action}


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


def ended(world):
    """Outcome and cause of each rollout, as the history has them, oldest first."""
    finished = sorted((item for item in items(world) if item["record"]["S"] != "lock"), key=str)
    return [(item["outcome"]["S"], item["cause"]["S"]) for item in finished if "outcome" in item]


def split(version, weight):
    routing = {"AdditionalVersionWeights": {version: weight}}
    return {"FunctionName": "checkout", "Name": "live", "RoutingConfig": routing}
