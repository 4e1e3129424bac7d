"""Rollouts on this machine, for `--sandbox`. The sandbox stays with the source, so it is looked for only when asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.options import malformed
from tidegate.terminal.exit_codes import Unusable
from tidegate.terminal.lazily import lazily

with lazily():
    from tidegate.cli import account

if TYPE_CHECKING:
    from sandbox.scenario import Scenario
    from tidegate.views.rollout_view import RolloutView

_SOURCE = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a request is tried out against: a scenario's file or shipped name, None: everyday traffic; and its luck."""

    scenario: str | None
    seed: int

    def play(self, request: object) -> list[RolloutView]:
        """Every view of one rollout, played to its end.

        Raises:
            Unusable: there is no sandbox here, or no such scenario.
        """
        chosen = _scenario(self.scenario)
        from sandbox.story import play, rollout_view  # noqa: PLC0415 - the wheel has no sandbox

        seen: list[RolloutView] = []
        with _refusals():
            play(request, chosen, self.seed, lambda world: seen.append(rollout_view(world)))
        return seen

    def rehearse(self, request: object) -> account.Item:
        """As `Account.rehearse`, before the rollout; raises as that does, and as `play`."""
        chosen = _scenario(self.scenario)
        from sandbox.aws.stack import REGION, STACK_NAME  # noqa: PLC0415 - the wheel has no sandbox
        from sandbox.world import World  # noqa: PLC0415 - see above

        with _refusals(), World(chosen, request, self.seed):  # inside, boto3 talks to nothing else
            return account.Account(STACK_NAME, REGION).rehearse(request)


def _scenario(name: str | None) -> Scenario:
    if (_SOURCE / "sandbox/scenario.py").is_file() and str(_SOURCE) not in sys.path:
        sys.path.append(str(_SOURCE))
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
        raise Unusable(*malformed("the scenario", error.reasons)) from error
