"""When to look next: as soon as there may be something new, and never more often than the plan has room for."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plans import PLAN
from tidegate.analysis.arrival import is_awaited
from tidegate.analysis.measurement import Counts, Minute, TrafficBaseline
from tidegate.control.looks import first_look, next_look
from tidegate.control.progress import Progress
from tidegate.planning.pace import SOONER_LOOKS
from tidegate.planning.strategy import Step

NEVER = 10.0**9
QUIET = TrafficBaseline()
#: 600 requests a minute in every hour of the day before.
BUSY = TrafficBaseline(requests=864_000, requests_per_minute=600.0, since=-86_400.0, hourly=(36_000,) * 24)
#: How long after its end the sandbox, or AWS, may have a minute's metrics.
DELAYS = (60, 75, 90, 105)
#: What a look itself may take.
TAKES = 1.0


def course(plan, second, delay, served=(540, 60)):
    """When each look at a plan comes, and at which step, where minutes are so late."""
    now, progress = float(second), None
    for number, step in enumerate(plan.steps):
        progress, wait = first_look(
            plan, Progress.after_shift(progress, number, step.weight_percent, revision_id="r", now=now)
        )
        while True:
            now += wait + TAKES
            yield now, number
            left = progress.shifted_at + step.bake_seconds - now
            if left <= 0:
                break
            come = range(int(progress.first_shift_at // 60), max(0, math.floor((now - delay) / 60)))
            minutes = [Minute(60.0 * at, Counts(served[0]), Counts(served[1])) for at in come]
            awaited = is_awaited(minutes, progress.shifts, now, BUSY if sum(served) >= 10 else QUIET)
            progress, wait = next_look(plan, progress, now, left, awaited=awaited)


def each_minute(*bakes, looks=SOONER_LOOKS):
    return replace(PLAN, steps=tuple(Step(10, bake) for bake in bakes), sooner_looks=looks)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("second", range(0, 60, 7))
def test_each_of_the_first_minutes_is_seen_within_a_quarter_of_one(second, delay):
    looks = [at for at, _ in course(each_minute(300), second, delay)]
    for minute in range(2):
        come = 60 * (minute + 1) + delay
        assert min(at for at in looks if at >= come) - come <= 15 + 5 * TAKES


@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=6),
    st.integers(0, 59),
    st.sampled_from([*DELAYS, 120, 150, NEVER]),
    st.sampled_from([60, 61, 300]),
    st.integers(0, SOONER_LOOKS),
)
def test_no_more_looks_are_taken_than_the_pace_counts(bakes, second, delay, poll_seconds, sooner):
    plan = replace(each_minute(*bakes, looks=sooner), poll_seconds=poll_seconds)
    looks = list(course(plan, second, delay))
    regular = sum(math.ceil(bake / poll_seconds) + 1 for bake in bakes)
    assert len(looks) <= regular + sooner * len(bakes)
    assert max(after - before for (before, _), (after, _) in pairwise([(float(second), 0), *looks])) <= (
        poll_seconds + TAKES
    )


def test_where_minutes_come_at_once_and_where_none_are_to_be_expected_one_look_more_finds_the_phase():
    for delay, served in ((60, (540, 60)), (NEVER, (4, 1))):
        assert len(list(course(each_minute(300), 20, delay, served))) == 6


def test_a_rollout_that_looks_seldom_looks_every_minute_at_first():
    daily = replace(each_minute(86_400), poll_seconds=1500)
    looks = [at for at, _ in course(daily, 20, 90)]
    assert [round(at) for at in looks[:6]] == [122, 183, 244, 305, 366, 1867]
    assert [round(at) for at, _ in course(replace(daily, sooner_looks=0), 20, 90)][:2] == [1521, 3022]


@pytest.mark.parametrize(
    ("served", "weight", "awaited"),
    [((540, 60), 10, False), ((540, 29), 10, True), ((54, 0), 10, False), ((0, 600), 100, False)],
)
def test_a_minute_without_the_better_part_of_the_candidates_requests_is_awaited(served, weight, awaited):
    shifts = Progress.after_shift(None, 0, weight, revision_id="r", now=0.0).shifts
    minutes = [Minute(0.0, Counts(served[0]), Counts(served[1]))]
    assert is_awaited(minutes, shifts, 125.0, BUSY) is awaited
    assert not is_awaited(minutes, shifts, 125.0, BUSY, weighed=False)


def test_a_minute_is_awaited_once_it_may_be_judged_where_there_is_traffic():
    shifts = Progress.after_shift(None, 0, 10, revision_id="r", now=59.0).shifts
    assert [is_awaited([], shifts, now, BUSY) for now in (100.0, 119.9, 120.0)] == [False, False, True]
    assert not is_awaited([], shifts, 120.0, QUIET)
    assert not is_awaited([], (), 120.0, BUSY)
    seen = [Minute(0.0, Counts(540), Counts(60))]
    assert [is_awaited(seen, shifts, now, QUIET) for now in (150.0, 180.0)] == [False, True]
