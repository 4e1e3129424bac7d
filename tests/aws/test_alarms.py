"""CloudWatch's alarms as the sandbox serves them: one test per rule of AWS, seen through a real SDK client.

Sources are the CloudWatch user guide and API reference, named in each test. Metrics come in through PutMetricData.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sandbox.aws.stack import client
from tests.aws.cloudwatch_account import START, Account, refusal

GOOD, BREACH, MISSING = 0.0, 9.0, None


# Alarms: user guide, "Configuring how CloudWatch alarms treat missing data", its two tables.

G, X, O = GOOD, BREACH, MISSING  # noqa: E741  # short, so that rows read as the guide's

THREE_OF_THREE = [
    ([G, O, X, O, X], "OK", "OK", "OK", "OK"),
    ([G, O, O, O, O], "OK", "OK", "OK", "OK"),
    ([O, O, O, O, O], "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
    ([G, X, X, O, X], "ALARM", "ALARM", "ALARM", "ALARM"),
    ([O, O, X, O, O], "ALARM", "kept", "ALARM", "OK"),
]
TWO_OF_THREE = [
    ([G, O, X, O, X], "ALARM", "ALARM", "ALARM", "ALARM"),
    ([G, G, X, G, X], "ALARM", "ALARM", "ALARM", "ALARM"),
    ([G, O, X, O, O], "OK", "OK", "ALARM", "OK"),
    ([O, O, O, O, G], "OK", "OK", "ALARM", "OK"),
    ([O, O, O, X, O], "ALARM", "kept", "ALARM", "OK"),
]
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
ROWS = [
    pytest.param(to_alarm, points, treatment, state, id=f"{to_alarm} of 3, row {number}, {treatment}")
    for to_alarm, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for number, (points, *states) in enumerate(table, start=1)
    for treatment, state in zip(TREATMENTS, states, strict=True)
]


@pytest.mark.parametrize(("to_alarm", "points", "treatment", "state"), ROWS)
def test_missing_data(account: Account, to_alarm: int, points: list[float | None], treatment: str, state: str) -> None:
    """The guide's tables, row by row; "kept" is what the alarm was before."""
    for before in ("OK", "ALARM"):
        account.alarm(before, EvaluationPeriods=3, DatapointsToAlarm=to_alarm, TreatMissingData=treatment)
        account.set(before, before)
    account.at(299)
    for before in ("OK", "ALARM"):
        account.set(before, before)
    for minute, value in enumerate(points):
        if value is not None:
            account.put(minute, [value])
    account.at(300)
    assert [account.state(before) for before in ("OK", "ALARM")] == [
        before if state == "kept" else state for before in ("OK", "ALARM")
    ]


@pytest.mark.parametrize("points", [[O, O, O, O, X], [O, O, O, X, O]])
def test_lone_young_breach_is_no_alarm_yet(account: Account, points: list[float | None]) -> None:
    """User guide, "Avoiding premature transitions to alarm state"."""
    account.alarm(EvaluationPeriods=3, DatapointsToAlarm=3)
    for minute, value in enumerate(points):
        if value is not None:
            account.put(minute, [value])
    account.at(300)
    assert account.state() == "OK"


def test_late_datapoints_still_decide(late_account: Account) -> None:
    """User guide, as above: CloudWatch retrieves more periods than it needs, and takes the newest real datapoints."""
    late_account.alarm()
    late_account.put(0, [9])
    late_account.put(1, [0])
    states = []
    for second in (120, 180, 240, 420):
        late_account.at(second)
        states.append(late_account.state())
    assert states == ["INSUFFICIENT_DATA", "ALARM", "OK", "INSUFFICIENT_DATA"]


def test_alarm_is_first_evaluated_after_a_minute(account: Account) -> None:
    """The sandbox's contract: the first evaluation is at second 60; until then an alarm is as it was put or set."""
    account.alarm(TreatMissingData="notBreaching")
    assert account.state() == "INSUFFICIENT_DATA"
    account.set("ALARM")
    account.at(59)
    assert account.state() == "ALARM"
    account.at(60)
    assert account.state() == "OK"


