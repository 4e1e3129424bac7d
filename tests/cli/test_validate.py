"""tidegate validate: whether a request can be understood, offline; and that every other door says the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.__main__ import main
from tidegate.lazily import later

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
        "from tidegate.cli import app; app(standalone_mode=False)\n"
        "print(sorted({'boto3', 'botocore', 'moto', 'rich.live', 'yaml'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_module_that_is_not_there_is_missed_at_once():
    with pytest.raises(ModuleNotFoundError):
        later("tidegate.no_such")
