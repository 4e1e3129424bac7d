"""Restoring: what is taken back, what is left as found, and who may restore when nobody knows whose the alias is."""

from contextvars import Context
from dataclasses import replace

import pytest

from sandbox.aws.boundary import AwsError
from sandbox.world import STARTED_AT
from tests import plans
from tests.aws.records import ended
from tidegate.alias import Alias
from tidegate.application.restoration import attempt_at_once, intend, restore
from tidegate.aws import aliases, history, ledger, locks
from tidegate.ending.restore_intent import Holder, RestoreIntent
from tidegate.ending.snapshot import Restored, RolloutSnapshot
from tidegate.errors import AliasMoved, AliasNotFound, AwsUnavailable, LockLost, PermissionDenied
from tidegate.planning.strategy import Step
from tidegate.routing import Routing

LIVE = Alias("checkout", "live")

PLAN = replace(plans.PLAN, started_at=STARTED_AT, steps=(Step(10, 60), Step(50, 60), Step(100, 60)))
LATER = replace(PLAN, rollout_id="later", execution_arn=PLAN.execution_arn + "-later")
WHY = "the candidate fails"
#: Publishes versions 2 and 3 and leaves the alias between 1 and 2.
SPLIT = {"alias": {"weights": {"2": 0.1}}, "versions": {"3": {}}}
PROMOTED = {"alias": {"function_version": "2", "weights": {"1": 1.0}}, "versions": {"3": {}}}
#: A partial update of the alias by somebody else has left the weight.
THEIRS = {"alias": {"function_version": "3", "weights": {"2": 0.1}}}


def fault(error, call="lambda.UpdateAlias", **more):
    return {"faults": [{"call": call, "error": error, **more}]}


def read():
    return aliases.read(LIVE)


def held(step=0, *, revision=True, promoting=False):
    """A lock of this rollout whose last weight was that step's, and what it says."""
    ledger.take_lock(PLAN.target, PLAN.execution_arn, STARTED_AT)
    ledger.record_plan(PLAN)
    ledger.record_candidate(PLAN, "2")
    for number in range(step + 1):
        ledger.record_shift(PLAN, number, PLAN.steps[number].weight_percent)
    if revision:
        ledger.record_revision(PLAN, Context().run(read).revision_id)
    if promoting:
        ledger.record_promotion(PLAN)
    return intend(RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=promoting), WHY)


def unknown(**changes):
    return RestoreIntent(RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=False, **changes), Holder.UNKNOWN)


@pytest.fixture
def move(somebody):
    """Somebody else's word on the alias."""

    def update(version, **weights):
        routing = {"AdditionalVersionWeights": {name[1:]: weight for name, weight in weights.items()}}
        somebody(
            "lambda.update_alias", FunctionName="checkout", Name="live", FunctionVersion=version, RoutingConfig=routing
        )

    return update


def calls(world):
    return {name: count for name, count in world.boundary.calls.items() if name.startswith("lambda.")}


# Ours.


def test_an_alias_that_is_as_this_rollout_left_it_is_restored_without_reading_it(inhabit):
    world = inhabit(**SPLIT)
    intent = held()
    before = calls(world).get("lambda.GetAlias", 0)
    assert restore(intent, WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})
    assert calls(world)["lambda.UpdateAlias"] == 1
    assert calls(world).get("lambda.GetAlias", 0) == before


@pytest.mark.parametrize("weight", [0.1, 0.77, 1.0])
@pytest.mark.parametrize("revision", [False, True])
def test_any_split_of_the_two_versions_is_ended(inhabit, move, weight, revision):
    """Also at a weight that somebody changed by hand: it still splits our two versions."""
    world = inhabit(**SPLIT)
    intent = held(revision=revision)
    move("1", v2=weight)
    assert restore(intent, WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})


def test_a_stable_version_that_serves_alone_already_is_written_all_the_same(inhabit):
    """The write fences off a forward write that is still in flight."""
    world = inhabit(versions={"2": {}})
    intent = held(revision=False)
    in_flight = read().revision_id
    restore(intent, WHY, ended_at=None)
    assert aliases.write(LIVE, Routing.split("1", "2", 10), in_flight) is None
    assert world.routing == ("1", {})


def test_a_fence_that_is_denied_is_no_reason_to_call_a_person(inhabit):
    inhabit(versions={"2": {}}, **fault("AccessDeniedException", times="always"))
    assert restore(held(revision=False), WHY, ended_at=None) == Restored()


