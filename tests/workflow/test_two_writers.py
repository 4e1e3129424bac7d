"""Two who write at the same moment, or one who comes late: whoever has the last word says what the alias serves."""

import json

import pytest

from sandbox.aws.boundary import AwsError, caller, identity
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.workflow.several import ALARM, ON_STABLE, SMALLEST, call, items, later, stops, world_of

AT_ONCE = {"strategy": "AllAtOnce"}
#: When a rollout that is AllAtOnce writes its promotion to the alias; half a second later where it has alarms.
PROMOTED_AT = 542.9
WATCHED = {"alarms": ["errors"]}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
#: How the books are closed, and how a plan with alarms is stored.
CLOSE = "dynamodb.TransactWriteItems"
ENDS = {"RolloutPromoted", "RolloutUnchanged", "RolloutRolledBack", "RolloutRejected", "RolloutInterrupted"}


def fires(second):
    return {"at_second": second, "do": "set_alarm", "name": "errors", "state": "ALARM"}


def moves(second, version, **weights):
    routing = {name.removeprefix("v"): weight for name, weight in weights.items()}
    return {"at_second": second, "do": "update_alias", "function_version": version, "weights": routing}


def outcomes(world):
    """What the history says, oldest first."""
    records = sorted(items(world), key=lambda item: item["record"]["S"])
    return [item["outcome"]["S"] for item in records if item["record"]["S"].startswith("history#")]


def told(world):
    return [event["detail-type"] for event in world.eventbridge.put if event["detail-type"] in ENDS]


# An alarm, and a promotion whose books cannot be closed.


def test_a_success_that_was_told_is_not_undone_by_a_later_alarm(tell):
    unclosed = call(CLOSE, "InternalServerError", times=24, skip=1)
    story = tell({**AT_ONCE, **WATCHED}, alarms=[ALARM], timeline=[fires(573)], faults=[unclosed])
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert story.virtual_seconds < 573, "the alarm fired before success was told"
    assert (story.lock_released, story.history_recorded) == (True, True)


def test_a_success_that_is_not_told_yet_is_undone_and_never_told(tell):
    unclosed = call(CLOSE, "InternalServerError", times=24, skip=1)
    story = tell({**AT_ONCE, **WATCHED}, alarms=[ALARM], timeline=[fires(556)], faults=[unclosed])
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert "alarm errors is in ALARM" in story.cause
    assert "RolloutPromoted" not in story.events


def test_a_success_whose_alias_somebody_restores_all_the_same_is_booked_as_what_it_became():
    with world_of(AT_ONCE, faults=[call(CLOSE, "InternalServerError", times=24)]) as world:
        assert world.follow(world.start()).status == "SUCCEEDED"
        (lock,) = (item for item in items(world) if item["record"]["S"] == "lock")
        client("dynamodb").update_item(
            TableName=world.table_name,
            Key={"target": lock["target"], "record": lock["record"]},
            UpdateExpression="SET restoring = :why",
            ExpressionAttributeValues={":why": {"S": "alarm errors is in ALARM"}},
        )
        world.settle()
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])
        assert [item for item in items(world) if item["record"]["S"] == "lock"] == []


def test_an_alarm_whose_note_is_refused_undoes_no_promotion():
    """What cannot be noted could be told as a success meanwhile."""
    held = call(CLOSE, "held", seconds=4.5, skip=1)
    with world_of({**AT_ONCE, **WATCHED}, alarms=[ALARM], timeline=[fires(PROMOTED_AT + 0.8)], faults=[held]) as world:
        world.boundary.correct("dynamodb.UpdateItem", refused_to("guard_alarm"))
        assert world.follow(world.start()).status == "SUCCEEDED"
        world.settle()
        assert (world.routing, outcomes(world), told(world)) == (("2", {}), ["promoted"], ["RolloutPromoted"])


def refused_to(*handlers):
    """A correction by which AWS refuses a call to these handlers."""

    def refuse(_params, proceed):
        if caller.get() in handlers:
            raise AwsError("AccessDeniedException", "not authorized to perform: dynamodb:UpdateItem", 400)
        return proceed()

    return refuse


# A stop, and a promotion in flight.


