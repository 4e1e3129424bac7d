"""Alarms as guards: every kind is found, none is taken for healthy by mistake, and a flap between two looks is seen."""

import pytest

from sandbox.aws.boundary import AwsError
from sandbox.world import STARTED_AT
from tidegate.analysis.measurement import AlarmTimes
from tidegate.aws import alarms
from tidegate.errors import AwsUnavailable, PermissionDenied

DESCRIBE, HISTORY = "cloudwatch.DescribeAlarms", "cloudwatch.DescribeAlarmHistory"
#: Nobody calls, so that only what a test sets moves an alarm.
QUIET = {"requests_per_minute": 0}
ERRORS = {"name": "errors", "treat_missing_data": "ignore"}
ANY = {"name": "any", "rule": 'ALARM("errors")'}


@pytest.fixture
def turn(somebody):
    """`turn("errors", "ALARM")` puts an alarm into a state."""
    return lambda name, state: somebody(
        "cloudwatch.set_alarm_state", AlarmName=name, StateValue=state, StateReason="test"
    )


def read_one(name, **how):
    return alarms.read([name], **how)[name]


# What is there.


@pytest.mark.parametrize("state", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_a_metric_alarm_is_read_with_its_state(inhabit, state):
    inhabit(**QUIET, alarms=[{**ERRORS, "state": state}])
    assert read_one("errors").state == state


def test_a_composite_alarm_is_found(inhabit, turn):
    """DescribeAlarms, AlarmTypes: without it only metric alarms are returned."""
    world = inhabit(**QUIET, alarms=[ERRORS, ANY])
    world.clock.sleep(10)
    turn("errors", "ALARM")
    readings = alarms.read(["any", "errors"])
    assert [(name, reading.state) for name, reading in readings.items()] == [("any", "ALARM"), ("errors", "ALARM")]
    assert readings["any"].transitioned_at == STARTED_AT + 10


def test_an_alarm_that_does_not_exist_is_a_reading_without_a_state(inhabit):
    inhabit(alarms=[ERRORS])
    readings = alarms.read(["typo", "errors"])
    assert readings["typo"].state is None
    assert readings["typo"].fired_at is None
    assert readings["errors"].state == "OK"


def test_an_alarm_deleted_meanwhile_is_a_reading_without_a_state(inhabit, somebody):
    inhabit(alarms=[ERRORS])
    somebody("cloudwatch.delete_alarms", AlarmNames=["errors"])
    assert read_one("errors", since=STARTED_AT).state is None


def cloudwatch_calls(world):
    """What was asked of CloudWatch; the sweeper asks others meanwhile."""
    return {name: count for name, count in world.boundary.calls.items() if name.startswith("cloudwatch.")}


def test_no_alarms_ask_nothing(inhabit):
    world = inhabit()
    assert alarms.read([]) == {}
    assert not cloudwatch_calls(world)


@pytest.mark.parametrize(("how_many", "calls"), [(1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_a_hundred_names_go_into_one_call(inhabit, how_many, calls):
    world = inhabit(alarms=[{**ERRORS, "name": f"alarm-{number}"} for number in range(how_many)])
    asked = []
    world.boundary.listen(lambda call: asked.append(len(call.params["AlarmNames"])))
    readings = alarms.read(f"alarm-{number}" for number in range(how_many))
    assert asked == calls
    assert [reading.state for reading in readings.values()] == ["OK"] * how_many


# What cannot be evaluated.


@pytest.mark.parametrize(
    ("evaluation_state", "broken"), [("EVALUATION_ERROR", True), ("EVALUATION_FAILURE", False), ("PARTIAL_DATA", False)]
)
def test_an_alarm_whose_evaluation_is_in_error_is_broken(inhabit, evaluation_state, broken):
    """An error is the alarm's own, such as a denied metric; a failure is CloudWatch's, and passes."""
    world = inhabit(alarms=[ERRORS])

    def evaluated(_params, proceed):
        found = proceed()
        return {
            **found,
            "MetricAlarms": [{**each, "EvaluationState": evaluation_state} for each in found["MetricAlarms"]],
        }

    world.boundary.correct(DESCRIBE, evaluated)
    assert read_one("errors").broken is broken


# What happened between two looks.


def test_an_alarm_that_fired_and_recovered_between_two_looks_has_fired(inhabit, turn):
    world = inhabit(**QUIET, alarms=[ERRORS])
    world.clock.sleep(10)
    turn("errors", "ALARM")
    world.clock.sleep(10)
    turn("errors", "OK")
    reading = read_one("errors", since=STARTED_AT, seen={"errors": STARTED_AT - 60})
    assert (reading.state, reading.fired_at) == ("OK", STARTED_AT + 10)
    assert world.boundary.calls[HISTORY] == 1


def test_a_composite_alarm_that_flapped_has_fired(inhabit, turn):
    world = inhabit(**QUIET, alarms=[ERRORS, ANY])
    for state in ("ALARM", "OK"):
        world.clock.sleep(10)
        turn("errors", state)
    assert read_one("any", since=STARTED_AT).fired_at


def test_a_flap_is_found_behind_more_than_a_page_of_other_changes(inhabit, turn):
    world = inhabit(**QUIET, alarms=[ERRORS])
    states = ["ALARM", *["INSUFFICIENT_DATA", "OK"] * 60]
    for state in states:
        world.clock.sleep(1)
        turn("errors", state)
    assert read_one("errors", since=STARTED_AT).fired_at
    assert world.boundary.calls[HISTORY] == 2


def test_an_alarm_that_fires_has_fired_and_needs_no_history(inhabit, turn):
    world = inhabit(**QUIET, alarms=[ERRORS])
    world.clock.sleep(10)
    turn("errors", "ALARM")
    assert read_one("errors", since=STARTED_AT).fired_at
    assert world.boundary.calls[HISTORY] == 0


def test_an_alarm_that_did_not_move_needs_no_history(inhabit):
    world = inhabit(**QUIET, alarms=[ERRORS])
    world.clock.sleep(100)
    assert read_one("errors", since=STARTED_AT).fired_at is None
    assert cloudwatch_calls(world) == {DESCRIBE: 1}


def test_history_is_read_once_for_each_move(inhabit, turn):
    world = inhabit(**QUIET, alarms=[ERRORS])
    world.clock.sleep(10)
    turn("errors", "INSUFFICIENT_DATA")
    first = read_one("errors", since=STARTED_AT, seen={})
    seen = {"errors": first.transitioned_at}
    assert first.fired_at is None
    for _ in range(3):
        world.clock.sleep(60)
        assert read_one("errors", since=STARTED_AT, seen=seen).fired_at is None
    assert world.boundary.calls[HISTORY] == 1
    turn("errors", "ALARM")
    world.clock.sleep(10)
    turn("errors", "OK")
    assert read_one("errors", since=STARTED_AT, seen=seen).fired_at
    assert world.boundary.calls[HISTORY] == 2


def test_a_flap_before_traffic_moved_does_not_count(inhabit, turn):
    world = inhabit(**QUIET, alarms=[ERRORS])
    for state in ("ALARM", "OK"):
        world.clock.sleep(10)
        turn("errors", state)
    assert read_one("errors", since=STARTED_AT + 30).fired_at is None
    assert world.boundary.calls[HISTORY] == 0


def test_an_alarm_that_fired_before_and_recovered_since_did_not_fire_since(inhabit, turn):
    world = inhabit(**QUIET, alarms=[{**ERRORS, "state": "ALARM"}])
    world.clock.sleep(10)
    turn("errors", "OK")
    reading = read_one("errors", since=STARTED_AT)
    assert (reading.state, reading.fired_at) == ("OK", None)


def test_without_a_shift_nothing_has_fired_since(inhabit):
    world = inhabit(alarms=[{**ERRORS, "state": "ALARM"}])
    reading = read_one("errors")
    assert (reading.state, reading.fired_at) == ("ALARM", None)
    assert cloudwatch_calls(world) == {DESCRIBE: 1}


# What it needs before it can speak.


def test_an_alarm_is_read_with_its_times_where_they_are_asked_for(inhabit):
    inhabit(alarms=[{**ERRORS, "period_seconds": 300, "evaluation_periods": 3}])
    assert read_one("errors", timed=True).times == AlarmTimes(3 * 300 + 120)
    assert read_one("errors").times == AlarmTimes()


def test_a_composite_alarm_is_as_slow_as_its_slowest_child_nested_ones_too_and_a_level_is_one_call(inhabit):
    slow = {**ERRORS, "name": "slow", "period_seconds": 300, "evaluation_periods": 3}
    both = {"name": "both", "rule": 'ALARM("any") AND NOT OK(slow)'}
    world = inhabit(alarms=[ERRORS, slow, ANY, both])
    assert read_one("both", timed=True).times == AlarmTimes(1020)
    assert world.boundary.calls[DESCRIBE] == 3
    assert alarms.read(["any", "errors"], timed=True)["any"].times == AlarmTimes(180)
    assert world.boundary.calls[DESCRIBE] == 4, "what is read already is not asked for again"


def test_how_long_a_composite_alarm_needs_is_not_known_where_a_child_is_gone(inhabit, somebody):
    inhabit(alarms=[ERRORS, {**ERRORS, "name": "slow"}, {"name": "both", "rule": "ALARM(errors) OR ALARM(slow)"}])
    somebody("cloudwatch.delete_alarms", AlarmNames=["slow"])
    assert read_one("both", timed=True).times == AlarmTimes()


# When CloudWatch does not answer.


@pytest.mark.parametrize("call", [DESCRIBE, HISTORY])
def test_alarms_that_cannot_be_read_are_not_taken_for_healthy(inhabit, turn, call):
    world = inhabit(**QUIET, alarms=[ERRORS], faults=[{"call": call, "error": "Throttling", "times": "always"}])
    world.clock.sleep(10)
    turn("errors", "INSUFFICIENT_DATA")
    with pytest.raises(AwsUnavailable):
        read_one("errors", since=STARTED_AT)


def test_alarms_that_may_not_be_read_say_so(inhabit):
    world = inhabit(alarms=[ERRORS])

    def refuse(_params, _proceed):
        raise AwsError("AccessDenied", "not authorized to perform: cloudwatch:DescribeAlarms", 403)

    world.boundary.correct(DESCRIBE, refuse)
    with pytest.raises(PermissionDenied, match="cloudwatch:DescribeAlarms"):
        read_one("errors")
