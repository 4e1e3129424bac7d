"""The shipped schedules, delivered as EventBridge Scheduler delivers them: at least once."""

import json
import secrets

import pytest
from botocore.exceptions import ClientError

from sandbox.scenario import Scenario
from sandbox.world import World
from tests.examples.executions import output, run, start
from tests.examples.shipped import MACHINE_ARN, Shipped
from tidegate.request.rollout_request import RolloutRequest

SCHEDULES = Shipped(
    "scheduler/template.yaml",
    RolloutStateMachineArn=MACHINE_ARN,
    FunctionName="checkout",
    OnceAt="2030-01-31T09:00:00",
    NotificationTopicArn="",
)
BOTH = ("Once", "EveryWeek")
FIVE_MINUTES, ONE_HOUR = 300, 3600


def invoked(schedule, execution_id="d32c5kddcf5bb8c3"):
    """What Scheduler calls StartExecution with: the target's input, its context attributes filled in."""
    attributes = {"execution-id": execution_id, "scheduled-time": "2030-01-31T09:00:00Z"}
    text = SCHEDULES.properties(schedule)["Target"]["Input"]
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    assert "<aws." not in text
    call = json.loads(text)
    assert set(call) == {"StateMachineArn", "Name", "Input"}
    assert call["StateMachineArn"] == MACHINE_ARN
    return call["Name"], call["Input"]


@pytest.mark.parametrize("schedule", BOTH)
def test_what_is_started_is_a_valid_request(schedule):
    _, text = invoked(schedule)
    assert RolloutRequest.parse(json.loads(text), region="us-east-1", account="123456789012")


@pytest.mark.parametrize("schedule", BOTH)
def test_delivered_twice_under_one_name_it_is_one_execution_and_one_rollout(schedule):
    name, text = invoked(schedule)
    with World(Scenario.of({}), json.loads(text)) as world:
        arn = start(world, name, text)
        world.clock.run(until=lambda: bool(world.routing[1]))
        assert start(world, name, text) == arn
        assert world.follow(arn).status == "SUCCEEDED"
        world.settle()
        assert list(world.executions) == [arn]
        assert world.routing == ("2", {})
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            start(world, name, text)


def test_delivered_again_under_another_name_while_it_runs_it_is_rejected_and_moves_nothing():
    (first, text), (second, _) = (invoked("EveryWeek", secrets.token_hex(8)) for _ in range(2))
    with World(Scenario.of({}), json.loads(text)) as world:
        running = start(world, first, text)
        world.clock.run(until=lambda: bool(world.routing[1]))
        before = list(world.routings)
        doubled = world.follow(start(world, second, text))
        assert (doubled.error, world.routings) == ("Rejected", before)
        assert running in doubled.cause
        assert world.follow(running).status == "SUCCEEDED"


def test_delivered_again_under_another_name_afterwards_it_is_unchanged_and_moves_nothing():
    (first, text), (second, _) = (invoked("EveryWeek", secrets.token_hex(8)) for _ in range(2))
    with World(Scenario.of({}), json.loads(text)) as world:
        assert output(run(world, first, text))["outcome"] == "promoted"
        before = list(world.routings)
        assert output(run(world, second, text))["outcome"] == "unchanged"
        assert world.routings == before


def test_delivered_again_after_a_verdict_it_is_rejected_and_moves_nothing():
    (first, text), (second, _) = (invoked("EveryWeek", secrets.token_hex(8)) for _ in range(2))
    with World(Scenario.of({"candidate": {"error_rate": 0.3}}), json.loads(text)) as world:
        assert run(world, first, text).error == "RolledBack"
        before = list(world.routings)
        assert (run(world, second, text).error, world.routings) == ("Rejected", before)


@pytest.mark.parametrize("schedule", BOTH)
def test_a_rollout_starts_on_time_or_not_at_all(schedule):
    properties = SCHEDULES.properties(schedule)
    assert FIVE_MINUTES <= properties["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= ONE_HOUR
    assert properties["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert properties["Target"]["DeadLetterConfig"] == {"Arn": "NotStarted.Arn"}


def test_what_was_not_started_is_kept_encrypted_and_alarmed():
    assert SCHEDULES.properties("NotStarted")["SqsManagedSseEnabled"]
    assert SCHEDULES.properties("NotStartedAlarm")["Dimensions"] == [
        {"Name": "QueueName", "Value": "NotStarted.QueueName"}
    ]


def test_the_role_starts_one_state_machine_and_is_schedulers_alone():
    allowed = {each["Action"]: each["Resource"] for each in SCHEDULES.statements("StarterRole").values()}
    assert allowed == {"states:StartExecution": MACHINE_ARN, "sqs:SendMessage": "NotStarted.Arn"}
    (trust,) = SCHEDULES.properties("StarterRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_each_schedule_can_be_left_out():
    neither = Shipped("scheduler/template.yaml", FunctionName="checkout", OnceAt="", Weekly="")
    assert not any(map(neither.exists, BOTH))
    assert all(map(SCHEDULES.exists, BOTH))