def test_a_fence_at_a_known_revision_that_is_denied_is_none_either(inhabit):
    inhabit(versions={"2": {}}, **fault("AccessDeniedException", times="always"))
    assert restore(held(), WHY, ended_at=None) == Restored()


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterValueException"])
def test_a_refusal_at_a_known_revision_is_no_failure_where_the_alias_is_somebody_elses(inhabit, move, code):
    world = inhabit(**SPLIT, **fault(code, times="always"))
    intent = held()
    move("1", v3=0.2)
    with pytest.raises(AliasMoved, match="left as found"):
        restore(intent, WHY, ended_at=None)
    assert world.routing == ("1", {"3": 0.2})


def test_a_fence_that_got_no_answer_is_none(inhabit):
    """A forward write may still be in flight: that the stable version serves alone now is not enough."""
    inhabit(versions={"2": {}}, **fault("TooManyRequestsException", times="always"))
    with pytest.raises(AwsUnavailable):
        restore(held(), WHY, ended_at=None)


def test_a_refusal_is_told_as_that_with_the_ledger_silent(inhabit):
    inhabit(**SPLIT, faults=[SILENT, {"call": "lambda.UpdateAlias", "error": "AccessDeniedException"}])
    with pytest.raises(PermissionDenied):
        restore(unknown(revision_id=read().revision_id), WHY, ended_at=None)


@pytest.mark.parametrize("revision", [False, True])
def test_a_restore_that_is_denied_is_told_apart_from_one_that_could_not_be(inhabit, revision):
    world = inhabit(**SPLIT)
    intent = held(revision=revision)

    def refuse(_params, _proceed):
        raise AwsError("AccessDeniedException", "not authorized to perform: lambda:UpdateAlias", 403)

    world.boundary.correct("lambda.UpdateAlias", refuse)
    with pytest.raises(PermissionDenied, match="not authorized to perform: lambda:UpdateAlias"):
        restore(intent, WHY, ended_at=None)


def test_a_restore_whose_response_was_lost_is_a_success(inhabit):
    world = inhabit(**SPLIT, **fault("lost_response"))
    assert restore(held(), WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})


def test_restoring_gives_up_for_now_where_the_alias_never_keeps_still(inhabit):
    world = inhabit(**SPLIT, **fault("PreconditionFailedException", times="always"))
    with pytest.raises(AwsUnavailable, match="checkout:live changes faster than it can be restored"):
        restore(held(), WHY, ended_at=None)
    assert world.routing == ("1", {"2": 0.1})


@pytest.mark.parametrize("alias", [PROMOTED["alias"], {"function_version": "2"}])
def test_a_promotion_is_undone_by_naming_the_stable_version(inhabit, alias):
    """Clearing the weights of candidate + {stable: 1.0} would promote."""
    world = inhabit(**{**PROMOTED, "alias": alias})
    assert restore(held(2, promoting=True), WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})


def test_restoring_works_while_lambda_moves_provisioned_concurrency(inhabit, somebody):
    """A promotion of an alias with provisioned concurrency: terraform-provider-aws, #48116."""
    world = inhabit(alias={"provisioned_concurrency": 5}, versions={"2": {}})
    somebody("lambda.update_alias", FunctionName="checkout", Name="live", FunctionVersion="2")
    assert read().routing == Routing.split("2", "1", 100.0)
    restore(held(2, revision=False, promoting=True), WHY, ended_at=None)
    world.clock.sleep(600)
    assert read().routing == Routing.alone("1")


# Theirs.


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_weight_of_ours_on_somebody_elses_version_is_cleared_and_his_version_stays(inhabit, step):
    weight = PLAN.steps[step].weight_percent / 100
    world = inhabit(alias={"function_version": "3", "weights": {"2": weight}})
    done = restore(held(step, revision=False), WHY, ended_at=None)
    assert world.routing == ("3", {})
    assert f"served version 3 with {100 * weight:g} % to version 2" in done.theirs
    assert "version 3 serves alone" in done.theirs


@pytest.mark.parametrize(
    ("step", "promoting", "alias"),
    [
        (0, False, {"function_version": "3"}),
        (0, False, {"function_version": "3", "weights": {"1": 0.1}}),
        (0, False, {"function_version": "3", "weights": {"2": 0.2}}),
        (0, False, {"function_version": "3", "weights": {"2": 0.5}}),
        (0, False, {"function_version": "2"}),
        (0, False, PROMOTED["alias"]),
        (0, False, {"weights": {"3": 0.1}}),
        (2, True, {"function_version": "3", "weights": {"2": 1.0}}),
    ],
    ids=[
        "his version alone",
        "his version and our stable one",
        "another weight",
        "a weight that is set later",
        "the candidate, by hand",
        "the candidate, handed over",
        "his own canary",
        "once the candidate was promoted",
    ],
)
def test_what_this_rollout_did_not_write_is_left_as_found(inhabit, step, promoting, alias):
    world = inhabit(alias=alias, versions={"3": {}})
    intent = held(step, revision=False, promoting=promoting)
    found, routing = read(), world.routing
    with pytest.raises(AliasMoved, match="did not write: left as found"):
        restore(intent, WHY, ended_at=None)
    assert (read(), world.routing) == (found, routing)
    assert "lambda.UpdateAlias" not in calls(world)


