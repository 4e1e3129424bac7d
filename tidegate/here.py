"""Rollouts on this machine, for `--sandbox`. The sandbox stays with the source, so it is looked for only when asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.account import Account
from tidegate.failed import Unusable
from tidegate.view import RolloutView

if TYPE_CHECKING:
    from sandbox.scenario import Scenario


def play(request: object, scenario: str | None, seed: int) -> list[RolloutView]:
    """Every view of one rollout, played to its end.

    Raises:
        Unusable: there is no sandbox here, or no such scenario.
    """
    chosen = _scenario(scenario)
    from sandbox.story import play as play_story  # noqa: PLC0415 - the wheel has no sandbox
    from sandbox.story import rollout_view  # noqa: PLC0415 - see above

    seen: list[RolloutView] = []
    with _refusals():
        play_story(request, chosen, seed, lambda world: seen.append(rollout_view(world)))
    return seen


@contextmanager
def account(request: object, scenario: str | None, seed: int) -> Iterator[Account]:
    """An account of the sandbox, before the rollout; inside, boto3 talks to nothing else.

    Raises:
        Unusable: as `play`.
    """
    chosen = _scenario(scenario)
    from sandbox.stack import REGION, STACK_NAME  # noqa: PLC0415 - the wheel has no sandbox
    from sandbox.world import World  # noqa: PLC0415 - see above

    with _refusals(), World(chosen, request, seed):
        yield Account(STACK_NAME, REGION)


def _scenario(name: str | None) -> Scenario:
    try:
        from sandbox.scenario import find  # noqa: PLC0415 - the wheel has no sandbox
    except ModuleNotFoundError as error:
        raise Unusable(
            f"--sandbox needs Tidegate's source and what `make setup` installs, and {error.name} is not here: clone the"
            " repository, run `make setup`, and use .venv/bin/tidegate there"
        ) from error
    with _refusals():
        return find(Path(name) if name else None)


@contextmanager
def _refusals() -> Iterator[None]:
    from sandbox.scenario import ScenarioInvalid  # noqa: PLC0415 - the wheel has no sandbox

    try:
        yield
    except ScenarioInvalid as error:
        raise Unusable("\n".join(error.reasons)) from error
