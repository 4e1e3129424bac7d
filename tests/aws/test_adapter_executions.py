"""What executions of the real state machine say of themselves: whether they have ended, and what they left undone."""

from contextvars import Context

import pytest

from tidegate.aws import executions, locks
from tidegate.aws.executions import Execution
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.errors import AwsRefused, AwsUnavailable

UNKNOWN = "arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:nobody"
HISTORY = "stepfunctions.GetExecutionHistory"
#: Nothing moves before a version is Active, which this one never is.
PENDING = {"candidate": {"state": "Pending"}}


@pytest.fixture
def stop(somebody):
    return lambda arn: somebody("stepfunctions.stop_execution", executionArn=arn)


def start(world):
    """Start the rollout as anybody but a handler."""
    return Context().run(world.start)


def test_an_execution_is_known_by_its_arn():
    arn = "arn:aws-cn:states:cn-north-1:210987654321:execution:Rollout-1a2b:release-7"
    assert Execution.parse(arn) == Execution(arn, "cn-north-1", "210987654321", "release-7")


# Whether it has ended.


def test_a_running_execution_has_not_ended_however_old_it_is(inhabit):
    world = inhabit()
    arn = start(world)
    world.clock.sleep(400)
    assert not executions.end_of(arn, age_seconds=400)


def test_an_execution_that_succeeded_has_ended(inhabit):
    world = inhabit()
    arn = start(world)
    assert world.follow(arn).status == "SUCCEEDED"
    assert executions.end_of(arn, age_seconds=1)


def test_an_execution_that_failed_has_ended(inhabit):
    world = inhabit(alias={"exists": False})
    arn = start(world)
    assert world.follow(arn).status == "FAILED"
    assert executions.end_of(arn, age_seconds=1)


def test_an_execution_that_was_stopped_has_ended_at_once(inhabit, stop):
    world = inhabit()
    arn = start(world)
    world.clock.sleep(100)
    stop(arn)
    assert executions.end_of(arn, age_seconds=1)


@pytest.mark.parametrize(("age_seconds", "ended"), [(0, False), (300, False), (301, True)])
def test_an_unknown_execution_has_ended_only_if_it_should_be_known_by_now(inhabit, age_seconds, ended):
    """DescribeExecution is eventually consistent (API reference)."""
    inhabit()
    assert (executions.end_of(UNKNOWN, age_seconds) is not None) is ended


@pytest.mark.parametrize(
    ("status", "ended"), [("TIMED_OUT", True), ("PENDING_REDRIVE", False), ("SOMETHING_NEW", False)]
)
def test_only_a_known_end_counts_as_ended(inhabit, status, ended):
    world = inhabit()
    arn = start(world)
    world.boundary.correct("stepfunctions.DescribeExecution", lambda _, proceed: {**proceed(), "status": status})
    assert (executions.end_of(arn, age_seconds=10_000) is not None) is ended


def test_an_execution_that_cannot_be_described_has_not_ended_for_certain(inhabit):
    call = {"call": "stepfunctions.DescribeExecution", "error": "ThrottlingException", "times": "always"}
    inhabit(faults=[call])
    with pytest.raises(AwsUnavailable, match="describe execution"):
        executions.end_of(UNKNOWN, age_seconds=10_000)


# How it ended, by its own word.


def event(status, **more):
    return {"status": status, "stopDate": 1767614400500, **more}


def test_an_end_is_read_alike_from_the_call_and_from_the_event(inhabit):
    world = inhabit(alias={"exists": False})
    arn = start(world)
    world.follow(arn)
    end = executions.end_of(arn, age_seconds=1)
    assert (end.status, end.error, end.outcome) == ("failed", "Rejected", "rejected")
    assert "has no alias live" in end.cause
    assert end.ended_at == pytest.approx(world.clock.now(), abs=1)
    told = event("FAILED", error="Rejected", cause=end.cause)
    assert ExecutionEnd.parse(told) == ExecutionEnd("failed", "Rejected", end.cause, ended_at=1767614400.5)


