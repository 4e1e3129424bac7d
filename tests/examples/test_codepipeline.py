"""The shipped pipeline: its actions' inputs, read from the template, started as CodePipeline starts them."""

import json
import re
import shutil
import subprocess
import sys
import uuid

import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.examples.executions import output, run, start
from tests.examples.shipped import EXAMPLES, MACHINE_ARN, Shipped, request
from tidegate.planning.profile import Profile
from tidegate.request.rollout_request import RolloutRequest

PROFILE = request("examples/codepipeline/profile.json")
PROFILES = {"profiles": {"prod-api": PROFILE}}
SOURCES = ("Literal", "Artifact", "Profile")
#: The longest value of an action's configuration (CodePipeline API, ActionConfigurationValue).
LONGEST_LITERAL = 1_000


def pipeline(request_from):
    return Shipped(
        "codepipeline/template.yaml",
        RolloutStateMachineArn=MACHINE_ARN,
        ConnectionArn="arn:aws:codeconnections:us-east-1:123456789012:connection/0",
        Repository="you/checkout",
        RequestFrom=request_from,
    )


def release_actions(request_from):
    _, release = pipeline(request_from).properties("Pipeline")["Stages"]
    return release["Actions"]


def passed(request_from):
    """What CodePipeline passes on as the input: the literal with its variables filled in, or the artifact's file."""
    rollout = release_actions(request_from)[-1]["Configuration"]
    if rollout["InputType"] == "Literal":
        assert len(rollout["Input"]) <= LONGEST_LITERAL
        return rollout["Input"].replace("#{Source.CommitId}", "0" * 40)
    return (EXAMPLES / "codepipeline/rollout.json").read_text()


def name_of_a_try(request_from):
    """`prefix-` and the id of the action's execution: new at every retry."""
    return f"{release_actions(request_from)[-1]['Configuration']['ExecutionNamePrefix']}-{uuid.uuid4()}"


@pytest.mark.parametrize("request_from", SOURCES)
def test_the_actions_input_is_a_valid_request(request_from):
    document = json.loads(passed(request_from))
    profile = Profile("prod-api", 1, PROFILE) if "profile" in document else None
    assert RolloutRequest.parse(document, region="us-east-1", account="123456789012", profile=profile)


@pytest.mark.parametrize("request_from", SOURCES)
def test_deploy_and_rollout_share_a_stage_and_the_rollout_comes_last(request_from):
    deploy, rollout = release_actions(request_from)
    assert deploy["RunOrder"] < rollout["RunOrder"]
    assert rollout["ActionTypeId"]["Provider"] == "StepFunctions"
    # CodePipeline appends a hyphen and 36 characters, and a name holds 80.
    assert len(name_of_a_try(request_from)) <= 80


@pytest.mark.parametrize("request_from", SOURCES)
def test_a_retry_after_promotion_is_unchanged_and_green(request_from):
    text = passed(request_from)
    with World(Scenario.of(PROFILES), json.loads(text)) as world:
        first = run(world, name_of_a_try(request_from), text)
        assert (first.status, output(first)["outcome"]) == ("SUCCEEDED", "promoted")
        retried = run(world, name_of_a_try(request_from), text)
        assert (retried.status, output(retried)["outcome"]) == ("SUCCEEDED", "unchanged")
        assert world.routing == ("2", {})


def test_a_retry_while_one_runs_is_rejected_and_names_the_running_one():
    text = passed("Literal")
    with World(Scenario.of({}), json.loads(text)) as world:
        running = start(world, name_of_a_try("Literal"), text)
        world.clock.run(until=lambda: bool(world.routing[1]))
        second = world.follow(start(world, name_of_a_try("Literal"), text))
        assert (second.status, second.error) == ("FAILED", "Rejected")
        assert running in second.cause
        assert world.follow(running).status == "SUCCEEDED"
        world.settle()
        assert world.routing == ("2", {})


@pytest.mark.parametrize("request_from", SOURCES)
def test_a_release_that_is_taken_back_is_red_and_so_is_its_retry(request_from):
    text = passed(request_from)
    scenario = Scenario.of({**PROFILES, "candidate": {"error_rate": 0.3}})
    with World(scenario, json.loads(text)) as world:
        assert run(world, name_of_a_try(request_from), text).status == "FAILED"
        retried = run(world, name_of_a_try(request_from), text)
        assert (retried.status, retried.error) == ("FAILED", "Rejected")
        assert world.routing == ("1", {})


def commands():
    return yaml_parse((EXAMPLES / "codepipeline/buildspec.yml").read_text())["phases"]["build"]["commands"]


def test_the_build_leaves_the_file_that_the_action_reads_with_the_checksum_of_what_was_deployed(tmp_path):
    shutil.copy(EXAMPLES / "codepipeline/rollout.json", tmp_path)
    (tmp_path / "python").symlink_to(sys.executable)
    with World(Scenario.of({}), request("examples/codepipeline/rollout.json")) as world:
        sha = client("lambda").get_function_configuration(FunctionName="checkout")["CodeSha256"]
        subprocess.run(  # noqa: S603 - the shipped command
            ["/bin/bash", "-c", f"sha={sha}; {commands()[-1]}"], cwd=tmp_path, env={"PATH": str(tmp_path)}, check=True
        )
        configuration = release_actions("Artifact")[-1]["Configuration"]
        text = (tmp_path / configuration["Input"]).read_text()
        assert json.loads(text)["expected_code_sha256"] == sha
        assert output(run(world, name_of_a_try("Artifact"), text))["outcome"] == "promoted"
    other = json.dumps(json.loads(text) | {"expected_code_sha256": "A" * 43 + "="})
    with World(Scenario.of({}), json.loads(other)) as world:
        assert run(world, name_of_a_try("Artifact"), other).error == "Rejected"


def test_the_build_deploys_as_the_role_that_may_not_move_the_alias():
    (deploy,) = (command for command in commands() if command.startswith("sam deploy"))
    assert '--role-arn "$DEPLOY_ROLE_ARN"' in deploy
    allowed = [action for each in pipeline("Literal").statements("DeployRole").values() for action in listed(each)]
    assert "lambda:CreateAlias" in allowed
    assert "lambda:UpdateAlias" not in allowed
    assert not [action for action in allowed if "*" in action]


def test_the_pipelines_role_starts_one_state_machine_and_sees_its_own_executions():
    statements = pipeline("Literal").statements("PipelineRole")
    states = {sid: each for sid, each in statements.items() if any(a.startswith("states:") for a in listed(each))}
    assert {action for each in states.values() for action in listed(each)} == {
        "states:DescribeStateMachine",
        "states:StartExecution",
        "states:DescribeExecution",
    }
    assert states["StartTheRollout"]["Resource"] == MACHINE_ARN
    pattern = states["FollowTheRollout"]["Resource"].replace("*", ".*")
    execution = f"{MACHINE_ARN.replace(':stateMachine:', ':execution:')}:{name_of_a_try('Literal')}"
    assert re.fullmatch(pattern, execution)


def listed(statement):
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
