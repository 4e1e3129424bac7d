"""What must hold however a rollout ends. Each check yields what is broken, one sentence each, with numbers."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.lambda_rules import Routing
from sandbox.world import STARTED_AT
from tests.chaos import others, people
from tests.chaos.case import Case
from tests.chaos.excuses import (
    COMMAND,
    alias_is_unreachable,
    event_may_be_lost,
    ledger_is_dead,
    needs_a_person,
    nobody_is_left,
    weight_is_not_ours,
)
from tests.chaos.observe import LAMBDA_ITSELF, Execution, Observation, Write
from tidegate.analysis.metric import TOLERATED_ERRORS

#: What a success may not rest on: so large a part of so many requests failed, and the judge had to see it.
HARMFUL_RATE, HARMFUL_REQUESTS = 0.3, 500
#: So many times what is tolerated, of so many requests that were counted, is never proven harmless.
HARMFUL_TIMES, HARMFUL_COUNTED = 5, 1000

#: What a quota says, and faults do not; and how long an extension must be for whoever is throttled to get a look.
REFUSED, ENOUGH_SECONDS = "Rate exceeded", 600

_VERSIONS = ("candidate", "stable")
_BUGS = frozenset({"Runtime.ImportModuleError", "Runtime.HandlerNotFound", "Runtime.MarshalError"})
#: The end of an execution -> what its history item may say. A guard may restore what RollBack could not.
_AGREE: Mapping[str | None, frozenset[str]] = {
    "promoted": frozenset({"promoted"}),
    "unchanged": frozenset({"unchanged"}),
    "rejected": frozenset({"rejected"}),
    "rolled_back": frozenset({"rolled_back"}),
    "interrupted": frozenset({"interrupted"}),
    "rollback_failed": frozenset({"rollback_failed", "rolled_back", "interrupted"}),
    None: frozenset({"rolled_back", "rejected", "interrupted", "rollback_failed"}),
}
_LAST_STATE = {
    "promoted": "Promoted",
    "unchanged": "Unchanged",
    "rejected": "Rejected",
    "rolled_back": "RolledBack",
    "interrupted": "Interrupted",
    "rollback_failed": "RollbackFailed",
}

Broken = Iterator[str]


def broken(case: Case, seen: Observation) -> dict[str, str]:
    """What does not hold, by the name of the invariant; empty where all is well."""
    found = {name: "; ".join(check(case, seen)) for name, check in CHECKS.items()}
    return {name: sentences for name, sentences in found.items() if sentences}


# --- The alias --------------------------------------------------------------------------------------------------------


def _one_version(case: Case, seen: Observation) -> Broken:
    if seen.final is None or not seen.final[1] or seen.final == seen.initial or needs_a_person(seen):
        return
    if weight_is_not_ours(case, seen):
        return
    if alias_is_unreachable(case, seen):
        # Interrupted tells to look at the alias: all that can be said where Lambda says that there is none.
        if not (
            seen.commands_told or seen.dead_letters or any(each.error == "Interrupted" for each in seen.executions)
        ):
            yield f"split as {seen.final} for ever, and nobody was told"
        return
    if not nobody_is_left(case, seen):
        yield f"{seen.outcome}, and the alias is left as {seen.final}"


def _known_versions(case: Case, seen: Observation) -> Broken:
    versions = {case.stable, *(_versions(seen.initial) if seen.initial else ())}
    for write in seen.writes:
        if write.foreign:
            versions |= _versions(write.routing)
    for each in seen.executions:
        adopted = each.request.get("version") if isinstance(each.request, dict) else None
        versions |= {adopted} if isinstance(adopted, str) else set()
    versions |= {
        str(call.response["Version"])
        for call in seen.calls
        if call.name == "lambda.PublishVersion" and call.response is not None
    }
    versions.add(_published_first(case))
    for write in seen.writes:
        if alien := _versions(write.routing) - versions:
            yield f"version {', '.join(sorted(alien))} at {write.at} s, known are {sorted(versions)}"


def _versions(routing: tuple[str, Mapping[str, float]]) -> set[str]:
    return {routing[0], *routing[1]}


def _published_first(case: Case) -> str:
    """The number that the first publication gets; its answer may be lost."""
    alias = case.scenario.get("alias", {})
    named = [alias.get("function_version", "1"), *alias.get("weights", {})]
    for action in case.timeline:
        named += [action.get("function_version") or "1", *(action.get("weights") or {})]
    return str(max(int(version) for version in named if version.isdigit()) + 1) if named != ["$LATEST"] else "2"


def _good_end(_: Case, seen: Observation) -> Broken:
    """A promoted candidate serves, until somebody else moves the alias or a later rollout promotes its own."""
    ends = [each for each in seen.executions if each.outcome == "promoted" and each.ended_at is not None]
    for each in ends:
        promoted: Routing = (each.output["to_version"], {})
        upto = [write for write in seen.writes if write.at <= (each.ended_at or 0)]
        if upto and upto[-1].by == "command" and upto[-1].routing[0] == each.output["from_version"]:
            continue  # reverted as soon as it was done
        if upto and not upto[-1].foreign and upto[-1].routing != promoted:
            yield f"promoted {promoted[0]} at {each.ended_at} s, when the alias was {upto[-1].routing}"
    if ends:
        last = max(ends, key=lambda each: each.ended_at or 0)
        ended_at = last.ended_at or 0.0
        if not _moved_since(seen, _last_own_write(seen, ended_at)) and seen.final != (
            _left(seen, last.output["from_version"], last.output["to_version"]),
            {},
        ):
            yield f"promoted {last.output['to_version']} at {ended_at} s, and in the end the alias is {seen.final}"


def _left(seen: Observation, stable: str, candidate: str) -> str:
    """The version that a promotion left: the one before, where somebody reverted it after."""
    after: list[Write] = []
    for write in seen.writes:
        promotes = write.by == "promote" and write.routing[0] == candidate
        after = [] if promotes else [*after, write]
    return stable if any(write.by == "command" and write.routing[0] == stable for write in after) else candidate


def _moved_since(seen: Observation, since: float) -> bool:
    """Whether somebody else moved or deleted the alias from that moment on."""
    return any(at >= since for at in seen.deleted) or any(
        write.foreign and write.at >= since for _, write in seen.moves
    )


def _last_own_write(seen: Observation, until: float) -> float:
    return max((write.at for write in seen.writes if not write.foreign and write.at <= until), default=0.0)


def _bad_end(case: Case, seen: Observation) -> Broken:
    """Where nobody promoted and nobody else wrote, the alias is what it was."""
    if seen.moved_by_others or seen.final == seen.initial or needs_a_person(seen):
        return
    if any(each.outcome == "promoted" for each in seen.executions) or _was_made(seen):
        return
    said = [item["outcome"] for each in seen.executions for item in each.history]
    if "promoted" in said and seen.final and not seen.final[1]:
        return  # stopped after the last word was spoken: the books and the alias agree
    if not (alias_is_unreachable(case, seen) or nobody_is_left(case, seen)):
        yield f"{seen.outcome}, nobody promoted, and the alias went from {seen.initial} to {seen.final}"


def _was_made(seen: Observation) -> bool:
    """Whether there was no alias before: what a rollout made stays, because none of our roles may delete anything."""
    return seen.initial is None and seen.final in [write.routing for write in seen.writes if write.by == "promote"]


def _leaves_others_alone(_: Case, seen: Observation) -> Broken:
    """Whoever deploys another version during a rollout keeps it, until a rollout takes that for its stable version."""
    planned_on = {plan["stable"] for plan in _plans(seen)}
    candidates = {json.loads(item["document"])["candidate"] for item in _planned(seen)}
    for number, write in enumerate(seen.writes):
        before = seen.writes[number - 1].routing if number else seen.initial
        # A weight of our candidate is looked at elsewhere, whoever left it there.
        ours = write.routing[1].keys() & candidates
        if not write.foreign or before is None or write.routing[0] in {*_versions(before), *planned_on}:
            continue
        until = min((each.started_at for each in seen.executions if each.started_at >= write.at), default=float("inf"))
        for later in seen.writes[number + 1 :]:
            if later.foreign:
                break
            kept = later.routing == write.routing or (ours and later.routing == (write.routing[0], {}))
            if later.at < until and later.by != LAMBDA_ITSELF and not kept:
                yield f"version {write.routing[0]} was deployed at {write.at} s and undone at {later.at} s"
                break


def _plans(seen: Observation) -> Iterator[Mapping[str, Any]]:
    """The plans that were made. Where no call arrives for ever, only the one that says so knows of it."""
    for item in _planned(seen):
        yield json.loads(item["document"])["plan"]
    for call in seen.calls:
        if call.name == "dynamodb.UpdateItem" and ":plan" in call.params.get("ExpressionAttributeValues", {}):
            yield json.loads(call.params["ExpressionAttributeValues"][":plan"]["S"])


def _planned(seen: Observation) -> Iterator[Mapping[str, Any]]:
    """The history items of executions that had a plan."""
    for each in seen.executions:
        yield from (item for item in each.history if json.loads(item["document"])["plan"])


# --- The books --------------------------------------------------------------------------------------------------------


def _lock_free(case: Case, seen: Observation) -> Broken:
    if ledger_is_dead(case, seen) or alias_is_unreachable(case, seen):
        return
    if nobody_is_left(case, seen) or any(fault["handler"] == "sweep" for fault in case.endless("handler")):
        return  # a call that was in flight at the end may take the lock late, and only the sweeper looks again
    failed = {each.arn for each in seen.executions if each.error == "RollbackFailed"}
    for lock in seen.locks:
        if lock["execution_arn"] not in failed:
            holder = next((each for each in seen.executions if each.arn == lock["execution_arn"]), None)
            yield f"held by {holder.status if holder else 'nobody'} {holder.error if holder else ''}".rstrip()


def _history_once(case: Case, seen: Observation) -> Broken:
    excused = ledger_is_dead(case, seen) or nobody_is_left(case, seen) or alias_is_unreachable(case, seen)
    for each in seen.executions:
        if len(each.history) > 1:
            yield f"{len(each.history)} items of {_named(each)}"
        elif not each.history and each.locked and not excused:
            yield f"none of {_named(each)}, which had the lock"


def _history_agrees(case: Case, seen: Observation) -> Broken:
    # Whoever dies at every word that he says cannot end, though the books were closed before.
    speechless = any(
        fault["error"].startswith("crash") and fnmatchcase("events.PutEvents", fault["call"])
        for fault in case.endless("call")
    )
    for each in seen.executions:
        if speechless and each.outcome == "rollback_failed":
            continue
        for item in each.history:
            said = item["outcome"]
            agree = _AGREE[each.outcome]
            # RollBack died each time before it could look, and a guard found that no traffic had ever moved.
            unmoved = each.outcome == "rollback_failed" and said == "rejected" and not people.forward_writes(seen, each)
            stopped_too_late = each.outcome is None and said in {"promoted", "unchanged"} and not _split(seen)
            if said not in agree and not unmoved and not stopped_too_late:
                yield f"{said} of {_named(each)}"


def _books_and_alias(_: Case, seen: Observation) -> Broken:
    """Where the history says promoted, that candidate serves, until somebody else, or a person's revert, moves it."""
    items = [item for each in seen.executions for item in each.history if item["outcome"] == "promoted"]
    if not items:
        return
    last = max((json.loads(item["document"]) for item in items), key=lambda document: float(document["ended_at"]))
    since = _last_own_write(seen, float(last["ended_at"]) - STARTED_AT)
    if not _moved_since(seen, since) and seen.final != (_left(seen, last["plan"]["stable"], last["candidate"]), {}):
        yield f"the history says that {last['candidate']} was promoted, and in the end the alias is {seen.final}"


