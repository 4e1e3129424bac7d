"""What is wrong with a request, told by the very parser that PlanRollout has, which is loaded only when it is asked."""

from __future__ import annotations


def problems_of(document: object) -> list[str]:
    """Everything that is wrong with the form of a request, any JSON value; what only AWS knows is left to a plan."""
    from tidegate.request.rollout_request import RolloutRequest  # noqa: PLC0415 - takes longer than most commands

    return RolloutRequest.problems(document)
