"""Both versions' requests as CloudWatch counts them, minute by minute, and the alias's in the day before.

Lambda sends the dimensions FunctionName and Resource (`function:alias`) for every invocation through the alias, and the
same with ExecutedVersion for each version behind it; a datapoint's time is that of the invocation, and a minute without
invocations has no datapoint (Lambda Developer Guide, "Types of metrics"). Times are seconds since the epoch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.alias import Alias
from tidegate.analysis.measurement import Counts, Minute, TrafficBaseline
from tidegate.aws import sdk
from tidegate.errors import AwsUnavailable, PermissionDenied
from tidegate.frozen import frozen

_MINUTE_SECONDS = 60
_HOUR_SECONDS = 3600
_DAY_SECONDS = 24 * _HOUR_SECONDS
#: An hour in which so many of its twelve times five minutes had a request knew no silence worth the name.
_SHORT_SECONDS, _FEWEST_BUSY = 300, 10
#: GetMetricData returns at most as many datapoints a call. It takes 500 queries, of which nothing here needs a dozen.
_MAX_DATAPOINTS = 100_800

#: A rollout of up to two days is read by the minute; of a longer one, what is older than a day is read more coarsely.
_BY_THE_MINUTE_SECONDS = 2 * _DAY_SECONDS
_OLDER_PERIOD_SECONDS = 900

#: What each query found in one period, by its Id. A query without a datapoint in that period is absent.
_Found = Mapping[str, float]


@frozen
class _Query:
    """One statistic of one of the alias's metrics; of one version's requests only where `version` is given.

    `period_seconds` where it is another one than that of the queries beside it.
    """

    name: str
    metric: str
    statistic: str
    version: str | None = None
    period_seconds: int | None = None


def read_rollout(
    alias: Alias,
    stable: str,
    candidate: str,
    *,
    first_shift_at: float,
    shifted_at: float,
    now: float,
    slow_above_ms: float | None,
    limit_ms: float | None,
) -> tuple[Minute, ...]:
    """Everything since the first shift: by the minute, and in a rollout of days the older part by the quarter hour.

    The present step is always read by the minute, up to its last day.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """

    def read(start: float, end: float, period_seconds: int) -> tuple[Minute, ...]:
        return read_minutes(
            alias,
            stable,
            candidate,
            start=start,
            end=end,
            period_seconds=period_seconds,
            slow_above_ms=slow_above_ms,
            limit_ms=limit_ms,
        )

    if now - first_shift_at <= _BY_THE_MINUTE_SECONDS:
        return read(first_shift_at, now, _MINUTE_SECONDS)
    recent = max(shifted_at, now - _DAY_SECONDS)
    split = max(math.floor(recent / _OLDER_PERIOD_SECONDS) * _OLDER_PERIOD_SECONDS, first_shift_at)
    older = read(first_shift_at, split, _OLDER_PERIOD_SECONDS) if split > first_shift_at else ()
    return (*older, *read(split, now, _MINUTE_SECONDS))


def read_minutes(
    alias: Alias,
    stable: str,
    candidate: str,
    *,
    start: float,
    end: float,
    period_seconds: int = _MINUTE_SECONDS,
    slow_above_ms: float | None,
    limit_ms: float | None,
) -> tuple[Minute, ...]:
    """Every minute (or longer period, a multiple of 60 seconds) that had any request or throttle, oldest first.

    They begin with the one that holds `start` and end with the one that `end` is in or closes. Where these are more
    than one call returns, the oldest are left out. Everything is read anew each time: a minute that was incomplete
    at one poll is corrected at the next.

    No Invocations are no requests. Any other count of a version that had some is None where CloudWatch has no datapoint
    (yet): Lambda sends Errors and Duration with every invocation, so nothing there means unknown, and not 0. Throttles
    are known for the alias alone, since a throttled request reaches neither version; there, absent is 0.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """
    counted = _counted(slow_above_ms, limit_ms)
    queries = _queries(counted, stable, candidate)
    first = math.floor(start / period_seconds) * period_seconds
    last = max(math.ceil(end / period_seconds) * period_seconds, first + period_seconds)
    first = max(first, last - _MAX_DATAPOINTS // len(queries) * period_seconds)
    periods = _read(alias, queries, first, last, period_seconds)
    minutes = (_minute(at, found, counted, period_seconds) for at, found in periods)
    return tuple(
        minute for minute in minutes if minute.stable.requests or minute.candidate.requests or minute.throttled
    )


def _queries(counted: Mapping[str, tuple[str, str]], stable: str, candidate: str) -> list[_Query]:
    asked = [
        _Query(f"{role}_{name}", *what, version)
        for role, version in (("stable", stable), ("candidate", candidate))
        for name, what in counted.items()
    ]
    return [*asked, _Query("throttled", "Throttles", "Sum")]


def _minute(at: float, found: _Found, counted: Mapping[str, tuple[str, str]], period_seconds: int) -> Minute:
    stable, candidate = _counts(found, "stable", counted), _counts(found, "candidate", counted)
    return Minute(at, stable, candidate, round(found.get("throttled", 0)), period_seconds)


def _counted(slow_above_ms: float | None, limit_ms: float | None) -> dict[str, tuple[str, str]]:
    """The metric and the statistic behind each field of `Counts` that is asked for."""
    counted = {"requests": ("Invocations", "Sum"), "errors": ("Errors", "Sum")}
    limits = {"slow": slow_above_ms, "over_limit": limit_ms}
    if any(limit is not None for limit in limits.values()):
        counted["timed"] = ("Duration", "SampleCount")
    for name, limit in limits.items():
        if limit is not None:
            # A trimmed count's lower bound is exclusive, its upper one inclusive (CloudWatch User Guide, "CloudWatch
            # statistics definitions"). It does not say whether a count of none is published, so both sides are asked.
            counted |= {name: ("Duration", f"TC({limit:.3f}:)"), f"not_{name}": ("Duration", f"TC(:{limit:.3f})")}
    return counted


def _counts(found: _Found, role: str, counted: Iterable[str]) -> Counts:
    values = {name: found.get(f"{role}_{name}") for name in counted}
    requests, timed = round(values["requests"] or 0), values.get("timed")
    if not requests:
        return Counts()

    def known(name: str) -> int | None:
        value = values.get(name, 0)
        return None if value is None else round(value)

    def above(name: str) -> int | None:
        rest = values.get(f"not_{name}")
        if name not in values:
            return 0
        if values[name] is None and rest is not None and timed is not None:
            return max(0, round(timed - rest))
        return known(name)

    return Counts(
        requests, known("errors"), known("timed") if "slow" in values else 0, above("slow"), above("over_limit")
    )


def read_baseline(alias: Alias, *, before: float) -> TrafficBaseline:
    """The alias's traffic in the 24 hours before a moment, in whole hours: the first began at most an hour earlier.

    Its p99 is the median of the hours' own, each hour weighing as much as its requests: percentiles cannot be added
    up, and one hour's outage does not move a median. Requests per minute are counted from the first hour with any, so
    that a young alias's are not diluted by the time before it, and up to `before`, in the midst of an hour.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """
    queries = [
        _Query("requests", "Invocations", "Sum"),
        _Query("errors", "Errors", "Sum"),
        _Query("p99", "Duration", "p99"),
        _Query("timed", "Duration", "SampleCount"),
        _Query("throttled", "Throttles", "Sum"),
        _Query("short", "Invocations", "Sum", period_seconds=_SHORT_SECONDS),
    ]
    # On whole hours, since hourly datapoints begin there (API reference, GetMetricData, StartTime).
    first = math.floor((before - _DAY_SECONDS) / _HOUR_SECONDS) * _HOUR_SECONDS
    last = math.ceil(before / _HOUR_SECONDS) * _HOUR_SECONDS
    periods = _read(alias, queries, first, last, _HOUR_SECONDS)
    busy = [(at, found) for at, found in periods if found.get("requests")]
    if not busy:
        return TrafficBaseline()
    minutes = max(1.0, (before - busy[0][0]) / _MINUTE_SECONDS)
    # An hour without its errors would pass for one without any.
    known = [found for _, found in busy if "errors" in found]
    return TrafficBaseline(
        requests=round(sum(found["requests"] for found in known)),
        errors=round(sum(found["errors"] for found in known)),
        requests_per_minute=sum(found["requests"] for _, found in busy) / minutes,
        p99_ms=_weighted_median([(found["p99"], found.get("timed", 0)) for _, found in busy if "p99" in found]),
        throttled=round(sum(found.get("throttled", 0.0) for _, found in periods)),
        since=first,
        hourly=_steady_hours([(at - first, found["short"]) for at, found in periods if found.get("short")]),
    )


