"""What could not be seen: metrics that have not come, requests that are missing, and throttles."""

from dataclasses import replace
from random import Random

import pytest

from tidegate.analysis.check import Finding
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.sight import Missing, Sight, Throttled, Unseen, blind

HOUR, DAY = 3600, 86_400
#: A day of 600 requests a minute, that ended at second 0.
BEFORE = TrafficBaseline(864_000, 864, 600.0, 400.0, since=-float(DAY), hourly=(36_000,) * 24)
TEN = (Shift(2.0, 10.0),)
FIFTY = (*TEN, Shift(302.0, 50.0))


def minutes(*pairs, throttled=0, start=0):
    return [
        Minute(60.0 * (start + number), Counts(stable, 0, stable), Counts(candidate, 0, candidate), throttled)
        for number, (stable, candidate) in enumerate(pairs)
    ]


# Blind.


@pytest.mark.parametrize("now", [120, 300, 900])
def test_a_first_step_of_which_nothing_comes_is_blind_by_the_day_before(now):
    assert "no request of either version is counted, where some " in blind([], TEN, now, BEFORE)


def test_as_many_as_ten_must_have_been_expected():
    assert blind([], TEN, 11.5, BEFORE) == ""
    quiet = replace(BEFORE, hourly=(5,) * 24)
    assert blind([], TEN, 900, quiet) == ""
    assert blind([], TEN, 900, replace(BEFORE, hourly=())) == ""


def test_the_hour_of_the_day_says_what_was_to_be_expected():
    young = replace(BEFORE, hourly=(*[0] * 20, *[36_000] * 4))
    assert blind([], TEN, 300, young), "its last hours say what is usual, where the day before had none"
    nights = replace(BEFORE, hourly=(*[0] * 8, *[36_000] * 16))
    at_night, by_day = (Shift(2.0 * HOUR, 10.0),), (Shift(9.0 * HOUR, 10.0),)
    assert blind([], at_night, 2 * HOUR + 300, nights) == ""
    assert blind([], by_day, 9 * HOUR + 300, nights)
    hourly_job = replace(BEFORE, hourly=(*[0] * 8, *[None] * 16))
    assert blind([], by_day, 9 * HOUR + 300, hourly_job) == ""
    assert (
        blind(minutes((5400, 600), start=9 * 60), (*by_day, Shift(9.0 * HOUR + 300, 50.0)), 9 * HOUR + 900, hourly_job)
        == ""
    )
    assert BEFORE.expected(1800, 3 * DAY + 1800) == pytest.approx(3 * 864_000)


def test_a_candidate_of_which_nothing_comes_beside_the_stable_version_is_blind():
    alone = minutes(*[(540, 0)] * 4)
    assert "the stable version's requests are counted, and none of the candidate's, where some 180" in blind(
        alone, TEN, 300, BEFORE
    )
    assert blind(minutes(*[(540, 0)] * 3, (540, 1)), TEN, 300, BEFORE) == ""
    assert blind(minutes(*[(10, 0)] * 4), TEN, 300, BEFORE) == "", "too few to expect any"


def test_metrics_that_are_only_late_are_no_blindness_of_a_short_step():
    """CloudWatch is one to three minutes late, and a step may be as short as one."""
    ramp = minutes((540, 60))
    later = (*TEN, Shift(62.0, 20.0))
    assert blind(ramp, later, 125, BEFORE) == ""
    assert blind(ramp, later, 242, BEFORE) == ""
    assert "no request of either version" in blind(ramp, later, 420, BEFORE)


def test_steps_shorter_than_cloudwatch_is_late_are_blind_once_metrics_have_stopped():
    ramp, every_minute = minutes((540, 60), (480, 120)), tuple(Shift(60.0 * n + 2, 10.0 * (n + 1)) for n in range(8))
    for steps, stopped in ((4, False), (6, False), (7, True), (8, True)):
        now = every_minute[steps - 1].at + 60
        assert bool(blind(ramp, every_minute[:steps], now, BEFORE)) is stopped, now
    told = blind(ramp, every_minute, 482, BEFORE)
    assert "where some 724 of the candidate's" in told, "10 a second: 2 s of 20 %, and a minute of 30, 40 and 50 %"
    assert blind(minutes((9, 1), (8, 2)), every_minute, 482, BEFORE)
    assert blind(minutes((5, 0), (4, 1)), every_minute, 482, BEFORE) == "", "too few to expect ten"


def test_a_silence_that_was_usual_on_the_way_is_none():
    bursts = [*minutes((5400, 600)), *minutes((5400, 600), start=30)]
    after = (*TEN, Shift(1900.0, 50.0))
    assert blind(bursts, after, 2400, BEFORE) == ""
    assert blind(bursts, after, 7200, BEFORE)


def test_at_full_weight_what_was_asked_on_the_way_is_expected():
    top = (*FIFTY, Shift(602.0, 100.0))
    ramp = minutes(*[(540, 60)] * 5, *[(300, 300)] * 5)
    assert blind(ramp, top, 900, BEFORE)
    assert blind([*ramp, *minutes((0, 600), start=11)], top, 900, BEFORE) == ""


# Missing.


