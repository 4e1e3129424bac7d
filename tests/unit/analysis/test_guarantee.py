"""The guarantee: under the claim that is betted against no wealth can be expected to grow, whatever is done to it.

By exact enumeration over small counts. What one bet pays is enumerated in test_judge.py.
"""

import math
from itertools import product

import pytest

from tidegate.analysis.bursts import BURST_BAD, find_bursts
from tidegate.analysis.e_process import (
    BETS,
    CATASTROPHE_REQUESTS,
    CLEARING_BETS,
    NO_WORSE,
    Tally,
    Tolerance,
    log_e_value,
    log_wealth,
    wealth_path,
)
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import Row, wealth

TOLERATED = Tolerance(1.2, 0.001)
ROUNDING = 1e-9


def binomial(n, p):
    return [math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]


def outcomes(stable, candidate, rate, tolerance):
    """Every table of a minute and its probability, the candidate being at the edge of what is claimed."""
    edge = min(1.0, tolerance.max_ratio * rate + tolerance.max_increase)
    both = product(enumerate(binomial(stable, rate)), enumerate(binomial(candidate, edge)))
    return [(Tally(stable, candidate, x_b, x_c), p_b * p_c) for (x_b, p_b), (x_c, p_c) in both]


@pytest.mark.parametrize("sizes", [(9, 3), (4, 4), (30, CATASTROPHE_REQUESTS), (3, CATASTROPHE_REQUESTS)])
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.4])
@pytest.mark.parametrize("tolerance", [NO_WORSE, TOLERATED])
def test_no_minute_pays_more_than_is_fair(sizes, rate, tolerance):
    """Cash and all bets, divided by a dispersion, capped or not, in a burst or not, whole or not."""
    table = outcomes(*sizes, rate, tolerance)
    for dispersion, burst, whole in product((1.0, 1.7, 6.0), (False, True), (False, True)):
        paths = [(wealth_path([one], tolerance, [dispersion], [burst], [whole])[-1], p) for one, p in table]
        assert sum(p * math.exp(path.log) for path, p in paths) <= 1 + ROUNDING
        assert sum(p * math.exp(path.uncapped) for path, p in paths) <= 1 + ROUNDING


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5])
def test_what_is_spread_anew_is_no_more_than_there_was(rate):
    first, second = outcomes(3, 2, rate, NO_WORSE), outcomes(2, 3, rate, NO_WORSE)
    expected = sum(
        p * q * math.exp(log_wealth([one, other], NO_WORSE, [1.0, 1.0], [False, False])[-1])
        for (one, p), (other, q) in product(first, second)
    )
    assert expected <= 1 + ROUNDING


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_two_accounts_that_bet_in_different_minutes_are_one_fair_wealth(rate):
    """A minute of warm-up, in which one of them bets against a weaker claim, and one after it."""
    warming, warm = outcomes(4, 2, rate, TOLERATED), outcomes(3, 3, rate, TOLERATED)
    expected = sum(
        p
        * q
        * math.exp(wealth([Row(one, False, allowance=0.1), Row(other)], TOLERATED, [1.0] * 2, [False] * 2)[-1].log)
        for (one, p), (other, q) in product(warming, warm)
    )
    assert expected <= 1 + ROUNDING


@pytest.mark.parametrize("tolerance", [NO_WORSE, TOLERATED])
def test_a_look_into_a_row_that_is_still_open_is_one_of_a_finer_process(tolerance):
    """With both versions' shares as in the whole of it, no part can be expected to gain by what follows."""
    for bet in (*BETS, *CLEARING_BETS):
        for part, _ in outcomes(4, 2, 0.1, tolerance):
            whole = sum(
                p * math.exp(log_e_value(Tally(*(sum(pair) for pair in zip(part, rest, strict=True))), tolerance, bet))
                for rest, p in outcomes(4, 2, 0.1, tolerance)
            )
            assert whole <= math.exp(log_e_value(part, tolerance, bet)) + ROUNDING


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_leaving_bursts_out_gains_nothing_for_a_candidate_that_is_no_better(rate):
    """They are the minutes in which the stable version fails most: what bets on that loses by it."""
    table = outcomes(12, 6, rate, NO_WORSE)
    flagged = [find_bursts([Row(one)], Rate(1, 1000)).shared[0] for one, _ in table]
    assert any(flagged)
    assert all(one.stable_bad >= BURST_BAD for (one, _), burst in zip(table, flagged, strict=True) if burst)
    for bet in BETS:
        expected = sum(
            p
            * (1.0 if burst else math.exp(log_e_value(Tally(6, 12, one.candidate_bad, one.stable_bad), NO_WORSE, bet)))
            for (one, p), burst in zip(table, flagged, strict=True)
        )
        assert expected <= 1 + ROUNDING
