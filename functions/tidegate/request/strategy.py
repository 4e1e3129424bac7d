"""The strategy of a request: by name, as an object, or as free steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from tidegate.planning import strategy
from tidegate.planning.strategy import Approval, Step
from tidegate.request.part import BakeSeconds, IntervalSeconds, Or, Part, WeightPercent, two_decimals, violation


class ApprovalRequest(Part):
    """Hold before this weight is set, until somebody approves."""

    timeout_seconds: IntervalSeconds = Field(86_400, description="How long to wait for an approval, in seconds.")
    on_timeout: Literal["roll_back", "continue"] = Field(
        "roll_back", description="What to do where nobody approves in time."
    )


class StepRequest(Part):
    """One weight and how long it bakes."""

    weight: WeightPercent = Field(description="Percent of the alias's traffic for the candidate, up to two decimals.")
    bake_seconds: BakeSeconds = Field(description="How long to watch at this weight, in seconds.")

    approval: ApprovalRequest | None = Field(
        None, description="Before this weight is set, hold until somebody approves; alarms and judge stay on duty."
    )

    _two_decimals = field_validator("weight")(two_decimals)

    def step(self) -> Step:
        """The step as the plan keeps it."""
        asked = self.approval
        approval = Approval(asked.timeout_seconds, asked.on_timeout) if asked else None
        return Step(self.weight, self.bake_seconds, approval)


class CanaryStrategy(Part):
    """One small step, then everything."""

    type: Literal["canary"]
    weight: Annotated[float, Field(gt=0, lt=100)] = Field(description="Percent for the one step before 100.")
    interval_seconds: IntervalSeconds = Field(description="How long that step bakes.")

    _two_decimals = field_validator("weight")(two_decimals)

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.canary(self.weight, self.interval_seconds)


class LinearStrategy(Part):
    """Equal increments."""

    type: Literal["linear"]
    increment: WeightPercent = Field(description="Percent added at every step.")
    interval_seconds: IntervalSeconds = Field(description="How long every step before 100 % bakes.")

    _two_decimals = field_validator("increment")(two_decimals)

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.linear(self.increment, self.interval_seconds)


class ExponentialStrategy(Part):
    """Growth: factor 2 gives 2, 4, 8 … 100 %."""

    type: Literal["exponential"]
    factor: Annotated[float, Field(ge=1.1, le=100)] = Field(description="The first weight, and what multiplies it.")
    interval_seconds: IntervalSeconds = Field(description="How long every step before 100 % bakes.")

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.exponential(self.factor, self.interval_seconds)


class AllAtOnceStrategy(Part):
    """Everything at once, still watched before it is promoted."""

    type: Literal["all_at_once"]

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.all_at_once()


_EXAMPLES = (
    "use a name such as Canary10Percent5Minutes, Linear10PercentEvery1Minute or AllAtOnce, or an object such as"
    ' {"type": "canary", "weight": 10, "interval_seconds": 300}'
)


def _named_strategy(value: object) -> object:
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise violation(f"must be a name in quotes or an object: {_EXAMPLES}")
    named = strategy.parse_name(value)
    if named is None:
        raise violation(f"{value[:60]!r} is no strategy: {_EXAMPLES}")
    return named


Strategy = Annotated[
    CanaryStrategy | LinearStrategy | ExponentialStrategy | AllAtOnceStrategy,
    Field(discriminator="type"),
    BeforeValidator(_named_strategy),
    Or(
        type="string",
        pattern=strategy.NAME_PATTERN,
        examples=["Canary10Percent5Minutes", "Linear10PercentEvery1Minute"],
    ),
]
