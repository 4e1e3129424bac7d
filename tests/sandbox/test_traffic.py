"""The simulated callers: routed by weight, repeatable, and seen in CloudWatch as Lambda's invocations are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.aws.clock import Clock
from sandbox.aws.cloudwatch import CloudWatch
from sandbox.behaviour import Behaviour
from sandbox.scenario_traffic import Counts, Outage, ReplayMinute
from sandbox.traffic import Traffic

START = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
ALIAS = {"FunctionName": "checkout", "Resource": "checkout:live"}
STABLE, CANDIDATE = {**ALIAS, "ExecutedVersion": "1"}, {**ALIAS, "ExecutedVersion": "2"}
SOUND = Behaviour()


@dataclass(slots=True)
class Shop:
    """The callers of checkout:live, an alias that a test moves by `route`."""

    clock: Clock
    traffic: Traffic
    cloudwatch: CloudWatch
    alias: list[Any] = field(default_factory=list)

    def route(self, candidate_weight: float, second: float) -> None:
        """Give version 2 a weight at a second after the start."""
        self.pass_time(second)
        self.alias[:] = [("1", {"2": candidate_weight} if candidate_weight else {})]

    def pass_time(self, second: float) -> None:
        self.clock.sleep(START + second - self.clock.now())
        self.traffic.catch_up(self.clock.now())

    def metric(
        self,
        name: str,
        dimensions: dict[str, str],
        stat: str = "Sum",
        minutes: tuple[int, int] = (0, 60),
        period: int = 60,
    ) -> Any:
        """A metric's datapoints over minutes since the start, oldest first."""
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        metric = {"Namespace": "AWS/Lambda", "MetricName": name, "Dimensions": named}
        start, end = (START + 60 * minute for minute in minutes)
        found = self.cloudwatch.values({"Metric": metric, "Period": period, "Stat": stat}, start, end)
        return [value for _, value in found]


