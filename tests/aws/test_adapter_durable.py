"""Executions of durable functions: what their events are taken for, how they are counted, and the rule that brings
them.
"""

import json
from dataclasses import replace
from itertools import permutations
from random import Random

import pytest

from sandbox.world import STARTED_AT
from tests.aws.records import FIRST, PLAN, take
from tests.contract.artifacts import ROOT
from tidegate.alias import Alias
from tidegate.analysis.durable import Executions, StartMinute
from tidegate.aws import durable, ledger
from tidegate.aws.durable import StatusChange
from tidegate.errors import AwsUnavailable, PermissionDenied

ALIAS = Alias("checkout", "live")
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:checkout"
DURABLE = replace(PLAN, durable=True)
RULE = "tidegate-DurableExecutionsChanged"
EXPIRES = STARTED_AT + 86_400


def event(number=1, status="RUNNING", version="2", started="2026-01-05T12:00:22.345Z", **detail):
    """As the Lambda Developer Guide shows one, "Monitoring durable functions"."""
    ended = {} if status == "RUNNING" else {"endTimestamp": "2026-01-05T12:00:29.000Z"}
    return {
        "version": "0",
        "id": "d019b03c-a8a3-9d58-85de-241e96206538",
        "detail-type": "Durable Execution Status Change",
        "source": "aws.lambda",
        "account": "123456789012",
        "time": "2026-01-05T12:00:22Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "durableExecutionArn": f"{FUNCTION}:{version}/durable-execution/order-{number}/9f7d84c9-{number}",
            "durableExecutionName": f"order-{number}",
            "functionArn": f"{FUNCTION}:{version}",
            "status": status,
            "startTimestamp": started,
            **ended,
            **detail,
        },
    }


def change(*args, **more):
    return StatusChange.parse(event(*args, **more))


def count(*changes):
    return durable.count("checkout", changes[0].version, changes[0].minute, changes, EXPIRES)


def read(since=STARTED_AT, now=STARTED_AT + 600):
    return durable.read_executions(ALIAS, "1", "2", since=since, now=now)


# What an event is taken for.


def test_an_event_tells_function_version_kind_and_minute_of_start():
    found = change(status="TIMED_OUT")
    assert (found.function_name, found.version, found.kind) == ("checkout", "2", "bad")
    assert found.minute == STARTED_AT
    assert found.started_at == pytest.approx(STARTED_AT + 22.345)


def test_the_version_is_the_executions_own_or_else_the_functions():
    assert change(version="7", functionArn=f"{FUNCTION}:live").version == "7"
    assert change(version="7", functionArn=f"{FUNCTION}:8").version == "7"
    # So AWS's own example.
    assert change(version="$LATEST", functionArn=f"{FUNCTION}:2").version == "2"


@pytest.mark.parametrize(
    "detail",
    [
        {"version": "$LATEST"},
        {"version": "$LATEST", "functionArn": f"{FUNCTION}:live"},
        {"status": "PAUSED"},
        {"status": None},
        {"status": ["FAILED"]},
        {"started": None},
        {"started": "soon"},
        {"durableExecutionArn": None},
        {"durableExecutionArn": FUNCTION},
        {"durableExecutionArn": f"{FUNCTION}:2/durable-execution/{'a' * 1024}/1"},
        {"version": "٣", "functionArn": f"{FUNCTION}:٣"},
    ],
)
def test_what_tells_of_no_version_or_of_no_start_is_no_status_change(detail):
    assert StatusChange.parse(event(**detail)) is None


@pytest.mark.parametrize(
    "garbage", [None, 7, "x", [], {}, {"detail": None}, {"detail": []}, {"detail": {"status": {}}}]
)
def test_garbage_is_no_status_change(garbage):
    assert StatusChange.parse(garbage) is None


def test_a_sample_has_a_start_where_it_has_its_end():
    sampled = {number for number in range(4000) if change(number).is_in_sample(4)}
    assert 850 < len(sampled) < 1150
    assert sampled == {number for number in range(4000) if change(number, "FAILED").is_in_sample(4)}


