"""A verdict: what the judge makes of both versions' minutes, late and missing ones included, and how it says so."""

from dataclasses import replace

import pytest

from tidegate.analysis.check import Finding
from tidegate.analysis.comparison import Comparison, compare
from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline

KNOWN = TrafficBaseline(864_000, 864, 600.0, 400.0)
LATER = 10**9
RAMP = (Shift(0.5, 10.0),)
TOP = (*RAMP, Shift(300.5, 100.0))


def counts(requests, errors=0, slow=None):
    return Counts(requests, errors, requests, round(requests / 100) if slow is None else slow)


def minutes(*pairs, start=0, seconds=60, **more):
    """One minute after the other of (stable, candidate), each a Counts or the number of requests."""
    whole = [[one if isinstance(one, Counts) else counts(one) for one in pair] for pair in pairs]
    return [Minute(60 * start + seconds * n, *pair, **more, seconds=seconds) for n, pair in enumerate(whole)]


def heard(seen, shifts=RAMP, now=LATER, baseline=KNOWN, judge=None):
    return compare(judge or Judge(), seen, shifts, now, baseline)


def findings(verdict):
    return {check.name.split()[0]: check.finding for check in verdict.checks()}


BAD = minutes(*[(counts(540, 1), counts(60, 12))] * 4)
GOOD = minutes(*[(counts(5_400, 5), counts(600, 1))] * 12)


def test_a_conviction_says_its_numbers_and_their_p_value():
    (errors, slow) = heard(BAD).checks()
    assert (errors.finding, errors.convicts, errors.value, errors.limit) == (Finding.HARMFUL, True, 20.0, 0.322)
    compared, conclusion = str(errors).split("; ")
    assert compared == "candidate fails 20 % of 240 requests, stable 0.19 % of 2,160 in the same 4 minutes"
    assert conclusion.startswith("worse than tolerated with p ")
    assert slow.finding is Finding.UNKNOWN


def test_slow_requests_convict_too():
    slowly = minutes(*[(counts(540), counts(60, slow=20))] * 24)
    verdict = heard(slowly)
    assert findings(verdict) == {"errors": Finding.HEALTHY, "slow": Finding.HARMFUL}
    assert "candidate is slow in 33 % of" in str(verdict.checks()[1])


def test_enough_good_minutes_are_proof():
    assert findings(heard(GOOD)) == {"errors": Finding.HEALTHY, "slow": Finding.HEALTHY}


def test_a_healthy_metric_says_what_was_seen_and_nothing_that_alarms():
    errors, slow = (str(check) for check in replace(heard(GOOD), stable="version 1").checks())
    assert errors == "hardly worse than version 1: 0.17 % of 7,200 against 0.093 % of 64,800 requests failed"
    assert slow == "no worse than version 1: slow in 1 % of 6,000 against 1 % of 54,000 requests"
    better = heard(minutes(*[(counts(5_400, 5), counts(600, 0))] * 12)).checks()[0]
    assert str(better).startswith("no worse than the stable version: 0 % of 7,200 against 0.093 %")
    assert (better.covers, better.proves) == ("errors", "errors")


def test_a_last_weight_that_was_never_compared_says_what_it_has_shown():
    alone = minutes(*[(0, counts(6_000, 6))] * 12)
    (check,) = heard(alone, (Shift(0.5, 100.0),), judge=Judge(slow=None)).checks()
    assert check.finding is Finding.HEALTHY
    assert str(check).startswith("errors: candidate fails ")
    assert str(check).endswith(" % were to be expected")


def test_nothing_seen_is_unknown_and_says_so():
    verdict = heard([])
    assert set(findings(verdict).values()) == {Finding.UNKNOWN}
    assert "no requests of the candidate to go by yet" in str(verdict.checks()[0])


def test_a_metric_that_is_turned_off_is_not_judged():
    assert set(findings(heard(BAD, judge=Judge(errors=None)))) == {"slow"}
    lenient = Judge(errors=Tolerance(100, 0.9), slow=None)
    assert findings(heard(BAD, judge=lenient)) != {"errors": Finding.HARMFUL}


def test_without_a_p99_nobody_can_say_what_is_slow():
    verdict = heard(GOOD, baseline=replace(KNOWN, p99_ms=None))
    assert findings(verdict) == {"errors": Finding.HEALTHY, "slow": Finding.NOTED}
    assert "how long served requests took in the day before is not known" in str(verdict.checks()[-1])


