"""What a request may be, told by the very parser that PlanRollout has, which is loaded only when it is asked."""

from __future__ import annotations

import json


def problems_of(document: object) -> list[str]:
    """Everything that is wrong with the form of a request, any JSON value; what only AWS knows is left to a plan."""
    from tidegate.request.rollout_request import RolloutRequest  # noqa: PLC0415 - takes longer than most commands

    return RolloutRequest.problems(document)


def request_schema() -> str:
    """The request's JSON Schema, as text."""
    from tidegate.request.rollout_request import json_schema  # noqa: PLC0415 - see above

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
