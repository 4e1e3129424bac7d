"""How a rollout stands: how far it is, and what was decided last; what one state hands to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal, Self

from tidegate.analysis.measurement import AlarmReading, Shift
from tidegate.control.commands import Controls, GivenCommand
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan
from tidegate.planning.strategy import lowered_percent
from tidegate.routing import Routing
from tidegate.stored import known_fields

#: "bake": a weight was set, and nobody has looked at it yet. "late": AWS has throttled a move, which is made once more
#: after the next look.
Action = Literal["bake", "late", "wait", "hold", "advance", "flinch", "step_back", "promote", "roll_back"]


@frozen
class Progress:
    """How far the rollout is; handed from state to state. Times are seconds since the epoch.

    `step` counts from 0, see `Plan.step_at`; before there was any shift it is -1. `revision_id` is the alias's after
    the last shift: every forward write names it. `shifts` is every weight so far. `last_baked_seconds` is how long the
    last step had baked before the rollout stepped back from it. `alarms_seen` keeps each alarm's last transition, so
    that its history is read only when it moved.

    `approval_step` is the step that waits for an approval since `held_since`; the one after the last is to promote what
    is not proven. `approved` is the highest step that was approved. `bake_ended_at` is when somebody ended the present
    bake. `known_commands` is how many commands of people are known, `pause` and `finish` those that last,
    `last_applied_command` the id of the last one that was applied once; `paused_seconds` is how long the pauses have
    held the rollout up. `final_hook_passed`: the hook that is asked last, before the promotion, has said yes.
    `asks_unseen`: the approval that is waited for is to go on although this step could not be seen. `unseen_approved`:
    somebody has given it; on this way up nobody is asked for that again. `flinches` is how often the weight was lowered
    at the first great harm, `flinched` whether it is just now; `baked_seconds` is how long this step had baked before.

    `strain` is by how much looks are stretched, since AWS throttles them, and `late` how many moves it has throttled so
    far. `unanswered`: the last of them may have been made all the same, and nobody has read the alias since.
    `alarms_asked_at` is when the alarms' states were asked for last. `sooner_looks` is how many looks have come sooner
    than the plan's interval.
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
    approval_step: int | None = None
    held_since: float = 0.0
    approved: int = -1
    bake_ended_at: float | None = None
    known_commands: int = 0
    pause: GivenCommand | None = None
    finish: GivenCommand | None = None
    last_applied_command: str = ""
    paused_seconds: int = 0
    final_hook_passed: bool = False
    asks_unseen: bool = False
    unseen_approved: bool = False
    flinches: int = 0
    flinched: bool = False
    baked_seconds: float = 0.0
    strain: int = 0
    late: int = 0
    unanswered: bool = False
    alarms_asked_at: float = 0.0
    sooner_looks: int = 0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The progress of `to_json`."""
        fields = known_fields(cls, document)
        fields["shifts"] = tuple(Shift(at, weight) for at, weight in document["shifts"])
        for name in ("pause", "finish"):
            fields[name] = GivenCommand.of(document[name]) if document.get(name) else None
        return cls(**fields)

    @classmethod
    def before_traffic(cls, revision_id: str, now: float, approval_step: int | None = None) -> Self:
        """The progress of a rollout that is held before its first weight: it waits for that approval, or is paused."""
        held = cls(-1, 0.0, revision_id, first_shift_at=now, shifted_at=now, shifts=())
        return replace(held, approval_step=approval_step, held_since=now)

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
            flinched=before.flinched and weight_percent < before.weight_percent,
            baked_seconds=before.baked_until(step, weight_percent, now),
            bake_ended_at=None,
            finish=None,
            final_hook_passed=False,
        )

    def baked_until(self, step: int, weight_percent: float, now: float) -> float:
        """How long a step has baked once its weight becomes that one: only what is lowered has baked until now."""
        if step != self.step:
            return 0.0
        return self.baked_seconds + (now - self.shifted_at if weight_percent < self.weight_percent else 0.0)

    def routing(self, stable: str, candidate: str) -> Routing:
        """The alias as this rollout has left it."""
        return Routing.split(stable, candidate, self.weight_percent) if self.shifts else Routing.alone(stable)

    def with_commands(self, controls: Controls, now: float) -> Self:
        """The progress once people's commands are known: a pause, its end, and one that is new and is applied once.

        To finish lasts until the promotion, over a hook that is asked before it; a pause, or another weight, ends it.
        """
        known = replace(
            self, known_commands=controls.count, pause=controls.pause, finish=None if controls.pause else self.finish
        )
        pending = controls.pending
        if pending is None or pending.id == self.last_applied_command:
            return known
        applied = replace(known, last_applied_command=pending.id)
        if pending.command == "approve" and pending.approval_step is not None:
            # The lock knew what waits for approval; a look that died once it had said so leaves a progress that does
            # not.
            answered = pending.approval_step == self.approval_step
            return replace(
                applied,
                approval_step=None if answered else self.approval_step,
                approved=max(self.approved, pending.approval_step),
                asks_unseen=self.asks_unseen and not answered,
                unseen_approved=self.unseen_approved or (self.asks_unseen and answered),
            )
        if pending.command == "advance" and pending.step == self.step:
            return replace(applied, bake_ended_at=now)
        return replace(applied, finish=pending) if pending.command == "finish" else applied

    def seeing(self, readings: Mapping[str, AlarmReading], now: float) -> Self:
        """The progress that remembers each alarm's last transition, and when that was asked for."""
        moved = {
            name: reading.transitioned_at
            for name, reading in readings.items()
            if reading.settled and reading.transitioned_at is not None
        }
        return replace(self, alarms_seen=moved, alarms_asked_at=now)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        shifts = [[shift.at, shift.weight_percent] for shift in self.shifts]
        commands = {name: given and asdict(given) for name, given in (("pause", self.pause), ("finish", self.finish))}
        return {**fields, "shifts": shifts, "alarms_seen": dict(self.alarms_seen or {}), **commands}


