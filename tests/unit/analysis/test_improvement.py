"""Better than a stable version that fails: the same bets with the roles swapped, and what is made of them."""

from dataclasses import replace
from random import Random

import pytest

from tidegate.analysis.bursts import failing_minutes, find_bursts
from tidegate.analysis.check import Finding
from tidegate.analysis.comparison import compare
from tidegate.analysis.e_process import Tally
from tidegate.analysis.improvement import Improvement
from tidegate.analysis.judge import Judge, examine
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import Row

USUAL, JUDGE = Rate(10, 10_000), Judge(slow=None)
FIX, BETTER, NO = Improvement(better=True, fix=True), Improvement(better=True), Improvement()
CALM, FIXED, TROUBLE = (540, 60, 1, 0), (540, 60, 108, 1), (540, 60, 108, 12)


def improved(*tallies, failing=60, **more):
    rows = [Row(Tally(*tally), **more) for tally in tallies]
    return examine("errors", rows, JUDGE, USUAL, failing_minutes=failing)


@pytest.mark.parametrize(
    ("tally", "found"),
    [
        ((540, 60, 108, 1), FIX),
        ((5_400, 600, 1_080, 60), BETTER),
        ((540, 60, 108, 12), NO),
        ((540, 60, 0, 12), NO),
        ((54_000, 6_000, 540, 30), BETTER),
    ],
    ids=["far better", "twice as good", "as bad", "worse", "better, and below a percentage point"],
)
def test_how_much_better_a_candidate_is(tally, found):
    assert improved(*[tally] * 10).improved == found


def test_one_minute_makes_nobody_better():
    assert improved((54_000, 6_000, 54_000, 0)).improved == FIX, "but for a catastrophe"
    assert improved((54_000, 6_000, 10_800, 60)).improved == NO


def test_identical_versions_are_hardly_ever_called_better():
    random, called = Random(4), 0  # noqa: S311  seeded, not secret

    def bad(requests, rate):
        return sum(random.random() < rate for _ in range(requests))

    for _ in range(200):
        rates = [random.choice((0.01, 0.2)) for _ in range(12)]
        called += improved(*[(60, 30, bad(60, rate), bad(30, rate)) for rate in rates], failing=0).improved.better
    assert called <= 2


def test_what_is_not_settled_or_not_counted_makes_nobody_better():
    assert improved(*[FIXED] * 10, settled=False).improved == NO
    assert improved(*[FIXED] * 10, comparable=False).improved == NO
    rows = [Row(Tally(*FIXED))] * 10
    assert examine("errors", rows, JUDGE, USUAL, all_counted=False).improved == NO


def test_a_burst_that_only_the_stable_version_has_is_no_shared_one():
    shared, own = improved(*[CALM] * 5, *[TROUBLE] * 5, failing=0), improved(*[CALM] * 5, *[FIXED] * 5, failing=0)
    assert (shared.burst, shared.improved) == (True, NO)
    assert (own.burst, own.improved) == (False, FIX)
    throttled = [Row(Tally(*FIXED), throttled=True)] * 5
    assert examine("errors", throttled, JUDGE, USUAL, failing_minutes=60).burst


def test_an_outage_that_has_ended_makes_nobody_better_and_is_waited_out():
    """However the outage hit the two, neither has been seen as it is since."""
    for failing in (0, 60):
        ended = improved(*[FIXED] * 6, CALM, failing=failing)
        assert (ended.improved, ended.burst, ended.proven) == (NO, True, False)
        assert not improved(*[FIXED] * 6, *[CALM] * 3, failing=failing).burst


def test_a_burst_is_left_out_of_better_and_not_of_a_fix():
    """Twice as many failures of the stable version in an outage are that outage's, which may hit it harder."""
    outage = (5_400, 600, 1_080, 60)
    assert improved(*[(5_400, 600, 5, 1)] * 5, *[outage] * 5, failing=0).improved == NO
    assert improved(*[outage] * 5).improved == BETTER


# How things are when the rollout begins.


def test_what_has_failed_since_before_the_rollout_is_no_burst():
    rows = [Row(Tally(*TROUBLE))] * 4
    assert find_bursts(rows, USUAL, failing_minutes=60).shared == (False,) * 4
    assert find_bursts(rows, USUAL, failing_minutes=13).shared == (True, True, False, False)
    assert find_bursts([Row(Tally(*CALM)), *rows], USUAL, failing_minutes=60).shared == (False, *[True] * 4)


