"""The alias as AWS keeps it: what is read, what a write and a restore leave, and when they keep their hands off."""

import pytest

from aws import aliases
from rollout.errors import AliasMoved, AliasNotFound, AwsRefused, AwsUnavailable, FunctionUpdating, PermissionDenied
from rollout.routing import Routing
from sandbox.boundary import AwsError

STABLE, CANDIDATE = "1", "2"
#: Publishes version 2 and leaves the alias between both.
SPLIT = {"alias": {"function_version": STABLE, "weights": {CANDIDATE: 0.1}}}
#: What Lambda itself shows for a while after Promote where the alias has provisioned concurrency.
PROMOTED = {"alias": {"function_version": CANDIDATE, "weights": {STABLE: 1.0}}}


def fault(error, call="lambda.UpdateAlias", **more):
    return {"faults": [{"call": call, "error": error, **more}]}


@pytest.fixture
def publish(somebody):
    """Publish what is in $LATEST: version 2 of a function that has one version."""
    return lambda: somebody("lambda.publish_version", FunctionName="checkout")["Version"]


@pytest.fixture
def move(somebody):
    """Somebody else's word on the alias."""

    def update(version, **weights):
        routing = {"AdditionalVersionWeights": {name[1:]: weight for name, weight in weights.items()}}
        somebody(
            "lambda.update_alias", FunctionName="checkout", Name="live", FunctionVersion=version, RoutingConfig=routing
        )

    return update


def read():
    return aliases.read("checkout", "live")


def write(desired, revision_id):
    return aliases.write("checkout", "live", desired, revision_id)


def restore(candidate=CANDIDATE, **how):
    return aliases.restore("checkout", "live", STABLE, candidate, **how)


# Reading.


def test_an_alias_on_one_version_reads_as_that_version_alone(inhabit):
    inhabit()
    assert read().routing == Routing.alone("1")


@pytest.mark.parametrize(("fraction", "percent"), [(0.005, 0.5), (0.1234, 12.34), (0.07, 7.0), (1.0, 100.0)])
def test_a_weight_is_read_as_percent(inhabit, fraction, percent):
    inhabit(alias={"weights": {"2": fraction}})
    assert read().routing == Routing.split("1", "2", percent)


def test_an_additional_version_of_weight_zero_is_still_a_split(inhabit):
    inhabit(alias={"weights": {"2": 0.0}})
    assert read().routing == Routing.split("1", "2", 0.0)


def test_a_missing_alias_is_told_by_its_name(inhabit):
    inhabit(alias={"exists": False})
    with pytest.raises(AliasNotFound, match="function checkout has no alias live"):
        read()


def test_an_alias_that_may_not_be_read_is_no_missing_alias(inhabit):
    inhabit(**fault("AccessDeniedException", "lambda.GetAlias"))
    with pytest.raises(PermissionDenied, match="read alias checkout:live"):
        read()


# Forward writes.


@pytest.mark.parametrize(("percent", "fraction"), [(0.5, 0.005), (12.34, 0.1234), (7.0, 0.07), (100.0, 1.0)])
def test_a_percent_goes_out_as_a_fraction_and_comes_back_the_same(inhabit, publish, percent, fraction):
    world = inhabit()
    publish()
    desired = Routing.split("1", "2", percent)
    written = write(desired, read().revision_id)
    assert world.routing == ("1", {"2": fraction})
    assert written.routing == read().routing == desired


def test_every_write_gives_the_revision_that_the_next_one_must_name(inhabit, publish):
    world = inhabit()
    publish()
    first = write(Routing.split("1", "2", 10), read().revision_id)
    second = write(Routing.split("1", "2", 50), first.revision_id)
    assert second.revision_id == read().revision_id != first.revision_id
    assert world.routing == ("1", {"2": 0.5})


def test_promoting_clears_the_weights_in_the_same_call(inhabit):
    world = inhabit(**SPLIT)
    written = write(Routing.alone("2"), read().revision_id)
    assert written.routing == Routing.alone("2")
    assert world.routing == ("2", {})
    assert world.boundary.calls["lambda.UpdateAlias"] == 1


@pytest.mark.parametrize("desired", [Routing.split("1", "2", 50), Routing.alone("2")])
def test_a_write_whose_response_was_lost_is_a_success(inhabit, desired):
    world = inhabit(**SPLIT, **fault("lost_response"))
    written = write(desired, read().revision_id)
    assert written == read()
    assert written.routing == desired
    assert world.boundary.calls["lambda.UpdateAlias"] == 2


