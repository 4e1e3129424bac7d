"""When callers call: evenly, and in bursts, and as many as a minute is said to bring however often somebody looks."""

from __future__ import annotations

import pytest

from sandbox.arrivals import Arrivals
from sandbox.scenario_traffic import Bursts

HOURLY = Bursts(every_seconds=3600, seconds=60, requests_per_minute=6000)
BY_THE_WAY = Bursts(every_seconds=50, first_second=20, seconds=15, requests_per_minute=1000)


def test_a_burst_on_the_hour_is_a_minute_of_its_own() -> None:
    arrivals = Arrivals(60, HOURLY)
    assert [arrivals.in_minute(minute) for minute in (-121, -120, -119, -60, -1, 0, 1, 59, 60, 61)] == [
        *(60, 6000, 60, 6000, 60),
        *(6000, 60, 60, 6000, 60),
    ]


def test_the_first_burst_of_the_rollout_is_at_its_second_and_the_day_before_kept_the_rhythm() -> None:
    arrivals = Arrivals(60, Bursts(every_seconds=300, first_second=420, seconds=60, requests_per_minute=600))
    assert [minute for minute in range(-12, 14) if arrivals.in_minute(minute) > 60] == [-8, -3, 7, 12]


def test_a_burst_counts_for_the_part_of_a_minute_that_it_lasts() -> None:
    arrivals = Arrivals(60, Bursts(every_seconds=600, first_second=30, seconds=60, requests_per_minute=600))
    assert [arrivals.in_minute(minute) for minute in range(3)] == [330, 330, 60]
    assert arrivals.due(0, 0.5) == 30
    assert arrivals.due(0, 0.75) == 180
    assert arrivals.second(0, 180) == pytest.approx(45)
    assert arrivals.second(1, 300) == pytest.approx(90)


@pytest.mark.parametrize("per_minute", [0, 0.4, 9.9, 600])
@pytest.mark.parametrize("bursts", [None, HOURLY, BY_THE_WAY], ids=["even", "hourly", "by the way"])
def test_requests_come_one_after_the_other_and_none_is_lost(per_minute: float, bursts: Bursts | None) -> None:
    arrivals = Arrivals(per_minute, bursts)
    for minute in (-61, -60, -1, 0, 1, 60):
        in_all = arrivals.in_minute(minute)
        seconds = [arrivals.second(minute, index) for index in range(in_all)]
        assert seconds == sorted(seconds)
        assert all(60 * minute <= second < 60 * minute + 60 for second in seconds)
        assert (arrivals.due(minute, 0.0), arrivals.due(minute, 1.0)) == (0, in_all)
        for elapsed in (0.1, 0.37, 0.99):
            before = sum(second < 60 * (minute + elapsed) - 1e-6 for second in seconds)
            assert arrivals.due(minute, elapsed) == pytest.approx(before, abs=1)


def test_a_whole_day_has_as_many_as_its_minutes_together() -> None:
    arrivals = Arrivals(9.9, BY_THE_WAY)
    day = range(-1440, 0)
    expected = 1440 * 9.9 + (1000 - 9.9) / 60 * 15 * 86_400 / 50
    assert sum(arrivals.in_minute(minute) for minute in day) == pytest.approx(expected, abs=20)
    assert sum(arrivals.in_minute(minute) for minute in day) == -arrivals.before(-1440)
