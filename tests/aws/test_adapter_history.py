"""How a rollout ends in the ledger: one history item each, its lock released, and versions known to be bad."""

import json
from dataclasses import replace

import pytest

from sandbox.aws.boundary import AwsError
from sandbox.world import STARTED_AT
from tests.aws.records import (
    CAUSE,
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
    take,
)
from tidegate.analysis.health import AlarmRule
from tidegate.aws import history, ledger, locks, sdk, watches
from tidegate.aws.executions import Execution
from tidegate.aws.watches import Watch
from tidegate.ending.claim import Claim
from tidegate.ending.outcome import Ending, Outcome
from tidegate.errors import AwsRefused, AwsUnavailable, LedgerUnreadable, LockLost
from tidegate.planning.plan import Plan

# The end.


def test_closing_writes_the_history_and_frees_the_lock_in_one_transaction(inhabit, items):
    world = inhabit()
    take()
    ledger.record_plan(PLAN)
    record_verdict()
    ledger.record_shift(PLAN, 0, 10.0)
    now = STARTED_AT + 600
    proof = {"proven": True, "proven_by": ("errors", "checkout-errors")}
    assert history.finalize(*ended(outcome="promoted", cause="every gate is healthy", **proof), now)
    ((record, item),) = items(world).items()
    assert record == "history#2026-01-05T12:00:00Z#first"
    assert (item["target"], item["execution_arn"]) == (TARGET, FIRST)
    assert (item["outcome"], item["cause"]) == ("promoted", "every gate is healthy")
    assert item["expires_at"] == now + 365 * DAY
    document = json.loads(item["document"])
    assert Plan.from_json(document["plan"]) == PLAN
    assert [verdict["at"] for verdict in document["verdicts"]] == [STARTED_AT + 60]
    assert (document["candidate"], document["proven"], document["ended_at"]) == ("2", True, now)
    assert document["proven_by"] == ["errors", "checkout-errors"]
    assert history.recorded(PLAN).proven_by == ("errors", "checkout-errors")
    assert document["weights"] == [10.0]
    assert world.boundary.calls["dynamodb.TransactWriteItems"] == 2, "one for the plan"
    assert not world.boundary.calls["dynamodb.DeleteItem"]


def test_closing_that_fails_leaves_both_the_lock_and_no_history(inhabit, items):
    world = inhabit(**fault("TransactWriteItems", "InternalServerError", times=4))
    take()
    before = items(world)
    with pytest.raises(AwsUnavailable, match="close the rollout of checkout:live"):
        history.finalize(*ended(), STARTED_AT + 600)
    assert items(world) == before
    assert history.finalize(*ended(), STARTED_AT + 700)


def test_closing_a_second_time_changes_nothing_and_says_so(inhabit, items):
    world = inhabit()
    take()
    assert history.finalize(*ended(), STARTED_AT + 600)
    before = items(world)
    late = history.finalize(*ended(outcome="promoted", cause="late"), STARTED_AT + 700)
    assert late == Ending(Outcome.ROLLED_BACK, CAUSE, recorded=True)
    assert items(world) == before


def test_a_lock_that_comes_after_the_end_is_released_by_who_closes_again(inhabit):
    """The answer of a handler that had taken it was late."""
    inhabit()
    take()
    history.finalize(*ended(), STARTED_AT + 600)
    take()
    assert history.finalize(*ended(), STARTED_AT + 700).recorded
    assert locks.read(TARGET) is None


def test_a_rollout_whose_lock_is_gone_is_closed_all_the_same(inhabit, items):
    world = inhabit()
    assert not history.finalize(*ended(), STARTED_AT + 600).recorded
    assert set(items(world)) == {"history#2026-01-05T12:00:00Z#first"}


def test_what_was_written_a_moment_ago_is_read(inhabit):
    """DynamoDB answers a read that is not consistent with what was there before (API reference, GetItem)."""
    inhabit(**fault("GetItem", "stale", seconds=30, times="always"))
    take()
    assert locks.read(TARGET).execution_arn == FIRST
    history.finalize(*ended(convicts=True), STARTED_AT + 600)
    assert history.recorded(PLAN).outcome == "rolled_back"
    assert history.known_bad("checkout", "2") == CAUSE


def test_a_failed_rollback_that_succeeds_after_all_is_closed_as_what_it_became(inhabit, items):
    world = inhabit()
    take()
    assert not history.finalize(*ended(outcome="rollback_failed"), STARTED_AT + 600).recorded
    assert set(items(world)) == {"lock", "history#2026-01-05T12:00:00Z#first"}
    assert history.finalize(*ended(), STARTED_AT + 700) == Ending(Outcome.ROLLED_BACK, CAUSE)
    (item,) = items(world).values()
    assert item["outcome"] == "rolled_back"