def test_a_write_at_an_old_revision_is_a_success_where_the_alias_is_as_desired(inhabit, move):
    world = inhabit(**SPLIT)
    before = read()
    move("1", v2=0.5)
    written = write(Routing.split("1", "2", 50), before.revision_id)
    assert written == read()
    assert world.boundary.calls["lambda.UpdateAlias"] == 1


@pytest.mark.parametrize("left", [("1", {"v2": 0.3}), ("1", {}), ("2", {})])
def test_a_write_to_an_alias_that_somebody_else_moved_writes_nothing(inhabit, move, left):
    world = inhabit(**SPLIT)
    before = read()
    version, weights = left
    move(version, **weights)
    found, routing = read(), world.routing
    with pytest.raises(
        AliasMoved, match=r"checkout:live should get version 1 with 50 % to version 2, and was written to"
    ):
        write(Routing.split("1", "2", 50), before.revision_id)
    assert (read(), world.routing) == (found, routing)
    assert world.boundary.calls["lambda.UpdateAlias"] == 1


def test_a_write_is_tried_four_times_while_lambda_throttles(inhabit, publish):
    world = inhabit(**fault("TooManyRequestsException", times=3))
    publish()
    assert write(Routing.split("1", "2", 10), read().revision_id).routing == Routing.split("1", "2", 10)
    assert world.boundary.calls["lambda.UpdateAlias"] == 4


def test_a_write_that_lambda_goes_on_throttling_is_to_be_tried_again_later(inhabit, publish):
    world = inhabit(**fault("TooManyRequestsException", times="always"))
    publish()
    with pytest.raises(AwsUnavailable, match="route checkout:live to version 1 with 10 % to version 2"):
        write(Routing.split("1", "2", 10), read().revision_id)
    assert world.routing == ("1", {})


def test_a_version_that_lambda_does_not_know_is_refused_with_its_code(inhabit):
    world = inhabit()
    with pytest.raises(AwsRefused) as refused:
        write(Routing.split("1", "9", 10), read().revision_id)
    assert refused.value.code == "ResourceNotFoundException"
    assert world.routing == ("1", {})


# Restoring.


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.77, 1.0])
def test_restoring_ends_any_split_of_the_two_versions(inhabit, weight):
    """Also at a weight that somebody changed by hand."""
    world = inhabit(alias={"weights": {"2": weight}})
    assert restore().routing == Routing.alone("1")
    assert world.routing == ("1", {})


@pytest.mark.parametrize("candidate", [None, "2"])
def test_restoring_writes_where_the_stable_version_serves_alone_already(inhabit, candidate):
    world = inhabit()
    before = read()
    after = restore(candidate)
    assert world.boundary.calls["lambda.UpdateAlias"] == 1
    assert after.routing == before.routing
    assert after.revision_id == read().revision_id != before.revision_id


def test_restoring_fences_off_a_forward_write_that_is_still_in_flight(inhabit, publish):
    world = inhabit()
    publish()
    in_flight = read().revision_id
    restore()
    with pytest.raises(AliasMoved):
        write(Routing.split("1", "2", 10), in_flight)
    assert world.routing == ("1", {})


def test_a_held_forward_write_that_arrives_after_the_restore_changes_nothing(inhabit, publish):
    world = inhabit(**fault("held", seconds=30))
    publish()
    in_flight = read().revision_id
    failed = []

    def shift():
        with pytest.raises(AliasMoved):
            write(Routing.split("1", "2", 10), in_flight)
        failed.append(True)

    world.clock.spawn(shift, "shift_traffic")
    world.clock.sleep(5)
    restore()
    world.clock.sleep(60)
    assert failed
    assert world.routing == ("1", {})


@pytest.mark.parametrize(
    ("alias", "candidate"),
    [
        ({"weights": {"3": 0.2}}, "2"),
        ({"weights": {"2": 0.2}}, None),
        ({"function_version": "3"}, "2"),
        ({"function_version": "3", "weights": {"1": 0.2}}, "2"),
        ({"function_version": "3", "weights": {"2": 0.2}}, "2"),
    ],
)
@pytest.mark.parametrize("promoting", [False, True])
def test_restoring_leaves_a_foreign_routing_as_found(inhabit, alias, candidate, promoting):
    world = inhabit(alias=alias)
    found, routing = read(), world.routing
    with pytest.raises(AliasMoved, match="did not write: left as found"):
        restore(candidate, promoting=promoting)
    assert (read(), world.routing) == (found, routing)
    assert world.boundary.calls["lambda.UpdateAlias"] == 0


@pytest.mark.parametrize("alias", [PROMOTED["alias"], {"function_version": "2"}])
def test_a_promoted_alias_is_restored_by_naming_the_stable_version(inhabit, alias):
    """Clearing the weights of candidate + {stable: 1.0} would promote."""
    world = inhabit(alias=alias)
    assert restore(promoting=True).routing == Routing.alone("1")
    assert world.routing == ("1", {})


