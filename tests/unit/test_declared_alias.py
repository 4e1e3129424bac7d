"""What a stack's template says of an alias, and which of it would undo a rollout."""

import pytest

from rollout.declared_alias import DeclaredAlias, resource_block

ADVICE = (
    "keep the alias by DeletionPolicy: Retain, then let the stack publish another; or leave FunctionVersion fixed; see"
    " docs/infrastructure-as-code.md"
)
FOLLOWS = {"Fn::GetAtt": ["CheckoutVersion1f2e", "Version"]}
TEMPLATE = """\
Resources:
  Checkout:
    Type: AWS::Lambda::Function
  Live: # what callers invoke
    Type: AWS::Lambda::Alias
    Properties:
      FunctionName: !Ref Checkout

      FunctionVersion: {version}
      Name: live
{more}
  LiveVersion:
    Type: AWS::Lambda::Version
    Properties:
      FunctionVersion: !Ref Nonsense
"""


def reasons(properties, **resource):
    return said(DeclaredAlias.parse("shop", {"Properties": properties, **resource}))


def said(declared):
    warnings = declared.warnings()
    if not warnings:
        return None
    (warning,) = warnings
    assert warning.startswith("stack shop moves this alias at its next update (")
    assert warning.endswith(f"): {ADVICE}")
    return warning.partition(" (")[2].removesuffix(f"): {ADVICE}")


FOLLOWING = "its FunctionVersion follows the code, as with AutoPublishAlias"


@pytest.mark.parametrize(
    ("properties", "resource", "says"),
    [
        ({"FunctionVersion": "1"}, {}, None),
        ({"FunctionVersion": 1}, {}, None),
        ({"FunctionVersion": FOLLOWS}, {}, FOLLOWING),
        ({}, {}, FOLLOWING),
        (None, {}, FOLLOWING),
        ({"FunctionVersion": "1", "RoutingConfig": {}}, {}, "its template has a RoutingConfig"),
        (
            {"FunctionVersion": FOLLOWS},
            {"UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {}}},
            f"CodeDeploy deploys it, {FOLLOWING}",
        ),
        ({"FunctionVersion": "1"}, {"UpdatePolicy": "odd"}, None),
    ],
)
def test_an_alias_in_json(properties, resource, says):
    assert reasons(properties, **resource) == says


@pytest.mark.parametrize(
    ("version", "more", "says"),
    [
        ("1", "", None),
        ('"1"  # fixed', "", None),
        ("'17'", "", None),
        ("!GetAtt LiveVersion.Version", "", FOLLOWING),
        ("", "", FOLLOWING),
        ("1", "      RoutingConfig: {}", "its template has a RoutingConfig"),
        ("1", "    UpdatePolicy:\n      CodeDeployLambdaAliasUpdate:\n        x: 1", "CodeDeploy deploys it"),
    ],
)
def test_an_alias_in_yaml(version, more, says):
    block = resource_block(TEMPLATE.format(version=version, more=more), "Live")
    assert block
    assert said(DeclaredAlias.parse_yaml("shop", block)) == says


def test_a_resource_that_is_not_there_has_no_lines():
    assert resource_block(TEMPLATE, "Gone") is None
    assert resource_block("", "Live") is None
