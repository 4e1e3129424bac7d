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


def test_the_minute_of_the_shift_compares_nothing():
    assert said(CANARY, 500) != []


def test_slow_requests_that_nobody_can_call_slow_are_warned_of_where_they_are_judged():
    assert said(p99_ms=None) == [SLOW_UNJUDGED]
    assert said(p99_ms=None, health=HealthPolicy(judge=None)) == []
    assert said(p99_ms=None, health=HealthPolicy(judge=Judge(slow=None))) == []
