"""The ledger: one holder at a time, and what a rollout writes while it runs."""

import json
from dataclasses import replace

import pytest

from sandbox.world import STARTED_AT
from tests.aws.records import (
    ARN,
    DAY,
    FIRST,
    OTHER_PLAN,
    PLAN,
    RECORDS,
    SECOND,
    TARGET,
    ended,
    fault,
    record_verdict,
    say,
    take,
)
from tidegate.analysis.check import Check, Finding
from tidegate.aws import history, ledger, locks
from tidegate.ending.snapshot import Restored
from tidegate.errors import AwsRefused, AwsUnavailable, LockLost

# The lock.


def test_a_free_lock_is_taken_once(inhabit):
    inhabit()
    assert locks.read(TARGET) is None
    assert take()
    assert not take(SECOND)
    held = locks.read(TARGET)
    assert (held.execution_arn, held.heard_at) == (FIRST, STARTED_AT)
    assert (held.plan, held.candidate, held.traffic_shifted, held.promoting, held.verdicts) == (
        None,
        None,
        False,
        False,
        (),
    )
    assert (held.restoring, held.convicted) == (None, False)


def test_a_lock_is_kept_by_the_execution_that_holds_it(inhabit):
    inhabit()
    assert take()
    assert take()
    assert locks.read(TARGET).execution_arn == FIRST


def test_locks_of_different_aliases_are_independent(inhabit):
    inhabit()
    assert take()
    assert ledger.take_lock("checkout:beta", SECOND, STARTED_AT)


def test_a_lock_whose_taking_got_no_answer_is_held(inhabit):
    world = inhabit(**fault("UpdateItem", "lost_response"))
    assert take()
    assert world.boundary.calls["dynamodb.UpdateItem"] == 2


def test_a_lock_is_taken_over_only_from_the_execution_that_is_known_to_have_ended(inhabit):
    inhabit()
    take()
    assert not take(SECOND, ended_holder=ARN + "third")
    assert take(SECOND, now=STARTED_AT + 900, ended_holder=FIRST)
    assert locks.read(TARGET).execution_arn == SECOND


def promoted_and_restored():
    for record in RECORDS.values():
        record()
    ledger.record_intent(TARGET, FIRST, "alarm errors is in ALARM", convicts_if_shifted_by=STARTED_AT)
    ledger.record_restored(TARGET, FIRST, Restored())


def paused_at_a_gate():
    ledger.record_plan(PLAN)
    ledger.record_approval_step(PLAN, 1)
    say("pause")
    say("advance")


@pytest.mark.parametrize("end", [promoted_and_restored, paused_at_a_gate])
def test_a_lock_that_is_taken_over_is_as_one_that_was_free(inhabit, items, end):
    world = inhabit()
    take(SECOND)
    free = items(world)
    history.finalize(*ended(plan=OTHER_PLAN), STARTED_AT)
    take()
    end()
    assert len(items(world)["lock"]) > len(free["lock"])
    assert take(SECOND, ended_holder=FIRST)
    assert items(world)["lock"] == free["lock"]


def test_of_two_that_take_over_the_same_lock_one_gets_it(inhabit):
    inhabit()
    take()
    assert [take(arn, ended_holder=FIRST) for arn in (SECOND, ARN + "third")] == [True, False]


def test_a_lock_that_cannot_be_read_is_not_taken_for_free(inhabit):
    inhabit(**fault("GetItem", "InternalServerError", times="always"))
    with pytest.raises(AwsUnavailable, match="read the lock of checkout:live"):
        locks.read(TARGET)


def test_a_lock_that_cannot_be_asked_for_is_not_held_by_another(inhabit):
    inhabit(**fault("UpdateItem", "ProvisionedThroughputExceededException", times="always"))
    with pytest.raises(AwsUnavailable, match="take the lock of checkout:live"):
        take()


# What a rollout records while it runs.


