"""What must be survived, one story a row: how it shows, and how it must end."""

import io

import pytest

from sandbox.aws.execution_history import history
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.brief import BRIEF

ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
LIMIT = {"health": {"max_error_percent": 1}}
SMOKE = {"smoke_tests": [{"payload": {"order": 1}, "expect": "statusCode == `200`"}]}


def call(name, error, **more):
    return {"faults": [{"call": name, "error": error, **more}]}


def handler(name, error, **more):
    return {"faults": [{"handler": name, "error": error, **more}]}


REJECTED = {
    "the function does not exist": (
        {},
        call("lambda.GetFunctionConfiguration", "ResourceNotFoundException"),
        "no function checkout in us-east-1",
    ),
    "the alias does not exist": ({}, {"alias": {"exists": False}}, "function checkout has no alias live"),
    "the alias is on $LATEST": ({}, {"alias": {"function_version": "$LATEST"}}, "points to $LATEST"),
    "the alias is weighted already": (
        {},
        {"alias": {"weights": {"7": 0.2}}},
        "already serves version 1 with 20 % to version 7",
    ),
    "the stable version could not serve": (
        {},
        {"stable": {"state": "Inactive"}},
        "a rollback would return to, is Inactive",
    ),
    "an alarm's name is misspelt": (
        {"alarms": ["typo", "other"]},
        {},
        "no alarm typo in this account and region; no alarm other",
    ),
    "an alarm fires already": ({"alarms": ["a"]}, {"alarms": [{"name": "a", "state": "ALARM"}]}, "already in ALARM: a"),
    "a composite alarm fires already": (
        {"alarms": ["any"]},
        {"alarms": [{"name": "a", "state": "ALARM"}, {"name": "any", "rule": 'ALARM("a")', "state": "ALARM"}]},
        "already in ALARM: any",
    ),
    "the last update of $LATEST failed": (
        {},
        {"publish": {"last_update_status": "Failed"}},
        "publishing would ship the code before it",
    ),
    "$LATEST is not what the build made": (
        {"expected_code_sha256": "A" * 43 + "="},
        {},
        "is expected: deploy that build",
    ),
    "the code storage is full": (
        {},
        call("lambda.PublishVersion", "CodeStorageExceededException"),
        "delete versions that nothing uses",
    ),
    "the capacity provider is full": (
        {},
        call("lambda.PublishVersion", "FunctionVersionsPerCapacityProviderLimitExceededException"),
        "delete versions that nothing uses",
    ),
    "$LATEST changes while it is published": (
        {},
        call("lambda.PublishVersion", "InvalidParameterValueException"),
        "changed while it was published",
    ),
    "the version to adopt does not exist": ({"version": "9"}, {}, "function checkout has no version 9"),
    "the alias to adopt from does not exist": (
        {"version": {"from_alias": "dev"}},
        {},
        "function checkout has no alias dev",
    ),
    "the candidate fails to become active": ({}, {"candidate": {"state": "Failed"}}, "version 2 of checkout is Failed"),
    "the candidate never becomes active": ({}, {"candidate": {"state": "Pending"}}, "version 2 of checkout is Pending"),
    "the candidate has another role": ({}, {"candidate": {"role": "other-role"}}, "execution role"),
    "the plan does not fit the history": (
        {"strategy": {"type": "linear", "increment": 0.01, "interval_seconds": 60}},
        {},
        "10,000 steps",
    ),
    "a smoke test fails": (
        SMOKE,
        {"candidate": {"error_rate": 1}},
        "smoke test 1 of version 2 of checkout failed with Unhandled",
    ),
    "a smoke test's expectation is not met": (
        {"smoke_tests": [{"expect": "statusCode == `418`"}]},
        {},
        "does not satisfy 'statusCode == `418`'",
    ),
    "a smoke test is not answered in time": (
        SMOKE,
        call("lambda.Invoke", "lost_response"),
        "max_duration_ms is 10,000",
    ),
    "a smoke test is throttled, as with no concurrency left": (
        SMOKE,
        call("lambda.Invoke", "TooManyRequestsException", times="always"),
        "TooManyRequestsException",
    ),
    "a permission to read is missing": (
        {},
        call("lambda.GetAlias", "AccessDeniedException", times="always"),
        "AccessDeniedException",
    ),
    "the ledger is dead from the start": (
        {},
        call("dynamodb.*", "InternalServerError", times="always"),
        "InternalServerError",
    ),
    "planning crashes every time": ({}, handler("plan_rollout", "crash", times="always"), "exit"),
    "publishing crashes every time": ({}, handler("publish_version", "crash", times="always"), "exit"),
    "verifying times out every time": ({}, handler("verify_candidate", "timeout", times="always"), "imed"),
}


