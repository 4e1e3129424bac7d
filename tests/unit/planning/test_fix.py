"""The plan of a fix says that it is one, and what that means."""

from dataclasses import replace

import pytest

from tidegate.analysis.health import AlarmRule, HealthPolicy
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.planning.fix import warnings

HOUR = TrafficBaseline(864_000, 8_064, 600.0, hour_requests=34_200, hour_errors=6_840)
DAY = TrafficBaseline(864_000, 864_000, 600.0)


def told(baseline, health=HealthPolicy(), alarms=()):  # noqa: B008  frozen
    return list(warnings("3", baseline, health, alarms))


def test_it_says_since_when_and_what_would_make_it_sooner():
    (sentence,) = told(HOUR)
    assert sentence == (
        "version 3 failed 20 % of its requests in the last hour, so this release is judged as a fix: one that fails"
        " clearly less (2.5 times as seldom) need not be perfect. How soon it gets more is the steps' choice: with"
        ' "advance_early": true a weight ends once min_bake_seconds (5 min) are over'
    )
    assert told(DAY)[0].startswith("version 3 failed 100 % of its requests in the last 24 hours, so ")


def test_it_says_what_becomes_of_a_limit_and_of_an_alarm():
    health = HealthPolicy(max_error_percent=2.0, advance_early=True, min_bake_seconds=120)
    sentence, alarm = told(HOUR, health, (AlarmRule("a"), AlarmRule("errors", "ignore_until_ok")))
    assert "perfect. max_error_percent (2) is ignored while more of the stable version fails. Each weight" in sentence
    assert sentence.endswith("min_bake_seconds (2 min) are over, if it is clearly better by then (advance_early)")
    assert "once errors has been OK, if only for a minute, it rolls back" in alarm


@pytest.mark.parametrize("judge", [None, Judge(errors=None)])
def test_nothing_is_said_where_its_failures_are_not_judged(judge):
    assert told(HOUR, HealthPolicy(judge=judge)) == []


@pytest.mark.parametrize("baseline", [TrafficBaseline(), replace(HOUR, hour_errors=1_000)])
def test_nothing_is_said_of_a_stable_version_that_serves(baseline):
    assert told(baseline) == []