# Counting.


def test_starts_and_ends_are_counted_by_version_and_minute_of_start(inhabit):
    inhabit()
    count(change(1), change(2), change(3), change(4))
    count(change(1, "SUCCEEDED"), change(2, "FAILED"), change(3, "STOPPED"))
    count(change(9, version="1", started="2026-01-05T12:01:00Z"))
    assert read() == (
        StartMinute(STARTED_AT, candidate=Executions(4, succeeded=1, bad=1, stopped=1)),
        StartMinute(STARTED_AT + 60, stable=Executions(1)),
    )


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_events_come_in_any_order_and_more_than_once(inhabit, order):
    inhabit()
    told = [change(1), change(1, "FAILED"), change(2, "SUCCEEDED")]
    for each in [told[number] for number in order] * 2:
        count(each)
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(2, succeeded=1, bad=1)),)


def test_an_end_without_a_start_counts_its_start(inhabit):
    inhabit()
    count(change(1, "FAILED"))
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(1, bad=1)),)


def test_who_dies_between_both_writes_is_made_up_for_by_the_message_that_comes_again(inhabit):
    inhabit(faults=[{"call": "dynamodb.UpdateItem", "error": "InternalServerError", "skip": 1, "times": 4}])
    with pytest.raises(AwsUnavailable):
        count(change(1), change(2, "FAILED"))
    assert read() == ()
    count(change(1), change(2, "FAILED"))
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(2, bad=1)),)


def test_an_answer_that_is_lost_counts_nothing_twice(inhabit):
    inhabit(faults=[{"call": "dynamodb.UpdateItem", "error": "lost_response", "times": 2}])
    count(change(1), change(2, "FAILED"))
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(2, bad=1)),)


def test_who_writes_late_what_he_saw_before_others_takes_nothing_back(inhabit):
    inhabit()
    count(*(change(number) for number in range(9)))
    durable._write("checkout", "counts#2026-01-05T12:00Z#2", dict.fromkeys(durable._SETS, 1), EXPIRES)
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(9)),)


def test_chaos_of_batches_counts_each_execution_once(inhabit):
    inhabit()
    random = Random(7)  # noqa: S311 - a story, no secret
    executions = range(300)
    bad = {number for number in executions if random.random() < 0.1}
    told = [change(number) for number in executions if random.random() < 0.9]
    told += [change(number, "FAILED" if number in bad else "SUCCEEDED") for number in executions]
    told += random.sample(told, 100)
    random.shuffle(told)
    for begin in range(0, len(told), 37):
        count(*told[begin : begin + 37])
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(300, 300 - len(bad), len(bad))),)


def test_what_does_not_fit_an_item_is_not_counted(inhabit):
    inhabit()
    count(change(1))
    crowd = [replace(change(1), execution=f"{number:040000}") for number in range(11)]
    assert not count(*crowd)
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(1)),)


def test_counts_are_forgotten(inhabit, items):
    world = inhabit()
    count(change(1, "FAILED"))
    assert {item["expires_at"] for item in items(world).values()} == {EXPIRES}


def test_minutes_before_and_other_versions_are_not_read(inhabit):
    inhabit()
    count(change(1, started="2026-01-05T11:59:59Z"))
    count(change(2, version="7"))
    count(change(3, started="2026-01-05T12:10:59Z"))
    count(change(4, started="2026-01-05T12:11:00Z"))
    assert [minute.at for minute in read()] == [STARTED_AT + 600]


def test_more_minutes_than_a_page_holds_are_all_read(inhabit):
    world = inhabit()
    pages = []

    def paged(_params, proceed):
        found = proceed()["Items"]
        last = {name: found[1][name] for name in ("target", "record")} if found[2:] else None
        pages.append(len(found[:2]))
        return {"Items": found[:2], **({"LastEvaluatedKey": last} if last else {})}

    for minute in range(5):
        count(change(minute, started=f"2026-01-05T12:0{minute}:00Z"))
    world.boundary.correct("dynamodb.Query", paged)
    assert len(read()) == 5
    assert pages == [2, 2, 1]