def _split(seen: Observation) -> bool:
    return bool(seen.final and seen.final[1])


def _event_tells(case: Case, seen: Observation) -> Broken:
    mute = "events.PutEvents" in seen.failed
    excused = mute or ledger_is_dead(case, seen) or nobody_is_left(case, seen) or alias_is_unreachable(case, seen)
    for each in seen.executions:
        said = set(each.told) - ({"rollback_failed"} if len(set(each.told)) > 1 else set())
        # Of an execution that never had the lock only its own event tells: lost, or buried where a person looks.
        unheard = not each.locked and (event_may_be_lost(case) or seen.dead_letters)
        truths = {item["outcome"] for item in each.history} or ({each.outcome} if each.outcome else set())
        if not each.told and not excused and not unheard:
            yield f"none of {_named(each)} ({', '.join(sorted(truths))})"
        elif len(said) > 1 or (said and truths and not said <= truths):
            yield f"{sorted(set(each.told))} of {_named(each)} ({', '.join(sorted(truths))})"


def _named(each: Execution) -> str:
    number = each.arn.rsplit("-", 1)[-1]
    return f"execution {number}, {each.status} {each.error or ''}".rstrip() + f" in {each.last_state}"


# --- The word ---------------------------------------------------------------------------------------------------------


def _success_is_earned(case: Case, seen: Observation) -> Broken:
    for each in seen.executions:
        if each.outcome != "promoted":
            if "proven" in each.output and each.output["proven"] not in {True, False}:
                yield f"proven is {each.output['proven']!r}"
            continue
        proven = each.output.get("proven")
        if proven is not bool(each.output.get("proven_by")):
            yield f"proven is {proven!r}, by {each.output.get('proven_by')!r}"
        verdicts = json.loads(each.history[0]["document"])["verdicts"] if each.history else []
        if verdicts and (verdicts[-1]["action"] != "promote" or verdicts[-1]["proven"] != proven):
            yield f"promoted, proven {proven}, on the verdict {verdicts[-1]['action']}: {verdicts[-1]['reason']}"
        made = bool(each.history) and json.loads(each.history[0]["document"])["plan"]["creates_alias"]
        if made and (proven or each.output["from_version"] is not None):
            yield f"the alias was made, and the output is {each.output}"
        if each.history and not made and not verdicts and not ledger_is_dead(case, seen):
            yield "promoted without a verdict in the books"
    yield from _proven_harm(case, seen)


