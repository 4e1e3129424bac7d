"""AWS throttles what a rollout asks: it waits, looks more seldom and moves later, and none of that is a verdict."""

from itertools import pairwise

import pytest

from sandbox.aws.boundary import Call
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.brief import BRIEF

ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
#: Nothing but an alarm, which fires only where somebody sets it, may speak.
ALARM = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}
WATCHED = {**BRIEF, "alarms": ["errors"], "health": {"judge": False, "max_error_percent": 50}}
LAMBDA, CLOUDWATCH, DYNAMODB = "TooManyRequestsException", "Throttling", "ThrottlingException"


def throttled(call, error, times, skip=0):
    return {"faults": [{"call": call, "error": error, "times": times, "skip": skip}]}


#: How the calls of one kind are throttled, for minutes, and then no longer.
FOR_MINUTES = {
    "planning reads the function": throttled("lambda.GetFunctionConfiguration", LAMBDA, times=40),
    "planning reads the alarms": throttled("cloudwatch.DescribeAlarms", CLOUDWATCH, times=40),
    "planning takes the lock": throttled("dynamodb.UpdateItem", DYNAMODB, times=40),
    "publishing": throttled("lambda.PublishVersion", LAMBDA, times=40),
    "every look at the alias": throttled("lambda.GetAlias", LAMBDA, times=10, skip=1),
    "every look at the alarms": throttled("cloudwatch.DescribeAlarms", CLOUDWATCH, times=10, skip=2),
    "every look at the metrics": throttled("cloudwatch.GetMetricData", CLOUDWATCH, times=10, skip=1),
    "every verdict that is written down": throttled("dynamodb.UpdateItem", DYNAMODB, times=20, skip=6),
    "the first weight": throttled("lambda.UpdateAlias", LAMBDA, times=14),
    "the next weight": throttled("lambda.UpdateAlias", LAMBDA, times=14, skip=1),
    "the promotion": throttled("lambda.UpdateAlias", LAMBDA, times=14, skip=2),
    "everything of Lambda's": throttled("lambda.*", LAMBDA, times=60, skip=9),
    "a handler, for lack of concurrency": {"faults": [{"handler": "plan_rollout", "error": "throttled", "times": 30}]},
}


@pytest.mark.parametrize("row", FOR_MINUTES)
def test_what_is_throttled_for_minutes_is_waited_for(tell, row):
    story = tell(WATCHED, alarms=[ALARM], **FOR_MINUTES[row])
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE), story.cause
    assert (story.lock_released, story.history_recorded) == (True, True)
    assert story.virtual_seconds > tell(WATCHED, alarms=[ALARM]).virtual_seconds + 25


@pytest.mark.parametrize("row", ["the next weight", "the promotion"])
def test_the_looks_go_on_while_a_move_is_throttled(tell, row):
    looks = [tell(WATCHED, alarms=[ALARM], **words).states.count("CheckHealth") for words in (FOR_MINUTES[row], {})]
    assert looks[0] >= looks[1] + 3


@pytest.mark.parametrize("lost", [["lost_response"], ["lost_response"] * 2], ids=["once", "twice"])
@pytest.mark.parametrize("skip", [0, 1, 2], ids=["first weight", "next weight", "promotion"])
def test_a_move_that_was_made_and_then_throttled_is_not_taken_for_somebody_elses(tell, lost, skip):
    faults = [{"call": "lambda.UpdateAlias", "error": error, "skip": skip} for error in lost]
    faults += throttled("lambda.UpdateAlias", LAMBDA, times=5, skip=skip)["faults"]
    story = tell(WATCHED, alarms=[ALARM], faults=faults)
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE), story.cause


