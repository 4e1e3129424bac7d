"""When something was, as AWS says it in one way or another."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_MILLISECONDS = 1000


def moment(date: object) -> float:
    """Seconds since the epoch; 0 where that cannot be read, for no guard need stumble over a date.

    Step Functions' answers have a date, its events milliseconds, and CloudWatch's events ISO 8601.
    """
    if isinstance(date, str):
        return _moment_in(date)
    if isinstance(date, datetime):
        return date.timestamp()
    try:
        seconds = float(date) / _MILLISECONDS if isinstance(date, (int, float)) else 0.0
    except OverflowError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _moment_in(text: str) -> float:
    try:
        return moment(float(text))
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
