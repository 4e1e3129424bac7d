"""A scenario's own metrics: what requests leave in them, as GetMetricData then shows it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario, ScenarioInvalid
from sandbox.story import play
from sandbox.world import STARTED_AT, World
from tests.sandbox import halves
from tests.sandbox.halves import at

REQUEST = {"function_name": "checkout", "alias_name": "live"}
FUNCTION = {"FunctionName": "checkout"}
FAILED = {
    "namespace": "Shop",
    "name": "OrdersFailed",
    "counts": "answered_errors",
    "version_dimension": "version",
    "dimensions": {"service": "checkout"},
}
STABLE, CANDIDATE = {"service": "checkout", "version": "1"}, {"service": "checkout", "version": "2"}
ALIAS = {"FunctionName": "checkout", "Resource": "checkout:live"}
DAY = (-24 * 60, 0)


def counting(counts: Any, **more: Any) -> dict[str, Any]:
    return {**FAILED, "counts": counts, **more}


def of_values(candidate: dict[str, float] | None = None, **more: Any) -> dict[str, Any]:
    rest = {key: value for key, value in FAILED.items() if key != "counts"}
    values = {"stable": {"median": 40, "p99": 60}, **({"candidate": candidate} if candidate else {})}
    return {**rest, "values": values, **more}


def half_and_half(*metrics: dict[str, Any], **scenario: Any) -> AbstractContextManager[World]:
    """A world at second 0 with these metrics, without delay, the candidate with half of the traffic."""
    return halves.half_and_half(metrics=list(metrics), **scenario)


def read(
    dimensions: dict[str, str],
    stat: str = "Sum",
    minutes: tuple[int, int] = (0, 60),
    name: str = "OrdersFailed",
    namespace: str = "Shop",
    period: int = 60,
) -> dict[int, float]:
    """A metric's datapoints, by their minute since the start."""
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": named}
    start, end = (datetime.fromtimestamp(STARTED_AT + 60 * minute, UTC) for minute in minutes)
    query = {"Id": "asked", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}
    asked = {"MetricDataQueries": [query], "StartTime": start, "EndTime": end, "ScanBy": "TimestampAscending"}
    (found,) = client("cloudwatch").get_metric_data(**asked)["MetricDataResults"]
    seconds = [moment.timestamp() - STARTED_AT for moment in found["Timestamps"]]
    return {int(second) // 60: value for second, value in zip(seconds, found["Values"], strict=True)}


def invocations(version: str, **more: Any) -> dict[int, float]:
    return read({**ALIAS, "ExecutedVersion": version}, name="Invocations", namespace="AWS/Lambda", **more)


# What counts.


def test_answered_errors_are_exactly_those_that_callers_got() -> None:
    candidate = {"error_rate": 0.05, "answered_error_rate": 0.2}
    with half_and_half(FAILED, candidate=candidate, stable={"error_rate": 0}) as world:
        at(world, 600)
        failed, counts = sum(read(CANDIDATE).values()), world.traffic.counts
        errors = sum(read({**ALIAS, "ExecutedVersion": "2"}, name="Errors", namespace="AWS/Lambda").values())
        assert set(read(STABLE).values()) == {0}
    assert failed + errors == counts.failed_by_candidate == counts.failed
    assert failed == pytest.approx(0.95 * 0.2 * counts.to_candidate, rel=0.15)


def test_metrics_of_answered_errors_count_the_very_same_ones() -> None:
    with half_and_half(FAILED, {**FAILED, "name": "Again"}, candidate={"answered_error_rate": 0.2}) as world:
        at(world, 300)
        assert read(CANDIDATE) == read(CANDIDATE, name="Again")


def test_every_request_is_one_sample_of_0_or_1() -> None:
    """As Powertools keeps a metric to which a handler adds 0 or 1: Sum is what counts, SampleCount the requests."""
    with half_and_half(FAILED, candidate={"answered_error_rate": 0.2}) as world:
        at(world, 180)
        for version, dimensions in (("1", STABLE), ("2", CANDIDATE)):
            assert read(dimensions, "SampleCount") == invocations(version)
        assert read(CANDIDATE, "TC(0:)") == read(CANDIDATE)
        assert set(read(CANDIDATE, "Maximum").values()) == {1}
        assert set(read(CANDIDATE, "Minimum").values()) == {0}


def test_all_of_a_version_s_answers_may_be_errors() -> None:
    with half_and_half(FAILED, candidate={"answered_error_rate": 1.0, "error_rate": 0}) as world:
        at(world, 120)
        assert read(CANDIDATE) == read(CANDIDATE, "SampleCount") == invocations("2")


def test_requests_count_each_request() -> None:
    with half_and_half(counting("requests")) as world:
        at(world, 120)
        assert read(CANDIDATE) == read(CANDIDATE, "SampleCount") == invocations("2")
        assert read(STABLE) == invocations("1")


def test_a_share_of_each_version_s_requests_counts_and_harms_nobody() -> None:
    with half_and_half(counting({"stable": 0.01, "candidate": 0.05}), stable={"error_rate": 0}) as world:
        at(world, 1200)
        for dimensions, share in ((STABLE, 0.01), (CANDIDATE, 0.05)):
            requests = sum(read(dimensions, "SampleCount").values())
            assert sum(read(dimensions).values()) == pytest.approx(share * requests, rel=0.3)
        assert world.traffic.counts.failed == 0


def test_a_share_is_drawn_as_chance_would_have_it() -> None:
    shares = [0, 0.001, 0.3, 0.5, 0.98, 1]
    metrics = [counting({"stable": share}, name=f"Share{share}") for share in shares]
    with half_and_half(*metrics, requests_per_minute=1200) as world:
        at(world, 3600)
        requests = invocations("2")
        counted = {share: read(CANDIDATE, name=f"Share{share}") for share in shares}
    trials = sum(requests.values())
    for share, minutes in counted.items():
        variance = share * (1 - share)
        assert abs(sum(minutes.values()) - share * trials) <= 4 * (trials * variance) ** 0.5
        scaled = [(minutes[minute] - share * requests[minute]) ** 2 / requests[minute] for minute in requests]
        assert sum(scaled) / len(scaled) == pytest.approx(variance, rel=0.7)


def test_a_candidate_of_which_nothing_is_said_is_as_the_stable_version() -> None:
    with half_and_half(counting({"stable": 1}), of_values(name="CartValue")) as world:
        at(world, 60)
        assert read(CANDIDATE) == invocations("2")
        assert read(CANDIDATE, "p50", name="CartValue")[0] == pytest.approx(40, rel=0.05)


# Where and when.


def test_a_metric_is_at_its_dimensions_and_no_others() -> None:
    """User guide, "Metrics concepts": each combination of dimensions is a metric of its own."""
    metric = {"namespace": "Shop", "name": "OrdersFailed", "counts": "requests", "version_dimension": "release"}
    with half_and_half(metric) as world:
        at(world, 60)
        assert read({"release": "2"}) == invocations("2")
        assert read({"version": "2"}) == read({"release": "2", "service": "checkout"}) == read({}) == {}


def test_the_version_s_dimension_is_called_version_unless_told() -> None:
    metric = {key: value for key, value in counting("requests").items() if key != "version_dimension"}
    with half_and_half(metric) as world:
        at(world, 60)
        assert read(CANDIDATE) == invocations("2")


def test_a_minute_without_a_request_of_a_version_has_no_datapoint() -> None:
    with half_and_half(counting("requests")) as world:
        at(world, 120)
        client("lambda").update_alias(**FUNCTION, Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
        at(world, 240)
        assert set(read(CANDIDATE)) == {0, 1}
        assert set(read(STABLE)) == {0, 1, 2, 3}


def test_it_comes_as_late_as_all_metrics() -> None:
    with half_and_half(counting("requests"), metric_delay_seconds=90) as world:
        at(world, 149)
        assert read(CANDIDATE) == {}
        at(world, 150)
        assert set(read(CANDIDATE)) == {0}


def test_what_hangs_or_is_throttled_leaves_nothing() -> None:
    """Lambda ends what hangs, and what is throttled never ran: neither could add to a metric."""
    hang, throttles = {"share": 0.3, "seconds": 120}, {"from_second": 0, "to_second": 60, "share": 0.3}
    candidate = {"error_rate": 0, "hang": hang}
    with half_and_half(counting("requests"), candidate=candidate, throttles=throttles) as world:
        at(world, 60)
        quick = invocations("2")
        at(world, 600)
        assert read(CANDIDATE)[0] == quick[0] < invocations("2")[0] < 300
        assert read(STABLE) == invocations("1")


def test_direct_invocations_leave_nothing() -> None:
    with half_and_half(counting("requests"), requests_per_minute=0) as world:
        client("lambda").invoke(**FUNCTION, Qualifier="2")
        at(world, 60)
        assert read(CANDIDATE) == {}


def test_recorded_minutes_have_their_requests_and_no_answered_error() -> None:
    minutes = [{"t": minute, "b": {"n": 100, "errors": 3}, "c": {"n": 50, "errors": 5}} for minute in range(3)]
    metrics = [counting("requests"), counting({"stable": 0, "candidate": 1}, name="Big"), {**FAILED, "name": "Failed"}]
    with half_and_half(*metrics, replay=minutes, candidate={"answered_error_rate": 1}) as world:
        at(world, 180)
        assert read(CANDIDATE) == read(CANDIDATE, name="Big") == dict.fromkeys(range(3), 50)
        assert read(STABLE) == dict.fromkeys(range(3), 100)
        assert read(STABLE, name="Big") == dict.fromkeys(range(3), 0)
        assert read(CANDIDATE, name="Failed") == dict.fromkeys(range(3), 0)
        assert read(CANDIDATE, "SampleCount", name="Failed") == dict.fromkeys(range(3), 50)


# The day before.


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        ("requests", 1),
        ("answered_errors", 0.1 * 0.8),
        ({"stable": 0.01, "candidate": 0.9}, 0.01),
        ({"stable": 0.4, "candidate": 0.9}, 0.4),
    ],
)
def test_the_stable_version_s_requests_of_the_day_before_are_there(counts: object, share: float) -> None:
    stable = {"error_rate": 0.2, "answered_error_rate": 0.1}
    with half_and_half(counting(counts), stable=stable):
        (requests,) = read(STABLE, "SampleCount", DAY, period=86_400).values()
        (counted,) = read(STABLE, minutes=DAY, period=86_400).values()
        assert read(CANDIDATE, minutes=DAY) == {}
    assert requests == 600 * 1440
    assert counted == pytest.approx(share * requests, rel=0.05)


