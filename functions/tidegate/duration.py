"""Lengths of time as people say them."""

from __future__ import annotations

_TWO_DAYS_SECONDS = 2 * 86_400


def format_duration(seconds: float) -> str:
    """To its two largest units: 45 s, 5 min, 1 h 30 min, 24 h, 2 d 2 h."""
    whole = max(0, round(seconds))
    days, hours = divmod(whole // 3600, 24) if whole >= _TWO_DAYS_SECONDS else (0, whole // 3600)
    counted = ((days, "d"), (hours, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    largest = next((place for place, (count, _) in enumerate(counted) if count), 3)
    return " ".join(f"{count:,} {unit}" for count, unit in counted[largest : largest + 2] if count) or "0 s"
