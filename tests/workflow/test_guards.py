"""The guards, the sweeper, and everybody else who writes to the alias: it ends on one version at 100 %."""

import json
from collections.abc import Callable

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.brief import THREE_MINUTES

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
WATCHED = {"alarms": ["errors"]}
#: It fires only where somebody sets it.
ALARM = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}


def fires(second, name="errors"):
    return {"at_second": second, "do": "set_alarm", "name": name, "state": "ALARM"}


def call(name, error, **more):
    return {"call": name, "error": error, **more}


def lost(event):
    return {"event": event, "error": "lost", "times": "always"}


# guard_alarm.


def test_an_alarm_restores_at_once_and_the_state_machine_ends_for_that_reason(tell):
    story = tell(WATCHED, alarms=[ALARM], timeline=[fires(215)])
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert "alarm errors is in ALARM" in story.cause
    assert story.seconds_from_alarm_to_restored < 5
    assert story.virtual_seconds > 235
    assert (story.lock_released, story.history_recorded) == (True, True)


def test_a_composite_alarm_restores_too(tell):
    rule = {"name": "any", "rule": 'ALARM("errors")'}
    story = tell({"alarms": ["any"]}, alarms=[ALARM, rule], timeline=[fires(215)])
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert story.seconds_from_alarm_to_restored < 5


def test_an_alarm_that_nobody_watches_restores_nothing(tell):
    assert tell(alarms=[ALARM], timeline=[fires(215)]).outcome == "promoted"


@pytest.mark.parametrize("second", [300, 361.7, 362.95])
def test_an_alarm_around_the_promotion_ends_on_one_version_and_says_which(tell, second):
    story = tell({**THREE_MINUTES, **WATCHED}, alarms=[ALARM], timeline=[fires(second)])
    expected = ON_CANDIDATE if story.outcome == "promoted" else ON_STABLE
    assert (story.outcome in {"promoted", "rolled_back"}, story.alias) == (True, expected)
    assert story.history_recorded


def test_an_alarm_whose_event_is_doubled_or_late_does_no_harm(tell):
    for error in ({"error": "duplicated"}, {"error": "late", "seconds": 900}):
        story = tell(WATCHED, alarms=[ALARM], timeline=[fires(215)], faults=[{"event": "alarm", **error}])
        assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


def test_an_alarm_restores_without_the_books(tell):
    """The note in the lock is best effort; here every write to the table fails from the second minute on."""
    dead = call("dynamodb.UpdateItem", "InternalServerError", times="always", skip=6)
    story = tell(WATCHED, alarms=[ALARM], timeline=[fires(130)], faults=[dead])
    assert (story.status, story.alias) == ("FAILED", ON_STABLE)


def test_from_the_event_to_the_alias_there_are_four_calls():
    """Who watches the alarm, whether that rollout has the lock, why it is restored, and the write."""
    request = {**SMALLEST, **WATCHED}
    with World(Scenario.of({"alarms": [ALARM], "timeline": [fires(215)]}), request) as world:
        calls = []
        world.boundary.listen(calls.append)
        world.follow(world.start())
        world.settle()
    path = [one.name for one in calls if one.caller == "guard_alarm"]
    assert path == [
        "dynamodb.Query",
        "dynamodb.GetItem",
        "dynamodb.UpdateItem",
        "lambda.UpdateAlias",
        "dynamodb.UpdateItem",
    ]


# Stop, at any moment.


@pytest.mark.parametrize("second", [0.2, 1.4, 61, 121.4, 182, 362])
@pytest.mark.parametrize("faults", [[], [lost("execution")]], ids=["heard", "unheard"])
def test_stop_ends_on_one_version_whenever_it_comes(tell, second, faults):
    story = tell(THREE_MINUTES, timeline=[{"at_second": second, "do": "stop_execution"}], faults=faults)
    promoted = story.outcome == "promoted"
    assert story.alias == (ON_CANDIDATE if promoted else ON_STABLE)
    assert story.lock_released


@pytest.mark.parametrize("second", [3, 125, 370])
@pytest.mark.parametrize(
    ("name", "skip"),
    [
        ("lambda.UpdateAlias", 0),
        ("lambda.UpdateAlias", 2),
        ("lambda.UpdateAlias", 3),
        ("dynamodb.UpdateItem", 0),
        ("dynamodb.UpdateItem", 2),
        ("dynamodb.TransactWriteItems", 0),
    ],
)
def test_stop_while_a_write_is_held_ends_on_one_version(tell, name, skip, second):
    """The first shift, the last one, the promotion; the lock, a shift's record; the books."""
    held = call(name, "held", seconds=15, skip=skip)
    story = tell(THREE_MINUTES, timeline=[{"at_second": second, "do": "stop_execution"}], faults=[held])
    assert story.alias in (ON_STABLE, ON_CANDIDATE)
    assert (story.alias == ON_CANDIDATE) == (story.outcome == "promoted")


def test_stop_with_the_ledger_gone_and_the_event_doubled(tell):
    story = tell(
        timeline=[{"at_second": 200, "do": "stop_execution"}],
        faults=[
            call("dynamodb.*", "InternalServerError", times="always", skip=12),
            {"event": "execution", "error": "duplicated"},
        ],
    )
    assert (story.status in {"ABORTED", "FAILED"}, story.alias) == (True, ON_STABLE)


