"""How GetMetricData answers with more datapoints than one answer may hold: page by page.

API reference, GetMetricData: MaxDatapoints is how many come before it paginates, 100,800 by default and at most; ScanBy
says whether the newest or the oldest come first; NextToken brings the next ones. MetricDataResult, StatusCode:
PartialData where a result goes on, Complete where all of it was returned.

The reference does not say how a page is cut between queries. Here it is cut by time, so that a page has every query's
datapoints of the same periods, and each answer has all queries, also those that are complete (chosen).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.aws.boundary import AwsError

MOST_DATAPOINTS: Final = 100_800
#: Its moment (epoch seconds), and its value.
Datapoint = tuple[float, float]


@dataclass(slots=True)
class Part:
    """What a page has of one query, and whether that was all."""

    datapoints: list[Datapoint] = field(default_factory=list)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: a part of each query, in their order, and where the next page begins."""

    parts: list[Part]
    next_token: str | None = None


def page_of(found: Sequence[list[Datapoint]], params: Mapping[str, Any]) -> Page:
    """The page that GetMetricData's parameters ask for, of all datapoints that each query has, oldest first.

    Raises:
        AwsError: InvalidNextToken, or ValidationError where MaxDatapoints is less than one.
    """
    limit = min(params.get("MaxDatapoints", MOST_DATAPOINTS), MOST_DATAPOINTS)
    if limit < 1:
        raise AwsError("ValidationError", "The parameter MaxDatapoints must be greater than or equal to 1.")
    sign = 1 if params.get("ScanBy") == "TimestampAscending" else -1
    if "NextToken" not in params and sum(map(len, found)) <= limit:
        return Page([Part(each[::sign]) for each in found])
    due = sorted((sign * at, number, value) for number, each in enumerate(found) for at, value in each)
    if "NextToken" in params:
        last = _read(params["NextToken"])
        due = [each for each in due if each[:2] > last]
    parts = [Part() for _ in found]
    for place, number, value in due[:limit]:
        parts[number].datapoints.append((sign * place, value))
    for _, number, _ in due[limit:]:
        parts[number].complete = False
    return Page(parts, _token(*due[limit - 1][:2]) if due[limit:] else None)


def _token(place: float, number: int) -> str:
    """Where a page ended: datapoints that come in meanwhile do not move it."""
    return base64.b64encode(f"{place:.0f} {number}".encode()).decode()


def _read(token: str) -> tuple[float, int]:
    try:
        place, number = base64.b64decode(token, validate=True).decode().split()
        return float(place), int(number)
    except (binascii.Error, ValueError) as error:
        raise AwsError("InvalidNextToken", "The next token specified is invalid.") from error
