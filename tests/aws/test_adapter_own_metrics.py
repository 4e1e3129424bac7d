"""Metrics of the user's own as they are read: of each version, of the day before, and of a long rollout whole."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sandbox.world import STARTED_AT
from tidegate.alias import Alias
from tidegate.analysis.metric import TOLERATED_ERRORS, CustomMetric, Series
from tidegate.analysis.queries import Asked
from tidegate.aws import metrics

DAY = 86_400
LIVE = Alias("checkout", "live")
FAILED = Series("Shop", "OrdersFailed", (("service", "checkout"), ("version", "{version}")))
ORDERS = CustomMetric("orders failed", TOLERATED_ERRORS, FAILED)
MEMORY = CustomMetric("memory", TOLERATED_ERRORS, Series("Shop", "Memory", FAILED.dimensions), above="p99")
TOLD = {"namespace": "Shop", "version_dimension": "version", "dimensions": {"service": "checkout"}}
USED = {
    **TOLD,
    "name": "Memory",
    "values": {"stable": {"median": 60, "p99": 90}, "candidate": {"median": 60, "p99": 90}},
}


TEN = tuple(replace(MEMORY, name=f"m{number}") for number in range(10))
#: 77 queries.
MUCH = Asked({"p50": 60.0, "p90": 80.0, "p99": 90.0}, 500.0, TEN, {one.name: 90.0 for one in TEN})


def test_a_day_with_ten_metrics_is_read_whole(inhabit, somebody):
    """77 queries of 1,440 minutes are more than the 100,800 datapoints of one answer (API reference, GetMetricData)."""
    world = inhabit(requests_per_minute=0, metric_delay_seconds=0)
    alias = {"FunctionName": "checkout", "Resource": "checkout:live", "ExecutedVersion": "2"}
    for namespace, named, values in (
        ("AWS/Lambda", alias, {"Invocations": 1}),
        ("Shop", {"service": "checkout", "version": "2"}, {"Memory": 95}),
    ):
        data = [
            {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": each} for key, each in named.items()],
                "Timestamp": datetime.fromtimestamp(STARTED_AT + 60 * minute, UTC),
                "Value": value,
            }
            for name, value in values.items()
            for minute in range(DAY // 60)
        ]
        somebody("cloudwatch.put_metric_data", Namespace=namespace, MetricData=data)
    world.clock.sleep(DAY)
    calls = []
    world.boundary.listen(calls.append)
    minutes = metrics.read_rollout(
        LIVE, "1", "2", first_shift_at=STARTED_AT, shifted_at=STARTED_AT, now=STARTED_AT + DAY, asked=MUCH
    )
    assert [minute.at for minute in minutes] == [STARTED_AT + 60 * number for number in range(1440)]
    assert {minute.candidate.trials("m9") for minute in minutes} == {(1, 1)}
    assert [len(call.params["MetricDataQueries"]) for call in calls] == [77, 77]


@pytest.mark.parametrize(("asked", "periods"), [(MUCH, {60, 900}), (Asked({}), {60})])
def test_beyond_two_answers_what_is_older_is_read_by_the_quarter_hour(inhabit, asked, periods):
    world = inhabit(requests_per_minute=0)
    calls = []
    world.boundary.listen(calls.append)
    now = STARTED_AT + 2 * DAY
    metrics.read_rollout(LIVE, "1", "2", first_shift_at=STARTED_AT, shifted_at=STARTED_AT, now=now, asked=asked)
    stats = [query["MetricStat"] for call in calls for query in call.params["MetricDataQueries"]]
    assert {stat["Period"] for stat in stats} == periods


def test_the_day_before_of_a_metric_is_that_of_the_stable_version(inhabit):
    inhabit(metrics=[{**TOLD, "name": "OrdersFailed", "counts": {"stable": 0.01, "candidate": 0.5}}, USED])
    day = metrics.read_baseline(LIVE, before=STARTED_AT, stable="1", metrics=(ORDERS, MEMORY))
    orders, memory = day.of("orders failed"), day.of("memory")
    assert orders.trials == day.requests
    assert 0.009 < orders.bad / orders.trials < 0.011
    assert orders.above is None
    assert memory.trials == day.requests
    assert 80 < memory.above < 100
    other = metrics.read_baseline(LIVE, before=STARTED_AT, stable="2", metrics=(ORDERS, MEMORY))
    assert [one.trials for one in other.metrics] == [0, 0]
