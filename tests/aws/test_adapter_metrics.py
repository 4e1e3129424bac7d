"""Both versions' requests, minute by minute: exactly the alias's, complete or not at all, and nothing made up."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from sandbox.world import STARTED_AT
from tidegate.alias import Alias
from tidegate.analysis.measurement import Counts, Minute, TrafficBaseline
from tidegate.analysis.queries import Asked
from tidegate.aws import metrics
from tidegate.errors import AwsUnavailable, PermissionDenied

GET = "cloudwatch.GetMetricData"
#: Ten requests in each of the first two minutes go to version 2, and later ones as the default traffic has them.
REPLAY = [
    {"t": 0, "b": {"n": 90, "errors": 2, "slow": 3}, "c": {"n": 10, "errors": 1, "slow": 4}},
    {"t": 1, "b": {"n": 80, "errors": 0, "slow": 0}, "c": {"n": 20, "errors": 5, "slow": 0}},
]
SPLIT = {"alias": {"weights": {"2": 0.1}}, "metric_delay_seconds": 0, "replay": REPLAY}


HOUR = 3600


def read(minutes=2, start=STARTED_AT, *, alias="live", function="checkout", **what):
    slow, limit_ms = what.pop("slow_above_ms", 1000.0), what.pop("limit_ms", None)
    asked = Asked({} if slow is None else {"p99": slow}, limit_ms)
    span = {"end": STARTED_AT + 60 * minutes - 1, **what}
    return metrics.read_minutes(Alias(function, alias), "1", "2", start=start, asked=asked, **span)


def history(before=STARTED_AT, alias="live"):
    return metrics.read_baseline(Alias("checkout", alias), before=before)


def counted(found):
    return found.requests, found.errors, found.requests_per_minute, found.p99_ms


@pytest.fixture
def count(somebody):
    """`count("Errors", STARTED_AT, {1: 5, 0: 95})` adds samples to a metric of the alias, or of a version behind it."""

    def put(metric, at, samples, version=None):
        dimensions = {"FunctionName": "checkout", "Resource": "checkout:live"}
        dimensions |= {"ExecutedVersion": version} if version else {}
        datum = {
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Timestamp": datetime.fromtimestamp(at, UTC),
            "Values": list(samples),
            "Counts": list(samples.values()),
        }
        somebody("cloudwatch.put_metric_data", Namespace="AWS/Lambda", MetricData=[datum])

    return put


def conceal(world, *ids):
    """Have CloudWatch find nothing for these queries."""

    def answer(_params, proceed):
        found = proceed()
        results = [
            {**result, "Timestamps": [], "Values": []} if result["Id"] in ids else result
            for result in found["MetricDataResults"]
        ]
        return {**found, "MetricDataResults": results}

    world.boundary.correct(GET, answer)


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
        Minute(STARTED_AT, Counts(90, 2, 90, 3), Counts(10, 1, 10, 4)),
        Minute(STARTED_AT + 60, Counts(80, 0, 80, 0), Counts(20, 5, 20, 0)),
    )


def test_durations_are_counted_only_where_a_limit_asks_for_them(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    asked = []
    world.boundary.listen(lambda call: asked.append(len(call.params["MetricDataQueries"])))
    neither, limit, both = (
        [minute.candidate for minute in read(slow_above_ms=slow_above_ms, limit_ms=limit_ms)]
        for slow_above_ms, limit_ms in ((None, None), (None, 1000.0), (1000.0, 5000.0))
    )
    assert neither == [Counts(10, 1), Counts(20, 5)]
    assert limit == [Counts(10, 1, over_limit=4), Counts(20, 5)]
    assert both == [Counts(10, 1, 10, 4), Counts(20, 5, 20)]
    assert asked == [5, 11, 13]


def test_a_request_as_slow_as_the_limit_is_not_slower(inhabit):
    """CloudWatch user guide, "Statistics definitions": the lower bound of a trimmed count is exclusive."""
    world = inhabit(**SPLIT)
    world.clock.sleep(120)
    slow_ms = 4000  # as replayed traffic has it
    at, below = (read(slow_above_ms=limit, limit_ms=limit)[0].candidate for limit in (slow_ms, slow_ms - 0.5))
    assert (at.slow, at.over_limit) == (0, 0)
    assert (below.slow, below.over_limit) == (4, 4)


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


@pytest.mark.parametrize("missing", ["errors", "timed"])
def test_a_count_that_is_missing_beside_requests_is_unknown(inhabit, missing):
    world = inhabit(**SPLIT)
    world.clock.sleep(60)
    known = {"requests": 10, "errors": 1, "timed": 10, "slow": 4, "over_limit": 4}
    conceal(world, f"candidate_{missing}")
    (minute,) = read(limit_ms=1000.0)
    assert minute.candidate == Counts(**{**known, missing: None})
    assert minute.stable == Counts(90, 2, 90, 3, 3)


@pytest.mark.parametrize("count", ["slow", "over_limit"])
def test_a_trimmed_count_that_is_not_published_follows_from_its_other_side(inhabit, count):
    """The CloudWatch user guide does not say whether a trimmed count of none is a datapoint."""
    world = inhabit(**SPLIT)
    world.clock.sleep(60)
    conceal(world, "candidate_band1")
    assert getattr(read(limit_ms=1000.0)[0].candidate, count) == 4
    conceal(world, "candidate_band0")
    assert getattr(read(limit_ms=1000.0)[0].candidate, count) is None


def test_where_every_request_was_slow_the_other_side_is_not_needed(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(60)
    conceal(world, "candidate_not_slow")
    assert read()[0].candidate.slow == 4


def test_a_version_whose_requests_have_not_arrived_counts_nothing_at_all(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(60)
    conceal(world, "candidate_requests")
    assert [minute.candidate for minute in read()] == [Counts()]
    conceal(world, "stable_requests")
    assert read() == ()


def test_a_minute_that_was_incomplete_is_corrected_at_the_next_poll(inhabit, count):
    world = inhabit(**SPLIT)
    world.clock.sleep(60)
    assert read()[0].candidate == Counts(10, 1, 10, 4)
    for metric, samples in {"Invocations": {1: 2}, "Errors": {1: 1, 0: 1}, "Duration": {80: 1, 4000: 1}}.items():
        count(metric, STARTED_AT, samples, version="2")
    assert read()[0].candidate == Counts(12, 2, 12, 5)


def test_throttled_requests_are_the_aliass_and_no_versions(inhabit, count):
    world = inhabit(**SPLIT)
    count("Throttles", STARTED_AT + 60, {1: 7})
    world.clock.sleep(120)
    first, second = read()
    assert (first.throttled, second.throttled) == (0, 7)
    assert second.stable == Counts(80, 0, 80, 0)


def test_a_minute_in_which_everything_was_throttled_is_there(inhabit, count):
    world = inhabit(requests_per_minute=0)
    count("Throttles", STARTED_AT, {1: 7})
    count("Throttles", STARTED_AT + 60, {0: 5})
    world.clock.sleep(240)
    assert read(4) == (Minute(STARTED_AT, Counts(), Counts(), throttled=7),)


def test_longer_periods_hold_several_minutes_and_begin_on_whole_ones(inhabit):
    world = inhabit(**SPLIT)
    world.clock.sleep(400)
    asked = []
    world.boundary.listen(asked.append)
    (minute,) = read(2, start=STARTED_AT + 61, period_seconds=300, slow_above_ms=None)
    assert (minute.at, minute.end, minute.seconds) == (STARTED_AT, STARTED_AT + 300, 300)
    assert minute.stable.requests + minute.candidate.requests == 100 + 100 + 3 * 600
    (call,) = asked
    assert [call.params[key].timestamp() for key in ("StartTime", "EndTime")] == [STARTED_AT, STARTED_AT + 300]


@pytest.mark.parametrize(("end", "last"), [(0, 60), (60, 60), (60.5, 120)])
def test_the_end_is_rounded_up_to_a_whole_period_and_there_is_always_one(inhabit, end, last):
    world = inhabit(**SPLIT)
    asked = []
    world.boundary.listen(asked.append)
    read(end=STARTED_AT + end)
    assert asked[0].params["EndTime"].timestamp() == STARTED_AT + last


def test_the_dimensions_are_exactly_those_of_the_alias_and_the_version(inhabit):
    world = inhabit(**SPLIT)
    asked = []
    world.boundary.listen(asked.append)
    read(limit_ms=800.0)
    (call,) = asked
    queries = {query["Id"]: query["MetricStat"] for query in call.params["MetricDataQueries"]}
    assert {name: (stat["Metric"]["MetricName"], stat["Stat"], stat["Period"]) for name, stat in queries.items()} == {
        f"{role}_{count}": (*what, 60)
        for role in ("stable", "candidate")
        for count, what in {
            "requests": ("Invocations", "Sum"),
            "errors": ("Errors", "Sum"),
            "timed": ("Duration", "SampleCount"),
            "band0": ("Duration", "TC(:800.000)"),
            "band1": ("Duration", "TC(800.000:1000.000)"),
            "band2": ("Duration", "TC(1000.000:)"),
        }.items()
    } | {"throttled": ("Throttles", "Sum", 60)}
    named = {"stable": "1", "candidate": "2"}
    versions = {role: [{"Name": "ExecutedVersion", "Value": version}] for role, version in named.items()}
    versions["throttled"] = []
    for name, stat in queries.items():
        assert stat["Metric"]["Namespace"] == "AWS/Lambda"
        assert stat["Metric"]["Dimensions"] == [
            {"Name": "FunctionName", "Value": "checkout"},
            {"Name": "Resource", "Value": "checkout:live"},
            *versions[name.partition("_")[0]],
        ]


@pytest.mark.parametrize("elsewhere", [{"alias": "beta"}, {"function": "basket"}])
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
        """A few datapoints an answer, as CloudWatch has it where there are too many for one."""
        params["MaxDatapoints"] = 3
        answer = proceed()
        tokens.append(answer.get("NextToken"))
        return answer

    world.boundary.correct(GET, page)
    assert read() == whole
    assert len(tokens) > 3
    assert [token is None for token in tokens] == [False] * (len(tokens) - 1) + [True]


def test_what_one_call_does_not_return_is_asked_for_by_several(inhabit):
    """API reference, GetMetricData: at most 100,800 datapoints a call."""
    world = inhabit(requests_per_minute=0)
    asked = []
    world.boundary.listen(asked.append)
    start = STARTED_AT - 14 * 86_400
    read(start=start, limit_ms=800.0)
    assert len(asked) > 1
    for call in asked:
        minutes = (call.params["EndTime"] - call.params["StartTime"]).total_seconds() / 60
        assert minutes * len(call.params["MetricDataQueries"]) <= 100_800
    spans = [tuple(call.params[key].timestamp() for key in ("StartTime", "EndTime")) for call in asked]
    assert (spans[0][0], spans[-1][1]) == (start, STARTED_AT + 120)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


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


# The day before.


def test_the_day_before_is_the_aliass_own(inhabit):
    inhabit(stable={"error_rate": 0.01}, candidate={"error_rate": 0.5}, metric_delay_seconds=0)
    found = history()
    assert found.requests == 24 * 60 * 600
    assert found.errors == pytest.approx(found.requests / 100, rel=0.05)
    assert found.requests_per_minute == 600
    assert found.p99_ms == pytest.approx(400, rel=0.05)


def test_the_day_before_is_one_call_for_whole_hours_and_their_silences(inhabit):
    """API reference, GetMetricData, StartTime: align both times with the period and the hour."""
    world = inhabit()
    asked = []
    world.boundary.listen(asked.append)
    history(STARTED_AT + 90)
    (call,) = asked
    times = [call.params[key].timestamp() for key in ("StartTime", "EndTime")]
    assert times == [STARTED_AT - 24 * HOUR, STARTED_AT + HOUR]
    for query in call.params["MetricDataQueries"]:
        shorter = {"short": 300, "minute": 60, "minute_bad": 60}
        assert query["MetricStat"]["Period"] == shorter.get(query["Id"], HOUR)
        assert query["MetricStat"]["Metric"]["Dimensions"] == [
            {"Name": "FunctionName", "Value": "checkout"},
            {"Name": "Resource", "Value": "checkout:live"},
        ]


def test_how_alike_the_failures_of_a_minute_are_is_learnt_from_the_last_hour(inhabit, count):
    """Of two hours in which every other minute fails one request in ten, only the last one counts."""
    inhabit(requests_per_minute=0)
    for minute in range(120):
        begins = STARTED_AT - 60 * (minute + 1)
        bad = 120 if minute % 2 and minute < 60 else 60
        count("Invocations", begins, {1: 1200})
        count("Errors", begins, {1: bad, 0: 1200 - bad})
    calm, clumped = history(STARTED_AT - 60 * 60), history()
    assert calm.correlation == 0
    assert 0.005 < clumped.correlation < 0.05


def test_what_fails_just_now_is_learnt_from_the_last_hour(inhabit, count):
    """An outage of twenty minutes, of which the newest two may not be there yet; a minute without Errors is unknown."""
    inhabit(requests_per_minute=0)
    for minute in range(120):
        begins = STARTED_AT - 60 * (minute + 1)
        bad = 240 if minute < 20 else 1
        count("Invocations", begins, {1: 1200})
        if minute != 30:
            count("Errors", begins, {1: bad, 0: 1200 - bad})
    found = history()
    assert (found.hour_requests, found.hour_errors, found.failing_minutes) == (57 * 1200, 18 * 240 + 39, 18)
    assert history(STARTED_AT - 60 * 60).failing_minutes == 0


@pytest.mark.parametrize("world", [{"requests_per_minute": 0}, {}], ids=["an idle alias", "another alias"])
def test_an_alias_without_traffic_has_no_history(inhabit, world):
    inhabit(**world)
    assert history(alias="live" if world else "beta") == TrafficBaseline()


def test_a_young_alias_is_not_diluted_by_the_time_before_it(inhabit, count):
    inhabit(requests_per_minute=0)
    count("Invocations", STARTED_AT - 2 * HOUR, {1: 1200})
    count("Invocations", STARTED_AT - HOUR, {1: 600})
    assert history().requests_per_minute == 15


def test_an_hour_that_is_not_over_counts_for_as_long_as_it_lasted(inhabit, count):
    world = inhabit(requests_per_minute=0)
    count("Invocations", STARTED_AT - HOUR, {1: 600})
    count("Invocations", STARTED_AT, {1: 300})
    world.clock.sleep(1800)
    assert history(STARTED_AT + 1800).requests_per_minute == 10


def test_one_moment_of_traffic_is_not_taken_for_a_flood(inhabit, count):
    world = inhabit(requests_per_minute=0, metric_delay_seconds=0)
    count("Invocations", STARTED_AT, {1: 30})
    world.clock.sleep(60)
    assert history(STARTED_AT + 1).requests_per_minute == 30


@pytest.mark.parametrize(
    ("hours", "p99_ms"),
    [
        ([(100, 400), (100, 9000), (100, 410)], 410),
        ([(100, 400), (500, 900), (100, 410)], 900),
        ([(1, 9000), (1, 8000), (100, 400)], 400),
    ],
    ids=["an hour of outage", "most requests", "hours with hardly any"],
)
def test_the_p99_is_that_of_the_hour_in_which_the_median_request_was(inhabit, count, hours, p99_ms):
    inhabit(requests_per_minute=0)
    for ago, (requests, duration_ms) in enumerate(hours, start=1):
        count("Invocations", STARTED_AT - ago * HOUR, {1: requests})
        count("Duration", STARTED_AT - ago * HOUR, {duration_ms: requests})
    assert history().p99_ms == p99_ms


def test_requests_that_nobody_timed_have_no_p99(inhabit, count):
    inhabit(requests_per_minute=0)
    count("Invocations", STARTED_AT - HOUR, {1: 60})
    count("Errors", STARTED_AT - HOUR, {1: 2, 0: 58})
    assert counted(history()) == (60, 2, 1.0, None)


def test_a_p99_of_nobody_knows_how_many_requests_says_nothing(inhabit):
    conceal(inhabit(), "timed")
    assert history().p99_ms is None


def test_an_hour_whose_errors_are_missing_does_not_pass_for_one_without_any(inhabit, count):
    inhabit(requests_per_minute=0)
    count("Invocations", STARTED_AT - HOUR, {1: 60})
    count("Invocations", STARTED_AT - 2 * HOUR, {1: 60})
    count("Errors", STARTED_AT - 2 * HOUR, {1: 6, 0: 54})
    assert counted(history()) == (60, 6, 1.0, None)


def test_each_hour_of_the_day_before_is_kept_but_for_one_that_knew_silences(inhabit, count):
    inhabit(requests_per_minute=0)
    for minute in range(60):
        count("Invocations", STARTED_AT - 2 * HOUR + 60 * minute, {1: 7})
    count("Invocations", STARTED_AT - HOUR, {1: 6000})
    found = history()
    assert (found.since, found.hourly) == (STARTED_AT - 24 * HOUR, (*[0] * 22, 420, None))
    assert found.expected(STARTED_AT + 22 * HOUR, STARTED_AT + 22.5 * HOUR) == 210
    assert found.expected(STARTED_AT + 23 * HOUR, STARTED_AT + 23.5 * HOUR) is None


def test_throttles_of_the_day_before_are_counted(inhabit, count):
    inhabit(requests_per_minute=0)
    count("Invocations", STARTED_AT - HOUR, {1: 60})
    count("Throttles", STARTED_AT - HOUR, {1: 5})
    assert history().throttled == 5


@pytest.mark.parametrize("rate", [0.5, 1, 12, 600])
def test_the_stable_versions_own_p99_is_found_whatever_the_traffic(inhabit, rate):
    inhabit(requests_per_minute=rate)
    assert history().p99_ms == pytest.approx(400, rel=0.15)


def test_a_history_that_cannot_be_read_is_not_taken_for_none(inhabit):
    inhabit(faults=[{"call": GET, "error": "Throttling", "times": "always"}])
    with pytest.raises(AwsUnavailable, match="read the alias's metrics"):
        history()
