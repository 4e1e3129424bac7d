"""Notices: who subscribed to the topic hears what happened; a topic that is gone stops nothing."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.brief import BRIEF

TOPIC = "arn:aws:sns:us-east-1:123456789012:rollouts"
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
GATED = {
    **BRIEF,
    "steps": [
        {"weight": 10, "bake_seconds": 60},
        {"weight": 100, "bake_seconds": 60, "approval": {"timeout_seconds": 600}},
    ],
}


def heard(request, scenario, *, topic=True, logs=False):
    """The end of the rollout, and every notice as (subject, message); with `logs`, all that handlers logged, too."""
    with World(Scenario.of(scenario), request, parameters={"NotificationTopicArn": TOPIC}) as world:
        queue = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        if topic:
            client("sns").create_topic(Name="rollouts")
            arn = "arn:aws:sqs:us-east-1:123456789012:inbox"
            client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
        end = world.follow(world.start())
        world.settle()
        found = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    bodies = [json.loads(message["Body"]) for message in found]
    notices = [(body["Subject"], body["Message"]) for body in bodies]
    return (end, notices, world.runtime.logs) if logs else (end, notices)


def test_a_rollout_that_is_promoted_is_told_of_at_both_ends():
    _, notices = heard(BRIEF, {})
    assert [subject for subject, _ in notices] == [
        "Tidegate: checkout:live rollout started",
        "Tidegate: checkout:live promoted",
    ]
    assert all("Execution: arn:aws:states:" in message for _, message in notices)


def test_a_subject_says_what_happened_however_long_the_names_are():
    names = {"function_name": "f" * 64, "alias_name": "a" * 128}
    _, notices = heard({**BRIEF, **names}, {})
    for (subject, message), headline in zip(notices, ("rollout started", "promoted"), strict=True):
        assert subject.startswith("Tidegate: ffff")
        assert subject.endswith(f"... {headline}")
        assert len(subject) == 100
        assert message.startswith(f"{'f' * 64}:{'a' * 128}: {headline}.")


def test_a_rollback_is_told_with_its_sentence():
    end, notices = heard(SMALLEST, {"candidate": {"error_rate": 0.3}})
    subject, message = notices[-1]
    assert subject == "Tidegate: checkout:live rolled back"
    assert end.cause in message


def test_a_gate_tells_whom_it_waits_for_and_what_to_type():
    _, notices = heard(GATED, {})
    subject, message = next(one for one in notices if "waits" in one[0])
    assert subject == "Tidegate: checkout:live waits for approval"
    assert "tidegate approve checkout:live" in message
    assert "100 % waits for approval, and rolls back in 10 min without it" in message


@pytest.mark.parametrize(
    ("faults", "topic"),
    [([], False), ([{"call": "sns.Publish", "error": "AuthorizationErrorException", "times": "always"}], True)],
    ids=["no topic", "denied"],
)
def test_a_notice_that_cannot_be_sent_stops_nothing(faults, topic):
    end, notices = heard(SMALLEST, {"candidate": {"error_rate": 0.3}, "faults": faults}, topic=topic)
    assert (end.error, notices) == ("RolledBack", [])


def test_what_others_wrote_steers_neither_a_notice_nor_a_log():
    name = "errors\u202e\u009b31m"
    request = {**BRIEF, "alarms": [name]}
    alarm = {"name": name, "threshold": 1_000_000, "treat_missing_data": "ignore"}
    fires = {"at_second": 100, "do": "set_alarm", "name": name, "state": "ALARM"}
    _, notices, logs = heard(request, {"alarms": [alarm], "timeline": [fires]}, logs=True)
    said = "\n".join((*(part for notice in notices for part in notice), *logs))
    assert "errors\\u202e\\u009b31m" in notices[-1][1]
    assert sum("errors\\u202e\\u009b31m" in line for line in logs) > 1
    assert not set(said) & set("\u202e\u009b")
