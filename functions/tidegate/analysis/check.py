"""What one gate says of the candidate: its value beside its limit, and a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from tidegate.analysis.measurement import AlarmReading


class Finding(Enum):
    """What a gate says of the candidate, from least to most severe."""

    IGNORED = "ignored"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    SUSPECT = "suspect"
    HARMFUL = "harmful"

    @property
    def severity(self) -> int:
        """0 for the least severe."""
        return list(Finding).index(self)


@dataclass(frozen=True, slots=True)
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


def alarm_check(reading: AlarmReading) -> Check:
    """An alarm as a gate: it says harm when it fires, and also when it is gone or cannot be evaluated."""
    finding, value = Finding.HEALTHY, str(reading.state)
    if reading.state is None:
        finding, value = Finding.HARMFUL, "missing"
    elif reading.broken:
        finding, value = Finding.HARMFUL, "broken"
    elif reading.state == "ALARM" and not reading.recovered:
        finding = Finding.IGNORED
    elif reading.state == "ALARM":
        finding = Finding.HARMFUL
    elif reading.fired_since_shift:
        finding, value = Finding.HARMFUL, f"{reading.state}, and was in ALARM since traffic moved"
    elif reading.state == "INSUFFICIENT_DATA":
        finding = Finding.UNKNOWN
    elif reading.stale:
        finding, value = Finding.UNKNOWN, f"{reading.state}, and could not be evaluated just now"
    # An alarm that is gone, or fired before the candidate had any traffic, says nothing of the candidate.
    return Check(reading.name, value, "OK", "", finding, convicts=reading.fired_since_shift)
