"""Where an adapter's test stands: in the place of a handler, inside a world of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from contextvars import Context
from typing import Any

import pytest

from aws import sdk
from sandbox.boundary import caller
from sandbox.scenario import Scenario
from sandbox.stack import client
from sandbox.world import World

Inhabit = Callable[..., World]


@pytest.fixture
def inhabit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inhabit]:
    """`inhabit(**scenario)` is a world in which the test's calls are a handler's: counted, and struck by faults.

    `request` comes on top of the smallest one; nothing is started.
    """

    def enter(request: dict[str, Any] | None = None, **scenario: Any) -> World:
        asked = {"function_name": "checkout", "alias_name": "live", **(request or {})}
        world = open_worlds.enter_context(World(Scenario.of(scenario), asked))
        monkeypatch.setenv("ROLLOUT_TABLE", world.table_name)
        caller.set("check_health")
        return world

    for name, value in {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "HISTORY_RETENTION_DAYS": "90",
    }.items():
        monkeypatch.setenv(name, value)
    nobody = caller.set(None)
    with ExitStack() as open_worlds:
        yield enter
        caller.reset(nobody)
    sdk.client.cache_clear()
    sdk.patient_client.cache_clear()


@pytest.fixture
def somebody() -> Callable[..., Any]:
    """`somebody("lambda.publish_version", **params)` calls AWS as anybody but a handler: not counted, never struck."""

    def call(operation: str, **params: Any) -> Any:
        service, _, method = operation.partition(".")
        return Context().run(getattr(client(service), method), **params)

    return call