def test_a_promotion_that_is_closed_while_its_stop_is_heard_stays():
    """Nobody may note the restoring, so only the books say which came first."""
    held = call(CLOSE, "held", seconds=2)
    with world_of(AT_ONCE, timeline=[stops(PROMOTED_AT + 0.4)], faults=[held]) as world:
        world.boundary.correct("dynamodb.UpdateItem", refused_to("guard_execution", "sweep"))
        assert world.follow(world.start()).status == "ABORTED"
        world.settle()
        # Told by Promote, and by the guard, which cannot know that Promote lived to tell.
        assert (world.routing, outcomes(world), {*told(world)}) == (("2", {}), ["promoted"], {"RolloutPromoted"})


def test_a_promotion_is_undone_without_the_ledger_once_nothing_can_close_it_any_more():
    held = call(CLOSE, "held", seconds=2)
    with world_of(AT_ONCE, timeline=[stops(PROMOTED_AT + 0.4)], faults=[held]) as world:
        arn = world.start()
        later(world, PROMOTED_AT + 0.3, lambda: client("dynamodb").delete_table(TableName=world.table_name))
        world.follow(arn)
        world.settle()
        assert world.routing == ("1", {})
        restored_at = world.routings[-1][0] - STARTED_AT
        assert PROMOTED_AT + 120 < restored_at < PROMOTED_AT + 240


def test_a_late_event_undoes_no_promotion_without_the_ledger():
    """A quarter of an hour later it may be somebody else's promotion of the same version."""
    late = [call(CLOSE, "held", seconds=2), {"event": "execution", "error": "late", "seconds": 1000}]
    with world_of(AT_ONCE, timeline=[stops(PROMOTED_AT + 0.4)], faults=late) as world:
        arn = world.start()
        later(world, PROMOTED_AT + 0.3, lambda: client("dynamodb").delete_table(TableName=world.table_name))
        world.follow(arn)
        world.settle()
        assert world.routing == ("2", {})


# The lock, taken late.


@pytest.mark.parametrize("second", [None, 6, 10, 14, 16, 25])
def test_a_lock_that_is_taken_late_is_released_and_nothing_is_told_twice(second):
    """The first call that takes it is held on the wire, and its handler is retried, refused or stopped meanwhile."""
    held = call("dynamodb.UpdateItem", "held", seconds=20 if second is None else 15)
    firing = {"alarms": [{**ALARM, "threshold": 5, "state": "ALARM"}]} if second is None else {}
    timeline = [] if second is None else [stops(second)]
    with world_of(WATCHED if firing else {}, **firing, timeline=timeline, faults=[held]) as world:
        world.follow(world.start())
        world.settle()
        assert [item for item in items(world) if item["record"]["S"] == "lock"] == []
        assert (world.routing, len(outcomes(world)), len(told(world))) == (("1", {}), 1, 1)


# A rollout that ended by its own word, and whose books are closed later.


def test_an_interrupted_rollout_is_closed_as_that_whatever_the_alias_shows_by_then(tell):
    """Somebody moves the alias while it is promoted, and back to the very candidate before the books are closed."""
    story = tell(
        AT_ONCE,
        timeline=[moves(PROMOTED_AT - 0.1, "3"), moves(PROMOTED_AT + 15, "2")],
        faults=[
            call(CLOSE, "InternalServerError", times=8),
            {"event": "execution", "error": "late", "seconds": 30},
        ],
    )
    assert (story.error, story.alias) == ("Interrupted", ON_CANDIDATE)
    assert "serves version 3 alone" in story.cause
    assert "RolloutRolledBack" not in story.events
    assert (story.lock_released, story.history_recorded) == (True, True)


def test_a_success_closed_later_says_whether_it_was_proven():
    with world_of(AT_ONCE, faults=[call(CLOSE, "InternalServerError", times=24)]) as world:
        end = world.follow(world.start())
        world.settle()
        (item,) = (item for item in items(world) if item["record"]["S"].startswith("history#"))
        document, output = json.loads(item["document"]["S"]), json.loads(end.output)
        assert document["outcome"] == "promoted"
        assert (document["proven"], document["proven_by"]) == (output["proven"], output["proven_by"])
        assert document["proven"] is not None


