"""Both versions' requests, minute by minute: exactly the alias's, complete or not at all, and nothing made up."""

import pytest

from aws import metrics
from rollout.errors import AwsUnavailable, PermissionDenied
from rollout.observation import Counts, Minute
from sandbox.world import STARTED_AT

GET = "cloudwatch.GetMetricData"
#: Ten requests in each of the first two minutes go to version 2, and later ones as the default traffic has them.
REPLAY = [
    {"t": 0, "b": {"n": 90, "errors": 2, "slow": 3}, "c": {"n": 10, "errors": 1, "slow": 4}},
    {"t": 1, "b": {"n": 80, "errors": 0, "slow": 0}, "c": {"n": 20, "errors": 5, "slow": 0}},
]
SPLIT = {"alias": {"weights": {"2": 0.1}}, "metric_delay_seconds": 0, "replay": REPLAY}


def read(minutes=2, start=STARTED_AT, slow_above_ms=1000.0, **what):
    names = {"function_name": "checkout", "alias_name": "live", "stable": "1", "candidate": "2", **what}
    end = STARTED_AT + 60 * minutes - 1
    return metrics.read_minutes(*names.values(), start=start, end=end, slow_above_ms=slow_above_ms)


def status(world, code, **more):
    """Have CloudWatch answer with this status for one of the queries."""

    def answer(_params, proceed):
        found = proceed()
        first, *others = found["MetricDataResults"]
        return {**found, "MetricDataResults": [{**first, "StatusCode": code}, *others], **more}

    world.boundary.correct(GET, answer)


