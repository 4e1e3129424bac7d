"""Whose routing is it: restoring must never undo somebody else's move, and never leave ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.alias import Alias
from tidegate.routing import Routing, restore_command

versions = st.integers(1, 9).map(str)
routings = st.one_of(
    versions.map(Routing.alone),
    st.tuples(versions, versions, st.floats(0, 100)).map(lambda parts: Routing.split(*parts)),
)


@pytest.mark.parametrize(
    ("routing", "ours"),
    [
        (Routing.alone("1"), True),
        (Routing.split("1", "2", 10), True),
        (Routing.split("1", "2", 73), True),
        (Routing.split("1", "3", 20), False),
        (Routing.alone("2"), False),
        (Routing.alone("3"), False),
        (Routing.split("2", "1", 10), False),
    ],
)
def test_before_promote_only_the_stable_version_with_our_candidate_is_ours(routing, ours):
    assert routing.belongs_to("1", "2") is ours


def test_without_a_candidate_only_the_stable_version_alone_is_ours():
    assert Routing.alone("1").belongs_to("1", None)
    assert not Routing.split("1", "2", 10).belongs_to("1", None)


def test_lambdas_own_weights_after_a_promotion_with_provisioned_concurrency_are_ours():
    assert Routing.split("2", "1", 100).was_promoted_by("1", "2")
    assert not Routing.split("2", "3", 100).was_promoted_by("1", "2")


@given(routings, versions, versions)
def test_no_routing_is_both_before_and_after_promote(routing, stable, candidate):
    if stable != candidate:
        assert not (routing.belongs_to(stable, candidate) and routing.was_promoted_by(stable, candidate))


def test_the_command_for_a_person_clears_the_weights_and_names_the_version():
    assert restore_command("eu-west-1", Alias("checkout", "live"), "7") == (
        "aws lambda update-alias --region eu-west-1 --function-name checkout --name live --function-version 7"
        " --routing-config '{\"AdditionalVersionWeights\":{}}'"
    )
