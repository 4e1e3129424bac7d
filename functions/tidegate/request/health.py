"""The health of a request: limits, the judge, and what to do where there is too little traffic to tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.health import HealthPolicy, InconclusivePolicy
from tidegate.analysis.judge import Judge
from tidegate.analysis.metric import QUANTILES, TOLERATED_ERRORS, TOLERATED_SLOW, WARM_UP_SECONDS
from tidegate.request.metrics import MAX_METRICS, Metric, MetricRequest, ToleranceRequest
from tidegate.request.part import MAX_BAKE_SECONDS, BakeSeconds, IntervalSeconds, Or, Part, violation


def _unless_off(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, dict):
        raise violation("must be an object, or false to turn it off")
    return value


Tolerated = Annotated[ToleranceRequest | None, BeforeValidator(_unless_off), Or(type="boolean")]


class SlowRequest(ToleranceRequest):
    """How much slower than the stable version the candidate may be; what is given holds for each of the quantiles."""

    quantiles: list[Literal["p50", "p90", "p99"]] = Field(
        list(QUANTILES),
        min_length=1,
        max_length=len(QUANTILES),
        description="What slow means: above these quantiles of the stable version's durations of the day before.",
    )

    warm_up_seconds: int = Field(
        WARM_UP_SECONDS,
        ge=0,
        le=3600,
        description="For how long after each increase of the weight slow requests do not count: caches, compilers.",
    )

    @field_validator("quantiles")
    @classmethod
    def _named_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise violation("names a quantile more than once")
        return value

    def tolerances(self) -> dict[str, Tolerance]:
        """What is tolerated by each quantile, the lowest first."""
        return {name: self.tolerance(TOLERATED_SLOW[name]) for name in QUANTILES if name in self.quantiles}


class JudgeRequest(Part):
    """How the candidate is compared with the stable version over the same minutes."""

    errors: Tolerated = Field(ToleranceRequest(), description="Failed requests; false: not compared.")
    metrics: list[Metric] = Field(
        [], max_length=MAX_METRICS, description="Metrics of yours that carry the version, judged as errors are."
    )
    slow: Annotated[SlowRequest | None, BeforeValidator(_unless_off), Or(type="boolean")] = Field(
        SlowRequest(),
        description=(
            "Requests slower than the stable version's p50, p90 and p99 of the day before; false: not compared."
        ),
    )
    false_rollback_percent: Annotated[float, Field(ge=0.0001, le=10)] = Field(
        1.0, description="How often a candidate that is no worse may be rolled back at most, over the whole rollout."
    )
    tolerated_rollback_percent: Annotated[float, Field(ge=0.0001, le=50)] = Field(
        10.0, description="How often a candidate that is worse within the tolerance may be rolled back at most."
    )

    @field_validator("metrics")
    @classmethod
    def _have_names_of_their_own(cls, value: list[MetricRequest]) -> list[MetricRequest]:
        names = [one.name for one in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise violation(f"named more than once: {', '.join(twice)}")
        return value

    @field_validator("slow")
    @classmethod
    def _judges_something(cls, value: SlowRequest | None, info: ValidationInfo) -> SlowRequest | None:
        if value is None and info.data.get("errors", value) is None and info.data.get("metrics") == []:
            raise violation("nothing is left to judge: set judge to false instead")
        return value

    @property
    def asks_for_executions(self) -> bool:
        """Whether it names the executions of a durable function among its metrics."""
        return any(one.is_durable for one in self.metrics)

    def judge(self) -> Judge:
        """The judge as the plan keeps it."""
        failing = next((one for one in self.metrics if one.is_durable), self.errors)
        judge = Judge(
            errors=failing.tolerance(TOLERATED_ERRORS) if failing else None,
            metrics=tuple(one.metric() for one in self.metrics if not one.is_durable),
            false_rollback=self.false_rollback_percent / 100,
            tolerated_rollback=self.tolerated_rollback_percent / 100,
        )
        if self.slow is None:
            return judge.with_quantiles({})
        return replace(judge.with_quantiles(self.slow.tolerances()), warm_up_seconds=self.slow.warm_up_seconds)


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
