"""Whoever restores, beside promotions, later rollouts and others who restore: each undoes his own rollout alone."""

import json

import pytest

from sandbox.aws.boundary import AwsError, caller, identity
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.brief import BRIEF
from tests.workflow.several import ALARM, SMALLEST, items, later, stops

AT_ONCE = {**SMALLEST, "strategy": "AllAtOnce"}
CLOSE = "dynamodb.TransactWriteItems"
ENDS = {"RolloutPromoted", "RolloutRolledBack", "RolloutRejected", "RolloutInterrupted", "RollbackFailed"}


def lock(world):
    return next((item for item in items(world) if item["record"]["S"] == "lock"), None)


def outcomes(world, target="checkout:live"):
    """What the history says, oldest first."""
    records = sorted(
        (item for item in items(world) if item["target"]["S"] == target), key=lambda item: item["record"]["S"]
    )
    return [item["outcome"]["S"] for item in records if item["record"]["S"].startswith("history#")]


def told(world):
    return [event["detail-type"] for event in world.eventbridge.put if event["detail-type"] in ENDS]


def refused(*handlers, where=lambda _params: True):
    """A correction by which AWS refuses a call to these handlers."""

    def refuse(params, proceed):
        if caller.get() in handlers and where(params):
            raise AwsError("AccessDeniedException", "not authorized", 403)
        return proceed()

    return refuse


def by_somebody(act):
    """Done by nobody of ours: no fault strikes it, and no policy is asked."""
    somebody, who = caller.set(None), identity.set(None)
    try:
        return act()
    finally:
        caller.reset(somebody)
        identity.reset(who)


def neighbour(item):
    """The same item for another alias, basket:live, which stands before checkout:live."""
    return json.loads(json.dumps(item).replace("checkout", "basket"))


def keep(world, item):
    client("dynamodb").put_item(TableName=world.table_name, Item=item)


# Alarms of another time.


def test_an_alarm_from_before_the_rollout_is_none_of_its_own():
    """It is over when the rollout starts, and its event is five minutes on its way."""
    late = {"event": "alarm", "error": "late", "seconds": 300}
    with World(Scenario.of({"alarms": [ALARM], "faults": [late]}), {**BRIEF, "alarms": ["errors"]}) as world:
        for state in ("ALARM", "OK"):
            client("cloudwatch").set_alarm_state(AlarmName="errors", StateValue=state, StateReason="somebody sets it")
        world.clock.sleep(60)
        assert world.follow(world.start()).status == "SUCCEEDED"
        world.settle()
        assert (world.routing, outcomes(world)) == (("2", {}), ["promoted"])


# A rollout beside the remains of another one.


def test_the_sweeper_leaves_the_weight_of_a_rollout_that_runs():
    """The one before it ended a moment ago, had the same version as its candidate, and set the same weight."""
    again = {"at_second": 90, "do": "start_execution", "request": {**BRIEF, "version": "2"}}
    abort = {"at_second": 30, "do": "command", "command": "abort"}
    with World(Scenario.of({"timeline": [abort, again]}), BRIEF) as world:
        world.follow(world.start())
        world.clock.sleep(150)
        world.settle()
        assert [weights for _, (_, weights) in world.routings if weights] == [{"2": 0.1}, {"2": 0.1}, {"2": 1.0}]
        assert (world.routing, outcomes(world)) == (("2", {}), ["rolled_back", "promoted"])


def test_a_restorer_who_comes_late_leaves_a_later_rollout_alone():
    """The guard of a stop is so slow to mark the lock that the next rollout has it by then, and traffic too."""

    def slowly(_params, proceed):
        if caller.get() == "guard_execution":
            world.clock.sleep(12)
        return proceed()

    again = {"at_second": 31, "do": "start_execution", "request": {**BRIEF, "version": "2"}}
    with World(Scenario.of({"timeline": [stops(30), again]}), BRIEF) as world:
        world.boundary.correct("dynamodb.UpdateItem", slowly)
        world.follow(world.start())
        world.clock.sleep(150)
        world.settle()
        assert [weights for _, (_, weights) in world.routings if weights] == [{"2": 0.1}, {"2": 0.1}, {"2": 1.0}]
        assert (world.routing, outcomes(world)) == (("2", {}), ["rolled_back", "promoted"])


