"""What people's words must come to: a pause holds, a gate waits, an abort restores, and nothing said is forgotten.

Moments are those at which a lock took a word, so that what was in flight already is told from what disobeyed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from sandbox.world import STARTED_AT
from tests.chaos.case import Case
from tests.chaos.observe import Execution, Observation, Said, Stored, Write

#: What an answer says of a lock: all but a revert, whose rollout is over.
_OF_A_LOCK = frozenset({"pause", "resume", "approve", "reject", "advance", "finish", "abort"})
_ENDS_PAUSE = frozenset({"resume", "finish"})
#: A look and a shift take calls, and clocks are rounded.
_SLACK_SECONDS = 1.0

Broken = Iterator[str]


def words_kept(_: Case, seen: Observation) -> Broken:
    """Whatever was answered as accepted was said to that rollout, and what a rollout was told is in its history."""
    said = Counter((each.execution_arn.rpartition(":")[2], each.word["command"]) for each in seen.said)
    heard = [answer for answer in seen.answers if answer.get("accepted") and answer["command"] in _OF_A_LOCK]
    accepted = Counter((answer["rollout_id"], answer["command"]) for answer in heard)
    for (rollout_id, command), times in accepted.items():
        if said[rollout_id, command] < times:
            yield f"{command} of {rollout_id} was accepted {times} times, and said {said[rollout_id, command]} times"
    for each in seen.executions:
        for item in each.history:
            kept = [word["id"] for word in json.loads(item["document"])["commands"]]
            ids = [word.word["id"] for word in _said_to(seen, each)]
            if kept != ids:
                yield f"told {ids}, and the history keeps {kept}"


def taken_back(case: Case, seen: Observation) -> Broken:
    """An abort or a reject ends on the stable version."""
    for each in seen.executions:
        words = [one for one in _said_to(seen, each) if one.word["command"] in {"abort", "reject"}]
        if words and each.outcome == "promoted" and not _no_ledger(case):
            yield f"{words[0].word['command']} at {words[0].at} s, and promoted at {each.ended_at} s"


def pause_holds(_: Case, seen: Observation) -> Broken:
    """No forward write follows a pause that lasts, unless it was begun before."""
    for each in seen.executions:
        for begins, ends in _pauses(seen, each):
            for before, write in forward_writes(seen, each):
                if begins < write.at < ends and not _in_flight(seen, each, begins, write):
                    yield f"paused at {begins} s, and {write.by} wrote {write.routing} over {before} at {write.at} s"


def gates_hold(_: Case, seen: Observation) -> Broken:
    """No step is set, and nothing unproven promoted, without the approval that the plan wants."""
    for each in seen.executions:
        plan = _plan(each)
        for one in seen.stored if plan else ():
            if one.execution_arn != each.arn or one.step is None or one.step < 0:
                continue
            approval = plan["steps"][one.step]["approval"]
            if approval is None or _approved(seen, each, one.step, one.at):
                continue
            since = plan["started_at"] - STARTED_AT
            if approval["on_timeout"] != "continue" or one.at < since + approval["timeout_seconds"]:
                yield f"step {one.step} was set at {one.at} s, and nobody had approved"
        yield from _unproven(seen, each, plan)


def _unproven(seen: Observation, each: Execution, plan: Mapping[str, Any] | None) -> Broken:
    """With when_inconclusive hold a person promotes what is not proven, unless no gate could ever have told."""
    if not plan or each.outcome != "promoted" or each.output["proven"] or plan["creates_alias"]:
        return
    health = plan["health"]
    ungated = not plan["alarms"] and not health["judge"]
    ungated = ungated and health["max_error_percent"] is None and health["max_duration_p99_ms"] is None
    finished = any(one.word["command"] == "finish" for one in _said_to(seen, each))
    asked = health["when_inconclusive"] == "hold" and not ungated and not finished
    if asked and not _approved(seen, each, len(plan["steps"]), each.ended_at or 0.0):
        yield "promoted unproven with when_inconclusive hold, and nobody had approved"


def approval_heard(_: Case, seen: Observation) -> Broken:
    """Nobody is told that nobody approved when somebody had, in time."""
    for each in seen.executions:
        plan = _plan(each)
        verdicts = json.loads(each.history[0]["document"])["verdicts"] if plan else []
        for verdict in verdicts:
            gates = [one.word["approval_step"] for one in _said_to(seen, each) if one.word["command"] == "approve"]
            if plan and "nobody approved" in verdict["reason"] and _waited_for(plan, verdict["reason"]) in gates:
                yield f"{verdict['reason']}, and somebody had"


def _waited_for(plan: Mapping[str, Any], reason: str) -> int:
    weights = [f"{step['weight_percent']:g} %" for step in plan["steps"]]
    return next((number for number, weight in enumerate(weights) if f"approved {weight} " in reason), len(weights))


def finish_is_unproven(_: Case, seen: Observation) -> Broken:
    """What somebody finished was not proven; the newest order counts, if it was said before the last verdict."""
    for each in seen.executions:
        verdicts = json.loads(each.history[0]["document"])["verdicts"] if each.history else []
        if each.outcome != "promoted" or not verdicts:
            continue
        told = [one for one in _said_to(seen, each) if one.word["command"] in {"approve", "advance", "finish"}]
        told = [one for one in told if one.at + STARTED_AT < verdicts[-1]["at"]]
        if not told or told[-1].word["command"] != "finish" or not each.output["proven"]:
            continue
        if not any(
            verdict["action"] == "step_back" and verdict["at"] > told[-1].at + STARTED_AT for verdict in verdicts
        ):
            yield f"finished at {told[-1].at} s, and promoted as proven: {verdicts[-1]['reason']}"


def bakes_out(_: Case, seen: Observation) -> Broken:
    """A bake is cut short only by a word that was said during it, or by a judge that may."""
    for each in seen.executions:
        plan = _plan(each)
        if not plan or plan["health"]["advance_early"]:
            continue
        stored = _once([one for one in seen.stored if one.execution_arn == each.arn])
        for one, following in pairwise(stored):
            if one.step is None or one.step < 0 or (following.step is not None and following.step <= one.step):
                continue
            if any(earlier.at < one.at and (earlier.step or -1) >= one.step for earlier in stored):
                continue  # it stepped back, and bakes anew for another time
            bake = plan["steps"][one.step]["bake_seconds"]
            wanted = {"advance", "finish"}
            during = [word for word in _said_to(seen, each) if word.word["command"] in wanted and word.at > one.at]
            if following.at - one.at < bake - _SLACK_SECONDS and not during:
                yield f"step {one.step} baked from {one.at} s to {following.at} s, and {bake} s were planned"


def rejected_untouched(_: Case, seen: Observation) -> Broken:
    """Rejected means that traffic never moved. An alias that was made had none that could."""
    for each in seen.executions:
        if each.outcome != "rejected" or seen.initial is None:
            continue
        for _before, write in forward_writes(seen, each):
            if write.at <= (each.ended_at or 0.0):
                yield f"rejected at {each.ended_at} s, and {write.by} wrote {write.routing} at {write.at} s"


def reverts(_: Case, seen: Observation) -> Broken:
    """A revert that was accepted leaves the stable version of that promotion, and the books say so."""
    for answer in seen.answers:
        if not answer.get("accepted") or answer["command"] != "revert":
            continue
        each = next(one for one in seen.executions if one.arn.endswith(f":{answer['rollout_id']}"))
        plan = _plan(each)
        if plan is None:
            yield f"reverted {answer['rollout_id']}, which has no plan in the books"
        elif not any(
            write.by == "command" and _is_back(write, plan, each.output["to_version"]) for write in seen.writes
        ):
            yield f"reverted {answer['rollout_id']}, and nothing was written"
        elif "reverted" not in each.history[0] and not {"dynamodb.UpdateItem"} & set(seen.failed):
            yield f"reverted {answer['rollout_id']}, and the books do not say so"


def _is_back(write: Write, plan: Mapping[str, Any], candidate: str) -> bool:
    """Whether a write made the stable version the alias's own; Lambda hands traffic over once it is provisioned."""
    handing_over = {candidate: 1.0} if plan["provisioned"] else {}
    return write.routing[0] == plan["stable"] and write.routing[1] in ({}, handing_over)


