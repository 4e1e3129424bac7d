"""What may speak against a candidate: the user's alarms, their limits, and the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, Self

from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import UNKNOWN_TIMES, AlarmTimes
from tidegate.frozen import frozen
from tidegate.stored import known_fields

AlreadyFiring = Literal["reject", "ignore_until_ok"]
InconclusivePolicy = Literal["extend", "promote", "roll_back", "hold"]


@frozen
class AlarmRule:
    """An alarm that guards the rollout, what to do where it fires already at the start, and its times as of then."""

    name: str
    if_already_firing: AlreadyFiring = "reject"
    times: AlarmTimes = UNKNOWN_TIMES

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The rule of `dataclasses.asdict`."""
        times = AlarmTimes(**known_fields(AlarmTimes, document.get("times", {})))
        return cls(**{**known_fields(cls, document), "times": times})


@frozen
class HealthPolicy:
    """The user's own limits for the candidate, and what to do where there is too little traffic to tell."""

    max_error_percent: float | None = None
    max_duration_p99_ms: float | None = None
    minimum_invocations: int = 10
    when_inconclusive: InconclusivePolicy = "extend"
    max_extension_seconds: int = 600
    max_hold_seconds: int = 86_400
    judge: Judge | None = field(default_factory=Judge)
    advance_early: bool = False
    min_bake_seconds: int = 300

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The policy of `dataclasses.asdict`."""
        judge = document["judge"]
        return cls(**{**known_fields(cls, document), "judge": judge and Judge.from_json(judge)})
