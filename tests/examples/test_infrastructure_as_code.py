"""The handshake with infrastructure as code: no deploy of the example stacks moves the alias that callers invoke."""

import json
import re
import shutil
import subprocess

import boto3
import hcl2
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.examples.executions import output, run
from tests.examples.shipped import EXAMPLES, ROOT, request
from tidegate.planning.declared_alias import DeclaredAlias
from tidegate.planning.template import resource
from tidegate.request.rollout_request import RolloutRequest

TEMPLATES = ("sam/template.yaml", "sam/adopted.yaml", "practice/template.yaml")
REQUESTS = ("sam/rollout.json", "sam/adopted.json", "terraform/rollout.json", "practice/rollout.json")


def processed(name, build, variables=None):
    """The resources that CloudFormation is given when that build of the code is deployed."""
    return translated(yaml_parse((EXAMPLES / name).read_text()), build, variables)


def translated(template, build, variables=None):
    for place in (template.get("Globals", {}).get("Function", {}), *functions(template)):
        if "CodeUri" in place:
            place["CodeUri"] = f"s3://packages/{build}"
    for properties in functions(template) if variables else ():
        properties["Environment"] = {"Variables": variables}
    parameters = {key: each["Default"] for key, each in template.get("Parameters", {}).items()}
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return translator.translate(template, parameters, get_managed_policy_map=dict)["Resources"]


def functions(template):
    return [
        each["Properties"] for each in template["Resources"].values() if each["Type"] == "AWS::Serverless::Function"
    ]