def test_how_things_are_goes_on_with_few_requests_and_with_none():
    few = [Row(Tally(18, 2, 3, 0)), Row(Tally(0, 20, 0, 1)), Row(Tally(18, 2, 4, 0))]
    assert find_bursts(few, USUAL, failing_minutes=60).lasted == (61, 62, 63)
    assert find_bursts(few, USUAL, failing_minutes=3).lasted == (0, 0, 0)


@pytest.mark.parametrize(
    ("minutes", "found"),
    [
        ([(600, 1)] * 40 + [(600, 120)] * 17, 17),
        ([(600, 120)] * 17 + [(600, 1)], 0),
        ([(18, 4)] * 20, 20),
        ([(18, 4)], 0),
        ([(600, 20)] * 20, 0),
        ([], 0),
    ],
    ids=["an outage", "one that is over", "few requests", "too few to tell", "hardly more than usual", "nothing"],
)
def test_for_how_long_a_version_has_failed_is_counted_from_its_end(minutes, found):
    assert failing_minutes(minutes, usual=0.02) == found


# What is said and made of it.

HOUR = TrafficBaseline(864_000, 7_200, 600.0, 400.0, hour_requests=36_000, hour_errors=7_200, failing_minutes=57)
RAMP, LATER = (Shift(0.5, 10.0),), 10**9


def minutes(*pairs, start=0):
    def counts(requests, errors):
        return Counts(requests, errors, requests, requests // 100)

    return [
        Minute(60 * (start + n), counts(*stable), counts(*candidate)) for n, (stable, candidate) in enumerate(pairs)
    ]


def compared(seen, shifts=RAMP, **more):
    found = compare(Judge(), seen, shifts, LATER, HOUR, **more)
    return replace(found, stable="version 3")


def test_it_is_said_to_be_better_and_is_proven_no_worse():
    verdict = compared(minutes(*[((540, 108), (60, 1))] * 6))
    errors, slow = verdict.checks()
    assert str(errors) == "better than version 3: 1.7 % of 360 against 20 % of 3,240 requests failed"
    assert (errors.finding, slow.finding) == (Finding.HEALTHY, Finding.UNKNOWN)
    assert verdict.better == verdict.compared == str(errors)
    assert [one.get("better") for one in verdict.to_json()["evidence"]] == [True, None]


def test_too_little_to_be_proven_is_said_to_be_better_all_the_same():
    (errors, _) = compared(minutes(*[((540, 108), (60, 1))] * 4)).checks()
    assert errors.finding is Finding.UNKNOWN
    assert str(errors).startswith("better than version 3: ")
    assert str(errors).endswith("; not settled yet")
    missing = compared(minutes(*[((540, 108), (60, 1))] * 6), missing=30).checks()[0]
    assert "better" not in str(missing)


def test_a_fix_is_cleared_as_soon_as_it_is_seen_unless_it_is_slower():
    fixed = minutes(*[((540, 108), (60, 0))] * 4)
    assert compared(fixed).step_cleared
    assert replace(compared(fixed), unjudged=True).step_cleared
    assert not compared(fixed, (*RAMP, Shift(LATER - 30.0, 50.0))).step_cleared, "nothing of this weight is seen"
    slowly = [replace(one, candidate=replace(one.candidate, slow=30)) for one in minutes(*[((540, 108), (60, 1))] * 9)]
    assert not compared(slowly).step_cleared
    assert [check.finding for check in compared(slowly).checks()] == [Finding.HEALTHY, Finding.HARMFUL]


TOP = (*RAMP, Shift(600.5, 100.0))


@pytest.mark.parametrize(
    ("failed", "finding", "tripped"),
    [(12, Finding.HEALTHY, False), (90, Finding.UNKNOWN, False), (300, Finding.UNKNOWN, True)],
    ids=["as on the way up", "far more than on the way up", "more than the stable version"],
)
def test_the_last_weight_of_a_fix_is_held_against_what_it_fixes_and_proven_by_itself(failed, finding, tripped):
    ramp, top = minutes(*[((5_400, 1_080), (600, 6))] * 10), minutes(*[((0, 0), (600, failed))] * 8, start=11)
    verdict = compared([*ramp, *top], TOP)
    assert (verdict.checks()[0].finding, bool(verdict.tripped)) == (finding, tripped)
    if finding is Finding.UNKNOWN and not tripped:
        assert "candidate fails 15 % of its 4,800 requests at the last weight" in str(verdict.checks()[0])
