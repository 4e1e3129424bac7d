"""The README keeps its word: every command in it runs, and every JSON in it is what it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.session import Session
from typer.testing import CliRunner

from docs import generate
from sandbox.__main__ import main as run_sandbox
from sandbox.aws.stack import REGION
from sandbox.scenario import Scenario, ScenarioInvalid
from sandbox.world import World
from tests.contract.artifacts import MACHINE, ROOT, TEMPLATE
from tidegate.cli.app import app
from tidegate.request.rollout_request import RolloutRequest, json_schema
from tidegate.terminal.exit_codes import AWS_FAILED, ENDED_OTHERWISE, INTERRUPTED, NOT_ACCEPTED, SUCCEEDED, UNUSABLE

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.split("   #")[0].rstrip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line
]
DOCUMENTS = [text for kind, text in BLOCKS if kind == "json"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MODULES = sorted(set(re.findall(r"\(BIN\)/python -m ([\w.]+)", MAKEFILE)))
SCRIPTS = sorted(set(re.findall(r"\(BIN\)/python ([\w/]+\.py)", MAKEFILE)))
MAKE_TARGETS = sorted(
    {*re.findall(r"`make (\w+)`", README), *(c.split()[1] for c in COMMANDS if c.startswith("make "))}
)


def test_every_command_is_of_a_kind_that_is_run_here():
    kinds = (
        "make ",
        ".venv/bin/python -m sandbox ",
        ".venv/bin/tidegate ",
        "aws stepfunctions start-execution ",
        "ROLLOUT_STATE_MACHINE_ARN=$(aws cloudformation describe-stacks ",
        "sam build && sam deploy",
    )
    assert [command for command in COMMANDS if not command.startswith(kinds)] == []


@pytest.mark.parametrize("target", MAKE_TARGETS)
def test_a_make_target_exists(target):
    assert re.search(rf"^{target}:.*## ", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_make_runs_is_found_from_the_project_s_folder(module):
    """Not by pytest's path: the package is installed, and all else is there because the recipe runs here."""
    found = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    subprocess.run([sys.executable, "-c", found, module], cwd=ROOT, check=True)  # noqa: S603 - Python itself


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_file_that_make_runs_needs_nothing_of_the_project(script):
    """What is run by its path finds what lies beside it, and nothing of the project's folder."""
    text = (ROOT / script).read_text(encoding="utf-8")
    assert re.findall(r"^(?:from|import) (?:bench|docs|sandbox|tests|tools)\b", text, re.MULTILINE) == []


def test_the_test_command_is_what_continuous_integration_runs():
    assert "make test" in COMMANDS
    script = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line and not line.startswith(("#", "set ", "cd "))] == ["exec make test"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if " -m sandbox " in command])
def test_a_sandbox_command_runs(command, tmp_path, monkeypatch, capsys):
    """In this process, for speed; the demo below is a process of its own, with nothing set up for it."""
    monkeypatch.chdir(tmp_path)  # reports go where they do not stay
    _, _, _, *words = (str(ROOT / word) if word.endswith(".json") else word for word in shlex.split(command))
    assert run_sandbox(words) == (1 if re.search("fail|fires", command) else 0)
    told = capsys.readouterr()
    assert told.err == ""
    assert "Rejected" not in told.out
    if "--json" in words:
        assert json.loads(told.out)["outcome"] == "rolled_back"
    if "--report" in words:
        assert Path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def ours(*, sandbox):
    return [
        command
        for command in COMMANDS
        if command.startswith(".venv/bin/tidegate ") and ("--sandbox" in command) == sandbox
    ]


