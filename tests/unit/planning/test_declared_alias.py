"""What a stack's template says of an alias, JSON or YAML in whatever style, and which of it would undo a rollout."""

import pytest

from tidegate.planning.declared_alias import DeclaredAlias
from tidegate.planning.template import resource

ADVICE = (
    "keep the alias by DeletionPolicy: Retain, then let the stack publish another; or leave FunctionVersion fixed; see"
    " docs/infrastructure-as-code.md"
)
FOLLOWS = {"Fn::GetAtt": ["CheckoutVersion1f2e", "Version"]}
FOLLOWING = "its FunctionVersion follows the code, as with AutoPublishAlias"
WEIGHTED = "its template has a RoutingConfig"


def reasons(properties, **more):
    return said(DeclaredAlias.parse("shop", {"Properties": properties, **more}))


def said(declared):
    warnings = declared.warnings()
    if not warnings:
        return None
    (warning,) = warnings
    assert warning.startswith("stack shop moves this alias at its next update (")
    assert warning.endswith(f"): {ADVICE}")
    return warning.partition(" (")[2].removesuffix(f"): {ADVICE}")


def test_what_cannot_be_read_is_not_called_harmless():
    (warning,) = DeclaredAlias("shop", unread=True).warnings()
    assert warning.startswith("stack shop has this alias, and its template cannot be read here: see that none")


@pytest.mark.parametrize(
    ("properties", "more", "says"),
    [
        ({"FunctionVersion": "1"}, {}, None),
        ({"FunctionVersion": 1}, {}, None),
        ({"FunctionVersion": FOLLOWS}, {}, FOLLOWING),
        ({"FunctionVersion": "$LATEST"}, {}, FOLLOWING),
        ({}, {}, FOLLOWING),
        (None, {}, FOLLOWING),
        ({"FunctionVersion": "1", "RoutingConfig": {}}, {}, WEIGHTED),
        (
            {"FunctionVersion": FOLLOWS},
            {"UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {}}},
            f"CodeDeploy deploys it, {FOLLOWING}",
        ),
        ({"FunctionVersion": "1"}, {"UpdatePolicy": "odd"}, None),
    ],
)
def test_an_alias_in_json(properties, more, says):
    assert reasons(properties, **more) == says


BLOCK = """\
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


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("version", "more", "says"),
    [
        ("1", "", None),
        ('"1"  # fixed', "", None),
        ("'17'", "", None),
        ("!GetAtt LiveVersion.Version", "", FOLLOWING),
        ("\n        Fn::GetAtt: [LiveVersion, Version]", "", FOLLOWING),
        ("$LATEST", "", FOLLOWING),
        ("", "", FOLLOWING),
        ("!Sub '1'", "", FOLLOWING),
        ("1", "      RoutingConfig: {}", WEIGHTED),
        ("1", "    UpdatePolicy:\n      CodeDeployLambdaAliasUpdate:\n        x: 1", "CodeDeploy deploys it"),
        ("1", "      Description: >-\n        see\n        RoutingConfig: none", None),
        ("1", "#     RoutingConfig: {}\n      # FunctionVersion: !GetAtt LiveVersion.Version", None),
    ],
)
def test_an_alias_in_yaml(version, more, says, newline):
    template = BLOCK.format(version=version, more=more).replace("\n", newline)
    assert said(DeclaredAlias.parse("shop", resource(template, "Live"))) == says


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("Resources:\n  'Live':\n    Properties:\n      \"FunctionVersion\": !GetAtt V.Version\n", FOLLOWING),
        ("Resources:\n  Live: {Type: A, Properties: {FunctionVersion: !GetAtt V.Version, Name: live}}\n", FOLLOWING),
        ("Resources:\n  Live:\n    Properties: {FunctionName: !Ref F, FunctionVersion: '1', Name: live}\n", None),
        ("Resources: {Live: {Properties: {FunctionVersion: 1, RoutingConfig: !Ref AWS::NoValue}}}", WEIGHTED),
        ('{"Resources": {"Live": {"Properties": {"FunctionVersion": "1"}}}}', None),
        (
            "Conditions:\n  Live:\n    !Equals [a, b]\nResources:\n Live:\n  Properties:\n   FunctionVersion: '1'\n",
            None,
        ),
        (
            "Metadata:\n  Live: {owner: x}\nResources:\n  Live:\n    Properties:\n      FunctionVersion: !Ref V\n",
            FOLLOWING,
        ),
        ("---\n? Resources\n: ? Live\n  : Properties: {FunctionVersion: 2}\n", None),
        ("\ufeffResources:\n  Live:\n    Properties:\n      FunctionVersion: 2\n", None),
    ],
)
def test_it_is_read_in_any_style(template, says):
    assert said(DeclaredAlias.parse("shop", resource(template, "Live"))) == says


DEEP = 900_000


@pytest.mark.parametrize(
    "template",
    [
        "",
        "Resources: {}",
        "Resources: [Live]",
        "Resources: {Live: odd}",
        "Resources: {Live: &it [*it]}",
        "Conditions: {Live: {Properties: {}}}",
        "a: [",
        "\t",
        "\ud800",
        "%YAML 1.9\n---\nResources: {}",
        'a: "\\UFFFFFFFF"',
        'a: "\\U00110000"',
        "Other: [" + "a, " * DEEP + "]\nResources: {Live: {Properties: {FunctionVersion: 1}}}",
        "[" * DEEP,
        "Resources: {Live: " + "{a: " * DEEP,
    ],
    ids=lambda template: template[:20].encode("ascii", "replace").decode(),
)
def test_what_holds_no_such_resource_or_is_no_yaml_or_too_much_of_it_says_nothing(template):
    assert resource(template, "Live") is None


def test_no_tag_is_obeyed_and_no_alias_followed():
    template = "Resources:\n  Live:\n    Other: &it [1]\n    Properties: !!python/object/apply:os.system [*it]\n"
    assert resource(template, "Live") == {"Other": ["1"], "Properties": [None]}