def test_each_version_is_counted_by_itself(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    assert read() == (
        Minute(STARTED_AT, Counts(90, 2, 3), Counts(10, 1, 4)),
        Minute(STARTED_AT + 60, Counts(80, 0, 0), Counts(20, 5, 0)),
    )


def test_slow_requests_are_counted_only_where_a_limit_asks_for_them(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    asked = []
    world.boundary.listen(lambda call: asked.append(len(call.params["MetricDataQueries"])))
    assert [minute.candidate for minute in read(slow_above_ms=None)] == [Counts(10, 1, 0), Counts(20, 5, 0)]
    read()
    assert asked == [4, 6]


def test_a_request_as_slow_as_the_limit_is_not_slower(inhabit):
    """CloudWatch user guide, "Statistics definitions": the lower bound of a trimmed count is exclusive."""
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    slow_ms = 4000  # as replayed traffic has it
    assert read(slow_above_ms=slow_ms)[0].candidate.slow == 0
    assert read(slow_above_ms=slow_ms - 0.5)[0].candidate.slow == 4


def test_a_minute_without_requests_is_absent(inhabit):
    world = inhabit(requests_per_minute=0)
    world.clock.sleep(600)
    assert read(10) == ()


def test_a_version_without_requests_counts_nothing_in_a_minute_of_the_other(inhabit):
    world = inhabit(metric_delay_seconds=0)
    world.clock.sleep(60)
    (minute,) = read(1)
    assert minute.stable.requests == 600
    assert minute.candidate == Counts()


def test_a_minute_that_cloudwatch_has_not_received_yet_is_absent(inhabit):
    world = inhabit(**{**SPLIT, "metric_delay_seconds": 90})
    world.clock.sleep(150)
    assert [minute.at for minute in read()] == [STARTED_AT]
    world.clock.sleep(60)
    assert [minute.at for minute in read()] == [STARTED_AT, STARTED_AT + 60]


def test_minutes_begin_with_the_one_that_holds_the_start_and_come_in_order(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(300)
    minutes = [(minute.at - STARTED_AT) / 60 for minute in read(4, start=STARTED_AT + 59)]
    assert minutes == [0, 1, 2, 3]
    assert read(4, start=STARTED_AT + 60)[0].at == STARTED_AT + 60


def test_the_dimensions_are_exactly_those_of_the_alias_and_the_version(inhabit):
    world = inhabit(**SPLIT)
    asked = []
    world.boundary.listen(asked.append)
    read()
    (call,) = asked
    queries = {query["Id"]: query["MetricStat"] for query in call.params["MetricDataQueries"]}
    assert {name: (stat["Metric"]["MetricName"], stat["Stat"], stat["Period"]) for name, stat in queries.items()} == {
        f"{role}_{count}": (*what, 60)
        for role in ("stable", "candidate")
        for count, what in {
            "requests": ("Invocations", "Sum"),
            "errors": ("Errors", "Sum"),
            "slow": ("Duration", "TC(1000.000:)"),
        }.items()
    }
    for name, stat in queries.items():
        assert stat["Metric"]["Namespace"] == "AWS/Lambda"
        assert stat["Metric"]["Dimensions"] == [
            {"Name": "FunctionName", "Value": "checkout"},
            {"Name": "Resource", "Value": "checkout:live"},
            {"Name": "ExecutedVersion", "Value": "1" if name.startswith("stable") else "2"},
        ]


@pytest.mark.parametrize("elsewhere", [{"alias_name": "beta"}, {"function_name": "basket"}])
def test_requests_elsewhere_are_not_counted(inhabit, elsewhere):
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    assert read(**elsewhere) == ()


def test_direct_invocations_of_the_version_are_not_counted(inhabit, somebody):
    world = inhabit(metric_delay_seconds=0, requests_per_minute=0)
    somebody("lambda.invoke", FunctionName="checkout", Qualifier="1")
    world.clock.sleep(120)
    assert read() == ()


def test_a_long_answer_is_read_to_its_last_page(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    whole, tokens = read(), []

    def page(params, proceed):
        """As many pages as queries, each with one query's datapoints; all but the last are PartialData."""
        found, number = proceed(), int(params.get("NextToken", "0"))
        tokens.append(params.get("NextToken"))
        results = found["MetricDataResults"]
        last = number == len(results) - 1
        part = {**results[number], "StatusCode": "Complete" if last else "PartialData"}
        return {"MetricDataResults": [part], **({} if last else {"NextToken": str(number + 1)})}

    world.boundary.correct(GET, page)
    assert read() == whole
    assert tokens == [None, "1", "2", "3", "4", "5"]


def test_the_span_stays_below_what_one_call_returns(inhabit):
    """GetMetricData returns at most 100,800 datapoints a call."""
    world = inhabit(requests_per_minute=0)
    asked = []
    world.boundary.listen(asked.append)
    read(start=STARTED_AT - 40 * 86_400)
    (call,) = asked
    minutes = (call.params["EndTime"] - call.params["StartTime"]).total_seconds() / 60
    assert minutes * len(call.params["MetricDataQueries"]) <= 100_800
    assert call.params["EndTime"].timestamp() == STARTED_AT + 120


@pytest.mark.parametrize("code", ["PartialData", "InternalError"])
def test_an_incomplete_answer_is_to_be_asked_for_again(inhabit, code):
    world = inhabit(**SPLIT)
    status(world, code)
    with pytest.raises(AwsUnavailable, match=f"CloudWatch answered {code} for stable_requests"):
        read()


def test_an_internal_error_is_one_also_where_more_pages_follow(inhabit):
    world = inhabit(**SPLIT)
    status(world, "InternalError", NextToken="more")
    with pytest.raises(AwsUnavailable):
        read()


def test_a_forbidden_metric_says_what_to_allow(inhabit):
    world = inhabit(**SPLIT)
    status(world, "Forbidden")
    with pytest.raises(PermissionDenied, match=r"stable_requests: allow cloudwatch:GetMetricData"):
        read()


@pytest.mark.parametrize("error", ["Throttling", "InternalServiceError", "lost_response"])
def test_metrics_that_cannot_be_read_are_not_taken_for_no_traffic(inhabit, error):
    inhabit(**SPLIT, faults=[{"call": GET, "error": error, "times": "always"}])
    with pytest.raises(AwsUnavailable, match="read the alias's metrics"):
        read()
