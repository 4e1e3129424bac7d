"""count_durable, invoked as Lambda does it for a queue: what it counts, what it drops, and what is to come again."""

import json
from contextvars import Context
from dataclasses import replace

import pytest

from sandbox.aws.stack import client
from sandbox.world import STARTED_AT
from tests.aws.records import PLAN, SECOND, take
from tests.aws.test_adapter_durable import ALIAS, DURABLE, EXPIRES, event
from tidegate.analysis.durable import Executions, StartMinute
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.aws import durable, ledger


def batch(*bodies):
    """SQS's records, with the numbers of the bodies as ids."""
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    return {"Records": [{**record, "body": _text(record["body"])} for record in records]}


def _text(body):
    return body if isinstance(body, (str, type(None))) else json.dumps(body)


def invoke(payload):
    """What the handler answers; an error is one."""
    call = client("lambda").invoke
    answer = Context().run(call, FunctionName="tidegate-CountDurableFunction", Payload=json.dumps(payload))
    return json.loads(answer["Payload"].read())


def again(payload):
    return [failure["itemIdentifier"] for failure in invoke(payload)["batchItemFailures"]]


def read(stable="1", candidate="2", since=STARTED_AT - 600):
    return durable.read_executions(ALIAS, stable, candidate, since=since, now=STARTED_AT + 600)


def roll_out(plan=DURABLE, candidate="2", target=None):
    assert take(plan.execution_arn) if target is None else ledger.take_lock(target, plan.execution_arn, STARTED_AT)
    ledger.record_plan(plan)
    if candidate:
        ledger.record_candidate(plan, candidate)


def test_a_batch_is_counted_for_both_versions(inhabit):
    inhabit()
    roll_out()
    told = [event(1), event(2), event(2, "FAILED"), event(3, version="1"), event(3, "SUCCEEDED", version="1")]
    assert again(batch(*told)) == []
    assert read() == (StartMinute(STARTED_AT, Executions(1, 1), Executions(2, bad=1)),)


def test_what_nobody_asks_about_is_dropped(inhabit):
    world = inhabit()
    roll_out()
    other = event(1)
    other["detail"]["durableExecutionArn"] = other["detail"]["durableExecutionArn"].replace("checkout", "payments")
    early, late = event(2, started="2026-01-05T11:58:00Z"), event(3, started="2026-01-05T12:30:00Z")
    assert again(batch(other, early, late, event(4, version="7"))) == []
    assert read() == ()
    assert world.boundary.calls["dynamodb.UpdateItem"] == 2, "lock and candidate"
    assert world.boundary.calls["dynamodb.TransactWriteItems"] == 1, "the plan, with what it watches"


def test_a_candidate_that_is_not_known_yet_is_not_counted_and_the_stable_version_is(inhabit):
    inhabit()
    roll_out(candidate=None)
    assert again(batch(event(1), event(2, version="1"))) == []
    assert read() == (StartMinute(STARTED_AT, Executions(1)),)


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        7,
        [],
        {},
        {"Records": None},
        {"Records": {}},
        {"Records": [None, 7, [], {}, {"body": 7}, {"messageId": []}]},
    ],
)
def test_garbage_is_dropped(inhabit, garbage):
    inhabit()
    roll_out()
    assert again(garbage) == []


def test_what_is_malformed_is_dropped_with_one_line_in_the_log(inhabit):
    world = inhabit()
    roll_out()
    assert again(batch("{", "[]", "{}", '{"detail": {"status": "FAILED"}}', event(1), "\ud800")) == []
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(1)),)
    lines = [line for line in world.runtime.logs if "no status change of a version's execution" in line]
    assert [json.loads(line)["messages"] for line in lines] == [5]


def test_what_the_table_refuses_comes_again_and_nothing_else(inhabit):
    inhabit(faults=[{"call": "dynamodb.UpdateItem", "error": "InternalServerError", "skip": 3, "times": 4}])
    roll_out()
    assert again(batch(event(1), event(1, "FAILED"), event(2, started="2026-01-05T12:01:00Z"))) == ["m0", "m1"]
    assert [minute.at for minute in read()] == [STARTED_AT + 60]


def test_where_it_cannot_be_said_what_is_rolled_out_the_whole_batch_comes_again(inhabit):
    inhabit(faults=[{"call": "dynamodb.Query", "error": "InternalServerError", "times": "always"}])
    assert invoke(batch(event(1)))["errorType"] == "AwsUnavailable"


def test_two_aliases_of_a_function_are_counted_together(inhabit):
    inhabit()
    roll_out()
    beta = replace(DURABLE, alias_name="beta", stable="5", rollout_id="second", execution_arn=SECOND)
    roll_out(beta, "6", "checkout:beta")
    assert again(batch(event(1), event(2, version="6"))) == []
    assert read() == (StartMinute(STARTED_AT, candidate=Executions(1)),)
    assert read("5", "6") == (StartMinute(STARTED_AT, candidate=Executions(1)),)


def test_of_a_busy_function_a_part_is_counted_each_with_its_end(inhabit):
    inhabit()
    roll_out(replace(DURABLE, baseline=TrafficBaseline(requests_per_minute=18_001)))
    told = [event(number, status) for number in range(400) for status in ("RUNNING", "SUCCEEDED")]
    assert again(batch(*told)) == []
    ((found,),) = [read()]
    assert 60 < found.candidate.started < 140
    assert found.candidate.unended == 0


def test_counts_outlive_the_rollout_by_two_days(inhabit, items):
    world = inhabit()
    roll_out()
    again(batch(event(1)))
    kept = [item["expires_at"] for name, item in items(world).items() if name.startswith(("seen#", "counts#"))]
    assert kept == [PLAN.started_at + PLAN.longest_seconds + 2 * 86_400] * 2
    assert max(kept) > EXPIRES


def test_without_a_rollout_that_needs_it_the_rule_is_disabled_and_failing_to_is_no_matter(inhabit, somebody):
    inhabit(faults=[{"call": "events.DisableRule", "error": "ThrottlingException", "times": 2}])
    rule = "tidegate-DurableExecutionsChanged"
    somebody("events.enable_rule", Name=rule)
    roll_out(PLAN)
    assert again(batch(event(1))) == []
    assert read() == ()
    assert again(batch(event(1))) == []
    assert somebody("events.describe_rule", Name=rule)["State"] == "DISABLED"
