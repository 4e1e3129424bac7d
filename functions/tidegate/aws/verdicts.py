"""The verdicts of a rollout, with their numbers, in the alias's lock."""

from __future__ import annotations

import json
from typing import Any

from tidegate.analysis.check import Check
from tidegate.analysis.measurement import Counts
from tidegate.aws import ledger, table
from tidegate.control import item_size
from tidegate.control.commands import Controls
from tidegate.control.observation import Observation
from tidegate.control.progress import Standing
from tidegate.ending.lock import HEARD_AT
from tidegate.errors import AwsRefused, LockLost
from tidegate.planning.plan import Plan

_MAX_CHECKS = 5
_HAS_ROOM = "(attribute_not_exists(verdict_bytes) OR verdict_bytes < :room)"


def record(plan: Plan, standing: Standing, observed: Observation, revision_id: str) -> Controls | None:
    """Append one verdict with its numbers, as long as there is room for it; the last one is always kept beside.

    Beside it `revision_id`: at that one this look has found the alias as the rollout left it. None: it is stored. What
    people want, where they said something that this verdict does not know: nothing is stored.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    document = json.dumps(_document(standing, observed), separators=(",", ":"))
    if _is_kept(plan, standing, observed, len(document)):
        try:
            _store(plan, standing, document, revision_id, observed.now, append=True)
        except LockLost:
            controls = _other_commands(plan, standing)
            if controls is not None:
                return controls
        except AwsRefused as error:
            if error.code != ledger.NO_ROOM:
                raise
        else:
            return None
    # No room left, or not worth it: what is not written down must not end a healthy rollout.
    try:
        _store(plan, standing, document, revision_id, observed.now)
    except LockLost:
        lock = ledger.going_on(plan)
        if lock is None:
            raise
        return lock.controls
    return None


def _other_commands(plan: Plan, standing: Standing) -> Controls | None:
    """What people want, where the decision does not know it; None where it does, so that room is what was missing.

    Raises:
        LockLost: another execution holds the lock, or somebody restores the stable version.
    """
    lock = ledger.going_on(plan)
    if lock is None:
        raise LockLost(f"this execution no longer holds the lock of {plan.target}, or is being restored")
    return lock.controls if lock.controls.count != standing.progress.known_commands else None


def _store(
    plan: Plan, standing: Standing, document: str, revision_id: str, now: float, *, append: bool = False
) -> None:
    known, approval_step = standing.progress.known_commands, standing.progress.approval_step
    values = {"last_verdict": table.text(document), "revision_id": table.text(revision_id)}
    values[HEARD_AT] = table.number(now)
    values |= {} if approval_step is None else {"approval_step": table.number(approval_step)}
    conditions = ["command_count = :known" if known else "attribute_not_exists(command_count)"]
    bound: dict[str, Any] = {":known": table.number(known)} if known else {}
    more: dict[str, Any] = {}
    if append:
        conditions.append(_HAS_ROOM)
        bound[":room"] = table.number(_room(plan))
        more = {"append": {"verdicts": document}, "add": {"verdict_bytes": table.number(len(document))}}
    remove = ["approval_step"] if approval_step is None else []
    ledger.update(plan, values, remove=remove, conditions=conditions, bound=bound, **more)


def _document(standing: Standing, observed: Observation) -> dict[str, Any]:
    progress, decision = standing.progress, standing.decision
    return {
        "at": round(observed.now, 1),
        "step": progress.step,
        "weight_percent": progress.weight_percent,
        "action": decision.action,
        "wait_seconds": decision.wait_seconds,
        "reason": item_size.cut(decision.reason, item_size.MAX_REASON_BYTES),
        "proven": decision.proven,
        "convicts": decision.convicts,
        "checks": [check.to_json() for check in _telling(observed.checks)],
        "stable": _counted(observed.stable_in_rollout),
        "candidate": _counted(observed.in_rollout),
        **observed.comparison.to_json(),
    }


def _room(plan: Plan) -> int:
    """How many bytes the verdicts may take."""
    taken = ledger.plan_bytes(plan)
    return item_size.for_lists(taken) - item_size.for_commands(taken)


def _is_kept(plan: Plan, standing: Standing, observed: Observation, size: int) -> bool:
    """Whether a verdict of that size goes into the list: every turn; of the holds the first; of the waits as many as
    have room.
    """
    progress, decision = standing.progress, standing.decision
    if decision.action == "hold":
        approval_begins = progress.approval_step is not None and progress.held_since == observed.now
        pause_begins = progress.paused_seconds == decision.wait_seconds
        return approval_begins or pause_begins
    turns = (len(plan.steps) + 2) * (plan.max_step_backs + 1) + 2 * plan.max_flinches
    polls = plan.watched_seconds // plan.poll_seconds + plan.sooner_looks * len(plan.steps)
    most = min(item_size.MAX_VERDICTS, _room(plan) // size)
    keep_every = polls // max(1, most - turns) + 1
    number = round((observed.now - plan.started_at) / plan.poll_seconds)
    return decision.action != "wait" or number % keep_every == 0


def _counted(counts: Counts) -> dict[str, int | None]:
    return {"requests": counts.requests, "errors": counts.errors, "slow": counts.slow}


def _telling(checks: tuple[Check, ...]) -> list[Check]:
    """The checks that say most, most severe first; limits before alarms that are well."""
    return sorted(checks, key=lambda check: (-check.finding.severity, check.of is None))[:_MAX_CHECKS]
