"""The practice stack: its releases fail as they say, its requests end as its README says, its commands are right."""

import importlib.util
import json
import random
import re
import shlex
from types import SimpleNamespace

import pytest
from botocore.session import Session
from samtranslator.yaml_helper import yaml_parse

from sandbox.scenario import Scenario
from sandbox.world import World
from tests.examples.executions import run
from tests.examples.shipped import EXAMPLES, ROOT, request

ASKED = request("examples/practice/rollout.json")
TRAFFIC = {"requests_per_minute": 600, "stable": {"error_rate": 0, "duration_ms": {"median": 2, "p99": 8}}}
PAGES = {path.parent.name: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*/README.md")}
COMMANDS = [
    (example, line)
    for example, page in PAGES.items()
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


def shipped(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"practice/app/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def release(monkeypatch, name):
    monkeypatch.setenv("RELEASE", name)
    return shipped("target")


def test_every_release_of_the_template_is_one_of_the_function():
    template = yaml_parse((EXAMPLES / "practice/template.yaml").read_text())
    assert set(template["Parameters"]["Release"]["AllowedValues"]) == set(shipped("target").FAILING_PERCENT)


@pytest.mark.parametrize("name", ["first", "good", "bad"])
def test_a_release_fails_at_the_rate_it_says(monkeypatch, name):
    target = release(monkeypatch, name)
    random.seed(7)
    failed = 0
    for _ in range(10_000):
        try:
            assert target.handler({"quantity": 2}, None)["total_cents"] == 500
        except target.OutOfStock:
            failed += 1
    assert abs(failed / 100 - target.FAILING_PERCENT[name]) < 1


def rolled_out(monkeypatch, name):
    """The shipped request against the shipped function, under as much traffic as the caller makes."""
    target = release(monkeypatch, name)
    candidate = {"error_rate": target.FAILING_PERCENT[name] / 100}
    with World(Scenario.of({**TRAFFIC, "candidate": candidate}), ASKED) as world:

        def answer(_qualifier, payload):
            return json.dumps(target.handler(json.loads(payload), None)).encode(), None

        random.seed(1)
        world.runtime.route("practice", answer)
        return run(world, "practice", json.dumps(ASKED)), world.routing


def test_the_good_release_is_promoted_and_proven(monkeypatch):
    end, routing = rolled_out(monkeypatch, "good")
    assert (end.status, json.loads(end.output)["proven"], routing) == ("SUCCEEDED", True, ("2", {}))


def test_the_bad_release_goes_back_before_it_serves_alone(monkeypatch):
    end, routing = rolled_out(monkeypatch, "bad")
    assert (end.error, routing) == ("RolledBack", ("1", {}))


def test_the_caller_calls_the_alias_as_often_as_it_should(monkeypatch):
    calls = []
    body = SimpleNamespace(read=lambda: b"{}")

    def invoke(**call):
        calls.append(call)
        return {"Payload": body, **({"FunctionError": "Unhandled"} if len(calls) == 1 else {})}

    caller = shipped("caller")
    monkeypatch.setattr(caller.boto3, "client", lambda _: SimpleNamespace(invoke=invoke))
    monkeypatch.setattr(caller.time, "sleep", lambda _: None)
    monkeypatch.setenv("REQUESTS_PER_MINUTE", "60")
    monkeypatch.setenv("ALIAS_ARN", "arn:of:the:alias")
    assert caller.handler({}, None) == {"calls": 60, "failed": 1}
    assert {call["FunctionName"] for call in calls} == {"arn:of:the:alias"}


# The commands of every example's README.


@pytest.mark.parametrize(("example", "command"), COMMANDS)
def test_a_command_names_files_and_parameters_that_exist(example, command):
    words = shlex.split(command.replace("$(", "").replace(")", ""))
    paths = [word.removeprefix("file://") for word in words if "examples/" in word]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    # Tidegate's own stack is deployed under the name that samconfig.toml gives it.
    template = EXAMPLES / example / "template.yaml" if "--stack-name" in words else ROOT / "template.yaml"
    parameters = yaml_parse(template.read_text())["Parameters"]
    given = words[words.index("--parameter-overrides") + 1 :] if "--parameter-overrides" in words else []
    for key, _, value in (word.partition("=") for word in given):
        spec = parameters[key]
        assert value in spec.get("AllowedValues", [value])
        assert value.startswith("$") or re.search(spec.get("AllowedPattern", ""), value)


@pytest.mark.parametrize("command", [command for _, command in COMMANDS if "aws " in command])
def test_an_aws_command_is_called_as_the_api_knows_it(command):
    words = shlex.split(command.partition("aws ")[2].replace(")", ""))
    service, operation = words[0], words[1]
    if (service, operation) == ("cloudformation", "deploy"):  # the CLI's own
        return
    name = "".join(part.capitalize() for part in operation.split("-"))
    members = Session().get_service_model(service).operation_model(name).input_shape.members
    known = {"--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", member).lower() for member in members}
    assert {word for word in words if word.startswith("--")} <= known | {"--query", "--output"}


@pytest.mark.parametrize("example", PAGES)
def test_every_link_leads_somewhere(example):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[example])
    assert [link for link in links if not (EXAMPLES / example / link).exists()] == []