def test_lambdas_own_handover_of_provisioned_concurrency_is_no_weight_of_ours(inhabit):
    world = inhabit(alias={"function_version": "3", "weights": {"2": 1.0}})
    intent = held(2, revision=False)
    provisioned = replace(intent.snapshot, plan=replace(PLAN, provisioned=True))
    ledger.record_plan(replace(PLAN, provisioned=True))
    with pytest.raises(AliasMoved):
        restore(replace(intent, snapshot=provisioned), WHY, ended_at=None)
    assert world.routing == ("3", {"2": 1.0})


def test_whoever_moves_the_alias_between_the_read_and_the_write_has_the_last_word(inhabit, move):
    world = inhabit(**SPLIT)
    intent = held(revision=False)
    moves = [lambda: move("3")]

    def meanwhile(_params, proceed):
        if moves:
            moves.pop()()
        return proceed()

    world.boundary.correct("lambda.UpdateAlias", meanwhile)
    with pytest.raises(AliasMoved, match="serves version 3 alone"):
        restore(intent, WHY, ended_at=None)
    assert world.routing == ("3", {})


def test_an_alias_that_was_deleted_is_told_as_that(inhabit, somebody):
    inhabit(**SPLIT)
    intent = held()
    somebody("lambda.delete_alias", FunctionName="checkout", Name="live")
    with pytest.raises(AliasNotFound):
        restore(intent, WHY, ended_at=None)


# What was done is kept.


def test_what_was_restored_is_not_restored_again(inhabit, move):
    """Whoever splits the alias since has a reason to: it is not this rollout's any more."""
    world = inhabit(**SPLIT)
    attempt_at_once(held(), WHY)
    move("1", v2=0.3)
    again = intend(RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=False), "what followed")
    assert (again.snapshot.restored, again.snapshot.restoring) == (Restored(), WHY)
    assert restore(again, WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {"2": 0.3})


def test_what_was_cleared_is_said_again_by_who_comes_later(inhabit):
    inhabit(**THEIRS)
    done = attempt_at_once(held(revision=False), WHY)
    again = intend(RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=False), "what followed")
    assert restore(again, WHY, ended_at=None) == done
    assert "version 3 serves alone" in done.theirs


# Whose it is.


def test_a_restorer_that_comes_late_changes_nothing_of_a_later_rollout(inhabit, move):
    world = inhabit(**SPLIT)
    intent = held()
    history.finalize(*ended("rolled_back", WHY, plan=PLAN), STARTED_AT + 5)
    ledger.take_lock(LATER.target, LATER.execution_arn, STARTED_AT + 6)
    move("1", v2=0.1)
    done = restore(intent, WHY, ended_at=None)
    assert (done.outcome, done.cause) == ("rolled_back", WHY)
    assert world.routing == ("1", {"2": 0.1})


def test_a_lock_that_another_rollout_has_is_respected_without_the_books(inhabit, move):
    world = inhabit(**SPLIT)
    intent = held()
    ledger.take_lock(LATER.target, LATER.execution_arn, STARTED_AT + 6, ended_holder=PLAN.execution_arn)
    move("1", v2=0.1)
    for late in (intent, intend(intent.snapshot, WHY)):
        with pytest.raises(LockLost, match="another rollout of checkout:live has its lock"):
            restore(late, WHY, ended_at=None)
    assert world.routing == ("1", {"2": 0.1})


def test_a_lock_that_a_person_deleted_leaves_the_alias_to_who_last_had_it(inhabit, somebody):
    world = inhabit(**SPLIT)
    intent = held()
    key = {"target": {"S": PLAN.target}, "record": {"S": "lock"}}
    somebody("dynamodb.delete_item", TableName=world.table_name, Key=key)
    freed = intend(intent.snapshot, WHY)
    assert (freed.holder, freed.recorded) == (Holder.NOBODY, None)
    assert restore(freed, WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})