@pytest.mark.parametrize("row", REJECTED)
def test_rejected_before_any_traffic_when(tell, row):
    request, scenario, says = REJECTED[row]
    story = tell(request, **scenario)
    assert (story.outcome, story.error) == ("rejected", "Rejected"), story
    assert says in story.cause
    assert story.traffic["to_candidate"] == 0
    assert "WeightShifted" not in story.events
    assert story.lock_released or "dynamodb" in row or "ledger" in row
    expected = scenario.get("alias", {})
    if expected.get("exists", True):
        assert story.alias == {
            "function_version": expected.get("function_version", "1"),
            "weights": expected.get("weights", {}),
        }


ROLLED_BACK = {
    "an alarm fires": (
        {"alarms": ["a"]},
        {"alarms": [{"name": "a"}], "timeline": [{"at_second": 250, "do": "set_alarm", "name": "a", "state": "ALARM"}]},
        "alarm a",
    ),
    "a composite alarm fires": (
        {"alarms": ["any"]},
        {
            "alarms": [{"name": "a"}, {"name": "any", "rule": 'ALARM("a")'}],
            "timeline": [{"at_second": 250, "do": "set_alarm", "name": "a", "state": "ALARM"}],
        },
        "alarm any",
    ),
    "an alarm fires and recovers between two looks": (
        {"alarms": ["a"]},
        {
            "alarms": [{"name": "a"}],
            "timeline": [
                {"at_second": 250, "do": "set_alarm", "name": "a", "state": "ALARM"},
                {"at_second": 260, "do": "set_alarm", "name": "a", "state": "OK"},
            ],
        },
        "alarm a is in ALARM since",
    ),
    "an ignored alarm recovers and fires again": (
        {"alarms": [{"name": "a", "if_already_firing": "ignore_until_ok"}]},
        {
            "alarms": [{"name": "a", "state": "ALARM", "treat_missing_data": "ignore", "threshold": -1}],
            "timeline": [
                {"at_second": 200, "do": "set_alarm", "name": "a", "state": "OK"},
                {"at_second": 210, "do": "set_alarm", "name": "a", "state": "ALARM"},
            ],
        },
        "alarm a is in ALARM",
    ),
    "the candidate is slow": (
        {"health": {"max_duration_p99_ms": 800}},
        {"candidate": {"duration_ms": {"median": 300, "p99": 3000}}},
        "slower than 800 ms",
    ),
    "nobody calls": (
        {"health": {"max_error_percent": 1, "max_duration_p99_ms": 800}},
        {"requests_per_minute": 0},
        "served 0 requests (no request of the candidate is counted at the last weight): send traffic, bake longer,",
    ),
    "too few call": ({"strategy": "AllAtOnce"}, {"requests_per_minute": 0.5}, "fewer than minimum_invocations"),
    "CloudWatch does not answer": (
        LIMIT,
        call("cloudwatch.GetMetricData", "InternalServiceFault", times="always", skip=1),
        "InternalServiceFault",
    ),
    "CloudWatch is forbidden": (
        LIMIT,
        call("cloudwatch.GetMetricData", "AccessDenied", times="always", skip=1),
        "AccessDenied",
    ),
    "looking crashes every time": ({}, handler("check_health", "crash", times="always"), "exit"),
    "looking times out every time": ({}, handler("check_health", "timeout", times="always"), "imed"),
    "the next shift is refused": (
        {},
        call("lambda.UpdateAlias", "InvalidParameterValueException", skip=1),
        "InvalidParameterValueException",
    ),
    "the next shift is denied": (
        {},
        call("lambda.UpdateAlias", "AccessDeniedException", skip=1),
        "AccessDeniedException",
    ),
    "promoting crashes every time": (LIMIT, handler("promote", "crash", times="always"), "exit"),
    "the ledger dies halfway": (
        LIMIT,
        call("dynamodb.*", "InternalServerError", skip=8, times="always"),
        "InternalServerError",
    ),
}


