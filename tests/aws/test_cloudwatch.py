"""CloudWatch's metrics as the sandbox serves them: one test per rule of AWS, seen through a real SDK client.

Sources are the CloudWatch user guide and API reference, named in each test. Metrics come in through PutMetricData.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.aws.cloudwatch_account import START, Account, refusal

# GetMetricData: API reference of that name, and user guide, "CloudWatch statistics definitions".


def test_metric_answers_to_its_exact_dimensions_only(account: Account) -> None:
    """User guide, "Metrics concepts": each combination of dimensions is a metric of its own."""
    account.put(0, [1], FunctionName="checkout", Resource="checkout:live")
    account.at(60)
    function, alias = (
        {"Name": "FunctionName", "Value": "checkout"},
        {"Name": "Resource", "Value": "checkout:live"},
    )
    assert account.values(dimensions=[alias, function]) == [1]
    assert account.values(dimensions=[function]) == account.values() == []


def test_no_data_is_complete_and_empty(account: Account) -> None:
    """API reference, MetricDataResult: Complete says that all there is was returned, also where that is nothing."""
    found = account.query()
    assert (found["Values"], found["StatusCode"]) == ([], "Complete")


def test_newest_datapoint_comes_first_unless_asked_otherwise(account: Account) -> None:
    """API reference, GetMetricData, ScanBy: TimestampDescending is the default."""
    account.put(0, [1])
    account.put(1, [2])
    account.at(120)
    found = account.query()
    assert found["Values"] == [2, 1]
    assert found["Timestamps"] == [START + timedelta(minutes=1), START]
    assert account.query(ScanBy="TimestampAscending")["Values"] == [1, 2]


def test_start_is_inclusive_and_end_exclusive(account: Account) -> None:
    """API reference, GetMetricData, StartTime (rounded down to the minute) and EndTime."""
    for minute in range(4):
        account.put(minute, [minute + 1])
    account.at(300)
    assert account.values(minutes=(1, 3)) == [2, 3]
    assert account.values(minutes=(1.5, 3)) == [2, 3]


def test_period_gathers_minutes(account: Account) -> None:
    """API reference, MetricStat, Period."""
    for minute in range(5):
        account.put(minute, [1, 2])
    account.at(300)
    assert account.values(period=120, minutes=(0, 5)) == [6, 6, 3]
    assert account.values("SampleCount", period=300, minutes=(0, 5)) == [10]
    assert account.values("p50", period=300, minutes=(0, 5)) == [1]


def test_datapoint_appears_after_its_delay(late_account: Account) -> None:
    """Developer guide of Lambda, "Types of metrics": a minute is sent after its end; how late is the scenario's."""
    late_account.put(0, [1])
    late_account.at(149)
    assert late_account.values() == []
    late_account.at(150)
    assert late_account.values() == [1]


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("Sum", 5050),
        ("SampleCount", 100),
        ("Average", 50.5),
        ("Maximum", 100),
        ("Minimum", 1),
        ("p99", 99),
        ("p50", 50),
        ("p99.9", 100),
        ("TC(:80)", 80),
        ("TC(80:)", 20),
        ("TC(100:)", 0),
        ("TC(10:20)", 10),
        ("TC(10%:90%)", 80),
        ("tc90", 90),
        ("TS(:10)", 55),
        ("TM(0:2)", 1.5),
        ("tm10", 5.5),
        ("IQM", 50.5),
        ("PR(:80)", 80),
        ("PR(20:80)", 60),
    ],
)
def test_statistics_are_computed_from_raw_samples(account: Account, stat: str, expected: float) -> None:
    """Statistics definitions; of absolute bounds the lower one is exclusive and the upper one inclusive."""
    account.put(0, range(1, 51))
    account.put(0, range(51, 101))
    account.at(60)
    assert account.values(stat) == [expected]


@pytest.mark.parametrize("stat", ["p101", "P99", "TC(:)", "PR(1%:2%)", "TC(1:2%)", "Median", "tc(1:2)"])
def test_unknown_statistic_is_refused(account: Account, stat: str) -> None:
    """Statistics definitions, syntax: lower case with one number, upper case with a range."""
    assert refusal(lambda: account.query(stat)) == "ValidationError"


@pytest.mark.parametrize("fault", ["501 queries", "an Id twice", "an Id with a capital", "a Period of 90"])
def test_get_metric_data_refuses(account: Account, fault: str) -> None:
    """API reference, GetMetricData and MetricDataQuery."""
    metric = {"Namespace": "Shop", "MetricName": "Errors"}
    ids = {"501 queries": [f"m{i}" for i in range(501)], "an Id twice": ["m", "m"], "an Id with a capital": ["M"]}
    period = 90 if fault == "a Period of 90" else 60
    queries = [
        {"Id": each, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}
        for each in ids.get(fault, ["m"])
    ]
    times = {"StartTime": START, "EndTime": START + timedelta(hours=1)}
    assert refusal(lambda: account.sdk.get_metric_data(MetricDataQueries=queries, **times)) == "ValidationError"


def test_empty_time_range_is_refused(account: Account) -> None:
    """API reference, GetMetricData, EndTime: it is later than StartTime."""
    assert refusal(lambda: account.query(minutes=(5, 5))) == "ValidationError"


def test_wrong_unit_finds_nothing(account: Account) -> None:
    """API reference, MetricStat, Unit: only data of that unit is returned, and no error says so."""
    account.put(0, [1])
    account.at(60)
    assert account.values(of={"Unit": "Count"}) == [1]
    assert account.values(of={"Unit": "Milliseconds"}) == []
