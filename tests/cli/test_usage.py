"""What needs no account: help, version, schema, and what is installed."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.plans import PLAN
from tidegate.cli.options import exit_code
from tidegate.control.commands import KINDS as STEERING
from tidegate.ending.outcome import Outcome
from tidegate.planning.strategy import Step
from tidegate.request.rollout_request import json_schema
from tidegate.terminal.exit_codes import ENDED_OTHERWISE, SUCCEEDED
from tidegate.views import cost
from tidegate.views.records import planning_view

ROOT = Path(__file__).parents[2]
COMMANDS = ("validate", "plan", "start", "watch", "status", "list", "history", "report", "schema")
REQUEST = {"function_name": "checkout", "alias_name": "live"}
SHORT = [{"weight": 10, "bake_seconds": 60}, {"weight": 100, "bake_seconds": 60}]


def test_help_names_every_command_and_every_exit_code(say):
    done = say("--help")
    assert done.exit_code == 0
    said = " ".join(done.stdout.split())
    assert all(f" {command} " in said for command in (*COMMANDS, *STEERING))
    assert "0 promoted, unchanged or accepted" in said
    assert "4 AWS did not answer or refused" in said


@pytest.mark.parametrize("command", [*COMMANDS, *STEERING])
def test_every_command_has_json_and_help(say, command):
    done = say(command, "--help")
    assert done.exit_code == 0
    assert "--json" in done.stdout


ACCOUNTS_OPTIONS = ["--stack", "--region", "--profile-name", "--json", "--help"]


@pytest.mark.parametrize("command", [*COMMANDS, *STEERING])
def test_a_commands_own_options_come_first_and_the_accounts_last(say, command):
    shown = re.findall(r"^│ (--[\w-]+)", say(command, "--help").stdout, re.MULTILINE)
    if command in {"schema", "validate"}:
        assert shown == ["--json", "--help"]
    else:
        assert shown[-len(ACCOUNTS_OPTIONS) :] == ACCOUNTS_OPTIONS
    if command in {"plan", "start"}:
        assert shown[-len(ACCOUNTS_OPTIONS) - 3 : -len(ACCOUNTS_OPTIONS)] == ["--sandbox", "--scenario", "--seed"]


def test_options_may_stand_before_and_after_what_they_are_about(say, live):
    with live():
        before = say("status", "--json", "--stack", "tidegate", "--region", "us-east-1", "checkout:live")
        after = say("status", "checkout:live", "--region=us-east-1", "--json")
    assert before.exit_code == after.exit_code == 0
    assert before.stdout == after.stdout


def test_a_sandbox_needs_no_account_whatever_was_chosen(say):
    done = say("plan", "--sandbox", "--profile-name", "nobody", "-", given={**REQUEST, "steps": SHORT})
    assert done.exit_code == 0, done.output


def test_a_scenario_is_for_the_sandbox_alone(say):
    done = say("plan", "--scenario", "fails_half", "-", given=REQUEST)
    assert done.exit_code == 2
    assert "--scenario is for --sandbox" in done.stderr


def test_no_command_and_an_unknown_one_are_usage_errors(say):
    assert say().exit_code == 2
    assert say("stauts", "checkout:live").exit_code == 2
    assert say("status").exit_code == 2


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_a_pipeline_goes_on_after_a_success_or_before_the_end_alone(outcome):
    view = replace(planning_view("checkout:live", "one", 0.0, 60.0), outcome=outcome)
    goes_on = outcome in {None, Outcome.PROMOTED, Outcome.UNCHANGED}
    assert exit_code(view) == (SUCCEEDED if goes_on else ENDED_OTHERWISE)


def test_version(say):
    assert say("--version").stdout.startswith("tidegate ")


def test_schema_is_the_requests(say):
    assert json.loads(say("schema").stdout) == json_schema()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("DescribeStacks", "stopped"),
        ("StartExecution", "stopped while it was started: see tidegate list whether it runs"),
        ("DescribeExecution", "no longer watching; the rollout goes on, and tidegate abort ends it"),
    ],
)
def test_ctrl_c_says_what_it_means_for_the_rollout(say, live, monkeypatch, call, said):
    answered = BaseClient._make_api_call

    def interrupted(client, name, params):
        if name == call:
            raise KeyboardInterrupt
        return answered(client, name, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", interrupted)
    with live(at_second=None):
        done = say("start", "--watch", "-", given=REQUEST)
        object_told = say("start", "--watch", "--json", "-", given=REQUEST)
    assert (done.exit_code, done.stderr) == (130, f"tidegate: {said}\n")
    assert json.loads(object_told.stdout) == {"error": said, "exit_code": 130, "problems": []}


def test_ctrl_c_while_a_request_is_read_speaks_of_no_rollout(say, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "detect_encoding", interrupted)
    done = say("validate", "-", given=REQUEST)
    assert (done.exit_code, done.stderr) == (130, "tidegate: stopped\n")


INTERRUPTED_AT_ONCE = """
import runpy, signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name in {"typer", "rich"}:
            signal.raise_signal(signal.SIGINT)