def test_a_candidate_that_is_counted_by_its_weight_misses_none():
    found = Missing.of(minutes(*[(540, 60)] * 5), TEN, 600)
    assert (found.counted, found.expected, found.significant, found.requests) == (240, 240.0, False, 0)
    assert found.clean


def test_what_chance_may_explain_and_may_not_is_neither_missing_nor_clean():
    """Minutes that differ much: four that a candidate had which hung in three of ten requests."""
    found = Missing.of(minutes((542, 41), (520, 58), (539, 45), (548, 35), (553, 36)), TEN, 600)
    assert (found.significant, found.clean) == (False, False)


def test_three_in_ten_that_hang_are_missed():
    found = Missing.of(minutes(*[(540, 42)] * 9), TEN, 900)
    assert found.significant
    assert not found.clean
    assert found.requests == round(582 * 8 / 10 - 336)
    assert "336 requests of the candidate were counted, and about 466 were expected by its weight" in str(found)


def test_neither_chance_nor_clumps_are_missed():
    random = Random("clumps")  # noqa: S311 - drawn once and for all
    flagged = {"coins": 0, "clumps": 0}
    for _ in range(400):
        coins = [sum(random.random() < 0.1 for _ in range(200)) for _ in range(8)]
        clumps = [10 * sum(random.random() < 0.1 for _ in range(20)) for _ in range(8)]
        for name, drawn in (("coins", coins), ("clumps", clumps)):
            split = minutes(*[(200 - candidate, candidate) for candidate in drawn], start=1)
            flagged[name] += Missing.of(split, TEN, 900).significant
    assert flagged["coins"] <= 1
    assert flagged["clumps"] <= 3


def test_where_clumps_hide_what_is_missing_no_test_is_clean():
    """Three in ten hang, and callers keep to one environment each: chance may explain it, and it proves nothing."""
    clumps = (60, 0, 90, 10, 40, 20, 80, 0, 30, 90)
    found = Missing.of(minutes(*[(540, candidate) for candidate in clumps]), TEN, 900)
    assert found.counted < 0.8 * found.expected
    assert (found.significant, found.clean) == (False, False)
    steady = Missing.of(minutes(*[(540, 60)] * 10), TEN, 900)
    assert (steady.significant, steady.clean) == (False, True)


def test_only_whole_minutes_at_one_weight_below_everything_are_tested():
    moved = minutes(*[(540, 60)] * 5, (500, 100), *[(300, 300)] * 4)
    assert Missing.of(moved, FIFTY, 2000).expected == pytest.approx(4 * 60 + 4 * 300)
    assert Missing.of(minutes(*[(0, 600)] * 9), (Shift(2.0, 100.0),), 2000) == Missing()
    assert Missing.of(minutes(*[(540, 60)] * 5), TEN, 300).counted == 120, "the last two minutes are not whole yet"


def test_few_requests_say_neither_that_some_are_missing_nor_that_none_is():
    found = Missing.of(minutes(*[(9, 1)] * 5), TEN, 600)
    assert not found.significant
    assert not found.clean


# Throttled.


@pytest.mark.parametrize(
    ("throttled", "before", "new"),
    [(12, BEFORE, True), (180, BEFORE, True), (12, replace(BEFORE, throttled=20_000), False), (0, BEFORE, False)],
    ids=["2 %", "30 %", "2 % that the day before knew", "none"],
)
def test_throttles_that_the_day_before_did_not_know_are_new(throttled, before, new):
    found = Throttled.of_rollout(minutes(*[(540, 60)] * 5, throttled=throttled), before)
    assert (found.since, found.new) == (5 * throttled, new)
    assert found.check().finding is (Finding.UNKNOWN if new else Finding.NOTED)


def test_throttles_are_a_row_with_figures_for_before_and_since():
    seen = minutes(*[(540, 60)] * 5, throttled=12)
    (row,) = Sight.of(seen, TEN, 600, BEFORE).checks()
    assert (row.name, row.of, row.convicts) == ("throttled", 3060, False)
    assert str(row) == "1.96 % of 3,060 requests were throttled since the shift, 0 % before"


def test_without_a_day_before_one_in_a_thousand_is_usual():
    few, many = (minutes(*[(5400, 600)] * 5, throttled=throttled) for throttled in (5, 7))
    assert not Throttled.of_rollout(few, TrafficBaseline()).new
    found = Throttled.of_rollout(many, TrafficBaseline())
    assert (found.new, found.before, found.check().limit) == (True, None, "–")
    assert str(found.check()).endswith("throttled since the shift, and of the day before nothing is known")


# Together.


def test_a_call_that_failed_is_blind_whatever_was_to_be_expected():
    sight = Sight.of([], TEN, 600, TrafficBaseline(), Unseen("GetMetricData was throttled"))
    assert sight.reasons == ("nothing could be seen: GetMetricData was throttled",)
    assert sight.hides_harm


def test_before_any_traffic_nothing_is_out_of_sight():
    assert Sight.of([], (), 600, BEFORE) == Sight()


def test_throttles_alone_hide_no_harm_of_the_candidate():
    sight = Sight.of(minutes(*[(540, 60)] * 5, throttled=12), TEN, 600, BEFORE)
    assert len(sight.reasons) == 1
    assert not sight.hides_harm
