"""The command line in an account of the sandbox: boto3 talks to it, and whoever sleeps moves its clock."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sandbox.aws.stack import REGION
from sandbox.scenario import Scenario
from sandbox.world import World
from tidegate.cli.app import app

SMALLEST = {"function_name": "checkout", "alias_name": "live"}

Say = Callable[..., Result]
Live = Callable[..., AbstractContextManager[World]]


@pytest.fixture
def say(monkeypatch, tmp_path) -> Say:
    """`say("status", "checkout:live")` runs `tidegate`; the words after `given=` are its standard input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("AWS_PROFILE", "AWS_REGION", "TIDEGATE_STACK"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, given: object = None) -> Result:
        text = given if isinstance(given, str) or given is None else json.dumps(given)
        return CliRunner().invoke(app, list(words), input=text, prog_name="tidegate")

    return run


@pytest.fixture
def live(monkeypatch) -> Live:
    """An account in which a rollout has run for `at_second` seconds, entered by `with`; None: nothing is started.

    `request` comes on top of the smallest one, whatever else is given is the scenario's.
    """

    @contextmanager
    def live(at_second: float | None = 90, request: Any = None, **scenario: Any) -> Iterator[World]:
        with World(Scenario.of(scenario), {**SMALLEST, **(request or {})}) as world, monkeypatch.context() as patches:
            patches.setattr(time, "sleep", world.clock.sleep)
            if at_second is not None:
                world.start()
                world.clock.sleep(at_second)
            yield world

    return live