class Shops:
    """Opens shops of any kind, each in its own time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def open(self, candidate: Behaviour = SOUND, stable: Behaviour = SOUND, **rest: Any) -> Shop:
        alias: list[Any] = [("1", {})]
        cloudwatch = CloudWatch(self.clock, rest.pop("delay_seconds", 0), lambda _: None)
        rate = rest.pop("requests_per_minute", 600)
        traffic = Traffic(
            self.clock,
            cloudwatch,
            lambda: alias[0],
            "checkout",
            "live",
            requests_per_minute=rate,
            stable=stable,
            candidate=candidate,
            **rest,
        )
        traffic.start(START)
        return Shop(self.clock, traffic, cloudwatch, alias)


@pytest.fixture
def shops() -> Iterator[Shops]:
    with Clock(datetime.fromtimestamp(START, UTC)) as clock:
        yield Shops(clock)


def test_weights_route_requests_and_the_stable_version_takes_the_rest(shops: Shops) -> None:
    shop = shops.open()
    shop.route(0.25, 60)
    shop.pass_time(660)
    counts = shop.traffic.counts
    assert counts.requests == 11 * 600
    assert counts.to_candidate == pytest.approx(1500, rel=0.1)
    assert shop.metric("Invocations", ALIAS) == [600] * 11
    assert sum(shop.metric("Invocations", CANDIDATE)) == counts.to_candidate
    assert sum(shop.metric("Invocations", STABLE)) == counts.requests - counts.to_candidate
    assert shop.metric("Invocations", {"FunctionName": "checkout"}) == [600] * 11


def test_version_without_traffic_leaves_no_datapoints(shops: Shops) -> None:
    """AWS Lambda developer guide, "Types of metrics": nothing is sent for what was not invoked, not even zeros."""
    shop = shops.open(stable=Behaviour(error_rate=0))
    shop.pass_time(120)
    assert shop.metric("Invocations", CANDIDATE) == shop.metric("Errors", CANDIDATE) == []
    assert shop.metric("Errors", STABLE) == [0, 0]
    assert shop.metric("Errors", STABLE, "SampleCount") == [600, 600]


def test_no_alias_means_no_requests(shops: Shops) -> None:
    shop = shops.open()
    shop.alias[:] = [None]
    shop.pass_time(120)
    assert shop.traffic.counts.requests == 0
    assert shop.metric("Invocations", ALIAS) == []


def test_weight_counts_from_the_moment_of_the_write(shops: Shops) -> None:
    shop = shops.open()
    shop.route(1.0, 30)
    shop.route(0.0, 45)
    shop.pass_time(60)
    assert shop.traffic.counts.to_candidate == 150
    assert shop.traffic.minutes()[0][1].keys() == {"1", "2"}


def test_same_seed_is_the_same_story_however_often_somebody_looks(shops: Shops) -> None:
    bad = Behaviour(error_rate=0.05)
    often, once, other = shops.open(bad, seed=7), shops.open(bad, seed=7), shops.open(bad, seed=8)
    for shop in (often, once, other):
        shop.alias[:] = [("1", {"2": 0.5})]
    for second in (0.05, 17.3, 60, 61.01, 150):
        often.pass_time(second)
    for shop in (often, once, other):
        shop.pass_time(300)
    assert often.traffic.counts == once.traffic.counts
    assert often.traffic.minutes() == once.traffic.minutes()
    assert often.traffic.counts != other.traffic.counts


def test_candidate_as_good_as_stable_is_blamed_for_nothing(shops: Shops) -> None:
    shop = shops.open(Behaviour(error_rate=0.02), Behaviour(error_rate=0.02))
    shop.route(0.5, 0)
    shop.pass_time(600)
    assert shop.traffic.counts.failed > 0
    assert shop.traffic.counts.failed_by_candidate == 0


def test_blame_is_exactly_what_the_stable_version_would_have_served(shops: Shops) -> None:
    bad, alone = shops.open(Behaviour(error_rate=0.05)), shops.open()
    bad.route(0.5, 0)
    for shop in (bad, alone):
        shop.pass_time(600)
    counts = bad.traffic.counts
    assert counts.failed_by_candidate > 50
    assert counts.failed - counts.failed_by_candidate == alone.traffic.counts.failed


def test_shared_outage_strikes_both_versions_and_is_nobodys_blame(shops: Shops) -> None:
    shop = shops.open(shared_outage=Outage(from_second=90, to_second=150, error_rate=1.0))
    shop.route(0.5, 0)
    shop.pass_time(180)
    errors = shop.metric("Errors", ALIAS)
    assert errors[0] < 10
    assert errors[1] == pytest.approx(300, abs=5)
    assert errors[2] == pytest.approx(300, abs=5)
    assert all(value > 100 for value in shop.metric("Errors", STABLE)[1:] + shop.metric("Errors", CANDIDATE)[1:])
    assert shop.traffic.counts.failed_by_candidate == 0


def test_error_rate_by_minute_follows_the_list_and_then_its_last_value(shops: Shops) -> None:
    shop = shops.open(Behaviour(error_rate_by_minute=(0, 0, 1.0, 0, 1.0)))
    shop.route(1.0, 0)
    shop.pass_time(420)
    assert shop.metric("Errors", CANDIDATE) == [0, 0, 600, 0, 600, 600, 600]


def test_durations_have_the_median_and_the_p99_that_were_asked_for(shops: Shops) -> None:
    shop = shops.open(Behaviour(median_ms=120, p99_ms=900), requests_per_minute=20_000)
    shop.route(0.5, 0)
    shop.pass_time(60)
    assert shop.metric("Duration", STABLE, "p50")[0] == pytest.approx(80, rel=0.05)
    assert shop.metric("Duration", STABLE, "p99")[0] == pytest.approx(400, rel=0.15)
    assert shop.metric("Duration", CANDIDATE, "p50")[0] == pytest.approx(120, rel=0.05)
    assert shop.metric("Duration", CANDIDATE, "p99")[0] == pytest.approx(900, rel=0.15)


def test_first_requests_of_the_candidate_are_cold(shops: Shops) -> None:
    cold = Behaviour(cold_start_ms=5000, cold_starts=20)
    shop = shops.open(cold, stable=cold)
    shop.route(0.5, 0)
    shop.pass_time(120)
    assert shop.metric("Duration", CANDIDATE, "TC(5000:)") == [20, 0]
    assert shop.metric("Duration", STABLE, "TC(5000:)") == [0, 0]


def test_stable_version_has_served_a_day_of_the_same_traffic(shops: Shops) -> None:
    shop = shops.open(Behaviour(error_rate=0.9), Behaviour(error_rate=0.01))
    day = (-24 * 60, 0)
    for dimensions in (STABLE, ALIAS, {"FunctionName": "checkout"}):
        assert shop.metric("Invocations", dimensions, minutes=day) == [600] * 24 * 60
    assert sum(shop.metric("Errors", STABLE, minutes=day)) == pytest.approx(24 * 60 * 6, rel=0.05)
    assert shop.metric("Duration", STABLE, "p99", (-60, 0))[0] == pytest.approx(400, rel=0.05)
    assert shop.metric("Invocations", CANDIDATE, minutes=day) == []
    assert shop.metric("Invocations", STABLE, minutes=(-25 * 60, -24 * 60)) == []


@pytest.mark.parametrize("rate", [0.5, 1, 2.5, 12, 100])
def test_few_requests_a_minute_have_the_same_durations_as_many(shops: Shops, rate: float) -> None:
    shop = shops.open(requests_per_minute=rate)
    day = {"minutes": (-24 * 60, 0), "period": 24 * 3600}
    assert shop.metric("Duration", ALIAS, "p50", **day)[0] == pytest.approx(80, rel=0.05)
    assert shop.metric("Duration", ALIAS, "p99", **day)[0] == pytest.approx(400, rel=0.1)


def test_the_day_before_has_every_hour(shops: Shops) -> None:
    shop = shops.open()
    for name, stat in (("Invocations", "Sum"), ("Errors", "Sum"), ("Duration", "p99"), ("Duration", "SampleCount")):
        assert len(shop.metric(name, ALIAS, stat, (-24 * 60, 0), period=3600)) == 24


@pytest.mark.parametrize(("rate", "requests"), [(0.5, [0, 1, 0, 1, 0, 1]), (2.5, [2, 3, 2, 3, 2, 3])])
def test_fraction_of_a_request_a_minute_makes_whole_requests_in_time(
    shops: Shops, rate: float, requests: list[int]
) -> None:
    shop = shops.open(requests_per_minute=rate)
    for second in (45.5, 90, 360):
        shop.pass_time(second)
    invocations = [sum(shop.metric("Invocations", ALIAS, minutes=(minute, minute + 1))) for minute in range(6)]
    assert invocations == requests
    assert shop.traffic.counts.requests == sum(requests)


def test_history_of_half_a_request_a_minute_is_thirty_in_an_hour(shops: Shops) -> None:
    """A minute without a request leaves no datapoint, as in Lambda."""
    shop = shops.open(requests_per_minute=0.5)
    for dimensions in (STABLE, ALIAS, {"FunctionName": "checkout"}):
        assert shop.metric("Invocations", dimensions, minutes=(-60, 0)) == [1] * 30


def test_metrics_come_late(shops: Shops) -> None:
    shop = shops.open(delay_seconds=90)
    shop.pass_time(149)
    assert shop.metric("Invocations", ALIAS) == []
    shop.pass_time(150)
    assert shop.metric("Invocations", ALIAS) == [600]


RECORDED = [
    ReplayMinute(t=minute, b=Counts(n=90 + minute, errors=minute, slow=2), c=Counts(n=11, errors=3, slow=1))
    for minute in range(3)
]


def test_replay_gives_exactly_the_recorded_minutes(shops: Shops) -> None:
    shop = shops.open(replay=RECORDED)
    shop.route(0.1, 3.35)
    shop.pass_time(240)
    assert shop.metric("Invocations", STABLE)[:3] == [90, 91, 92]
    assert shop.metric("Errors", STABLE)[:3] == [0, 1, 2]
    assert shop.metric("Invocations", CANDIDATE)[:3] == [11, 11, 11]
    assert shop.metric("Errors", CANDIDATE)[:3] == [3, 3, 3]
    assert shop.metric("Duration", CANDIDATE, "TC(400:)")[:3] == [1, 1, 1]
    assert sum(shop.metric("Invocations", ALIAS)[3:]) == 600, "the recording is over"


def test_replay_is_for_minutes_in_which_the_candidate_has_weight(shops: Shops) -> None:
    shop = shops.open(replay=RECORDED)
    shop.route(0.1, 65)
    shop.route(0.0, 90)
    shop.pass_time(180)
    assert shop.metric("Invocations", STABLE) == [600, 91, 600]
    assert shop.metric("Invocations", CANDIDATE) == [5], "what was due when the weight went"


@pytest.mark.parametrize(("error_rate", "failed"), [(0.4, False), (0.6, True)])
def test_smoke_test_fails_where_most_of_the_versions_requests_do(shops: Shops, error_rate: float, failed: bool) -> None:
    shop = shops.open(Behaviour(error_rate=error_rate), stable=Behaviour(error_rate=0))
    payload, function_error = shop.traffic.answer("2", b'{"path": "/"}')
    assert (function_error is not None) == failed
    answer = json.loads(payload)
    assert answer["errorType"] == "RuntimeError" if failed else answer["version"] == "2"
    assert shop.traffic.answer("1", b"{}")[1] is None


def test_smoke_test_counts_under_what_it_addressed(shops: Shops) -> None:
    """AWS Lambda developer guide, "Types of metrics": Resource is the version or the alias that was invoked."""
    shop = shops.open(Behaviour(error_rate=1.0), requests_per_minute=0)
    shop.traffic.answer("2", b"{}")
    shop.pass_time(60)
    addressed = {"FunctionName": "checkout", "Resource": "checkout:2"}
    assert shop.metric("Errors", addressed) == shop.metric("Errors", {"FunctionName": "checkout"}) == [1]
    assert shop.metric("Errors", ALIAS) == shop.metric("Errors", CANDIDATE) == []
    assert shop.traffic.counts.requests == 0


def test_half_an_hour_of_traffic_is_counted_whole(shops: Shops) -> None:
    shop = shops.open(Behaviour(error_rate=0.05))
    shop.route(0.5, 0)
    shop.pass_time(1800)
    assert shop.traffic.counts.requests == 18_000
