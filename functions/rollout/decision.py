"""Everything observed at a poll becomes one Decision.

Each gate (alarm, threshold, the judge's metrics) gives a Check. Unknown is never healthy: a rollout without proof is
held, then decided by the request's `when_inconclusive`, and marked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from rollout.check import Check, Finding
from rollout.observation import AlarmReading, Counts, Shift
from rollout.plan import SETTLE_SECONDS, Plan, pause_wait_seconds
from rollout.verdict import Verdict
from rollout.wheel import Wheel, Word

Action = Literal["wait", "hold", "advance", "step_back", "promote", "roll_back"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rollout is; handed from state to state. Times are seconds since the epoch.

    `step` counts from 0, see `Plan.step_at`; before there was any shift it is -1. `revision_id` is the alias's after
    the last shift: every forward write names it. `shifts` is every weight so far. `last_baked_seconds` is how long the
    last step had baked before the rollout stepped back from it. `alarms_seen` keeps each alarm's last transition, so
    that its history is read only when it moved.

    `gate` is the step that waits for an approval since `held_since`; the one after the last is to promote what is not
    proven. `approved` is the highest step that was approved. `bake_ended_at` is when somebody ended the present bake.
    `words` is how many words of people are known, `pause` the one that lasts, `heeded` the id of the last order that
    was followed; `paused_seconds` is how long the pauses have held the rollout up. `asked`: the hook that has the last
    word before the promotion has said yes.
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
    gate: int | None = None
    held_since: float = 0.0
    approved: int = -1
    bake_ended_at: float | None = None
    words: int = 0
    pause: Word | None = None
    heeded: str = ""
    paused_seconds: int = 0
    asked: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The progress of `to_json`; what else a state added is left out."""
        fields = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        fields["shifts"] = tuple(Shift(at, weight) for at, weight in document["shifts"])
        fields["pause"] = Word(**document["pause"]) if document.get("pause") else None
        return cls(**fields)

    @classmethod
    def before_traffic(cls, revision_id: str, now: float, wheel: Wheel, gate: int | None = None) -> Self:
        """The progress of a rollout that is held before its first weight: it waits for that approval, or is paused."""
        held = cls(-1, 0.0, revision_id, first_shift_at=now, shifted_at=now, shifts=())
        return replace(held, gate=gate, held_since=now, words=wheel.count, pause=wheel.pause)

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
            first_shift_at=before.first_shift_at if before.shifts else now,
            shifted_at=now,
            shifts=(*before.shifts, shift),
            bake_ended_at=None,
            asked=False,
        )

    def told(self, wheel: Wheel, now: float) -> Self:
        """The progress once people's words are known: a pause, its end, and an order that is new."""
        known = replace(self, words=wheel.count, pause=wheel.pause)
        order = wheel.order
        if order is None or order.id == self.heeded:
            return known
        heeding = replace(known, heeded=order.id)
        if order.command == "approve" and order.gate is not None:
            # The lock knew the gate; a look that died once it had said so leaves a progress that does not.
            gate = None if order.gate == self.gate else self.gate
            return replace(heeding, gate=gate, approved=max(self.approved, order.gate))
        if order.command == "advance" and order.step == self.step:
            return replace(heeding, bake_ended_at=now)
        return heeding

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
        pause = asdict(self.pause) if self.pause else None
        return {**fields, "shifts": shifts, "alarms_seen": dict(self.alarms_seen or {}), "pause": pause}


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


def decide(plan: Plan, progress: Progress, look: Look, finish: Word | None = None) -> Decision:
    """What to do now. `finish` is somebody's word to promote at once: it stands above everything but harm."""
    if harmful := look.found(Finding.HARMFUL):
        convicts = any(check.convicts for check in harmful)
        return Decision("roll_back", _said(harmful), progress, convicts=convicts)
    if look.verdict.tripped:
        return _step_back(plan, progress, look)
    if finish is not None and progress.shifts:
        return Decision("promote", f"{finish}, unproven", progress)
    remaining = bake_seconds(plan, progress) - (look.now - progress.shifted_at)
    weight = f"{progress.weight_percent:g} %"
    if remaining > 0 and progress.bake_ended_at is None:
        if early := _cleared_early(plan, progress, look):
            return Decision("advance", f"{weight} is cleared early: {early}", progress)
        return _wait(plan, progress, remaining, f"{weight} bakes {remaining:.0f} s more")
    held = _held(plan, progress, look)
    if isinstance(held, Decision):
        return held
    progress = held
    if look.blind:
        reason = f"nothing could be seen: {look.blind}"
        return _extend(plan, progress, reason) or Decision("roll_back", reason, progress)
    if plan.is_last(progress.step):
        return _last_step(plan, progress, look)
    return _between_steps(plan, progress, look)


def _cleared_early(plan: Plan, progress: Progress, look: Look) -> str | None:
    """Why the bake may end before its time, where the request wants that."""
    baked = look.now - progress.shifted_at
    may = plan.health.advance_early and not plan.is_last(progress.step) and baked >= plan.health.min_bake_seconds
    gated = progress.pause is not None or _gate_after(plan, progress) is not None
    if not may or gated or not look.verdict.step_cleared or look.found(Finding.SUSPECT):
        return None
    return _said(look.verdict.checks())


