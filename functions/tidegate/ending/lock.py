"""The lock of an alias, as its item has it: who rolls out, and how far that rollout is."""

from __future__ import annotations

import json
from typing import Self

from tidegate.control.commands import NO_CONTROLS, Controls, GivenCommand
from tidegate.ending.record import AND_THEN, NOT_READABLE, Item, plan_in
from tidegate.ending.snapshot import Restored, RolloutSnapshot
from tidegate.errors import LedgerUnreadable
from tidegate.frozen import frozen
from tidegate.planning.plan import Plan

#: When its holder was last heard of, by the name that the index has it under.
HEARD_AT = "taken_at"
#: What a lock says of its holder's rollout, beside who holds it.
LIVE = (
    "plan",
    "candidate",
    "alarms",
    "step",
    "weight_percent",
    "weights",
    "revision_id",
    "promoting",
    "restoring",
    "restored",
    "convicted",
    "first_shift_at",
    "verdicts",
    "verdict_bytes",
    "last_verdict",
    "command_count",
    "pause",
    "pending",
    "approval_step",
    "commands",
)


@frozen
class Lock:
    """The lock of one alias, as its holder left it.

    `plan` and `candidate` are None until they are known. `traffic_shifted`: a weight may have been set; `promoting`:
    the candidate may have been made the alias's own version; `restoring`: why somebody restores the stable version,
    so that no forward write follows; `restored`: what that has done, once it is done; `convicted`: the last verdict, or
    an alarm that could have seen the candidate, spoke against it. `weights` are all that were set, in percent, and
    `revision_id` is the alias's after the last write of this rollout that was answered. `approval_step` is the one that
    waits for an approval, `controls` what people want, and `commands` all that they said, as JSON, like `verdicts` and
    the `last_verdict`. `started_at` is the execution's own start, by which the history knows it, and `heard_at` when
    its holder was last heard of: when it took the lock, or its last look. `lists_alarms`: it is of an earlier Tidegate,
    and nothing but itself says which alarms it watches.
    """

    target: str
    execution_arn: str
    heard_at: float
    started_at: float
    plan: Plan | None
    candidate: str | None
    traffic_shifted: bool
    promoting: bool
    restoring: str | None
    convicted: bool
    weights: frozenset[float] = frozenset()
    weight_percent: float = 0.0
    revision_id: str | None = None
    restored: Restored | None = None
    verdicts: tuple[str, ...] = ()
    last_verdict: str | None = None
    step: int | None = None
    approval_step: int | None = None
    controls: Controls = NO_CONTROLS
    commands: tuple[str, ...] = ()
    lists_alarms: bool = False

    @classmethod
    def parse(cls, item: Item) -> Self:
        """From the attributes of an item.

        Raises:
            LedgerUnreadable: it is no lock.
        """
        target = item["target"]
        try:
            return cls._parse(item, target)
        except NOT_READABLE as error:
            raise LedgerUnreadable(f"the lock of {target} cannot be read ({error!r}){AND_THEN}") from error

    @classmethod
    def _parse(cls, item: Item, target: str) -> Self:
        last = item.get("last_verdict")
        return cls(
            target=target,
            execution_arn=item["execution_arn"],
            heard_at=float(item[HEARD_AT]),
            # The index leaves it out.
            started_at=float(item.get("started_at", item[HEARD_AT])),
            plan=plan_in(item["plan"], target) if "plan" in item else None,
            candidate=item.get("candidate"),
            traffic_shifted="step" in item,
            promoting="promoting" in item,
            restoring=item.get("restoring"),
            convicted=_convicted_by_alarm(item) or bool(last and json.loads(last)["convicts"]),
            weights=_weights(item),
            weight_percent=float(item.get("weight_percent", 0.0)),
            revision_id=item.get("revision_id"),
            restored=Restored(**json.loads(item["restored"])) if "restored" in item else None,
            # A lost response makes the SDK append a verdict twice.
            verdicts=tuple(dict.fromkeys(item.get("verdicts", ()))),
            last_verdict=last,
            step=_whole(item, "step"),
            approval_step=_whole(item, "approval_step"),
            controls=_controls(item),
            commands=tuple(dict.fromkeys(item.get("commands", ()))),
            lists_alarms="alarms" in item,
        )

    @property
    def snapshot(self) -> RolloutSnapshot | None:
        """What its holder's rollout was doing; None before there is a plan."""
        if self.plan is None:
            return None
        return RolloutSnapshot(
            self.plan,
            self.candidate,
            self.traffic_shifted,
            self.promoting,
            self.convicted,
            self.restoring,
            self.restored,
            self.weights,
            self.revision_id,
        )


def _weights(item: Item) -> frozenset[float]:
    """All that were set; of a lock that does not say so, by an earlier Tidegate, the last one."""
    last = [item["weight_percent"]] if "weight_percent" in item else []
    return frozenset(map(float, item.get("weights", last)))


def _convicted_by_alarm(item: Item) -> bool:
    """Whether an alarm spoke against the candidate: `convicted` is by when that must have had its first traffic.

    A lock of an earlier Tidegate says no such thing, or not when that was.
    """
    if "convicted" not in item or item["convicted"] == "true" or "first_shift_at" not in item:
        return "convicted" in item
    return float(item["first_shift_at"]) <= float(item["convicted"])


def _whole(item: Item, name: str) -> int | None:
    return int(item[name]) if name in item else None


def _controls(item: Item) -> Controls:
    lasting = {name: GivenCommand.from_json(item[name]) for name in ("pause", "pending") if name in item}
    return Controls(count=int(item.get("command_count", 0)), **lasting)
