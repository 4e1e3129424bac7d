"""CloudWatch as a rollout sees it: metrics by exact dimensions and GetMetricData here, alarms in `alarms.py`.

A datapoint is a minute of a series, kept as the samples that it was aggregated from: `{value: how many}`. That is
what CloudWatch calls raw datapoints, so percentiles and trimmed statistics come out of it too.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from botocore.utils import parse_to_aware_datetime

from sandbox.aws.alarms import Alarms
from sandbox.aws.boundary import AwsError, Boundary
from sandbox.aws.clock import Clock

MINUTE_SECONDS: Final = 60
QUERIES_PER_CALL: Final = 500
LAMBDA_UNITS: Final = {"Invocations": "Count", "Errors": "Count", "Throttles": "Count", "Duration": "Milliseconds"}

Samples = Mapping[float, int]
#: The datapoints of each of Lambda's metrics, by the second at which their minute begins.
LambdaMinutes = Mapping[str, Mapping[int, Samples]]
Statistic = Callable[[Samples], float | None]
Fill = Callable[[float, float], None]


class _Unsent(NamedTuple):
    """A datapoint of Lambda's that is sent when its invocations have ended; sorted by that, then by `number`."""

    ended_at: float
    number: int
    metric: str
    dimensions: frozenset[tuple[str, str]]
    at: int
    samples: Samples


