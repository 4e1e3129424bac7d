"""Everything observed at a poll becomes one Decision.

Each gate (alarm, threshold, the judge's metrics) gives a Check. Unknown is never healthy: a rollout without proof is
held, then decided by the request's `when_inconclusive`, and marked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from rollout.check import Check, Finding
from rollout.observation import AlarmReading, Counts, Shift
from rollout.plan import SETTLE_SECONDS, Plan
from rollout.verdict import Verdict

Action = Literal["wait", "advance", "step_back", "promote", "roll_back"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rollout is; handed from state to state. Times are seconds since the epoch.

    `step` counts from 0, see `Plan.step_at`. `revision_id` is the alias's after the last shift: every forward write
    names it. `shifts` is every weight so far. `last_baked_seconds` is how long the last step had baked before the
    rollout stepped back from it. `alarms_seen` keeps each alarm's last transition, so that its history is read only
    when it moved.
    """

    step: int
    weight_percent: float
    revision_id: str
    first_shift_at: float
    shifted_at: float
    shifts: tuple[Shift, ...]
    extended_seconds: int = 0
    step_backs: int = 0
    last_baked_seconds: float = 0.0
    alarms_seen: Mapping[str, float] | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The progress of `to_json`; what else a state added is left out."""
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "shifts": tuple(Shift(at, weight) for at, weight in document["shifts"])})

    @classmethod
    def after_shift(cls, before: Self | None, step: int, weight_percent: float, revision_id: str, now: float) -> Self:
        """The progress once the alias has its next weight."""
        shift = Shift(now, weight_percent)
        if before is None:
            return cls(step, weight_percent, revision_id, first_shift_at=now, shifted_at=now, shifts=(shift,))
        return replace(
            before,
            step=step,
            weight_percent=weight_percent,
            revision_id=revision_id,
            shifted_at=now,
            shifts=(*before.shifts, shift),
        )

    def seeing(self, readings: Mapping[str, AlarmReading]) -> Self:
        """The progress that remembers each alarm's last transition."""
        moved = {
            name: reading.transitioned_at
            for name, reading in readings.items()
            if reading.settled and reading.transitioned_at is not None
        }
        return replace(self, alarms_seen=moved)

    def next_step(self, plan: Plan, action: str) -> int:
        """Which step a shift after `action` leads to."""
        return plan.first_step if action == "step_back" else self.step + 1

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        shifts = [[shift.at, shift.weight_percent] for shift in self.shifts]
        return {**fields, "shifts": shifts, "alarms_seen": dict(self.alarms_seen or {})}


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the rollout saw.

    `in_step` are the candidate's requests at the present weight alone, `in_rollout` all of them, `stable_in_rollout`
    the stable version's. `seen_until` is up to when silence is no lack of metrics: the end of the newest minute that
    has any, and the longest gap between two. `blind` says why nothing could be seen at all.
    """

    now: float
    checks: tuple[Check, ...] = ()
    verdict: Verdict = field(default_factory=Verdict)
    in_step: Counts = field(default_factory=Counts)
    in_rollout: Counts = field(default_factory=Counts)
    stable_in_rollout: Counts = field(default_factory=Counts)
    seen_until: float = 0.0
    blind: str = ""

    def found(self, finding: Finding) -> list[Check]:
        """The checks that found this."""
        return [check for check in self.checks if check.finding is finding]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens next, and why in one sentence.

    `convicts` means a verdict spoke against the candidate: it is remembered as bad. `proven` is whether a
    promotion rests on evidence.
    """

    action: Action
    reason: str
    progress: Progress
    wait_seconds: int = 0
    proven: bool = False
    convicts: bool = False


def decide(plan: Plan, progress: Progress, look: Look) -> Decision:
    """What to do now."""
    if harmful := look.found(Finding.HARMFUL):
        convicts = any(check.convicts for check in harmful)
        return Decision("roll_back", _said(harmful), progress, convicts=convicts)
    if look.verdict.tripped:
        return _step_back(plan, progress, look)
    baked = look.now - progress.shifted_at
    remaining = bake_seconds(plan, progress) - baked
    last = plan.is_last(progress.step)
    weight = f"{progress.weight_percent:g} %"
    if remaining > 0:
        early = plan.health.advance_early and not last and baked >= plan.health.min_bake_seconds
        if early and look.verdict.step_cleared and not look.found(Finding.SUSPECT):
            return Decision("advance", f"{weight} is cleared early: {_said(look.verdict.checks())}", progress)
        return _wait(plan, progress, remaining, f"{weight} bakes {remaining:.0f} s more")
    if look.blind:
        reason = f"nothing could be seen: {look.blind}"
        return _extend(plan, progress, reason) or Decision("roll_back", reason, progress)
    if last:
        return _last_step(plan, progress, look)
    suspect = look.found(Finding.SUSPECT)
    if suspect:
        return _extend(plan, progress, _said(suspect)) or _give_up(progress, suspect)
    if progress.step_backs and (hints := "; ".join(look.verdict.hints)):
        # It stepped back for a reason: what is not cleared of it does not go up again.
        reason = f"stepped back, and not cleared: {hints}"
        return _extend(plan, progress, reason) or Decision("roll_back", reason, progress)
    if look.verdict.burst and (held := _extend(plan, progress, "both versions fail just now")):
        return held
    compared = look.verdict.compared
    return Decision("advance", f"{weight} has baked{compared and f': {compared}'}", progress)


