"""The books under stress: many alarms, long bakes, writes that cross, answers that are lost."""

import json
from contextvars import Context
from dataclasses import replace

import pytest

from sandbox.aws.boundary import AwsError
from sandbox.world import STARTED_AT
from tests import plans
from tests.aws.records import ended
from tidegate.analysis.check import Check, Finding
from tidegate.analysis.comparison import compare
from tidegate.analysis.health import AlarmRule
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.aws import history, ledger, locks, verdicts, versions
from tidegate.control.commands import GivenCommand
from tidegate.control.observation import Observation
from tidegate.control.progress import Decision, Progress, Standing
from tidegate.errors import AwsRefused, AwsUnavailable
from tidegate.hooks.smoke_test import SmokeTest
from tidegate.planning.strategy import Step

TARGET, HOUR = "checkout:live", 3_600
ITEM_BYTES = 400 * 1024
PLAN = replace(plans.PLAN, started_at=STARTED_AT, steps=(Step(50, HOUR), Step(100, 0)), longest_seconds=HOUR)
ARN = PLAN.execution_arn
SHIFTS = (Shift(STARTED_AT, 50.0), Shift(STARTED_AT + 120, 100.0))
PROGRESS = Progress(0, 50.0, "r2", STARTED_AT, STARTED_AT, SHIFTS)
#: As long as any verdict gets: both metrics, and both guards.
VERDICT = compare(
    Judge(),
    [
        Minute(STARTED_AT + 60 * n, Counts(9_000_000, 3_000, 9_000_000, 90_000), Counts(900_000, 300, 900_000, 9_000))
        for n in range(10)
    ],
    SHIFTS,
    STARTED_AT + 900,
    TrafficBaseline(1_000_000, 1_000, 700.0, 400.0),
)


def look(minute, checks=(), plan=PLAN, action="wait"):
    seen = Observation(STARTED_AT + 60 * minute, (*checks, *VERDICT.checks()), VERDICT)
    verdicts.record(plan, Standing(PROGRESS, Decision(action, "50 % bakes on " * 50)), seen, "r2")


