"""What is known of the stable version's rate: its mean, and how it goes up and down beyond chance."""

import pytest

from tidegate.analysis.rate import Rate


def test_chance_is_no_spread():
    even = [(1000, 10), (1000, 12), (1000, 9), (1000, 8), (1000, 11)]
    assert Rate.over(even) == Rate(50, 5000)


def test_a_rate_that_goes_up_and_down_has_a_spread():
    """Half the minutes at 0.5 %, half at 1.5 %: a standard deviation of some 0.5 percentage points."""
    swinging = [(10_000, 50), (10_000, 150)] * 5
    assert Rate.over(swinging).spread == pytest.approx(0.005, rel=0.1)


def test_a_minute_with_hardly_a_request_says_nothing_of_ups_and_downs():
    assert Rate.over([(500, 1)] * 10 + [(10, 1)]).spread == 0.0


def test_nothing_known_is_nothing_promised():
    assert Rate.over([]) == Rate(0, 0)
    assert (Rate(0, 0).share, Rate(0, 0).at_most, Rate(0, 0).at_least) == (0.0, 1.0, 0.0)