@pytest.mark.parametrize(
    ("operator", "value", "state"),
    [
        ("GreaterThanThreshold", 5, "OK"),
        ("GreaterThanOrEqualToThreshold", 5, "ALARM"),
        ("LessThanThreshold", 5, "OK"),
        ("LessThanOrEqualToThreshold", 5, "ALARM"),
    ],
)
def test_comparison(account: Account, operator: str, value: float, state: str) -> None:
    """API reference, PutMetricAlarm, ComparisonOperator."""
    account.alarm(ComparisonOperator=operator)
    account.put(0, [value])
    account.at(60)
    assert account.state() == state


def test_alarm_takes_a_percentile(account: Account) -> None:
    """API reference, PutMetricAlarm, ExtendedStatistic."""
    metric = {"Namespace": "Shop", "MetricName": "Errors", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5}
    compared = {"ComparisonOperator": "GreaterThanThreshold", "ExtendedStatistic": "p90"}
    account.sdk.put_metric_alarm(AlarmName="errors", **metric, **compared)
    account.put(0, [1, 9], [80, 20])
    account.at(60)
    assert account.state() == "ALARM"


@pytest.mark.parametrize("statistic", ["p200", "TC(1%:2)"])
def test_alarm_on_an_unknown_statistic_is_refused(account: Account, statistic: str) -> None:
    """API reference, PutMetricAlarm, ExtendedStatistic."""
    metric = {"Namespace": "Shop", "MetricName": "Errors", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5}
    put = {"AlarmName": "errors", "ComparisonOperator": "GreaterThanThreshold", "ExtendedStatistic": statistic}
    assert refusal(lambda: account.sdk.put_metric_alarm(**metric, **put)) == "ValidationError"


def test_changing_an_alarm_keeps_its_state(account: Account) -> None:
    """API reference, PutMetricAlarm: when an existing alarm is updated, its state is left unchanged."""
    account.alarm()
    account.set("ALARM")
    account.alarm(Threshold=50)
    assert account.state() == "ALARM"


def test_setting_the_same_state_is_no_transition(account: Account) -> None:
    """API reference, MetricAlarm: StateTransitionedTimestamp is the last change of StateValue."""
    account.alarm()
    account.set("OK")
    account.at(30)
    account.set("OK")
    (alarm,) = account.sdk.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert alarm["StateTransitionedTimestamp"] == START
    assert alarm["StateUpdatedTimestamp"] == START + timedelta(seconds=30)
    assert "EvaluationState" not in alarm
    assert len(account.events) == 1


def test_state_of_an_unknown_alarm_cannot_be_set(account: Account) -> None:
    """API reference, SetAlarmState, ResourceNotFound."""
    assert refusal(lambda: account.set("OK", "nobody")) in {"ResourceNotFound", "ResourceNotFoundException"}


# Composite alarms: API reference, PutCompositeAlarm, AlarmRule.


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('ALARM("red")', True),
        ("ALARM(red)", True),
        ("ALARM('green')", False),
        ("OK(green)", True),
        ("INSUFFICIENT_DATA(grey)", True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:red)", True),
        ("TRUE", True),
        ("FALSE", False),
        ("NOT ALARM(green)", True),
        ("NOT ALARM(red) OR ALARM(red)", True),
        ("ALARM(red) OR ALARM(red) AND FALSE", True),
        ("(ALARM(red) OR ALARM(red)) AND FALSE", False),
        ("NOT (ALARM(red) AND OK(green))", False),
        ("ALARM(red)\n  AND (OK(green) AND NOT (ALARM(grey) OR OK(grey)))", True),
    ],
)
def test_composite_rule(account: Account, rule: str, holds: bool) -> None:
    """ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, NOT, AND, OR and parentheses."""
    for name, state, treatment in (("red", "ALARM", "breaching"), ("green", "OK", "notBreaching"), ("grey", "", "")):
        account.alarm(name, TreatMissingData=treatment or "missing")
        if state:
            account.set(state, name)
    account.composite("any", rule)
    account.at(60)
    assert account.state("any") == ("ALARM" if holds else "OK")


@pytest.mark.parametrize("rule", ["ALARM(errors", "ALARM(errors) ALARM(errors)", "AND", "NOT", "ALARM(nobody)"])
def test_composite_rule_that_cannot_be(account: Account, rule: str) -> None:
    """Syntax errors are refused, and so are rules over alarms that do not exist."""
    account.alarm()
    assert refusal(lambda: account.composite("any", rule)) == "ValidationError"


