"""Whole rollouts, as the command line plays them: what is said about them, and that it can be relied on."""

import json
import subprocess
import sys
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pytest

from sandbox.__main__ import main
from sandbox.scenario import Scenario, shipped
from sandbox.story import Story, play, rollout_view
from sandbox.target import OWN_TARGET, Target
from sandbox.world import World

REQUEST = {"function_name": "checkout", "alias_name": "live", "health": {"max_error_percent": 1}}
STABLE_ALONE = {"function_version": "1", "weights": {}}
CONTRACT = [
    "status",
    "outcome",
    "error",
    "cause",
    "alias",
    "states",
    "history_events",
    "virtual_seconds",
    "wall_seconds",
    "traffic",
    "seconds_from_alarm_to_restored",
    "api_calls",
    "proven",
    "lock_released",
    "history_recorded",
    "events",
    "proven_by",
]


@cache
def shipped_story(scenario: str) -> Story:
    """REQUEST against a scenario that ships: played once for all who only read it."""
    return story(scenario)


def story(scenario: str | dict[str, Any], seed: int = 0, **more: Any) -> Story:
    """REQUEST, with more keys, against a scenario that ships or a scenario's JSON."""
    chosen = shipped()[scenario] if isinstance(scenario, str) else Scenario.of(scenario)
    return play({**REQUEST, **more}, chosen, seed)


def without_wall_seconds(told: Story) -> dict[str, Any]:
    return {key: value for key, value in told.to_json().items() if key != "wall_seconds"}


def test_a_good_release_is_promoted() -> None:
    told = shipped_story("good_release")

    assert (told.status, told.outcome, told.error) == ("SUCCEEDED", "promoted", None)
    assert told.alias == {"function_version": "2", "weights": {}}
    assert told.states[0] == "PlanRollout"
    assert told.states[-1] == "Promoted"
    assert told.proven is True
    assert told.lock_released
    assert told.history_recorded
    assert told.events[0] == "RolloutStarted"
    assert told.virtual_seconds > 900


def test_the_story_has_the_keys_of_the_contract_and_is_json() -> None:
    told = shipped_story("good_release").to_json()

    assert list(told) == CONTRACT
    assert list(told["traffic"]) == ["requests", "to_candidate", "failed_by_candidate", "failed"]
    assert json.loads(json.dumps(told)) == told | {"states": list(told["states"]), "events": list(told["events"])}


def test_the_same_seed_gives_the_same_story() -> None:
    told, again = (without_wall_seconds(story("throttled_update_alias", 7)) for _ in range(2))
    assert told == again


def test_another_seed_gives_other_callers() -> None:
    assert story("fails_5_percent", 1).traffic != story("fails_5_percent", 2).traffic


def test_a_bad_release_is_rolled_back_and_its_blast_radius_counted() -> None:
    told = shipped_story("fails_5_percent")

    assert (told.status, told.outcome, told.error) == ("FAILED", "rolled_back", "RolledBack")
    assert told.alias == STABLE_ALONE
    assert told.cause is not None
    assert 0 < told.traffic["failed_by_candidate"] <= told.traffic["failed"]
    assert told.traffic["to_candidate"] < 0.2 * told.traffic["requests"]


def test_a_shared_outage_is_not_the_candidate_s_fault() -> None:
    told = shipped_story("shared_outage")

    assert told.traffic["failed"] > 100
    assert told.traffic["failed_by_candidate"] <= 2


def test_a_stop_ends_on_the_stable_version() -> None:
    told = shipped_story("stopped_mid_bake")

    assert (told.status, told.outcome, told.virtual_seconds) == ("ABORTED", "stopped_and_restored", 200)
    assert told.alias == STABLE_ALONE
    assert told.lock_released


def test_somebody_else_s_alias_is_left_as_found() -> None:
    told = shipped_story("alias_moved")

    assert told.outcome == "interrupted"
    assert told.alias == {"function_version": "2", "weights": {}}


def test_the_alarms_that_count_are_the_request_s() -> None:
    assert shipped_story("alarm_flaps").seconds_from_alarm_to_restored is None

    told = story("alarm_flaps", alarms=["checkout-errors"])
    assert told.outcome == "rolled_back"
    assert told.seconds_from_alarm_to_restored is not None
    assert 0 < told.seconds_from_alarm_to_restored < 60


def test_retries_of_the_sdk_use_faults_up_and_are_counted() -> None:
    told = shipped_story("throttled_update_alias")

    assert told.outcome == "promoted"
    assert told.api_calls["lambda.UpdateAlias"] == shipped_story("good_release").api_calls["lambda.UpdateAlias"] + 6


def test_a_dead_ledger_does_not_keep_the_alias_from_being_restored() -> None:
    told = shipped_story("dead_ledger")

    assert told.alias == STABLE_ALONE
    assert not told.history_recorded


@pytest.mark.parametrize("request_", ["text", [], {}, None, {"function_name": 1, "alias_name": None}])
def test_any_json_may_be_the_request(request_: object) -> None:
    told = play(request_, Scenario.of({}))

    assert told.outcome == "rejected"
    assert told.alias == STABLE_ALONE


def test_an_alias_that_does_not_exist_is_null() -> None:
    assert story({"alias": {"exists": False}}).alias is None


def test_versions_that_a_scenario_names_are_published_first() -> None:
    told = story({"timeline": [{"at_second": 100, "do": "update_alias", "function_version": "4", "weights": {}}]})

    assert told.alias == {"function_version": "4", "weights": {}}


