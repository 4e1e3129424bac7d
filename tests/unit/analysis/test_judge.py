"""The judge's statistics, held against published values, exact enumeration and simulation."""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.bursts import find_bursts
from tidegate.analysis.e_process import (
    BETS,
    CLEARING_BETS,
    DISPERSION_MAX,
    LOG_CAP,
    NO_WORSE,
    STAKES,
    Tally,
    Tolerance,
    correlation,
    dispersions,
    excess_bound,
    log_e_value,
    log_wealth,
)
from tidegate.analysis.judge import Judge, examine
from tidegate.analysis.last_step import check_last_step
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import Row

ERRORS, TOLERATED = "errors", Tolerance(1.2, 0.001)


def rows(*tallies, **more):
    return [Row(Tally(*tally), **more) for tally in tallies]


def shared_bursts(table, baseline):
    return list(find_bursts(table, baseline).shared)


def judged(*tallies, baseline=None, judge=None):
    return examine(ERRORS, rows(*tallies), judge or Judge(slow=None), baseline)


# One minute's e-value.


@pytest.mark.parametrize(
    ("tally", "tolerance", "bet", "expected"),
    [
        ((900, 100, 0, 3), NO_WORSE, 1000, 6.880876),
        ((900, 100, 0, 3), TOLERATED, 1000, 5.654110),
        ((9000, 1000, 9, 10), TOLERATED, 3.5, 5.924331),
        ((500, 500, 5, 15), TOLERATED, 2.2, 1.591499),
        ((500, 500, 5, 5), TOLERATED, 0.3, -0.952784),
        ((900, 100, 7, 4), Tolerance(1.2, 0.0), 3, 2.070049),
    ],
)
def test_the_e_value_is_the_formulas(tally, tolerance, bet, expected):
    """Values of an independent implementation, to seven digits."""
    assert log_e_value(Tally(*tally), tolerance, bet) == pytest.approx(expected, abs=5e-7)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.data(), st.floats(1, 3), st.sampled_from(BETS))
def test_without_a_margin_it_is_the_conditional_binomials_likelihood_ratio(stable, candidate, data, ratio, bet):
    """delta = 0: x_c ln(th1/th0) + x_b ln((1-th1)/(1-th0)), with the odds of th1 being `bet` times those of th0."""
    stable_bad, candidate_bad = data.draw(st.integers(0, stable)), data.draw(st.integers(0, candidate))
    th0 = ratio * candidate / (ratio * candidate + stable)
    th1 = bet * th0 / (1 + th0 * (bet - 1))
    expected = candidate_bad * math.log(th1 / th0) + stable_bad * (math.log1p(-th1) - math.log1p(-th0))
    found = log_e_value(Tally(stable, candidate, stable_bad, candidate_bad), Tolerance(ratio, 0.0), bet)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_one_failure_among_equals_at_three_to_one_pays_half_as_much_again():
    assert math.exp(log_e_value(Tally(100, 100, 0, 1), NO_WORSE, 3)) == pytest.approx(1.5)


def test_a_uniform_mixture_is_the_beta_binomials_closed_form():
    """2^10 / (11 C(10, 2)) for counts (8, 2): the Dirichlet mixture of Lindon and Malek (NeurIPS 2022)."""
    steps = 20_000
    shares = [(index + 0.5) / steps for index in range(steps)]
    mixture = sum(math.exp(log_e_value(Tally(50, 50, 2, 8), NO_WORSE, th / (1 - th))) for th in shares) / steps
    assert mixture == pytest.approx(2**10 / (11 * math.comb(10, 2)), rel=1e-6)
    assert mixture == pytest.approx(2.068687, abs=1e-5)


def binomial(n, p):
    return [math.comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(n + 1)]


@pytest.mark.parametrize(("stable", "candidate"), [(5, 1), (9, 3), (4, 4), (20, 2), (3, 12)])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("tolerance", [NO_WORSE, TOLERATED, Tolerance(1.25, 0.002), Tolerance(2.0, 0.05)])
def test_at_the_edge_of_the_tolerance_no_bet_can_be_expected_to_win(stable, candidate, rate, tolerance):
    """E[e] <= 1, by enumeration: for harm at the edge from below, for harmlessness from above."""
    edge = tolerance.max_ratio * rate + tolerance.max_increase
    possible = (*BETS, *CLEARING_BETS) if edge <= 1 else BETS  # no candidate fails more than always
    edge = min(1.0, edge)
    for bet in possible:
        expected = sum(
            p_b * p_c * math.exp(log_e_value(Tally(stable, candidate, x_b, x_c), tolerance, bet))
            for x_b, p_b in enumerate(binomial(stable, rate))
            for x_c, p_c in enumerate(binomial(candidate, edge))
        )
        assert expected <= 1 + 1e-9