@pytest.mark.parametrize("row", ROLLED_BACK)
def test_rolled_back_once_traffic_has_moved_when(tell, row):
    request, scenario, says = ROLLED_BACK[row]
    story = tell(request, **scenario)
    assert (story.outcome, story.error) == ("rolled_back", "RolledBack"), story
    assert says in story.cause
    assert story.alias == ON_STABLE
    if "ledger" not in row:
        assert story.lock_released
        assert story.history_recorded


SURVIVED = {
    "UpdateAlias is throttled": call("lambda.UpdateAlias", "TooManyRequestsException", times=3),
    "UpdateAlias fails on AWS's side": call("lambda.UpdateAlias", "ServiceException", times=3),
    "the first shift's response is lost": call("lambda.UpdateAlias", "lost_response"),
    "the promotion's response is lost": call("lambda.UpdateAlias", "lost_response", skip=2),
    "another operation is in progress": call("lambda.UpdateAlias", "ResourceConflictException", times=2),
    "$LATEST is still being updated": call("lambda.PublishVersion", "ResourceConflictException", times=5),
    "the candidate takes minutes to become active": {"candidate": {"state": "Pending", "active_after_seconds": 300}},
    "a published version's answer is lost in a crash": call("lambda.PublishVersion", "crash_after"),
    "a shift crashes before it is made": call("lambda.UpdateAlias", "crash_before"),
    "a shift crashes after it was made": call("lambda.UpdateAlias", "crash_after"),
    "the promotion crashes after it was made": call("lambda.UpdateAlias", "crash_after", skip=2),
    "the books of a promotion crash": call("dynamodb.TransactWriteItems", "crash_before"),
    "the books of a promotion cannot be closed": call(
        "dynamodb.TransactWriteItems", "InternalServerError", times="always"
    ),
    "CloudWatch stumbles": call("cloudwatch.*", "InternalServiceFault", times=2),
    "no event can be sent": call("events.PutEvents", "InternalException", times="always"),
    "a handler is throttled": handler("shift_traffic", "throttled", times=2),
    "a handler crashes": handler("check_health", "crash", times=2),
    "planning times out once": handler("plan_rollout", "timeout"),
    "metrics come late": {"metric_delay_seconds": 240},
    "an alarm without data": {"alarms": [{"name": "a", "state": "INSUFFICIENT_DATA", "metric": "Throttles"}]},
}


@pytest.mark.parametrize("row", SURVIVED)
def test_promoted_all_the_same_when(tell, row):
    health = {**BRIEF["health"], **LIMIT["health"]}
    story = tell({**BRIEF, **SMOKE, "health": health}, **SURVIVED[row])
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE), story
    if "cannot be closed" not in row:
        assert story.lock_released
        assert story.history_recorded


STUBBORN = {
    "UpdateAlias is throttled for minutes": call("lambda.UpdateAlias", "TooManyRequestsException", skip=1, times=60),
    "UpdateAlias fails on AWS's side for minutes": call("lambda.UpdateAlias", "ServiceException", skip=1, times=60),
    "rolling back crashes again and again": handler("roll_back", "crash", times=10),
    "rolling back times out again and again": handler("roll_back", "timeout", times=10),
    "rolling back is throttled": handler("roll_back", "throttled", times=20),
    "the restore's response is lost": call("lambda.UpdateAlias", "lost_response", skip=1),
    "the restore crashes after it was made": call("lambda.UpdateAlias", "crash_after", skip=1),
    "the books cannot be closed at first": call("dynamodb.TransactWriteItems", "InternalServerError", times=4),
    "no event can be sent": call("events.PutEvents", "InternalException", times="always"),
}


