"""What a poll saw: alarms, and both versions' requests minute by minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """One alarm as CloudWatch reports it; `state` is None where CloudWatch knows no such alarm.

    `transitioned_at` is when `state` last changed, in seconds since the epoch. `fired_since_shift` says
    whether it was in ALARM at any time since traffic first moved. `broken` means that it is set up so that CloudWatch
    cannot evaluate it, `stale` that CloudWatch could not just now; `settled` is whether its history tells of that
    transition already, and `recovered` is False of one that has fired ever since before the rollout.
    """

    name: str
    state: AlarmState | None
    transitioned_at: float | None = None
    fired_since_shift: bool = False
    broken: bool = False
    stale: bool = False
    settled: bool = True
    recovered: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one version: all, those that failed, and those slower than the limit (0 where there is none)."""

    requests: int = 0
    errors: int = 0
    slow: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.requests + other.requests, self.errors + other.errors, self.slow + other.slow)


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of the alias's traffic; `at` is its start in seconds since the epoch."""

    at: float
    stable: Counts
    candidate: Counts


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together."""
    return sum(counts, Counts())