def test_the_sweeper_asks_the_lock_itself_whose_it_is():
    """The index goes on showing the lock of the rollout that was stopped, while the next one has it."""
    shown = []

    def stale(params, proceed):
        if caller.get() != "sweep" or "running" not in json.dumps(params):
            return proceed()
        answer = proceed()
        if not shown and answer["Items"]:
            shown.append(answer)
        return shown[0] if shown else answer

    again = {"at_second": 46, "do": "start_execution", "request": {**BRIEF, "version": "2"}}
    with World(Scenario.of({"timeline": [stops(45), again]}), BRIEF) as world:
        world.boundary.correct("dynamodb.Query", stale)
        world.follow(world.start())
        world.clock.sleep(400)
        world.settle()
        assert shown, "nothing was stale"
        assert (world.routing, outcomes(world)) == (("2", {}), ["rolled_back", "promoted"])


@pytest.mark.parametrize(
    ("touched", "ends"), [(False, ("RolledBack", ("1", {}))), (True, ("Interrupted", ("1", {"2": 0.1})))]
)
def test_who_no_longer_has_the_lock_restores_only_what_nobody_has_written_since(touched, ends):
    """The candidate does harm, and the lock is another execution's: only the revision says whose the weight is."""

    def lose():
        hand_over(world)
        if touched:
            client("lambda").update_alias(FunctionName="checkout", Name="live")

    long = {**SMALLEST, "steps": [{"weight": 10, "bake_seconds": 600}, {"weight": 100, "bake_seconds": 600}]}
    with World(Scenario.of({"candidate": {"error_rate": 0.5}}), long) as world:
        arn = world.start()
        later(world, 150, lose)
        end = world.follow(arn)
        assert (end.error, world.routing) == ends


def test_a_weight_that_is_recorded_before_the_mark_does_not_outlive_the_restore():
    """Stopped while ShiftTraffic sets the first weight. The guard finds the alias at the revision of the last look, and
    writes; ShiftTraffic, refused for that, finds it as it was and writes again; and only then the guard marks the lock.
    """
    wrote = []

    def writes(_params, proceed):
        who = caller.get()
        if who == "shift_traffic" and not wrote:
            by_somebody(lambda: client("stepfunctions").stop_execution(executionArn=arn))
        while who == "shift_traffic" and not wrote:
            world.clock.sleep(0.1)  # on its way until the guard has written
        wrote.append(who)
        return proceed()

    def marks(params, proceed):
        while caller.get() == "guard_execution" and ":why" in str(params) and wrote.count("shift_traffic") < 2:
            world.clock.sleep(0.1)  # on its way until ShiftTraffic has written again
        return proceed()

    gated = {"weight": 100, "bake_seconds": 300, "approval": {"timeout_seconds": 1200}}
    approved = {"at_second": 60, "do": "command", "command": "approve"}
    with World(Scenario.of({"timeline": [approved]}), {**SMALLEST, "steps": [gated]}) as world:
        world.boundary.correct("lambda.UpdateAlias", writes)
        world.boundary.correct("dynamodb.UpdateItem", marks)
        arn = world.start()
        world.follow(arn)
        world.settle()
        assert wrote[:3] == ["guard_execution", "shift_traffic", "shift_traffic"]
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])
        (split_at, split), (whole_at, _) = world.routings[-2:]
        assert (split, whole_at - split_at < 1) == (("1", {"2": 1.0}), True)


def test_who_no_longer_has_the_lock_before_any_traffic_is_interrupted():
    def handed_over(_params, proceed):
        by_somebody(lambda: hand_over(world))
        return proceed()

    with World(Scenario.of({}), BRIEF) as world:
        world.boundary.correct("lambda.PublishVersion", handed_over)
        end = world.follow(world.start())
        assert (end.error, world.routing) == ("Interrupted", ("1", {}))


@pytest.mark.parametrize(
    ("touched", "ends"), [(False, (("1", {}), ["rolled_back"])), (True, (("1", {"2": 0.1}), ["interrupted"]))]
)
def test_a_guard_that_loses_the_lock_restores_only_what_nobody_has_written_since(touched, ends):
    """Before it can mark the lock, that is another execution's: only the revision says whose the weight is."""
    handed = []

    def handed_over(_params, proceed):
        if caller.get() == "guard_execution" and not handed:
            handed.append(by_somebody(lambda: hand_over(world)))
            if touched:
                by_somebody(lambda: client("lambda").update_alias(FunctionName="checkout", Name="live"))
        return proceed()

    with World(Scenario.of({"timeline": [stops(30)]}), BRIEF) as world:
        world.boundary.correct("lambda.UpdateAlias", handed_over)
        world.follow(world.start())
        world.clock.sleep(5)
        assert handed, "no guard came"
        assert (world.routing, outcomes(world)) == ends