def test_the_day_before_is_as_its_own_word_says() -> None:
    with half_and_half(counting("requests"), day_before={"requests_per_minute": 9.9}):
        (requests,) = read(STABLE, minutes=DAY, period=86_400).values()
    assert requests == pytest.approx(9.9 * 1440, abs=1)
    with half_and_half(counting("requests"), day_before={"requests_per_minute": 0}):
        assert read(STABLE, minutes=DAY) == {}


# Values.


def test_values_have_the_median_and_the_p99_that_were_asked_for() -> None:
    metric = of_values({"median": 50, "p99": 200})
    with half_and_half(metric, requests_per_minute=20_000) as world:
        at(world, 60)
        for dimensions, median, p99 in ((STABLE, 40, 60), (CANDIDATE, 50, 200)):
            assert read(dimensions, "p50")[0] == pytest.approx(median, rel=0.03)
            assert read(dimensions, "p99")[0] == pytest.approx(p99, rel=0.1)
        assert read(CANDIDATE, "SampleCount") == invocations("2")
        assert read(STABLE, "p50", (-60, 0), period=3600)[-60] == pytest.approx(40, rel=0.02)
        assert read(STABLE, "p99", (-60, 0), period=3600)[-60] == pytest.approx(60, rel=0.02)


def test_a_hundredth_of_the_values_is_above_their_p99() -> None:
    with half_and_half(of_values(), requests_per_minute=6000) as world:
        at(world, 1200)
        (p99,) = read(STABLE, "p99", DAY, period=86_400).values()
        above = sum(read(CANDIDATE, f"TC({p99}:)", (0, 20)).values())
        requests = sum(read(CANDIDATE, "SampleCount", (0, 20)).values())
    assert above / requests == pytest.approx(0.01, rel=0.15)


