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

from sandbox.aws.embedded_metrics import EmbeddedMetrics
from sandbox.aws.stack import ACCOUNT_ID, REGION
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.examples.executions import run
from tests.examples.shipped import EXAMPLES, PRACTICE_ORDERS, ROOT, request
from tidegate.alias import Alias
from tidegate.analysis.metric import Series
from tidegate.request.rollout_request import RolloutRequest

ASKED = request("examples/practice/rollout.json")
TRAFFIC = {
    "requests_per_minute": 600,
    "stable": {"error_rate": 0, "duration_ms": {"median": 2, "p99": 8}},
    "metrics": [PRACTICE_ORDERS],
}
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
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "practice")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "2")
    return shipped("target")


def test_every_release_of_the_template_is_one_of_the_function():
    template = yaml_parse((EXAMPLES / "practice/template.yaml").read_text())
    assert set(template["Parameters"]["Release"]["AllowedValues"]) == set(shipped("target").FAILING_PERCENT)


@pytest.mark.parametrize("name", ["first", "good", "bad"])
def test_a_release_fails_at_the_rate_it_says(monkeypatch, name):
    target = release(monkeypatch, name)
    random.seed(7)
    answers = [target.handler({"quantity": 2}, None) for _ in range(10_000)]
    failed = [answer for answer in answers if answer["statusCode"] == 500]
    assert {answer["total_cents"] for answer in answers if answer not in failed} == {500}
    assert abs(len(failed) / 100 - target.FAILING_PERCENT[name]) < 1


def test_what_the_function_prints_is_the_metric_that_the_request_names(monkeypatch, capsys):
    target = release(monkeypatch, "bad")
    random.seed(7)
    failed = [target.handler({}, None)["statusCode"] == 500 for _ in range(100)]
    put = []
    EmbeddedMetrics(capsys.readouterr().out.splitlines(), put.append).catch_up(0, 0)
    data = [(one["Namespace"], datum) for one in put for datum in one["MetricData"]]
    assert [datum["Values"] for _, datum in data] == [[int(each)] for each in failed]
    (metric,) = RolloutRequest.parse(ASKED, region=REGION, account=ACCOUNT_ID).health.policy().judge.metrics
    asked = metric.series.of(Alias("practice", "live"), "2")
    printed = {
        Series(namespace, one["MetricName"], tuple((each["Name"], each["Value"]) for each in one["Dimensions"]))
        for namespace, one in data
    }
    assert printed == {asked}


def rolled_out(monkeypatch, name):
    """The shipped request against the shipped function, under as much traffic as the caller makes."""
    target = release(monkeypatch, name)
    candidate = {"answered_error_rate": target.FAILING_PERCENT[name] / 100}
    with World(Scenario.of({**TRAFFIC, "candidate": candidate}), ASKED) as world:

        def answer(_qualifier, payload):
            return json.dumps(target.handler(json.loads(payload), None)).encode(), None

        random.seed(1)
        world.runtime.route("practice", answer)
        return run(world, "practice", json.dumps(ASKED)), world.routing


def test_the_good_release_is_promoted_and_proven(monkeypatch):
    end, routing = rolled_out(monkeypatch, "good")
    assert (end.status, routing) == ("SUCCEEDED", ("2", {}))
    assert json.loads(end.output)["proven_by"] == ["errors", "slow", "orders failed"]


def test_the_bad_release_goes_back_before_it_serves_alone(monkeypatch):
    end, routing = rolled_out(monkeypatch, "bad")
    assert (end.error, routing) == ("RolledBack", ("1", {}))
    assert end.cause.startswith("orders failed: candidate ")


def test_the_caller_calls_the_alias_as_often_as_it_should(monkeypatch):
    calls = []
    threw, failed, ok = {"errorType": "KeyError"}, {"statusCode": 500}, {"statusCode": 200}

    def invoke(**call):
        calls.append(call)
        said = json.dumps([threw, failed][len(calls) - 1] if len(calls) <= 2 else ok).encode()
        return {"Payload": SimpleNamespace(read=lambda: said)}

    caller = shipped("caller")
    monkeypatch.setattr(caller.boto3, "client", lambda _: SimpleNamespace(invoke=invoke))
    monkeypatch.setattr(caller.time, "sleep", lambda _: None)
    monkeypatch.setenv("REQUESTS_PER_MINUTE", "60")
    monkeypatch.setenv("ALIAS_ARN", "arn:of:the:alias")
    assert caller.handler({}, None) == {"calls": 60, "failed": 2}
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