def test_a_success_says_what_it_became_and_whether_it_was_proven():
    output = '{"outcome": "promoted", "proven": true, "proven_by": ["errors"]}'
    end = ExecutionEnd.parse(event("SUCCEEDED", output=output))
    assert (end.outcome, end.proven, end.proven_by, end.ended_cleanly) == ("promoted", True, ("errors",), True)


NOT_USABLE = '{"outcome": 7, "proven": "yes", "proven_by": "errors"}'


@pytest.mark.parametrize("output", [None, "", "no JSON", "[]", '"promoted"', NOT_USABLE])
def test_a_success_without_a_usable_output_says_nothing_more(output):
    end = ExecutionEnd.parse(event("SUCCEEDED", output=output))
    assert (end.status, end.outcome, end.proven, end.proven_by) == ("succeeded", None, None, ())


@pytest.mark.parametrize("error", ["Rejected", "Interrupted", "RolledBack"])
def test_only_an_end_state_of_ours_ends_cleanly(error):
    """StopExecution takes any error."""
    ended = ExecutionEnd.parse(event("FAILED", error=error))
    assert (ended.ended_cleanly, ended.cause) == (True, f"execution FAILED: {error}")
    stopped = ExecutionEnd.parse(event("ABORTED", error=error, cause="by hand"))
    assert (stopped.outcome, stopped.ended_cleanly) == (None, False)
    assert stopped.cause == f"execution ABORTED: {error} by hand"


@pytest.mark.parametrize("error", ["RollbackFailed", "States.Runtime", None])
def test_any_other_failure_leaves_something_to_restore(error):
    assert not ExecutionEnd.parse(event("FAILED", error=error)).ended_cleanly


# What its history says.


def test_the_history_of_a_stopped_rollout_says_what_to_restore_with_the_ledger_gone(inhabit, stop, somebody):
    world = inhabit()
    arn = start(world)
    world.clock.sleep(100)
    recorded = locks.read("checkout:live")
    stop(arn)
    somebody("dynamodb.delete_table", TableName=world.table_name)
    found = executions.snapshot(arn)
    assert (found.plan, found.candidate) == (recorded.plan, "2")
    assert (found.traffic_shifted, found.promoting) == (True, False)


def test_a_rollout_that_never_planned_leaves_no_trace(inhabit):
    world = inhabit(alias={"exists": False})
    arn = start(world)
    world.follow(arn)
    assert executions.snapshot(arn) is None


def test_a_rollout_that_was_still_publishing_exposed_nothing(inhabit, stop):
    world = inhabit(**PENDING)
    arn = start(world)
    world.clock.sleep(60)
    stop(arn)
    found = executions.snapshot(arn)
    assert (found.plan.target, found.plan.execution_arn) == ("checkout:live", arn)
    assert (found.candidate, found.traffic_shifted, found.promoting) == (None, False, False)


@pytest.mark.parametrize(("handler", "exposed"), [("verify_candidate", False), ("shift_traffic", True)])
def test_a_rollout_may_have_exposed_its_candidate_from_the_first_shift_on(inhabit, stop, handler, exposed):
    """Before it, in the smoke tests, it has not; while it is under way nobody knows."""
    world = inhabit(faults=[{"handler": handler, "error": "timeout", "times": "always"}])
    arn = start(world)
    world.clock.sleep(10)
    stop(arn)
    found = executions.snapshot(arn)
    assert (found.candidate, found.traffic_shifted, found.promoting) == ("2", exposed, False)
    assert world.routing == ("1", {})


def test_a_rollout_stopped_while_promoting_may_have_promoted(inhabit, stop):
    held = {"call": "lambda.UpdateAlias", "error": "held", "seconds": 20, "skip": 1}
    world = inhabit(request={"strategy": {"type": "all_at_once"}}, faults=[held])
    arn = start(world)
    world.clock.sleep(10)
    world.clock.run(until=lambda: Context().run(locks.read, "checkout:live").promoting)
    stop(arn)
    found = executions.snapshot(arn)
    assert (found.candidate, found.traffic_shifted, found.promoting) == ("2", True, True)


def test_a_promoted_rollout_tells_so(inhabit):
    world = inhabit()
    arn = start(world)
    world.follow(arn)
    found = executions.snapshot(arn)
    assert (found.candidate, found.traffic_shifted, found.promoting) == ("2", True, True)


