"""What the ledger says of a rollout, as a view: the lock of a running one, the record of a finished one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.alias import Alias
from tidegate.ending.lock import Lock
from tidegate.ending.record import RolloutRecord
from tidegate.planning.plan import Plan
from tidegate.views import rollout_view as views
from tidegate.views.rollout_view import (
    CommandView,
    Counts,
    MinuteView,
    RolloutView,
    ShiftView,
    StepView,
    VerdictView,
    verdict_view,
)

Record = Mapping[str, Any]

#: A rollout that was refused before it had read the alias knows no version.
NO_VERSION = "–"


@dataclass(frozen=True, slots=True)
class LoggedRollout:
    """What lock and record alike say of a rollout; verdicts and commands as JSON."""

    plan: Plan | None = None
    candidate: str | None = None
    verdicts: Sequence[Record] = ()
    commands: Sequence[Record] = ()

    @classmethod
    def of_record(cls, record: RolloutRecord) -> LoggedRollout:
        """What is kept of a finished rollout."""
        return cls(record.plan, record.candidate, record.verdicts, record.commands)

    @classmethod
    def of_lock(cls, lock: Lock) -> LoggedRollout:
        """What its lock says of a running one; the last verdict is beside the others where there was no room."""
        verdicts = [json.loads(verdict) for verdict in lock.verdicts]
        last = json.loads(lock.last_verdict) if lock.last_verdict else None
        if last and (not verdicts or last["at"] > verdicts[-1]["at"]):
            verdicts.append(last)
        return cls(lock.plan, lock.candidate, verdicts, [json.loads(command) for command in lock.commands])

    def steps(self) -> tuple[StepView, ...]:
        """The plan's steps; none where there is no plan."""
        steps = self.plan.steps if self.plan else ()
        return tuple(StepView(step.weight_percent, step.bake_seconds) for step in steps)

    def verdict_views(self, started_at: float) -> tuple[VerdictView, ...]:
        """All verdicts that were kept."""
        return tuple(verdict_view(verdict, started_at) for verdict in self.verdicts)

    def command_views(self, started_at: float) -> tuple[CommandView, ...]:
        """What people said, as far as it was kept."""
        return tuple(
            CommandView(said["at"] - started_at, said["command"], said["author"], said["reason"])
            for said in self.commands
        )


@dataclass(frozen=True, slots=True)
class Live:
    """How far the running rollout is, by its lock, and who holds it up."""

    log: LoggedRollout = LoggedRollout()
    step: int = 0
    weight_percent: float = 0.0
    holding: str | None = None
    next_at: float | None = None

    @classmethod
    def of(cls, lock: Lock) -> Live:
        """From the lock, which says nearly nothing until there is a plan."""
        log = LoggedRollout.of_lock(lock)
        return cls(
            log,
            step=lock.step or 0,
            weight_percent=0.0 if lock.restoring else lock.weight_percent,
            holding=_holding(lock, lock.plan, log.verdicts) if lock.plan else None,
            next_at=_next_at(lock, lock.plan, log.verdicts) if lock.plan else None,
        )


def running_view(lock: Lock, now: float) -> RolloutView:
    """The running rollout that a lock is about."""
    live = Live.of(lock)
    return _view(
        lock.target,
        live.log,
        started_at=lock.plan.started_at if lock.plan else lock.started_at,
        now=now,
        step=live.step,
        weight_percent=live.weight_percent,
        rollout_id=lock.execution_arn.rpartition(":")[2],
        holding=live.holding,
        next_at=live.next_at,
    )


def finished_view(record: RolloutRecord) -> RolloutView:
    """The finished rollout that a record is about."""
    ending = record.ending
    last = record.verdicts[-1] if record.verdicts else {"step": 0, "weight_percent": 0.0}
    weight = ending.outcome.candidate_percent
    return _view(
        record.target,
        LoggedRollout.of_record(record),
        started_at=record.plan.started_at if record.plan else record.ended_at,
        now=record.ended_at,
        step=int(last["step"]),
        weight_percent=float(last["weight_percent"]) if weight is None else weight,
        rollout_id=record.rollout_id,
        outcome=ending.outcome,
        cause=_cause(record),
        proven=ending.proven,
        proven_by=ending.proven_by,
    )


def planning_view(target: str, rollout_id: str, started_at: float, now: float) -> RolloutView:
    """A rollout that has no plan yet, and perhaps never will."""
    return _view(target, LoggedRollout(), started_at=started_at, now=now, rollout_id=rollout_id)


