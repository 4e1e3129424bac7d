"""How a workflow test tells its story: the real template, state machine and handlers, in the sandbox."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.scenario import Scenario
from sandbox.story import Story, play

Tell = Callable[..., Story]

#: What was told already: a story depends on its words and its seed alone (tests/sandbox/test_story.py).
_TOLD: dict[str, Story] = {}


@pytest.fixture
def tell() -> Tell:
    """`tell(request=…, **scenario)` plays one rollout of checkout:live, the request on top of the smallest one."""

    def play_story(request: object | None = None, *, whole: object = ..., seed: int = 0, **scenario: Any) -> Story:
        asked = {"function_name": "checkout", "alias_name": "live", **(request or {})} if whole is ... else whole
        words = json.dumps([asked, scenario, seed])
        if words not in _TOLD:
            _TOLD[words] = play(asked, Scenario.of(scenario), seed)
        return _TOLD[words]

    return play_story
