"""Tidegate's own alarms: a rollback that failed is red until the alias is whole, and a sweeper that is gone is told of.

Metrics are what the handlers print, and alarms and their notices are the deployed stack's.
"""

import json
from contextlib import contextmanager

import pytest

from sandbox.aws.boundary import AwsError
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World

TOPIC = "arn:aws:sns:us-east-1:123456789012:rollouts"
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
HARMFUL = {"candidate": {"error_rate": 0.3}}
WHOLE = ("1", {})
MINUTE, HOUR = 60, 3600


def denied(times):
    """AWS lets the first shift through, and then refuses whoever writes to the alias so many times."""
    return {"call": "lambda.UpdateAlias", "error": "AccessDeniedException", "skip": 1, "times": times}


class Stage:
    """A world with a topic that somebody listens to."""

    def __init__(self, world):
        self.world = world
        self.queue = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        client("sns").create_topic(Name="rollouts")
        inbox = "arn:aws:sqs:us-east-1:123456789012:inbox"
        client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=inbox)

    def wait(self, seconds):
        self.world.clock.run(until=lambda: False, limit=self.world.clock.now() + seconds)

    def state(self, alarm):
        name = self.world.stack.ref(alarm)
        return client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]

    def changes(self, alarm):
        """Every state that the alarm has come to be in."""
        return [state for _, name, state in self.world.alarm_changes if name == self.world.stack.ref(alarm)]

    def notices(self):
        """What alarms have told the topic since this was asked last: name and new state."""
        heard = []
        while found := client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                client("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                heard.append(json.loads(message["Body"]))
        alarms = [json.loads(one["Message"]) for one in heard if not one["Subject"].startswith("Tidegate: ")]
        return [(one["AlarmName"].removeprefix("tidegate-"), one["NewStateValue"]) for one in alarms]

    def run_the_command(self):
        """What a person types."""
        client("lambda").update_alias(
            FunctionName="checkout", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}}
        )

    def schedule(self, state):
        client("scheduler").update_schedule(
            Name=self.world.stack.ref("SweepFunctionEveryMinute"),
            State=state,
            ScheduleExpression="rate(1 minute)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:lambda:us-east-1:123456789012:function:sweep", "RoleArn": "arn:aws:iam::1:role/r"},
        )


@contextmanager
def staged(scenario=None, request=None):
    with World(Scenario.of(scenario or {}), request, parameters={"NotificationTopicArn": TOPIC}) as world:
        yield Stage(world)


@contextmanager
def rollback_failed(times="always"):
    """Five minutes after a rollback that was refused, so many times in all."""
    with staged({**HARMFUL, "faults": [denied(times)]}, SMALLEST) as stage:
        end = stage.world.follow(stage.world.start())
        assert end.error == "RollbackFailed"
        assert stage.world.routing != WHOLE
        ended_at = stage.world.clock.now()
        stage.wait(5 * MINUTE)
        name = stage.world.stack.ref("RollbackFailedAlarm")
        (fired_at,) = [at for at, alarm, state in stage.world.alarm_changes if (alarm, state) == (name, "ALARM")]
        assert fired_at - ended_at < 4 * MINUTE
        yield stage


def test_a_failed_rollback_is_red_until_a_person_has_run_the_command():
    with rollback_failed() as stage:
        stage.wait(10 * MINUTE)
        assert (stage.state("RollbackFailedAlarm"), stage.world.routing != WHOLE) == ("ALARM", True)
        stage.run_the_command()
        stage.wait(5 * MINUTE)
        assert stage.changes("RollbackFailedAlarm") == ["OK", "ALARM", "OK"]
        notices = [state for name, state in stage.notices() if name == "RollbackFailedAlarm"]
        assert notices == ["ALARM"]


def test_a_failed_rollback_is_red_until_the_sweeper_could_restore():
    with rollback_failed(times=90) as stage:
        stage.wait(15 * MINUTE)
        assert (stage.state("RollbackFailedAlarm"), stage.world.routing != WHOLE) == ("ALARM", True)
        stage.wait(30 * MINUTE)
        assert (stage.state("RollbackFailedAlarm"), stage.world.routing) == ("OK", WHOLE)
        assert stage.changes("RollbackFailedAlarm") == ["OK", "ALARM", "OK"]


