"""What the ledger's items say of a rollout, as a view: the lock of a running one, the history item of a finished one.

Items come in as plain values, as boto3's TypeDeserializer makes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

#: The state machine's own ends, by the names of their errors.
OUTCOMES: Mapping[str, str] = {
    "Rejected": "rejected",
    "RolledBack": "rolled_back",
    "Interrupted": "interrupted",
    "RollbackFailed": "rollback_failed",
}
#: A rollout that was refused before it had read the alias knows no version.
NO_VERSION = "–"
_SERVES_NOTHING = frozenset({"rejected", "rolled_back", "unchanged", "stopped_and_restored"})


@dataclass(frozen=True, slots=True)
class Live:
    """What a lock says of the running rollout, in the shape of a history item's document, and who holds it up."""

    document: Record
    step: int
    weight_percent: float
    holding: str | None
    next_at: float | None

    @classmethod
    def of(cls, lock: Record) -> Live:
        """From the lock's item, which is nearly empty until there is a plan."""
        plan = json.loads(lock["plan"]) if "plan" in lock else None
        verdicts = [json.loads(verdict) for verdict in dict.fromkeys(lock.get("verdicts", ()))]
        last = json.loads(lock["last_verdict"]) if "last_verdict" in lock else None
        if last and (not verdicts or last["at"] > verdicts[-1]["at"]):
            verdicts.append(last)
        said = [json.loads(word) for word in dict.fromkeys(lock.get("commands", ()))]
        document = {"plan": plan, "candidate": lock.get("candidate"), "verdicts": verdicts, "commands": said}
        return cls(
            document=document,
            step=int(lock.get("step", 0)),
            weight_percent=0.0 if "restoring" in lock else float(lock.get("weight_percent", 0)),
            holding=_holding(lock, plan, verdicts) if plan else None,
            next_at=_next_at(lock, plan, verdicts) if plan else None,
        )


def running_view(lock: Record, now: float) -> RolloutView:
    """The running rollout that a lock is about."""
    live = Live.of(lock)
    plan: Record = live.document["plan"] or {}
    started_at = float(plan.get("started_at") or lock.get("started_at") or lock.get("taken_at") or now)
    return _view(
        lock["target"],
        live.document,
        started_at=started_at,
        now=now,
        step=live.step,
        weight_percent=live.weight_percent,
        rollout_id=_rollout_id(lock),
        holding=live.holding,
        next_at=live.next_at,
    )


def finished_view(item: Record) -> RolloutView:
    """The finished rollout that a history item is about."""
    document: Record = json.loads(item["document"])
    plan = document["plan"] or {}
    started_at = float(plan.get("started_at") or document["ended_at"])
    outcome = str(document["outcome"])
    verdicts = document["verdicts"]
    last = verdicts[-1] if verdicts else {"step": 0, "weight_percent": 0.0}
    weight = 100.0 if outcome == "promoted" else 0.0 if outcome in _SERVES_NOTHING else float(last["weight_percent"])
    return _view(
        item["target"],
        document,
        started_at=started_at,
        now=float(document["ended_at"]),
        step=int(last["step"]),
        weight_percent=weight,
        rollout_id=_rollout_id(item),
        outcome=outcome,
        cause=_cause(item, document),
        proven=document["proven"],
    )


def planning_view(target: str, rollout_id: str, started_at: float, now: float) -> RolloutView:
    """A rollout that has no plan yet, and perhaps never will."""
    return _view(
        target, {"plan": None, "candidate": None, "verdicts": []}, started_at=started_at, now=now, rollout_id=rollout_id
    )


def _view(
    target: str,
    document: Record,
    *,
    started_at: float,
    now: float,
    rollout_id: str,
    step: int = 0,
    weight_percent: float = 0.0,
    **more: Any,
) -> RolloutView:
    function_name, _, alias_name = target.rpartition(":")
    plan = document["plan"] or {}
    return RolloutView(
        function_name=function_name,
        alias_name=alias_name,
        stable=plan.get("stable") or NO_VERSION,
        candidate=document.get("candidate"),
        steps=steps(plan),
        step=step,
        weight_percent=weight_percent,
        started_at=started_at,
        now=now,
        minutes=tuple(_minutes(document["verdicts"], started_at)),
        verdicts=verdicts(document, started_at),
        shifts=tuple(_shifts(document["verdicts"], plan, started_at)),
        warnings=tuple(plan.get("warnings") or ()),
        rollout_id=rollout_id,
        commands=commands(document, started_at),
        restore_command=plan.get("restore_command"),
        **more,
    )