@pytest.mark.parametrize(("alarms", "seconds", "kept"), [(100, HOUR, range(61, 62)), (10, 4 * HOUR, range(81, 122))])
def test_the_books_fit_an_item_whatever_a_request_may_ask_for(inhabit, items, alarms, seconds, kept):
    """DynamoDB, "Quotas": an item holds 400 KB. A look each minute, with every gate, and the history beside it."""
    world = inhabit()
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    plan = replace(PLAN, longest_seconds=seconds, steps=(Step(50, seconds), Step(100, 0)))
    ledger.record_plan(plan)
    checks = [Check(f"alarm-{n:03}".ljust(40, "x"), "OK", "OK", "", Finding.HEALTHY) for n in range(alarms)]
    checks.append(Check("error rate", 0.123, 1.0, "%", Finding.HEALTHY, of=1_000_000))
    checks.append(Check("slower than 800 ms", 0.456, 1.0, "%", Finding.HEALTHY, of=1_000_000))
    for minute in range(1, seconds // 60 + 1):
        look(minute, checks, plan)
    look(seconds // 60 + 1, checks, plan, "promote")
    written = locks.read(TARGET).verdicts
    assert len(written) in kept
    assert sum(map(len, written)) < ITEM_BYTES
    assert len(json.dumps(items(world)["lock"], default=str)) < ITEM_BYTES
    assert history.finalize(*ended("rolled_back", "alarm errors is ALARM", plan=plan), STARTED_AT + seconds)
    (finished,) = items(world).values()
    assert len(json.dumps(finished, default=str)) < ITEM_BYTES


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
def test_a_transaction_cancelled_for_another_reason_was_not_closed_before(inhabit, reason):
    world = inhabit()
    ledger.take_lock(TARGET, ARN, STARTED_AT)

    def cancel(_params, _proceed):
        reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": reason}]}
        raise AwsError("TransactionCanceledException", f"... specific reasons [None, {reason}]", 400, reasons)

    world.boundary.correct("dynamodb.TransactWriteItems", cancel)
    with pytest.raises(AwsUnavailable):
        history.finalize(*ended("rolled_back", "x", plan=PLAN), STARTED_AT + 60)
    assert Context().run(locks.read, TARGET) is not None


def test_a_write_that_meets_a_transaction_is_to_be_tried_again(inhabit):
    inhabit(
        faults=[{"call": "dynamodb.UpdateItem", "error": "TransactionConflictException", "skip": 1, "times": "always"}]
    )
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    with pytest.raises(AwsUnavailable):
        ledger.record_shift(PLAN, 0, 10)


@pytest.mark.parametrize(
    "code", ["SnapStartNotReadyException", "SnapStartTimeoutException", "EFSMountTimeoutException"]
)
def test_a_version_that_is_not_ready_to_be_invoked_is_tried_again_later(inhabit, code):
    inhabit(faults=[{"call": "lambda.Invoke", "error": code}])
    with pytest.raises(AwsUnavailable):
        versions.invoke("checkout", "1", SmokeTest())


def test_a_verdict_whose_recording_got_no_answer_is_recorded_once(inhabit):
    inhabit(faults=[{"call": "dynamodb.UpdateItem", "error": "lost_response"}])
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    look(1)
    assert len(locks.read(TARGET).verdicts) == 1


def test_closing_whose_response_was_lost_closed_it(inhabit):
    inhabit(faults=[{"call": "dynamodb.TransactWriteItems", "error": "lost_response"}])
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    assert history.finalize(*ended("promoted", "x", plan=PLAN), STARTED_AT + 60)


# Room, in bytes.

LONG = "漢" * 300


def given(number, command="pause"):
    return GivenCommand(f"{number}", command, LONG, LONG, STARTED_AT + number)


def full(world, somebody, left=9_000):
    """A lock that an older Tidegate has filled, but for so many bytes with the plan."""
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    ledger.record_plan(PLAN)
    ledger.record_shift(PLAN, 0, 50)
    rest = ITEM_BYTES - left
    verdict = json.dumps({"convicts": False, "action": "wait", "at": STARTED_AT, "reason": "x" * 300})
    somebody(
        "dynamodb.update_item",
        TableName=world.table_name,
        Key={"target": {"S": TARGET}, "record": {"S": "lock"}},
        UpdateExpression="SET verdicts = :verdicts",
        ExpressionAttributeValues={":verdicts": {"L": [{"S": f"{verdict} "}] * (rest // len(verdict))}},
    )


def test_whoever_restores_marks_a_lock_that_is_full(inhabit, somebody):
    full(inhabit(), somebody, left=5_000)
    lock = ledger.record_intent(TARGET, ARN, "漢" * 2_000, given=given(1, "abort"))
    assert (lock.execution_arn, lock.step, lock.verdicts) == (ARN, 0, ())
    assert lock.restoring.startswith("漢漢")
    assert len(lock.restoring.encode()) <= 1_200
    assert [json.loads(kept)["command"] for kept in lock.commands] == ["abort"]


def test_a_command_is_kept_in_a_lock_that_is_full(inhabit, somebody):
    full(inhabit(), somebody, left=5_000)
    assert ledger.say(locks.read(TARGET), given(1))
    assert locks.read(TARGET).controls.pause == given(1)
    assert ledger.say(locks.read(TARGET), given(2, "finish"))
    assert (locks.read(TARGET).controls.pause, locks.read(TARGET).verdicts) == (None, ())


def test_a_mark_that_is_refused_for_another_reason_than_room_costs_no_verdicts(inhabit, somebody):
    world = inhabit(faults=[{"call": "dynamodb.UpdateItem", "error": "ResourceNotFoundException", "skip": 3}])
    full(world, somebody)
    with pytest.raises(AwsRefused):
        ledger.record_intent(TARGET, ARN, "alarm errors is in ALARM")
    assert locks.read(TARGET).verdicts


def test_a_verdict_is_the_last_one_in_a_lock_that_is_full(inhabit, somebody, items):
    world = inhabit()
    full(world, somebody)
    for minute in range(12):
        said = Standing(PROGRESS, Decision("advance", f"{minute} " * 200))
        assert verdicts.record(PLAN, said, Observation(STARTED_AT + 60 * minute), "r2") is None
        assert json.loads(items(world)["lock"]["last_verdict"])["at"] == STARTED_AT + 60 * minute


def test_a_lock_that_is_full_is_closed_with_what_has_room(inhabit, somebody, items):
    world = inhabit()
    full(world, somebody)
    assert not history.finalize(*ended("rolled_back", LONG * 20, plan=PLAN), STARTED_AT + 60).recorded
    (finished,) = items(world).values()
    assert len(finished["cause"].encode()) <= 4_096
    assert json.loads(finished["document"])["outcome"] == "rolled_back"


def test_the_newest_words_are_kept_and_every_one_counts(inhabit):
    inhabit()
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    ledger.record_plan(PLAN)
    for number in range(60):
        assert ledger.say(locks.read(TARGET), given(number, ("pause", "resume")[number % 2]))
    lock = locks.read(TARGET)
    assert lock.controls.count == 60
    kept = [json.loads(text)["id"] for text in lock.commands]
    assert kept == [str(number) for number in range(60 - len(kept), 60)]
    assert sum(map(len, lock.commands)) <= 48 * 1024


def test_verdicts_leave_room_for_what_people_say(inhabit):
    """A plan of a hundred alarms with the longest names, and looks that each find much to say."""
    inhabit()
    plan = replace(PLAN, alarms=tuple(AlarmRule(f"{number:03}".ljust(255, "警")) for number in range(100)))
    ledger.take_lock(TARGET, ARN, STARTED_AT)
    ledger.record_plan(plan)
    for minute in range(40):
        look(minute, [Check("警" * 255, "OK", "OK", "", Finding.HEALTHY)] * 5, plan, "advance")
    for number in range(60):
        assert ledger.say(locks.read(TARGET), given(number, ("pause", "resume")[number % 2]))
    assert ledger.record_intent(TARGET, ARN, LONG, given=given(61, "abort")).verdicts
    assert not history.finalize(*ended("rolled_back", LONG, plan=plan), STARTED_AT + 60).recorded
