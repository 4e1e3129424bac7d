"""The plan: it fits one execution's history however long the bakes, or it is refused with the numbers."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.errors import PlanTooLong
from rollout.forecast import StepForecast
from rollout.health import AlarmGate, HealthGate
from rollout.hook import NO_HOOKS, Hook, Hooks
from rollout.judge import Judge, Tolerance
from rollout.observation import History
from rollout.pace import (
    HISTORY_BUDGET,
    MAX_POLL_SECONDS,
    MAX_TOTAL_SECONDS,
    POLL_SECONDS,
    history_events,
    pace,
    pause_wait_seconds,
)
from rollout.plan import Plan
from rollout.strategy import COMPARISON, DEFAULT_STEPS, Approval, Step, all_at_once

DAY = 86_400
steps = st.lists(st.integers(0, 7 * DAY), min_size=1, max_size=40).map(
    lambda bakes: tuple(Step(i + 1, bake) for i, bake in enumerate(bakes))
)


def paced(plan_steps, extension=600, **health):
    return pace(plan_steps, HealthGate(max_extension_seconds=extension, **health))


@given(steps, st.integers(0, DAY))
def test_every_plan_that_is_accepted_fits_the_history_budget(plan_steps, extension):
    try:
        found = paced(plan_steps, extension)
    except PlanTooLong:
        return
    assert POLL_SECONDS <= found.poll_seconds <= MAX_POLL_SECONDS
    assert history_events(plan_steps, HealthGate(max_extension_seconds=extension), found) <= HISTORY_BUDGET
    assert found.longest_seconds <= MAX_TOTAL_SECONDS


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
    with pytest.raises(PlanTooLong, match="may take 40 d"):
        paced((Step(50, 30 * DAY), Step(100, 30 * DAY)), 0)


def test_the_longest_time_counts_bakes_extension_steps_back_and_the_last_minutes_delay():
    assert paced(DEFAULT_STEPS).longest_seconds == 3 * (900 + 120) + 600
    assert paced(DEFAULT_STEPS, judge=None).longest_seconds == 900 + 600 + 120


waits = st.integers(60, 30 * DAY)


@given(
    st.lists(st.tuples(st.integers(0, 2 * DAY), st.none() | waits), min_size=1, max_size=14),
    st.none() | waits,
    st.integers(0, 30 * DAY),
    st.booleans(),
)
def test_whatever_is_waited_for_fits_the_history_budget(asked, hold, pause, hooked):
    plan_steps = tuple(Step(i + 1, bake, gate and Approval(gate)) for i, (bake, gate) in enumerate(asked))
    health = HealthGate(when_inconclusive="hold" if hold else "extend", max_hold_seconds=hold or DAY)
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
    found = pace(gated, HealthGate(), max_pause_seconds=DAY)
    assert (found.poll_seconds, found.max_step_backs, found.max_pause_seconds) == (60, 2, DAY)
    assert found.hold_poll_seconds < 115


def test_a_gate_of_thirty_days_and_fourteen_daily_steps_fit_with_a_day_of_pause():
    month = (Step(10, 300), Step(100, 300, Approval(30 * DAY)))
    assert pace(month, HealthGate(), max_pause_seconds=DAY).max_pause_seconds == DAY
    daily = tuple(Step(100 * i / 14, DAY) for i in range(1, 15))
    assert pace(daily, HealthGate(), max_pause_seconds=DAY).max_pause_seconds == DAY


def test_a_pause_that_does_not_fit_is_left_out():
    longest = (Step(10, 30 * DAY), Step(100, 9 * DAY))
    assert pace(longest, HealthGate(), max_pause_seconds=30 * DAY).max_pause_seconds == 0


def test_the_longer_a_pause_the_more_seldom_it_is_looked_at():
    waits = [pause_wait_seconds(paused, 60) for paused in (0, 1200, 7200, DAY)]
    assert waits == [60, 60, 360, 1800]


def test_a_step_back_compares_for_five_minutes_at_least(plan):
    short = replace(plan, steps=(Step(10, 0), Step(100, 900)))
    assert [short.again_seconds(number) for number in (0, 1)] == [300, 900]


def test_an_all_at_once_rollout_steps_back_to_a_weight_that_compares(plan):
    assert (plan.first_step, plan.step_at(plan.first_step).weight_percent) == (0, 10)
    at_once = replace(plan, steps=all_at_once())
    assert (at_once.first_step, at_once.step_at(at_once.first_step)) == (-1, COMPARISON)


def test_a_plan_survives_the_journey_through_json(plan):
    rich = Plan(
        **{
            **{name: getattr(plan, name) for name in Plan.__dataclass_fields__},
            "alarms": (AlarmGate("errors", "ignore_until_ok"),),
            "health": HealthGate(max_error_percent=1.5, judge=Judge(errors=Tolerance(1.5, 0.01), slow=None)),
            "history": History(1000, 1, 0.7, 250.0),
            "expectations": (StepForecast(10, 50, 12.5), StepForecast(100, 500, None)),
            "warnings": ("nothing is compared",),
            "version": "7",
            "steps": (Step(10, 60), Step(100, 60, Approval(3600, "continue"))),
            "hooks": Hooks(each_step=Hook("look:live", 30)),
        }
    )
    assert Plan.from_json(json.loads(json.dumps(rich.to_json()))) == rich


def test_a_guard_reads_the_plan_of_an_older_tidegate_and_of_a_newer_one(plan):
    older = {
        key: value for key, value in plan.to_json().items() if key not in ("hooks", "profile", "hold_poll_seconds")
    }
    for step in older["steps"]:
        del step["approval"]
    assert Plan.from_json({**older, "unheard_of": 1}) == plan
    assert Plan.from_json(newer(older)) == plan


def newer(value):
    """A document in which every object says something that nobody here has heard of."""
    if isinstance(value, dict):
        return {**{key: newer(inner) for key, inner in value.items()}, "unheard_of": 1}
    return [newer(inner) for inner in value] if isinstance(value, list) else value
