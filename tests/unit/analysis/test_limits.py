"""Limits: convict what chance does not explain, suspect what it might, and know nothing of nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.check import Finding
from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.limits import checks, upper_tail
from tidegate.analysis.measurement import Counts


def finding(errors, requests, limit=1.0, minimum=10):
    gate = HealthPolicy(max_error_percent=limit, minimum_invocations=minimum)
    counts = Counts(requests, errors, 0)
    (check,) = checks(gate, step=counts, rollout=counts)
    return check.finding


@pytest.mark.parametrize(
    ("errors", "beaten", "found"),
    [
        (50, 20.0, Finding.IGNORED),
        (12, 20.0, Finding.IGNORED),
        (5, 20.0, Finding.HEALTHY),
        (50, None, Finding.HARMFUL),
        (50, 0.5, Finding.HARMFUL),
        (50, 4.0, Finding.HARMFUL),
    ],
)
def test_a_limit_is_ignored_where_the_stable_version_crosses_it_by_more(errors, beaten, found):
    """Where the candidate is clearly better: to go back would not help anybody."""
    counts = Counts(1000, errors, 0)
    (check,) = checks(HealthPolicy(max_error_percent=1.0), counts, counts, beaten)
    assert (check.finding, check.convicts) == (found, found is Finding.HARMFUL)
    assert ("and 20 % of the stable version's" in str(check)) == (found is Finding.IGNORED)


def test_too_few_requests_are_unknown_and_never_healthy():
    assert finding(0, 0) is Finding.UNKNOWN
    assert finding(0, 9) is Finding.UNKNOWN


def test_too_few_requests_do_not_hide_harm():
    assert finding(9, 9) is Finding.HARMFUL
    assert finding(300, 400, minimum=5000) is Finding.HARMFUL
    assert finding(1, 3) is Finding.SUSPECT


def test_a_single_failure_among_too_few_requests_convicts_nobody():
    assert finding(1, 1) is Finding.SUSPECT
    assert finding(1, 5, limit=0) is Finding.SUSPECT


def test_below_the_limit_is_healthy():
    assert finding(0, 10) is Finding.HEALTHY
    assert finding(10, 1000) is Finding.HEALTHY


def test_one_error_in_a_few_calls_is_suspect_and_does_not_convict():
    assert finding(1, 10) is Finding.SUSPECT
    assert finding(1, 50) is Finding.SUSPECT


def test_half_of_the_requests_failing_convicts():
    assert finding(5, 10) is Finding.HARMFUL
    assert finding(30, 60) is Finding.HARMFUL


def test_a_limit_of_zero_convicts_at_the_first_error():
    assert finding(1, 10_000, limit=0) is Finding.HARMFUL


def test_a_step_that_fails_convicts_although_the_rollout_looks_well():
    gate = HealthPolicy(max_error_percent=1)
    (check,) = checks(gate, step=Counts(300, 15, 0), rollout=Counts(10_000, 20, 0))
    assert check.finding is Finding.HARMFUL
    assert str(check) == "5 % of the candidate's 300 requests are errors (limit 1 %)"


def test_a_step_that_nobody_has_seen_yet_is_not_healthy_because_earlier_ones_were():
    gate = HealthPolicy(max_error_percent=1)
    (check,) = checks(gate, step=Counts(0, 0, 0), rollout=Counts(10_000, 20, 0))
    assert check.finding is Finding.UNKNOWN
    (check,) = checks(gate, step=Counts(0, 0, 0), rollout=Counts(100, 50, 0))
    assert check.finding is Finding.HARMFUL


def test_a_p99_limit_allows_one_request_in_a_hundred_to_be_slower():
    gate = HealthPolicy(max_duration_p99_ms=500)
    (well,) = checks(gate, step=Counts(1000, over_limit=10), rollout=Counts(1000, over_limit=10))
    (slow,) = checks(gate, step=Counts(1000, over_limit=40), rollout=Counts(1000, over_limit=40))
    assert well.finding is Finding.HEALTHY
    assert slow.finding is Finding.HARMFUL
    assert str(slow) == "4 % of the candidate's 1,000 requests are slower than 500 ms (limit 1 %)"


def exact_upper_tail(count, trials, p):
    return sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(count, trials + 1))


@given(st.integers(1, 200), st.floats(0.001, 0.5), st.data())
def test_the_tail_is_the_binomials(trials, p, data):
    count = data.draw(st.integers(min(trials, math.ceil(trials * p)), trials))
    assert upper_tail(count, trials, p) == pytest.approx(exact_upper_tail(count, trials, p), rel=1e-6, abs=1e-12)


def test_the_tail_of_many_requests_is_quick_and_finite():
    assert upper_tail(12_000_000, 1_000_000_000, 0.01) == pytest.approx(0, abs=1e-12)
    assert 0 < upper_tail(10_001_000, 1_000_000_000, 0.01) < 1