def test_a_stop_during_promotion_is_told_as_what_it_became(tell):
    """The promotion's books are held while the guard restores: one end is told, and the books say the same."""
    held = call("dynamodb.TransactWriteItems", "held", seconds=1)
    story = tell({"strategy": "AllAtOnce"}, timeline=[{"at_second": 423, "do": "stop_execution"}], faults=[held])
    ends = [event for event in story.events if event in {"RolloutPromoted", "RolloutRolledBack"}]
    assert len(ends) == 1
    assert story.alias == (ON_CANDIDATE if ends == ["RolloutPromoted"] else ON_STABLE)


def test_a_guard_that_fails_three_times_is_followed_by_the_sweeper(tell):
    story = tell(
        timeline=[{"at_second": 60, "do": "stop_execution"}],
        faults=[call("lambda.UpdateAlias", "ServiceException", skip=1, times=14)],
    )
    assert (story.status, story.alias, story.lock_released) == ("ABORTED", ON_STABLE, True)
    assert story.events[-1] == "RolloutRolledBack"


def test_a_denied_rollback_that_is_allowed_again_is_closed_as_rolled_back(tell):
    denied = call("lambda.UpdateAlias", "AccessDeniedException", skip=1, times=12)
    story = tell(candidate={"error_rate": 0.5}, faults=[denied])
    assert (story.error, story.alias, story.lock_released) == ("RollbackFailed", ON_STABLE, True)
    assert story.events[-1] == "RolloutRolledBack"


# Provisioned concurrency.


PROVISIONED = {"alias": {"provisioned_concurrency": 5}}


def test_an_alias_with_provisioned_concurrency_is_promoted_once_it_serves(tell):
    story = tell(**PROVISIONED)
    assert (story.outcome, story.alias, story.lock_released) == ("promoted", ON_CANDIDATE, True)
    assert story.virtual_seconds > 1024 + 60


def test_a_promotion_waits_as_long_as_aws_takes_to_provision(tell):
    minutes = 12
    slow = {"provisioned_concurrency": 5, "provisioning_seconds": 60 * minutes}
    story = tell({"strategy": "AllAtOnce"}, alias=slow)
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert story.virtual_seconds > 60 * minutes


def test_a_candidate_that_cannot_be_provisioned_is_taken_back(tell):
    fails_to_start = {"error_rate_by_minute": [0] * 11 + [0, 1]}
    story = tell({"strategy": "Canary10Percent5Minutes"}, **PROVISIONED, candidate=fails_to_start)
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


@pytest.mark.parametrize("second", [1022, 1060, 1090])
def test_a_stop_while_it_is_provisioned_names_the_stable_version(tell, second):
    story = tell(**PROVISIONED, timeline=[{"at_second": second, "do": "stop_execution"}])
    assert story.alias == (ON_CANDIDATE if story.outcome == "promoted" else ON_STABLE)


# Others who write.


def history(world: World) -> list[str]:
    items = client("dynamodb").scan(TableName=world.table_name)["Items"]
    return [
        json.loads(item["document"]["S"])["outcome"] for item in items if item["record"]["S"].startswith("history#")
    ]


def test_a_later_deploy_of_somebody_else_is_never_undone():
    """The stop's event arrives five minutes late; an operator has moved the alias meanwhile."""
    moved = [
        {"at_second": 60, "do": "stop_execution"},
        {"at_second": 62, "do": "update_alias", "function_version": "7", "weights": {}},
    ]
    late = [{"event": "execution", "error": "late", "seconds": 300}]
    with World(Scenario.of({"timeline": moved, "faults": late}), SMALLEST) as world:
        world.follow(world.start())
        world.settle()
        assert world.routing == ("7", {})
        assert history(world) == ["interrupted"]


@pytest.fixture
def refused_once() -> Callable[[], World]:
    """A rollout whose planning was denied, kept as refused, crashed, and is tried again."""
    faults = [
        call("lambda.GetAlias", "AccessDeniedException"),
        call("dynamodb.TransactWriteItems", "crash_after"),
    ]
    return lambda: World(Scenario.of({"faults": faults}), SMALLEST)


def test_what_was_refused_stays_refused_when_the_handler_is_tried_again(refused_once):
    with refused_once() as world:
        end = world.follow(world.start())
        world.settle()
        assert end.error == "Rejected"
        assert history(world) == ["rejected"]
        assert world.routing == ("1", {})


# Nobody may run.


@pytest.mark.parametrize("happens", [fires(40), {"at_second": 40, "do": "stop_execution"}], ids=["an alarm", "a stop"])
def test_what_is_split_while_the_accounts_concurrency_is_exhausted_is_restored_once_a_guard_may_run(tell, happens):
    """Lambda throttles all of the stack for four minutes: events wait in its queue, and tasks are retried."""
    times = {"guard_alarm": 8, "guard_execution": 8, "check_health": 8, "roll_back": 3, "sweep": 24}
    throttled = [{"handler": name, "error": "throttled", "times": often} for name, often in times.items()]
    story = tell({**THREE_MINUTES, **WATCHED}, alarms=[ALARM], timeline=[happens], faults=throttled)
    assert (story.outcome in {"rolled_back", "stopped_and_restored"}, story.alias) == (True, ON_STABLE)
    assert (story.lock_released, story.history_recorded) == (True, True)
