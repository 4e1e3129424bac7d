"""A fix: the stable version itself fails, the candidate clearly less, and nobody asks it to be perfect."""

import pytest

ON_CANDIDATE = {"function_version": "2", "weights": {}}
#: A stable version that has failed one request in five for an hour.
BROKEN = {
    "stable": {"error_rate": 0.2},
    "candidate": {"error_rate": 0.01},
    "day_before": {"error_rate": 0.001, "last_hour_error_rate": 0.2},
}
DAYS = [{"weight": weight, "bake_seconds": seconds} for weight, seconds in ((10, 3600), (50, 3600), (100, 300))]
#: How long the default steps take, and what settles.
UNHELD_SECONDS = 1060


@pytest.mark.parametrize(
    ("request_", "world"),
    [
        ({}, {}),
        ({"health": {"max_error_percent": 2}}, {"candidate": {"error_rate": 0.05}}),
        ({"health": {"advance_early": True}, "steps": DAYS}, {}),
        ({}, {"stable": {"error_rate": 1.0, "fails_in_ms": 4}}),
    ],
    ids=[
        "is not held",
        "crosses a limit that the stable version crosses by more",
        "advances early",
        "of what fails at once",
    ],
)
def test_a_fix_is_promoted_as_soon_as_its_steps_allow(tell, request_, world):
    story = tell(request_, **{**BROKEN, **world})
    assert (story.outcome, story.alias, story.proven) == ("promoted", ON_CANDIDATE, True)
    assert story.virtual_seconds < UNHELD_SECONDS
    assert story.proven_by == ["errors", "slow"]


def test_a_fix_of_an_outage_that_begins_on_the_way_is_not_held(tell):
    story = tell(stable={"error_rate_by_minute": [0.001] * 3 + [1.0]}, candidate={"error_rate": 0.001})
    assert (story.outcome, story.proven) == ("promoted", True)
    assert story.virtual_seconds < UNHELD_SECONDS


def test_a_fix_at_once_is_compared_and_goes_up_again(tell):
    """At 100 % it looks worse than the day before: beside the stable version it is better."""
    story = tell({"strategy": "AllAtOnce"}, **{**BROKEN, "candidate": {"error_rate": 0.05}})
    assert (story.outcome, story.proven, story.states.count("StepBack")) == ("promoted", True, 1)


def test_a_fix_that_is_slow_is_rolled_back(tell):
    slow = {"error_rate": 0.01, "duration_ms": {"median": 200, "p99": 900}}
    story = tell({"health": {"advance_early": True}, "steps": DAYS}, **{**BROKEN, "candidate": slow})
    assert (story.error, story.traffic["to_candidate"]) == ("RolledBack", pytest.approx(320, rel=0.2))
    assert "takes longer than the usual" in story.cause