ROUNDING = 1e-12


@given(st.integers(0, 500), st.integers(0, 500), st.data(), st.sampled_from(BETS))
def test_a_failure_of_the_candidate_never_speaks_for_it_and_one_of_the_stable_never_against(
    stable, candidate, data, bet
):
    stable_bad, candidate_bad = data.draw(st.integers(0, stable)), data.draw(st.integers(0, candidate))
    here = log_e_value(Tally(stable, candidate, stable_bad, candidate_bad), TOLERATED, bet)
    assert log_e_value(Tally(stable, candidate, stable_bad, candidate_bad + 1), TOLERATED, bet) >= here - ROUNDING
    assert log_e_value(Tally(stable, candidate, stable_bad + 1, candidate_bad), TOLERATED, bet) <= here + ROUNDING


@pytest.mark.parametrize("tally", [(0, 0, 0, 0), (900, 0, 9, 0), (0, 100, 0, 50)])
def test_a_minute_of_one_version_alone_says_nothing(tally):
    assert [log_e_value(Tally(*tally), TOLERATED, bet) for bet in BETS] == pytest.approx([0.0] * len(BETS), abs=1e-9)


def test_a_known_rate_is_the_limit_of_infinitely_many_requests():
    counted = log_e_value(Tally(10**12, 1000, 10**10, 30), TOLERATED, 3.5)
    known = log_e_value(Tally.against(Tally(0, 1000, 0, 30), 0.01), TOLERATED, 3.5)
    assert known == pytest.approx(counted, rel=1e-4)


def signal_probability(critical, length, relative_risk=1.0):
    """How often the best bet against a known rate ever pays exp(critical), before so many failures are to be expected.

    An exact recursion over the number of failures: the wealth is highest at each failure, and crosses where the
    x-th comes before the moment at which the best bet, R = x/mu, pays just that.
    """

    def pays(failures, expected):
        tally = Tally(math.inf, 1, 0, failures)
        return log_e_value(tally, Tolerance(1.0, expected), failures / expected)

    crossings = []
    while not crossings or crossings[-1] < length:
        failures, low, high = len(crossings) + 1, 1e-12, float(len(crossings) + 1)
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if pays(failures, middle) > critical else (low, middle)
        crossings.append(low)
    alive, before = {0: 1.0}, 0.0
    for failures, crossing in enumerate(crossings, start=1):
        mean = relative_risk * (min(crossing, length) - before)
        before = min(crossing, length)
        after: dict[int, float] = {}
        for count, weight in alive.items():
            for more in range(failures - count):
                chance = weight * math.exp(-mean) * mean**more / math.factorial(more)
                after[count + more] = after.get(count + more, 0.0) + chance
        alive = after
    return 1 - sum(alive.values())


@pytest.mark.parametrize(
    ("length", "critical", "level"),
    [(1, 2.853937, 0.05), (2, 3.046977, 0.05), (5, 3.297183, 0.05), (10, 3.467952, 0.05), (10, 5.260513, 0.01)],
)
def test_the_best_bet_against_a_known_rate_is_maxsprt(length, critical, level):
    """Kulldorff et al., Sequential Analysis 30 (2011), Table 1: critical values of the Poisson MaxSPRT."""
    assert signal_probability(critical, length) == pytest.approx(level, abs=2e-6)


@pytest.mark.parametrize(
    ("length", "critical", "risk", "power"), [(10, 3.467952, 1.5, 0.280), (10, 3.467952, 2, 0.685)]
)
def test_its_power_is_maxsprts(length, critical, risk, power):
    """Kulldorff et al. 2011, Table 2."""
    assert signal_probability(critical, length, risk) == pytest.approx(power, abs=6e-4)


# The wealth.


def test_the_stakes_are_one_fortune_half_of_it_in_cash():
    assert (sum(STAKES), STAKES[0], len(STAKES)) == (pytest.approx(1.0), 0.5, len(BETS) + 1)