def hand_over(world):
    """Somebody has deleted the lock, and another execution has taken it."""
    held = lock(world)
    keep(world, {**held, "execution_arn": {"S": held["execution_arn"]["S"] + "-another"}})


# One that fails, and the others after it.


def test_the_sweep_goes_on_where_one_rollout_cannot_be_settled():
    lost = {"event": "execution", "error": "lost", "times": "always"}
    with World(Scenario.of({"timeline": [stops(100)], "faults": [lost]}), BRIEF) as world:
        world.boundary.correct(
            "lambda.*Alias", refused("sweep", where=lambda params: params["FunctionName"] == "basket")
        )
        later(world, 99, lambda: keep(world, neighbour(lock(world))))
        world.follow(world.start())
        world.settle()
        assert (world.routing, outcomes(world)) == (("1", {}), ["rolled_back"])
        assert lock(world)["target"]["S"] == "basket:live", "the first one fails"


def test_the_sweep_goes_on_where_one_alias_cannot_be_looked_at():
    """Of two rollouts that ended, the first one's alias cannot be read; the other's is split again by a late write."""
    late = {"at_second": 300, "do": "update_alias", "function_version": "1", "weights": {"2": 0.1}}
    abort = {"at_second": 30, "do": "command", "command": "abort"}
    with World(Scenario.of({"timeline": [abort, late]}), {**BRIEF, "version": "2"}) as world:
        world.boundary.correct(
            "lambda.*Alias", refused("sweep", where=lambda params: params["FunctionName"] == "basket")
        )
        world.follow(world.start())
        (ended,) = (item for item in items(world) if item["record"]["S"].startswith("history#"))
        keep(world, neighbour(ended))
        world.clock.sleep(300)
        world.settle()
        assert (world.routings[-2][1], world.routing) == (("1", {"2": 0.1}), ("1", {}))


# What may not be written.


@pytest.mark.parametrize(
    ("handlers", "timeline"),
    [
        (("shift_traffic", "roll_back"), []),
        (("roll_back",), [{"at_second": 30, "do": "update_alias", "function_version": "1", "weights": {}}]),
    ],
    ids=["no weight was ever set", "somebody restored it"],
)
def test_a_stable_version_that_serves_already_needs_no_leave_to_restore_it(handlers, timeline):
    with World(Scenario.of({"timeline": timeline}), BRIEF) as world:
        world.boundary.correct("lambda.UpdateAlias", refused(*handlers))
        end = world.follow(world.start())
        world.settle()
        assert (end.error, world.routing, told(world)) == ("RolledBack", ("1", {}), ["RolloutRolledBack"])
        assert lock(world) is None


def test_a_guard_that_finds_the_stable_version_needs_no_leave_either():
    """The alarm's guard has restored it, and could not say so; then the rollout is stopped before it looks."""
    fires = {"at_second": 20, "do": "set_alarm", "name": "errors", "state": "ALARM"}
    scenario = Scenario.of({"alarms": [ALARM], "timeline": [fires, stops(40)]})
    with World(scenario, {**BRIEF, "alarms": ["errors"]}) as world:
        unsaid = refused("guard_alarm", where=lambda params: "restored" in json.dumps(params))
        world.boundary.correct("dynamodb.UpdateItem", unsaid)
        world.boundary.correct("lambda.UpdateAlias", refused("guard_execution", "sweep"))
        world.follow(world.start())
        world.settle()
        assert world.routings[-1][0] - STARTED_AT < 25
        assert (world.routing, outcomes(world), told(world)) == (("1", {}), ["rolled_back"], ["RolloutRolledBack"])


def test_who_cannot_restore_says_so_and_how_a_person_does():
    with World(Scenario.of({"timeline": [stops(30)]}), BRIEF) as world:
        world.boundary.correct("lambda.UpdateAlias", refused("guard_execution", "sweep"))
        world.follow(world.start())
        world.settle()
        assert world.routing == ("1", {"2": 0.1})
        failed = [event for event in world.eventbridge.put if event["detail-type"] == "RollbackFailed"]
        assert len(failed) == 1
        assert "aws lambda update-alias" in failed[0]["detail"]["cause"]
        assert (outcomes(world), lock(world) is not None) == (["rollback_failed"], True)