def _steady_hours(counts: Iterable[tuple[float, float]]) -> tuple[int | None, ...]:
    """The requests of each of 24 whole hours; None of an hour that had some, and in which silence was usual."""
    hours: dict[int, list[float]] = defaultdict(list)
    for second, requests in counts:
        hours[int(second) // _HOUR_SECONDS].append(requests)
    usual = {hour: round(sum(counts)) if len(counts) >= _FEWEST_BUSY else None for hour, counts in hours.items()}
    return tuple(usual.get(hour, 0) for hour in range(_DAY_SECONDS // _HOUR_SECONDS))


def _weighted_median(weighed: Sequence[tuple[float, float]]) -> float | None:
    """The smallest value at which half of the weight is reached; None where there is no weight at all."""
    half, reached = sum(weight for _, weight in weighed) / 2, 0.0
    for value, weight in sorted(weighed):
        reached += weight
        if weight and reached >= half:
            return value
    return None


def _read(
    alias: Alias, queries: Sequence[_Query], start: float, end: float, period_seconds: int
) -> list[tuple[float, _Found]]:
    """Every period in which any query found something, oldest first."""
    dimensions = {"FunctionName": alias.function_name, "Resource": str(alias)}
    request = {
        "MetricDataQueries": [_metric_data_query(query, dimensions, period_seconds) for query in queries],
        "StartTime": datetime.fromtimestamp(start, UTC),
        "EndTime": datetime.fromtimestamp(end, UTC),
    }
    periods: dict[float, dict[str, float]] = defaultdict(dict)
    for name, at, value in _datapoints(request):
        periods[at][name] = value
    return sorted(periods.items())


def _metric_data_query(query: _Query, alias: Mapping[str, str], period_seconds: int) -> dict[str, Any]:
    dimensions = {**alias, "ExecutedVersion": query.version} if query.version else alias
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": query.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    period_seconds = query.period_seconds or period_seconds
    return {"Id": query.name, "MetricStat": {"Metric": metric, "Period": period_seconds, "Stat": query.statistic}}


def _datapoints(request: dict[str, Any]) -> list[tuple[str, float, float]]:
    found: list[tuple[str, float, float]] = []
    while True:
        with sdk.refusals("read the alias's metrics"):
            response = sdk.client("cloudwatch").get_metric_data(**request)
        for result in response["MetricDataResults"]:
            _require_complete(result, response)
            stamps = [stamp.timestamp() for stamp in result.get("Timestamps", [])]
            found += [(result["Id"], at, value) for at, value in zip(stamps, result.get("Values", []), strict=True)]
        if not response.get("NextToken"):
            return found
        request = {**request, "NextToken": response["NextToken"]}


def _require_complete(result: dict[str, Any], response: dict[str, Any]) -> None:
    status = result.get("StatusCode", "Complete")
    if status == "Forbidden":
        raise PermissionDenied(f"CloudWatch forbids reading {result['Id']}: allow cloudwatch:GetMetricData")
    if status == "InternalError" or (status == "PartialData" and not response.get("NextToken")):
        raise AwsUnavailable(f"CloudWatch answered {status} for {result['Id']}")