def test_composites_follow_their_children_at_once(account: Account) -> None:
    """User guide, "Create a composite alarm": it changes when a child does, through every level."""
    account.alarm()
    account.composite("inner", "ALARM(errors)")
    account.composite("outer", "NOT OK(inner)")
    account.set("ALARM")
    assert [account.state(name) for name in ("inner", "outer")] == ["ALARM", "ALARM"]
    account.set("OK")
    assert [account.state(name) for name in ("inner", "outer")] == ["OK", "OK"]


def test_composite_set_by_hand_stays_until_a_child_changes(account: Account) -> None:
    """API reference, SetAlarmState: a composite alarm returns once one of its children changes state."""
    account.alarm(TreatMissingData="ignore")
    account.composite("any", "ALARM(errors)")
    account.at(60)
    account.set("ALARM", "any")
    account.at(300)
    assert account.state("any") == "ALARM"
    account.set("OK")
    assert account.state("any") == "OK"


# DescribeAlarms and DescribeAlarmHistory: API reference of these names.


def test_describe_alarms_returns_metric_alarms_unless_asked_for_more(account: Account) -> None:
    """AlarmTypes: if it is omitted, only metric alarms are returned. Empty lists are there (recorded facts, C1)."""
    account.alarm()
    account.composite("any", "ALARM(errors)")
    found = account.sdk.describe_alarms(AlarmNames=["errors", "any"])
    assert [alarm["AlarmName"] for alarm in found["MetricAlarms"]] == ["errors"]
    assert found["CompositeAlarms"] == []
    found = account.sdk.describe_alarms(AlarmNames=["errors", "any"], AlarmTypes=["CompositeAlarm"])
    assert [alarm["AlarmName"] for alarm in found["CompositeAlarms"]] == ["any"]
    assert found["MetricAlarms"] == []


