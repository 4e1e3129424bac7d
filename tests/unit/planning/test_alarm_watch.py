"""Alarms that need longer than the plan watches them: warned of, or baked for."""

import pytest

from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import AlarmReading, AlarmTimes
from tidegate.planning.alarm_watch import alarm_warnings, baked_for_alarms, timed
from tidegate.planning.strategy import DEFAULT_STEPS, Approval, Step


def rule(name, needs_seconds):
    return AlarmRule(name, times=AlarmTimes(needs_seconds))


def test_a_rule_keeps_the_times_that_were_read():
    readings = {"a": AlarmReading("a", "OK", times=AlarmTimes(1020))}
    assert timed((AlarmRule("a", "ignore_until_ok"),), readings) == (
        AlarmRule("a", "ignore_until_ok", AlarmTimes(1020)),
    )


def test_the_last_step_bakes_for_the_slowest_alarm_and_no_step_gets_shorter():
    gated = (Step(10, 300), Step(100, 60, Approval(3600)))
    assert baked_for_alarms(gated, (rule("a", 180), rule("b", 1020), rule("c", None))) == (
        Step(10, 300),
        Step(100, 1020, Approval(3600)),
    )
    assert baked_for_alarms(DEFAULT_STEPS, (rule("a", 180), rule("c", None))) == DEFAULT_STEPS
    assert baked_for_alarms(DEFAULT_STEPS, ()) == DEFAULT_STEPS


@pytest.mark.parametrize(("bake", "warned"), [(0, True), (899, True), (900, False), (2000, False)])
def test_an_alarm_that_needs_longer_than_the_last_step_is_watched_is_warned_of_with_its_time(bake, warned):
    """It is watched for its bake, and for the two minutes that its last metrics take to arrive."""
    said = list(alarm_warnings((rule("orders failed", 1020),), Step(100, bake)))
    assert ["alarm orders failed needs 17 min at 100 %" in text for text in said] == [True] * warned


def test_every_late_alarm_is_named_the_slowest_first_and_one_of_an_unknown_kind_beside():
    rules = (rule("a", 180), rule("b", 1020), rule("soon", 120), rule("x", None), rule("c", 180))
    late, unknown = alarm_warnings(rules, Step(100, 0))
    assert late.startswith("alarm b needs 17 min, alarm a needs 3 min, alarm c needs 3 min at 100 % before")
    assert "is watched for 2 min" in late
    assert "health.bake_for_alarms" in late
    assert unknown == "it is not known how long alarm x needs to fire, so its OK proves nothing"


def test_a_hundred_alarms_are_not_all_named():
    (late,) = alarm_warnings(tuple(rule("n" * 255, 1020) for _ in range(100)), Step(100, 0))
    assert "and 90 more at 100 %" in late
    assert len(late) < 3_500