@pytest.mark.parametrize("call", ["dynamodb.GetItem", "dynamodb.UpdateItem"])
def test_a_lock_that_is_not_ours_is_never_unknown(inhabit, move, call):
    """Its condition has failed: whoever has it, it is not this rollout, though nothing else answers."""
    world = inhabit(**SPLIT)
    intent = held()
    ledger.take_lock(LATER.target, LATER.execution_arn, STARTED_AT + 6, ended_holder=PLAN.execution_arn)
    move("1", v2=0.1)
    world.boundary.correct(call, refuse)
    late = intend(intent.snapshot, WHY)
    assert late.holder is {"dynamodb.GetItem": Holder.NOT_OURS, "dynamodb.UpdateItem": Holder.ANOTHER}[call]
    with pytest.raises((AwsUnavailable, LockLost)):
        restore(late, WHY, ended_at=None, is_alone=lambda: True)
    assert world.routing == ("1", {"2": 0.1})


def refuse(_params, _proceed):
    raise AwsError("AccessDeniedException", "not authorized", 400)


def test_a_lock_that_can_be_read_and_not_written_says_whose_the_alias_is(inhabit):
    world = inhabit(**SPLIT)
    intent = held(revision=False)
    world.boundary.correct("dynamodb.UpdateItem", refuse)
    late = intend(intent.snapshot, WHY)
    assert (late.holder, late.in_lock) == (Holder.OURS, False)
    assert restore(late, WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})


def test_a_promotion_is_not_undone_by_who_could_only_read_the_lock(inhabit):
    world = inhabit(**PROMOTED)
    intent = held(2, promoting=True)
    world.boundary.correct("dynamodb.UpdateItem", refuse)
    with pytest.raises(AwsUnavailable, match="its lock cannot be marked"):
        restore(intend(intent.snapshot, WHY), WHY, ended_at=None)
    assert world.routing == ("2", {"1": 1.0})


def test_a_lock_of_an_earlier_tidegate_says_the_last_weight(inhabit, somebody):
    """It has no list of all that were set: a rollout may take weeks, and its guards are newer than it is."""
    world = inhabit(**THEIRS)
    held(revision=False)
    somebody(
        "dynamodb.update_item",
        TableName=world.table_name,
        Key={"target": {"S": PLAN.target}, "record": {"S": "lock"}},
        UpdateExpression="REMOVE weights",
    )
    done = restore(intend(RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=False), WHY), WHY, ended_at=None)
    assert (world.routing, "version 3 serves alone" in done.theirs) == (("3", {}), True)


SILENT = {"call": "dynamodb.*", "error": "AccessDeniedException", "times": "always"}


def test_with_the_ledger_silent_nobody_writes_but_who_knows_that_it_is_his(inhabit):
    world = inhabit(**SPLIT, faults=[SILENT])
    with pytest.raises(AwsUnavailable, match="while the ledger is silent"):
        restore(unknown(), WHY, ended_at=None)
    assert world.routing == ("1", {"2": 0.1})
    assert restore(unknown(), WHY, ended_at=None, is_alone=lambda: True) == Restored()
    assert world.routing == ("1", {})


def test_with_the_ledger_silent_a_revision_that_is_known_says_whose_the_alias_is(inhabit):
    world = inhabit(**SPLIT, faults=[SILENT])
    revision_id = read().revision_id
    assert restore(unknown(revision_id=revision_id), WHY, ended_at=None) == Restored()
    assert world.routing == ("1", {})


def test_a_promotion_that_nobody_could_mark_is_undone_only_if_it_is_not_closed(inhabit):
    inhabit(**PROMOTED)
    found = RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=True)
    ended_at = STARTED_AT - 200
    with pytest.raises(AwsUnavailable, match="its lock cannot be marked"):
        restore(RestoreIntent(found, Holder.NOBODY), WHY, ended_at=None)
    with pytest.raises(AwsUnavailable, match="may still be in flight"):
        restore(RestoreIntent(found, Holder.NOBODY), WHY, ended_at=STARTED_AT - 100)
    history.finalize(*ended("promoted", "good", proven=True, plan=PLAN), STARTED_AT)
    assert restore(RestoreIntent(found, Holder.NOBODY), WHY, ended_at=ended_at).outcome == "promoted"


def test_a_promotion_that_nobody_intent_or_closed_is_undone_in_the_end(inhabit):
    world = inhabit(**PROMOTED)
    found = RolloutSnapshot(PLAN, "2", traffic_shifted=True, promoting=True)
    assert restore(RestoreIntent(found, Holder.NOBODY), WHY, ended_at=STARTED_AT - 200) == Restored()
    assert world.routing == ("1", {})


def test_the_lock_keeps_what_a_restorer_must_know(inhabit):
    inhabit(**SPLIT)
    held(1)
    lock = locks.read(PLAN.target)
    assert (lock.weights, lock.revision_id) == (frozenset({10.0, 50.0}), Context().run(read).revision_id)
    assert (lock.restoring, lock.restored) == (WHY, None)
