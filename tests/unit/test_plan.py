"""The plan: it fits one execution's history however long the bakes, or it is refused with the numbers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.errors import PlanTooLong
from rollout.plan import (
    HISTORY_BUDGET,
    MAX_POLL_SECONDS,
    POLL_SECONDS,
    AlarmGate,
    HealthGate,
    Plan,
    choose_poll_seconds,
    history_events,
    longest_seconds,
)
from rollout.strategy import DEFAULT_STEPS, Step

DAY = 86_400
steps = st.lists(st.integers(0, 7 * DAY), min_size=1, max_size=40).map(
    lambda bakes: tuple(Step(i + 1, bake) for i, bake in enumerate(bakes))
)


@given(steps, st.integers(0, DAY))
def test_every_plan_that_is_accepted_fits_the_history_budget(plan_steps, extension):
    try:
        poll = choose_poll_seconds(plan_steps, extension)
    except PlanTooLong:
        return
    assert POLL_SECONDS <= poll <= MAX_POLL_SECONDS
    assert history_events(plan_steps, extension, poll) <= HISTORY_BUDGET


def test_a_short_rollout_looks_every_minute():
    assert choose_poll_seconds(DEFAULT_STEPS, 600) == 60


def test_a_day_at_one_weight_looks_about_every_eighty_seconds():
    assert 70 <= choose_poll_seconds((Step(10, DAY), Step(100, 0)), 600) <= 90


def test_thirty_days_fit():
    month = (Step(10, 30 * DAY), Step(100, 0))
    assert history_events(month, 600, choose_poll_seconds(month, 600)) <= HISTORY_BUDGET


def test_a_thousand_steps_are_refused_with_the_numbers():
    many = tuple(Step(i / 10, 60) for i in range(1, 1001))
    with pytest.raises(PlanTooLong, match=r"1,000 steps .* budget is 15,000"):
        choose_poll_seconds(many, 0)


def test_a_plan_that_outlasts_the_execution_is_refused():
    with pytest.raises(PlanTooLong, match="40 days"):
        choose_poll_seconds((Step(50, 30 * DAY), Step(100, 30 * DAY)), 0)


def test_the_longest_time_counts_bakes_and_extension():
    assert longest_seconds(DEFAULT_STEPS, 600) == 1500


def test_a_plan_survives_the_journey_through_json(plan):
    rich = Plan(
        **{
            **{name: getattr(plan, name) for name in Plan.__dataclass_fields__},
            "alarms": (AlarmGate("errors", "ignore_until_ok"),),
            "health": HealthGate(max_error_percent=1.5),
            "version": "7",
        }
    )
    assert Plan.from_json(json.loads(json.dumps(rich.to_json()))) == rich
