"""The READMEs of the examples: what tests/examples/test_practice.py does not ask of their commands, and their JSON."""

import json
import re
import shlex
import subprocess
import sys
import zipfile

import hcl2
import pytest
from botocore.session import Session
from typer.testing import CliRunner

from sandbox.__main__ import main as run_sandbox
from sandbox.aws.stack import REGION
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.examples.executions import output, run
from tests.examples.shipped import EXAMPLES, MACHINE_ARN, PRACTICE_ORDERS, ROOT, Shipped, request
from tidegate.cli.app import app
from tidegate.request.rollout_request import RolloutRequest

PAGES = {path.parent.name: path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*/README.md"))}
BLOCKS = [
    (example, kind, text)
    for example, page in PAGES.items()
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
]
COMMANDS = [(example, line) for example, kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
#: A request among the words of a command, or of a block of its own.
DOCUMENTS = [text for _, kind, text in BLOCKS if kind == "json"] + [
    word for _, command in COMMANDS for word in shlex.split(command) if word.startswith("{")
]


def commands(start):
    return [command for _, command in COMMANDS if command.startswith(start)]


def test_every_example_has_a_readme():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(PAGES)


def test_every_command_is_of_a_kind_that_is_checked():
    known = (
        r"(\w+=\$\()?(aws|sam) |cd examples/\w+$|terraform (init|apply)\b|python3 -m zipfile "
        r"|\.venv/bin/tidegate ((plan|start) --sandbox |watch )"
        r"|\.venv/bin/python -m sandbox run "
    )
    assert [command for _, command in COMMANDS if not re.match(known, command)] == []


def test_what_is_read_after_a_change_of_folder_is_there():
    told = [command for example, command in COMMANDS if example == "terraform"]
    inside = told[told.index("cd examples/terraform") + 1 :]
    files = re.findall(r"file://(\S+)", " ".join(inside))
    assert files
    assert all((EXAMPLES / "terraform" / name).exists() for name in files)


def test_there_is_json_and_all_of_it_is_requests():
    assert DOCUMENTS
    for text in DOCUMENTS:
        assert RolloutRequest.parse(json.loads(text), region="us-east-1", account="123456789012")


@pytest.mark.parametrize("command", [each for each in commands(".venv/bin/tidegate ") if "--sandbox" in each])
def test_a_command_of_tidegates_runs_on_this_machine(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output


def test_the_bad_release_is_met_without_an_account(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (command,) = commands(".venv/bin/python -m sandbox ")
    assert run_sandbox(shlex.split(command)[3:]) == 1
    assert "Rolled back" in (said := capsys.readouterr().out)
    assert "orders failed: candidate " in said


def test_a_running_rollout_is_watched_to_its_end(monkeypatch):
    (command,) = commands(".venv/bin/tidegate watch ")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    asked = request("examples/practice/rollout.json")
    with World(Scenario.of({"metrics": [PRACTICE_ORDERS]}), asked) as world:
        monkeypatch.setattr("time.sleep", world.clock.sleep)
        world.start()
        world.clock.sleep(90)
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
        monkeypatch.undo()


@pytest.mark.parametrize("command", commands("terraform "))
def test_terraform_is_given_variables_that_it_has(command):
    _, verb, *words = shlex.split(command)
    with (EXAMPLES / "terraform/main.tf").open() as file:
        variables = {name.strip('"') for each in hcl2.load(file)["variable"] for name in each}
    given = {value.partition("=")[0] for flag, value in zip(words[::2], words[1::2], strict=True) if flag == "-var"}
    assert given == ({"package", "function_name"} if verb == "apply" else set())
    assert given <= variables


def test_the_zip_that_terraform_is_given_holds_the_handler(tmp_path):
    (command,) = commands("python3 ")
    _, *words = shlex.split(command)
    made = words[words.index("-c") + 1]
    (apply,) = (each for each in commands("terraform ") if " apply " in each)
    assert f"package={made}" in apply
    here = [str(tmp_path / "checkout.zip") if word == made else word for word in words]
    subprocess.run([sys.executable, *here], cwd=ROOT, check=True)  # noqa: S603 - the README's own command
    handler = re.search(r'handler\s+= "(\w+)\.', (EXAMPLES / "terraform/main.tf").read_text())
    assert zipfile.ZipFile(tmp_path / "checkout.zip").namelist() == [f"{handler[1]}.py"]


def test_a_stage_is_retried_that_the_pipeline_has_in_a_mode_that_the_api_knows():
    (command,) = commands("aws codepipeline ")
    words = shlex.split(command)
    given = dict(zip(words[3::2], words[4::2], strict=True))
    pipeline = Shipped(
        "codepipeline/template.yaml", RolloutStateMachineArn=MACHINE_ARN, ConnectionArn="", Repository=""
    )
    assert given["--stage-name"] in {stage["Name"] for stage in pipeline.properties("Pipeline")["Stages"]}
    asked = Session().get_service_model("codepipeline").operation_model("RetryStageExecution").input_shape.members
    assert given["--retry-mode"] in asked["retryMode"].enum


@pytest.mark.parametrize("example", ["sam", "terraform"])
def test_the_first_rollout_of_what_is_already_served_ends_unchanged(example):
    assert "The first rollout ends **Unchanged**" in PAGES[example]
    asked = request(f"examples/{example}/rollout.json")
    with World(Scenario.of({"publish": {"unchanged": True}}), asked) as world:
        assert output(run(world, "first", json.dumps(asked)))["outcome"] == "unchanged"


def test_the_request_that_a_readme_quotes_is_the_one_that_ships():
    quoted = [json.loads(text) for example, kind, text in BLOCKS if (example, kind) == ("sam", "json")]
    assert quoted == [request("examples/sam/adopted.json")]
