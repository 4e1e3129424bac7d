"""The pace: a plan fits one execution's history however long it bakes and waits, or it is refused with the numbers."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.health import HealthPolicy
from tidegate.errors import PlanTooLong
from tidegate.hooks.hook import NO_HOOKS, Hook, Hooks
from tidegate.planning.pace import (
    HISTORY_BUDGET,
    MAX_POLL_SECONDS,
    MAX_TOTAL_SECONDS,
    MIN_POLL_SECONDS,
    history_events,
    pace,
    pause_wait_seconds,
)
from tidegate.planning.strategy import DEFAULT_STEPS, Approval, Step

DAY = 86_400
steps = st.lists(st.integers(0, 7 * DAY), min_size=1, max_size=40).map(
    lambda bakes: tuple(Step(i + 1, bake) for i, bake in enumerate(bakes))
)


def paced(plan_steps, extension=600, **health):
    return pace(plan_steps, HealthPolicy(max_extension_seconds=extension, **health))


@given(steps, st.integers(0, DAY))
def test_every_plan_that_is_accepted_fits_the_history_budget(plan_steps, extension):
    try:
        found = paced(plan_steps, extension)
    except PlanTooLong:
        return
    assert MIN_POLL_SECONDS <= found.poll_seconds <= MAX_POLL_SECONDS
    assert history_events(plan_steps, HealthPolicy(max_extension_seconds=extension), found) <= HISTORY_BUDGET
    assert found.longest_seconds <= MAX_TOTAL_SECONDS


@given(steps, st.integers(0, DAY))
def test_sooner_looks_are_what_is_given_up_first(plan_steps, extension):
    """Beside them a rollout looks about as often as it would without them, and every minute where it did."""
    try:
        found = paced(plan_steps, extension)
    except PlanTooLong:
        return
    health = HealthPolicy(max_extension_seconds=extension)
    shorter = math.ceil(found.poll_seconds / 1.1) - 1
    extended = (
        min(found.extension_poll_seconds, shorter) if found.extension_poll_seconds == found.poll_seconds else None
    )
    often = replace(
        found,
        poll_seconds=shorter,
        extension_poll_seconds=extended or found.extension_poll_seconds,
        sooner_looks=0,
    )
    assert found.poll_seconds == 60 or history_events(plan_steps, health, often) > HISTORY_BUDGET


def test_a_short_rollout_looks_every_minute_at_every_minute():
    found = paced(DEFAULT_STEPS)
    assert (found.poll_seconds, found.extension_poll_seconds, found.max_step_backs) == (60, 60, 2)


def test_a_day_at_one_weight_looks_about_every_ninety_seconds():
    assert 75 <= paced((Step(10, DAY), Step(100, 0))).poll_seconds <= 95


def test_thirty_days_fit():
    assert paced((Step(10, 30 * DAY), Step(100, 0))).max_step_backs == 2


def test_a_long_extension_is_looked_at_less_often_and_the_bakes_are_not():
    found = paced(DEFAULT_STEPS, 7 * DAY)
    assert found.poll_seconds == 60
    assert 500 < found.extension_poll_seconds < 700


def test_where_two_steps_back_do_not_fit_fewer_are_made():
    many = tuple(Step(i / 2, 60) for i in range(1, 201))
    assert paced(many).max_step_backs < 2
    assert paced(DEFAULT_STEPS, judge=None).max_step_backs == 0


def test_a_thousand_steps_are_refused_with_the_numbers():
    many = tuple(Step(i / 10, 60) for i in range(1, 1001))
    with pytest.raises(PlanTooLong, match=r"1,000 steps .* budget is 15,000"):
        paced(many, 0)


def test_a_plan_that_outlasts_the_execution_is_refused():
    with pytest.raises(PlanTooLong, match="may take 20 d more than a rollout may, which is 40 d"):
        paced((Step(50, 30 * DAY), Step(100, 30 * DAY)), 0)


def test_the_longest_time_counts_bakes_extension_steps_back_flinches_and_the_last_minutes_delay():
    assert paced(DEFAULT_STEPS).longest_seconds == 3 * (900 + 120) + 2 * (180 + 300) + 600
    assert paced(DEFAULT_STEPS, judge=None).longest_seconds == 900 + 600 + 120


def test_the_longest_course_of_a_provisioned_alias_has_its_promotion_in_it():
    health = HealthPolicy(max_extension_seconds=600, judge=None)
    longest = [pace(DEFAULT_STEPS, health, provisioned=provisioned).longest_seconds for provisioned in (False, True)]
    assert longest == [900 + 600 + 120, 900 + 600 + 120 + 2400]


waits = st.integers(60, 30 * DAY)


@given(
    st.lists(st.tuples(st.integers(0, 2 * DAY), st.none() | waits), min_size=1, max_size=14),
    st.none() | waits,
    st.integers(0, 30 * DAY),
    st.booleans(),
)
def test_whatever_is_waited_for_fits_the_history_budget(asked, hold, pause, hooked):
    plan_steps = tuple(Step(i + 1, bake, gate and Approval(gate)) for i, (bake, gate) in enumerate(asked))
    health = HealthPolicy(when_inconclusive="hold" if hold else "extend", max_hold_seconds=hold or DAY)
    hooks = Hooks(each_step=Hook("look"), after_traffic=Hook("look")) if hooked else NO_HOOKS
    try:
        found = pace(plan_steps, health, hooks, pause)
    except PlanTooLong:
        return
    assert history_events(plan_steps, health, found, hooks) <= HISTORY_BUDGET
    assert found.hold_poll_seconds <= MAX_POLL_SECONDS
    assert found.longest_seconds <= MAX_TOTAL_SECONDS


def test_a_gate_of_a_day_is_looked_at_within_two_minutes_pauses_included():
    gated = (Step(10, 300), Step(50, 300, Approval(DAY)), Step(100, 300))
    found = pace(gated, HealthPolicy(), max_pause_seconds=DAY)
    assert (found.poll_seconds, found.max_step_backs, found.max_pause_seconds) == (60, 2, DAY)
    assert found.hold_poll_seconds < 115


def test_a_gate_of_thirty_days_and_fourteen_daily_steps_fit_with_a_day_of_pause():
    month = (Step(10, 300), Step(100, 300, Approval(30 * DAY)))
    assert pace(month, HealthPolicy(), max_pause_seconds=DAY).max_pause_seconds == DAY
    daily = tuple(Step(100 * i / 14, DAY) for i in range(1, 15))
    assert pace(daily, HealthPolicy(), max_pause_seconds=DAY).max_pause_seconds == DAY


def test_a_pause_that_does_not_fit_is_left_out():
    longest = (Step(10, 30 * DAY), Step(100, 9 * DAY))
    assert pace(longest, HealthPolicy(), max_pause_seconds=30 * DAY).max_pause_seconds == 0


def test_flinches_are_what_is_left_out_first():
    assert paced(DEFAULT_STEPS).max_flinches == 2
    longest = (Step(10, 20 * DAY), Step(100, 20 * DAY - 8200))
    assert (paced(longest, 0).max_flinches, paced(longest, 0).max_step_backs) == (0, 2)


def test_the_longer_a_pause_the_more_seldom_it_is_looked_at():
    waits = [pause_wait_seconds(paused, 60) for paused in (0, 1200, 7200, DAY)]
    assert waits == [60, 60, 360, 1800]


def test_a_second_too_much_is_told_as_a_second():
    health = HealthPolicy(judge=None, max_extension_seconds=0)
    longest = MAX_TOTAL_SECONDS - 120
    assert pace((Step(10, longest), Step(100, 0)), health).longest_seconds == MAX_TOTAL_SECONDS
    with pytest.raises(PlanTooLong, match="may take 1 s more than a rollout may, which is 40 d"):
        pace((Step(10, longest + 1), Step(100, 0)), health)


@pytest.mark.parametrize("bake_seconds", [DAY, 3 * DAY, 30 * DAY])
def test_no_shorter_interval_fits_than_the_bakes_have(bake_seconds):
    long, health = (Step(10, bake_seconds), Step(100, 0)), HealthPolicy()
    found = pace(long, health)
    shorter = replace(found, poll_seconds=found.poll_seconds - 1, extension_poll_seconds=found.poll_seconds - 1)
    assert found.extension_poll_seconds == found.poll_seconds, "an extension of ten minutes is looked at as often"
    assert history_events(long, health, shorter) > HISTORY_BUDGET
