"""Both versions' requests as CloudWatch counts them, minute by minute."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from aws import sdk
from rollout.errors import AwsUnavailable, PermissionDenied
from rollout.observation import Counts, Minute

_PERIOD_SECONDS = 60
#: GetMetricData returns at most 100,800 datapoints a call; six queries of 10,080 minutes (a week) stay below.
_MAX_MINUTES = 10_080


def read_minutes(
    function_name: str,
    alias_name: str,
    stable: str,
    candidate: str,
    *,
    start: float,
    end: float,
    slow_above_ms: float | None,
) -> tuple[Minute, ...]:
    """Every minute from the one that holds `start` to the one before `end` that has any request, in order.

    Lambda sends the dimensions FunctionName, Resource (`function:alias`) and ExecutedVersion only for
    invocations through the alias; a datapoint's time is that of the invocation, and a minute without
    invocations has no datapoint (Lambda Developer Guide, "Types of metrics"). A count that is not there yet
    counts as zero: the next poll reads it again. Times are seconds since the epoch.

    Raises:
        AwsUnavailable: CloudWatch could not answer completely.
        PermissionDenied: CloudWatch says Forbidden.
    """
    first = start - start % _PERIOD_SECONDS
    last = end - end % _PERIOD_SECONDS + _PERIOD_SECONDS
    first = max(first, last - _MAX_MINUTES * _PERIOD_SECONDS)
    queries = _queries(function_name, alias_name, {"stable": stable, "candidate": candidate}, slow_above_ms)
    counts: dict[float, dict[str, int]] = defaultdict(dict)
    for query_id, at, value in _datapoints(queries, first, last):
        counts[at][query_id] = round(value)
    return tuple(
        Minute(at, _counts(found, "stable"), _counts(found, "candidate")) for at, found in sorted(counts.items())
    )


def _counts(found: dict[str, int], role: str) -> Counts:
    return Counts(found.get(f"{role}_requests", 0), found.get(f"{role}_errors", 0), found.get(f"{role}_slow", 0))


def _queries(
    function_name: str, alias_name: str, versions: dict[str, str], slow_above_ms: float | None
) -> list[dict[str, Any]]:
    statistics = {"requests": ("Invocations", "Sum"), "errors": ("Errors", "Sum")}
    if slow_above_ms is not None:
        # A trimmed count; its lower bound is exclusive (CloudWatch User Guide, "Statistics definitions").
        statistics["slow"] = ("Duration", f"TC({slow_above_ms:.3f}:)")
    return [
        {
            "Id": f"{role}_{name}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "FunctionName", "Value": function_name},
                        {"Name": "Resource", "Value": f"{function_name}:{alias_name}"},
                        {"Name": "ExecutedVersion", "Value": version},
                    ],
                },
                "Period": _PERIOD_SECONDS,
                "Stat": statistic,
            },
        }
        for role, version in versions.items()
        for name, (metric, statistic) in statistics.items()
    ]


def _datapoints(queries: list[dict[str, Any]], start: float, end: float) -> list[tuple[str, float, float]]:
    found: list[tuple[str, float, float]] = []
    request: dict[str, Any] = {
        "MetricDataQueries": queries,
        "StartTime": datetime.fromtimestamp(start, UTC),
        "EndTime": datetime.fromtimestamp(end, UTC),
    }
    while True:
        with sdk.refusals("read the alias's metrics"):
            response = sdk.client("cloudwatch").get_metric_data(**request)
        for result in response["MetricDataResults"]:
            _require_complete(result, response)
            stamps = [stamp.timestamp() for stamp in result.get("Timestamps", [])]
            found += [(result["Id"], at, value) for at, value in zip(stamps, result.get("Values", []), strict=True)]
        if not response.get("NextToken"):
            return found
        request["NextToken"] = response["NextToken"]


def _require_complete(result: dict[str, Any], response: dict[str, Any]) -> None:
    status = result.get("StatusCode", "Complete")
    if status == "Forbidden":
        raise PermissionDenied(f"CloudWatch forbids reading {result['Id']}: allow cloudwatch:GetMetricData")
    if status == "InternalError" or (status == "PartialData" and not response.get("NextToken")):
        raise AwsUnavailable(f"CloudWatch answered {status} for {result['Id']}")