def test_a_promotion_is_not_closed_while_somebody_restores(inhabit, items):
    world = inhabit()
    take()
    ledger.record_plan(PLAN)
    ledger.record_promotion(PLAN)
    assert ledger.record_intent(TARGET, FIRST, "alarm errors is in ALARM").promoting
    with pytest.raises(LockLost, match="alarm errors"):
        history.finalize(*ended(outcome="promoted"), STARTED_AT + 600)
    assert set(items(world)) == {"lock", "checkout:live#first"}
    assert not history.finalize(*ended(), STARTED_AT + 600).recorded


def test_once_somebody_restores_no_forward_write_is_recorded_and_the_first_reason_stays(inhabit):
    inhabit()
    take()
    ledger.record_plan(PLAN)
    ledger.record_intent(TARGET, FIRST, "the first reason", convicts_if_shifted_by=STARTED_AT)
    lock = ledger.record_intent(TARGET, FIRST, "another")
    assert (lock.restoring, lock.convicted, lock.traffic_shifted) == ("the first reason", True, False)
    for record in ("shift", "promotion"):
        with pytest.raises(LockLost):
            RECORDS[record]()
    assert ledger.record_intent(TARGET, SECOND, "not its holder") is None


def test_running_rollouts_are_found_and_those_that_watch_an_alarm_by_that(inhabit, items):
    world = inhabit()
    take()
    ledger.record_plan(PLAN)
    assert [(lock.execution_arn, lock.plan, lock.lists_alarms) for lock in locks.running()[0]] == [(FIRST, PLAN, False)]
    assert watches.of("errors") == [Watch(TARGET, FIRST)]
    assert watches.of("other") == []
    assert items(world)["checkout:live#first"]["expires_at"] > STARTED_AT + 45 * DAY, "a rollout takes no longer"


def test_the_end_of_a_rollout_takes_none_of_a_later_ones_watches_away(inhabit):
    """The later one has the lock by then."""
    inhabit()
    take()
    ledger.record_plan(PLAN)
    take(SECOND, ended_holder=FIRST)
    ledger.record_plan(OTHER_PLAN)
    history.finalize(*ended(), STARTED_AT + 600)
    assert Watch(TARGET, SECOND) in watches.of("errors")
    history.finalize(*ended(plan=OTHER_PLAN), STARTED_AT + 600)
    assert Watch(TARGET, SECOND) not in watches.of("errors")


def test_a_hundred_alarms_are_watched_and_what_an_end_leaves_over_of_them_expires(inhabit):
    """A transaction has a hundred actions, and the lock is one of them."""
    inhabit()
    take()
    plan = replace(PLAN, alarms=tuple(AlarmRule(f"alarm-{number}") for number in range(100)))
    ledger.record_plan(plan)
    assert (len(watches.of("alarm-0")), len(watches.of("alarm-99")), locks.read(TARGET).plan) == (1, 1, plan)
    history.finalize(*ended(plan=plan, convicts=True), STARTED_AT + 600)
    assert (locks.read(TARGET), len(watches.of("alarm-96")), len(watches.of("alarm-99"))) == (None, 0, 1)


@pytest.mark.parametrize(("code", "error"), [("ThrottlingError", AwsUnavailable), ("ValidationError", AwsRefused)])
def test_a_plan_that_could_not_be_stored_says_why(inhabit, code, error):
    world = inhabit()
    take()

    def cancel(_params, _proceed):
        reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": code}]}
        raise AwsError(sdk.CANCELLED, f"specific reasons [None, {code}]", 400, reasons)

    world.boundary.correct("dynamodb.TransactWriteItems", cancel)
    with pytest.raises(error, match=code):
        ledger.record_plan(PLAN)


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
    assert (lock.heard_at, lock.started_at) == (STARTED_AT + 20, STARTED_AT)


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
    assert history.record_of(TARGET, execution, STARTED_AT).ending.cause == "refused"
    assert locks.read(TARGET).execution_arn == SECOND


def test_a_rollout_that_has_come_to_have_a_plan_is_not_refused(inhabit):
    inhabit()
    take()
    ledger.record_plan(PLAN)
    with pytest.raises(AwsUnavailable):
        history.refuse(TARGET, Execution.parse(FIRST), STARTED_AT, "refused")
    assert history.record_of(TARGET, Execution.parse(FIRST), STARTED_AT) is None