def test_a_second_execution_runs_beside_the_first() -> None:
    told = shipped_story("second_rollout")

    assert told.outcome == "promoted"
    assert "RolloutRejected" in told.events


def test_a_command_of_the_timeline_is_answered() -> None:
    told = story(
        {"timeline": [{"at_second": 100, "do": "command", "command": "abort", "author": "ana", "reason": "no"}]}
    )
    assert told.cause == "aborted by ana (no)"


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        ({"function_name": "pay", "alias_name": "prod"}, Target("pay", "prod")),
        ({"function_name": "arn:aws:lambda:us-east-1:1:function:pay", "alias_name": "prod"}, Target("pay", "prod")),
        ({"function_name": "no name", "alias_name": "12"}, OWN_TARGET),
        ("checkout", OWN_TARGET),
    ],
)
def test_the_target_is_what_the_request_names(request_: object, target: Target) -> None:
    assert Target.named_by(request_) == target


def test_the_view_tells_of_plan_weights_and_verdicts() -> None:
    views = []

    def look(world: World) -> None:
        views.append(rollout_view(world))

    play(REQUEST, shipped()["fails_half"], 0, look)
    last = views[-1]

    assert len(views) > 10
    assert (last.stable, last.candidate, last.outcome) == ("1", "2", "rolled_back")
    assert [step.weight_percent for step in last.steps] == [10, 50, 100]
    assert [shift.weight_percent for shift in last.shifts] == [10, 0]
    assert last.verdicts[-1].decision == "roll_back"
    assert last.candidate_total.errors > 10


# --- The command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST))
    return path


def test_json_is_all_that_is_printed(request_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", str(request_file), "--json"])

    assert status == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "promoted"


def test_a_rollout_that_ends_otherwise_exits_with_1_and_leaves_a_report(
    request_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, page = tmp_path / "scenario.json", tmp_path / "report.html"
    scenario.write_text('{"candidate": {"error_rate": 0.5}}')

    status = main(["run", str(request_file), "--scenario", str(scenario), "--report", str(page)])

    assert status == 1
    assert "Rolled back" in capsys.readouterr().out
    assert "<svg" in page.read_text()


def test_unusable_files_exit_with_2_and_every_reason(
    request_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text('{"candidat": {}, "stable": {"errors": 1}}')

    assert main(["run", str(request_file), "--scenario", str(scenario), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "candidat: unknown key" in printed.err
    assert "stable.errors: unknown key" in printed.err

    request_file.write_text("{")
    assert main(["run", str(request_file)]) == 2


def test_what_a_guard_could_not_restore_is_left_to_a_person_with_the_command_and_the_reason(
    request_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, page = tmp_path / "scenario.json", tmp_path / "report.html"
    denied = {"call": "lambda.UpdateAlias", "error": "AccessDeniedException", "skip": 1, "times": "always"}
    scenario.write_text(json.dumps({"timeline": [{"at_second": 200, "do": "stop_execution"}], "faults": [denied]}))

    main(["run", str(request_file), "--scenario", str(scenario), "--report", str(page)])

    ended, why, _, command = capsys.readouterr().out.splitlines()[-4:]
    assert ended.endswith("Stopped. The alias needs a person.")
    assert why.startswith("could not route checkout:live to version 1 alone: AccessDeniedException")
    assert command.startswith("aws lambda update-alias --region us-east-1 --function-name checkout --name live")
    assert f"<pre>{escape(command)}</pre>" in page.read_text()
    assert escape(why) in page.read_text()


@pytest.mark.parametrize("scenario", ["steered", "stopped_mid_bake", "reverted"])
def test_lines_are_told_in_the_order_of_their_moments(
    scenario: str, request_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", str(request_file), "--scenario", scenario])

    told = [line.partition("  ")[0] for line in capsys.readouterr().out.splitlines()]
    moments = [moment for moment in told if moment[:2].isdigit() and moment[2:3] == ":"]
    assert len(moments) > 3
    assert moments == sorted(moments)


def test_who_approved_and_why_is_in_the_report(tmp_path: Path) -> None:
    request = Path(__file__).parents[2] / "events/approval_gate.json"
    main(["run", str(request), "--scenario", "approved", "--report", str(page := tmp_path / "report.html")])

    assert "<td>ana</td><td>the numbers look fine</td>" in page.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "nothere"], "nothere is neither a file nor a scenario that ships: see python -m sandbox scena"),
        (["--scenario", "."], ". is a folder"),
    ],
)
def test_a_scenario_that_is_none_exits_with_2_and_says_where_they_are(
    words: list[str], said: str, request_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(request_file), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["scenarios"], ["run", "REQUEST", "--json"], ["run", "REQUEST"]])
def test_a_reader_who_has_seen_enough_ends_it_quietly(words: list[str], request_file: Path) -> None:
    request_file.write_text(json.dumps({**REQUEST, "alarms": ["nothere"]}))  # which is rejected at once
    command = [sys.executable, "-m", "sandbox", *(str(request_file) if word == "REQUEST" else word for word in words)]
    with subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 1


def test_the_shipped_scenarios_are_listed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios"]) == 0

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(shipped())


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_played(tmp_path: Path, capsys: Any) -> None:
    (request := tmp_path / "request.json").write_text('{"function_name": "checkout", "alias_name": "live"}')
    for place, why in (
        (tmp_path, "is a folder: name a file in it"),
        (tmp_path / "no/a.html", "there is no such folder"),
    ):
        assert main(["run", str(request), "--report", str(place)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n"), why in said.err) == ("", 1, True)