@contextmanager
def failing(world, call):
    """AWS answers nobody's call of that name for a while."""
    down = True

    def refuse(_params, proceed):
        if down:
            raise AwsError("InternalServerError", "down", 500)
        return proceed()

    world.boundary.correct(call, refuse)
    yield
    down = False


@pytest.mark.parametrize("call", ["dynamodb.Query", "stepfunctions.DescribeExecution", "dynamodb.GetItem"])
def test_a_sweep_that_cannot_find_out_does_not_say_that_all_is_well(call):
    with rollback_failed() as stage:
        with failing(stage.world, call):
            stage.run_the_command()
            stage.wait(8 * MINUTE)
            assert stage.state("RollbackFailedAlarm") == "ALARM"
        stage.wait(5 * MINUTE)
        assert stage.changes("RollbackFailedAlarm") == ["OK", "ALARM", "OK"]


@pytest.mark.parametrize(("minutes", "fires"), [(3, False), (15, True)])
def test_an_alias_that_an_end_left_split_is_told_of_once_it_has_had_its_time(minutes, fires):
    """Nobody has given up: Lambda answers no write for a while, which is no refusal."""
    with staged({}, SMALLEST) as stage:
        arn = stage.world.start()
        stage.wait(90)
        with failing(stage.world, "lambda.UpdateAlias"):
            client("stepfunctions").stop_execution(executionArn=arn)
            stage.wait(minutes * MINUTE)
            assert stage.world.routing != WHOLE
        stage.wait(10 * MINUTE)
        assert stage.world.routing == WHOLE
        assert stage.changes("RollbackFailedAlarm") == (["OK", "ALARM", "OK"] if fires else ["OK"])


def test_a_lock_that_cannot_be_read_is_red_until_it_is_gone():
    with staged() as stage:
        key = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}}
        damaged = {**key, "watched": {"S": "running"}, "plan": {"S": "{"}}
        client("dynamodb").put_item(TableName=stage.world.table_name, Item=damaged)
        stage.wait(15 * MINUTE)
        assert stage.state("RollbackFailedAlarm") == "ALARM"
        client("dynamodb").delete_item(TableName=stage.world.table_name, Key=key)
        stage.wait(5 * MINUTE)
        assert stage.state("RollbackFailedAlarm") == "OK"


def test_an_installation_tells_nobody_of_anything():
    with staged() as stage:
        assert {stage.state(alarm) for alarm in ("RollbackFailedAlarm", "SweeperSilentAlarm")} == {"INSUFFICIENT_DATA"}
        stage.wait(30 * MINUTE)
        assert stage.notices() == []
        assert {stage.state(alarm) for alarm in ("RollbackFailedAlarm", "SweeperSilentAlarm")} == {"OK"}


def test_a_schedule_that_is_off_is_told_of_once_after_ten_minutes():
    with staged() as stage:
        stage.wait(30 * MINUTE)
        stage.schedule("DISABLED")
        stage.wait(9 * MINUTE)
        assert stage.notices() == []
        stage.wait(3 * MINUTE)
        assert stage.notices() == [("SweeperSilentAlarm", "INSUFFICIENT_DATA")]
        stage.wait(HOUR)
        assert (stage.notices(), stage.state("SweeperSilentAlarm")) == ([], "INSUFFICIENT_DATA")
        stage.schedule("ENABLED")
        stage.wait(5 * MINUTE)
        assert (stage.notices(), stage.state("SweeperSilentAlarm")) == ([], "OK")


@pytest.mark.parametrize("error", ["throttled", "timeout", "crash"])
def test_a_sweeper_that_never_gets_to_the_end_is_told_of_after_ten_minutes(error):
    dead = {"handler": "sweep", "error": error, "skip": 10, "times": "always"}
    with staged({"faults": [dead]}) as stage:
        stage.wait(17 * MINUTE)
        assert stage.state("SweeperSilentAlarm") == "OK"
        stage.wait(5 * MINUTE)
        assert [notice for notice in stage.notices() if notice[0] == "SweeperSilentAlarm"] == [
            ("SweeperSilentAlarm", "INSUFFICIENT_DATA")
        ]


def test_a_sweeper_that_misses_some_minutes_is_told_of_by_nobody():
    with staged({"faults": [{"handler": "sweep", "error": "timeout", "skip": 10, "times": 6}]}) as stage:
        stage.wait(30 * MINUTE)
        assert stage.changes("SweeperSilentAlarm") == ["OK"]
