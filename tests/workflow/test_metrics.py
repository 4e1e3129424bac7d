"""Metrics of the user's own, from the request to the record: what they convict, prove, and leave unknown."""

import re
from typing import Any

import pytest

from tests.workflow.conftest import Tell
from tidegate.ending.outcome import Outcome

DIMENSIONS = {"service": "checkout", "version": "{version}"}
FAILED = {"namespace": "Shop", "metric": "OrdersFailed", "dimensions": DIMENSIONS}
ORDERS: dict[str, Any] = {"name": "orders failed", "bad": FAILED}
MEMORY: dict[str, Any] = {"name": "memory", "value": {**FAILED, "metric": "Memory"}, "above": "p99"}
#: What the application tells of itself.
TOLD: dict[str, Any] = {
    "namespace": "Shop",
    "name": "OrdersFailed",
    "counts": "answered_errors",
    "version_dimension": "version",
    "dimensions": {"service": "checkout"},
}
USED = {key: value for key, value in TOLD.items() if key != "counts"} | {"name": "Memory"}


def judging(*metrics: Any, **health: Any) -> dict[str, Any]:
    return {"health": {"judge": {"metrics": list(metrics)}, **health}}


@pytest.mark.parametrize(("rate", "seconds"), [(1.0, 240), (0.05, 480)])
def test_what_answers_errors_is_convicted_by_the_metric_that_counts_them(tell: Tell, rate, seconds):
    story = tell(judging(ORDERS), metrics=[TOLD], candidate={"answered_error_rate": rate})
    assert story.outcome is Outcome.ROLLED_BACK
    assert story.virtual_seconds <= seconds
    assert str(story.cause).startswith("orders failed: candidate ")


def test_a_good_release_is_proven_by_it_too(tell: Tell):
    story = tell(judging(ORDERS), metrics=[TOLD])
    assert (story.outcome, story.proven_by) == (Outcome.PROMOTED, ["errors", "slow", "orders failed"])


def test_one_call_a_look_is_still_all_that_it_takes(tell: Tell):
    plain, judged = tell(), tell(judging(ORDERS), metrics=[TOLD])
    assert judged.api_calls == plain.api_calls


def test_a_metric_of_which_nothing_was_seen_is_refused_by_its_whole_name(tell: Tell):
    story = tell(judging(ORDERS, {**MEMORY, "name": "other"}), metrics=[TOLD, {**TOLD, "name": "Memroy"}])
    assert (story.outcome, story.error) == (Outcome.REJECTED, "Rejected")
    assert "of other, Shop Memory (service=checkout, version=1), nothing was seen" in str(story.cause)
    assert "orders failed" not in str(story.cause)


def test_a_preset_of_which_nothing_was_seen_is_refused_with_what_can_be_done_about_it(tell: Tell):
    cause = str(tell(judging("url_5xx")).cause)
    assert "of url_5xx, AWS/Lambda UrlRequestCount (FunctionName=checkout, Resource=checkout:live" in cause
    assert cause.endswith("else leave it out")


def test_of_an_alias_that_nobody_called_it_is_said_that_nothing_can_be_known(tell: Tell):
    cause = str(tell(judging(ORDERS), metrics=[TOLD], requests_per_minute=0).cause)
    assert "checkout:live had no request in the last day, so nothing can be known of orders failed" in cause


NEW = {**TOLD, "silent": {"version": "stable"}}


def test_a_new_metric_proves_nothing_and_waits_for_nothing(tell: Tell):
    story = tell(judging({**ORDERS, "new": True}), metrics=[NEW])
    assert (story.outcome, story.proven_by) == (Outcome.PROMOTED, ["errors", "slow"])


def test_a_new_metric_that_both_versions_have_may_convict(tell: Tell):
    both = {**TOLD, "silent": {"version": "both", "to_second": 1}}
    story = tell(judging({**ORDERS, "new": True}), metrics=[both], candidate={"answered_error_rate": 0.3})
    assert story.outcome is Outcome.ROLLED_BACK
    assert "orders failed: candidate " in str(story.cause)


def silent(whose: str) -> dict[str, Any]:
    return {**TOLD, "silent": {"version": whose, "from_second": 0}}


def test_a_metric_that_falls_silent_holds_and_goes_back_at_the_first_weight(tell: Tell):
    story = tell(judging(ORDERS), metrics=[silent("candidate")])
    assert story.outcome is Outcome.ROLLED_BACK
    assert "still not seen" in str(story.cause)
    assert "orders failed is silent: no datapoint of the candidate" in str(story.cause)
    assert [state for state in story.states if state == "ShiftTraffic"] == ["ShiftTraffic"]


def test_a_metric_that_is_silent_for_both_holds_and_leaves_the_promotion_unproven(tell: Tell):
    story = tell(judging(ORDERS), metrics=[silent("both")])
    assert (story.outcome, story.proven, story.proven_by) == (Outcome.PROMOTED, False, [])
    assert story.virtual_seconds >= 900 + 600


def test_people_may_let_a_silent_metric_pass(tell: Tell):
    story = tell(judging(ORDERS, when_inconclusive="promote"), metrics=[silent("candidate")])
    assert (story.outcome, story.proven) == (Outcome.PROMOTED, False)


def test_values_are_held_against_those_of_the_day_before(tell: Tell):
    usual = {"median": 60, "p99": 90}
    leaking = {**USED, "values": {"stable": usual, "candidate": {"median": 80, "p99": 120}}}
    story = tell(judging(MEMORY), metrics=[leaking])
    assert story.outcome is Outcome.ROLLED_BACK
    assert str(story.cause).startswith("memory: candidate above the usual p99 in ")
    assert re.search(r" in [\d.]+ % of \d+ values, stable in ", str(story.cause))
    same = {**USED, "values": {"stable": usual, "candidate": usual}}
    story = tell(judging(MEMORY), metrics=[same])
    assert (story.outcome, story.proven_by) == (Outcome.PROMOTED, ["errors", "slow", "memory"])


def test_what_makes_half_of_the_requests_slower_is_found_though_the_tail_is_the_same(tell: Tell):
    story = tell(candidate={"duration_ms": {"median": 120, "p99": 400}})
    assert story.outcome is Outcome.ROLLED_BACK
    assert story.virtual_seconds <= 720
    assert str(story.cause).startswith("slow p50: candidate takes longer than the usual p50 in ")
    p99 = {"health": {"judge": {"slow": {"quantiles": ["p99"]}}}}
    assert tell(p99, candidate={"duration_ms": {"median": 120, "p99": 400}}).outcome is Outcome.PROMOTED


def test_a_plan_that_no_state_could_hold_beside_its_progress_is_refused(tell: Tell):
    wide = {f"d{number}": "x" * 700 for number in range(28)}
    many = [
        {"name": f"m{number}", "bad": {**FAILED, "dimensions": {**DIMENSIONS, **wide}}, "new": True}
        for number in range(10)
    ]
    story = tell(judging(*many))
    assert story.outcome is Outcome.REJECTED
    assert "bytes, and 180,000 is the limit: name fewer alarms, or metrics with fewer" in str(story.cause)
