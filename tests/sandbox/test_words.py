"""What a scenario's words for traffic, the function and its alarms mean, as AWS then answers: a test or more a word."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario, ScenarioInvalid, shipped
from sandbox.story import play, rollout_view
from sandbox.world import STARTED_AT, World
from tests.sandbox.halves import at, half_and_half
from tidegate.views import live, report
from tidegate.views.rollout_view import RolloutView

REQUEST = {"function_name": "checkout", "alias_name": "live"}
FUNCTION = {"FunctionName": "checkout"}
ALIAS = {**FUNCTION, "Resource": "checkout:live"}
STABLE, CANDIDATE = {**ALIAS, "ExecutedVersion": "1"}, {**ALIAS, "ExecutedVersion": "2"}
DAY = (-24 * 60, 0)


def metric(
    name: str, dimensions: dict[str, str], stat: str = "Sum", minutes: tuple[int, int] = (0, 60), period: int = 60
) -> dict[int, float]:
    """A metric's datapoints, by their minute since the start."""
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    asked = {"Namespace": "AWS/Lambda", "MetricName": name, "Dimensions": named}
    start, end = (datetime.fromtimestamp(STARTED_AT + 60 * minute, UTC) for minute in minutes)
    query = {"Id": "asked", "MetricStat": {"Metric": asked, "Period": period, "Stat": stat}}
    (found,) = client("cloudwatch").get_metric_data(MetricDataQueries=[query], StartTime=start, EndTime=end)[
        "MetricDataResults"
    ]
    seconds = [moment.timestamp() - STARTED_AT for moment in found["Timestamps"]]
    return {int(second) // 60: value for second, value in sorted(zip(seconds, found["Values"], strict=True))}


def reasons(**scenario: Any) -> list[str]:
    with pytest.raises(ScenarioInvalid) as refused:
        Scenario.of(scenario)
    return refused.value.reasons


# Requests that hang.


def test_what_hangs_adds_to_the_minute_of_its_start_once_it_has_ended() -> None:
    """AWS Lambda, "Types of metrics": the time of a datapoint is that of the invocation's start."""
    hang = {"share": 0.3, "seconds": 300}
    with half_and_half(candidate={"error_rate": 0, "hang": hang}, metric_delay_seconds=90) as world:
        at(world, 60 + 90)
        quick = metric("Invocations", CANDIDATE)[0]
        assert metric("Errors", CANDIDATE)[0] == 0
        assert metric("Duration", CANDIDATE, "Maximum")[0] < 300_000
        whole = metric("Invocations", ALIAS)[0]
        assert whole < 600
        at(world, 60 + 300 + 89)
        assert metric("Invocations", CANDIDATE)[0] == quick
        at(world, 60 + 300 + 90)
        hung = metric("Errors", CANDIDATE)[0]
        assert hung == pytest.approx(0.3 * 300, rel=0.25)
        assert metric("Invocations", CANDIDATE)[0] == quick + hung
        assert metric("Duration", CANDIDATE, "SampleCount")[0] == quick + hung
        assert metric("Duration", CANDIDATE, "TC(299999:300000)")[0] == hung
        assert metric("Invocations", ALIAS)[0] == metric("Invocations", FUNCTION)[0] == whole + hung == 600
        assert metric("Errors", CANDIDATE)[1] == 0, "those of the next minute have not ended"


def test_a_version_of_which_everything_hangs_has_no_datapoint_until_it_ends() -> None:
    with half_and_half(candidate={"hang": {"share": 1, "seconds": 900}}) as world:
        at(world, 959)
        assert metric("Invocations", CANDIDATE) == metric("Errors", CANDIDATE) == {}
        assert set(metric("Invocations", STABLE)) == set(range(15))
        at(world, 960)
        assert (
            metric("Invocations", CANDIDATE)
            == metric("Errors", CANDIDATE)
            == {0: 600 - metric("Errors", STABLE, "SampleCount")[0]}
        )


def test_what_hangs_has_failed_for_its_callers_and_all_others_are_served_as_without() -> None:
    stories = []
    for hang in ({}, {"hang": {"share": 0.3, "seconds": 900}}):
        with half_and_half(candidate={"error_rate": 0.02, **hang}, stable={"error_rate": 0.01}) as world:
            at(world, 600)
            stable = [metric(name, STABLE) for name in ("Invocations", "Errors")]
            stories.append((world.traffic.counts, stable, world.traffic.minutes()))
    (sound, served, _), (hanging, served_too, minutes) = stories
    assert served == served_too
    assert (hanging.requests, hanging.to_candidate) == (sound.requests, sound.to_candidate)
    assert hanging.failed_by_candidate == pytest.approx(0.3 * hanging.to_candidate, rel=0.1)
    assert hanging.failed - hanging.failed_by_candidate == sound.failed - sound.failed_by_candidate
    assert sum(errors for _, versions in minutes for _, errors, _ in versions.values()) == hanging.failed


def test_a_function_s_timeout_is_as_long_as_its_candidate_hangs() -> None:
    assert Scenario.of({"candidate": {"hang": {"share": 1, "seconds": 5400}}}).timeout_seconds == 5400
    told = {"candidate": {"hang": {"share": 1, "seconds": 60}}, "function": {"timeout_seconds": 900}}
    assert Scenario.of(told).timeout_seconds == 900
    assert Scenario.of({}).timeout_seconds is None


def test_a_hang_that_cannot_be_is_refused() -> None:
    hang = {"share": 1, "seconds": 90}
    assert reasons(candidate={"hang": hang}, function={"timeout_seconds": 60}) == [
        "candidate.hang.seconds: is more than function.timeout_seconds"
    ]
    assert reasons(stable={"hang": hang}) == ["stable.hang: only a candidate's requests can hang"]
    assert reasons(candidate={"hang": {"share": 1, "seconds": 5401}}) == [
        "candidate.hang.seconds: must be at most 5,400"
    ]
    assert len(reasons(candidate={"hang": {"share": 1}})) == 1


def test_a_smoke_test_of_a_version_that_hangs_gets_no_answer() -> None:
    request = {**REQUEST, "smoke_tests": [{"payload": {}}]}
    with World(Scenario.of({"candidate": {"hang": {"share": 1, "seconds": 900}}}), request) as world:
        end = world.follow(world.start())
        assert end.error == "Rejected"
        assert world.traffic.counts.to_candidate == 0
        world.clock.sleep(1200)
        assert metric("Errors", {**FUNCTION, "Resource": "checkout:2"}) == {0: 1}


# Errors that are answered.


def test_an_error_that_is_answered_is_none_of_lambda_s_and_fails_its_caller() -> None:
    with half_and_half(candidate={"error_rate": 0, "answered_error_rate": 0.2}, stable={"error_rate": 0}) as world:
        at(world, 600)
        assert sum(metric("Errors", ALIAS).values()) == 0
        assert sum(metric("Invocations", ALIAS).values()) == 6000
        counts = world.traffic.counts
    assert counts.failed == counts.failed_by_candidate == pytest.approx(0.2 * counts.to_candidate, rel=0.15)


def test_errors_that_are_answered_are_shown_as_what_callers_saw() -> None:
    views: list[RolloutView] = []
    play(REQUEST, shipped()["answers_errors"], 0, lambda world: views.append(rollout_view(world)))
    last = views[-1]
    assert last.candidate_total.error_percent == pytest.approx(20, abs=1)
    shown = live.lines(last)[-2]
    assert "promote: every gate is healthy" in shown
    assert shown.endswith(f"version 2 {last.candidate_total.error_percent:.2f} % so far]")
    assert "[errors as callers saw them: version 1" in shown
    assert "failed, as callers saw it" in report.html(last)


def test_errors_that_the_stable_version_answers_too_are_nobody_s_blame() -> None:
    with half_and_half(stable={"error_rate": 0, "answered_error_rate": 0.1}) as world:
        at(world, 600)
        counts = world.traffic.counts
    assert counts.failed == pytest.approx(600, rel=0.15)
    assert counts.failed_by_candidate == 0


@pytest.mark.parametrize(("rate", "status"), [(0.4, 200), (0.6, 500)])
def test_a_smoke_test_is_answered_as_most_requests_are(rate: float, status: int) -> None:
    with half_and_half(candidate={"error_rate": 0, "answered_error_rate": rate}):
        answer = client("lambda").invoke(**FUNCTION, Qualifier="2")
        assert "FunctionError" not in answer
        assert json.loads(answer["Payload"].read())["statusCode"] == status


# Slow by the minute, the day before, throttles, bursts.


def test_slow_by_minute_multiplies_durations_and_its_last_value_holds_on() -> None:
    with half_and_half(requests_per_minute=6000, candidate={"slow_by_minute": [3, 2, 1.5]}) as world:
        at(world, 300)
        medians = metric("Duration", CANDIDATE, "p50")
        usual = metric("Duration", STABLE, "p50")
    assert [medians[minute] / 80 for minute in range(5)] == pytest.approx([3, 2, 1.5, 1.5, 1.5], rel=0.06)
    assert list(usual.values()) == pytest.approx([80] * 5, rel=0.06)


def test_the_stable_version_may_be_slow_for_a_while_too_but_not_the_day_before() -> None:
    with half_and_half(requests_per_minute=6000, stable={"slow_by_minute": [2, 1]}) as world:
        at(world, 120)
        medians = metric("Duration", STABLE, "p50", (-2, 60))
    assert [medians[minute] / 80 for minute in (-2, -1, 0, 1)] == pytest.approx([1, 1, 2, 1], rel=0.06)


def test_the_day_before_may_have_been_another_one() -> None:
    day_before = {"requests_per_minute": 9.9, "error_rate": 0.1}
    with half_and_half(requests_per_minute=480, stable={"error_rate": 0}, day_before=day_before) as world:
        at(world, 120)
        for dimensions in (STABLE, ALIAS, FUNCTION):
            (invocations,) = metric("Invocations", dimensions, minutes=DAY, period=86_400).values()
            (errors,) = metric("Errors", dimensions, minutes=DAY, period=86_400).values()
            assert invocations == pytest.approx(9.9 * 1440, abs=1)
            assert errors == pytest.approx(0.1 * invocations, rel=0.1)
        assert metric("Invocations", ALIAS) == {0: 480, 1: 480}
        assert metric("Errors", STABLE) == {0: 0, 1: 0}


def test_the_last_hour_before_may_have_failed_more() -> None:
    with half_and_half(requests_per_minute=60, day_before={"error_rate": 0.1, "last_hour_error_rate": 0.5}):
        (hour,) = metric("Errors", ALIAS, minutes=(-60, 0), period=3600).values()
        (before,) = metric("Errors", ALIAS, minutes=(-120, -60), period=3600).values()
    assert (hour / 3600, before / 3600) == pytest.approx((0.5, 0.1), rel=0.2)


def test_what_fails_may_fail_at_once() -> None:
    quick = {"error_rate": 0.6, "fails_in_ms": 4}
    with half_and_half(stable=quick, candidate={"error_rate": 0.1}) as world:
        at(world, 60)
        medians = [metric("Duration", version, "p50")[0] for version in (STABLE, CANDIDATE)]
        (day,) = metric("Duration", STABLE, "p50", minutes=DAY, period=86_400).values()
    assert (*medians, day) == pytest.approx((4, 70, 4), rel=0.1)


@pytest.mark.parametrize(("day_before", "errors"), [({}, 0.05), ({"error_rate": 0.2}, 0.2)])
def test_what_the_day_before_does_not_say_is_as_today(day_before: dict[str, Any], errors: float) -> None:
    with half_and_half(stable={"error_rate": 0.05}, day_before=day_before):
        (invocations,) = metric("Invocations", STABLE, minutes=DAY, period=86_400).values()
        assert invocations == 600 * 1440
        (failed,) = metric("Errors", STABLE, minutes=DAY, period=86_400).values()
        assert failed == pytest.approx(errors * invocations, rel=0.02)


def test_an_alias_that_nobody_called_before_has_no_history_and_its_callers_now() -> None:
    bursts = {"every_seconds": 3600, "seconds": 60, "requests_per_minute": 6000}
    with half_and_half(day_before={"requests_per_minute": 0}, bursts=bursts) as world:
        at(world, 120)
        assert metric("Invocations", ALIAS, minutes=DAY) == {}
        assert metric("Invocations", ALIAS) == {0: 6000, 1: 600}


def test_throttled_requests_reach_no_version_and_fail() -> None:
    """AWS Lambda, "Types of metrics": throttled requests count as Throttles and as neither invocation nor error."""
    stories = []
    for throttles in ({}, {"throttles": {"from_second": 60, "to_second": 210, "share": 0.3}}):
        with half_and_half(stable={"error_rate": 0}, candidate={"error_rate": 0}, **throttles) as world:
            at(world, 300)
            stories.append((world.traffic.counts, *(metric("Invocations", named) for named in (ALIAS, CANDIDATE))))
            throttled = metric("Throttles", ALIAS)
            assert metric("Throttles", FUNCTION) == throttled
            assert metric("Throttles", STABLE) == metric("Throttles", CANDIDATE) == {}
            assert sum(metric("Errors", FUNCTION).values()) == 0
    (free, _, to_candidate), (counts, invocations, to_candidate_too) = stories
    assert set(throttled) == {1, 2, 3}
    assert [throttled[minute] for minute in (1, 2, 3)] == pytest.approx([180, 180, 90], rel=0.2)
    assert all(invocations[minute] + throttled.get(minute, 0) == 600 for minute in range(5))
    assert (counts.requests, counts.failed, counts.failed_by_candidate) == (3000, sum(throttled.values()), 0)
    assert free.failed == 0
    assert to_candidate[0] == to_candidate_too[0]
    assert to_candidate_too[1] == pytest.approx(0.7 * to_candidate[1], rel=0.2)


def test_bursts_come_in_the_rollout_and_came_in_the_day_before() -> None:
    bursts = {"every_seconds": 300, "first_second": 120, "seconds": 60, "requests_per_minute": 1800}
    with half_and_half(requests_per_minute=60, bursts=bursts) as world:
        at(world, 200)
        world.traffic.catch_up(world.clock.now())
        at(world, 480)
        invocations = metric("Invocations", ALIAS, minutes=(-8, 60))
        counts = world.traffic.counts
    assert {minute for minute, requests in invocations.items() if requests == 1800} == {-8, -3, 2, 7}
    assert {minute for minute, requests in invocations.items() if requests == 60} == {*range(-8, 8)} - {-8, -3, 2, 7}
    assert counts.requests == 2 * 1800 + 6 * 60


def test_bursts_and_throttles_that_cannot_be_are_refused() -> None:
    assert reasons(bursts={"every_seconds": 60, "seconds": 61, "requests_per_minute": 1}) == [
        "bursts: seconds is more than every_seconds"
    ]
    assert reasons(throttles={"from_second": 60, "to_second": 60, "share": 0.1}) == [
        "throttles: to_second is not after from_second"
    ]
    assert len(reasons(throttles={"from_second": 0, "to_second": 1, "share": 1.1})) == 1
    assert len(reasons(day_before={"requests_per_minute": -1})) == 1
    assert reasons(candidate={"slow_by_minute": [0]})[0] == "candidate.slow_by_minute[0]: must be more than 0"


@pytest.mark.parametrize("scenario", ["hung_requests", "throttled_callers", "bursts"])
def test_a_rollout_is_shown_from_its_first_minute_to_its_last(scenario: str) -> None:
    views: list[RolloutView] = []
    story = play(REQUEST, shipped()[scenario], 0, lambda world: views.append(rollout_view(world)))
    minutes = views[-1].minutes
    assert len(minutes) == pytest.approx(story.virtual_seconds / 60, abs=1)
    served = sum(minute.stable.requests + minute.candidate.requests for minute in minutes[:-1])
    assert 0 < served <= story.traffic["requests"]
    assert report.html(views[-1]).startswith("<!")


# The function.

MADE = {"durable": "DurableConfig", "capacity_provider": "CapacityProviderConfig", "tenant_isolation": "TenancyConfig"}


@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "2", "live"])
def test_the_function_and_its_versions_show_how_it_is_made(qualifier: str) -> None:
    made = {**dict.fromkeys(MADE, True), "timeout_seconds": 900, "package_type": "Image"}
    with half_and_half(function=made):
        shown = client("lambda").get_function_configuration(**FUNCTION, Qualifier=qualifier)
    assert (shown["Timeout"], shown["PackageType"]) == (900, "Image")
    assert shown["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    assert all(shown[setting] for setting in MADE.values())


def test_a_function_of_which_nothing_is_said_is_as_lambda_makes_it() -> None:
    with half_and_half():
        shown = client("lambda").get_function_configuration(**FUNCTION, Qualifier="2")
        assert shown["Timeout"] == 3
        assert not MADE.keys() & shown.keys()
        assert client("lambda").list_event_source_mappings()["EventSourceMappings"] == []


@pytest.mark.parametrize("kind", ["sqs", "kinesis", "dynamodb"])
@pytest.mark.parametrize("named", ["checkout:live", "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"])
def test_an_event_source_invokes_the_alias(kind: str, named: str) -> None:
    source = {"type": kind, "partial_batch_responses": True}
    with half_and_half(function={"event_source": source}):
        (mapping,) = client("lambda").list_event_source_mappings(FunctionName=named)["EventSourceMappings"]
        others = client("lambda").list_event_source_mappings(**FUNCTION)["EventSourceMappings"]
    assert mapping["EventSourceArn"].startswith(f"arn:aws:{kind}:us-east-1:123456789012:")
    assert mapping["FunctionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"
    assert (mapping["State"], mapping["FunctionResponseTypes"]) == ("Enabled", ["ReportBatchItemFailures"])
    assert others == []


def test_an_event_source_fails_whole_batches_unless_told() -> None:
    with half_and_half(function={"event_source": {"type": "sqs"}}):
        (mapping,) = client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert mapping["FunctionResponseTypes"] == []


# Alarms.

SLOW = {
    "name": "slow",
    "metric": "Duration",
    "statistic": "p99",
    "comparison": "GreaterThanThreshold",
    "threshold": 800,
    "period_seconds": 60,
    "evaluation_periods": 3,
    "datapoints_to_alarm": 2,
    "on": "candidate",
}


def test_an_alarm_is_put_as_it_is_told() -> None:
    with half_and_half(alarms=[SLOW]):
        (shown,) = client("cloudwatch").describe_alarms(AlarmNames=["slow"])["MetricAlarms"]
    assert (shown["MetricName"], shown["ExtendedStatistic"], "Statistic" in shown) == ("Duration", "p99", False)
    assert (shown["ComparisonOperator"], shown["Period"]) == ("GreaterThanThreshold", 60)
    assert (shown["EvaluationPeriods"], shown["DatapointsToAlarm"]) == (3, 2)
    assert {each["Name"]: each["Value"] for each in shown["Dimensions"]} == CANDIDATE


@pytest.mark.parametrize(
    ("request_", "scenario", "version"),
    [
        ({}, {"alias": {"function_version": "3"}}, "4"),
        ({"version": "7"}, {"versions": {"7": {"state": "Active"}}}, "7"),
        (
            {"profile": "adopts"},
            {"versions": {"5": {"state": "Active"}}, "profiles": {"adopts": {"version": "5"}}},
            "5",
        ),
        ({"version": {"from_alias": "next"}}, {}, "2"),
    ],
)
def test_an_alarm_on_the_candidate_watches_the_version_that_is_rolled_out(
    request_: dict[str, Any], scenario: dict[str, Any], version: str
) -> None:
    with World(Scenario.of({"alarms": [SLOW], **scenario}), {**REQUEST, **request_}):
        (shown,) = client("cloudwatch").describe_alarms(AlarmNames=["slow"])["MetricAlarms"]
    assert {each["Name"]: each["Value"] for each in shown["Dimensions"]} == {**CANDIDATE, "ExecutedVersion": version}


@pytest.mark.parametrize(("on", "state"), [("candidate", "ALARM"), ("alias", "OK"), ("function", "OK")])
def test_an_alarm_on_the_candidate_sees_what_one_on_the_alias_does_not(on: str, state: str) -> None:
    alarm = {**SLOW, "on": on, "statistic": "p50", "threshold": 200}
    with half_and_half(candidate={"duration_ms": {"median": 240}}, alarms=[alarm]) as world:
        at(world, 400)
        (shown,) = client("cloudwatch").describe_alarms(AlarmNames=["slow"])["MetricAlarms"]
    assert shown["StateValue"] == state


@pytest.mark.parametrize(
    ("comparison", "threshold", "state"),
    [
        ("LessThanThreshold", 600, "OK"),
        ("LessThanOrEqualToThreshold", 600, "ALARM"),
        ("GreaterThanThreshold", 600, "OK"),
        ("GreaterThanOrEqualToThreshold", 600, "ALARM"),
    ],
)
def test_an_alarm_compares_as_it_is_told(comparison: str, threshold: float, state: str) -> None:
    alarm = {"name": "traffic", "metric": "Invocations", "comparison": comparison, "threshold": threshold}
    with half_and_half(alarms=[alarm]) as world:
        at(world, 300)
        (shown,) = client("cloudwatch").describe_alarms(AlarmNames=["traffic"])["MetricAlarms"]
    assert shown["StateValue"] == state


def test_an_alarm_that_cannot_be_is_refused() -> None:
    assert reasons(alarms=[{**SLOW, "datapoints_to_alarm": 4}]) == [
        "alarms[0]: datapoints_to_alarm is more than evaluation_periods"
    ]
    assert reasons(alarms=[{**SLOW, "comparison": "GreaterThan"}])[0].startswith("alarms[0].comparison: must be ")
    assert len(reasons(alarms=[{**SLOW, "on": "stable"}])) == 1