# Silence.


@pytest.mark.parametrize(("version", "silent"), [("candidate", {"2"}), ("stable", {"1"}), ("both", {"1", "2"})])
def test_a_metric_falls_silent_for_a_while(version: str, silent: set[str]) -> None:
    silence = {"version": version, "from_second": 90, "to_second": 240}
    with half_and_half(counting("requests", silent=silence)) as world:
        at(world, 360)
        for number, dimensions in (("1", STABLE), ("2", CANDIDATE)):
            # Minute 1 has begun before it.
            assert set(read(dimensions)) == ({0, 1, 4, 5} if number in silent else set(range(6)))
            assert set(invocations(number)) == set(range(6))
        assert len(read(STABLE, minutes=DAY)) == 1440


def test_a_metric_that_falls_silent_stays_so_unless_told() -> None:
    with half_and_half(counting("requests", silent={"version": "candidate", "from_second": 60})) as world:
        at(world, 600)
        assert set(read(CANDIDATE)) == {0}


def test_a_metric_may_be_new_with_the_candidate() -> None:
    with half_and_half(counting("requests", silent={"version": "stable"})) as world:
        at(world, 120)
        assert read(STABLE) == read(STABLE, minutes=DAY) == {}
        assert set(read(CANDIDATE)) == {0, 1}


# All in all.


def test_a_metric_changes_neither_requests_nor_other_metrics() -> None:
    def told(*metrics: dict[str, Any]) -> Any:
        with half_and_half(*metrics, candidate={"answered_error_rate": 0.1}) as world:
            at(world, 300)
            return world.traffic.counts, world.traffic.minutes(), read(CANDIDATE, name="Some")

    some = counting({"stable": 0.3}, name="Some")
    assert told(some) == told(of_values(name="Cart"), some, FAILED)
    assert told()[:2] == told(some)[:2]


