"""The ledger: one holder at a time, one history item a rollout, and books that never outgrow an item."""

import json
from dataclasses import replace

import pytest

from aws import history, ledger, locks, verdicts
from aws.executions import Execution
from aws.history import Booked, Closing, Kept
from aws.locks import Restored
from rollout.check import Check, Finding
from rollout.claim import Claim
from rollout.decision import Decision
from rollout.errors import AwsUnavailable, LedgerUnreadable, LockLost
from rollout.health import AlarmGate
from rollout.look import Look
from rollout.observation import Counts, Shift
from rollout.plan import Plan
from rollout.progress import Progress
from rollout.verdict import Verdict
from rollout.wheel import Word
from sandbox.world import STARTED_AT
from tests import plans

TARGET = "checkout:live"
ARN = "arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:"
FIRST, SECOND = ARN + "first", ARN + "second"
DAY = 86_400

PLAN = replace(plans.PLAN, started_at=STARTED_AT, longest_seconds=1500, alarms=(AlarmGate("errors"),))
OTHER_PLAN = replace(PLAN, rollout_id="second", execution_arn=SECOND)


def take(arn=FIRST, now=STARTED_AT, **how):
    return ledger.take_lock(TARGET, arn, now, **how)


def record_verdict(plan=PLAN, now=STARTED_AT + 60, action="wait", checks=(), verdict=None, **decided):
    started = plan.started_at
    progress = Progress(1, 50.0, "r2", started, started, shifts=(Shift(started, 50.0),))
    served = {"in_rollout": Counts(100, 1, 100, 2), "stable_in_rollout": Counts(900, 3, 900, 7)}
    look = Look(now, tuple(checks), verdict or Verdict(), **served)
    verdicts.record(plan, Decision(action, "50 % bakes 4 min more", progress, **decided), look, "r2")


def say(command):
    assert ledger.say(locks.read(TARGET), Word(command, command, "ana", "a graph", STARTED_AT + 30))


#: Each thing that a rollout writes while it runs.
RECORDS = {
    "plan": lambda: ledger.record_plan(PLAN),
    "candidate": lambda: ledger.record_candidate(PLAN, "2"),
    "shift": lambda: ledger.record_shift(PLAN, 0, 10),
    "promotion": lambda: ledger.record_promotion(PLAN),
    "verdict": record_verdict,
}


def closing(**changes):
    return Closing(
        **{"plan": PLAN, "candidate": "2", "outcome": "rolled_back", "cause": "alarm errors is ALARM"} | changes
    )


def fault(call, error, **more):
    return {"faults": [{"call": f"dynamodb.{call}", "error": error, **more}]}


# The lock.


def test_a_free_lock_is_taken_once(inhabit):
    inhabit()
    assert locks.read(TARGET) is None
    assert take()
    assert not take(SECOND)
    held = locks.read(TARGET)
    assert (held.execution_arn, held.taken_at) == (FIRST, STARTED_AT)
    assert (held.plan, held.candidate, held.exposed, held.promoting, held.verdicts) == (None, None, False, False, ())
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
    ledger.mark_restoring(TARGET, FIRST, "alarm errors is in ALARM", convicts=True)
    ledger.record_restored(TARGET, FIRST, Restored())


def paused_at_a_gate():
    ledger.record_plan(PLAN)
    ledger.record_gate(PLAN, 1)
    say("pause")
    say("advance")


@pytest.mark.parametrize("ended", [promoted_and_restored, paused_at_a_gate])
def test_a_lock_that_is_taken_over_is_as_one_that_was_free(inhabit, items, ended):
    world = inhabit()
    take(SECOND)
    free = items(world)
    history.close(closing(plan=OTHER_PLAN), STARTED_AT)
    take()
    ended()
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
        told.append((held.plan, held.candidate, held.exposed, held.promoting))
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
    assert locks.read(TARGET).exposed


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


# The end.


def test_closing_writes_the_history_and_frees_the_lock_in_one_transaction(inhabit, items):
    world = inhabit()
    take()
    ledger.record_plan(PLAN)
    record_verdict()
    ledger.record_shift(PLAN, 0, 10.0)
    now = STARTED_AT + 600
    assert history.close(closing(outcome="promoted", cause="every gate is healthy", proven=True), now)
    ((record, item),) = items(world).items()
    assert record == "history#2026-01-05T12:00:00Z#first"
    assert (item["target"], item["execution_arn"]) == (TARGET, FIRST)
    assert (item["outcome"], item["cause"]) == ("promoted", "every gate is healthy")
    assert item["expires_at"] == now + 90 * DAY
    document = json.loads(item["document"])
    assert Plan.from_json(document["plan"]) == PLAN
    assert [verdict["at"] for verdict in document["verdicts"]] == [STARTED_AT + 60]
    assert (document["candidate"], document["proven"], document["ended_at"]) == ("2", True, now)
    assert document["weights"] == [10.0]
    assert world.boundary.calls["dynamodb.TransactWriteItems"] == 1
    assert not world.boundary.calls["dynamodb.DeleteItem"]


