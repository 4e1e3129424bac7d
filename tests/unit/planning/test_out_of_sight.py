"""What a plan says that its rollout will not be able to see."""

import pytest

from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.planning.out_of_sight import SLOW_UNJUDGED, warnings
from tidegate.planning.strategy import DEFAULT_STEPS, Step

AT_ONCE = (Step(100, 0),)
CANARY = (Step(10, 300), Step(100, 0))


def day(rate, p99_ms=400.0):
    return TrafficBaseline(round(1440 * rate), 0, rate, p99_ms)


def said(steps=DEFAULT_STEPS, rate=600.0, timeout_seconds=900, health=None, p99_ms=400.0):
    return list(warnings(steps, day(rate, p99_ms), health or HealthPolicy(), timeout_seconds))


@pytest.mark.parametrize("steps", [AT_ONCE, CANARY])
@pytest.mark.parametrize("health", [HealthPolicy(), HealthPolicy(judge=None)], ids=["judged", "not judged"])
def test_a_long_time_out_is_warned_of_where_no_ramp_could_tell(steps, health):
    (sentence,) = said(steps, 400, health=health)
    assert sentence.startswith("a request may run for 15 min (the function's time-out)")
    assert "a promotion will be unproven" in sentence


@pytest.mark.parametrize(
    "more",
    [{}, {"steps": CANARY, "rate": 700.0}, {"steps": AT_ONCE, "timeout_seconds": 120}, {"timeout_seconds": None}],
)
def test_where_it_could_or_where_none_hangs_for_long_nothing_is_said(more):
    assert said(**more) == []


@pytest.mark.parametrize(("steps", "sure"), [(CANARY, False), (AT_ONCE, True)])
def test_of_a_day_before_that_nobody_knows_it_is_not_said_that_it_is_too_quiet(steps, sure):
    """Where alarms alone decide nobody reads it; where nothing is compared nothing can tell."""
    (sentence,) = warnings(steps, TrafficBaseline(), HealthPolicy(judge=None), 900)
    assert ("ended: these steps compare too few" in sentence, "so a promotion will" in sentence) == (sure, sure)
    assert ("ended: where these steps compare too few" in sentence) is not sure


def test_the_minute_of_the_shift_compares_nothing():
    assert said(CANARY, 500) != []


def test_slow_requests_that_nobody_can_call_slow_are_warned_of_where_they_are_judged():
    assert said(p99_ms=None) == [SLOW_UNJUDGED]
    assert said(p99_ms=None, health=HealthPolicy(judge=None)) == []
    assert said(p99_ms=None, health=HealthPolicy(judge=Judge(slow=None))) == []