# --- What they rest on ------------------------------------------------------------------------------------------------


def _no_ledger(case: Case) -> bool:
    return any(str(fault["call"]).startswith(("*", "dynamodb.")) for fault in case.endless("call"))


def _once(stored: list[Stored]) -> list[Stored]:
    """Without the tries that stored the same again, late or not."""
    return [one for number, one in enumerate(stored) if number == 0 or stored[number - 1].step != one.step]


def _plan(each: Execution) -> Any:
    return json.loads(each.history[0]["document"])["plan"] if each.history else None


def _said_to(seen: Observation, each: Execution) -> list[Said]:
    return [one for one in seen.said if one.execution_arn == each.arn]


def _approved(seen: Observation, each: Execution, gate: int, until: float) -> bool:
    words = [one.word for one in _said_to(seen, each) if one.at <= until]
    return any(word["command"] == "approve" and (word["approval_step"] or 0) >= gate for word in words)


def _pauses(seen: Observation, each: Execution) -> Iterator[tuple[float, float]]:
    """When each pause began, and when it ended."""
    begins: float | None = None
    for one in _said_to(seen, each):
        if one.word["command"] == "pause" and begins is None:
            begins = one.at
        elif one.word["command"] in _ENDS_PAUSE and begins is not None:
            yield begins, one.at
            begins = None
    if begins is not None:
        yield begins, float("inf")


def forward_writes(seen: Observation, each: Execution) -> list[tuple[Any, Write]]:
    """The writes for that execution that gave a candidate more traffic, or promoted it: over what, and which."""
    found = []
    before = seen.initial
    for write in seen.writes:
        forward = write.by == "promote" or (write.by == "shift_traffic" and _share(before, write) > _share(before))
        if write.serves == each.arn and forward and write.routing != before:
            found.append((before, write))
        before = write.routing
    return found


def _share(before: Any, write: Write | None = None) -> float:
    """The part of the traffic that what is not the alias's own version has, before or after a write."""
    version, weights = before if write is None else write.routing
    return 1.0 if version != before[0] else sum(weights.values())


def _in_flight(seen: Observation, each: Execution, begins: float, write: Write) -> bool:
    """Whether the forward write had been stored before the pause began."""
    stored = _once([one for one in seen.stored if one.execution_arn == each.arn and one.at <= write.at])
    kinds = [one for one in stored if (one.step is None) == (write.by == "promote")]
    return bool(kinds) and kinds[-1].at < begins
