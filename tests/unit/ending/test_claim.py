"""What of an alias is a rollout's own."""

import pytest

from tidegate.ending.claim import Claim
from tidegate.routing import Routing

OURS = Claim("1", "2", frozenset({10.0, 50.0}))
ALONE, SPLIT = Routing.alone, Routing.split


@pytest.mark.parametrize("weight", [0.01, 10, 33, 100])
def test_any_weight_of_the_candidate_on_the_stable_version_is_ours(weight):
    assert OURS.whole(SPLIT("1", "2", weight)) == ALONE("1")
    assert OURS.whole(ALONE("1")) == ALONE("1")


@pytest.mark.parametrize("weight", [10, 50])
def test_a_weight_that_was_set_is_ours_on_somebody_elses_version_too(weight):
    assert OURS.whole(SPLIT("3", "2", weight)) == ALONE("3")


@pytest.mark.parametrize(
    "found",
    [ALONE("3"), ALONE("2"), SPLIT("3", "2", 20), SPLIT("3", "1", 10), SPLIT("1", "3", 10), SPLIT("2", "1", 100)],
    ids=str,
)
def test_everything_else_is_somebody_elses(found):
    assert OURS.whole(found) is None


def test_a_rollout_without_a_candidate_has_no_weight():
    assert Claim("1", None, frozenset({10.0})).whole(SPLIT("3", "2", 10)) is None


def test_what_promote_has_left_is_ours_once_it_has_begun():
    promoting = Claim("1", "2", frozenset({10.0, 100.0}), promoting=True)
    assert promoting.whole(ALONE("2")) == promoting.whole(SPLIT("2", "1", 100)) == ALONE("1")
    assert promoting.whole(SPLIT("3", "2", 100)) is None


def test_lambdas_own_handover_is_not_ours():
    weights = frozenset({10.0, 100.0})
    assert Claim("1", "2", weights).whole(SPLIT("3", "2", 100)) == ALONE("3")
    assert Claim("1", "2", weights, provisioned=True).whole(SPLIT("3", "2", 100)) is None
    assert Claim("1", "2", weights, provisioned=True).whole(SPLIT("3", "2", 10)) == ALONE("3")
