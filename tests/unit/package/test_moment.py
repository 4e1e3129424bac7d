"""A date may be text, a number or nothing: it is read, or it is 0."""

import math
from datetime import UTC, datetime

import pytest

from tidegate.moment import moment

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "date",
    [
        NOON,
        1767614400000,
        1767614400000.0,
        "1767614400000",
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:00:00.000+0000",
        "2026-01-05T13:00:00+01:00",
        "2026-01-05 12:00:00",
    ],
)
def test_every_way_in_which_aws_says_when(date):
    assert moment(date) == NOON.timestamp()


@pytest.mark.parametrize(
    "date",
    [None, "", "yesterday", "NaN", "1e999", math.inf, math.nan, 10**400, [], {}, "0001-01-01T00:00:00+23:59"],
)
def test_what_cannot_be_read_is_0(date):
    assert moment(date) <= 0
