"""Where an adapter's test stands: in the place of a handler, inside a world of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from contextvars import Context
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from sandbox.aws.boundary import caller
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.aws.cloudwatch_account import Account, account_with
from tidegate.aws import sdk, settings

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
        "SETTINGS_PARAMETER": "/tidegate/settings/tidegate",
    }.items():
        monkeypatch.setenv(name, value)
    nobody = caller.set(None)
    with ExitStack() as open_worlds:
        yield enter
        caller.reset(nobody)
    settings.forget()
    sdk.client.cache_clear()
    sdk.slow_client.cache_clear()
    sdk.patient_client.cache_clear()
    sdk.hasty_client.cache_clear()


@pytest.fixture
def somebody() -> Callable[..., Any]:
    """`somebody("lambda.publish_version", **params)` calls AWS as anybody but a handler: not counted, never struck."""

    def call(operation: str, **params: Any) -> Any:
        service, _, method = operation.partition(".")
        return Context().run(getattr(client(service), method), **params)

    return call


@pytest.fixture
def items(somebody: Callable[..., Any]) -> Callable[[World], dict[str, Any]]:
    """`items(world)` is everything in the ledger's table, by its range key."""

    def read(world: World) -> dict[str, Any]:
        found = somebody("dynamodb.scan", TableName=world.table_name)["Items"]
        plain = [{name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in found]
        return {item["record"]: item for item in plain}

    return read


@pytest.fixture
def account() -> Iterator[Account]:
    """An account in which only CloudWatch is served, without delay; the tests of Lambda's rules have another one."""
    with account_with(delay_seconds=0) as opened:
        yield opened


@pytest.fixture
def late_account() -> Iterator[Account]:
    """As `account`, but datapoints arrive a minute and a half after the end of their minute."""
    with account_with(delay_seconds=90) as opened:
        yield opened