def _proven_harm(case: Case, seen: Observation) -> Broken:
    """A promotion that was proven, of a candidate that did great harm."""
    first = seen.executions[0]
    # Without the judge, proven is by the request's own alarms and limits, which may be such that nothing crosses them.
    health = case.request.get("health") if isinstance(case.request, dict) else None
    if isinstance(health, dict) and health.get("judge") is False:
        return
    if len(seen.executions) == 1 and first.outcome == "promoted" and first.output.get("proven"):
        asked, failed = seen.traffic["to_candidate"], seen.traffic["failed_by_candidate"]
        # What is answered is no error that anybody here could count.
        counted = "answered_error_rate" not in case.scenario.get("candidate", {})
        if counted and asked >= HARMFUL_REQUESTS and failed / asked >= HARMFUL_RATE:
            yield f"promoted as proven, and {failed} of {asked} requests failed for its sake"
    for each in seen.executions:
        if each.outcome == "promoted" and each.output.get("proven") and each.history:
            yield from _counted_harm(json.loads(each.history[0]["document"])["verdicts"])


def _counted_harm(verdicts: list[dict[str, Any]]) -> Broken:
    """The last verdict's own counts, held against what is tolerated by default."""
    if not verdicts:
        return
    own = {"slow", "slow p50", "slow p90"}
    tallies = [("requests", *((verdicts[-1][who]["requests"], verdicts[-1][who]["errors"]) for who in _VERSIONS))]
    tallies += [
        (one["metric"], *(one[who] for who in _VERSIONS))
        for one in verdicts[-1]["evidence"]
        if one["metric"] not in own
    ]
    for name, (requests, errors), (before, failed) in tallies:
        yield from _counted(name, requests, errors, before, failed)