def test_the_books_tell_how_a_rollout_ended(inhabit):
    inhabit()
    take()
    assert history.recorded(PLAN) is None
    history.finalize(*ended(), STARTED_AT + 600)
    assert (history.recorded(PLAN).outcome, history.recorded(PLAN).proven) == ("rolled_back", None)


def test_an_ended_rollout_is_watched_until_it_is_let_go_of(inhabit):
    inhabit()
    take()
    history.finalize(*ended(), STARTED_AT + 600)
    ((rollout,), unreadable) = history.ended()
    assert unreadable is None
    assert (rollout.target, rollout.stable, rollout.candidate) == (TARGET, "1", "2")
    assert (rollout.outcome, rollout.ended_at) == ("rolled_back", STARTED_AT + 600)
    assert (history.whole_record(rollout).plan, history.whole_record(rollout).snapshot.claim) == (
        PLAN,
        Claim("1", "2", promoting=False),
    )
    assert locks.running() == ([], None)
    history.let_go(rollout)
    assert history.ended() == ([], None)


def test_a_kept_lock_stays_however_often_it_is_closed(inhabit):
    inhabit()
    take()
    failed = ended(outcome="rollback_failed")
    assert [history.finalize(*failed, STARTED_AT + second).recorded for second in (600, 700)] == [False, True]
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
        assert history.finalize(*ended(), STARTED_AT + 600)
    left = items(world)
    assert left["lock"] == before
    document = json.loads(left["history#2026-01-05T12:00:00Z#first"]["document"])
    assert (document["weights"], document["verdicts"]) == ([], [])


def test_two_rollouts_of_one_alias_each_have_their_history(inhabit, items):
    world = inhabit()
    for plan in (PLAN, OTHER_PLAN):
        take(plan.execution_arn)
        assert history.finalize(*ended(plan=plan), STARTED_AT + 600)
    assert [record.rpartition("#")[2] for record in items(world)] == ["first", "second"]


# Versions known to be bad.


def test_a_convicted_version_is_remembered_with_its_cause(inhabit, items):
    world = inhabit()
    take()
    assert history.known_bad("checkout", "2") is None
    history.finalize(*ended(convicts=True), STARTED_AT + 600)
    assert history.known_bad("checkout", "2") == "alarm errors is ALARM"
    assert history.known_bad("checkout", "3") is None
    assert history.known_bad("basket", "2") is None
    assert items(world)["bad#2"]["expires_at"] == STARTED_AT + 600 + 365 * DAY


@pytest.mark.parametrize("how", [{"convicts": False}, {"convicts": True, "candidate": None}])
def test_no_version_is_known_to_be_bad_without_a_verdict_on_it(inhabit, items, how):
    world = inhabit()
    take()
    history.finalize(*ended(**how), STARTED_AT + 600)
    assert len(items(world)) == 1


def test_a_version_that_cannot_be_looked_up_is_not_taken_for_good(inhabit):
    inhabit(**fault("GetItem", "ThrottlingException", times="always"))
    with pytest.raises(AwsUnavailable, match="look up version 2 of checkout"):
        history.known_bad("checkout", "2")


def test_an_end_that_a_later_tidegate_recorded_hides_no_other(inhabit, somebody):
    world = inhabit()
    take()
    history.finalize(*ended(), STARTED_AT + 600)
    scanned = somebody("dynamodb.scan", TableName=world.table_name)["Items"]
    (found,) = [item for item in scanned if "outcome" in item]
    later = {**found, "target": {"S": "checkout:other"}, "outcome": {"S": "superseded"}}
    somebody("dynamodb.put_item", TableName=world.table_name, Item=later)
    rollouts, unreadable = history.ended()
    assert [rollout.target for rollout in rollouts] == [TARGET]
    assert "checkout:other" in str(unreadable)


# Where a transaction was cancelled.


def test_a_promotion_that_found_no_lock_and_could_not_be_written_is_to_be_tried_again(inhabit):
    world = inhabit()

    def cancel(_params, _proceed):
        reasons = {"CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}]}
        raise AwsError("TransactionCanceledException", "specific reasons [TransactionConflict, None]", 400, reasons)

    world.boundary.correct("dynamodb.TransactWriteItems", cancel)
    with pytest.raises(AwsUnavailable):
        history.finalize(*ended("promoted", "every gate is healthy"), STARTED_AT + 600)


def test_a_lock_of_what_was_recorded_before_that_cannot_be_freed_is_told(inhabit):
    inhabit(**fault("DeleteItem", "InternalServerError", times="always"))
    take()
    history.finalize(*ended(), STARTED_AT + 600)
    take(now=STARTED_AT + 601)
    with pytest.raises(AwsUnavailable, match="release the lock of checkout:live"):
        history.finalize(*ended(), STARTED_AT + 602)
