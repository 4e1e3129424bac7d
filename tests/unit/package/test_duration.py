"""Lengths of time: in a reason and on a screen they read the same."""

import pytest

from tidegate.duration import format_duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (300, "5 min"),
        (5400, "1 h 30 min"),
        (3601, "1 h"),
        (86_399, "23 h 59 min"),
        (86_400, "24 h"),
        (180_000, "2 d 2 h"),
        (30 * 86_400, "30 d"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_said_to_its_two_largest_units(seconds, said):
    assert format_duration(seconds) == said