@pytest.mark.parametrize(
    ("request_", "publish", "outcome"), [(AT_ONCE, {}, "promoted"), ({}, {"unchanged": True}, "unchanged")]
)
def test_what_was_closed_before_its_handler_crashed_ends_as_that(tell, request_, publish, outcome):
    story = tell(request_, publish=publish, faults=[call(CLOSE, "crash_after", times=4)])
    assert (story.outcome, story.status) == (outcome, "SUCCEEDED")
    assert story.alias == (ON_CANDIDATE if outcome == "promoted" else ON_STABLE)
    assert story.events[-1] == f"Rollout{outcome.capitalize()}"
    assert (story.lock_released, story.history_recorded) == (True, True)


def test_an_operators_own_word_for_a_stop_is_no_end_of_ours():
    """StopExecution takes any error; one that is called RolledBack has restored nothing."""
    with world_of() as world:
        arn = world.start()
        later(world, 100, lambda: client("stepfunctions").stop_execution(executionArn=arn, error="RolledBack"))
        world.follow(arn)
        world.settle()
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])


def test_a_stop_is_heard_at_once_where_a_profile_names_the_alias():
    """The input does not say whose lock it is: the index does."""
    named = {"profile": "prod-api"}
    with World(Scenario.of({"profiles": {"prod-api": SMALLEST}, "timeline": [stops(200)]}), named) as world:
        world.follow(world.start())
        world.settle()
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])
        assert world.routings[-1][0] - STARTED_AT < 205


# Provisioned concurrency at the start.


def test_a_rollout_waits_for_provisioned_concurrency_that_somebody_moves(tell):
    story = tell(AT_ONCE, alias={"provisioned_concurrency": 2}, timeline=[moves(0.01, "2")])
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "3", "weights": {}})


def test_a_rollout_waits_as_long_as_aws_takes_for_it(tell):
    """Six to eight minutes were seen (localstack's AWS-validated tests)."""
    minutes = 10
    story = tell(
        AT_ONCE,
        alias={"provisioned_concurrency": 2, "provisioning_seconds": 60 * minutes},
        timeline=[moves(0.01, "2")],
    )
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "3", "weights": {}})
    assert story.virtual_seconds > 2 * 60 * minutes, "PlanRollout and Promote each"


def test_provisioned_concurrency_that_never_gets_ready_rejects_the_rollout_once():
    def pending(_params, proceed):
        return {**proceed(), "Status": "IN_PROGRESS"}

    with world_of(alias={"provisioned_concurrency": 2}) as world:
        world.boundary.correct("lambda.GetProvisionedConcurrencyConfig", pending)
        end = world.follow(world.start())
        world.settle()
        assert (end.error, world.routing) == ("Rejected", ("1", {}))
        assert "provisioned concurrency of checkout:live is IN_PROGRESS" in end.cause
        assert [item for item in items(world) if item["record"]["S"] == "lock"] == []
        assert (outcomes(world), told(world)) == (["rejected"], ["RolloutRejected"])


# Writers after the end.


@pytest.mark.parametrize(("weight", "left"), [(0.2, {"2": 0.2}), (0.5, {})])
def test_the_sweeper_takes_back_only_a_weight_that_the_rollout_itself_sets(tell, weight, left):
    """Also where it promotes nothing any more: a person's own canary of the same version is a release of his."""
    story = tell(
        {"version": "2"},
        candidate={"error_rate": 0.5},
        timeline=[moves(0, "1"), moves(260, "1", v2=weight)],
    )
    assert story.error == "RolledBack"
    assert story.virtual_seconds < 260
    assert story.alias == {"function_version": "1", "weights": left}


# One who cannot be read.


