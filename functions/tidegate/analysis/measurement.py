"""What a poll saw: alarms, and both versions' requests minute by minute."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Self

from tidegate.analysis.metric import DURABLE, ERRORS, SLOW
from tidegate.frozen import frozen
from tidegate.stored import known_fields

_HOUR_SECONDS = 3600
#: So many hours before a rollout say what is usual in as many after its start.
_RECENT_HOURS = 2
#: Before so long no metric of the candidate can exist: those of Lambda come by the minute. No alarm has seen it.
SOONEST_ALARM_SECONDS: Final = 60

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


@frozen
class AlarmTimes:
    """How soon an alarm can speak of a change.

    After `needs_seconds`, CloudWatch's delay included, all periods that must breach can have been evaluated; None where
    nobody can say.
    """

    needs_seconds: int | None = None


#: Of an alarm of which nothing is known.
UNKNOWN_TIMES = AlarmTimes()


@frozen
class AlarmReading:
    """One alarm as CloudWatch reports it; `state` is None where CloudWatch knows no such alarm.

    `transitioned_at` is when `state` last changed, in seconds since the epoch. `fired_at` is when it last went into
    ALARM since traffic first moved; None where it did not. `broken` means that it is set up so that CloudWatch
    cannot evaluate it, `stale` that CloudWatch could not just now; `settled` is whether its history tells of that
    transition already, and `recovered` is False of one that has fired ever since before the rollout. `times` are known
    where they were asked for. `has_contributors`: one state stands for many time series.
    """

    name: str
    state: AlarmState | None
    transitioned_at: float | None = None
    fired_at: float | None = None
    broken: bool = False
    stale: bool = False
    settled: bool = True
    recovered: bool = True
    times: AlarmTimes = UNKNOWN_TIMES
    has_contributors: bool = False


#: How many could have been bad, and how many were; None where that is not known although there were requests.
Trials = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one version, and how many of them failed, were timed, were slow, and were over the user's limit.

    Slow is slower than the stable version's p99 before the rollout. A count is None where CloudWatch has none although
    there were requests: unknown, which is neither zero nor a failure. One that nobody asked for is 0. `others` are the
    trials of metrics beside, by the metric's name: slow by lower quantiles, and the user's own.
    """

    requests: int = 0
    errors: int | None = 0
    timed: int | None = 0
    slow: int | None = 0
    over_limit: int | None = 0
    others: Mapping[str, Trials] = field(default_factory=dict)

    def trials(self, metric: str) -> Trials:
        """How many requests, or what else the metric counts, and how many of them were bad."""
        if metric not in {ERRORS, DURABLE, SLOW}:
            return self.others.get(metric, (0, 0))
        of, bad = (self.timed, self.slow) if metric == SLOW else (self.requests, self.errors)
        return None if of is None or bad is None else (of, min(bad, of))

    @property
    def complete(self) -> bool:
        """Whether every count of its requests is known."""
        return None not in {self.errors, self.timed, self.slow, self.over_limit}

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.requests + other.requests,
            (self.errors or 0) + (other.errors or 0),
            (self.timed or 0) + (other.timed or 0),
            (self.slow or 0) + (other.slow or 0),
            (self.over_limit or 0) + (other.over_limit or 0),
        )


@dataclass(frozen=True, slots=True)
class Minute:
    """The alias's traffic over `seconds` (a minute, or longer in long rollouts) from `at`, in seconds since the epoch.

    Requests that were throttled reached neither version (Lambda Developer Guide, "Types of metrics": they count for the
    alias, and neither as invocations nor as errors).
    """

    at: float
    stable: Counts
    candidate: Counts
    throttled: int = 0
    seconds: int = 60

    @property
    def end(self) -> float:
        """When it was over, in seconds since the epoch."""
        return self.at + self.seconds


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together, those left out in which a count is unknown: a share needs both of its parts."""
    return sum((one for one in counts if one.complete), Counts())


@frozen
class MetricBaseline:
    """A metric of the user's in the day before the rollout, of the stable version alone.

    `trials` could have been bad, and `bad` were. `above` is where bad begins of a metric of values; None of what is
    counted, and where nothing was measured. `reports` is how often something was reported: one may count many.
    """

    name: str
    trials: int = 0
    bad: int = 0
    above: float | None = None
    reports: int = 0


@frozen
class TrafficBaseline:
    """The alias's traffic in the day before the rollout; `p99_ms` and the others are None where nothing was timed.

    `hourly` are the requests of each hour from `since` on, in seconds since the epoch; None of one that knew silences.
    `metrics` are the user's own. `correlation`: how alike the failures of one minute were in the last hour, in which
    there were `hour_requests` and `hour_errors`; for `failing_minutes` up to its end far more failed than usual.
    """

    requests: int = 0
    errors: int = 0
    requests_per_minute: float = 0.0
    p99_ms: float | None = None
    throttled: int = 0
    since: float = 0.0
    hourly: tuple[int | None, ...] = ()
    p90_ms: float | None = None
    p50_ms: float | None = None
    metrics: tuple[MetricBaseline, ...] = ()
    correlation: float = 0.0
    hour_requests: int = 0
    hour_errors: int = 0
    failing_minutes: int = 0

    def slow_above_ms(self, quantile: str) -> float | None:
        """What is slow by "p50", "p90" or "p99"; None where nobody knows.

        Where most requests failed, a quantile of all is that of failures, which are quick, or run into a time-out.
        """
        if self.errors > self.requests / 2:
            return None
        return {"p50": self.p50_ms, "p90": self.p90_ms, "p99": self.p99_ms}[quantile]

    def of(self, metric: str) -> MetricBaseline:
        """What was found of one of the user's metrics; nothing where it is not among them."""
        return next((one for one in self.metrics if one.name == metric), MetricBaseline(metric))

    def expected(self, begins: float, ends: float) -> float | None:
        """How many requests the same hours of the day before had as have passed between two moments; in the first hours
        of a rollout, at least as many as in the last two before it.

        None where all of those hours knew silences, such as of a job that runs once an hour: then none is to be
        expected.
        """
        usual = list(self._usual(begins, ends))
        known = [requests for requests in usual if requests is not None]
        return sum(known) if known or not usual else None

    def _usual(self, begins: float, ends: float) -> Iterator[float | None]:
        """Of each hour, or part of one, between two moments."""
        first, at = round(self.since / _HOUR_SECONDS), begins
        recent = min((hour or 0 for hour in self.hourly[-_RECENT_HOURS:]), default=0)
        while self.hourly and at < ends:
            hour = math.floor(at / _HOUR_SECONDS)
            until = min(ends, (hour + 1) * _HOUR_SECONDS)
            usual = self.hourly[(hour - first) % len(self.hourly)]
            if recent and hour - first < len(self.hourly) + _RECENT_HOURS:
                usual = max(usual or 0, recent)
            yield None if usual is None else (until - at) / _HOUR_SECONDS * usual
            at = until

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The history of `to_json`."""
        fields = known_fields(cls, document)
        metrics = (MetricBaseline(**known_fields(MetricBaseline, one)) for one in fields.get("metrics", ()))
        return cls(**{**fields, "hourly": tuple(fields.get("hourly", ())), "metrics": tuple(metrics)})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@frozen
class Shift:
    """One change of the candidate's weight: when, in seconds since the epoch, and to what percent."""

    at: float
    weight_percent: float