def _counted(name: str, requests: int, errors: int, others: int, failed: int) -> Broken:
    tolerated = TOLERATED_ERRORS.max_ratio * failed / max(others, 1) + TOLERATED_ERRORS.max_increase
    if others and requests >= HARMFUL_COUNTED and errors >= HARMFUL_TIMES * tolerated * requests:
        yield f"promoted as proven, and {errors} of {requests} counted {name} were bad; {failed} of {others} of stable"


def _throttled_is_no_verdict(case: Case, seen: Observation) -> Broken:
    """What a quota refuses, for as long as it may take, rejects nothing; it takes nothing back before the extension is
    over, and the quotas of these cases leave room in it.
    """
    health = case.request.get("health", {}) if isinstance(case.request, dict) else {}
    brief = isinstance(health, dict) and health.get("max_extension_seconds", ENOUGH_SECONDS) < ENOUGH_SECONDS
    for each in seen.executions:
        by_policy = brief and "at the end of the extension" in (each.cause or "")
        if each.outcome in {"rejected", "rolled_back"} and REFUSED in (each.cause or "") and not by_policy:
            yield f"{_named(each)}: {each.cause}"


def _ends_in_its_state(_: Case, seen: Observation) -> Broken:
    for each in seen.executions:
        if each.status is None:
            yield f"execution {each.arn.rsplit('-', 1)[-1]} never ended"
        elif each.status == "FAILED" and each.outcome is None:
            yield f"ended {each.error}: {each.cause}"
        elif each.outcome and each.last_state != _LAST_STATE[each.outcome]:
            yield f"{each.outcome} in {each.last_state}"
        remedy = COMMAND if seen.initial else "No alias was there to restore"
        if each.error == "RollbackFailed" and remedy not in (each.cause or ""):
            yield f"RollbackFailed without the command to run: {each.cause}"


