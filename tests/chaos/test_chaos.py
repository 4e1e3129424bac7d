"""A short run of chaos, what chaos found before, and that its tools find and tell what they should."""

import dataclasses
import json
from pathlib import Path

import pytest

from sandbox.scenario import Scenario
from tests.chaos.case import Case
from tests.chaos.generator import HANDLERS, generate
from tests.chaos.invariants import CHECKS, broken
from tests.chaos.observe import Write, observe
from tests.chaos.shrink import shrink

FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
PLAIN = Case("plain", {**SMALLEST, "strategy": "AllAtOnce"}, {})
SPLIT = ("1", {"2": 0.1})


@pytest.mark.parametrize("number", range(8))
def test_a_random_rollout_under_random_faults_keeps_every_invariant(number):
    case = generate(f"suite.{number}")
    assert broken(case, observe(case)) == {}


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


ALTERED = {
    "one version": lambda seen: dataclasses.replace(seen, final=SPLIT),
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
    "ends in its state": lambda seen: of_first(seen, status="FAILED", error="States.Runtime"),
    "no bug": lambda seen: of_first(seen, task_errors=("KeyError",)),
    "settled": lambda seen: dataclasses.replace(seen, settled=False),
}


def test_an_undisturbed_rollout_breaks_nothing(seen):
    assert broken(PLAIN, seen) == {}


def test_every_invariant_is_altered_below():
    assert list(ALTERED) == list(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_an_end_that_breaks_an_invariant_is_told_by_its_name(seen, name):
    assert name in broken(PLAIN, ALTERED[name](seen))


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
