"""A world in which two versions have half of the traffic each, and the way to a second of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World

FUNCTION = {"FunctionName": "checkout"}
REQUEST = {"function_name": "checkout", "alias_name": "live"}


@contextmanager
def half_and_half(request: object = REQUEST, **scenario: Any) -> Iterator[World]:
    """A world at second 0, the candidate with half of the traffic."""
    with World(Scenario.of({"metric_delay_seconds": 0, **scenario}), request) as world:
        client("lambda").publish_version(**FUNCTION)
        routing = {"AdditionalVersionWeights": {"2": 0.5}}
        client("lambda").update_alias(**FUNCTION, Name="live", RoutingConfig=routing)
        yield world


def at(world: World, second: float) -> None:
    world.clock.sleep(STARTED_AT + second - world.clock.now())
    world.traffic.catch_up(world.clock.now())