def test_the_lock_tells_how_far_the_rollout_is(inhabit):
    inhabit()
    take()
    told = []
    for record in list(RECORDS.values())[:4]:
        record()
        held = locks.read(TARGET)
        told.append((held.plan, held.candidate, held.traffic_shifted, held.promoting))
    assert told == [
        (PLAN, None, False, False),
        (PLAN, "2", False, False),
        (PLAN, "2", True, False),
        (PLAN, "2", True, True),
    ]


def test_a_weight_is_recorded_before_it_is_set(inhabit, items):
    world = inhabit()
    take()
    ledger.record_shift(PLAN, 0, 12.34)
    lock = items(world)["lock"]
    assert (lock["step"], float(lock["weight_percent"])) == (0, 12.34)
    assert locks.read(TARGET).traffic_shifted


@pytest.mark.parametrize(("by", "convicted"), [(STARTED_AT + 9.9, False), (STARTED_AT + 10, True)])
def test_an_alarm_convicts_only_a_candidate_that_had_its_first_traffic_in_time(inhabit, by, convicted):
    inhabit()
    take()
    ledger.record_shift(PLAN, 0, 10.0, at=STARTED_AT + 10)
    ledger.record_shift(PLAN, 1, 50.0, at=STARTED_AT + 310)
    held = ledger.record_intent(TARGET, FIRST, "alarm errors is in ALARM", convicts_if_shifted_by=by)
    assert (held.convicted, locks.read(TARGET).convicted) == (convicted, convicted)


@pytest.mark.parametrize(("first", "then", "writes"), [(9.9, 10, 1), (10, 9.9, 2), (10, 10, 2), (9.8, 9.9, 1)])
def test_of_several_alarms_the_one_that_convicts_counts(inhabit, first, then, writes):
    world = inhabit()
    take()
    ledger.record_shift(PLAN, 0, 10.0, at=STARTED_AT + 10)
    ledger.record_intent(TARGET, FIRST, "alarm errors is in ALARM", convicts_if_shifted_by=STARTED_AT + first)
    before = world.boundary.calls["dynamodb.UpdateItem"]
    held = ledger.record_intent(TARGET, FIRST, "alarm slow is in ALARM", convicts_if_shifted_by=STARTED_AT + then)
    assert (held.restoring, held.convicted) == ("alarm errors is in ALARM", max(first, then) >= 10)
    assert (locks.read(TARGET), world.boundary.calls["dynamodb.UpdateItem"]) == (held, before + writes)


def test_what_an_earlier_tidegate_has_convicted_stays_convicted(inhabit):
    inhabit()
    take()
    ledger.record_shift(PLAN, 0, 10.0, at=STARTED_AT + 10)
    ledger.update(PLAN, {"convicted": {"S": "true"}})
    held = ledger.record_intent(TARGET, FIRST, "alarm slow is in ALARM", convicts_if_shifted_by=STARTED_AT)
    assert (held.restoring, held.convicted) == ("alarm slow is in ALARM", True)


def test_no_alarm_speaks_in_the_lock_of_another_execution(inhabit):
    inhabit()
    take(SECOND)
    assert ledger.record_intent(TARGET, FIRST, "alarm errors", convicts_if_shifted_by=STARTED_AT) is None
    assert locks.read(TARGET).restoring is None


def test_an_alarm_convicts_where_an_earlier_tidegate_kept_no_moment_of_the_first_shift(inhabit):
    inhabit()
    take()
    ledger.record_shift(PLAN, 0, 10.0)
    assert ledger.record_intent(TARGET, FIRST, "alarm", convicts_if_shifted_by=STARTED_AT).convicted


def test_a_pause_keeps_the_next_weight_away_from_all_but_a_step_back(inhabit, items):
    world = inhabit()
    take()
    ledger.record_plan(PLAN)
    ledger.record_shift(PLAN, 1, 50.0)
    say("pause")
    before = items(world)
    assert not ledger.record_shift(PLAN, 2, 100.0)
    assert items(world) == before
    assert ledger.record_shift(PLAN, 1, 50.0), "a second try of the one before"
    assert ledger.record_shift(PLAN, 0, 10.0, unless_paused=False)
    assert locks.read(TARGET).step == 0