@pytest.mark.parametrize("command", ours(sandbox=True))
def test_a_command_of_tidegates_runs_on_this_machine(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == (1 if "fails" in command else 0), done.output
    if " plan " in command:
        (shown,) = (text for kind, text in BLOCKS if kind == "text" and "candidate: a new version" in text)
        assert [line.rstrip() for line in done.stdout.splitlines()] == shown.splitlines()


#: What is said in one account, in this order, from which second of a rollout on. None: nothing was started before.
#: Those with a star are no command for that moment, and are told so.
SCENES = [
    (None, ["schema", "validate", "start", "history", "revert"]),
    (90, ["list", "status", "report", "resume*", "approve*", "pause", "abort"]),
    (90, ["advance", "finish", "watch"]),
]


@pytest.mark.parametrize(("second", "scene"), SCENES)
def test_commands_of_tidegates_are_understood_by_an_account(second, scene, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.chdir(tmp_path)
    commands = {command.split()[1]: shlex.split(command)[1:] for command in ours(sandbox=False)}
    with World(Scenario.of({}), {"function_name": "checkout", "alias_name": "live"}) as world:
        monkeypatch.setattr("time.sleep", world.clock.sleep)
        if second is not None:
            world.start()
            world.clock.sleep(second)
        for word in scene:
            words = [str(ROOT / each) if each.startswith("events/") else each for each in commands[word.rstrip("*")]]
            done = CliRunner().invoke(app, words)
            assert done.exit_code == (3 if word.endswith("*") else 0), (word, done.output)
        monkeypatch.undo()


def test_every_command_of_tidegates_is_said_in_one_of_the_accounts():
    said = [word.rstrip("*") for _, scene in SCENES for word in scene]
    assert sorted(said) == sorted(command.split()[1] for command in ours(sandbox=False))


def test_the_exit_codes_are_those_of_the_command_line():
    table = re.findall(r"^\| (\d+) \| (.*?) \|$", README, re.MULTILINE)
    codes = [SUCCEEDED, ENDED_OTHERWISE, UNUSABLE, NOT_ACCEPTED, AWS_FAILED, INTERRUPTED]
    assert [int(code) for code, _ in table] == codes


def test_the_demo_plays_a_good_and_a_bad_release_with_errors_and_verdicts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "demo"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    good, bad = done.stdout.split("A bad release")
    assert "promote: every gate is healthy" in good
    assert "Promoted. Version 2 serves all traffic." in good
    rates = r"version 1 [\d.]+ %, version 2 [\d.]+ %"
    said = rf"roll back: candidate fails .* worse than tolerated .*errors as callers saw them: {rates}"
    assert re.search(said, bad)
    assert "Rolled back. Version 1 serves all traffic again." in bad
    assert len(list(tmp_path.glob("tidegate-*/*.html"))) == 2


def test_start_execution_is_called_as_the_api_knows_it():
    (command,) = (command for command in COMMANDS if command.startswith("aws "))
    words = shlex.split(command)
    members = Session().get_service_model("stepfunctions").operation_model("StartExecution").input_shape.members
    known = {"--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower() for name in members}
    assert {word for word in words if word.startswith("--")} <= known
    given = words[words.index("--input") + 1]
    assert RolloutRequest.parse(json.loads(given), region="us-east-1", account="123456789012")


def test_a_request_that_is_named_ships_and_the_machine_that_is_started_is_an_output():
    named = set(re.findall(r"(?:file://|\]\()(events/\w+\.json)", README))
    assert named
    for path in named:
        assert RolloutRequest.parse(json.loads((ROOT / path).read_text()), region="us-east-1", account="123456789012")
    assert set(re.findall(r"OutputKey=='(\w+)'", README)) <= set(TEMPLATE["Outputs"])


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_json_block_is_a_request_or_a_scenario(text):
    document = json.loads(text)
    if "function_name" in document:
        assert RolloutRequest.parse(document, region="us-east-1", account="123456789012")
    else:
        try:
            Scenario.of(document)
        except ScenarioInvalid as refused:
            pytest.fail(str(refused))


INLINE = re.findall(r"^\| `(\"(?:strategy|steps)\": .*?)` \|", README, re.MULTILINE)
OBJECTS = re.findall(r"`(\{\"type\".*?\})`", README.replace("\n", " "))


@pytest.mark.parametrize("fragment", [*INLINE, *(f'"strategy": {text}' for text in OBJECTS)])
def test_a_fragment_of_a_request_is_valid(fragment):
    assert RolloutRequest.parse(
        json.loads('{"function_name": "checkout", "alias_name": "live", ' + fragment + "}"),
        region="us-east-1",
        account="123456789012",
    )


def test_every_end_of_the_state_machine_is_explained():
    ends = {name for name, state in MACHINE["States"].items() if state["Type"] in ("Succeed", "Fail")}
    assert ends <= set(re.findall(r"^\| \*\*(\w+)\*\* ", README, re.MULTILINE))


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README) + re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_generated_parts_are_what_the_code_says():
    schema = ROOT / "docs/request.schema.json"
    before = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", schema)}
    assert generate.pages() == before
    assert json.loads(before[schema]) == json_schema()