def aliases(resources):
    return {each["Properties"]["Name"]: each for each in resources.values() if each["Type"] == "AWS::Lambda::Alias"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_deploy_of_new_code_or_configuration_leaves_the_live_alias_as_it_is(name):
    before, code = processed(name, "build-1"), processed(name, "build-2")
    configured = processed(name, "build-2", {"STAGE": "prod"})
    assert before != code != configured
    assert aliases(before)["live"] == aliases(code)["live"] == aliases(configured)["live"]
    assert aliases(before)["live"]["Properties"]["FunctionVersion"] == "1"


@pytest.mark.parametrize("name", ["sam/template.yaml", "practice/template.yaml"])
def test_version_1_is_published_by_a_resource_that_never_changes(name):
    before, after = processed(name, "build-1"), processed(name, "build-2", {"STAGE": "prod"})
    assert before["FirstVersion"] == after["FirstVersion"]
    assert before["FirstVersion"]["DeletionPolicy"] == "Retain"
    assert before["Live"]["DependsOn"] == "FirstVersion"
    assert [each["Type"] for each in after.values()].count("AWS::Lambda::Version") == 1


def test_where_sam_publishes_it_moves_another_alias_than_the_one_that_callers_invoke():
    before, after = (aliases(processed("sam/adopted.yaml", build)) for build in ("build-1", "build-2"))
    assert before["latest"]["Properties"]["FunctionVersion"] != after["latest"]["Properties"]["FunctionVersion"]
    assert processed("sam/adopted.yaml", "build-1")["Live"]["DependsOn"] == "CheckoutAliaslatest"


@pytest.mark.parametrize("name", TEMPLATES)
def test_plan_rollout_has_nothing_to_warn_of(name):
    live = next(
        each for each in processed(name, "build-1").values() if each.get("Properties", {}).get("Name") == "live"
    )
    assert DeclaredAlias.parse("shop", live).warnings() == ()
    written = resource((EXAMPLES / name).read_text(), "Live")
    assert DeclaredAlias.parse("shop", written).warnings() == ()


def test_plan_rollout_warns_of_the_alias_that_sam_moves():
    assert DeclaredAlias.parse("shop", aliases(processed("sam/adopted.yaml", "build-1"))["latest"]).warnings()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_valid(name):
    assert RolloutRequest.parse(request(f"examples/{name}"), region="us-east-1", account="123456789012")


@pytest.mark.parametrize("name", ["sam/rollout.json", "terraform/rollout.json"])
def test_what_was_deployed_is_published_and_promoted(name):
    asked = request(f"examples/{name}")
    with World(Scenario.of({}), asked) as world:
        assert output(run(world, "release", json.dumps(asked)))["to_version"] == "2"


@pytest.mark.parametrize("name", ["sam/adopted.json", "terraform/rollout.json"])
def test_what_the_deploy_has_published_already_is_rolled_out_as_that_version(name):
    asked = request(f"examples/{name}")
    with World(Scenario.of({}), asked) as world:
        published = client("lambda").publish_version(FunctionName="checkout")["Version"]
        client("lambda").create_alias(FunctionName="checkout", Name="latest", FunctionVersion=published)
        assert output(run(world, "release", json.dumps(asked)))["to_version"] == published == "2"


# docs/from-codedeploy.md, "The switch".


def switching(*, retained, alias):
    """The page's function, with an event source, at one of the stages; None: as CodeDeploy had it."""
    page = (ROOT / "docs/from-codedeploy.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    function = yaml_parse(text)["Checkout"]
    code = {"Handler": "checkout.handler", "Runtime": "python3.13", "CodeUri": "app/"}
    queue = {"Type": "SQS", "Properties": {"Queue": "arn:aws:sqs:us-east-1:123456789012:orders"}}
    function["Properties"] |= {**code, "FunctionUrlConfig": {"AuthType": "AWS_IAM"}, "Events": {"Orders": queue}}
    if retained:
        function["DeletionPolicy"] = "Retain"
    if alias != "live":
        del function["Properties"]["DeploymentPreference"], function["Properties"]["AutoPublishAlias"]
        function["Properties"] |= {"AutoPublishAlias": alias} if alias else {}
    # CodeDeploy's alarms, hooks and topic are other resources of the stack.
    others = {
        name: {"Type": "AWS::SNS::Topic"}
        for name in ("CheckoutErrors", "CheckoutLatency", "CheckBefore", "CheckAfter", "Releases")
    }
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Checkout": function, **others}}
    return translated(template, "build-1")


def test_sam_passes_the_deletion_policy_to_the_alias_that_it_makes_and_changes_nothing_else_of_it():
    before, after = (switching(retained=retained, alias="live") for retained in (False, True))
    assert after["CheckoutAliaslive"].pop("DeletionPolicy") == "Retain"
    assert after["CheckoutAliaslive"] == before["CheckoutAliaslive"]


@pytest.mark.parametrize(("alias", "connected"), [("latest", "CheckoutAliaslatest"), (None, "Checkout")])
def test_with_the_property_renamed_or_gone_so_is_the_live_alias_and_what_sam_connects_follows(alias, connected):
    before, after = switching(retained=True, alias="live"), switching(retained=True, alias=alias)
    assert "CheckoutAliaslive" not in after
    for name, key in (("CheckoutOrders", "FunctionName"), ("CheckoutUrl", "TargetFunctionArn")):
        assert before[name]["Properties"][key] == {"Ref": "CheckoutAliaslive"}
        assert after[name]["Properties"][key] == {"Ref": connected}


# Terraform.


def blocks(kind):
    with (EXAMPLES / "terraform/main.tf").open() as file:
        found = hcl2.load(file)["resource"]
    (block,) = (each[f'"{kind}"'] for each in found if f'"{kind}"' in each)
    (resource,) = block.values()
    return resource


def test_terraform_makes_the_alias_and_then_ignores_what_tidegate_writes():
    (lifecycle,) = blocks("aws_lambda_alias")["lifecycle"]
    assert set(lifecycle["ignore_changes"]) == {"function_version", "routing_config", "description"}
    assert blocks("aws_lambda_function")["publish"] is True


def test_terraforms_file_is_formatted_as_terraform_does():
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform is not here")
    subprocess.run([terraform, "fmt", "-check", EXAMPLES / "terraform"], check=True)  # noqa: S603 - a fixed command