def test_names_that_do_not_exist_are_absent(account: Account) -> None:
    """DescribeAlarms, AlarmNames: no error tells of them."""
    account.alarm()
    found = account.sdk.describe_alarms(AlarmNames=["errors", "nobody"])["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in found] == ["errors"]


def test_describe_alarms_takes_a_hundred_names(account: Account) -> None:
    """DescribeAlarms, AlarmNames: at most 100 items, which the SDK itself does not check."""
    names = [f"alarm-{number}" for number in range(101)]
    account.sdk.describe_alarms(AlarmNames=names[:100])
    assert refusal(lambda: account.sdk.describe_alarms(AlarmNames=names)) == "ValidationError"


def test_describe_alarms_comes_in_pages(account: Account) -> None:
    """DescribeAlarms, MaxRecords and NextToken."""
    for number in range(60):
        account.alarm(f"alarm-{number:02}")
    first = account.sdk.describe_alarms()
    assert len(first["MetricAlarms"]) == 50
    rest = account.sdk.describe_alarms(NextToken=first["NextToken"])
    assert len(rest["MetricAlarms"]) == 10
    assert "NextToken" not in rest
    assert len(account.sdk.describe_alarms(MaxRecords=100)["MetricAlarms"]) == 60


def test_history_tells_of_every_transition(account: Account) -> None:
    """DescribeAlarmHistory: StateUpdate items, newest first, whose HistoryData is JSON with both states."""
    account.alarm()
    account.at(10)
    account.set("ALARM")
    account.at(20)
    account.set("OK")
    history = account.sdk.describe_alarm_history
    items = history(AlarmName="errors", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    told = ["Alarm updated from ALARM to OK", "Alarm updated from INSUFFICIENT_DATA to ALARM"]
    assert [item["HistorySummary"] for item in items] == told
    data = json.loads(items[0]["HistoryData"])
    assert (data["oldState"]["stateValue"], data["newState"]["stateValue"]) == ("ALARM", "OK")
    since = history(StartDate=START + timedelta(seconds=15), ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [item["Timestamp"] for item in since] == [START + timedelta(seconds=20)]


def test_history_is_of_metric_alarms_unless_asked_for_more(account: Account) -> None:
    """DescribeAlarmHistory, AlarmTypes: if it is omitted, only metric alarms are returned."""
    account.alarm()
    account.composite("any", "ALARM(errors)")
    account.set("ALARM")
    history = account.sdk.describe_alarm_history
    updates = {"HistoryItemType": "StateUpdate"}
    assert {item["AlarmName"] for item in history(**updates)["AlarmHistoryItems"]} == {"errors"}
    asked = history(AlarmTypes=["CompositeAlarm"], **updates)["AlarmHistoryItems"]
    assert {item["AlarmName"] for item in asked} == {"any"}


# Events: user guide, "Alarm events and EventBridge".


def test_transition_is_an_event(account: Account) -> None:
    """The detail of "CloudWatch Alarm State Change": name, both states, and the configuration."""
    account.alarm(AlarmDescription="too many", Dimensions=[{"Name": "FunctionName", "Value": "checkout"}])
    account.put(0, [9], FunctionName="checkout")
    account.at(60)
    (event,) = account.events
    assert event["alarmName"] == "errors"
    assert (event["previousState"]["value"], event["state"]["value"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert event["state"]["timestamp"] == "2026-01-05T12:01:00.000+0000"
    assert json.loads(event["state"]["reasonData"])["recentDatapoints"] == [9]
    assert event["configuration"]["description"] == "too many"
    (metric,) = event["configuration"]["metrics"]
    assert metric["metricStat"]["metric"]["dimensions"] == {"FunctionName": "checkout"}


def test_transition_of_a_composite_names_its_rule(account: Account) -> None:
    """As above, for a composite alarm: alarmRule instead of metrics."""
    account.alarm()
    account.composite("any", "ALARM(errors)")
    account.set("ALARM")
    assert [event["alarmName"] for event in account.events] == ["errors", "any"]
    assert account.events[1]["configuration"] == {"alarmRule": "ALARM(errors)"}
    (trigger,) = json.loads(account.events[1]["state"]["reasonData"])["triggeringAlarms"]
    assert trigger["state"]["value"] == "ALARM"


# Actions: user guide, "Alarm actions".

TOPIC = "arn:aws:sns:us-east-1:123456789012:people"


def notices() -> list[tuple[str, str]]:
    """Subject and new state of what reached the topic's subscriber."""
    queue = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    found = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    bodies = [json.loads(one["Body"]) for one in found]
    return [(body["Subject"], json.loads(body["Message"])["NewStateValue"]) for body in bodies]


def subscribe() -> None:
    client("sqs").create_queue(QueueName="inbox")
    client("sns").create_topic(Name="people")
    inbox = "arn:aws:sqs:us-east-1:123456789012:inbox"
    client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=inbox)


@pytest.mark.parametrize(
    ("key", "state"), [("OKActions", "OK"), ("AlarmActions", "ALARM"), ("InsufficientDataActions", "INSUFFICIENT_DATA")]
)
def test_only_the_transition_into_a_state_takes_its_actions(account: Account, key: str, state: str) -> None:
    """A state that persists acts no more, and a new alarm, which begins without data, has changed nothing yet."""
    subscribe()
    account.alarm(**{key: [TOPIC]})
    for entered in ("INSUFFICIENT_DATA", "ALARM", "OK", "INSUFFICIENT_DATA", "INSUFFICIENT_DATA"):
        account.set(entered)
    account.at(1)
    assert notices() == [(f'{state}: "errors" in us-east-1', state)]


def test_an_alarm_whose_actions_are_off_tells_nobody(account: Account) -> None:
    """API reference, PutMetricAlarm, ActionsEnabled."""
    subscribe()
    account.alarm(AlarmActions=[TOPIC], ActionsEnabled=False)
    account.set("ALARM")
    account.at(1)
    assert notices() == []


@pytest.mark.parametrize("action", [TOPIC, "arn:aws:automate:us-east-1:ec2:stop"])
def test_an_action_that_cannot_be_taken_is_in_the_history(account: Account, action: str) -> None:
    """User guide: CloudWatch does not test the actions that are named, nor tells of the errors that they meet."""
    account.alarm(AlarmActions=[action])
    account.set("ALARM")
    account.at(1)
    (item,) = account.sdk.describe_alarm_history(HistoryItemType="Action")["AlarmHistoryItems"]
    assert item["HistorySummary"].startswith(f"Failed to execute action {action}")