def bake_seconds(plan: Plan, progress: Progress) -> float:
    """How long the present step bakes: after a step back only as long as the comparison may need, or what was left."""
    planned = plan.step_at(progress.step).bake_seconds
    if not progress.step_backs:
        return planned
    again = plan.again_seconds(progress.step)
    return max(planned - progress.last_baked_seconds, again) if plan.is_last(progress.step) else again


def _step_back(plan: Plan, progress: Progress, look: Look) -> Decision:
    """A shared outage at weight 100 looks like harm, and harm like an outage: compare again, with less at stake."""
    saw = "; ".join(map(str, look.verdict.tripped))
    if progress.step_backs >= plan.max_step_backs:
        times = "" if not progress.step_backs else f" again after {progress.step_backs} steps back"
        return Decision("roll_back", f"worse than before at the last weight{times}: {saw}", progress)
    baked = progress.last_baked_seconds + look.now - progress.shifted_at
    stepped = replace(progress, step_backs=progress.step_backs + 1, last_baked_seconds=baked)
    weight = plan.step_at(plan.first_step).weight_percent
    return Decision("step_back", f"back to {weight:g} % to compare: {saw}", stepped)


def _last_step(plan: Plan, progress: Progress, look: Look) -> Decision:
    baked_until = progress.shifted_at + bake_seconds(plan, progress)
    unsettled = baked_until + SETTLE_SECONDS - look.now
    if unsettled > 0:
        return _wait(plan, progress, unsettled, f"has baked; its last minutes settle for {unsettled:.0f} s more")
    suspect, unknown = look.found(Finding.SUSPECT), look.found(Finding.UNKNOWN)
    enough = look.in_step.requests >= plan.health.minimum_invocations
    behind = look.seen_until < baked_until
    if not suspect and not unknown and enough and not behind:
        healthy = look.found(Finding.HEALTHY)
        if healthy:
            compared = [check for check in healthy if check.sentence] or healthy
            return Decision("promote", f"every gate is healthy: {_said(compared)}", progress, proven=True)
        return _ungated(plan, progress)
    reasons = [*map(str, suspect or unknown)]
    if not enough:
        reasons.append(f"fewer than minimum_invocations ({plan.health.minimum_invocations:,}) at the last weight")
    if behind:
        reasons.append("the metrics of its last minutes are missing")
    missing = "; ".join(reasons)
    if extended := _extend(plan, progress, missing):
        return extended
    if suspect:
        return _give_up(progress, suspect)
    return _inconclusive(plan, progress, look, missing)


def _ungated(plan: Plan, progress: Progress) -> Decision:
    """No alarm, no limit and no judge could have told: waiting longer would not help."""
    if plan.health.when_inconclusive == "roll_back":
        reason = "no gate is set, so nothing can be proven: set health limits or alarms, or let the judge work"
        return Decision("roll_back", reason, progress)
    return Decision("promote", "unproven: no gate is set that could speak against it", progress)


def _inconclusive(plan: Plan, progress: Progress, look: Look, missing: str) -> Decision:
    policy = plan.health.when_inconclusive
    seen = f"the candidate served {look.in_rollout.requests:,} requests"
    hints = [*look.verdict.hints]
    if progress.step_backs:
        hints.append(f"it stepped back {progress.step_backs} times, and nothing cleared it since")
    if policy == "extend" and hints:
        return Decision("roll_back", f"unproven, with a sign of harm: {'; '.join(hints)}", progress)
    if policy == "promote" or (policy == "extend" and look.in_rollout.requests >= plan.health.minimum_invocations):
        return Decision("promote", f"unproven: {seen}, and nothing spoke against it ({missing})", progress)
    advice = "send traffic, bake longer, lower health.minimum_invocations, or set health.when_inconclusive to promote"
    return Decision("roll_back", f"inconclusive: {seen} ({missing}): {advice}", progress)


def _give_up(progress: Progress, suspect: list[Check]) -> Decision:
    return Decision("roll_back", f"suspect to the end of the extension: {_said(suspect)}", progress)


def _extend(plan: Plan, progress: Progress, because: str) -> Decision | None:
    left = plan.health.max_extension_seconds - progress.extended_seconds
    if left <= 0:
        return None
    granted = min(plan.extension_poll_seconds, left)
    reason = f"bakes on for proof, {left} s at most ({because})"
    longer = replace(progress, extended_seconds=progress.extended_seconds + granted)
    return Decision("wait", reason, longer, wait_seconds=granted)


def _wait(plan: Plan, progress: Progress, seconds: float, reason: str) -> Decision:
    wait_seconds = max(1, math.ceil(min(plan.poll_seconds, seconds)))
    return Decision("wait", reason, progress, wait_seconds=wait_seconds)


def _said(checks: list[Check] | tuple[Check, ...]) -> str:
    return "; ".join(map(str, checks))
