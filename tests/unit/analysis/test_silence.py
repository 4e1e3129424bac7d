"""A metric that falls silent is unknown: where so much was to be expected of it that nothing is no chance."""

import pytest

from tidegate.analysis.measurement import Counts, MetricBaseline, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import TOLERATED_ERRORS, CustomMetric, Series
from tidegate.analysis.sight import Sight
from tidegate.analysis.silence import silences

SERIES = Series("Shop", "OrdersFailed", (("version", "{version}"),))
ORDERS = CustomMetric("orders failed", TOLERATED_ERRORS, SERIES)
OF_PLACED = CustomMetric("orders failed", TOLERATED_ERRORS, SERIES, SERIES)
SHIFTS = (Shift(0.0, 10.0),)


def counts(requests, orders):
    return Counts(requests, 0, others={} if orders is None else {"orders failed": orders})


def minutes(*tallies):
    """Minutes of (the stable version's trials, the candidate's); None is a count that is missing."""
    return [
        Minute(60.0 * number, counts(540, stable), counts(60, candidate))
        for number, (stable, candidate) in enumerate(tallies)
    ]


def heard(seen, metric=ORDERS, now=None, trials=864_000, shifts=SHIFTS, requests=864_000, reports=None):
    known = MetricBaseline("orders failed", trials, reports=trials if reports is None else reports)
    day = TrafficBaseline(requests, 0, 600.0, metrics=(known,))
    return list(silences([metric], seen, shifts, 60.0 * len(seen) + 180 if now is None else now, day))


SPOKE, SILENT = ((540, 1), (60, 0)), ((540, 1), None)


def test_what_speaks_is_not_silent():
    assert not heard(minutes(*[SPOKE] * 5))


def test_a_metric_of_which_the_candidate_says_nothing_is_silent():
    (silence,) = heard(minutes(*[SILENT] * 5))
    assert not silence.shared
    assert str(silence) == (
        "orders failed is silent: no datapoint of the candidate where about 300 were to be expected"
    )


def test_it_may_fall_silent_in_the_midst_of_a_step():
    (silence,) = heard(minutes(*[SPOKE] * 5, SILENT, SILENT))
    assert silence.expected == 120


def test_one_that_speaks_again_is_not_silent():
    assert not heard(minutes(SILENT, SILENT, SPOKE))


def test_what_is_not_over_for_long_enough_may_still_come():
    assert not heard(minutes(SILENT), now=239)
    assert heard(minutes(SILENT), now=240)


def test_where_few_were_to_be_expected_silence_says_nothing():
    """One order in a hundred requests: six minutes of 60 requests make not even four."""
    seen = minutes(*[((0, 0), (0, 0))] * 6)
    assert not heard(seen, OF_PLACED, trials=8_640)
    assert heard(seen, OF_PLACED, trials=86_400)


@pytest.mark.parametrize(("metric", "orders", "expected"), [(ORDERS, 540, 300), (OF_PLACED, 108, 60)])
def test_where_nobody_counted_requests_before_the_stable_version_says_how_many_are_to_be_expected(
    metric, orders, expected
):
    """Of a durable function's executions: of the day before nothing is known."""
    (silence,) = heard(minutes(*[((orders, 0), None)] * 5), metric, requests=0)
    assert silence.expected == pytest.approx(expected)


def test_what_counts_many_at_a_time_is_expected_as_often_as_it_reports():
    """One request in four hundred brings a batch of a thousand: 300 of the candidate's requests bring not even one."""
    seen = minutes(*[((0, 0), (0, 0))] * 5)
    assert not heard(seen, OF_PLACED, trials=2_160_000, reports=2_160)
    assert heard(seen, OF_PLACED, trials=2_160_000, reports=432_000)


def test_where_the_stable_version_is_silent_too_the_candidate_is_not_to_blame():
    (silence,) = heard(minutes(*[(None, None)] * 5))
    assert silence.shared
    assert "either version" in str(silence)


def test_at_full_weight_it_is_to_blame_where_the_stable_version_had_spoken():
    ramp, top = minutes(*[SPOKE] * 5), [Minute(60.0 * n, Counts(), counts(600, None)) for n in range(5, 10)]
    shifts = (*SHIFTS, Shift(300.0, 100.0))
    (silence,) = heard([*ramp, *top], shifts=shifts)
    assert not silence.shared
    mute = minutes(SPOKE, *[(None, None)] * 4)
    (silence,) = heard([*mute, *top], shifts=shifts)
    assert silence.shared


@pytest.mark.parametrize(
    "unknown", [{"trials": 0}, {"metric": CustomMetric("orders failed", TOLERATED_ERRORS, SERIES, proves=False)}]
)
def test_of_what_was_not_known_before_nothing_was_to_be_expected(unknown):
    assert not heard(minutes(*[SILENT] * 5), **unknown)


def test_silence_holds_and_hides_harm_unless_it_is_shared():
    def sight(*tallies):
        seen = minutes(*tallies)
        day = TrafficBaseline(864_000, 0, 600.0, metrics=(MetricBaseline("orders failed", 864_000, reports=864_000),))
        return Sight.of(seen, SHIFTS, 60.0 * len(seen) + 180, day, metrics=(ORDERS,))

    mine, ours, none = sight(*[SILENT] * 5), sight(*[(None, None)] * 5), sight(*[SPOKE] * 5)
    assert [bool(one.reasons) for one in (mine, ours, none)] == [True, True, False]
    assert [one.hides_harm for one in (mine, ours, none)] == [True, False, False]