def test_under_equal_versions_the_wealth_cannot_be_expected_to_grow():
    """Monte Carlo at the edge: wealth of 100 is reached by at most one in a hundred, at any of 60 polls."""
    random, runs, convicted = Random(7), 1500, 0  # noqa: S311  seeded, not secret
    for _ in range(runs):
        tallies = [
            Tally(90, 10, sum(random.random() < 0.1 for _ in range(90)), sum(random.random() < 0.1 for _ in range(10)))
            for _ in range(20)
        ]
        path = log_wealth(tallies, NO_WORSE, [1.0] * 20, [False] * 20)
        convicted += max(path) >= math.log(20)
    assert convicted / runs <= 0.05


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=20), st.data())
def test_one_minute_multiplies_the_wealth_by_thirty_at_most_and_a_burst_only_costs(sizes, data):
    tallies = [
        Tally(n, m, data.draw(st.integers(0, n)), data.draw(st.integers(0, m // 3)))
        for n, m in sizes  # never most of the candidate's requests, so no catastrophe
    ]
    path = log_wealth(tallies, TOLERATED, [1.0] * len(tallies), [False] * len(tallies))
    assert all(after - before <= LOG_CAP + 1e-9 for before, after in pairwise([0.0, *path]))
    paid = log_wealth(tallies, TOLERATED, [1.0] * len(tallies), [True] * len(tallies))
    assert all(after <= before + 1e-9 for before, after in pairwise([0.0, *paid]))


def test_a_minute_without_a_bet_changes_nothing():
    path = log_wealth([Tally(900, 100, 1, 5), None], TOLERATED, [1.0, 1.0], [False, False])
    assert path[0] == path[1]


def test_a_billion_requests_a_minute_are_no_trouble():
    found = judged(*[(9 * 10**8, 10**8, 27_000_000, 3_000_000)] * 30)
    assert found.convicted_at is None
    assert math.isfinite(found.worse)
    assert found.excess_at_most < 1e-4


def test_harm_that_begins_late_is_found():
    calm, harm = (5400, 600, 5, 1), (5400, 600, 5, 12)
    assert judged(*[calm] * 60).convicted_at is None
    assert 60 <= judged(*[calm] * 60, *[harm] * 10).convicted_at <= 65


def test_a_blip_of_one_minute_convicts_nobody():
    assert judged(*[(540, 60, 0, 0)] * 5, (540, 60, 0, 12), *[(540, 60, 0, 0)] * 10).convicted_at is None


def test_a_catastrophe_convicts_in_the_minute_it_is_seen():
    assert judged((540, 60, 0, 60)).convicted_at == 0


def test_two_failures_convict_nobody_however_improbable():
    assert judged((10**7, 2, 0, 2)).convicted_at is None


def test_what_was_proven_once_stays_proven():
    found = judged(*[(540, 60, 0, 30)] * 3, *[(540, 60, 0, 0)] * 60)
    assert found.convicted_at == 0
    assert found.p_intolerable < 0.1


def test_worse_within_the_tolerance_is_not_convicted():
    """600,000 requests at 1.19 % against 1.0 %: surely worse, and within 1.2 times plus 0.1 percentage points."""
    found = judged(*[(30_000, 30_000, 300, 357)] * 20)
    assert found.p_worse < 0.05
    assert (found.convicted_at, found.quiet) == (None, True)


def test_the_error_budget_is_shared_by_the_metrics():
    tallies = rows(*[(540, 60, 1, 4)] * 3)
    alone, together = (examine(ERRORS, tallies, judge) for judge in (Judge(slow=None), Judge()))
    assert alone.worse - together.worse == pytest.approx(math.log(2))


# Dispersion and bursts.


def test_clumps_make_the_judge_careful_and_coin_flips_do_not():
    random = Random(3)  # noqa: S311  seeded, not secret
    flips = [
        Tally(1000, 1000, sum(random.random() < 0.5 for _ in range(40)), 20) for _ in range(60)
    ]  # about as even as chance
    clumps = [Tally(1000, 1000, 5, 45) if minute % 2 else Tally(1000, 1000, 45, 5) for minute in range(60)]
    assert dispersions(flips)[-1] < 1.5
    assert dispersions(clumps)[-1] == DISPERSION_MAX
    assert dispersions(clumps)[0] == 1.0


def test_a_shared_burst_is_one_whose_stable_version_fails_far_more_than_usual():
    calm, burst = (900, 100, 1, 0), (900, 100, 270, 30)
    assert shared_bursts(rows(*[calm] * 3, burst, calm), None) == [False] * 3 + [True, False]
    assert shared_bursts(rows(burst), Rate(10, 10_000)) == [True]
    assert shared_bursts(rows(burst), None) == [True]
    assert shared_bursts(rows((900, 100, 60, 6)), None) == [False]


def test_throttling_is_nobodys_fault_and_no_time_to_judge():
    throttled = [Row(Tally(900, 100, 1, 0)), *[Row(Tally(900, 100, 0, 40), throttled=True)] * 4]
    assert shared_bursts(throttled, None) == [False, *[True] * 4]
    assert examine(ERRORS, throttled, Judge()).convicted_at is None


def beta_binomial(random, requests, rate, rho):
    share = random.betavariate(rate * (1 / rho - 1), (1 - rate) * (1 / rho - 1)) if rho else rate
    return sum(random.random() < share for _ in range(requests))


@pytest.mark.parametrize(("rho", "least", "most"), [(0.0, 0.0, 0.0), (0.02, 0.01, 0.03)])
def test_how_alike_the_requests_of_a_minute_are_is_learnt_from_an_hour(rho, least, most):
    random = Random(5)  # noqa: S311  seeded, not secret
    assert least <= correlation([(600, beta_binomial(random, 600, 0.02, rho)) for _ in range(60)]) <= most


def test_an_outage_that_begins_and_a_rate_that_drifts_are_no_correlation():
    random = Random(6)  # noqa: S311  seeded, not secret
    drifting = [(6_000, beta_binomial(random, 6_000, 0.01 * (1 + minute / 30), 0)) for minute in range(60)]
    assert correlation(drifting) < 1e-4
    outage = [(6_000, beta_binomial(random, 6_000, 0.2 if 20 <= minute < 25 else 0.01, 0)) for minute in range(60)]
    assert correlation(outage) < 1e-3


@pytest.mark.parametrize("minutes", [[], [(600, 0)] * 60, [(600, 600)] * 60, [(600, 6), (600, 60)] * 9])
def test_of_too_little_nothing_is_learnt(minutes):
    assert correlation(minutes) == 0


def test_what_was_known_before_widens_the_first_minute_already_and_outlasts_the_bound():
    """1 + 2 rho / (1 / n_c + 1 / n_b), the variance of a difference of beta-binomial rates over that of coin flips."""
    tallies = [Tally(5_400, 600, 54, 6)] * 10
    assert dispersions(tallies) == [1.0] * 10
    first, *_, last = dispersions(tallies, 0.01)
    assert first == pytest.approx(1 + 2 * 0.01 * 540)
    assert 1 < last < first


def test_clumped_failures_of_identical_versions_convict_nobody_where_they_were_known():
    random, convicted = Random(7), {0.0: 0, 0.01: 0}  # noqa: S311  seeded, not secret
    for _ in range(30):
        table = [
            Tally(5_400, 600, beta_binomial(random, 5_400, 0.01, 0.01), beta_binomial(random, 600, 0.01, 0.01))
            for _ in range(20)
        ]
        for known in convicted:
            found = examine(ERRORS, rows(*table), Judge(slow=None), Rate(100, 10_000), correlation=known)
            convicted[known] += found.convicted_at is not None
    assert convicted[0.01] == 0 < convicted[0.0]


def test_a_catastrophe_is_the_candidates_whatever_is_throttled():
    """A candidate that eats the concurrency must not mute its judge."""
    assert examine(ERRORS, [Row(Tally(900, 100, 0, 100), throttled=True)], Judge()).convicted_at == 0


def test_a_catastrophe_is_believed_once_its_minute_is_whole():
    """The candidate's failures may have arrived before its successes, or the stable version's failures after them."""
    assert examine(ERRORS, rows((540, 60, 0, 60), settled=False, whole=False), Judge()).convicted_at is None
    assert examine(ERRORS, rows((540, 60, 0, 60), settled=False), Judge()).convicted_at == 0


def test_what_is_usual_while_a_version_warms_up_is_no_evidence_and_what_is_not_convicts():
    def warming(*tallies):
        return examine("slow", rows(*tallies, comparable=False, allowance=0.1), Judge())

    usual = warming(*[(5_400, 600, 54, 60)] * 10)
    assert (usual.convicted_at, usual.suspected, usual.minutes) == (None, False, 0)
    great = warming(*[(5_400, 600, 54, 300)] * 3)
    assert great.convicted_at is not None
    assert (great.minutes, great.candidate_bad) == (3, 900)


def test_a_warm_up_costs_little_of_what_finds_a_small_harm_later():
    """A part of the wealth bets while the version warms up: what the rest has is worth ln (4/3) less at most."""
    later = [(5_400, 600, 54, 14)] * 8
    alone = examine("slow", rows(*later), Judge())
    begun = rows(*[(5_400, 600, 54, 30)] * 2, comparable=False, allowance=0.1)
    after = examine("slow", [*begun, *rows(*later)], Judge())
    assert alone.worse - after.worse <= math.log(4 / 3) + 1e-9


def test_after_a_long_outage_the_next_one_is_a_burst_again():
    calm, outage = (900, 100, 1, 0), (900, 100, 270, 30)
    found = shared_bursts(rows(*[outage] * 20, *[calm] * 5, outage), Rate(10, 10_000))
    assert found == [True] * 15 + [False] * 10 + [True]


def test_an_outage_that_does_not_end_is_how_things_are_now():
    """A judge that took it for a burst for ever would never convict again."""
    calm, outage = (900, 100, 1, 0), (900, 100, 90, 10)
    found = shared_bursts(rows(*[calm] * 5, *[outage] * 40), Rate(10, 10_000))
    assert found[5:20] == [True] * 15
    assert not any(found[20:])
    worse = judged(*[calm] * 5, *[outage] * 20, *[(900, 100, 90, 60)] * 5, baseline=Rate(10, 10_000))
    assert worse.convicted_at is not None


def test_a_shared_outage_convicts_nobody_however_the_requests_fall():
    outage = [(450, 50, 150, 15), (450, 50, 130, 24), (450, 50, 160, 12)]
    assert judged(*[(450, 50, 0, 0)] * 5, *outage, *[(450, 50, 0, 0)] * 5).convicted_at is None


# Acquittal.


@pytest.mark.parametrize("requests", [1000, 50_000])
def test_no_failure_at_all_bounds_the_excess_like_the_rule_of_three(requests):
    """3/n after Hanley and Lippman-Hand (JAMA 1983): one bet on R -> 0 gives ln(20)/n = 2.9957/n, six at once 4.05/n
    at a weight of 10 %.
    """
    bound = excess_bound([Tally(9 * requests, requests, 0, 0)], 1.2)
    assert bound * requests == pytest.approx(4.047, abs=0.001)
    one_bet = -math.log(0.05) / requests
    assert log_e_value(Tally(10**9, requests, 0, 0), Tolerance(1.2, one_bet), 1e-9) == pytest.approx(math.log(20))


def test_a_candidate_is_proven_only_by_enough_requests_over_enough_minutes():
    assert judged(*[(540, 60, 1, 0)] * 12).proven
    assert not judged(*[(540, 60, 1, 0)] * 5).proven
    assert not judged(*[(54_000, 6_000, 100, 6)] * 4).proven
    assert not judged().proven
    assert judged().excess_at_most == 1.0


def test_a_step_is_cleared_early_by_its_own_minutes_alone():
    before = rows(*[(54_000, 6_000, 54, 6)] * 20, in_step=False)
    step = rows(*[(54_000, 6_000, 54, 6)] * 5)
    assert not examine(ERRORS, before, Judge()).step_cleared
    assert examine(ERRORS, [*before, *step], Judge()).step_cleared


def test_a_burst_a_moment_ago_acquits_nobody():
    calm = [(5_400, 600, 5, 0)] * 20
    assert judged(*calm).proven
    assert not judged(*calm, (5_400, 600, 2_000, 220)).proven


def test_minutes_that_have_not_settled_acquit_nobody():
    assert not examine(ERRORS, rows(*[(5_400, 600, 5, 0)] * 20, settled=False), Judge()).proven


def test_a_minute_with_a_count_missing_speaks_for_nobody():
    found = examine(ERRORS, [*rows(*[(540, 60, 1, 0)] * 3), Row(None)], Judge())
    assert (found.gaps, found.minutes, found.candidate) == (1, 3, 180)


# The last step.


def test_the_guard_trips_where_the_last_weight_is_worse_than_before_and_convicts_nobody():
    usual = Rate(50, 50_000)
    calm, harm = rows((0, 600, 0, 1), (0, 600, 0, 0)), rows(*[(0, 600, 0, 60)] * 2)
    assert not check_last_step(ERRORS, calm, Judge(), usual).tripped
    assert check_last_step(ERRORS, calm, Judge(), usual).quiet
    tripped = check_last_step(ERRORS, [*calm, *harm], Judge(), usual)
    assert tripped.tripped
    assert not tripped.quiet
    assert "5.04 % of its 2,400 requests at the last weight, and at most 0.28 % were to be expected" in str(tripped)


def test_what_little_is_known_of_the_stable_version_makes_a_wide_guard():
    assert Rate(0, 20).at_most == pytest.approx(0.15)
    assert Rate(0, 0).at_most == 1.0
    assert (Rate(9, 900).share, Rate(9, 900).at_least) == (0.01, 0.0)
    assert not check_last_step(ERRORS, rows((0, 600, 0, 60)), Judge(), Rate(0, 20)).tripped


def test_what_tripped_once_stays_tripped():
    assert check_last_step(ERRORS, rows((0, 600, 0, 200), *[(0, 600, 0, 0)] * 60), Judge(), Rate(50, 50_000)).tripped
