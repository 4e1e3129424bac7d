"""Whether a minute that could be judged is on its way: then the next look is worth having soon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tidegate.analysis.comparison import CONVICTION_AGE_SECONDS
from tidegate.analysis.measurement import Minute, Shift, TrafficBaseline
from tidegate.analysis.rows import LEAST_SHARE, by_weight
from tidegate.analysis.sight import FEWEST_EXPECTED

_MINUTE_SECONDS: Final = 60


def judged_from(first_shift_at: float) -> float:
    """From when on the first minute with any request of the candidate may be judged, in seconds since the epoch."""
    return _minute_of(first_shift_at) + _MINUTE_SECONDS + CONVICTION_AGE_SECONDS


def judged_next(now: float) -> float:
    """When the next minute may be judged, in seconds since the epoch."""
    return _minute_of(now - CONVICTION_AGE_SECONDS) + _MINUTE_SECONDS + CONVICTION_AGE_SECONDS


def is_awaited(
    minutes: Sequence[Minute], shifts: Sequence[Shift], now: float, baseline: TrafficBaseline, *, weighed: bool = True
) -> bool:
    """Whether the newest minute that may be judged has yet to come, or the better part of the candidate's in it.

    Where so few requests are usual that a minute may well have none, or none of the candidate's, nothing is awaited.
    `weighed`: what is counted is what the weights divide, and nothing beside it.
    """
    end = _minute_of(now - CONVICTION_AGE_SECONDS)
    if not shifts or now < judged_from(shifts[0].at):
        return False
    if not minutes or minutes[-1].end < end:
        return _usual(minutes, baseline, end) >= FEWEST_EXPECTED
    expected = by_weight(minutes[-1], shifts) if weighed and minutes[-1].end == end else None
    return (expected or 0.0) >= FEWEST_EXPECTED and minutes[-1].candidate.requests < LEAST_SHARE * (expected or 0.0)


def _usual(minutes: Sequence[Minute], baseline: TrafficBaseline, end: float) -> float:
    """How many requests a minute has had in the rollout so far; until any has come, the day before."""
    if not minutes:
        return baseline.expected(end - _MINUTE_SECONDS, end) or 0.0
    served = sum(minute.stable.requests + minute.candidate.requests for minute in minutes)
    return served * _MINUTE_SECONDS / (minutes[-1].end - minutes[0].at)


def _minute_of(moment: float) -> float:
    return math.floor(moment / _MINUTE_SECONDS) * _MINUTE_SECONDS
