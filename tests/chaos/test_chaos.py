"""A short run of chaos, what chaos found before, and that its tools find and tell what they should."""

import dataclasses
import json
from pathlib import Path

import pytest

from sandbox.scenario import Scenario
from tests.chaos.case import Case
from tests.chaos.generator import HANDLERS, generate
from tests.chaos.invariants import CHECKS, broken
from tests.chaos.kinds import MEDDLING, TRAFFIC, kinds_of, traffic_of
from tests.chaos.meddlers import SLOW_CALLS, STALE_READS
from tests.chaos.observe import Said, Stored, Write, observe
from tests.chaos.operators import COMMANDS, MOMENTS
from tests.chaos.restarts import restart, undone
from tests.chaos.shrink import shrink

FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
PLAIN = Case("plain", {**SMALLEST, "strategy": "AllAtOnce"}, {})
SPLIT = ("1", {"2": 0.1})


@pytest.mark.parametrize("number", range(8))
def test_a_random_rollout_under_random_faults_keeps_every_invariant(number):
    case = generate(f"suite.{number}")
    assert broken(case, observe(case)) == {}


@pytest.mark.parametrize("number", range(3))
def test_a_rollout_that_begins_while_the_last_ones_guard_is_late_is_not_undone(number):
    case = restart(f"suite.{number}")
    seen = observe(case)
    assert {**undone(case, seen), **broken(case, seen)} == {}


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_chaos_found_once_holds(path):
    case = Case.read(path)
    assert broken(case, observe(case)) == {}


def test_the_same_name_gives_the_same_case_and_every_case_can_be_played():
    cases = [generate(f"any.{number}") for number in range(300)]
    assert cases == [generate(f"any.{number}") for number in range(300)]
    for case in cases:
        Scenario.of(case.scenario)
        json.dumps(case.request)


def test_every_kind_of_fault_and_every_handler_is_struck_some_time():
    faults = [fault for number in range(600) for fault in generate(f"any.{number}").faults]
    assert {fault["handler"] for fault in faults if "handler" in fault} == set(HANDLERS)
    assert {fault["error"] for fault in faults if "handler" in fault} == {"timeout", "crash", "throttled"}
    assert {fault["error"] for fault in faults if "event" in fault} == {"lost", "duplicated", "late"}
    calls = {fault["error"] for fault in faults if "call" in fault}
    assert calls >= {"lost_response", "held", "crash_before", "crash_after", "AccessDeniedException"}


def test_everybody_who_meddles_does_so_some_time():
    cases = [generate(f"any.{number}") for number in range(600)]
    actions = [action for case in cases for action in case.timeline]
    assert {action["do"] for action in actions} == {
        "command",
        "delete_alias",
        "delete_function",
        "delete_version",
        "describe_alias",
        "redrive",
        "set_alarm",
        "start_execution",
        "stop_execution",
        "update_alias",
    }
    partial = {one.get("function_version") for one in actions if one["do"] == "update_alias" and "weights" not in one}
    assert partial >= {"2", "3", "7"}
    assert {one["version"] for one in actions if one["do"] == "delete_version"} == {"1", "2", "3"}
    assert any({"weights": {"9": 0.0}}.items() <= case.scenario.get("alias", {}).items() for case in cases)
    kinds = [kinds_of(case) for case in cases]
    assert {"restart within seconds", "redrive beside another one", "describe_alias, provisioned"} <= set().union(
        *kinds
    )


def test_every_read_is_old_and_every_call_late_some_time():
    faults = [fault for number in range(2000) for fault in generate(f"any.{number}").faults if "call" in fault]
    assert {fault["call"] for fault in faults if fault["error"] == "stale"} == set(STALE_READS)
    assert any(fault["error"] == "stale" and fault["times"] == "always" for fault in faults)
    assert {fault["call"] for fault in faults if fault["error"] == "slow"} == set(SLOW_CALLS)


def test_what_was_tested_before_is_not_starved():
    cases = [generate(f"any.{number}") for number in range(600)]
    plain = [case for case in cases if not kinds_of(case) & MEDDLING]
    assert 0.4 < len(plain) / len(cases) < 0.7
    assert sum(bool(case.faults) for case in cases) > 0.8 * len(cases)


def test_every_command_hook_gate_and_profile_is_there_some_time():
    cases = [generate(f"any.{number}") for number in range(600)]
    requests = [case.request for case in cases if isinstance(case.request, dict)]
    assert {action.get("command") for case in cases for action in case.timeline} >= set(COMMANDS)
    assert {moment for request in requests for moment in request.get("hooks", {})} == set(MOMENTS)
    approvals = [step["approval"] for request in requests for step in request.get("steps", []) if "approval" in step]
    assert {approval.get("on_timeout") for approval in approvals} == {None, "continue", "roll_back"}
    assert {request["health"].get("when_inconclusive") for request in requests if "health" in request} >= {"hold"}
    assert any(request.get("create_alias") and "profile" in request for request in requests)


