"""Settings: a topic or a retention that is changed on a deployed stack works without new code, and SSM may fail."""

import json
from functools import cache

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.brief import BRIEF

TOPICS = {name: f"arn:aws:sns:us-east-1:123456789012:{name}" for name in ("old", "new")}
DAY = 86_400
LIMITED = {**BRIEF, "health": {"judge": False, "max_error_percent": 1}}
FAILING = {"candidate": {"error_rate": 0.3}}
SSM = {"call": "ssm.GetParameter", "times": "always"}


def subscribe():
    """A queue on each topic, by the topic's name."""
    queues = {}
    for name, topic in TOPICS.items():
        client("sns").create_topic(Name=name)
        queues[name] = client("sqs").create_queue(QueueName=name)["QueueUrl"]
        client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{name}")
    return queues


def heard(queue):
    found = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"])["Subject"].rpartition("live ")[2] for message in found]


def history(world):
    items = client("dynamodb").scan(TableName=world.table_name)["Items"]
    return [item for item in items if item["record"]["S"].startswith("history#")]


def kept_days(world):
    """How long each finished rollout is kept."""
    return [
        round((float(item["expires_at"]["N"]) - float(json.loads(item["document"]["S"])["ended_at"])) / DAY)
        for item in history(world)
    ]


def published(world):
    """The environments of the versions that run."""
    names = [made.ref for made in world.stack.of_kind("AWS::Lambda::Function").values()]
    return [
        client("lambda").get_function_configuration(FunctionName=name, Qualifier="1")["Environment"]["Variables"]
        for name in names
    ]


def test_another_topic_and_another_retention_reach_the_versions_that_run():
    before = {"NotificationTopicArn": TOPICS["old"], "HistoryRetentionDays": "30"}
    with World(Scenario.of({"publish": {"unchanged": False}}), BRIEF, parameters=before) as world:
        queues = subscribe()
        world.follow(world.start())
        environments = published(world)
        world.update_stack({"NotificationTopicArn": TOPICS["new"], "HistoryRetentionDays": "60"})
        assert published(world) == environments, "an update of a parameter publishes no version"
        assert {each["HISTORY_RETENTION_DAYS"] for each in environments} == {"30"}
        world.clock.sleep(60)
        client("lambda").update_function_code(FunctionName="checkout", ZipFile=b"another")
        world.follow(world.start())
        assert {name: heard(queue) for name, queue in queues.items()} == {
            "old": ["rollout started", "promoted"],
            "new": ["rollout started", "promoted"],
        }
        assert kept_days(world) == [30, 60]


def test_a_topic_that_is_added_later_hears_of_the_rollout_that_runs():
    with World(Scenario.of(FAILING), LIMITED) as world:
        queues = subscribe()
        world.clock.spawn(lambda: world.update_stack({"NotificationTopicArn": TOPICS["new"]}), "update", delay=30)
        end = world.follow(world.start())
        world.settle()
        assert (end.error, heard(queues["new"])) == ("RolledBack", ["rolled back"])


def test_a_topic_that_is_taken_away_hears_no_more():
    with World(Scenario.of({}), BRIEF, parameters={"NotificationTopicArn": TOPICS["old"]}) as world:
        queues = subscribe()
        world.update_stack({"NotificationTopicArn": ""})
        assert world.follow(world.start()).status == "SUCCEEDED"
        assert heard(queues["old"]) == []


@cache
def last_write(*, failing):
    """When the alias is written last where SSM answers, and its routing then."""
    with World(Scenario.of(FAILING if failing else {}), LIMITED) as world:
        world.follow(world.start())
        return world.routings[-1]


@pytest.mark.parametrize(
    "fault",
    [
        {"error": "AccessDeniedException"},
        {"error": "ThrottlingException"},
        {"error": "InternalServerError"},
        {"error": "ParameterNotFound"},
        {"error": "lost_response"},
        {"error": "held", "seconds": 600},
    ],
    ids=lambda fault: fault["error"],
)
@pytest.mark.parametrize(("scenario", "outcome"), [({}, None), (FAILING, "RolledBack")], ids=["good", "bad"])
def test_settings_that_cannot_be_read_change_no_outcome_and_delay_no_restore(fault, scenario, outcome):
    moved_at, routing = last_write(failing=scenario is FAILING)
    with World(Scenario.of({**scenario, "faults": [{**SSM, **fault}]}), LIMITED) as world:
        end = world.follow(world.start())
        world.settle()
        assert (end.error, world.routings[-1][1]) == (outcome, routing)
        assert world.routings[-1][0] - moved_at < 10, "what PlanRollout waited before any traffic, and no more"
        assert kept_days(world) == [365], "as when the version was published"
        assert any("read the stack's settings" in line for line in world.runtime.logs)


def test_where_an_alarm_fires_nothing_is_asked_of_ssm_before_the_alias_is_restored():
    """guard_alarm and RollBack: what they read of the settings they read after the write."""
    fires = {"at_second": 70, "do": "set_alarm", "name": "errors", "state": "ALARM"}
    scenario = {"alarms": [{"name": "errors"}], "timeline": [fires], "faults": [{**SSM, "error": "lost_response"}]}
    with World(Scenario.of(scenario), {**BRIEF, "alarms": ["errors"]}) as world:
        asked = []
        world.boundary.correct(
            "ssm.GetParameter", lambda _params, proceed: (asked.append(world.clock.now()), proceed())[1]
        )
        world.follow(world.start())
        fired = world.alarm_changes[-1][0]
        restored = world.routings[-1]
        assert restored[1] == ("1", {})
        assert restored[0] - fired < 5
        assert not [at for at in asked if fired <= at < restored[0]]
