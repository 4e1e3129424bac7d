"""What is said of each outcome."""

import pytest

from tidegate.ending.outcome import Outcome


def test_two_outcomes_may_have_left_the_alias_split():
    assert {outcome for outcome in Outcome if outcome.needs_a_person} == {Outcome.ROLLBACK_FAILED, Outcome.STOPPED}


@pytest.mark.parametrize("said", ["rolled_back", "rejected", "no outcome", None, 3])
def test_a_successful_execution_says_no_failure(said):
    assert Outcome.of_success(said) is None
