"""How far a rollout is: what one state hands to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from tidegate.analysis.observation import AlarmReading, Shift
from tidegate.control.commands import Wheel, Word
from tidegate.planning.plan import Plan
from tidegate.routing import Routing
from tidegate.stored import known


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rollout is; handed from state to state. Times are seconds since the epoch.

    `step` counts from 0, see `Plan.step_at`; before there was any shift it is -1. `revision_id` is the alias's after
    the last shift: every forward write names it. `shifts` is every weight so far. `last_baked_seconds` is how long the
    last step had baked before the rollout stepped back from it. `alarms_seen` keeps each alarm's last transition, so
    that its history is read only when it moved.

    `gate` is the step that waits for an approval since `held_since`; the one after the last is to promote what is not
    proven. `approved` is the highest step that was approved. `bake_ended_at` is when somebody ended the present bake.
    `words` is how many words of people are known, `pause` and `finish` those that last, `heeded` the id of the last
    order that was followed; `paused_seconds` is how long the pauses have held the rollout up. `asked`: the hook that
    has the last word before the promotion has said yes.
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
    finish: Word | None = None
    heeded: str = ""
    paused_seconds: int = 0
    asked: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The progress of `to_json`; what else a state added is left out."""
        fields = known(cls, document)
        fields["shifts"] = tuple(Shift(at, weight) for at, weight in document["shifts"])
        for name in ("pause", "finish"):
            fields[name] = Word.of(document[name]) if document.get(name) else None
        return cls(**fields)

    @classmethod
    def before_traffic(cls, revision_id: str, now: float, gate: int | None = None) -> Self:
        """The progress of a rollout that is held before its first weight: it waits for that approval, or is paused."""
        held = cls(-1, 0.0, revision_id, first_shift_at=now, shifted_at=now, shifts=())
        return replace(held, gate=gate, held_since=now)

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
            finish=None,
            asked=False,
        )

    def routing(self, stable: str, candidate: str) -> Routing:
        """The alias as this rollout has left it."""
        return Routing.split(stable, candidate, self.weight_percent) if self.shifts else Routing.alone(stable)

    def told(self, wheel: Wheel, now: float) -> Self:
        """The progress once people's words are known: a pause, its end, and an order that is new.

        To finish lasts until the promotion, over a hook that is asked before it; a pause, or another weight, ends it.
        """
        known = replace(self, words=wheel.count, pause=wheel.pause, finish=None if wheel.pause else self.finish)
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
        return replace(heeding, finish=order) if order.command == "finish" else heeding

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
        words = {name: word and asdict(word) for name, word in (("pause", self.pause), ("finish", self.finish))}
        return {**fields, "shifts": shifts, "alarms_seen": dict(self.alarms_seen or {}), **words}