def _between_steps(plan: Plan, progress: Progress, look: Look) -> Decision:
    suspect = look.found(Finding.SUSPECT)
    if suspect:
        return _extend(plan, progress, _said(suspect)) or _give_up(progress, suspect)
    if progress.step_backs and (hints := "; ".join(look.verdict.hints)):
        # It stepped back for a reason: what is not cleared of it does not go up again.
        reason = f"stepped back, and not cleared: {hints}"
        return _extend(plan, progress, reason) or Decision("roll_back", reason, progress)
    if look.verdict.burst and (held := _extend(plan, progress, "both versions fail just now")):
        return held
    gate = _gate_after(plan, progress)
    if gate is not None:
        return _open_gate(plan, progress, gate, look.now)
    compared = look.verdict.compared
    baked = f"{progress.weight_percent:g} % has baked{compared and f': {compared}'}"
    return Decision("advance", baked if progress.shifts else "the first weight may be set", progress)


# --- Held by people ---------------------------------------------------------------------------------------------------


def _held(plan: Plan, progress: Progress, look: Look) -> Decision | Progress:
    """What people's words and the plan's gates make of a rollout that could go on; the progress where it may.

    A held rollout goes nowhere, so one look that sees nothing does not end it: alarms and guards stay on duty.
    """
    if progress.pause is not None:
        return _paused(plan, progress, progress.pause)
    waits_for_proof = progress.gate == len(plan.steps) and not look.blind
    if progress.gate is None or waits_for_proof:
        return progress
    return _at_gate(plan, progress, progress.gate, look.now)


def _gate_after(plan: Plan, progress: Progress) -> int | None:
    """The next step, where it needs an approval that it does not have."""
    following = progress.step + 1
    needs = plan.approval_of(following) is not None and following > progress.approved
    return following if needs and following < len(plan.steps) else None


def _open_gate(plan: Plan, progress: Progress, gate: int, now: float, because: str = "") -> Decision:
    opened = progress if progress.gate == gate else replace(progress, gate=gate, held_since=now)
    held = _at_gate(plan, opened, gate, now, because)
    return held if isinstance(held, Decision) else Decision("hold", "waits for approval", opened, plan.poll_seconds)


def _at_gate(plan: Plan, progress: Progress, gate: int, now: float, because: str = "") -> Decision | Progress:
    """Hold until somebody approves; the progress without the gate where nobody did and the request goes on then."""
    approval = plan.approval_of(gate)
    timeout_seconds = approval.timeout_seconds if approval else 0
    what = f"{plan.steps[gate].weight_percent:g} %" if gate < len(plan.steps) else "the promotion"
    left = math.ceil(progress.held_since + timeout_seconds - now)
    if left > 0:
        goes_on = approval is not None and approval.on_timeout == "continue"
        then = "goes on" if goes_on else "rolls back"
        reason = f"{what} waits for approval, and {then} in {left:,} s without it{because and f' ({because})'}"
        return Decision("hold", reason, progress, wait_seconds=min(plan.hold_poll_seconds, left))
    if approval is not None and approval.on_timeout == "continue":
        return replace(progress, gate=None, approved=max(progress.approved, gate))
    return Decision("roll_back", f"nobody approved {what} within {timeout_seconds:,} s", progress)


def _paused(plan: Plan, progress: Progress, pause: Word) -> Decision:
    left = plan.max_pause_seconds - progress.paused_seconds
    if left <= 0:
        reason = f"{pause}, and not resumed within {plan.max_pause_seconds:,} s (max_pause_seconds)"
        return Decision("roll_back", reason, progress)
    granted = min(pause_wait_seconds(progress.paused_seconds, plan.poll_seconds), left)
    longer = replace(progress, paused_seconds=progress.paused_seconds + granted)
    return Decision("hold", f"{pause}; rolls back in {left:,} s unless resumed", longer, wait_seconds=granted)


def bake_seconds(plan: Plan, progress: Progress) -> float:
    """How long the present step bakes: after a step back only as long as the comparison may need, or what was left."""
    if not progress.shifts:
        return 0
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
    # Who had approved the promotion had not seen this.
    approved = min(progress.approved, len(plan.steps) - 1)
    stepped = replace(
        progress, step_backs=progress.step_backs + 1, last_baked_seconds=baked, gate=None, approved=approved
    )
    weight = plan.step_at(plan.first_step).weight_percent
    return Decision("step_back", f"back to {weight:g} % to compare: {saw}", stepped)


def _last_step(plan: Plan, progress: Progress, look: Look) -> Decision:
    baked_until = progress.shifted_at + bake_seconds(plan, progress)
    if progress.bake_ended_at is not None:
        baked_until = min(baked_until, progress.bake_ended_at)
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
    if policy == "hold":
        return _hold_for_proof(plan, progress, look, missing)
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


def _hold_for_proof(plan: Plan, progress: Progress, look: Look, missing: str) -> Decision:
    """Nothing is proven: whether it is promoted all the same is a person's word."""
    gate = len(plan.steps)
    if progress.approved >= gate:
        reason = f"unproven, and approved: {look.in_rollout.requests:,} requests seen ({missing})"
        return Decision("promote", reason, progress)
    return _open_gate(plan, progress, gate, look.now, because=missing)


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