def _no_bug(_: Case, seen: Observation) -> Broken:
    """An error named after one of Python's own exceptions is a bug of a handler, whatever it leads to, and so is a
    module that cannot be imported or an answer that is no JSON.
    """
    errors = [error for each in seen.executions for error in each.task_errors]
    errors += [str(answer.get("errorType", "")) for answer in seen.answers]
    for letter in seen.dead_letters:
        payload = json.loads(letter).get("responsePayload") or {}
        errors.append(str(payload.get("errorType", "")))
    for error in sorted(set(errors)):
        if error in _BUGS or isinstance(getattr(builtins, error, None), type):
            yield f"a handler raised {error}"


def _settled(_: Case, seen: Observation) -> Broken:
    if not seen.settled:
        yield f"something still moves after {seen.seconds} s"


CHECKS: Mapping[str, Callable[[Case, Observation], Broken]] = {
    "one version": _one_version,
    "known versions": _known_versions,
    "good end": _good_end,
    "bad end": _bad_end,
    "leaves others alone": _leaves_others_alone,
    "interrupted by somebody": others.interrupted_by_somebody,
    "lock free": _lock_free,
    "history once": _history_once,
    "history agrees": _history_agrees,
    "books and alias": _books_and_alias,
    "event tells": _event_tells,
    "success is earned": _success_is_earned,
    "throttled is no verdict": _throttled_is_no_verdict,
    "ends in its state": _ends_in_its_state,
    "no bug": _no_bug,
    "settled": _settled,
    "words kept": people.words_kept,
    "taken back": people.taken_back,
    "pause holds": people.pause_holds,
    "gates hold": people.gates_hold,
    "approval heard": people.approval_heard,
    "finish is unproven": people.finish_is_unproven,
    "bakes out": people.bakes_out,
    "rejected untouched": people.rejected_untouched,
    "reverts": people.reverts,
    "nobody else moved it": others.nobody_else_moved_it,
    "no weight of ours on theirs": others.no_weight_of_ours_on_theirs,
    "undoes only its own": others.undoes_only_its_own,
    "the deleted are not mourned": others.the_deleted_are_not_mourned,
}
