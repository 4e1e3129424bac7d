"""tidegate validate: whether a request can be understood, offline; and that every other door says the same."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.__main__ import main
from tidegate.terminal.lazily import lazily

ROOT = Path(__file__).parents[2]
REQUEST = {"function_name": "checkout", "alias_name": "live"}
SPOILT = {"function_name": "a b", "alias_name": "12", "x\u202e\x1b[2J": 1}
PROBLEMS = [
    "function_name: 'a b' is neither a function's name nor its unqualified ARN",
    "alias_name: is not an alias name: letters, digits, '-' and '_', not digits alone",
    "x\\u202e\\u001b[2J: unknown key",
]


@pytest.mark.parametrize(
    "name", ["rollout", "canary_with_alarm", "approval_gate", "small_steps", "rollout_with_profile"]
)
def test_what_ships_is_understood(say, name):
    done = say("validate", str(ROOT / f"events/{name}.json"))
    assert done.exit_code == 0, done.output
    assert "is a request" in done.stdout


def test_yaml_on_standard_input_and_a_byte_order_mark_are_read(say, tmp_path):
    assert say("validate", "-", given="function_name: checkout\nalias_name: live\n").exit_code == 0
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST), encoding="utf-8-sig")
    assert say("validate", str(path), "--json").stdout == '{\n  "valid": true,\n  "target": "checkout:live"\n}\n'


def test_every_problem_stands_on_a_line_of_its_own_and_steers_no_terminal(say):
    done = say("validate", "-", given=SPOILT)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == ["tidegate: standard input has 3 problems:", *(f"  {each}" for each in PROBLEMS)]


def test_keys_that_stand_twice_are_told_a_line_each_with_the_line_of_each(say, tmp_path, capsys):
    path = tmp_path / "request.yaml"
    path.write_text("# a comment\nfunction_name: a\nalias_name: b\nfunction_name: c\nhooks: {}\nalias_name: d\n")
    problems = ["line 4: the key 'function_name' is there twice", "line 6: the key 'alias_name' is there twice"]
    done = say("validate", str(path))
    assert (done.exit_code, done.stderr.splitlines()[1:]) == (2, [f"  {problem}" for problem in problems])
    assert json.loads(say("validate", str(path), "--json").stdout)["problems"] == problems
    assert main(["run", str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [f"{path}: {problem}" for problem in problems]


def test_neither_a_key_nor_a_files_name_makes_another_line(say, tmp_path):
    (path := tmp_path / "a\nb.json").write_text(json.dumps({**REQUEST, "c\nd": 1}))
    assert say("validate", str(path)).stderr.endswith("/a\\nb.json: c\\nd: unknown key\n")


def test_as_json_problems_are_a_list(say):
    done = say("validate", "-", "--json", given=SPOILT)
    assert (done.exit_code, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert len(json.loads(done.stdout)["problems"]) == 3
    assert "\x1b" not in done.stdout


def test_the_sandbox_says_the_same_and_plays_nothing(tmp_path, capsys):
    path = tmp_path / "request.yaml"
    path.write_text("function_name: a b\nalias_name: '12'\n")
    assert main(["run", str(path)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()) == ("", [f"{path}: {problem}" for problem in PROBLEMS[:2]])


@pytest.mark.parametrize("escape", [r"\UFFFFFFFF", r"\U00110000"])
def test_an_escape_that_is_no_character_is_the_documents_fault_and_no_names(say, tmp_path, capsys, escape):
    path = tmp_path / "request.yaml"
    path.write_text(f'a: "{escape}"')
    for words in (("validate",), ("plan",), ("start",), ("start", "--sandbox")):
        done = say(*words, str(path))
        assert (done.exit_code, done.stderr.splitlines()[0].partition(": it has an escape")[0]) == (
            2,
            f"tidegate: {path} is not YAML",
        )
    assert main(["run", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path} is not YAML: it has an escape")


def test_a_name_that_no_file_can_have_is_told_as_such(say, capsys):
    done = say("validate", "a\0b")
    assert (done.exit_code, done.stderr) == (2, "tidegate: a\\u0000b cannot be a file's name\n")
    assert main(["run", "a\0b"]) == 2
    assert capsys.readouterr().err == "a\\u0000b cannot be a file's name\n"
    assert main(["run", str(ROOT / "events/rollout.json"), "--scenario", "a\0b"]) == 2
    assert capsys.readouterr().err == "a\\u0000b cannot be a file's name\n"


def test_as_json_the_sandbox_tells_how_it_would_end_and_exits_with_2_all_the_same(tmp_path, capsys):
    path = tmp_path / "request.json"
    path.write_text(json.dumps(SPOILT))
    assert main(["run", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["outcome"] == "rejected"


def test_the_sandbox_plays_yaml(tmp_path, capsys):
    path = tmp_path / "request.yaml"
    path.write_text("function_name: checkout\nalias_name: live\nstrategy: AllAtOnce\nhealth: {judge: false}\n")
    assert main(["run", str(path)]) == 0
    assert "Promoted." in capsys.readouterr().out


def test_neither_aws_nor_what_draws_is_imported_for_it():
    program = (
        "import sys; sys.argv[1:] = ['validate', 'events/rollout.json']\n"
        "from tidegate.cli.app import app; app(standalone_mode=False)\n"
        "print(sorted({'boto3', 'botocore', 'moto', 'rich.live', 'yaml'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_module_that_is_not_there_is_missed_at_once():
    with lazily(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("tidegate.no_such")
