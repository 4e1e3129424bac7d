"""Both versions' requests as CloudWatch counts them, minute by minute, and the alias's in the day before.

What is asked and what answers mean is in `analysis.queries`. Times are seconds since the epoch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.alias import Alias
from tidegate.analysis.bursts import failing_minutes
from tidegate.analysis.e_process import correlation
from tidegate.analysis.measurement import MetricBaseline, Minute, TrafficBaseline
from tidegate.analysis.metric import QUANTILES, CustomMetric
from tidegate.analysis.queries import (
    Asked,
    Found,
    Query,
    VersionQueries,
    day_queries,
    rollout_queries,
)
from tidegate.aws import sdk
from tidegate.errors import AwsUnavailable, PermissionDenied

_MINUTE_SECONDS = 60
_HOUR_SECONDS = 3600
_DAY_SECONDS = 24 * _HOUR_SECONDS
#: A minute that began so long ago has been over for two, after which its metrics are there.
_SETTLED_SECONDS = 180
#: An hour in which so many of its twelve short periods had a request knew no silence worth the name.
_FEWEST_BUSY = 10
#: GetMetricData takes as many queries a call, and returns as many datapoints (API reference).
_MAX_QUERIES, _MAX_DATAPOINTS = 500, 100_800

#: A rollout of up to two days is read by the minute, if that takes two answers at most; of a longer one, what is older
#: than a day is read more coarsely.
_BY_THE_MINUTE_SECONDS, _ANSWERS_BY_THE_MINUTE = 2 * _DAY_SECONDS, 2
_OLDER_PERIOD_SECONDS = 900


def read_rollout(
    alias: Alias,
    stable: str,
    candidate: str,
    *,
    first_shift_at: float,
    shifted_at: float,
    now: float,
    asked: Asked,
) -> tuple[Minute, ...]:
    """Everything since the first shift: by the minute, and in a rollout of days the older part by the quarter hour.

    The present step is always read by the minute, up to its last day.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """

    def read(start: float, end: float, period_seconds: int) -> tuple[Minute, ...]:
        return read_minutes(alias, stable, candidate, start=start, end=end, period_seconds=period_seconds, asked=asked)

    queries = len(rollout_queries(*_both(alias, stable, candidate, asked)))
    most = _MINUTE_SECONDS * _ANSWERS_BY_THE_MINUTE * _MAX_DATAPOINTS // queries
    if now - first_shift_at <= min(_BY_THE_MINUTE_SECONDS, most):
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
    asked: Asked,
) -> tuple[Minute, ...]:
    """Every minute (or longer period, a multiple of 60 seconds) that had any request or throttle, oldest first.

    They begin with the one that holds `start` and end with the one that `end` is in or closes. Where these are more
    than one call returns, there are several calls. Everything is read anew each time: a minute that was incomplete at
    one poll is corrected at the next. Throttles are known for the alias alone, since a throttled request reaches
    neither version; there, absent is 0.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """
    both = _both(alias, stable, candidate, asked)
    first = math.floor(start / period_seconds) * period_seconds
    last = max(math.ceil(end / period_seconds) * period_seconds, first + period_seconds)
    minutes = (
        Minute(at, both[0].counts(found), both[1].counts(found), round(found.get("throttled", 0)), period_seconds)
        for at, found in _read(rollout_queries(*both), first, last, period_seconds)
    )
    return tuple(
        minute for minute in minutes if minute.stable.requests or minute.candidate.requests or minute.throttled
    )


def _both(alias: Alias, stable: str, candidate: str, asked: Asked) -> tuple[VersionQueries, VersionQueries]:
    return VersionQueries("stable", alias, stable, asked), VersionQueries("candidate", alias, candidate, asked)


def read_baseline(
    alias: Alias, *, before: float, stable: str = "", metrics: Sequence[CustomMetric] = ()
) -> TrafficBaseline:
    """The alias's traffic in the 24 hours before a moment, in whole hours: the first began at most an hour before.

    A quantile is the median of the hours' own, each hour weighing as much as its requests: percentiles cannot be added
    up, and one hour's outage does not move a median. Requests per minute are counted from the first hour with any, so
    that a young alias's are not diluted by the time before it, and up to `before`, in the midst of an hour. How much
    fails just now is learnt from the last hour. `metrics` are the user's own, of the version `stable`.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """
    queries = day_queries(alias, stable, metrics)
    # On whole hours, since hourly datapoints begin there (API reference, GetMetricData, StartTime).
    first = math.floor((before - _DAY_SECONDS) / _HOUR_SECONDS) * _HOUR_SECONDS
    last = math.ceil(before / _HOUR_SECONDS) * _HOUR_SECONDS
    periods = _read(queries, first, last, _HOUR_SECONDS)
    hours = [found for _, found in periods]
    found_of = tuple(_found_of(number, metric, hours) for number, metric in enumerate(metrics))
    if not (busy := [(at, found) for at, found in periods if found.get("requests")]):
        return TrafficBaseline(metrics=found_of)
    minutes = max(1.0, (before - busy[0][0]) / _MINUTE_SECONDS)
    # An hour without its errors would pass for one without any.
    known = [found for _, found in busy if "errors" in found]
    p50, p90, p99 = (_usual(quantile, "timed", hours) for quantile in QUANTILES)
    return TrafficBaseline(
        requests=round(sum(found["requests"] for found in known)),
        errors=round(sum(found["errors"] for found in known)),
        requests_per_minute=sum(found["requests"] for _, found in busy) / minutes,
        throttled=round(sum(found.get("throttled", 0.0) for found in hours)),
        since=first,
        **_last_hour(periods, before, known),
        hourly=_steady_hours([(at - first, found["short"]) for at, found in periods if found.get("short")]),
        metrics=found_of,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
    )


