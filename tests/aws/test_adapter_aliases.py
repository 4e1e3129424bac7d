"""The alias as AWS keeps it: what is read, and what a write at a revision leaves."""

import pytest

from tidegate.alias import Alias
from tidegate.aws import aliases
from tidegate.errors import (
    AliasMoved,
    AliasNotFound,
    AwsRefused,
    AwsUnavailable,
    FunctionUpdating,
    PermissionDenied,
    VersionFailed,
)
from tidegate.routing import Routing

LIVE = Alias("checkout", "live")

STABLE, CANDIDATE = "1", "2"
#: Publishes version 2 and leaves the alias between both.
SPLIT = {"alias": {"function_version": STABLE, "weights": {CANDIDATE: 0.1}}}


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
    return aliases.read(LIVE)


def write(desired, revision_id):
    return aliases.write(LIVE, desired, revision_id)


# Reading.


def test_an_alias_on_one_version_reads_as_that_version_alone(inhabit):
    inhabit()
    assert read().routing == Routing.alone("1")


@pytest.mark.parametrize(("fraction", "percent"), [(0.005, 0.5), (0.1234, 12.34), (0.07, 7.0), (1.0, 100.0)])
def test_a_weight_is_read_as_percent(inhabit, fraction, percent):
    inhabit(alias={"weights": {"2": fraction}})
    assert read().routing == Routing.split("1", "2", percent)


def test_an_additional_version_of_weight_zero_splits_nothing(inhabit):
    """A tool may leave one: pulumi/pulumi-terraform-bridge#335."""
    inhabit(alias={"weights": {"2": 0.0}})
    assert read().routing == Routing.alone("1")


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
def test_a_write_whose_response_was_lost_is_refused_when_the_sdk_asks_again(inhabit, desired):
    world = inhabit(**SPLIT, **fault("lost_response"))
    assert write(desired, read().revision_id) is None
    assert read().routing == desired
    assert world.boundary.calls["lambda.UpdateAlias"] == 2


@pytest.mark.parametrize("left", [("1", {"v2": 0.3}), ("1", {"v2": 0.1}), ("1", {}), ("2", {})])
def test_a_write_at_an_old_revision_writes_nothing(inhabit, move, left):
    world = inhabit(**SPLIT)
    before = read()
    version, weights = left
    move(version, **weights)
    found, routing = read(), world.routing
    assert write(Routing.split("1", "2", 50), before.revision_id) is None
    assert (read(), world.routing) == (found, routing)
    assert world.boundary.calls["lambda.UpdateAlias"] == 1


def test_a_write_that_changes_nothing_fences_off_one_that_is_still_in_flight(inhabit, publish):
    """UpdateAlias that changes nothing gives a new RevisionId (recorded of AWS: L15)."""
    world = inhabit()
    publish()
    in_flight = read().revision_id
    assert write(Routing.alone("1"), in_flight).revision_id == read().revision_id != in_flight
    assert write(Routing.split("1", "2", 10), in_flight) is None
    assert world.routing == ("1", {})


def test_writing_an_alias_that_was_deleted_says_so(inhabit):
    inhabit(alias={"exists": False})
    with pytest.raises(AliasNotFound):
        write(Routing.alone("1"), "any")


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


# A version that is Failed, and a function that is busy: both are ResourceConflictException.


@pytest.mark.parametrize(("failed", "desired"), [("1", Routing.alone("1")), ("2", Routing.split("1", "2", 50))])
def test_a_version_that_is_failed_is_told_with_its_reason_and_what_to_do(inhabit, failed, desired):
    world = inhabit(**SPLIT, versions={failed: {"state": "Failed"}})
    with pytest.raises(VersionFailed) as refused:
        write(desired, read().revision_id)
    assert str(refused.value) == (
        f"could not route checkout:live to {desired}: version {failed} of checkout is Failed (FunctionError: The"
        " function failed to initialize.), and Lambda puts no alias on a Failed version: mend what made it fail, or run"
        " update-alias with the number of a version that is Active"
    )
    assert world.routing == ("1", {"2": 0.1})


def test_a_function_that_is_busy_is_to_be_asked_again(inhabit):
    inhabit(**SPLIT, **fault("ResourceConflictException"))
    with pytest.raises(FunctionUpdating, match="could not route checkout:live to version 1 alone"):
        write(Routing.alone("1"), read().revision_id)


@pytest.mark.parametrize(
    "error", ["AccessDeniedException", "ServiceException", "ResourceNotFoundException", "lost_response"]
)
def test_a_version_whose_state_is_unknown_is_to_be_asked_again(inhabit, error):
    """What Lambda refuses because it is Failed is refused the next time too: only the state tells."""
    unread = {"call": "lambda.GetFunctionConfiguration", "error": error, "times": "always"}
    world = inhabit(**SPLIT, versions={"1": {"state": "Failed"}}, faults=[unread])
    with pytest.raises(FunctionUpdating):
        write(Routing.alone("1"), read().revision_id)
    assert world.boundary.calls["lambda.GetFunctionConfiguration"] <= 2


# Making one.


NEW = {"alias": {"exists": False}}


def create(version="1"):
    return aliases.create(LIVE, version)


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


def test_no_alias_is_made_on_a_version_that_is_failed(inhabit):
    inhabit(**NEW, versions={"1": {"state": "Failed"}})
    with pytest.raises(VersionFailed, match="could not create alias checkout:live: version 1 of checkout is Failed"):
        create()