def test_what_cannot_be_seen_is_there_some_time():
    cases = [generate(f"any.{number}") for number in range(600)]
    assert {word for case in cases for word in traffic_of(case)} == TRAFFIC


def test_no_handler_is_spared():
    handlers = {
        path.stem for path in (Path(__file__).parents[2] / "functions").glob("*.py") if "@task(" in path.read_text()
    }
    assert set(HANDLERS) == handlers


@pytest.fixture(scope="module")
def seen():
    return observe(PLAIN)


def of_first(seen, **changes):
    return dataclasses.replace(seen, executions=(dataclasses.replace(seen.executions[0], **changes),))


def told(seen, command, **more):
    word = {"id": "1", "command": command, "approval_step": None, **more}
    return dataclasses.replace(seen, said=(Said(0.1, seen.executions[0].arn, word),))


def booked(seen, change):
    item = seen.executions[0].history[0]
    document = json.loads(item["document"])
    change(document)
    return of_first(seen, history=({**item, "document": json.dumps(document)},))


def needs_approval(document):
    document["plan"]["steps"][0]["approval"] = {"timeout_seconds": 600, "on_timeout": "roll_back"}


def is_not_approved(document):
    document["verdicts"][-1]["reason"] = "nobody approved 100 % within 10 min"


def bakes_longer(document):
    document["plan"]["steps"][0]["bake_seconds"] = 86_400


def answered(seen, command):
    return dataclasses.replace(seen, answers=({"accepted": True, "command": command, "rollout_id": "story-1"},))


def wrote(seen, *writes, final=None):
    return dataclasses.replace(seen, writes=(*seen.writes, *writes), final=final or seen.final)


def left_on_theirs(seen):
    """Somebody moves the alias at 4 s and says nothing of the weight that is there."""
    ours = Write(3, ("1", {"2": 0.1}), foreign=False, by="shift_traffic", serves=seen.executions[0].arn)
    theirs = Write(4, ("9", {"2": 0.1}), foreign=True, partial=True)
    return dataclasses.replace(seen, writes=(ours, theirs), final=theirs.routing, stored=seen.stored[:1])


def undone_by_a_guard(seen):
    """The second rollout has shifted and goes on, and the guard of the first one restores."""
    first = seen.executions[0]
    second = dataclasses.replace(first, arn="second-2", ended_at=None)
    shifted = Write(8, SPLIT, foreign=False, by="shift_traffic", serves=second.arn, holder=second.arn)
    guard = Write(9, ("1", {}), foreign=False, by="guard_execution", serves=first.arn, holder=second.arn)
    return dataclasses.replace(seen, executions=(first, second), writes=(shifted, guard))


def mourned(seen):
    paged = of_first(seen, status="FAILED", error="RollbackFailed", cause="has no alias", ended_at=9.0)
    return dataclasses.replace(paged, deleted=(5.0,), final=None)


ALTERED = {
    "one version": lambda seen: wrote(seen, Write(9, SPLIT, foreign=False), final=SPLIT),
    "known versions": lambda seen: dataclasses.replace(seen, writes=(*seen.writes, Write(9, ("7", {}), foreign=False))),
    "good end": lambda seen: dataclasses.replace(seen, final=("1", {})),
    "bad end": lambda seen: of_first(seen, status="ABORTED", output={}, history=()),
    "leaves others alone": lambda seen: dataclasses.replace(
        seen, writes=(Write(5, ("9", {}), foreign=True), Write(8, ("1", {}), foreign=False))
    ),
    "interrupted by somebody": lambda seen: of_first(seen, status="FAILED", error="Interrupted"),
    "lock free": lambda seen: dataclasses.replace(seen, locks=({"execution_arn": seen.executions[0].arn},)),
    "history once": lambda seen: of_first(seen, history=()),
    "history agrees": lambda seen: of_first(seen, status="FAILED", error="RolledBack"),
    "books and alias": lambda seen: dataclasses.replace(seen, final=("1", {})),
    "event tells": lambda seen: of_first(seen, told=("promoted", "rolled_back")),
    "success is earned": lambda seen: of_first(seen, output={**seen.executions[0].output, "proven": "maybe"}),
    "throttled is no verdict": lambda seen: of_first(seen, status="FAILED", error="Rejected", cause="Rate exceeded"),
    "ends in its state": lambda seen: of_first(seen, status="FAILED", error="States.Runtime"),
    "no bug": lambda seen: of_first(seen, task_errors=("KeyError",)),
    "settled": lambda seen: dataclasses.replace(seen, settled=False),
    "words kept": lambda seen: answered(seen, "pause"),
    "taken back": lambda seen: told(seen, "abort"),
    "pause holds": lambda seen: told(seen, "pause"),
    "gates hold": lambda seen: booked(seen, needs_approval),
    "approval heard": lambda seen: told(booked(seen, is_not_approved), "approve", approval_step=0),
    "finish is unproven": lambda seen: told(seen, "finish"),
    "bakes out": lambda seen: booked(seen, bakes_longer),
    "rejected untouched": lambda seen: of_first(seen, status="FAILED", error="Rejected"),
    "reverts": lambda seen: answered(seen, "revert"),
    "nobody else moved it": lambda seen: of_first(seen, cause="somebody else moved it"),
    "no weight of ours on theirs": left_on_theirs,
    "undoes only its own": undone_by_a_guard,
    "the deleted are not mourned": mourned,
}