def test_a_lock_that_cannot_be_read_keeps_nobody_from_the_others():
    faults = [{"event": "execution", "error": "lost"}, {"event": "alarm", "error": "duplicated"}]
    timeline = [fires(100), stops(200)]
    with world_of(WATCHED, alarms=[ALARM], timeline=timeline, faults=faults) as world:
        arn = world.start()
        broken = {"target": "basket:live", "record": "lock", "execution_arn": arn, "watched": "running", "plan": "{}"}
        item = {name: {"S": value} for name, value in broken.items()}
        item |= {"taken_at": {"N": str(STARTED_AT)}, "alarms": {"SS": ["errors"]}}
        client("dynamodb").put_item(TableName=world.table_name, Item=item)
        world.follow(arn)
        world.settle()
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])
        letters = client("sqs").receive_message(QueueUrl=client("sqs").list_queues()["QueueUrls"][0])["Messages"]
        assert "LedgerUnreadable" in letters[0]["Body"]
        assert "basket:live" in letters[0]["Body"]


@pytest.mark.parametrize("second", [1038.53, 1040.53])
def test_a_promotion_that_is_closed_after_the_stop_is_told_all_the_same(tell, second):
    held = {"call": "dynamodb.TransactWriteItems", "error": "held", "seconds": 15, "times": 4}
    story = tell(timeline=[{"at_second": second, "do": "stop_execution"}], faults=[held])
    assert story.alias["function_version"] == "2"
    assert "RolloutPromoted" in story.events


# A pause that is over before anybody asks why nothing was written.


@pytest.mark.parametrize(("handler", "stores"), [("shift_traffic", ":step"), ("promote", ":promoting")])
def test_a_pause_that_ends_in_the_midst_of_a_forward_step_costs_a_look_and_no_more(handler, stores):
    said = []

    def pause_and_resume(params, proceed):
        bound = params["ExpressionAttributeValues"]
        if caller.get() != handler or stores not in bound or bound.get(":step") == {"N": "0"} or said:
            return proceed()
        said.append("pause")
        say(world, "pause")
        try:
            return proceed()
        finally:
            say(world, "resume")

    two = {"steps": [{"weight": 10, "bake_seconds": 60}, {"weight": 100, "bake_seconds": 60}]}
    with world_of(two) as world:
        world.boundary.correct("dynamodb.UpdateItem", pause_and_resume)
        assert world.follow(world.start()).status == "SUCCEEDED"
        assert (said, world.routing, outcomes(world)) == (["pause"], ("2", {}), ["promoted"])


def say(world, command):
    """Somebody's word, at this very moment, in the lock: written as the command function writes it."""
    word = {"id": command, "command": command, "author": "ana", "reason": "-", "at": world.clock.now()}
    pause = {":word": {"S": json.dumps(word)}} if command == "pause" else {}
    somebody, who = caller.set(None), identity.set(None)
    try:
        client("dynamodb").update_item(
            TableName=world.table_name,
            Key={"target": {"S": "checkout:live"}, "record": {"S": "lock"}},
            UpdateExpression=("SET pause = :word" if pause else "REMOVE pause") + " ADD command_count :one",
            ExpressionAttributeValues={":one": {"N": "1"}, **pause},
        )
    finally:
        caller.reset(somebody)
        identity.reset(who)


# An answer that was lost.


def test_a_lock_that_was_taken_over_without_an_answer_is_taken():
    lost = call("dynamodb.UpdateItem", "lost_response", skip=1)
    with world_of(AT_ONCE, faults=[lost]) as world:
        client("dynamodb").put_item(
            TableName=world.table_name,
            Item={
                "target": {"S": "checkout:live"},
                "record": {"S": "lock"},
                "execution_arn": {"S": "arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:old"},
                "taken_at": {"N": "1"},
                "started_at": {"N": "1"},
                "watched": {"S": "running"},
            },
        )
        assert world.follow(world.start()).status == "SUCCEEDED"
        world.settle()
        assert outcomes(world) == ["rejected", "promoted"]


def test_a_guard_that_dies_between_closing_and_telling_tells_when_it_is_tried_again():
    """Also where a profile names the alias, so that the event does not."""
    dies = call(CLOSE, "crash_after")
    scenario = {"timeline": [stops(200)], "faults": [dies], "profiles": {"usual": {"alias_name": "live"}}}
    with World(Scenario.of(scenario), {"function_name": "checkout", "profile": "usual"}) as world:
        world.follow(world.start())
        world.settle()
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])
        assert set(told(world)) == {"RolloutRolledBack"}
