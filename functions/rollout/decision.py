"""Everything observed at a poll becomes one Decision.

Each gate (alarm, threshold) gives a Check: its value beside its limit, and a Finding. Unknown is never
healthy: a rollout without proof is held, then decided by the request's `when_inconclusive`, and marked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, Self

from rollout.observation import AlarmReading, Counts
from rollout.plan import AlarmGate, Plan

Action = Literal["wait", "advance", "promote", "roll_back"]


class Finding(Enum):
    """What a gate says of the candidate, from least to most severe."""

    IGNORED = "ignored"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    SUSPECT = "suspect"
    HARMFUL = "harmful"

    @property
    def severity(self) -> int:
        """0 for the least severe."""
        return list(Finding).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One gate's value beside its limit; `of` is how many requests it rests on, where it rests on any.

    `convicts`: where it is harmful, it speaks against the candidate, and not only against going on.
    """

    name: str
    value: float | str | None
    limit: float | str
    unit: str
    finding: Finding
    of: int | None = None
    convicts: bool = False

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return f"alarm {self.name} is {self.value}"
        if self.value is None:
            return f"no requests seen yet ({self.name})"
        share, limit = f"{self.value:.3g} {self.unit}", f"limit {self.limit:g} {self.unit}"
        return f"{share} of the candidate's {self.of:,} requests are {self.name} ({limit})"

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        value = round(self.value, 3) if isinstance(self.value, float) else self.value
        return {
            "name": self.name,
            "value": value,
            "limit": self.limit,
            "unit": self.unit,
            "finding": self.finding.value,
            "of": self.of,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rollout is; handed from state to state. Times are seconds since the epoch.

    `step` counts from 0. `revision_id` is the alias's after the last shift: every forward write names it.
    `alarms_seen` keeps each alarm's last transition, so that its history is read only when it moved.
    """

    step: int
    weight_percent: float
    revision_id: str
    first_shift_at: float
    shifted_at: float
    extended_seconds: int = 0
    alarms_seen: Mapping[str, float] | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The progress of `to_json`; what else a state added is left out."""
        return cls(**{name: document[name] for name in cls.__dataclass_fields__})

    @classmethod
    def after_shift(cls, before: Self | None, step: int, weight_percent: float, revision_id: str, now: float) -> Self:
        """The progress once the alias has its next weight."""
        if before is None:
            return cls(step, weight_percent, revision_id, first_shift_at=now, shifted_at=now)
        return replace(before, step=step, weight_percent=weight_percent, revision_id=revision_id, shifted_at=now)

    def seeing(self, readings: Mapping[str, AlarmReading]) -> Self:
        """The progress that remembers each alarm's last transition."""
        moved = {
            name: reading.transitioned_at
            for name, reading in readings.items()
            if reading.settled and reading.transitioned_at is not None
        }
        return replace(self, alarms_seen=moved)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "alarms_seen": dict(self.alarms_seen or {})}


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens next, and why in one sentence.

    `convicts` means a verdict spoke against the candidate: it is remembered as bad. `proven` is whether a
    promotion rests on evidence.
    """

    action: Action
    reason: str
    checks: tuple[Check, ...]
    progress: Progress
    wait_seconds: int = 0
    proven: bool = False
    convicts: bool = False


def alarm_check(gate: AlarmGate, reading: AlarmReading) -> Check:
    """An alarm as a gate: it says harm when it fires, and also when it is gone or cannot be evaluated."""
    finding, value = Finding.HEALTHY, str(reading.state)
    if reading.state is None:
        finding, value = Finding.HARMFUL, "missing"
    elif reading.broken:
        finding, value = Finding.HARMFUL, "broken"
    elif reading.state == "ALARM" and not reading.recovered:
        finding = Finding.IGNORED
    elif reading.state == "ALARM":
        finding = Finding.HARMFUL
    elif reading.fired_since_shift:
        finding, value = Finding.HARMFUL, f"{reading.state}, and was in ALARM since traffic moved"
    elif reading.state == "INSUFFICIENT_DATA":
        finding = Finding.UNKNOWN
    elif reading.stale:
        finding, value = Finding.UNKNOWN, f"{reading.state}, and could not be evaluated just now"
    # An alarm that is gone, or fired before the candidate had any traffic, says nothing of the candidate.
    return Check(gate.name, value, "OK", "", finding, convicts=reading.fired_since_shift)


def decide(
    plan: Plan, progress: Progress, checks: tuple[Check, ...], in_step: Counts, in_rollout: Counts, now: float
) -> Decision:
    """What to do now.

    Args:
        plan: the fixed plan.
        progress: where the rollout stands.
        checks: every gate's finding.
        in_step: the candidate's requests at the present weight alone.
        in_rollout: the candidate's requests over the whole rollout.
        now: seconds since the epoch.
    """
    harmful = [check for check in checks if check.finding is Finding.HARMFUL]
    if harmful:
        reason = "; ".join(map(str, harmful))
        convicts = any(check.convicts for check in harmful)
        return Decision("roll_back", reason, checks, progress, convicts=convicts)
    step = plan.steps[progress.step]
    remaining = progress.shifted_at + step.bake_seconds - now
    if remaining > 0:
        return _wait(plan, progress, checks, remaining, f"{step.weight_percent:g} % bakes {remaining:.0f} s more")
    suspect = [check for check in checks if check.finding is Finding.SUSPECT]
    if progress.step < len(plan.steps) - 1:
        if suspect:
            return _extend(plan, progress, checks, suspect) or _give_up(progress, checks, suspect)
        return Decision("advance", f"{step.weight_percent:g} % has baked", checks, progress)
    return _last_step(plan, progress, checks, suspect, in_step, in_rollout)


def _last_step(
    plan: Plan,
    progress: Progress,
    checks: tuple[Check, ...],
    suspect: list[Check],
    in_step: Counts,
    in_rollout: Counts,
) -> Decision:
    unknown = [check for check in checks if check.finding is Finding.UNKNOWN]
    enough = in_step.requests >= plan.health.minimum_invocations
    if not suspect and not unknown and enough:
        proven = any(check.finding is Finding.HEALTHY for check in checks)
        if proven:
            return Decision("promote", "every gate is healthy", checks, progress, proven=True)
        return _ungated(plan, progress, checks)
    if extended := _extend(plan, progress, checks, suspect or unknown):
        return extended
    if suspect:
        return _give_up(progress, checks, suspect)
    return _inconclusive(plan, progress, checks, unknown, in_rollout)


def _ungated(plan: Plan, progress: Progress, checks: tuple[Check, ...]) -> Decision:
    """No alarm and no limit could have told: waiting longer would not help."""
    if plan.health.when_inconclusive == "roll_back":
        reason = "no gate is set, so nothing can be proven: set health limits or alarms"
        return Decision("roll_back", reason, checks, progress)
    return Decision("promote", "unproven: no gate is set that could speak against it", checks, progress)


def _inconclusive(
    plan: Plan, progress: Progress, checks: tuple[Check, ...], unknown: list[Check], served: Counts
) -> Decision:
    policy = plan.health.when_inconclusive
    minimum = plan.health.minimum_invocations
    seen = f"the candidate served {served.requests:,} requests"
    missing = "; ".join(map(str, unknown)) or f"fewer than minimum_invocations ({minimum:,})"
    if policy == "promote" or (policy == "extend" and served.requests >= minimum):
        return Decision("promote", f"unproven: {seen}, and nothing spoke against it ({missing})", checks, progress)
    advice = "send traffic, bake longer, lower health.minimum_invocations, or set health.when_inconclusive to promote"
    return Decision("roll_back", f"inconclusive: {seen} ({missing}): {advice}", checks, progress)


def _give_up(progress: Progress, checks: tuple[Check, ...], suspect: list[Check]) -> Decision:
    reason = "above the limit to the end of the extension: " + "; ".join(map(str, suspect))
    return Decision("roll_back", reason, checks, progress)


def _extend(plan: Plan, progress: Progress, checks: tuple[Check, ...], because: list[Check]) -> Decision | None:
    left = plan.health.max_extension_seconds - progress.extended_seconds
    if left <= 0:
        return None
    granted = min(plan.poll_seconds, left)
    missing = "; ".join(map(str, because)) or "too few requests"
    reason = f"bakes on for proof, {left} s at most ({missing})"
    longer = replace(progress, extended_seconds=progress.extended_seconds + granted)
    return _wait(plan, longer, checks, granted, reason)


def _wait(plan: Plan, progress: Progress, checks: tuple[Check, ...], seconds: float, reason: str) -> Decision:
    wait_seconds = max(1, math.ceil(min(plan.poll_seconds, seconds)))
    return Decision("wait", reason, checks, progress, wait_seconds=wait_seconds)