# A promotion, and somebody who restores.


def test_a_promotion_whose_rollout_somebody_restored_and_closed_meanwhile_is_not_told():
    def restored(_params, proceed):
        if caller.get() == "promote" and not done:
            done.append(by_somebody(lambda: restore_and_close(world)))
        return proceed()

    done = []
    with World(Scenario.of({}), AT_ONCE) as world:
        world.boundary.correct(CLOSE, restored)
        end = world.follow(world.start())
        world.settle()
        assert done, "it never promoted"
        assert (end.status, end.error, world.routing) == ("FAILED", "RolledBack", ("1", {}))
        assert outcomes(world) == ["rolled_back"]
        assert "RolloutPromoted" not in told(world)


def restore_and_close(world):
    """As the sweeper does that takes an execution for gone."""
    held = lock(world)
    client("lambda").update_alias(
        FunctionName="checkout", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}}
    )
    plan = json.loads(held["plan"]["S"])
    document = {"plan": plan, "candidate": "2", "outcome": "rolled_back", "cause": "gone", "proven": None}
    keep(
        world,
        {
            "target": held["target"],
            "record": {"S": f"history#2026-01-05T12:00:00Z#{plan['rollout_id']}"},
            "execution_arn": held["execution_arn"],
            "outcome": {"S": "rolled_back"},
            "cause": {"S": "gone"},
            "document": {"S": json.dumps({**document, "verdicts": [], "commands": [], "ended_at": STARTED_AT})},
        },
    )
    key = {name: held[name] for name in ("target", "record")}
    return client("dynamodb").delete_item(TableName=world.table_name, Key=key)


def test_a_promotion_that_is_restored_while_its_books_cannot_be_closed_is_not_told():
    """The alarm's guard marks the lock and restores at Promote's very last attempt to close."""
    error, routing, attempts = promoted_without_books(fires_at=None)
    assert (error, routing) == (None, ("2", {}))
    assert promoted_without_books(fires_at=attempts)[:2] == ("RolledBack", ("1", {}))


def promoted_without_books(fires_at):
    """How a promotion ends whose books cannot be closed, its alias, and how often it tries; an alarm fires then."""
    attempts = []

    def unwritable(_params, proceed):
        if caller.get() != "promote":
            return proceed()
        attempts.append(world.clock.now())
        if len(attempts) == fires_at:
            firing = {"AlarmName": "errors", "StateValue": "ALARM", "StateReason": "somebody sets it"}
            by_somebody(lambda: client("cloudwatch").set_alarm_state(**firing))
            world.clock.sleep(3)
        raise AwsError("InternalServerError", "it is not there now", 500)

    with World(Scenario.of({"alarms": [ALARM]}), {**AT_ONCE, "alarms": ["errors"]}) as world:
        world.boundary.correct(CLOSE, unwritable)
        end = world.follow(world.start())
        world.settle()
        assert ("RolloutPromoted" in told(world)) == (end.error is None)
        return end.error, world.routing, len(attempts)


@pytest.mark.parametrize("minutes", [3, 10])
def test_a_promotion_that_is_closed_stays_where_the_lock_cannot_be_asked(minutes):
    """Stopped once the books were closed; the guard comes late, can read no lock and mark none, but read the books."""

    def about_the_lock(params):
        return "lock" in json.dumps(params["Key"])

    with World(
        Scenario.of({"faults": [{"event": "execution", "error": "late", "seconds": 60 * minutes}]}), AT_ONCE
    ) as world:

        def stopped(_params, proceed):
            answer = proceed()
            if caller.get() == "promote":
                by_somebody(lambda: client("stepfunctions").stop_execution(executionArn=arn))
            return answer

        world.boundary.correct(CLOSE, stopped)
        for name in ("dynamodb.GetItem", "dynamodb.UpdateItem"):
            world.boundary.correct(name, refused("guard_execution", where=about_the_lock))
        arn = world.start()
        assert world.follow(arn).status == "ABORTED"
        world.settle()
        assert (world.routing, outcomes(world)) == (("2", {}), ["promoted"])
        assert set(told(world)) == {"RolloutPromoted"}
