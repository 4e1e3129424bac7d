"""Presets and steps: how traffic reaches the candidate.

A strategy is only a way of writing steps down. The last step is always at 100 %.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from tidegate.frozen import frozen
from tidegate.routing import ALL_PERCENT
from tidegate.stored import known_fields

WEIGHT_DECIMALS = 2
MAX_STEPS = 10_000
#: After a step back no weight bakes longer than this: it was seen before, and the comparison needs minutes.
AGAIN_SECONDS = 1800

#: A flinch lowers the weight to this part of it, but to no less than so many percent: below that nothing is learnt.
FLINCH_PART, FLINCH_LEAST_PERCENT = 0.1, 1.0

_NAME = re.compile(
    r"(?:CodeDeployDefault\.)?(?:Lambda)?"
    r"(?:(?P<canary>Canary)(?P<canary_weight>\d+(?:\.\d+)?)Percent(?P<canary_minutes>\d+)Minutes?"
    r"|(?P<linear>Linear)(?P<increment>\d+(?:\.\d+)?)PercentEvery(?P<linear_minutes>\d+)Minutes?"
    r"|(?P<all>AllAtOnce))",
)

#: For the JSON Schema; `parse_name` accepts exactly what this matches.
NAME_PATTERN = (
    r"^(CodeDeployDefault\.)?(Lambda)?(Canary\d+(\.\d+)?Percent\d+Minutes?"
    r"|Linear\d+(\.\d+)?PercentEvery\d+Minutes?|AllAtOnce)$"
)


@frozen
class Approval:
    """Somebody must approve before the weight is set; what happens where nobody does within `timeout_seconds`."""

    timeout_seconds: int
    on_timeout: Literal["roll_back", "continue"] = "roll_back"


@frozen
class Step:
    """One weight of the candidate, in percent of the alias's traffic, and how long it bakes, in seconds."""

    weight_percent: float
    bake_seconds: int
    approval: Approval | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The step of `dataclasses.asdict`."""
        approval = document.get("approval")
        return cls(
            **{**known_fields(cls, document), "approval": approval and Approval(**known_fields(Approval, approval))}
        )

    def again_seconds(self, *, first: bool) -> int:
        """How long it bakes after a step back; `first`: there, so it must be long enough to compare."""
        return max(COMPARISON.bake_seconds if first else 0, min(self.bake_seconds, AGAIN_SECONDS))


#: Where an all-at-once rollout steps back to: nothing of it was ever compared.
COMPARISON = Step(10, 300)
#: 10, 50 and 100 %, five minutes each.
DEFAULT_STEPS = (Step(10, 300), Step(50, 300), Step(100, 300))


def lowered_percent(weight_percent: float) -> float:
    """The weight of a flinch from that one, in percent; the same where it is too small for any."""
    part = round(FLINCH_PART * weight_percent, WEIGHT_DECIMALS)
    return min(weight_percent, max(FLINCH_LEAST_PERCENT, part))


def canary(weight_percent: float, interval_seconds: int) -> tuple[Step, ...]:
    """One small step, then everything."""
    return (Step(weight_percent, interval_seconds), Step(ALL_PERCENT, 0))


def linear(increment_percent: float, interval_seconds: int) -> tuple[Step, ...]:
    """Equal increments; the last one is cut at 100 %."""
    weights: list[float] = []
    while (
        len(weights) < MAX_STEPS
        and (weight := round(increment_percent * (len(weights) + 1), WEIGHT_DECIMALS)) < ALL_PERCENT
    ):
        weights.append(weight)
    return _rising(weights, interval_seconds)


def exponential(factor: float, interval_seconds: int) -> tuple[Step, ...]:
    """Growth by `factor`: 2 gives 2, 4, 8, 16, 32, 64, 100 %."""
    weights: list[float] = []
    exact = factor
    while len(weights) < MAX_STEPS and (weight := round(exact, WEIGHT_DECIMALS)) < ALL_PERCENT:
        if not weights or weight > weights[-1]:
            weights.append(weight)
        exact *= factor
    return _rising(weights, interval_seconds)


def all_at_once() -> tuple[Step, ...]:
    """Everything at once: at weight 100, still one call away from the stable version until it is proven."""
    return (Step(ALL_PERCENT, 0),)


def parse_name(name: str) -> dict[str, object] | None:
    """A CodeDeploy-style name as a strategy object, or None where it is no such name.

    Names: https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html, with
    every number free and the prefixes `CodeDeployDefault.` and `Lambda` optional.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    if match["canary"]:
        seconds = int(match["canary_minutes"]) * 60
        return {"type": "canary", "weight": float(match["canary_weight"]), "interval_seconds": seconds}
    if match["linear"]:
        seconds = int(match["linear_minutes"]) * 60
        return {"type": "linear", "increment": float(match["increment"]), "interval_seconds": seconds}
    return {"type": "all_at_once"}


def _rising(weights: list[float], interval_seconds: int) -> tuple[Step, ...]:
    return (*(Step(weight, interval_seconds) for weight in weights), Step(ALL_PERCENT, 0))