@pytest.mark.parametrize("unless_paused", [True, False])
def test_a_weight_of_who_lost_the_lock_is_refused_and_not_only_paused(inhabit, unless_paused):
    inhabit()
    take(SECOND)
    ledger.record_plan(OTHER_PLAN)
    say("pause")
    with pytest.raises(LockLost):
        ledger.record_shift(PLAN, 1, 50.0, unless_paused=unless_paused)


@pytest.mark.parametrize("convicts", [True, False])
def test_the_last_verdict_says_whether_the_candidate_is_bad(inhabit, convicts):
    inhabit()
    take()
    record_verdict(convicts=not convicts)
    record_verdict(now=STARTED_AT + 120, convicts=convicts)
    assert locks.read(TARGET).convicted is convicts


@pytest.mark.parametrize("what", RECORDS)
def test_whoever_lost_the_lock_records_nothing_and_stops(inhabit, items, what):
    world = inhabit()
    take()
    take(SECOND, ended_holder=FIRST)
    before = items(world)
    with pytest.raises(LockLost, match="no longer holds the lock of checkout:live"):
        RECORDS[what]()
    assert items(world) == before


@pytest.mark.parametrize("what", RECORDS)
def test_without_a_lock_nothing_is_recorded(inhabit, items, what):
    world = inhabit()
    with pytest.raises(LockLost):
        RECORDS[what]()
    assert items(world) == {}


def test_a_verdict_is_kept_with_its_numbers_and_its_checks_limits_first(inhabit, items):
    world = inhabit()
    take()
    record_verdict(
        checks=[
            Check("errors", "OK", "OK", "", Finding.HEALTHY),
            Check("error rate", 0.98765, 1.0, "%", Finding.HEALTHY, of=100),
        ]
    )
    (verdict,) = locks.read(TARGET).verdicts
    assert verdict == items(world)["lock"]["last_verdict"]
    assert json.loads(verdict) == {
        "at": STARTED_AT + 60,
        "step": 1,
        "weight_percent": 50.0,
        "action": "wait",
        "reason": "50 % bakes 4 min more",
        "wait_seconds": 0,
        "proven": False,
        "convicts": False,
        "checks": [
            {"name": "error rate", "value": 0.988, "limit": 1.0, "unit": "%", "finding": "healthy", "of": 100},
            {"name": "errors", "value": "OK", "limit": "OK", "unit": "", "finding": "healthy", "of": None},
        ],
        "stable": {"requests": 900, "errors": 3, "slow": 7},
        "candidate": {"requests": 100, "errors": 1, "slow": 2},
        "evidence": [],
    }


def test_verdicts_are_kept_in_order(inhabit):
    inhabit()
    take()
    for minute in range(1, 26):
        record_verdict(now=STARTED_AT + 60 * minute)
    kept = [(json.loads(verdict)["at"] - STARTED_AT) / 60 for verdict in locks.read(TARGET).verdicts]
    assert kept == list(range(1, 26))


def test_every_turn_of_a_long_rollout_is_kept(inhabit):
    inhabit()
    take()
    week = replace(PLAN, longest_seconds=7 * DAY)
    for seconds in range(61, 61 + 60 * 50, 60):
        record_verdict(week, STARTED_AT + seconds, "advance")
    assert len(locks.read(TARGET).verdicts) == 50


def test_the_last_verdict_is_kept_also_where_the_list_leaves_it_out(inhabit, items):
    world = inhabit()
    take()
    week = replace(PLAN, longest_seconds=7 * DAY)
    record_verdict(week, STARTED_AT + 60)
    lock = items(world)["lock"]
    assert "verdicts" not in lock
    assert json.loads(lock["last_verdict"])["at"] == STARTED_AT + 60


def test_a_verdict_that_is_refused_for_another_reason_than_room_is_no_verdict(inhabit, items):
    world = inhabit(**fault("UpdateItem", "ResourceNotFoundException", skip=1))
    take()
    with pytest.raises(AwsRefused):
        record_verdict()
    assert "last_verdict" not in items(world)["lock"]
