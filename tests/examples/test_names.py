"""Names as long as Lambda lets them be, and partitions other than the commercial one: every example takes both."""

import json
import re

import hcl2
import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.examples.shipped import EXAMPLES, MACHINE_ARN, ROOT, Shipped
from tidegate.request.rollout_request import RolloutRequest

FUNCTION, ALIAS = "f_23456789_" + "123456789_" * 5 + "123", "A_b-" * 32
HERE = {"region": "us-east-1", "account": "123456789012"}
TEMPLATES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.yaml"))
REQUESTS = [
    path
    for path in (*EXAMPLES.glob("*/*.json"), *(ROOT / "events").glob("*.json"))
    if "alias_name" in json.loads(path.read_text()) and "command" not in json.loads(path.read_text())
]


def test_the_names_are_the_longest_there_are():
    assert (len(FUNCTION), len(ALIAS)) == (64, 128)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_takes_them(name):
    parameters = yaml_parse((EXAMPLES / name).read_text())["Parameters"]
    for parameter, given in (("FunctionName", FUNCTION), ("AliasName", ALIAS)):
        if parameter in parameters:
            assert re.search(parameters[parameter]["AllowedPattern"], given)


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_request_takes_them(path):
    document = json.loads(path.read_text())
    profile = {"profile": None} if "profile" in document else {}
    assert RolloutRequest.parse({**document, "function_name": FUNCTION, "alias_name": ALIAS, **profile}, **HERE)


def scheduled(function_name, once_at):
    names = {"FunctionName": function_name, "AliasName": ALIAS}
    return Shipped("scheduler/template.yaml", **names, OnceAt=once_at, RolloutStateMachineArn=MACHINE_ARN)


def test_what_the_clock_starts_has_a_name_that_step_functions_takes():
    """StartExecution: 1 to 80 characters, among them neither `:` nor `/` (Step Functions API reference)."""
    asked = json.loads(scheduled(FUNCTION, "2030-01-31T09:00:00").properties("Once")["Target"]["Input"])
    assert asked["Name"] == f"{FUNCTION}-20300131T090000"
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,80}", asked["Name"])
    assert json.loads(asked["Input"])["function_name"] == FUNCTION


def test_another_function_or_another_moment_is_another_execution():
    starts = [("a", "2030-01-31T09:00:00"), ("b", "2030-01-31T09:00:00"), ("a", "2030-01-31T09:00:01")]
    texts = [scheduled(*start).properties("Once")["Target"]["Input"] for start in starts]
    assert len({json.loads(text)["Name"] for text in texts}) == len(starts)


def test_a_schedule_describes_itself_within_its_limit():
    """Scheduler API reference, CreateSchedule: 512 characters."""
    for schedule in ("Once", "EveryWeek"):
        assert len(scheduled(FUNCTION, "2030-01-31T09:00:00").properties(schedule)["Description"]) <= 512


@pytest.mark.parametrize("request_from", ["Literal", "Profile"])
def test_a_pipelines_input_fits(request_from):
    """CodePipeline API reference, ActionConfigurationValue: 1,000 characters."""
    pipeline = Shipped(
        "codepipeline/template.yaml",
        RolloutStateMachineArn=MACHINE_ARN,
        ConnectionArn="arn:aws:codeconnections:us-east-1:123456789012:connection/0",
        Repository="you/checkout",
        RequestFrom=request_from,
        FunctionName=FUNCTION,
        AliasName=ALIAS,
        ProfileName="p" * 100 + ":1234567890",
    ).properties("Pipeline")
    text = pipeline["Stages"][-1]["Actions"][-1]["Configuration"]["Input"]
    assert FUNCTION in text
    assert len(text.replace("#{Source.CommitId}", "0" * 40)) <= 1_000


def test_terraforms_role_has_a_prefix_that_iam_takes():
    """A prefix holds 38 characters (provider reference, aws_iam_role), and the provider adds 26."""
    with (EXAMPLES / "terraform/main.tf").open() as file:
        (role,) = (each['"aws_iam_role"'] for each in hcl2.load(file)["resource"] if '"aws_iam_role"' in each)
    prefix = role['"checkout"']["name_prefix"]
    (most,) = re.findall(r"\$\{substr\(var\.function_name, 0, (\d+)\)\}-", prefix)
    assert int(most) + 1 <= 38


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*")), ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_no_example_is_bound_to_one_partition(path):
    assert not path.is_file() or "arn:aws" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_request_that_ships_is_bound_to_one_partition(path):
    assert "arn:" not in path.read_text(encoding="utf-8")
