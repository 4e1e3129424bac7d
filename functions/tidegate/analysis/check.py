"""What one gate says of the candidate: its value beside its limit, and a finding."""

from __future__ import annotations

from enum import Enum
from typing import Any

from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import SOONEST_ALARM_SECONDS, AlarmReading
from tidegate.duration import format_duration
from tidegate.frozen import frozen


class Finding(Enum):
    """What a gate says of the candidate, from least to most severe."""

    NOTED = "noted"
    IGNORED = "ignored"
    UNSEEN = "unseen"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    SUSPECT = "suspect"
    HARMFUL = "harmful"

    @property
    def severity(self) -> int:
        """0 for the least severe."""
        return list(Finding).index(self)


@frozen
class Check:
    """One gate's value beside its limit; `of` is how many requests it rests on, where it rests on any.

    `convicts`: where it is harmful, it speaks against the candidate, and not only against going on. `sentence` says it
    all where the numbers alone do not. `covers` is what it is called in `proven_by`, where that is not its name.
    """

    name: str
    value: float | str | None
    limit: float | str
    unit: str
    finding: Finding
    of: int | None = None
    convicts: bool = False
    sentence: str = ""
    covers: str = ""

    def __str__(self) -> str:
        if self.sentence:
            return self.sentence
        if isinstance(self.value, str):
            return f"alarm {self.name} is {self.value}"
        if self.value is None:
            return f"no requests seen yet ({self.name})"
        share, limit = f"{self.value:.3g} {self.unit}", f"limit {self.limit:g} {self.unit}"
        return f"{share} of the candidate's {self.of:,} requests are {self.name} ({limit})"

    @property
    def proves(self) -> str:
        """What it says of a promotion where it is healthy: a metric, a limit's key in the request, an alarm's name."""
        return self.covers or self.name

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        value = round(self.value, 3) if isinstance(self.value, float) else self.value
        return {
            "name": self.name,
            "value": value,
            "limit": self.limit,
            "unit": self.unit,
            "finding": self.finding.value,
            "of": self.of,
        }


def alarm_check(reading: AlarmReading, rule: AlarmRule, *, first_shift_at: float, last_weight_seconds: float) -> Check:
    """An alarm as a gate: it says harm when it fires, and also when it is gone or cannot be evaluated.

    `last_weight_seconds` is for how long the last weight has been set. An alarm that needs longer, or nobody knows how
    long, is unseen: that it is OK says nothing. One that fired before any metric of the candidate can exist says
    nothing of the candidate, nor does one that is gone; they speak against going on.
    """
    finding, value = _alarm_finding(reading, rule.times.needs_seconds, last_weight_seconds)
    convicts = reading.fired_at is not None and reading.fired_at >= first_shift_at + SOONEST_ALARM_SECONDS
    return Check(reading.name, value, "OK", "", finding, convicts=convicts)


def _alarm_finding(reading: AlarmReading, needs_seconds: int | None, seconds: float) -> tuple[Finding, str]:
    finding, value = Finding.HEALTHY, str(reading.state)
    if reading.state is None:
        finding, value = Finding.HARMFUL, "missing"
    elif reading.broken:
        finding, value = Finding.HARMFUL, "broken"
    elif reading.state == "ALARM" and not reading.recovered:
        finding = Finding.IGNORED
    elif reading.state == "ALARM":
        finding = Finding.HARMFUL
    elif reading.fired_at is not None:
        finding, value = Finding.HARMFUL, f"{reading.state}, and was in ALARM since traffic moved"
    elif reading.state == "INSUFFICIENT_DATA":
        finding = Finding.UNKNOWN
    elif reading.stale:
        finding, value = Finding.UNKNOWN, f"{reading.state}, and could not be evaluated just now"
    elif needs_seconds is None:
        finding, value = Finding.UNSEEN, "OK, and nobody knows how long it needs to fire"
    elif seconds < needs_seconds:
        needs = format_duration(needs_seconds)
        finding, value = Finding.UNSEEN, f"OK, and could not have fired yet: it needs {needs} at 100 %"
    return finding, value