# Late, missing and corrected datapoints.


def test_a_minute_convicts_once_it_has_been_over_for_a_minute_and_acquits_after_two():
    assert heard(BAD[:1], now=119).evidence[0].candidate == 0
    assert heard(BAD[:1], now=120).evidence[0].candidate == 60
    assert heard(GOOD, now=12 * 60 + 119).evidence[0].settled_minutes == 11
    assert heard(GOOD, now=12 * 60 + 120).evidence[0].settled_minutes == 12


@pytest.mark.parametrize("missing", [{"errors": None}, {"timed": None}, {"slow": None}])
def test_a_count_that_is_missing_beside_requests_is_neither_health_nor_harm(missing):
    holes = [replace(minute, candidate=replace(minute.candidate, **missing)) for minute in BAD]
    name = "errors" if "errors" in missing else "slow"
    (evidence,) = [one for one in heard(holes).evidence if one.metric.name == name]
    assert (evidence.gaps, evidence.minutes, evidence.convicted_at) == (4, 0, None)


def test_more_failures_than_requests_is_a_late_count_and_not_a_crash():
    late = minutes(*[(counts(540), Counts(10, 60, 10, 0))] * 3)
    assert heard(late).evidence[0].candidate_bad == 30


def test_a_minute_that_arrives_late_counts_as_if_it_had_been_there():
    assert heard(BAD[1:]).evidence[0].candidate == 180
    assert heard(BAD).evidence[0].candidate == 240


def test_after_each_increase_slow_requests_warm_up_for_two_minutes_and_errors_do_not():
    ramp = minutes(*[(counts(540), counts(60))] * 10)
    errors, slow = heard(ramp, (Shift(0.5, 10.0), Shift(300.5, 50.0))).evidence
    assert (errors.minutes, slow.minutes) == (10, 6)


def test_a_catastrophe_is_believed_after_a_minute_where_the_candidate_has_its_share():
    """Where most of the candidate's requests are there, its failures did not come alone."""
    whole, part = minutes((counts(5_400), counts(600, 600))), minutes((counts(5_400), counts(200, 200)))
    assert findings(heard(whole, now=120))["errors"] is Finding.HARMFUL
    assert findings(heard(part, now=120))["errors"] is not Finding.HARMFUL
    assert findings(heard(part, now=180))["errors"] is Finding.HARMFUL


def test_great_slowness_convicts_from_the_first_minute_on():
    slowly = minutes(*[(counts(5_400), counts(600, slow=300))] * 2)
    verdict = heard(slowly)
    assert findings(verdict)["slow"] is Finding.HARMFUL
    assert "candidate is slow in 50 % of 1,200 requests" in str(verdict.checks()[1])
    warmer = minutes(*[(counts(5_400), counts(600, slow=40))] * 2)
    assert findings(heard(warmer))["slow"] is Finding.UNKNOWN


def test_a_decrease_needs_no_warm_up():
    _, slow = heard(GOOD[:10], (Shift(0.5, 50.0), Shift(300.5, 10.0))).evidence
    assert slow.minutes == 8


def test_throttled_minutes_add_no_evidence():
    assert findings(heard([replace(minute, throttled=60) for minute in BAD]))["errors"] is Finding.UNKNOWN
    assert findings(heard([replace(minute, throttled=1) for minute in BAD]))["errors"] is Finding.HARMFUL


def test_longer_periods_are_judged_alike():
    assert findings(heard(minutes(*[(counts(2700, 1), counts(300, 60))] * 2, seconds=300)))["errors"] is Finding.HARMFUL


def test_few_requests_are_judged_in_rows_of_ten_requests():
    """Evidence is spread anew after each row, which costs: few requests are worth more together."""
    few = [(counts(4), counts(1, minute % 4 == 0)) for minute in range(60)]
    by_two = [(counts(8), counts(2, minute % 2 == 0)) for minute in range(30)]
    together, paired = (
        heard(minutes(*each, seconds=seconds)).evidence[0] for each, seconds in ((few, 60), (by_two, 120))
    )
    assert (together.minutes, together.candidate_bad) == (60, 15)
    assert together.worse_peak == pytest.approx(paired.worse_peak)


