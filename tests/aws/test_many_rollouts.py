"""Many rollouts at once: an alarm over all of them under AWS's quotas, and what a sweep has room for."""

import itertools
import json
from dataclasses import replace

from sandbox.aws.boundary import AwsError, caller
from sandbox.world import STARTED_AT
from tests import plans
from tests.aws.records import ended
from tests.aws.test_invoked_alone import ALARM, invoke
from tidegate.analysis.health import AlarmRule
from tidegate.application.many import share, shuffled
from tidegate.aws import history, ledger, locks, watches

ERRORS = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}
MINUTE = 60


def plan_of(name, alarm="errors"):
    return replace(
        plans.PLAN,
        alias_name=name,
        rollout_id=name,
        execution_arn=plans.PLAN.execution_arn.replace(":first", f":{name}"),
        started_at=STARTED_AT - MINUTE,
        alarms=(AlarmRule(alarm),),
    )


def roll_out(somebody, count, alarm="errors", weight=0.1, heard_at=STARTED_AT + 86_400):
    """So many aliases that are split by a rollout each, which somebody goes on hearing of; their names."""
    names = [f"{alarm}-{number}" for number in range(count)]
    for name in names:
        weights = {"RoutingConfig": {"AdditionalVersionWeights": {"2": weight}}}
        made = somebody("lambda.create_alias", FunctionName="checkout", Name=name, FunctionVersion="1", **weights)
        plan = plan_of(name, alarm)
        ledger.take_lock(plan.target, plan.execution_arn, heard_at)
        ledger.record_plan(plan)
        ledger.record_candidate(plan, "2")
        ledger.record_shift(plan, 0, 10.0, at=STARTED_AT)
        ledger.record_revision(plan, made["RevisionId"])
    return names


def split(world, names):
    return [name for name in names if world.lambda_rules.routing("checkout", name)[1]]


def limit(world, per_second, burst):
    """Let handlers read and write so many aliases a second; when one was throttled."""
    tokens, since, throttled = float(burst), world.clock.now(), []

    def count(_params, proceed):
        nonlocal tokens, since
        now = world.clock.now()
        tokens, since = min(burst, tokens + (now - since) * per_second), now
        if caller.get() in {None, "check_health"}:
            return proceed()
        if tokens < 1:
            throttled.append(now)
            raise AwsError("TooManyRequestsException", "Rate exceeded", 429)
        tokens -= 1
        return proceed()

    world.boundary.correct("lambda.*Alias", count)
    return throttled


def fire(world, somebody):
    somebody("cloudwatch.set_alarm_state", AlarmName="errors", StateValue="ALARM", StateReason="somebody sets it")
    return world.clock.now()


def counted(world, metric):
    """The values of a metric that the handlers printed."""
    lines = [json.loads(line) for line in world.runtime.logs if f'"{metric}"' in line]
    return [value for line in lines for value in line[metric]]


# An alarm over many.


def test_an_alarm_restores_all_that_watch_it_at_the_apis_pace_and_no_others(inhabit, somebody):
    world = inhabit(versions={"2": {}}, alarms=[ERRORS])
    names, others = roll_out(somebody, 40), roll_out(somebody, 2, "slow")
    throttled = limit(world, 15, burst=15)
    for forged in ({"account": "999999999999"}, {"region": "eu-west-1"}, {"account": None}):
        assert invoke(world, "GuardAlarm", {**ALARM, **forged}) == {"restored": []}
    assert len(split(world, names)) == 40
    fired_at = fire(world, somebody)
    world.clock.run(until=lambda: not split(world, names), limit=fired_at + 600)
    assert world.clock.now() - fired_at < 1.3 + 1.2 * 40 / 15, "the event, and what comes before the first write"
    assert (throttled, split(world, others)) == ([], others)
    world.clock.sleep(1)
    assert counted(world, "AlarmRestores") == [1.0] * 40


def test_what_there_is_no_time_for_is_handed_on_and_not_begun_anew(inhabit, somebody):
    """Lambda takes minutes for each write. The guard ends in time, and Lambda itself invokes it again for the rest."""
    world = inhabit(versions={"2": {}}, alarms=[ERRORS])
    names, written = roll_out(somebody, 46), []

    def slowly(params, proceed):
        world.clock.sleep(200)
        written.append(params["Name"])
        return proceed()

    world.boundary.correct("lambda.UpdateAlias", slowly)
    fire(world, somebody)
    world.clock.sleep(850)
    assert len(split(world, names)) == 6, "ten at once, four times"
    assert any("no time was left for 6 of 46 rollouts" in line for line in world.runtime.logs)
    world.clock.sleep(260)
    assert (split(world, names), sorted(written)) == ([], sorted(names))