class CloudWatch:
    """The account's metrics and alarms. Answers what the SDK asks once `serve` has been called."""

    def __init__(
        self, clock: Clock, metric_delay_seconds: float, on_alarm_change: Callable[[dict[str, Any]], None]
    ) -> None:
        self._clock = clock
        self._delay_seconds = metric_delay_seconds
        self._series: dict[tuple[str, str, frozenset[tuple[str, str]]], dict[int, Samples]] = {}
        self._fills: list[Fill] = []
        self._unsent: list[_Unsent] = []
        self._number = itertools.count()
        self.alarms = Alarms(clock, self.values, metric_delay_seconds, on_alarm_change)

    def serve(self, boundary: Boundary) -> None:
        """Answer CloudWatch's calls in moto's place."""
        boundary.serve("cloudwatch.GetMetricData", self.get_metric_data)
        boundary.serve("cloudwatch.PutMetricData", self.put_metric_data)
        self.alarms.serve(boundary)

    def start(self, started_at: float) -> None:
        """Evaluate every alarm once a minute, for the first time a minute after `started_at` (a whole minute)."""

        def evaluate() -> None:
            self._clock.at(self._clock.now() + MINUTE_SECONDS, evaluate, background=True)
            self.alarms.evaluate()

        self._clock.at(started_at + MINUTE_SECONDS, evaluate, background=True)

    def before_read(self, fill: Fill) -> None:
        """Have `fill(start, end)` record whatever is still missing between two moments before anybody reads it."""
        self._fills.append(fill)

    def record(
        self,
        minute_start: float,
        dimensions: Mapping[str, str],
        *,
        errors: int,
        durations_ms: Samples,
        ended_at: float | None = None,
    ) -> None:
        """A minute of a function's invocations, in the namespace AWS/Lambda.

        `durations_ms` holds one sample per invocation. Each invocation counts 1 in Invocations and 0 or 1 in Errors,
        so Errors is 0 where everything went well and absent where nothing was invoked. AWS Lambda, "Types of metrics".

        A datapoint's time is that of the invocation's start, and Lambda sends it when the invocation has ended (the
        same page, "Viewing metrics"): `ended_at` (epoch seconds) says when, where that is not by the minute's end. It
        is received as much later as all others are, and adds to what the minute has.
        """
        named = frozenset(dimensions.items())
        for metric, minutes in lambda_minutes({int(minute_start): (errors, durations_ms)}).items():
            for at, samples in minutes.items():
                if ended_at is None:
                    self._keep("AWS/Lambda", metric, named, at, samples)
                else:
                    heappush(self._unsent, _Unsent(ended_at, next(self._number), metric, named, at, samples))

    def record_throttles(self, minute_start: float, dimensions: Mapping[str, str], throttles: int) -> None:
        """A minute's throttled requests, which are no invocations; there is no datapoint of none (chosen)."""
        if throttles:
            self._keep("AWS/Lambda", "Throttles", frozenset(dimensions.items()), minute_start, {1: throttles})

    def _receive(self) -> None:
        """Keep what has ended, and has been on its way for as long as metrics are."""
        while self._unsent and self._unsent[0].ended_at <= self._clock.now() - self._delay_seconds:
            sent = heappop(self._unsent)
            self._keep("AWS/Lambda", sent.metric, sent.dimensions, sent.at, sent.samples)

    def record_all(self, dimensions: Mapping[str, str], minutes: LambdaMinutes) -> None:
        """Many minutes at once, at which nothing has been recorded of these dimensions."""
        named = frozenset(dimensions.items())
        for metric, datapoints in minutes.items():
            self._series.setdefault(("AWS/Lambda", metric, named), {}).update(datapoints)

    def _keep(
        self, namespace: str, metric: str, dimensions: frozenset[tuple[str, str]], at: float, samples: Samples
    ) -> None:
        minute = int(at) // MINUTE_SECONDS * MINUTE_SECONDS
        datapoints = self._series.setdefault((namespace, metric, dimensions), {})
        # Kept as it came where it can be: `_together` is quick with minutes that are one and the same object.
        present = samples if all(samples.values()) else {value: count for value, count in samples.items() if count}
        datapoints[minute] = _together([datapoints[minute], present]) if minute in datapoints else present

    def values(self, metric_stat: Mapping[str, Any], start: float, end: float) -> list[tuple[float, float]]:
        """The datapoints of an API MetricStat from `start` up to `end` (whole minutes), oldest first.

        Each is (timestamp, value); what CloudWatch has not received yet, or never will, is left out. Only a series of
        exactly these dimensions answers. CloudWatch user guide, "Metrics concepts", Dimensions.
        """
        for fill in self._fills:
            fill(start, end)
        self._receive()
        metric, unit = metric_stat["Metric"], metric_stat.get("Unit")
        named = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", ()))
        datapoints = self._series.get((metric["Namespace"], metric["MetricName"], named), {})
        if unit not in (None, LAMBDA_UNITS.get(metric["MetricName"], unit)):
            return []
        compute = statistic(metric_stat["Stat"])
        received = self._clock.now() - self._delay_seconds - MINUTE_SECONDS
        found = []
        for begin in range(int(start), int(end), metric_stat["Period"]):
            minutes = range(begin, min(begin + metric_stat["Period"], int(end)), MINUTE_SECONDS)
            samples = [datapoints[minute] for minute in minutes if minute in datapoints and minute <= received]
            value = compute(_together(samples)) if samples else None
            if value is not None:
                found.append((float(begin), float(value)))
        return found

    def get_metric_data(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetMetricData of plain metrics: metric math is not simulated. API reference: start inclusive, end exclusive,
        newest first unless asked otherwise, at most 500 queries.
        """
        queries = params["MetricDataQueries"]
        start, end = (int(_epoch(params[key])) // MINUTE_SECONDS * MINUTE_SECONDS for key in ("StartTime", "EndTime"))
        _refuse_unless_answerable(queries, _epoch(params["StartTime"]), _epoch(params["EndTime"]))
        if _epoch(params["EndTime"]) > end:
            end += MINUTE_SECONDS
        newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        results = []
        for query in queries:
            if not query.get("ReturnData", True):
                continue
            found = self.values(query["MetricStat"], start, end)
            if newest_first:
                found.reverse()
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label", query["MetricStat"]["Metric"]["MetricName"]),
                    "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in found],
                    "Values": [value for _, value in found],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def put_metric_data(self, params: dict[str, Any]) -> dict[str, Any]:
        """PutMetricData of single values and of value counts; statistic sets are accepted and forgotten."""
        for each in params.get("MetricData", ()):
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in each.get("Dimensions", ())}
            at = _epoch(each["Timestamp"]) if "Timestamp" in each else self._clock.now()
            values = each.get("Values", [each["Value"]] if "Value" in each else [])
            samples: Counter[float] = Counter()
            for value, count in zip(values, each.get("Counts", [1] * len(values)), strict=True):
                samples[float(value)] += int(count)
            if samples:
                self._keep(params["Namespace"], each["MetricName"], frozenset(dimensions.items()), at, samples)
        return {}


def lambda_minutes(minutes: Mapping[int, tuple[int, Samples]]) -> LambdaMinutes:
    """What Lambda sends of each of its metrics, from the errors and the durations of the invocations of each minute."""
    invoked = {at: (sum(durations.values()), errors) for at, (errors, durations) in minutes.items()}
    counted = {at: counts for at, counts in invoked.items() if counts[0]}
    return {
        "Invocations": {at: _ones(invocations, 0) for at, (invocations, _) in counted.items()},
        "Errors": {at: _ones(errors, invocations - errors) for at, (invocations, errors) in counted.items()},
        "Duration": {at: minutes[at][1] for at in counted},
    }


@lru_cache(maxsize=4096)
def _ones(ones: int, zeros: int) -> Samples:
    """So many ones and zeros, without a key for none; one object for the same numbers, which nobody changes."""
    return {value: count for value, count in ((1, ones), (0, zeros)) if count}


def _together(samples: Sequence[Samples]) -> Samples:
    if len(samples) == 1:
        return samples[0]
    times = Counter(map(id, samples))
    together: dict[float, int] = {}
    for ident, each in {id(each): each for each in samples}.items():
        for value, count in each.items():
            together[value] = together.get(value, 0) + count * times[ident]
    return together


def _epoch(moment: Any) -> float:
    """A timestamp as botocore accepts it, as epoch seconds; one without a zone is UTC, as in Lambda."""
    aware = parse_to_aware_datetime(moment)
    if isinstance(moment, datetime) and moment.tzinfo is None:
        aware = moment.replace(tzinfo=UTC)
    return aware.timestamp()


def _refuse_unless_answerable(queries: Sequence[Mapping[str, Any]], start: float, end: float) -> None:
    """What GetMetricData refuses, from its API reference. Raises AwsError with the code ValidationError."""
    if len(queries) > QUERIES_PER_CALL:
        raise AwsError("ValidationError", f"The collection MetricDataQueries holds at most {QUERIES_PER_CALL} items.")
    if start >= end:
        raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    ids = Counter(query["Id"] for query in queries)
    for query in queries:
        ident, stat = query["Id"], query.get("MetricStat")
        if not re.fullmatch(r"[a-z][A-Za-z0-9_]*", ident) or ids[ident] > 1:
            raise AwsError("ValidationError", f"The value for parameter Id in MetricDataQueries is not valid: {ident}")
        if stat is None:
            raise AwsError("ValidationError", f"{ident}: metric math is not simulated here, ask for a MetricStat.")
        if stat["Period"] <= 0 or stat["Period"] % MINUTE_SECONDS:
            raise AwsError("ValidationError", f"{ident}: Period must be a multiple of 60.")
        try:
            statistic(stat["Stat"])
        except ValueError as error:
            raise AwsError("ValidationError", f"{ident}: {error}") from error


@lru_cache(maxsize=256)
def statistic(name: str) -> Statistic:
    """What a `Stat` computes from a datapoint's samples; ValueError where it is none that is simulated.

    Syntax and meaning are those of CloudWatch user guide, "CloudWatch statistics definitions"; winsorized means are
    left out.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "IQM":
        return statistic("TM(25%:75%)")
    if single := re.fullmatch(r"(p|tc|tm|ts)(\d{1,2}(?:\.\d{1,10})?|100)", name):
        kind, percent = single[1], float(single[2])
        if kind == "p":
            return lambda samples: _percentile(samples, percent)
        return _trimmed(kind.upper(), _Bounds(0, percent, percent=True))
    if ranged := re.fullmatch(r"(TC|TM|TS|PR)\((\d*\.?\d*)(%?):(\d*\.?\d*)(%?)\)", name):
        kind, low, low_percent, high, high_percent = ranged.groups()
        percents = {bool(sign) for sign, bound in ((low_percent, low), (high_percent, high)) if bound}
        if len(percents) == 1 and not (kind == "PR" and percents == {True}):
            bounds = _Bounds(float(low) if low else None, float(high) if high else None, percent=percents.pop())
            return _trimmed(kind, bounds)
    raise ValueError(f"The value {name} for parameter Stat is not supported.")


def _sum(samples: Samples) -> float:
    return float(sum(value * count for value, count in samples.items()))


def _count(samples: Samples) -> int:
    return sum(samples.values())


_PLAIN: Final[Mapping[str, Statistic]] = {
    "Sum": _sum,
    "SampleCount": _count,
    "Average": lambda samples: _sum(samples) / _count(samples),
    "Maximum": max,
    "Minimum": min,
}


def _percentile(samples: Samples, percent: float) -> float:
    """The nearest-rank percentile: the smallest value that `percent` of the samples do not exceed."""
    rank, seen = percent / 100 * _count(samples), 0
    for value in sorted(samples):
        seen += samples[value]
        if seen >= rank:
            return value
    return max(samples)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Part of the samples: by value, or by percentage of the sorted samples. None: no bound on that side."""

    low: float | None
    high: float | None
    percent: bool

    def part(self, samples: Samples) -> Samples:
        """The samples within. The lower bound is exclusive, the upper one inclusive."""
        if self.percent:
            return dict(self._by_rank(samples))
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        return {value: count for value, count in samples.items() if low < value <= high}

    def _by_rank(self, samples: Samples) -> Iterator[tuple[float, int]]:
        total, seen = _count(samples), 0
        first = round((self.low or 0) / 100 * total)
        last = round((100 if self.high is None else self.high) / 100 * total)
        for value in sorted(samples):
            within = min(seen + samples[value], last) - max(seen, first)
            seen += samples[value]
            if within > 0:
                yield value, within


def _trimmed(kind: str, bounds: _Bounds) -> Statistic:
    def compute(samples: Samples) -> float | None:
        part = bounds.part(samples)
        match kind:
            case "TC":
                return _count(part)
            case "TS":
                return _sum(part)
            case "PR":
                return 100 * _count(part) / _count(samples)
            case _:
                return _sum(part) / _count(part) if part else None

    return compute