def test_a_move_that_was_made_and_throttled_is_known_again_after_a_look_that_could_not_read_the_alias(tell):
    faults = [{"call": "lambda.UpdateAlias", "error": "lost_response"}]
    faults += throttled("lambda.UpdateAlias", LAMBDA, times=5)["faults"]
    faults += throttled("lambda.GetAlias", LAMBDA, times=4, skip=1)["faults"]
    story = tell(WATCHED, alarms=[ALARM], faults=faults)
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE), story.cause


@pytest.mark.parametrize(
    ("call", "error", "skip"),
    [
        ("cloudwatch.DescribeAlarms", CLOUDWATCH, 2),
        ("cloudwatch.GetMetricData", CLOUDWATCH, 1),
        ("dynamodb.UpdateItem", DYNAMODB, 6),
    ],
)
def test_who_sees_nothing_to_the_end_goes_back_when_the_extension_is_over_and_not_before(tell, call, error, skip):
    story = tell(WATCHED, alarms=[ALARM], **throttled(call, error, "always", skip))
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.virtual_seconds >= 660


def test_an_alarm_restores_while_its_state_cannot_be_read(tell):
    fires = [{"at_second": 200, "do": "set_alarm", "name": "errors", "state": "ALARM"}]
    story = tell(WATCHED, alarms=[ALARM], timeline=fires, **throttled("cloudwatch.*", CLOUDWATCH, "always", 2))
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert "alarm errors is in ALARM" in story.cause
    assert story.seconds_from_alarm_to_restored < 5


def test_an_alarm_whose_event_is_lost_is_seen_within_three_minutes_and_a_look(tell):
    request = {**WATCHED, "steps": [{"weight": 10, "bake_seconds": 1200}, {"weight": 100, "bake_seconds": 60}]}
    for second in (130, 250):
        fires = [{"at_second": second, "do": "set_alarm", "name": "errors", "state": "ALARM"}]
        lost = [{"event": "alarm", "error": "lost"}]
        story = tell(request, alarms=[ALARM], timeline=fires, faults=lost)
        assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
        assert story.seconds_from_alarm_to_restored <= 3 * 60 + 60


def test_several_that_share_too_small_a_quota_are_all_promoted():
    quotas = {"lambda": 1, "cloudwatch.DescribeAlarms": 0.05}
    beside = [{**WATCHED, "function_name": f"cart-{number}"} for number in range(2)]
    with World(Scenario.of({"alarms": [ALARM], "quotas": quotas}), WATCHED, beside=beside) as world:
        world.start()
        world.clock.run(until=lambda: len(world.executions) == 3 and all(world.executions.values()))
        assert {end and end.status for end in world.executions.values()} == {"SUCCEEDED"}
        assert [member.routing() for member in world.members] == [("2", {})] * 3
        refused = {call for handler, call in world.boundary.throttled if handler == "check_health"}
        assert "cloudwatch.DescribeAlarms" in refused


@pytest.fixture(scope="module")
def looks() -> list[list[Call]]:
    """What each look asks of a CloudWatch that throttles everything from the fourth call on."""
    made: list[list[Call]] = []

    def note(call: Call) -> None:
        if call.caller == "check_health":
            if not made or call.at - made[-1][-1].at > 30:
                made.append([])
            made[-1].append(call)

    with World(Scenario.of({"alarms": [ALARM], **throttled("cloudwatch.*", CLOUDWATCH, 12, 3)}), WATCHED) as world:
        world.boundary.listen(note)
        world.follow(world.start())
    return made


def test_a_look_repeats_three_calls_at_most_and_not_three_of_each(looks):
    busy = [look for look in looks if any(call.error == CLOUDWATCH for call in look)]
    assert len(busy) > 2
    for look in busy:
        assert len(look) <= len({call.name for call in look}) + 3


def test_looks_stretch_their_pace_while_they_are_throttled_and_come_back(looks):
    began = [look[0].at - STARTED_AT for look in looks]
    gaps = [after - before for before, after in pairwise(began)]
    assert 80 < max(gaps) < 310
    assert not any(call.error for call in looks[-1])
