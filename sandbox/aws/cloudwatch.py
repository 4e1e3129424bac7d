"""CloudWatch as a rollout sees it: metrics by exact dimensions and GetMetricData here, alarms in `alarms.py`.

A datapoint is a minute of a series, kept as the samples that it was aggregated from: `{value: how many}`. That is
what CloudWatch calls raw datapoints, so percentiles and trimmed statistics come out of it too.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from botocore.utils import parse_to_aware_datetime

from sandbox.aws.alarms import Alarms
from sandbox.aws.boundary import AwsError, Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.metric_pages import page_of
from sandbox.aws.statistics import Samples, Statistic, statistic

MINUTE_SECONDS: Final = 60
QUERIES_PER_CALL: Final = 500
LAMBDA_UNITS: Final = {"Invocations": "Count", "Errors": "Count", "Throttles": "Count", "Duration": "Milliseconds"}

#: The datapoints of each metric, by the second at which their minute begins.
Minutes = Mapping[str, Mapping[int, Samples]]
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
        self._fills: list[tuple[Fill, str | None]] = []
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

    def before_read(self, fill: Fill, function_name: str | None = None) -> None:
        """Have `fill(start, end)` record whatever is still missing between two moments before anybody reads it; where a
        function is named, of Lambda's metrics its own alone.
        """
        self._fills.append((fill, function_name))

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

    def record_all(self, dimensions: Mapping[str, str], minutes: Minutes, namespace: str = "AWS/Lambda") -> None:
        """Many minutes at once, at which nothing has been recorded of these dimensions."""
        named = frozenset(dimensions.items())
        for metric, datapoints in minutes.items():
            self._series.setdefault((namespace, metric, named), {}).update(datapoints)

    def keep(self, namespace: str, metric: str, dimensions: Mapping[str, str], at: float, samples: Samples) -> None:
        """Samples of any metric at a moment (epoch seconds); they add to what its minute has."""
        self._keep(namespace, metric, frozenset(dimensions.items()), at, samples)

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
        metric, unit = metric_stat["Metric"], metric_stat.get("Unit")
        named = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", ()))
        other = dict(named).get("FunctionName") if metric["Namespace"] == "AWS/Lambda" else None
        for fill, function_name in self._fills:
            if other is None or function_name in (None, other):
                fill(start, end)
        self._receive()
        datapoints = self._series.get((metric["Namespace"], metric["MetricName"], named), {})
        if unit not in (None, LAMBDA_UNITS.get(metric["MetricName"], unit)):
            return []
        compute = statistic(metric_stat["Stat"])
        received = self._clock.now() - self._delay_seconds - MINUTE_SECONDS
        found = []
        for begin in range(int(start), int(end), metric_stat["Period"]):
            minutes = range(begin, min(begin + metric_stat["Period"], int(end)), MINUTE_SECONDS)
            samples = [datapoints[minute] for minute in minutes if minute in datapoints and minute <= received]
            value = _computed(compute, samples) if samples else None
            if value is not None:
                found.append((float(begin), float(value)))
        return found

    def get_metric_data(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetMetricData of plain metrics: metric math is not simulated. API reference: start inclusive, end exclusive,
        newest first unless asked otherwise, at most 500 queries and 100,800 datapoints (see `metric_pages`).
        """
        queries = params["MetricDataQueries"]
        start, end = (int(_epoch(params[key])) // MINUTE_SECONDS * MINUTE_SECONDS for key in ("StartTime", "EndTime"))
        _refuse_unless_answerable(queries, _epoch(params["StartTime"]), _epoch(params["EndTime"]))
        if _epoch(params["EndTime"]) > end:
            end += MINUTE_SECONDS
        asked = [query for query in queries if query.get("ReturnData", True)]
        page = page_of([self.values(query["MetricStat"], start, end) for query in asked], params)
        results = [
            {
                "Id": query["Id"],
                "Label": query.get("Label", query["MetricStat"]["Metric"]["MetricName"]),
                "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in part.datapoints],
                "Values": [value for _, value in part.datapoints],
                "StatusCode": "Complete" if part.complete else "PartialData",
            }
            for query, part in zip(asked, page.parts, strict=True)
        ]
        more = {"NextToken": page.next_token} if page.next_token else {}
        return {"MetricDataResults": results, "Messages": [], **more}

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
                self.keep(params["Namespace"], each["MetricName"], dimensions, at, samples)
        return {}


def lambda_minutes(minutes: Mapping[int, tuple[int, Samples]]) -> Minutes:
    """What Lambda sends of each of its metrics, from the errors and the durations of the invocations of each minute."""
    invoked = {at: (sum(durations.values()), errors) for at, (errors, durations) in minutes.items()}
    counted = {at: counts for at, counts in invoked.items() if counts[0]}
    return {
        "Invocations": {at: ones_and_zeros(invocations, 0) for at, (invocations, _) in counted.items()},
        "Errors": {at: ones_and_zeros(errors, invocations - errors) for at, (invocations, errors) in counted.items()},
        "Duration": {at: minutes[at][1] for at in counted},
    }


@lru_cache(maxsize=4096)
def ones_and_zeros(ones: int, zeros: int) -> Samples:
    """So many ones and zeros, without a key for none; one object for the same numbers, which nobody changes."""
    return {value: count for value, count in ((1, ones), (0, zeros)) if count}


def _computed(compute: Statistic, samples: Sequence[Samples]) -> float | None:
    """A statistic of several minutes; known by heart where they are one and the same object, as in a usual day."""
    first = samples[0]
    if len(samples) == 1 or any(each is not first for each in samples):
        return compute(_together(samples))
    kept = _KNOWN.get((compute, id(first), len(samples)))
    if kept is None:
        if len(_KNOWN) >= _KNOWN_AT_MOST:
            _KNOWN.clear()
        kept = _KNOWN[compute, id(first), len(samples)] = first, compute(_together(samples))
    return kept[1]


#: By statistic, by the identity of samples that nobody changes, and by how many times they are there; with the samples,
#: so that their identity stays theirs.
_KNOWN: dict[tuple[Statistic, int, int], tuple[Samples, float | None]] = {}
_KNOWN_AT_MOST: Final = 4096


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