# The rule.


@pytest.fixture
def rule(inhabit, monkeypatch, somebody):
    """`rule(**scenario)`: inside a world; then what its state is."""

    def enter(**scenario):
        enter.world = inhabit(**scenario)
        monkeypatch.setenv("DURABLE_RULE", RULE)
        return lambda: somebody("events.describe_rule", Name=RULE)["State"]

    return enter


def hold(plan=DURABLE):
    assert take(FIRST)
    ledger.record_plan(plan)


def test_the_rule_is_enabled_and_disabled_once_nobody_needs_it(rule):
    state = rule()
    assert state() == "DISABLED"
    durable.enable_rule()
    durable.enable_rule()
    assert state() == "ENABLED"
    assert durable.disable_rule_if_unused()
    assert state() == "DISABLED"


def test_the_rule_stays_while_a_rollout_counts_executions(rule):
    state = rule()
    hold()
    durable.enable_rule()
    assert not durable.disable_rule_if_unused()
    assert state() == "ENABLED"


def test_a_rollout_that_begins_while_the_rule_is_disabled_has_it_enabled_again(rule):
    state = rule()
    durable.enable_rule()

    def begin(_params, proceed):
        answer = proceed()
        hold()
        return answer

    rule.world.boundary.correct("events.DisableRule", begin)
    assert not durable.disable_rule_if_unused()
    assert state() == "ENABLED"


def test_only_a_rule_that_somebody_has_disabled_is_enabled_again(rule):
    state = rule()
    assert durable.keep_rule_enabled()
    assert not durable.keep_rule_enabled()
    assert state() == "ENABLED"


@pytest.mark.parametrize(
    "plan", [PLAN, replace(DURABLE, creates_alias=True), replace(DURABLE, health=replace(PLAN.health, judge=None))]
)
def test_a_rollout_that_judges_no_execution_needs_no_rule(rule, plan):
    state = rule()
    hold(plan)
    durable.enable_rule()
    assert durable.disable_rule_if_unused()
    assert state() == "DISABLED"


def test_a_lock_that_cannot_be_read_may_need_the_rule(rule, somebody):
    state = rule()
    hold()
    broken = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}, "watched": {"S": "running"}}
    somebody("dynamodb.put_item", TableName="tidegate-RolloutTable", Item=broken)
    durable.enable_rule()
    assert not durable.disable_rule_if_unused()
    assert state() == "ENABLED"


@pytest.mark.parametrize(
    ("error", "raised"), [("ThrottlingException", AwsUnavailable), ("AccessDeniedException", PermissionDenied)]
)
def test_who_cannot_enable_the_rule_is_told_why(rule, error, raised):
    rule(faults=[{"call": "events.EnableRule", "error": error, "times": "always"}])
    with pytest.raises(raised, match="count executions, by rule tidegate-DurableExecutionsChanged"):
        durable.enable_rule()


def test_the_event_in_the_folder_is_a_batch_of_them():
    records = json.loads((ROOT / "events/count_durable.json").read_text())["Records"]
    assert all(StatusChange.parse(json.loads(record["body"])) for record in records)


# What goes on.


def test_executions_that_go_on_are_named_and_said_to_be_more(inhabit):
    world = inhabit(function={"durable": True, "execution_seconds": 100_000})
    assert durable.running("checkout", "1") == ((), False)
    for number in range(101):
        world.durable.begin("1", STARTED_AT, failed=False, hung_seconds=None if number else 0.01)
    names, more = durable.running("checkout", "1")
    assert (len(names), names[0], more) == (100, "order-2", False)
    world.durable.begin("1", STARTED_AT, failed=False)
    assert durable.running("checkout", "1")[1]
    assert durable.running("checkout", "2") == ((), False)
