"""What is deployed, wherever that is: in every partition, with a boundary, and whatever the stack is called."""

import json
import re

import pytest

from sandbox.aws.iam import Ask, statements
from tools.lint_asl import problems
from tools.render import REGIONS, STACK_NAMES, Place, Rendered, parameters, rendered
from tools.stack_name import LONGEST

PLACES = [Place(partition, name) for partition in REGIONS for name in STACK_NAMES.values()]
#: IAM and STS quotas: the characters of all inline policies of a role, white space not counted.
MOST_INLINE = 10_240


@pytest.fixture(scope="module", params=PLACES, ids=lambda place: f"{place.partition}-{len(place.stack_name)}")
def stack(request) -> Rendered:
    return rendered(request.param, parameters(request.param))


def functions(stack):
    return [made.attributes["Arn"] for made in stack.of_kind("AWS::Lambda::Function").values()]


def policies(stack, role):
    """Every policy that a role has: its own, and those that stand apart."""
    apart = [made.properties for made in stack.of_kind("AWS::IAM::Policy").values()]
    return [*role.properties.get("Policies", []), *(policy for policy in apart if role.ref in policy["Roles"])]


def test_the_names_are_the_shortest_a_long_one_and_the_longest():
    assert [len(name) for name in STACK_NAMES.values()] == [1, 60, 72]
    assert LONGEST == 72


def test_every_role_is_bounded(stack):
    roles = stack.of_kind("AWS::IAM::Role")
    assert len(roles) == len(functions(stack)) + 2, "the state machine's and the schedule's"
    boundary = parameters(stack.place)["PermissionsBoundaryArn"]
    assert {name: role.properties.get("PermissionsBoundary") for name, role in roles.items()} == dict.fromkeys(
        roles, boundary
    )


def test_without_a_boundary_no_role_has_one():
    chosen = {**parameters(Place()), "PermissionsBoundaryArn": ""}
    roles = rendered(Place(), chosen).of_kind("AWS::IAM::Role").values()
    assert not [role for role in roles if "PermissionsBoundary" in role.properties]


def test_every_arn_is_of_this_partition(stack):
    text = json.dumps(stack.template()) + "".join(stack.machines.values())
    assert set(re.findall(r"\barn:(aws[a-z-]*):", text)) == {stack.place.partition}
    assert "${" not in "".join(stack.machines.values())


def test_the_state_machine_is_one(stack):
    ((name, definition),) = stack.machines.items()
    assert problems(definition) == []
    machine = stack.created[name].properties
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,80}", machine["StateMachineName"])
    tasks = [state for state in json.loads(definition)["States"].values() if state["Type"] == "Task"]
    assert {task["Resource"] for task in tasks} == {f"arn:{stack.place.partition}:states:::lambda:invoke"}
    versions = {made.ref for made in stack.of_kind("AWS::Lambda::Version").values()}
    assert {task["Arguments"]["FunctionName"] for task in tasks} <= versions


def test_no_function_of_the_stack_is_within_reach_whatever_it_is_called(stack):
    """For a pattern of `*`. A name that CloudFormation makes holds some 25 characters of a long stack's name."""
    for name, role in stack.of_kind("AWS::IAM::Role").items():
        held = [each for policy in policies(stack, role) for each in statements(policy["PolicyDocument"], name)]
        if not any(each.effect == "Deny" for each in held):
            assert name in {"RolloutStateMachineRole", "SweepFunctionEveryMinuteRole"}, "they run the handlers"
            continue
        for arn in functions(stack):
            for action in ("UpdateAlias", "CreateAlias", "PublishVersion", "InvokeFunction"):
                for asked in (arn, f"{arn}:1", f"{arn}:live"):
                    spoken = {each.effect for each in held if any(each.matches(Ask(f"lambda:{action}", asked)))}
                    assert "Deny" in spoken, (name, action, asked)


def test_another_function_of_a_like_name_is_not_denied(stack):
    arn = functions(stack)[0]
    for name, role in stack.of_kind("AWS::IAM::Role").items():
        for policy in policies(stack, role):
            for each in statements(policy["PolicyDocument"], name):
                for other in (
                    arn[:-1],
                    f"{arn}-too",
                    stack.place.arn("lambda", f"function:{stack.place.stack_name}-x"),
                ):
                    denied = each.effect == "Deny" and any(each.matches(Ask("lambda:UpdateAlias", other)))
                    assert not denied, (name, each.name, other)


def test_the_policies_of_a_role_have_room(stack):
    for name, role in stack.of_kind("AWS::IAM::Role").items():
        documents = [policy["PolicyDocument"] for policy in policies(stack, role)]
        assert sum(len(json.dumps(each, separators=(",", ":"))) for each in documents) < MOST_INLINE, name


def test_every_generated_name_of_a_function_is_one_that_lambda_takes(stack):
    assert all(
        re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", made.ref) for made in stack.of_kind("AWS::Lambda::Function").values()
    )
