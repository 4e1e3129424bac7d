"""CloudWatch's embedded metric format: what handlers print as metrics becomes datapoints.

CloudWatch user guide, "Specification: Embedded metric format": a log event that is a JSON object with `_aws` is one
datapoint of every metric that it names, for each of its sets of dimensions; its other members hold the values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_MILLISECONDS = 1000


class EmbeddedMetrics:
    """Gives `put`, which takes PutMetricData's parameters, what log lines hold. Lines are read when somebody asks."""

    def __init__(self, lines: Sequence[str], put: Callable[[dict[str, Any]], object]) -> None:
        self._lines = lines
        self._put = put
        self._read = 0

    def catch_up(self, _start: float, _end: float) -> None:
        """Put what was logged since the last time, whenever it was; CloudWatch receives it with its usual delay."""
        begin, self._read = self._read, len(self._lines)
        for line in self._lines[begin : self._read]:
            if '"_aws"' in line:
                for request in _requests(json.loads(line)):
                    self._put(request)


def _requests(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One log event as parameters of PutMetricData, one call for each namespace."""
    at = event["_aws"]["Timestamp"] / _MILLISECONDS
    for directive in event["_aws"]["CloudWatchMetrics"]:
        data = []
        for names in directive["Dimensions"]:
            dimensions = [{"Name": name, "Value": str(event[name])} for name in names]
            for metric in directive["Metrics"]:
                value = event[metric["Name"]]
                values = value if isinstance(value, list) else [value]
                data.append({"MetricName": metric["Name"], "Dimensions": dimensions, "Timestamp": at, "Values": values})
        yield {"Namespace": directive["Namespace"], "MetricData": data}
