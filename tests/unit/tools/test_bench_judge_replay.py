"""The real judge on recorded rollouts, and the command line."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench.judge import __main__ as command_line
from bench.judge import cases, replay

ROOT = Path(__file__).parents[3]
SILENT = {"n": None, "errors": None, "slow": None}
RULES = [
    "tidegate",
    "codedeploy",
    "error_rate_alarm",
    "flagger",
    "argo",
    "kayenta",
    "fisher",
    "turner_ly_grunwald",
]


def recorded(id_, candidate_rate, label, *, minutes=24, rpm=2000, delay=3, onset=0, seed=7, weights=(0.1, 0.5)):
    """A case of half its minutes at either weight; a minute is complete so many minutes after its start."""
    rng = random.Random(seed)  # noqa: S311  repeatable, not secret

    def counts(requests, rate):
        return {
            "n": requests,
            "errors": sum(rng.random() < rate for _ in range(requests)),
            "slow": sum(rng.random() < 0.01 for _ in range(requests)),
        }

    rows = []
    for t in range(minutes):
        weight = weights[t >= minutes // 2]
        candidate = round(rpm * weight)
        rate = candidate_rate if t >= (onset or 0) else 0.01
        stable = counts(rpm - candidate, 0.01)
        rows.append({"t": t, "w": weight, "seen_at": t + delay, "b": stable, "c": counts(candidate, rate)})
    excess = [max(0.0, candidate_rate - 0.01) * rpm * row["w"] for row in rows]
    truth = {"label": label, "onset": onset, "expected_excess": excess}
    return {"id": id_, "name": id_, "minutes": rows, "truth": truth}


def outcome(document):
    (case,) = cases.from_json({"cases": [document]})
    found = replay.replay(case)
    return found.verdict, found.minute


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(
        json.dumps({"cases": [recorded("good", 0.01, "good", onset=None), recorded("bad", 1.0, "bad")]}),
        encoding="utf-8",
    )
    return path


# --- Replay -----------------------------------------------------------------------------------------------------------


def test_a_harmless_candidate_is_proven_and_a_broken_one_rolled_back_at_the_first_minute_that_shows():
    assert outcome(recorded("a", 0.01, "good", onset=None)) == ("pass", None)
    assert outcome(recorded("a", 1.0, "bad")) == ("fail", 3)


def test_a_datapoint_that_is_later_convicts_later():
    assert outcome(recorded("a", 1.0, "bad", delay=6)) == ("fail", 6)


def test_harm_that_begins_late_is_found_after_it_began():
    verdict, minute = outcome(recorded("a", 1.0, "bad", onset=14))
    assert (verdict, minute) == ("fail", 17)


def test_a_minute_that_looks_like_great_harm_lowers_what_is_at_stake():
    harmful = recorded("a", 0.3, "bad", weights=(0.1, 0.1), rpm=10_000)
    (case,) = cases.from_json({"cases": [harmful]})
    flinched, kept = replay.replay(case), replay.replay(case, flinches=False)
    assert (flinched.verdict, kept.verdict, flinched.flinches, kept.flinches) == ("fail", "fail", 1, 0)
    assert flinched.hurt < kept.hurt
    assert replay.replay(case) == flinched


def test_little_traffic_proves_nothing():
    assert outcome(recorded("a", 0.0, "good", rpm=20)) == ("inconclusive", None)


def test_missing_datapoints_speak_for_and_against_nobody():
    broken = recorded("a", 1.0, "bad")
    for minute in broken["minutes"]:
        minute["c"]["errors"] = None
    assert outcome(broken)[0] != "fail"
    for minute in broken["minutes"]:
        minute["b"] = minute["c"] = dict(SILENT)
    assert outcome(broken) == ("inconclusive", None)


def test_what_only_the_data_after_the_last_poll_show_is_a_fail_without_a_minute():
    assert outcome(recorded("a", 1.0, "bad", delay=100)) == ("fail", None)


def test_the_last_step_may_be_at_full_weight():
    assert outcome(recorded("a", 0.01, "good", weights=(0.1, 1.0), onset=None))[1] is None
    assert outcome(recorded("a", 1.0, "bad", weights=(0.1, 1.0))) == ("fail", 3)
    assert outcome(recorded("a", 0.01, "good", weights=(1.0, 1.0)))[1] is None


def test_a_case_without_minutes_is_inconclusive():
    assert outcome({"id": "a", "minutes": [], "truth": {"label": "good"}}) == ("inconclusive", None)


# --- The command line -------------------------------------------------------------------------------------------------


def test_every_rule_is_scored_on_a_file_of_cases_the_judge_first(file, capsys):
    assert command_line.main(["--cases", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found)[-1] == "rules"
    assert list(found["rules"]) == RULES
    assert found["rules"]["tidegate"] == {
        "good": 1,
        "false_rollbacks": 0,
        "bad": 1,
        "misses": 0,
        "median_minutes": 3.0,
        "requests_hurt": 594,
        "oracle2_hurt": None,
        "ratio": None,
        "verdicts": {"good": ["pass", None], "bad": ["fail", 3]},
    }


def test_without_json_the_scores_are_a_table(file, capsys):
    assert command_line.main(["--cases", str(file)]) == 0
    heads, judge, *peers = capsys.readouterr().out.splitlines()
    assert heads.split()[0] == "rule"
    assert judge.split() == ["tidegate", "0", "of", "1", "0", "of", "1", "3", "594"]
    assert len(peers) == len(RULES) - 1


def test_it_runs_from_the_project_s_root_with_nothing_set_up(file):
    command = [sys.executable, "-m", "bench.judge", "--cases", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={})  # noqa: S603
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "tidegate" in ran.stdout


def test_a_file_that_cannot_be_used_ends_in_2_and_every_reason(tmp_path, capsys):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": [{"id": "a"}, {"id": "b", "minutes": 3, "truth": {"label": "odd"}}]}))
    assert command_line.main(["--cases", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 4
    assert command_line.main(["--cases", str(tmp_path / "none.json")]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--simulate", "--replicates", "0"],
        ["--simulate", "--seed", "-1"],
        ["--simulate", "--only", "what nobody drew"],
    ],
)
def test_arguments_that_make_no_sense_end_in_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
