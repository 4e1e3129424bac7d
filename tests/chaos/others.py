"""What rollouts and people owe each other: nobody's release keeps our weight, no rollout undoes another one, and what
was deleted is nobody's fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.chaos.case import Case
from tests.chaos.excuses import (
    alias_is_unreachable,
    may_read_an_old_alias,
    needs_a_person,
    nobody_is_left,
    weight_is_not_ours,
)
from tests.chaos.observe import LAMBDA_ITSELF, Execution, Observation

_FORWARD = frozenset({"shift_traffic", "promote"})
#: Who takes back what a rollout has written, beside its own RollBack.
_RESTORERS = frozenset({"guard_execution", "guard_alarm", "sweep", "command", "plan_rollout"})
#: What a failure says that is about an alias, a function or a version that is not there.
_GONE = ("ResourceNotFoundException", "has no alias", "Function not found", "Cannot find alias", "AliasNotFound")
#: What a call says that a fault of the scenario has struck.
_A_FAULT = "The scenario lets"

Broken = Iterator[str]


def no_weight_of_ours_on_theirs(case: Case, seen: Observation) -> Broken:
    """In the end nobody else's version gives a candidate requests at a weight that the candidate's rollout set."""
    if seen.final is None or not seen.final[1] or weight_is_not_ours(case, seen) or needs_a_person(seen):
        return
    if alias_is_unreachable(case, seen) or nobody_is_left(case, seen):
        return
    version, weights = seen.final
    for write in seen.writes:
        if write.by == "shift_traffic" and write.routing[1] == weights and write.routing[0] != version:
            yield f"{seen.final} in the end: {weights} was set at {write.at} s beside version {write.routing[0]}"
            return


def undoes_only_its_own(case: Case, seen: Observation) -> Broken:
    """Whoever works for one rollout changes nothing that another one wrote, which has the lock and goes on."""
    wrote: str | None = None
    for before, write in seen.moves:
        holder = next((each for each in seen.executions if each.arn == write.holder), None)
        goes_on = holder is not None and (holder.ended_at is None or write.at < holder.ended_at) and not write.restored
        goes_on = goes_on and not (holder is seen.executions[0] and _lies_stopped(case, write.at))
        anothers = not write.foreign and write.by != LAMBDA_ITSELF and write.serves != write.holder
        if anothers and goes_on and wrote == write.holder:
            yield (
                f"{write.by} of {_number(write.serves)} wrote {write.routing} over {before} at {write.at} s, which"
                f" {_number(write.holder)} had set and still holds"
            )
        wrote = write.serves if write.by in _FORWARD else None


def _lies_stopped(case: Case, at: float) -> bool:
    """Whether somebody had stopped the first rollout by then, and not redriven it yet: all of that is about it."""
    about = [action for action in case.timeline if action["do"] in {"stop_execution", "redrive"}]
    before = [action for action in about if float(action["at_second"]) <= at]
    return bool(before) and max(before, key=lambda action: float(action["at_second"]))["do"] == "stop_execution"


def the_deleted_are_not_mourned(case: Case, seen: Observation) -> Broken:
    """A rollout whose alias somebody deletes ends, frees its lock, tells, and pages nobody for it.

    That it is told and its lock is free, others see to. Where nothing else went wrong nobody is paged at all.
    """
    if not seen.deleted:
        return
    harmless = {"slow", "stale", "late", "duplicated"}
    calm = all(fault["error"] in harmless for fault in case.faults)
    for letter in seen.dead_letters:
        said = json.dumps(json.loads(letter).get("responsePayload"))
        if calm or _mourns(said):
            yield f"deleted at {seen.deleted[0]} s, and a dead letter says {said}"
    for each in seen.executions:
        if (each.ended_at or 0.0) < seen.deleted[0] or each.started_at > seen.deleted[0]:
            continue
        if each.status is None:
            yield f"deleted at {seen.deleted[0]} s, and {_number(each.arn)} goes on"
        failed = each.outcome == "rollback_failed" or "rollback_failed" in each.told
        if failed and (calm or _mourns(each.cause or "")):
            yield f"deleted at {seen.deleted[0]} s, and {_number(each.arn)} calls a person: {each.cause}"


def _mourns(said: str) -> bool:
    return any(word in said for word in _GONE) and _A_FAULT not in said


def interrupted_by_somebody(case: Case, seen: Observation) -> Broken:
    """Nobody is interrupted where nobody moved anything. An old answer looks like somebody else's write."""
    if len(seen.executions) > 1 or seen.moved_by_others or may_read_an_old_alias(case):
        return
    for each in seen.executions:
        if each.outcome == "interrupted":
            yield f"nobody else acted: {each.cause}"


def nobody_else_moved_it(case: Case, seen: Observation) -> Broken:
    """Nobody is accused who was not there, and what moves nothing rolls nothing back."""
    if len(seen.executions) > 1 or seen.moved_by_others or may_read_an_old_alias(case):
        return
    restored = any(write.by in _RESTORERS for write in seen.writes)
    for each in seen.executions:
        if "somebody else" in (each.cause or "") and each.error != "RollbackFailed":
            yield f"nobody else wrote: {each.cause}"
        elif each.outcome == "rolled_back" and not restored and _says_moved(each):
            yield f"nobody moved it: {each.cause}"


def _says_moved(each: Execution) -> bool:
    return (each.cause or "").startswith("AliasMoved")


def _number(arn: str | None) -> str:
    return f"rollout {arn.rpartition('-')[2]}" if arn else "nobody known"
