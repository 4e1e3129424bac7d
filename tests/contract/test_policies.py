"""The static audit: every policy statement that is deployed, against AWS's Service Authorization Reference.

No tool that is made for this fits. parliament 1.6.4 imports pkg_resources, which setuptools 82 removed
(duo-labs/parliament#247); checkov 3.3 wants boto3 1.35.49, networkx before 2.7 and packaging before 24, all of them
older than what is pinned here. cfn-lint keeps the reference in its own data and never opens the policies inside of a
SAM function, so here they are opened for it: as the SAM transform leaves them, with what SAM adds.
"""

import re
from collections.abc import Iterator

import pytest
from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import load_resource

from tests.contract.artifacts import deployed

REFERENCE = load_resource(AdditionalSpecs, "Policies.json")
STACK = deployed(hooks="check-checkout")

#: Actions that AWS can limit to resources and that have "*" all the same, each with its reason.
STARS = {
    "cloudwatch:DescribeAlarms": "composite alarms are returned only to who may describe all (API reference)",
    "cloudwatch:DescribeAlarmHistory": "as DescribeAlarms",
    "cloudwatch:GetMetricData": "its resource is a dataset, which Lambda's metrics are not in",
}
#: Policies of AWS's own that a role may have, each with its reason.
MANAGED = {
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole": "SAM gives it to every function; it can log",
    "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess": "SAM gives it to whatever is traced; it can send traces",
}
#: Services in which no handler has any business: who may do this, may do everything.
OUT_OF_REACH = {"iam", "sts", "kms", "organizations", "cloudformation", "s3", "ssm", "secretsmanager"}
#: What they may all the same, each with its reason.
WITHIN_REACH = {
    "cloudformation:DescribeStackResources": "to warn of a stack that moves the alias; it reads",
    "cloudformation:GetTemplate": "as DescribeStackResources",
    "ssm:GetParameter": "profiles and the stack's settings are parameters, and no other parameter is within reach",
}


def listed(value):
    return value if isinstance(value, list) else [value]


def statements() -> Iterator[tuple[str, dict]]:
    """Every statement of a role's own policies, and of those that stand apart, with where it stands."""
    own = {name: role.properties.get("Policies", []) for name, role in STACK.of_kind("AWS::IAM::Role").items()}
    apart = {name: [policy.properties] for name, policy in STACK.of_kind("AWS::IAM::Policy").items()}
    for name, policies in {**own, **apart}.items():
        for policy in policies:
            for number, statement in enumerate(listed(policy["PolicyDocument"]["Statement"])):
                yield f"{name}/{statement.get('Sid', (policy['PolicyName'], number))}", statement


STATEMENTS = dict(statements())


def allowed() -> Iterator[tuple[str, str, str]]:
    """Where it stands, an action and a resource, for every pair that is allowed."""
    for where, statement in STATEMENTS.items():
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                yield from ((where, action, resource) for resource in listed(statement["Resource"]))


def resource_formats(action: str) -> list[str]:
    """The ARNs of what an action can be limited to, as regular expressions; none where it has no resource."""
    service, operation = action.split(":")
    of_service = REFERENCE[service]
    kinds = of_service["Actions"][operation.lower()].get("Resources", [])
    formats = [each for kind in kinds for each in of_service["Resources"][kind.lower()]["ARNFormats"]]
    return [re.sub(r"\$\{\w+\}", "[^:]*", each) for each in formats]


def test_every_role_is_audited():
    assert len(STATEMENTS) > 30
    apart = STACK.of_kind("AWS::IAM::Policy")
    assert {where.partition("/")[0] for where in STATEMENTS} == {*STACK.of_kind("AWS::IAM::Role"), *apart}
    assert not STACK.of_kind("AWS::IAM::ManagedPolicy"), "audit these too"


@pytest.mark.parametrize("where", STATEMENTS)
def test_a_statement_names_its_actions_and_says_no_more_than_that(where):
    statement = STATEMENTS[where]
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    for action in listed(statement["Action"]):
        service, operation = action.split(":")
        assert operation.lower() in REFERENCE[service]["Actions"], f"{where}: no such action as {action}"
        assert service not in OUT_OF_REACH or action in WITHIN_REACH


def test_a_statement_names_resources_of_a_kind_that_its_actions_have():
    for where, action, resource in allowed():
        formats = resource_formats(action)
        if resource == "*":
            assert not formats or action in STARS, f"{where}: {action} can be limited to {formats}"
        else:
            assert any(re.match(each, resource) for each in formats), f"{where}: {action} does not act on {resource}"
            assert resource.split(":")[4] == "123456789012", f"{where}: another account's {resource}"
    assert {action for _, action, resource in allowed() if resource == "*"} >= STARS.keys(), "a reason for nothing"


def test_the_parameters_within_reach_are_the_profiles_and_the_stacks_own_settings():
    parameters = {resource for _, action, resource in allowed() if action.startswith("ssm:")}
    within = "arn:aws:ssm:us-east-1:123456789012:parameter/tidegate/"
    assert parameters == {f"{within}profiles/*", f"{within}settings/tidegate"}


def test_a_role_has_no_managed_policy_but_what_sam_gives_for_logs_and_traces():
    roles = STACK.of_kind("AWS::IAM::Role").values()
    assert {arn for role in roles for arn in role.properties.get("ManagedPolicyArns", [])} == MANAGED.keys()


def test_a_role_is_assumed_by_the_one_service_that_it_is_for():
    for name, role in STACK.of_kind("AWS::IAM::Role").items():
        (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
        (service,) = listed(trust["Principal"]["Service"])
        assert trust["Principal"].keys() == {"Service"}
        assert service in {"lambda.amazonaws.com", "states.amazonaws.com", "scheduler.amazonaws.com"}, name


def test_nothing_lets_the_public_in():
    policies = [*STACK.of_kind("AWS::SQS::QueuePolicy").values(), *STACK.of_kind("AWS::SNS::TopicPolicy").values()]
    assert policies
    for policy in policies:
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            assert statement["Principal"].keys() == {"Service"}
            assert statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    permissions = STACK.of_kind("AWS::Lambda::Permission")
    assert permissions
    for permission in permissions.values():
        assert permission.properties["Principal"] == "events.amazonaws.com"
        assert permission.properties["SourceArn"].startswith("arn:aws:events:us-east-1:123456789012:rule/")
    assert not STACK.of_kind("AWS::Logs::ResourcePolicy")
    assert not any("ResourcePolicy" in table.properties for table in STACK.of_kind("AWS::DynamoDB::Table").values())
