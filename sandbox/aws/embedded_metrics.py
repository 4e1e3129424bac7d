"""CloudWatch's embedded metric format: what handlers print as metrics becomes datapoints.

CloudWatch user guide, "Specification: Embedded metric format": a log event that is a JSON object with `_aws`, and
nothing around it, is one datapoint, or as many as a list has values, of every metric that its directives name, for each
of their sets of dimensions; its other members hold the values. Where it breaks a rule of the specification, CloudWatch
keeps nothing of it and says so to nobody but the account's own metrics of CloudWatch Logs; whether it might keep what
else the event has is not written (chosen).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

_MILLISECONDS = 1000
MOST_METRICS: Final = 100
MOST_VALUES: Final = 100
MOST_DIMENSIONS: Final = 30
LONGEST_DIMENSION: Final = 1024
LONGEST_NAME: Final = 255
#: API reference, MetricDatum, Value.
GREATEST: Final = 2**360


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
                for request in _requests(line):
                    self._put(request)


def _requests(line: str) -> list[dict[str, Any]]:
    """One log event as parameters of PutMetricData, one call for each directive; none where it is not valid."""
    try:
        event = json.loads(line, parse_constant=_number)
        at = _number(event["_aws"]["Timestamp"]) / _MILLISECONDS
        return [
            {"Namespace": _name(directive["Namespace"]), "MetricData": list(_data(event, directive, at))}
            for directive in event["_aws"]["CloudWatchMetrics"]
        ]
    except (ValueError, KeyError, TypeError):
        return []


def _data(event: dict[str, Any], directive: dict[str, Any], at: float) -> Iterator[dict[str, Any]]:
    """Every metric of a directive, for each of its sets of dimensions. KeyError, TypeError or ValueError: not valid."""
    sets = [_dimensions(event, names) for names in _list(directive["Dimensions"], None)]
    if not sets:
        raise ValueError("no set of dimensions; an empty one would be one")
    for name in [_name(metric["Name"]) for metric in _list(directive["Metrics"], MOST_METRICS)]:
        value = event[name]
        values = [_number(each) for each in (_list(value, MOST_VALUES) if isinstance(value, list) else [value])]
        for dimensions in sets if values else ():
            yield {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Values": values}


def _dimensions(event: dict[str, Any], names: Any) -> list[dict[str, str]]:
    named = {_name(name): event[name] for name in _list(names, MOST_DIMENSIONS)}
    return [{"Name": name, "Value": _text(value, LONGEST_DIMENSION)} for name, value in named.items()]


def _list(value: Any, most: int | None) -> list[Any]:
    if not isinstance(value, list) or (most is not None and len(value) > most):
        raise TypeError(f"no list, or one of more than {most}")
    return value


def _name(value: Any) -> str:
    return _text(value, LONGEST_NAME)


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise TypeError(f"no text of 1 to {longest} characters")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= GREATEST:
        raise TypeError("no number, or none that CloudWatch takes")
    return value