def test_the_first_shift_of_a_long_rollout_is_found_behind_the_newest_page(inhabit, stop):
    """GetExecutionHistory, maxResults: at most 1,000 events a page."""
    steps = [{"weight": 10, "bake_seconds": 9000}, {"weight": 100, "bake_seconds": 0}]
    world = inhabit(request={"steps": steps, "health": {"judge": False}}, requests_per_minute=0)
    arn = start(world)
    world.clock.sleep(8900)
    stop(arn)
    before = world.boundary.calls[HISTORY]
    found = executions.snapshot(arn)
    assert (found.candidate, found.traffic_shifted, found.promoting) == ("2", True, False)
    assert world.boundary.calls[HISTORY] - before == 2


def test_a_short_history_takes_one_call(inhabit, stop):
    world = inhabit()
    arn = start(world)
    world.clock.sleep(100)
    stop(arn)
    before = world.boundary.calls[HISTORY]
    executions.snapshot(arn)
    assert world.boundary.calls[HISTORY] - before == 1


def test_the_history_of_an_unknown_execution_is_refused_with_its_code(inhabit):
    inhabit()
    with pytest.raises(AwsRefused) as refused:
        executions.snapshot(UNKNOWN)
    assert refused.value.code == "ExecutionDoesNotExist"


def test_a_history_that_cannot_be_read_is_not_taken_for_none(inhabit):
    world = inhabit(faults=[{"call": HISTORY, "error": "ThrottlingException", "times": "always"}])
    arn = start(world)
    world.clock.sleep(100)
    with pytest.raises(AwsUnavailable, match="read the history of"):
        executions.snapshot(arn)


def test_the_history_of_a_stopped_rollout_says_its_last_revision_and_every_weight(inhabit, stop):
    world = inhabit()
    arn = start(world)
    world.clock.sleep(400)
    recorded = locks.read("checkout:live")
    stop(arn)
    found = executions.snapshot(arn)
    assert (found.weights, found.revision_id) == (recorded.weights, recorded.revision_id)
    assert found.weights == {10.0, 50.0}


def test_a_weight_that_was_about_to_be_set_counts_as_set(inhabit, stop):
    world = inhabit(faults=[{"call": "lambda.UpdateAlias", "error": "held", "seconds": 20}])
    arn = start(world)
    world.clock.sleep(3)
    stop(arn)
    assert executions.snapshot(arn).weights == {10.0}


# Whether a later one may be at the alias.


def later_than(inhabit, *inputs, listed=None):
    """The plan of a rollout, a second after executions with those inputs were started; `listed` corrects their list."""
    world = inhabit()
    if listed:
        world.boundary.correct("stepfunctions.ListExecutions", listed)
    start(world)
    world.clock.sleep(10)
    plan = locks.read("checkout:live").plan
    for document in inputs:
        Context().run(world._start_execution, document)
    world.clock.sleep(1)
    return plan


def test_the_last_execution_about_an_alias_knows_that_it_is(inhabit):
    plan = later_than(inhabit)
    assert executions.is_last(plan)


@pytest.mark.parametrize(
    ("document", "last"),
    [
        ({"function_name": "checkout", "alias_name": "live"}, False),
        ({"function_name": "arn:aws:lambda:us-east-1:123456789012:function:checkout", "alias_name": "live"}, False),
        ({"function_name": "checkout", "profile": "usual"}, False),
        ({"function_name": "checkout", "alias_name": "beta"}, True),
        ({"function_name": "basket", "alias_name": "live"}, True),
    ],
    ids=["the same alias", "by its ARN", "a profile may say so", "another alias", "another function"],
)
def test_an_execution_that_was_started_later_may_have_the_alias(inhabit, document, last):
    plan = later_than(inhabit, document)
    assert executions.is_last(plan) is last


@pytest.mark.parametrize(("times", "last"), [(20, True), (21, False)])
def test_too_many_later_executions_are_not_asked(inhabit, times, last):
    def often(_params, proceed):
        page = proceed()
        return {**page, "executions": [each for each in page["executions"] for _ in range(times)]}

    plan = later_than(inhabit, {"function_name": "basket", "alias_name": "live"}, listed=often)
    assert executions.is_last(plan) is last