def test_closing_that_fails_leaves_both_the_lock_and_no_history(inhabit, items):
    world = inhabit(**fault("TransactWriteItems", "InternalServerError", times=4))
    take()
    before = items(world)
    with pytest.raises(AwsUnavailable, match="close the rollout of checkout:live"):
        history.close(closing(), STARTED_AT + 600)
    assert items(world) == before
    assert history.close(closing(), STARTED_AT + 700)


def test_closing_a_second_time_changes_nothing_and_says_so(inhabit, items):
    world = inhabit()
    take()
    assert history.close(closing(), STARTED_AT + 600)
    before = items(world)
    late = history.close(closing(outcome="promoted", cause="late"), STARTED_AT + 700)
    assert late == Booked("rolled_back", closing().cause, None, first=False)
    assert items(world) == before


def test_a_lock_that_comes_after_the_end_is_released_by_who_closes_again(inhabit):
    """The answer of a handler that had taken it was late."""
    inhabit()
    take()
    history.close(closing(), STARTED_AT + 600)
    take()
    assert not history.close(closing(), STARTED_AT + 700).first
    assert locks.read(TARGET) is None


def test_a_rollout_whose_lock_is_gone_is_closed_all_the_same(inhabit, items):
    world = inhabit()
    assert history.close(closing(), STARTED_AT + 600).first
    assert set(items(world)) == {"history#2026-01-05T12:00:00Z#first"}


def test_what_was_written_a_moment_ago_is_read(inhabit):
    """DynamoDB answers a read that is not consistent with what was there before (API reference, GetItem)."""
    inhabit(**fault("GetItem", "stale", seconds=30, times="always"))
    take()
    assert locks.read(TARGET).execution_arn == FIRST
    history.close(closing(convicts=True), STARTED_AT + 600)
    assert history.booked(PLAN).outcome == "rolled_back"
    assert history.known_bad("checkout", "2") == closing().cause


def test_a_failed_rollback_that_succeeds_after_all_is_closed_as_what_it_became(inhabit, items):
    world = inhabit()
    take()
    assert history.close(closing(outcome="rollback_failed", keep_lock=True), STARTED_AT + 600).first
    assert set(items(world)) == {"lock", "history#2026-01-05T12:00:00Z#first"}
    assert history.close(closing(), STARTED_AT + 700) == Booked("rolled_back", closing().cause, None, first=True)
    (item,) = items(world).values()
    assert item["outcome"] == "rolled_back"


def test_a_promotion_is_not_closed_while_somebody_restores(inhabit, items):
    world = inhabit()
    take()
    ledger.record_plan(PLAN)
    ledger.record_promotion(PLAN)
    assert ledger.mark_restoring(TARGET, FIRST, "alarm errors is in ALARM").promoting
    with pytest.raises(LockLost, match="alarm errors"):
        history.close(closing(outcome="promoted"), STARTED_AT + 600)
    assert set(items(world)) == {"lock"}
    assert history.close(closing(), STARTED_AT + 600).first


def test_once_somebody_restores_no_forward_write_is_recorded_and_the_first_reason_stays(inhabit):
    inhabit()
    take()
    ledger.record_plan(PLAN)
    ledger.mark_restoring(TARGET, FIRST, "the first reason", convicts=True)
    lock = ledger.mark_restoring(TARGET, FIRST, "another")
    assert (lock.restoring, lock.convicted, lock.exposed) == ("the first reason", True, False)
    for record in ("shift", "promotion"):
        with pytest.raises(LockLost):
            RECORDS[record]()
    assert ledger.mark_restoring(TARGET, SECOND, "not its holder") is None


def test_running_rollouts_are_found_by_the_alarm_they_watch(inhabit):
    inhabit()
    take()
    ledger.record_plan(PLAN)
    assert [lock.execution_arn for lock in locks.running()[0]] == [FIRST]
    assert [lock.plan for lock in locks.running(alarm="errors")[0]] == [PLAN]
    assert locks.running(alarm="other") == ([], None)


def test_a_lock_that_cannot_be_read_is_told_of_beside_the_others(inhabit, somebody):
    world = inhabit()
    take()
    ledger.take_lock("basket:live", SECOND, STARTED_AT)
    somebody(
        "dynamodb.update_item",
        TableName=world.table_name,
        Key={"target": {"S": "basket:live"}, "record": {"S": "lock"}},
        UpdateExpression="SET #plan = :text",
        ExpressionAttributeNames={"#plan": "plan"},
        ExpressionAttributeValues={":text": {"S": "no plan"}},
    )
    readable, unreadable = locks.running()
    assert [lock.target for lock in readable] == [TARGET]
    assert "plan for basket:live cannot be read" in str(unreadable)
    with pytest.raises(LedgerUnreadable, match="see that the alias serves one version, then delete the item"):
        locks.read("basket:live")