def test_a_row_lasts_five_minutes_at_most_and_the_day_before_has_no_say():
    """Whatever was usual, evidence goes by the requests that there are now."""
    hardly = [(counts(1), counts(0, 0) if minute % 2 else counts(1, 1)) for minute in range(20)]
    by_five = [(counts(5), counts(3 - row % 2, 3 - row % 2)) for row in range(4)]
    together, apart = (
        heard(minutes(*each, seconds=seconds)).evidence[0] for each, seconds in ((hardly, 60), (by_five, 300))
    )
    assert together.worse_peak == pytest.approx(apart.worse_peak)
    quiet_before = TrafficBaseline(14_256, 14, 9.9, 400.0)
    failing = minutes(*[(counts(432), counts(48, 23))] * 4)
    assert heard(failing, baseline=quiet_before).evidence[0].convicted_at == heard(failing).evidence[0].convicted_at


# A shared outage.


def test_both_versions_failing_is_a_burst_and_nobodys_fault():
    verdict = heard([*GOOD[:5], *minutes(*[(counts(5_400, 1_600), counts(600, 180))] * 2, start=5)])
    assert verdict.burst
    assert findings(verdict)["errors"] is Finding.UNKNOWN
    assert "both versions fail" in str(verdict.checks()[0])


# The last step.


def test_at_full_weight_the_rates_of_the_ramp_stand_guard():
    last = minutes(*[(counts(0), counts(6_000, 6))] * 5, start=6)
    calm = heard([*GOOD[:5], *last], TOP)
    assert calm.alone
    assert [last.tripped for last in calm.last_step] == [False, False]
    failing = minutes(*[(counts(0), counts(6_000, 1_200))] * 5, start=6)
    (tripped,) = heard([*GOOD[:5], *failing], TOP).tripped
    assert (tripped.metric.name, tripped.candidate_bad) == ("errors", 6_000)
    assert heard([*GOOD[:5], *failing], TOP).evidence[0].convicted_at is None


def test_the_minute_of_the_shift_to_everything_compares_nothing():
    """The stable version served its first second, the candidate the rest: an outage in between is nobody's fault."""
    shifted = minutes((counts(10, 0), counts(590, 590)))
    assert heard(shifted, (Shift(1.0, 100.0),)).evidence[0].convicted_at is None


def test_a_last_step_that_was_never_compared_is_held_against_the_day_before():
    at_once = (Shift(0.5, 100.0),)
    served = minutes(*[(counts(0), counts(600))] * 12)
    assert findings(heard(served, at_once)) == {"errors": Finding.HEALTHY, "slow": Finding.HEALTHY}
    verdict = heard(served, at_once, baseline=TrafficBaseline(p99_ms=400.0))
    assert (verdict.unguarded, verdict.last_step) == (("errors", "slow"), ())
    assert set(findings(verdict).values()) == {Finding.UNKNOWN}


def test_after_a_step_back_the_new_ascent_says_what_is_usual():
    """An outage that goes on must not trip the guard for ever."""
    outage = minutes(*[(counts(5_400, 1_000), counts(600, 111))] * 5, start=12)
    shifts = (Shift(0.5, 10.0), Shift(300.5, 100.0), Shift(720.5, 10.0), Shift(1020.5, 100.0))
    top = minutes(*[(counts(0), counts(6_000, 1_111))] * 5, start=18)
    assert heard([*GOOD, *outage, *top], shifts).tripped == ()
    assert heard([*GOOD, *top], (*RAMP, Shift(1020.5, 100.0))).tripped


# What is kept.


def test_the_books_get_every_number_beside_its_threshold():
    document = heard([*GOOD[:5], *minutes(*[(counts(0), counts(6_000, 6))] * 5, start=6)], TOP).to_json()
    errors = document["evidence"][0]
    assert errors["metric"] == "errors"
    assert (errors["stable"], errors["candidate"], errors["minutes"]) == ([27_000, 25], [3_000, 5], 5)
    assert (errors["worse_needed"], errors["intolerable_needed"]) == (4.61, 2.3)
    assert errors["state"] == "healthy"
    assert {"metric", "candidate", "expected_at_most_percent", "wealth", "needed", "tripped"} == set(
        document["last_step"][0]
    )
    assert Comparison().to_json() == {"evidence": []}
