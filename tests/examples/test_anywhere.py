"""The examples deploy unedited in any partition, and where every role must be bounded."""

import json

import boto3
import hcl2
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.examples.shipped import EXAMPLES

FILES = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in {".yaml", ".yml", ".tf", ".py", ".json"})
TEMPLATES = sorted(path for path in EXAMPLES.glob("*/*.yaml") if "Resources:" in path.read_text())
BOUNDED = {"Fn::If": ["IsBounded", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}


def translated(path):
    template = yaml_parse(path.read_text())
    for each in (template.get("Globals", {}).get("Function", {}), *map(_properties, template["Resources"].values())):
        if "CodeUri" in each:
            each["CodeUri"] = "s3://packages/build"
    parameters = {key: each.get("Default", "x") for key, each in template["Parameters"].items()}
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return translator.translate(template, parameters, get_managed_policy_map=dict)


def _properties(resource):
    return resource.get("Properties", {})


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_role_that_a_template_makes_is_bounded_where_a_boundary_is_given(path):
    template = translated(path)
    roles = {name: each for name, each in template["Resources"].items() if each["Type"] == "AWS::IAM::Role"}
    assert roles
    assert {name: each["Properties"].get("PermissionsBoundary") for name, each in roles.items()} == dict.fromkeys(
        roles, BOUNDED
    )
    assert template["Conditions"]["IsBounded"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "PermissionsBoundaryArn"}, ""]}]}
    assert template["Parameters"]["PermissionsBoundaryArn"]["Default"] == ""


def test_the_pipeline_hands_its_boundary_on_to_the_stack_that_it_deploys():
    template = yaml_parse((EXAMPLES / "codepipeline/template.yaml").read_text())
    given = template["Resources"]["Build"]["Properties"]["Environment"]["EnvironmentVariables"]
    assert {"Name": "PERMISSIONS_BOUNDARY_ARN", "Value": {"Ref": "PermissionsBoundaryArn"}} in [
        each["Fn::If"][1] for each in given if "Fn::If" in each
    ]
    commands = json.dumps(yaml_parse((EXAMPLES / "codepipeline/buildspec.yml").read_text()))
    assert "PermissionsBoundaryArn=" in commands
    assert "PermissionsBoundaryArn" in yaml_parse((EXAMPLES / "sam/template.yaml").read_text())["Parameters"]


def test_terraforms_roles_are_bounded_too():
    (found,) = (EXAMPLES / "terraform").glob("*.tf")
    roles = [each for each in hcl2.loads(found.read_text())["resource"] if "aws_iam_role" in str(list(each))]
    assert roles
    assert all("permissions_boundary_arn" in str(each) for each in roles if "policy_arn" not in str(each))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_no_example_names_a_partition(path):
    assert "arn:aws:" not in path.read_text()