def test_a_lock_knows_when_its_execution_started(inhabit):
    inhabit()
    take(now=STARTED_AT + 20, started_at=STARTED_AT)
    lock = locks.read(TARGET)
    assert (lock.taken_at, lock.started_at) == (STARTED_AT + 20, STARTED_AT)


def test_a_refusal_is_written_once_and_a_lock_that_came_late_released(inhabit, items):
    world = inhabit()
    execution = Execution.parse(FIRST)
    take()
    assert history.refuse(TARGET, execution, STARTED_AT, "refused")
    take()
    assert not history.refuse(TARGET, execution, STARTED_AT, "refused again")
    (record,) = items(world).values()
    assert record["cause"] == "refused"


def test_a_refusal_without_a_lock_is_kept_all_the_same(inhabit):
    inhabit()
    take(SECOND)
    execution = Execution.parse(FIRST)
    assert history.refuse(TARGET, execution, STARTED_AT, "refused", held=False)
    assert history.kept(TARGET, execution, STARTED_AT) == Kept("refused")
    assert locks.read(TARGET).execution_arn == SECOND


def test_a_rollout_that_has_come_to_have_a_plan_is_not_refused(inhabit):
    inhabit()
    take()
    ledger.record_plan(PLAN)
    with pytest.raises(AwsUnavailable):
        history.refuse(TARGET, Execution.parse(FIRST), STARTED_AT, "refused")
    assert history.kept(TARGET, Execution.parse(FIRST), STARTED_AT) is None


def test_the_books_tell_how_a_rollout_ended(inhabit):
    inhabit()
    take()
    assert history.booked(PLAN) is None
    history.close(closing(), STARTED_AT + 600)
    assert (history.booked(PLAN).outcome, history.booked(PLAN).proven) == ("rolled_back", None)


def test_an_ended_rollout_is_watched_until_it_is_let_go_of(inhabit):
    inhabit()
    take()
    history.close(closing(), STARTED_AT + 600)
    (rollout,) = history.ended()
    assert (rollout.target, rollout.stable, rollout.candidate) == (TARGET, "1", "2")
    assert (rollout.outcome, rollout.ended_at) == ("rolled_back", STARTED_AT + 600)
    assert history.left_by(rollout) == (PLAN, Claim("1", "2", promoting=False))
    assert locks.running() == ([], None)
    history.let_go(rollout)
    assert history.ended() == []


def test_a_kept_lock_stays_however_often_it_is_closed(inhabit):
    inhabit()
    take()
    kept = closing(outcome="rollback_failed", keep_lock=True)
    assert [history.close(kept, STARTED_AT + second).first for second in (600, 700)] == [True, False]
    assert locks.read(TARGET).execution_arn == FIRST
    assert not take(SECOND)


def test_closing_leaves_the_lock_of_another_execution_alone(inhabit, items):
    world = inhabit()
    take()
    take(SECOND, ended_holder=FIRST)
    ledger.record_candidate(OTHER_PLAN, "3")
    ledger.record_shift(OTHER_PLAN, 0, 10.0)
    record_verdict(OTHER_PLAN)
    before = items(world)["lock"]
    for _ in range(2):
        assert history.close(closing(), STARTED_AT + 600)
    left = items(world)
    assert left["lock"] == before
    document = json.loads(left["history#2026-01-05T12:00:00Z#first"]["document"])
    assert (document["weights"], document["verdicts"]) == ([], [])


def test_two_rollouts_of_one_alias_each_have_their_history(inhabit, items):
    world = inhabit()
    for plan in (PLAN, OTHER_PLAN):
        take(plan.execution_arn)
        assert history.close(closing(plan=plan), STARTED_AT + 600)
    assert [record.rpartition("#")[2] for record in items(world)] == ["first", "second"]


# Versions known to be bad.


def test_a_convicted_version_is_remembered_with_its_cause(inhabit, items):
    world = inhabit()
    take()
    assert history.known_bad("checkout", "2") is None
    history.close(closing(convicts=True), STARTED_AT + 600)
    assert history.known_bad("checkout", "2") == "alarm errors is ALARM"
    assert history.known_bad("checkout", "3") is None
    assert history.known_bad("basket", "2") is None
    assert items(world)["bad#2"]["expires_at"] == STARTED_AT + 600 + 90 * DAY


@pytest.mark.parametrize("how", [{"convicts": False}, {"convicts": True, "candidate": None}])
def test_no_version_is_known_to_be_bad_without_a_verdict_on_it(inhabit, items, how):
    world = inhabit()
    take()
    history.close(closing(**how), STARTED_AT + 600)
    assert len(items(world)) == 1


def test_a_version_that_cannot_be_looked_up_is_not_taken_for_good(inhabit):
    inhabit(**fault("GetItem", "ThrottlingException", times="always"))
    with pytest.raises(AwsUnavailable, match="look up version 2 of checkout"):
        history.known_bad("checkout", "2")