def _view(
    target: str, log: LoggedRollout, *, started_at: float, now: float, rollout_id: str, **more: Any
) -> RolloutView:
    alias, plan = Alias.parse(target), log.plan
    return RolloutView(
        function_name=alias.function_name,
        alias_name=alias.name,
        stable=(plan and plan.stable) or NO_VERSION,
        candidate=log.candidate,
        steps=log.steps(),
        started_at=started_at,
        now=now,
        minutes=tuple(_minutes(log.verdicts, started_at)),
        verdicts=log.verdict_views(started_at),
        shifts=tuple(_shifts(log.verdicts, plan, started_at)),
        warnings=plan.warnings if plan else (),
        rollout_id=rollout_id,
        commands=log.command_views(started_at),
        restore_command=plan.restore_command if plan else None,
        **{"step": 0, "weight_percent": 0.0, **more},
    )


def _cause(record: RolloutRecord) -> str | None:
    """Why it ended so; and who took it back since, if somebody did."""
    if record.reverted is not None:
        return f"since then {record.reverted}, at {views.moment(record.reverted.at)}"
    return None if record.ending.outcome.is_success else record.ending.cause


# --- What the verdicts say of weights and minutes ---------------------------------------------------------------------


def _minutes(verdicts: Sequence[Record], started_at: float) -> list[MinuteView]:
    """What the looks of each minute knew more than those before: counts are cumulative."""
    seen, found = (Counts(), Counts()), dict[int, MinuteView]()
    for verdict in verdicts:
        known = (_counts(verdict["stable"]), _counts(verdict["candidate"]))
        minute = max(int((verdict["at"] - started_at) // 60) - 1, 0)
        more = (_since(known[0], seen[0]), _since(known[1], seen[1]))
        if before := found.get(minute):
            more = (before.stable + more[0], before.candidate + more[1])
        found[minute] = MinuteView(minute, verdict["weight_percent"], *more)
        seen = known
    return list(found.values())


def _counts(counted: Record) -> Counts:
    return Counts(*(int(counted[name] or 0) for name in ("requests", "errors", "slow")))


def _since(known: Counts, before: Counts) -> Counts:
    return Counts(
        max(0, known.requests - before.requests), max(0, known.errors - before.errors), max(0, known.slow - before.slow)
    )


def _shifts(verdicts: Sequence[Record], plan: Plan | None, started_at: float) -> Iterator[ShiftView]:
    """When the weight changed: right after the look before the first one that found it so."""
    weight, since, poll_seconds = 0.0, 0.0, plan.poll_seconds if plan else 0
    for verdict in verdicts:
        at = verdict["at"] - started_at
        if verdict["weight_percent"] != weight:
            weight = verdict["weight_percent"]
            yield ShiftView(max(since, at - poll_seconds if since == 0 else since), weight)
        since = at


# --- What a lock says of the next moments -----------------------------------------------------------------------------


def _holding(lock: Lock, plan: Plan, verdicts: Sequence[Record]) -> str | None:
    if lock.restoring:
        return f"version {plan.stable} is being restored: {lock.restoring}"
    if pause := lock.controls.pause:
        return f"{pause} since {views.moment(pause.at)}; tidegate resume {lock.target}"
    if lock.approval_step is not None:
        since = views.moment(_held_since(lock, verdicts))
        weight = plan.steps[lock.approval_step].weight_percent if lock.approval_step < len(plan.steps) else None
        what = f"of {views.percent(weight)}" if weight is not None else "to promote without proof"
        return f"waits for approval {what} since {since}; tidegate approve {lock.target}, or reject"
    return None


def _held_since(lock: Lock, verdicts: Sequence[Record]) -> float:
    """The first of the holds that nothing else followed."""
    since = float(verdicts[-1]["at"] if verdicts else lock.heard_at)
    for verdict in reversed(verdicts):
        if verdict["action"] != "hold":
            break
        since = verdict["at"]
    return since


def _next_at(lock: Lock, plan: Plan, verdicts: Sequence[Record]) -> float | None:
    """When the next look is due; None where a pause stretches it, or nobody has looked yet."""
    if not verdicts or lock.controls.pause or lock.restoring:
        return None
    last, regular = verdicts[-1], plan.poll_seconds if lock.approval_step is None else plan.hold_poll_seconds
    return float(last["at"]) + (last.get("wait_seconds") or regular)