def test_an_undisturbed_rollout_breaks_nothing(seen):
    assert broken(PLAIN, seen) == {}


def test_every_invariant_is_altered_below():
    assert list(ALTERED) == list(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_an_end_that_breaks_an_invariant_is_told_by_its_name(seen, name):
    assert name in broken(PLAIN, ALTERED[name](seen))


def test_a_weight_of_ours_on_their_version_is_no_one_version_either(seen):
    assert "one version" in broken(PLAIN, left_on_theirs(seen))


def test_a_weight_that_somebody_gave_himself_is_his(seen):
    theirs = Write(4, ("9", {"2": 0.1}), foreign=True)
    left = dataclasses.replace(left_on_theirs(seen), writes=(*seen.writes[:1], theirs))
    assert not {"one version", "no weight of ours on theirs"} & set(broken(PLAIN, left))


def test_a_weight_of_a_promotion_is_left_where_it_was_found(seen):
    promoting = Stored(3.5, seen.executions[0].arn, None)
    left = left_on_theirs(seen)
    left = dataclasses.replace(left, stored=(*left.stored, promoting))
    assert not {"one version", "no weight of ours on theirs"} & set(broken(PLAIN, left))


def test_whoever_restores_the_rollout_that_has_the_lock_undoes_his_own(seen):
    shifted, guard = undone_by_a_guard(seen).writes
    own = dataclasses.replace(guard, serves=shifted.serves)
    marked = dataclasses.replace(guard, restored=True)
    for write in (own, marked):
        assert "undoes only its own" not in broken(
            PLAIN, dataclasses.replace(undone_by_a_guard(seen), writes=(shifted, write))
        )


def test_a_description_interrupts_nobody(seen):
    described = Write(3, seen.writes[0].routing, foreign=True, partial=True)
    seen = dataclasses.replace(of_first(seen, status="FAILED", error="Interrupted"), writes=(seen.writes[0], described))
    assert "interrupted by somebody" in broken(PLAIN, seen)


def test_a_failing_case_loses_every_fault_action_and_key_that_does_not_matter():
    stop, lost = (
        {"at_second": 61.37, "do": "stop_execution"},
        {"event": "execution", "error": "lost", "times": "always"},
    )
    crash = {"handler": "sweep", "error": "crash", "times": 60, "skip": 3}
    case = Case(
        "7.1",
        {**SMALLEST, "force": True, "health": {"judge": False, "max_error_percent": 1}},
        {
            "candidate": {"error_rate": 0.5, "duration_ms": {"median": 300}},
            "timeline": [{"at_second": 3.0, "do": "start_execution"}, stop],
            "faults": [{"call": "lambda.*", "error": "held", "seconds": 3}, lost, crash],
        },
    )

    def fails(smaller):
        errors = {fault["error"] for fault in smaller.faults}
        return bool(smaller.timeline) and errors >= {"lost", "crash"} and "judge" in smaller.request.get("health", {})

    smallest = shrink(case, fails, patience=500)
    assert smallest.request == {**SMALLEST, "health": {"judge": False}}
    assert list(smallest.scenario) == ["timeline", "faults"]
    assert [fault["error"] for fault in smallest.faults] == ["lost", "crash"]
    assert all(fault["times"] == 1 for fault in smallest.faults)
    assert len(smallest.timeline) == 1


def test_shrinking_ends_when_patience_does():
    case = Case(
        "7.2", SMALLEST, {"faults": [{"call": "*", "error": "held", "seconds": 1, "skip": n} for n in range(9)]}
    )
    played = []
    shrink(case, lambda smaller: bool(played.append(smaller)), patience=7)
    assert len(played) == 7


def test_a_case_is_written_and_read_again(tmp_path):
    path = tmp_path / "case.json"
    path.write_text(PLAIN.written({"one version": "split"}))
    assert Case.read(path) == PLAIN
    assert json.loads(path.read_text())["broke"] == {"one version": "split"}