# A shell that runs something behind itself has it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = ["validate", "-"]
runpy.run_module(PROGRAM, run_name="__main__")
"""


@pytest.mark.parametrize("program", ["tidegate", "sandbox"])
def test_ctrl_c_before_anything_is_imported_leaves_no_trace(program):
    run = INTERRUPTED_AT_ONCE.replace("PROGRAM", repr(program))
    done = subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{program}: stopped\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("words", [("tidegate", "schema"), ("tidegate", "--help"), ("sandbox", "scenarios")])
def test_a_standard_output_that_takes_nothing_is_told_in_one_sentence(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", *words], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    said = f"{words[0]}: nothing more can be written to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_the_cost_grows_with_looks_and_steps():
    plan = replace(PLAN, steps=(Step(10, 300), Step(100, 600)), longest_seconds=7200)
    least, most = cost.of_plan(plan), cost.at_most(plan)
    assert (least.invocations, least.state_transitions) == (4 + 2 + 15, 10 + 4 + 45)
    assert least.dollars == pytest.approx(0.0022, rel=0.5)
    assert least.dollars < most.dollars
    assert [cost.price(dollars) for dollars in (0.00312, 0.42, 12.345)] == ["$0.0031", "$0.42", "$12.35"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("history", "checkout:live", "--limit", "x"), "--limit 'x' must be a whole number from 1 to 1,000"),
        (("history", "checkout:live", "--limit", "1001"), "--limit '1001' must be a whole number from 1 to 1,000"),
        (("start", "--sandbox", "--seed", "1e3", "-"), "--seed '1e3' must be a whole number"),
        (("plan", "--sandbox", "--seed", "9" * 5_000, "-"), "--seed '" + "9" * 100 + "' must be a whole number"),
    ],
)
def test_an_option_that_is_no_number_is_told_in_plain_words(say, words, why):
    done = say(*words, given=REQUEST)
    assert (done.exit_code, done.stderr) == (2, f"tidegate: {why}\n")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the source distribution, both built beside the source, so that nothing is left there."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "functions", source / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    with tarfile.open(_built("sdist", source, out)) as packed:
        # Python's documentation, tarfile, "Hints for further verification": 3.11 has filters from 3.11.4 on.
        packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        packed.extractall(out)  # noqa: S202 - our own
    return _built("wheel", next(out.glob("tidegate-*/")), out)


def _built(kind, source, out):
    build = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", build, str(out)], cwd=source, check=True, capture_output=True, text=True
    )
    return out / done.stdout.splitlines()[-1]


def test_the_wheel_has_the_package_and_no_handler(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tidegate"}
    assert {"tidegate/cli/app.py", "tidegate/request/rollout_request.py"} <= set(names)


def without_the_source(wheel, words, given):
    """What the installed command line makes of it."""
    program = (
        "import sys; root, wheel = sys.argv[1:3]\n"
        "sys.path[:] = [wheel, *(path for path in sys.path if path not in ('', root))]\n"
        "sys.argv[1:] = sys.argv[3:]\n"
        "from tidegate.__main__ import main; main()\n"
    )
    return subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-c", program, str(ROOT), str(wheel), *words],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_source_a_request_is_validated_all_the_same(wheel):
    assert without_the_source(wheel, ["validate", "-"], REQUEST).returncode == 0
    done = without_the_source(wheel, ["validate", "-"], {})
    assert (done.returncode, "alias_name: is required" in done.stderr) == (2, True)


def test_without_the_source_the_sandbox_is_missed_kindly(wheel):
    done = without_the_source(wheel, ["start", "--sandbox", "-"], REQUEST)
    assert done.returncode == 2, done.stderr
    assert "--sandbox needs Tidegate's source" in done.stderr
    assert "Traceback" not in done.stderr