@pytest.mark.parametrize("alias", [PROMOTED["alias"], {"function_version": "2"}])
def test_an_alias_on_the_candidate_is_somebody_elses_before_promote(inhabit, alias):
    world = inhabit(alias=alias)
    found, routing = read(), world.routing
    with pytest.raises(AliasMoved):
        restore()
    assert (read(), world.routing) == (found, routing)


def test_restoring_works_while_lambda_moves_provisioned_concurrency(inhabit, somebody, publish):
    """A promotion of an alias with provisioned concurrency: terraform-provider-aws, #48116."""
    world = inhabit(alias={"provisioned_concurrency": 5})
    publish()
    somebody("lambda.update_alias", FunctionName="checkout", Name="live", FunctionVersion="2")
    assert read().routing == Routing.split("2", "1", 100.0)
    restore(promoting=True)
    world.clock.sleep(600)
    assert read().routing == Routing.alone("1")


def test_restoring_looks_again_where_somebody_wrote_in_between(inhabit, move):
    world = inhabit(**SPLIT)
    between(world, lambda: move("1", v2=0.5))
    assert restore().routing == Routing.alone("1")
    assert world.routing == ("1", {})
    assert world.boundary.calls["lambda.UpdateAlias"] == 2


def test_restoring_gives_way_to_a_foreign_write_in_between(inhabit, move):
    world = inhabit(**SPLIT, timeline=[{"at_second": 0, "do": "update_alias", "function_version": "3"}])
    between(world, lambda: move("3"))
    with pytest.raises(AliasMoved, match="serves version 3 alone"):
        restore()
    assert world.routing == ("3", {})


def test_restoring_gives_up_for_now_where_the_alias_never_keeps_still(inhabit):
    world = inhabit(**SPLIT, **fault("PreconditionFailedException", times="always"))
    with pytest.raises(AwsUnavailable, match="checkout:live changes faster than it can be restored"):
        restore()
    assert world.boundary.calls["lambda.UpdateAlias"] == 5


def test_a_restore_whose_response_was_lost_is_a_success(inhabit):
    world = inhabit(**SPLIT, **fault("lost_response"))
    assert restore() == read()
    assert world.routing == ("1", {})


def test_restoring_an_alias_that_was_deleted_says_so(inhabit):
    inhabit(alias={"exists": False})
    with pytest.raises(AliasNotFound):
        restore()


def test_a_restore_that_may_not_be_is_told_apart_from_one_that_could_not_be(inhabit):
    world = inhabit(**SPLIT)

    def refuse(_params, _proceed):
        raise AwsError("AccessDeniedException", "not authorized to perform: lambda:UpdateAlias", 403)

    world.boundary.correct("lambda.UpdateAlias", refuse)
    with pytest.raises(PermissionDenied, match="not authorized to perform: lambda:UpdateAlias"):
        restore()


# Making one.


NEW = {"alias": {"exists": False}}


def create(version="1"):
    return aliases.create("checkout", "live", version)


def test_a_new_alias_is_on_its_version_alone(inhabit):
    world = inhabit(**NEW)
    assert create() == read()
    assert world.routing == ("1", {})


@pytest.mark.parametrize("error", ["lost_response", "TooManyRequestsException"])
def test_a_new_alias_that_was_made_after_all_is_a_success(inhabit, error):
    world = inhabit(**NEW, **fault(error, "lambda.CreateAlias"))
    assert create().routing == Routing.alone("1")
    assert create().routing == Routing.alone("1")
    assert world.routing == ("1", {})


def test_an_alias_that_somebody_else_made_is_not_ours(inhabit):
    world = inhabit(alias={"function_version": "2"})
    with pytest.raises(AliasMoved, match="should be made on version 1, and is there already, on version 2 alone"):
        create()
    assert world.routing == ("2", {})


def test_an_alias_that_somebody_else_made_and_split_is_not_ours(inhabit):
    inhabit(**SPLIT)
    with pytest.raises(AliasMoved, match="is there already, on version 1 with 10 % to version 2"):
        create()


def test_a_conflict_without_an_alias_is_another_operation(inhabit):
    inhabit(**NEW, **fault("ResourceConflictException", "lambda.CreateAlias"))
    with pytest.raises(FunctionUpdating, match="could not create alias checkout:live"):
        create()


def between(world, act):
    """Let somebody act once, after the alias was read and right before it is written."""
    left = [act]

    def first(_params, proceed):
        if left:
            left.pop()()
        return proceed()

    world.boundary.correct("lambda.UpdateAlias", first)