@pytest.mark.parametrize("row", STUBBORN)
def test_a_bad_candidate_is_rolled_back_even_when(tell, row):
    story = tell(LIMIT, candidate={"error_rate": 0.5}, **STUBBORN[row])
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE), story
    assert story.lock_released
    assert story.history_recorded


STOPPED = {
    "before any traffic": ([{"at_second": 1, "do": "stop_execution"}], []),
    "in the first bake": ([{"at_second": 100, "do": "stop_execution"}], []),
    "in the last bake": ([{"at_second": 800, "do": "stop_execution"}], []),
    "while a shift is held": (
        [{"at_second": 10, "do": "stop_execution"}],
        [{"call": "lambda.UpdateAlias", "error": "held", "seconds": 15}],
    ),
    "with the event late": (
        [{"at_second": 400, "do": "stop_execution"}],
        [{"event": "execution", "error": "late", "seconds": 30}],
    ),
    "with the event doubled": (
        [{"at_second": 400, "do": "stop_execution"}],
        [{"event": "execution", "error": "duplicated"}],
    ),
    "with the ledger gone": (
        [{"at_second": 400, "do": "stop_execution"}],
        [{"call": "dynamodb.GetItem", "error": "InternalServerError", "skip": 3, "times": "always"}],
    ),
    "with the guard throttled": (
        [{"at_second": 400, "do": "stop_execution"}],
        [{"call": "lambda.UpdateAlias", "error": "TooManyRequestsException", "skip": 2, "times": 3}],
    ),
}


@pytest.mark.parametrize("row", STOPPED)
def test_stop_ends_on_the_stable_version(tell, row):
    timeline, faults = STOPPED[row]
    story = tell(LIMIT, timeline=timeline, faults=faults)
    assert (story.status, story.outcome, story.alias) == ("ABORTED", "stopped_and_restored", ON_STABLE), story


def test_an_uncertain_end_promotes_unproven_only_where_the_candidate_served(tell):
    silent = {"name": "a", "state": "INSUFFICIENT_DATA", "metric": "Throttles"}
    story = tell({"alarms": ["a"]}, alarms=[silent])
    assert (story.outcome, story.proven) == ("promoted", False)
    assert story.virtual_seconds >= 1500


@pytest.mark.parametrize(("policy", "outcome"), [("promote", "promoted"), ("roll_back", "rolled_back")])
def test_the_request_decides_what_inconclusive_means(tell, policy, outcome):
    story = tell({"health": {"when_inconclusive": policy, "max_extension_seconds": 0}}, requests_per_minute=0)
    assert story.outcome == outcome
    assert story.proven in (False, None)


@pytest.mark.parametrize("name", ["ShiftTraffic", "CheckHealth"])
def test_a_handler_that_returns_too_much_is_caught_and_the_stable_version_restored(name):
    """States.ALL catches States.DataLimitExceeded of a task's result: recorded facts, S12."""

    def flood(params, proceed):
        if f"tidegate-{name}Function" not in params["FunctionName"]:
            return proceed()
        proceed()
        return {"StatusCode": 200, "ExecutedVersion": "1", "Payload": io.BytesIO(b'"' + b"x" * 300_000 + b'"')}

    with World(Scenario.of({}), BRIEF) as world:
        world.boundary.correct("lambda.Invoke", flood)
        end = world.follow(world.start())
        world.settle()
        assert "RollBack" in entered(world)
        assert (end.error, world.routing) == ("RolledBack", ("1", {}))
        assert end.cause.startswith("States.DataLimitExceeded: ")


def entered(world):
    (arn,) = world.executions
    return [event["stateEnteredEventDetails"]["name"] for event in history(arn) if "stateEnteredEventDetails" in event]