@frozen
class Decision:
    """What happens next, and why in one sentence.

    `wait_seconds` is until the next look, where the action is to bake, wait or hold. `convicts` means a verdict spoke
    against the candidate: it is remembered as bad. `proven` is whether a promotion rests on evidence, and `proven_by`
    on what: metrics that were judged, the keys of limits, the names of alarms.
    """

    action: Action
    reason: str
    wait_seconds: int = 0
    proven: bool = False
    convicts: bool = False
    proven_by: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The decision of `to_json`."""
        return cls(**{**known_fields(cls, document), "proven_by": tuple(document.get("proven_by") or ())})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "proven_by": list(self.proven_by)}


@frozen
class Standing:
    """How a rollout stands once it shifts traffic: two variables of the state machine, `null` until then."""

    progress: Progress
    decision: Decision

    @classmethod
    def from_json(cls, event: Mapping[str, Any]) -> Self:
        """From a state's event, or from its result."""
        return cls(Progress.from_json(event["progress"]), Decision.from_json(event["decision"]))

    @classmethod
    def found(cls, event: Mapping[str, Any]) -> Self | None:
        """As `from_json`; None of a state before the first shift."""
        return cls.from_json(event) if event.get("progress") else None

    def next_step(self, plan: Plan) -> int:
        """Which step the next shift leads to; a flinch, and its end, lead to none but the present one."""
        if self.decision.action == "step_back":
            return plan.first_step
        return self.progress.step + (not self.progress.flinched)

    def next_weight_percent(self, plan: Plan) -> float:
        """The weight that the next shift sets, in percent."""
        if self.decision.action == "flinch":
            return lowered_percent(self.progress.weight_percent)
        return plan.step_at(self.next_step(plan)).weight_percent

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: `progress` and `decision`."""
        return {"progress": self.progress.to_json(), "decision": self.decision.to_json()}
