"""How a workflow test tells its story: the real template, state machine and handlers, in the sandbox."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.scenario import Scenario
from sandbox.story import Story, play

Tell = Callable[..., Story]


@pytest.fixture
def tell() -> Tell:
    """`tell(request=…, **scenario)` plays one rollout of checkout:live, the request on top of the smallest one."""

    def play_story(request: object | None = None, *, whole: object = ..., seed: int = 0, **scenario: Any) -> Story:
        asked = {"function_name": "checkout", "alias_name": "live", **(request or {})} if whole is ... else whole
        return play(asked, Scenario.of(scenario), seed)

    return play_story
