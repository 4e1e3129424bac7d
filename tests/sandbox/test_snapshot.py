"""An account that begins with another one's resources answers as if its own calls had made them."""

from typing import Any
from weakref import WeakKeyDictionary

import pytest

from sandbox import world as worlds
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World

REQUEST = {"function_name": "checkout", "alias_name": "live"}


@pytest.fixture(autouse=True)
def nothing_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "_DEPLOYED", WeakKeyDictionary())


def shown(world: World) -> list[Any]:
    """What the services say of the stack's resources, request ids and all."""
    iam, functions, events = client("iam"), client("lambda"), client("events")
    said: list[Any] = []
    for role in world.stack.of_kind("AWS::IAM::Role").values():
        policies = iam.list_role_policies(RoleName=role.ref)["PolicyNames"]
        said.append(iam.get_role(RoleName=role.ref))
        said += [iam.get_role_policy(RoleName=role.ref, PolicyName=policy) for policy in policies]
    for function in world.stack.of_kind("AWS::Lambda::Function").values():
        said.append(functions.get_function(FunctionName=function.ref))
        said.append(functions.list_versions_by_function(FunctionName=function.ref))
        said.append(functions.list_aliases(FunctionName=function.ref))
    said += [events.list_targets_by_rule(Rule=rule["Name"]) for rule in events.list_rules()["Rules"]]
    said += [
        client("dynamodb").describe_table(TableName=world.table_name),
        client("dynamodb").describe_time_to_live(TableName=world.table_name),
        client("stepfunctions").describe_state_machine(stateMachineArn=world.state_machine_arn),
        client("ssm").get_parameters_by_path(Path="/", Recursive=True),
        client("sqs").list_queues(),
        client("logs").describe_log_groups(),
        client("cloudwatch").describe_alarms(),
        world.stack.outputs(),
    ]
    return [_without_drawn(each) for each in said]


def _without_drawn(answer: Any) -> Any:
    """Without the header that moto draws anew for each answer."""
    if isinstance(answer, dict):
        return {key: _without_drawn(each) for key, each in answer.items() if key not in {"HTTPHeaders", "RequestId"}}
    return [_without_drawn(each) for each in answer] if isinstance(answer, list) else answer


def test_every_service_shows_the_same() -> None:
    heard = []
    for _ in range(3):
        with World(Scenario(), REQUEST) as world:
            heard.append(shown(world))
    assert heard[0] == heard[1] == heard[2]


def test_what_one_account_changes_is_not_in_the_next() -> None:
    for _ in range(3):
        with World(Scenario(), REQUEST) as world:
            before = shown(world)
            (name, *_) = [made.ref for made in world.stack.of_kind("AWS::Lambda::Function").values()]
            client("lambda").update_function_configuration(FunctionName=name, Description="another one")
            client("dynamodb").put_item(TableName=world.table_name, Item={"target": {"S": "a"}, "record": {"S": "b"}})
            client("logs").delete_log_group(
                logGroupName=client("logs").describe_log_groups()["logGroups"][0]["logGroupName"]
            )
            changed = shown(world)
        with World(Scenario(), REQUEST) as world:
            assert shown(world) == before != changed
