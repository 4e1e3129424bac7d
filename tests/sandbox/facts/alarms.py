"""CloudWatch: what calls were answered, and what alarms left in their history and sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.aws.stack import client
from tests.aws.cloudwatch_account import Account
from tests.sandbox.facts.fact import Fact, body, of, refused

TOPIC = "arn:aws:sns:us-east-1:123456789012:people"


def new(account: Account) -> dict[str, Any]:
    account.alarm()
    return body(account.sdk.describe_alarms(AlarmNames=["errors"]))


def fired(account: Account, **settings: Any) -> dict[str, Any]:
    """The alarm, of a unit, after a minute with the samples 5 and 7."""
    account.alarm(Statistic="Average", Threshold=5, Unit="Count", TreatMissingData="ignore", **settings)
    account.put(0, [5, 7])
    account.at(120)
    (alarm,) = account.sdk.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    return dict(alarm)


def noted(account: Account) -> dict[str, Any]:
    """The newest item of the alarm's history."""
    fired(account)
    items = account.sdk.describe_alarm_history(AlarmName="errors", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    return dict(items[0])


def moves(account: Account) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(noted(account)["HistoryData"])
    return data


def reason_data(account: Account) -> Any:
    data = moves(account)["newState"]["stateReasonData"]
    dated = {key: bool(data.pop(key)) for key in ("queryDate", "startDate")}
    return dated, [bool(each.pop("timestamp")) for each in data["evaluatedDatapoints"]], data


def without_data(account: Account) -> Any:
    account.alarm(EvaluationPeriods=2, TreatMissingData="breaching")
    account.at(300)
    (alarm,) = account.sdk.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    data = json.loads(alarm["StateReasonData"])
    evaluated = [list(each) for each in data["evaluatedDatapoints"]]
    return alarm["StateValue"], alarm["StateReason"], "startDate" in data, data["recentDatapoints"], evaluated


def composite(*states: str) -> Callable[[Account], Any]:
    """The state of a composite alarm, and who is told to have triggered it, as its first child enters these states."""

    def seen(account: Account) -> Any:
        account.alarm("one")
        account.alarm("two")
        for child in ("one", "two"):
            account.set("OK", child)
        account.composite("any", 'ALARM("one") OR ALARM("two")')
        for state in states:
            account.set(state, "one")
        (alarm,) = account.sdk.describe_alarms(AlarmNames=["any"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        triggers = json.loads(alarm["StateReasonData"])["triggeringAlarms"]
        return alarm["StateValue"], [(each["arn"].rpartition(":")[2], each["state"]["value"]) for each in triggers]

    return seen


def notice(account: Account) -> Any:
    """What a queue reads that hears of a topic about which nothing was said."""
    client("sns").create_topic(Name="people")
    queue = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")
    fired(account, AlarmActions=[TOPIC])
    account.at(180)
    (message,) = client("sqs").receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(json.loads(message["Body"])["Message"])
    return of(told, "AlarmName", "OldStateValue", "NewStateValue")


MINIMAL = "LS cloudwatch test_describe_minimal_metric_alarm, 19-09-2025"
PUT = "LS cloudwatch test_put_metric_alarm, 26-02-2026"
INPUT = "LS cloudwatch test_set_alarm_invalid_input, 22-09-2025"
COMPOSITE = "LS cloudwatch test_trigger_composite_alarm, 19-09-2025"
BREACHING = "LS cloudwatch test_breaching_alarm_actions, 19-09-2025"

ALARMS = [
    Fact(
        "C1",
        "DescribeAlarms has the list of composite alarms, empty as it is",
        MINIMAL,
        lambda account: new(account)["CompositeAlarms"],
        [],
    ),
    Fact(
        "C2",
        "a new alarm has insufficient data",
        MINIMAL,
        lambda account: of(new(account)["MetricAlarms"][0], "StateValue", "StateReason", "StateReasonData"),
        ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation", None),
    ),
    Fact(
        "C3",
        "actions are on, and lists of none are there",
        MINIMAL,
        lambda account: of(
            new(account)["MetricAlarms"][0],
            *("ActionsEnabled", "Dimensions", "OKActions", "AlarmActions", "InsufficientDataActions"),
        ),
        (True, [], [], [], []),
    ),
    Fact(
        "C4",
        "SetAlarmState to a state that is none",
        INPUT,
        lambda account: (account.alarm(), refused(lambda: account.set("INVALID")))[1],
        (
            400,
            "ValidationError",
            (
                "1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: Member must"
                " satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
            ),
        ),
    ),
    Fact(
        "C8",
        "SetAlarmState of an alarm that is none: without a text",
        INPUT,
        lambda account: refused(lambda: account.set("OK", "nobody"))[:2],
        (404, "ResourceNotFound"),
    ),
    Fact(
        "C5",
        "a change of state is an item of history",
        PUT,
        lambda account: of(noted(account), "AlarmType", "HistoryItemType", "HistorySummary"),
        ("MetricAlarm", "StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
    ),
    Fact(
        "C6",
        "its data tell the state before",
        PUT,
        lambda account: of(moves(account), "version", "oldState"),
        ("1.0", {"stateValue": "INSUFFICIENT_DATA", "stateReason": "Unchecked: Initial alarm creation"}),
    ),
    Fact(
        "C7",
        "and the one after",
        PUT,
        lambda account: moves(account)["newState"]["stateValue"],
        "ALARM",
    ),
    Fact(
        "C7b",
        "with unit, statistic and the datapoints that were evaluated",
        PUT,
        reason_data,
        (
            {"queryDate": True, "startDate": True},
            [True],
            {
                "version": "1.0",
                "unit": "Count",
                "statistic": "Average",
                "period": 60,
                "recentDatapoints": [6.0],
                "threshold": 5.0,
                "evaluatedDatapoints": [{"sampleCount": 2.0, "value": 6.0}],
            },
        ),
    ),
    Fact(
        "C9", "a composite alarm names who triggered it", COMPOSITE, composite("ALARM"), ("ALARM", [("one", "ALARM")])
    ),
    Fact(
        "C10",
        "and who brought it back",
        COMPOSITE,
        composite("ALARM", "OK"),
        ("OK", [("one", "OK")]),
    ),
    Fact(
        "C11",
        "GetMetricData without a datapoint is complete",
        "LS cloudwatch test_get_metric_with_no_results, 19-09-2025",
        lambda account: of(account.query(), "StatusCode", "Timestamps", "Values"),
        ("Complete", [], []),
    ),
    Fact(
        "C12",
        "an alarm that fires for want of data says so",
        BREACHING,
        without_data,
        (
            "ALARM",
            (
                "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as"
                " [Breaching]."
            ),
            False,
            [],
            [["timestamp"], ["timestamp"]],
        ),
    ),
    Fact(
        "N1",
        "an alarm's notice reaches a topic of its account that has nothing but its default policy",
        BREACHING,
        notice,
        ("errors", "INSUFFICIENT_DATA", "ALARM"),
    ),
]