def steps(plan: Record) -> tuple[StepView, ...]:
    """The plan's steps; none where there is no plan."""
    return tuple(StepView(step["weight_percent"], step["bake_seconds"]) for step in plan.get("steps", ()))


def verdicts(document: Record, started_at: float) -> tuple[VerdictView, ...]:
    """All verdicts that were kept."""
    return tuple(verdict_view(verdict, started_at) for verdict in document["verdicts"])


def commands(document: Record, started_at: float) -> tuple[CommandView, ...]:
    """What people said, as far as it was kept."""
    said = document.get("commands") or ()
    return tuple(CommandView(word["at"] - started_at, word["command"], word["author"], word["reason"]) for word in said)


def _rollout_id(item: Record) -> str:
    return str(item["execution_arn"]).rpartition(":")[2]


def _cause(item: Record, document: Record) -> str | None:
    """Why it ended so; and who took it back since, if somebody did."""
    cause = document["cause"] if document["outcome"] not in {"promoted", "unchanged"} else None
    if "reverted" not in item:
        return cause
    word = json.loads(item["reverted"])
    return f"since then reverted by {word['author']} ({word['reason']}), at {views.moment(word['at'])}"


# --- What the verdicts say of weights and minutes ---------------------------------------------------------------------


def _minutes(verdicts: Sequence[Record], started_at: float) -> Iterator[MinuteView]:
    """What each look knew more than the one before: counts are cumulative, and looks mostly a minute apart."""
    seen = (Counts(), Counts())
    for verdict in verdicts:
        known = (_counts(verdict["stable"]), _counts(verdict["candidate"]))
        minute = max(int((verdict["at"] - started_at) // 60) - 1, 0)
        yield MinuteView(minute, verdict["weight_percent"], _since(known[0], seen[0]), _since(known[1], seen[1]))
        seen = known


def _counts(counted: Record) -> Counts:
    return Counts(*(int(counted[name] or 0) for name in ("requests", "errors", "slow")))


def _since(known: Counts, before: Counts) -> Counts:
    return Counts(
        max(0, known.requests - before.requests), max(0, known.errors - before.errors), max(0, known.slow - before.slow)
    )


def _shifts(verdicts: Sequence[Record], plan: Record, started_at: float) -> Iterator[ShiftView]:
    """When the weight changed: right after the look before the first one that found it so."""
    weight, since = 0.0, 0.0
    for verdict in verdicts:
        at = verdict["at"] - started_at
        if verdict["weight_percent"] != weight:
            weight = verdict["weight_percent"]
            yield ShiftView(max(since, at - plan["poll_seconds"] if since == 0 else since), weight)
        since = at


# --- What a lock says of the next moments -----------------------------------------------------------------------------


def _holding(lock: Record, plan: Record, verdicts: Sequence[Record]) -> str | None:
    target = lock["target"]
    if "restoring" in lock:
        return f"version {plan['stable']} is being restored: {lock['restoring']}"
    if "pause" in lock:
        word = json.loads(lock["pause"])
        since = views.moment(word["at"])
        return f"paused by {word['author']} ({word['reason']}) since {since}; tidegate resume {target}"
    if "approval_step" in lock:
        number, since = int(lock["approval_step"]), views.moment(_held_since(lock, verdicts))
        weight = plan["steps"][number]["weight_percent"] if number < len(plan["steps"]) else None
        what = f"of {views.percent(weight)}" if weight is not None else "to promote without proof"
        return f"waits for approval {what} since {since}; tidegate approve {target}, or reject"
    return None


def _held_since(lock: Record, verdicts: Sequence[Record]) -> float:
    """The first of the holds that nothing else followed."""
    since = float(verdicts[-1]["at"] if verdicts else lock["taken_at"])
    for verdict in reversed(verdicts):
        if verdict["action"] != "hold":
            break
        since = verdict["at"]
    return since


def _next_at(lock: Record, plan: Record, verdicts: Sequence[Record]) -> float | None:
    """When the next look is due; None where a pause stretches it, or nobody has looked yet."""
    if not verdicts or "pause" in lock or "restoring" in lock:
        return None
    poll = plan.get("hold_poll_seconds") if "approval_step" in lock else None
    return float(verdicts[-1]["at"]) + float(poll or plan["poll_seconds"])
