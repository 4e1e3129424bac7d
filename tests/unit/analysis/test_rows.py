"""Rows of slow requests beside a stable version that fails: what fails at once is not slow."""

import math
from dataclasses import replace

import pytest

from tidegate.analysis.comparison import compare
from tidegate.analysis.e_process import BETS, NO_WORSE, Tally, log_e_value
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import TOLERATED_SLOW, slow_metrics
from tidegate.analysis.rows import Place

RAMP = (Shift(0.0, 10.0),)
DAY = TrafficBaseline(864_000, 864, 600.0, 400.0, p50_ms=80.0)
(P50,) = slow_metrics({"p50": TOLERATED_SLOW["p50"]}, 1.0, 0)


def served(requests, errors, p50):
    return Counts(requests, errors, requests, requests // 100, others={"slow p50": (requests, p50)})


def minute(number, stable, candidate):
    return Minute(60.0 * number, served(*stable), served(*candidate))


def tally(stable, candidate=(60, 0, 30)):
    return Place.of(minute(0, stable, candidate), RAMP, 10**9).row(P50, 0.5).tally


def test_of_a_version_that_fails_at_once_what_it_served_is_compared():
    assert tally((540, 270, 135)) == Tally(270, 60, 135, 30)
    assert tally((540, 540, 0)) == Tally(0, 60, 0, 30)


@pytest.mark.parametrize(
    "stable",
    [(540, 2, 270), (540, 0, 200), (540, 108, 270), (540, 108, 324)],
    ids=["hardly any failures", "a quick hour", "failures as slow as usual", "failures that time out"],
)
def test_everything_is_compared_where_its_failures_hide_nothing(stable):
    assert tally(stable).stable == 540


def test_a_fix_of_what_fails_at_once_is_not_slow_for_serving_it():
    judge = Judge(slow_above={"p50": TOLERATED_SLOW["p50"]}, warm_up_seconds=0)

    def convicted(p50):
        minutes = [minute(number, (540, 540, 0), (60, 0, p50)) for number in range(10)]
        verdict = compare(judge, minutes, RAMP, 10**9, replace(DAY, failing_minutes=60))
        return [one.metric.name for one in verdict.evidence if one.convicted_at is not None]

    assert convicted(30) == []
    half = [minute(number, (540, 270, 135), (60, 0, 55)) for number in range(10)]
    slower = compare(judge, half, RAMP, 10**9, replace(DAY, failing_minutes=60))
    assert [one.metric.name for one in slower.evidence if one.convicted_at is not None] == ["slow p50"]


def test_of_a_day_that_mostly_failed_nobody_knows_what_is_slow():
    assert replace(DAY, errors=400_000).slow_above_ms("p50") == 80.0
    assert replace(DAY, errors=500_000).slow_above_ms("p50") is None


def binomial(n, p):
    return [math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]


@pytest.mark.parametrize(("stable", "candidate"), [(20, 2), (9, 9), (15, 30)])
@pytest.mark.parametrize("failed", [0.2, 0.5, 1.0])
def test_choosing_what_is_compared_by_how_much_was_slow_gains_nothing(stable, candidate, failed):
    """At equal rates, where failures are as slow as all else, E[e] stays at most 1: by enumeration."""
    errors = round(failed * stable)
    for rate in (0.01, 0.1, 0.5, 0.9):
        tables = [tally((stable, errors, x_b), (candidate, 0, 0)) for x_b in range(stable + 1)]
        for bet in BETS:
            expected = sum(
                p_b * p_c * math.exp(log_e_value(table._replace(candidate_bad=x_c), NO_WORSE, bet))
                for table, p_b in zip(tables, binomial(stable, rate), strict=True)
                for x_c, p_c in enumerate(binomial(candidate, rate))
            )
            assert expected <= 1 + 1e-9
