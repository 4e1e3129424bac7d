"""The health of a request: limits, the judge, and what to do where there is too little traffic to tell."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.health import HealthPolicy, InconclusivePolicy
from tidegate.analysis.judge import Judge
from tidegate.request.part import MAX_BAKE_SECONDS, BakeSeconds, IntervalSeconds, Or, Part, violation


class ToleranceRequest(Part):
    """How much worse than the stable version the candidate may be."""

    max_ratio: Annotated[float, Field(ge=1, le=100)] | None = Field(
        None,
        description="So many times the stable version's rate; 1.2 for errors and 1.25 for slow requests by default.",
    )
    max_increase_percent: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="And so many percentage points more; 0.1 for errors and 0.2 for slow requests by default."
    )

    def tolerance(self, default: Tolerance) -> Tolerance:
        """These bounds, the default ones where none are given."""
        given = self.max_increase_percent
        return Tolerance(
            default.max_ratio if self.max_ratio is None else self.max_ratio,
            default.max_increase if given is None else given / 100,
        )


def _unless_off(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, dict):
        raise violation("must be an object, or false to turn it off")
    return value


Tolerated = Annotated[ToleranceRequest | None, BeforeValidator(_unless_off), Or(type="boolean")]


class JudgeRequest(Part):
    """How the candidate is compared with the stable version over the same minutes."""

    errors: Tolerated = Field(ToleranceRequest(), description="Failed requests; false: not compared.")
    slow: Tolerated = Field(
        ToleranceRequest(),
        description="Requests slower than the stable version's p99 of the day before; false: not compared.",
    )
    false_rollback_percent: Annotated[float, Field(ge=0.0001, le=10)] = Field(
        1.0, description="How often a candidate that is no worse may be rolled back at most, over the whole rollout."
    )
    tolerated_rollback_percent: Annotated[float, Field(ge=0.0001, le=50)] = Field(
        10.0, description="How often a candidate that is worse within the tolerance may be rolled back at most."
    )

    @field_validator("slow")
    @classmethod
    def _judges_something(cls, value: ToleranceRequest | None, info: ValidationInfo) -> ToleranceRequest | None:
        if value is None and info.data.get("errors", value) is None:
            raise violation("nothing is left to judge: set judge to false instead")
        return value

    def judge(self) -> Judge:
        """The judge as the plan keeps it."""
        usual = Judge()
        return Judge(
            errors=self.errors.tolerance(usual.errors) if self.errors and usual.errors else None,
            slow=self.slow.tolerance(usual.slow) if self.slow and usual.slow else None,
            false_rollback=self.false_rollback_percent / 100,
            tolerated_rollback=self.tolerated_rollback_percent / 100,
        )


class HealthRequest(Part):
    """Limits for the candidate, the judge, and what to do where there is too little traffic to tell."""

    judge: Annotated[JudgeRequest | None, BeforeValidator(_unless_off), Or(type="boolean")] = Field(
        JudgeRequest(), description="Compares the candidate with the stable version; false: turned off."
    )

    max_error_percent: float | None = Field(
        None, ge=0, le=100, description="Errors in percent of the candidate's own invocations."
    )
    max_duration_p99_ms: float | None = Field(
        None, gt=0, le=5_400_000, description="p99 of the candidate's own duration, in milliseconds."
    )
    minimum_invocations: int = Field(
        10, ge=1, description="Below this many invocations of the candidate nothing is concluded."
    )
    when_inconclusive: InconclusivePolicy = Field(
        "extend",
        description=(
            "After the extension: promote unproven if the candidate served minimum_invocations without a sign of harm,"
            " and nothing of it was out of sight, else roll back (extend); go on unproven (promote); roll back; or hold"
            " until somebody approves or rejects."
        ),
    )
    max_extension_seconds: int = Field(
        600, ge=0, le=MAX_BAKE_SECONDS, description="How much longer the whole rollout may take to find proof."
    )
    max_hold_seconds: IntervalSeconds = Field(
        86_400, description="How long when_inconclusive hold waits for a person, in seconds; then it rolls back."
    )
    advance_early: bool = Field(
        False,
        description="End a bake, never the last one, as soon as the judge has cleared the candidate at its weight.",
    )
    min_bake_seconds: BakeSeconds = Field(300, description="How long a bake lasts at least that is ended early.")
    bake_for_alarms: bool = Field(
        False, description="Bake the last step for as long as the slowest alarm needs to fire, where that is longer."
    )

    @field_validator("advance_early")
    @classmethod
    def _has_a_judge(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("judge", value) is None:
            raise violation("needs the judge, which is turned off")
        return value

    def policy(self) -> HealthPolicy:
        """These limits as the plan keeps them."""
        limits = self.model_dump(exclude={"judge", "bake_for_alarms"})
        return HealthPolicy(judge=self.judge.judge() if self.judge else None, **limits)
