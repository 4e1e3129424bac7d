"""CloudWatch's metrics as the sandbox serves them: one test per rule of AWS, seen through a real SDK client.

Sources are the CloudWatch user guide and API reference, named in each test. Metrics come in through PutMetricData.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

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


# GetMetricData, more than one answer holds.


def paged(account: Account, between: Callable[[], object] = lambda: None, **asked: Any) -> list[dict[str, Any]]:
    """Every answer about `Errors` of two kinds; `between` them something happens."""
    dimensions = [[{"Name": "kind", "Value": kind}] for kind in ("first", "second")]
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": "Shop", "MetricName": "Errors", "Dimensions": named},
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for number, named in enumerate(dimensions)
    ]
    call = {"MetricDataQueries": queries, "StartTime": START, "EndTime": START + timedelta(minutes=9), **asked}
    answers = [account.sdk.get_metric_data(**call)]
    while token := answers[-1].get("NextToken"):
        between()
        answers.append(account.sdk.get_metric_data(**call, NextToken=token))
    return answers


@pytest.fixture
def two_kinds(account: Account) -> Account:
    for minute in range(4):
        account.put(minute, [minute + 1], kind="first")
    for minute in range(2):
        account.put(minute, [10 * (minute + 1)], kind="second")
    account.at(300)
    return account


def shown(answer: dict[str, Any]) -> list[tuple[list[float], str]]:
    return [(result["Values"], result["StatusCode"]) for result in answer["MetricDataResults"]]


def test_an_answer_holds_max_datapoints_and_says_what_goes_on(two_kinds: Account) -> None:
    """API reference, GetMetricData: MaxDatapoints counts all queries' together, and TimestampDescending has the newest
    first; MetricDataResult, StatusCode: PartialData where NextToken brings more.
    """
    first, second = paged(two_kinds, MaxDatapoints=4)
    assert shown(first) == [([4, 3, 2], "PartialData"), ([20], "PartialData")]
    assert shown(second) == [([1], "Complete"), ([10], "Complete")]
    assert "NextToken" not in second


def test_pages_go_forward_from_the_oldest_where_asked(two_kinds: Account) -> None:
    """API reference, GetMetricData, ScanBy: TimestampAscending returns the oldest data first and paginates."""
    pages = paged(two_kinds, MaxDatapoints=4, ScanBy="TimestampAscending")
    assert [shown(page) for page in pages] == [
        [([1, 2], "PartialData"), ([10, 20], "Complete")],
        [([3, 4], "Complete"), ([], "Complete")],
    ]


def test_as_many_datapoints_as_an_answer_holds_need_no_second_one(two_kinds: Account) -> None:
    (answer,) = paged(two_kinds, MaxDatapoints=6)
    assert {status for _, status in shown(answer)} == {"Complete"}


def test_what_comes_in_between_two_pages_moves_none(two_kinds: Account) -> None:
    """A datapoint that is newer than what was returned belongs to a page that is over (chosen)."""
    pages = paged(two_kinds, MaxDatapoints=4, between=lambda: (two_kinds.put(4, [5], kind="first"), two_kinds.at(420)))
    assert [shown(page) for page in pages] == [
        [([4, 3, 2], "PartialData"), ([20], "PartialData")],
        [([1], "Complete"), ([10], "Complete")],
    ]


def test_an_answer_holds_100_800_datapoints(account: Account) -> None:
    """API reference, GetMetricData, MaxDatapoints: the default; and the first paragraph: as many in total."""
    days = 71
    minutes = {int(START.timestamp()) - 60 * minute: {1.0: 1} for minute in range(1, days * 1440 + 1)}
    account.cloudwatch.record_all({"kind": "first"}, {"Errors": minutes}, "Shop")
    asked = {"StartTime": START - timedelta(days=days)}
    for more in ({}, {"MaxDatapoints": 200_000}):
        first, second = paged(account, **asked, **more)
        lengths = [len(page["MetricDataResults"][0]["Values"]) for page in (first, second)]
        assert lengths == [100_800, days * 1440 - 100_800]
        assert first["MetricDataResults"][0]["StatusCode"] == "PartialData"


@pytest.mark.parametrize(
    ("asked", "code"),
    [({"NextToken": "bogus"}, "InvalidNextToken"), ({"MaxDatapoints": 0}, "ValidationError")],
)
def test_a_page_that_cannot_be_is_refused(two_kinds: Account, asked: dict[str, Any], code: str) -> None:
    """API reference, GetMetricData, Errors: InvalidNextToken."""
    assert refusal(lambda: paged(two_kinds, **asked)) == code


def test_500_queries_are_answered(account: Account) -> None:
    """API reference, GetMetricData, MetricDataQueries: a single call can include as many as 500."""
    account.put(0, [1])
    account.at(60)
    metric = {"Namespace": "Shop", "MetricName": "Errors"}
    queries = [
        {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}} for number in range(500)
    ]
    answer = account.sdk.get_metric_data(
        MetricDataQueries=queries, StartTime=START, EndTime=START + timedelta(minutes=1)
    )
    assert [result["Values"] for result in answer["MetricDataResults"]] == [[1]] * 500