def _last_hour(periods: Iterable[tuple[float, Found]], before: float, hours: Sequence[Found]) -> dict[str, Any]:
    """What a `TrafficBaseline` knows of the hour before a moment: of its minutes of which all is known.

    Usual is what the day's hours say, this one included.
    """
    usual = sum(found["errors"] for found in hours) / max(1.0, sum(found["requests"] for found in hours))
    first, last = before - _HOUR_SECONDS, before - _SETTLED_SECONDS
    begun = (found for at, found in periods if first <= at <= last)
    minutes = [(one["minute"], one["minute_bad"]) for one in begun if one.get("minute") and "minute_bad" in one]
    return {
        "correlation": correlation(minutes),
        "hour_requests": round(sum(requests for requests, _ in minutes)),
        "hour_errors": round(sum(bad for _, bad in minutes)),
        "failing_minutes": failing_minutes(minutes, usual),
    }


def _found_of(number: int, metric: CustomMetric, hours: Sequence[Found]) -> MetricBaseline:
    """What a day says of it: of the hours in which all of it is known."""
    prefix = f"metric{number}"
    told = f"{prefix}_bad" if metric.above is None else f"{prefix}_above"
    known = [found for found in hours if found.get(f"{prefix}_total") and (told in found or metric.sparse)]
    trials = round(sum(found[f"{prefix}_total"] for found in known))
    if metric.above is None:
        bad = min(trials, round(sum(found.get(told, 0) for found in known)))
        reports = round(sum(found.get(f"{prefix}_reports", 0) for found in known))
        return MetricBaseline(metric.name, trials, bad, reports=reports)
    return MetricBaseline(metric.name, trials, 0, _usual(told, f"{prefix}_total", known), reports=trials)


def _usual(quantile: str, weight: str, hours: Sequence[Found]) -> float | None:
    """A quantile of a day; None where nothing was measured."""
    return _weighted_median([(found[quantile], found.get(weight, 0)) for found in hours if quantile in found])


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


def _read(queries: Sequence[Query], start: float, end: float, period_seconds: int) -> list[tuple[float, Found]]:
    """Every period in which any query found something, oldest first; in as many calls as that takes.

    A query of shorter periods has so many datapoints more.
    """
    each = sum(period_seconds // (query.period_seconds or period_seconds) for query in queries)
    at_once = max(1, _MAX_DATAPOINTS // each) * period_seconds
    periods: dict[float, dict[str, float]] = defaultdict(dict)
    begin = start
    while begin < end:
        until = min(end, begin + at_once)
        for number in range(0, len(queries), _MAX_QUERIES):
            some = queries[number : number + _MAX_QUERIES]
            request = {
                "MetricDataQueries": [_metric_data_query(query, period_seconds) for query in some],
                "StartTime": datetime.fromtimestamp(begin, UTC),
                "EndTime": datetime.fromtimestamp(until, UTC),
            }
            for name, at, value in _datapoints(request):
                periods[at][name] = value
        begin = until
    return sorted(periods.items())


def _metric_data_query(query: Query, period_seconds: int) -> dict[str, Any]:
    metric = {
        "Namespace": query.series.namespace,
        "MetricName": query.series.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in query.series.dimensions],
    }
    period_seconds = query.period_seconds or period_seconds
    return {"Id": query.ident, "MetricStat": {"Metric": metric, "Period": period_seconds, "Stat": query.statistic}}


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