def test_the_same_seed_is_the_same_metric() -> None:
    def told(seed: int) -> Any:
        metrics = [counting({"stable": 0.3}), of_values(name="Cart")]
        with World(Scenario.of({"metrics": metrics, "metric_delay_seconds": 0}), REQUEST, seed) as world:
            at(world, 300)
            return read(STABLE, minutes=(-60, 5)), read(STABLE, "p90", (0, 5), "Cart")

    assert told(3) == told(3) != told(4)


def test_a_rollout_with_metrics_goes_as_without() -> None:
    plain, counted = (
        play(REQUEST, Scenario.of({"metrics": metrics})) for metrics in ([], [FAILED, of_values(name="V")])
    )
    assert (plain.outcome, plain.traffic, plain.virtual_seconds) == (
        counted.outcome,
        counted.traffic,
        counted.virtual_seconds,
    )


# What is refused.


def reasons(*metrics: Any) -> list[str]:
    with pytest.raises(ScenarioInvalid) as refused:
        Scenario.of({"metrics": list(metrics)})
    return refused.value.reasons


PERCENTILES = {"median": 40, "p99": 60}
LETTERS = "must be 1 to 255 ASCII characters that can be printed, the first neither ':' nor ' '"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"counts": "answered_error"}, "counts: must be 'answered_errors' or 'requests'"),
        ({"counts": 0.1}, "counts: must be 'answered_errors', 'requests', or an object of shares of 1"),
        ({"counts": {"stable": 1.5}}, "counts.stable: must be at most 1"),
        ({"counts": {"candidate": 0.5}}, "counts.stable: is required"),
        ({"counts": {"stable": 0.5, "candidat": 0.1}}, "counts.candidat: unknown key (did you mean candidate?)"),
        ({"counts": None}, " a metric has exactly one of counts and values"),
        ({"values": {"stable": PERCENTILES}}, " a metric has exactly one of counts and values"),
        ({"counts": None, "values": {"stable": {"median": 40}}}, "values.stable.p99: is required"),
        ({"counts": None, "values": {"stable": {**PERCENTILES, "p99": 39}}}, "values.stable: p99 is below the median"),
        (
            {"counts": None, "values": {"stable": {**PERCENTILES, "median": 0}}},
            "values.stable.median: must be more than 0",
        ),
        ({"namespace": "AWS/Lambda"}, "namespace: AWS/ is for metrics of AWS's own"),
        ({"namespace": ""}, f"namespace: {LETTERS}"),
        ({"name": ":Orders"}, f"name: {LETTERS}"),
        ({"version_dimension": "versión"}, f"version_dimension: {LETTERS}"),
        ({"version_dimension": "service"}, " service is the dimension of the version, and no fixed one beside it"),
        ({"dimensions": {"service": ""}}, f"dimensions.service: {LETTERS}"),
        ({"dimensions": {"service": 7}}, "dimensions.service: must be a text in quotes"),
        ({"dimensions": {str(n): "x" for n in range(30)}}, "dimensions: may have 29 entries at most"),
        ({"silent": {"from_second": 60}}, "silent.version: is required"),
        ({"silent": {"version": "alias"}}, "silent.version: must be 'stable', 'candidate' or 'both'"),
        ({"silent": {"version": "both", "to_second": 0}}, "silent: to_second is not after from_second"),
        (
            {"silent": {"version": "both", "from_second": 60, "to_second": 60}},
            "silent: to_second is not after from_second",
        ),
        ({"versiondimension": "version"}, "versiondimension: unknown key (did you mean version_dimension?)"),
        ({"unit": "Count"}, "unit: unknown key"),
    ],
)
def test_a_metric_that_cannot_be_is_refused(changed: dict[str, Any], reason: str) -> None:
    """Names: CloudWatch's API reference, PutMetricData, MetricDatum and Dimension."""
    place = "metrics[0]:" if reason.startswith(" ") else "metrics[0]."
    metric = {key: value for key, value in {**FAILED, **changed}.items() if value is not None}
    assert reasons(metric) == [place + reason]


def test_a_metric_has_a_namespace_and_a_name() -> None:
    assert reasons({"counts": "requests"}) == ["metrics[0].namespace: is required", "metrics[0].name: is required"]


def test_two_metrics_at_the_same_dimensions_are_refused() -> None:
    without = {key: value for key, value in FAILED.items() if key != "version_dimension"}
    assert reasons(FAILED, {**without, "counts": "requests"}) == [
        "metrics.1: 'OrdersFailed' is there twice, at the same dimensions"
    ]
    apart = [FAILED, {**FAILED, "dimensions": {}}, {**FAILED, "namespace": "Store"}, {**FAILED, "name": "Orders"}]
    assert len(Scenario.of({"metrics": apart}).metrics) == 4