def test_one_that_hangs_keeps_no_other_waiting(inhabit, somebody):
    world = inhabit(versions={"2": {}}, alarms=[ERRORS])
    names = roll_out(somebody, 20)

    def hangs(params, proceed):
        if params["Name"] == names[0]:
            world.clock.sleep(60)
        return proceed()

    world.boundary.correct("lambda.UpdateAlias", hangs)
    fire(world, somebody)
    world.clock.sleep(10)
    assert split(world, names) == [names[0]]


def test_an_alarm_that_nobody_watches_costs_one_small_query(inhabit, somebody):
    world = inhabit(versions={"2": {}})
    roll_out(somebody, 3, "slow")
    calls = []
    world.boundary.listen(lambda call: calls.append((call.caller, call.name)))
    assert invoke(world, "GuardAlarm", ALARM) == {"restored": []}
    assert [name for who, name in calls if who == "guard_alarm"] == ["dynamodb.Query"]


# A lock of an earlier Tidegate.


def test_a_sweep_writes_down_what_a_lock_of_an_earlier_tidegate_watches(inhabit, somebody):
    world = inhabit(versions={"2": {}}, alarms=[ERRORS])
    (name,) = roll_out(somebody, 1)
    plan = plan_of(name)
    for action in watches.deletes(plan):
        somebody("dynamodb.delete_item", **action["Delete"])
    key = {"target": {"S": plan.target}, "record": {"S": "lock"}}
    names = {"ExpressionAttributeValues": {":alarms": {"SS": ["errors"]}}}
    somebody(
        "dynamodb.update_item", TableName=world.table_name, Key=key, UpdateExpression="SET alarms = :alarms", **names
    )
    assert (watches.of("errors"), locks.running()[0][0].lists_alarms) == ([], True)
    invoke(world, "Sweep", {})
    assert [watch.target for watch in watches.of("errors")] == [plan.target]
    assert not locks.running()[0][0].lists_alarms
    assert invoke(world, "GuardAlarm", ALARM) == {"restored": [plan.target]}


# A sweep over many.


def asked(world, call):
    """A list that grows by whom a sweep asks about."""
    about = []
    world.boundary.listen(lambda one: about.append(str(one.params)) if (one.caller, one.name) == ("sweep", call) else 0)
    return about


def open_locks(count, heard_at):
    for number in range(count):
        plan = plan_of(f"open-{number}")
        ledger.take_lock(plan.target, plan.execution_arn, heard_at)


def test_a_sweep_asks_about_nobody_who_was_heard_of_a_moment_ago(inhabit):
    world = inhabit()
    about = asked(world, "stepfunctions.DescribeExecution")
    open_locks(3, STARTED_AT)
    world.clock.sleep(80)
    assert about == []
    world.clock.sleep(40)
    assert len(about) == 3


def test_one_that_hangs_or_fails_keeps_a_sweep_from_no_other(inhabit):
    world = inhabit()
    open_locks(14, STARTED_AT - 100)
    world.clock.sleep(5)

    def runs(params, _proceed):
        if params["executionArn"].endswith(":open-7"):
            world.clock.sleep(50)
        if params["executionArn"].endswith(":open-8"):
            raise AwsError("AccessDeniedException", "no")
        return {"executionArn": params["executionArn"], "status": "RUNNING"}

    world.boundary.correct("stepfunctions.DescribeExecution", runs)
    about = asked(world, "stepfunctions.DescribeExecution")
    world.clock.sleep(45)
    assert len(set(about)) == 13


def test_of_too_many_each_has_its_minute(inhabit):
    world = inhabit()
    names = [f"checkout:{number}" for number in range(1000)]
    parts = []
    for _ in range(4):
        parts.append(share(names, str, 250))
        world.clock.sleep(60)
    assert sorted(itertools.chain(*parts)) == sorted(names)
    assert max(map(len, parts)) < 300
    assert share(names[:250], str, 250) == names[:250]
    assert shuffled(names, str) != shuffled(names, str)[::-1] != names


def test_what_is_known_to_be_open_is_looked_after_in_every_sweep(inhabit, somebody):
    """An alias that is split after its end, and that the sweeper may not write to, beside more than a sweep sees."""
    world = inhabit(versions={"2": {}})
    (name,) = roll_out(somebody, 1)
    for ended_name in (name, *(f"ended-{number}" for number in range(260))):
        history.finalize(*ended("rolled_back", "alarm errors is in ALARM", plan=plan_of(ended_name)), STARTED_AT)

    def denied(_params, proceed):
        if caller.get() == "sweep":
            raise AwsError("AccessDeniedException", "no", 403)
        return proceed()

    world.boundary.correct("lambda.UpdateAlias", denied)
    reads = asked(world, "lambda.GetAlias")
    world.clock.sleep(4 * MINUTE)
    told = counted(world, "OpenRollbacks")
    assert set(told[told.index(1) :]) == {1}, "never well in between"
    assert len(set(reads)) == 261
    assert len(reads) < 4 * 200
