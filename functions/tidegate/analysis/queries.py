"""What is asked of CloudWatch about a rollout, and what its answers mean: a query is a statistic of one series.

Lambda sends the dimensions FunctionName and Resource (`function:alias`) for every invocation through the alias, and the
same with ExecutedVersion for each version behind it; a datapoint's time is that of the invocation, and a minute without
invocations has no datapoint (Lambda Developer Guide, "Types of metrics").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from itertools import pairwise
from typing import Final

from tidegate.alias import Alias
from tidegate.analysis.measurement import Counts, Trials
from tidegate.analysis.metric import HIGHEST, QUANTILES, CustomMetric, Series, quantile_name
from tidegate.frozen import frozen

#: What each query found in one period, by its Id. A query without a datapoint in that period is absent.
Found = Mapping[str, float]
#: Limits are asked for with so many decimals, and small ones with so many digits.
_DECIMALS: Final = 3
#: Of an hour these parts say whether it knew silences.
SHORT_SECONDS: Final = 300


@frozen
class Query:
    """One statistic of one series; `ident` begins with a lower-case letter, as an Id of GetMetricData does.

    `period_seconds` where it is another one than that of the queries beside it.
    """

    ident: str
    series: Series
    statistic: str
    period_seconds: int | None = None


@frozen
class Bands:
    """Samples counted between limits: below the first one, between two of them, and above the last one.

    A trimmed count's lower bound is exclusive, its upper one inclusive (CloudWatch User Guide, "CloudWatch statistics
    definitions"). It does not say whether a count of none is published: so nothing may mean none, and what all bands
    hold together tells whether it does.
    """

    prefix: str
    series: Series
    limits: tuple[float, ...]

    def queries(self) -> Iterator[Query]:
        """How many samples there are, and how many in each band; nothing where there is no limit."""
        if not self.limits:
            return
        edges = ["", *(f"{limit:.{_decimals(limit)}f}" for limit in self.limits), ""]
        yield Query(f"{self.prefix}_timed", self.series, "SampleCount")
        for number, (low, high) in enumerate(pairwise(edges)):
            yield Query(f"{self.prefix}_band{number}", self.series, f"TC({low}:{high})")

    def samples(self, found: Found) -> int | None:
        """How many there are; None where that is not known."""
        return rounded(found.get(f"{self.prefix}_timed"))

    def above(self, limit: float, found: Found) -> int | None:
        """How many are above one of the limits; None where that is not known."""
        bands = [rounded(found.get(f"{self.prefix}_band{number}")) for number in range(len(self.limits) + 1)]
        all_samples, known = self.samples(found), sum(band or 0 for band in bands)
        if all_samples is not None and known >= all_samples:
            bands = [band or 0 for band in bands]
        first = self.limits.index(limit) + 1
        upper, lower = bands[first:], bands[:first]
        if None not in upper:
            return sum(band or 0 for band in upper)
        if all_samples is None or None in lower:
            return None
        return max(0, all_samples - sum(band or 0 for band in lower))


@frozen
class Asked:
    """What a look asks of each minute and version.

    `slow_above_ms` is by quantile, `limit_ms` the user's own limit. `above` is where bad begins of the metrics of
    values, by name.
    """

    slow_above_ms: Mapping[str, float]
    limit_ms: float | None = None
    metrics: tuple[CustomMetric, ...] = ()
    above: Mapping[str, float] = field(default_factory=dict)

    @property
    def limits(self) -> tuple[float, ...]:
        """Every limit of a duration, in milliseconds, the lowest first."""
        limits = {*self.slow_above_ms.values(), *([] if self.limit_ms is None else [self.limit_ms])}
        return tuple(sorted(map(_told, limits)))


@frozen
class VersionQueries:
    """What is asked about one version's requests through the alias; `role` keeps its queries apart from others'."""

    role: str
    alias: Alias
    version: str
    asked: Asked

    def queries(self) -> list[Query]:
        """All of them."""
        found = [
            Query(f"{self.role}_{name}", lambda_series(self.alias, metric, self.version), "Sum")
            for name, metric in (("requests", "Invocations"), ("errors", "Errors"))
        ]
        found += self._durations.queries()
        for number, metric in enumerate(self.asked.metrics):
            found += self._metric_queries(number, metric)
        return found

    def counts(self, found: Found) -> Counts:
        """What the answers say of one period.

        No Invocations are no requests. Any other count of a version that had some is None where CloudWatch has no
        datapoint (yet): Lambda sends Errors and Duration with every invocation, so nothing there means unknown, and not
        0. The same is said of a metric of the user's.
        """
        requests = rounded(found.get(f"{self.role}_requests")) or 0
        others = {
            metric.name: self._trials(number, metric, requests, found)
            for number, metric in enumerate(self.asked.metrics)
        }
        if not requests:
            return Counts(others=others)
        slow = {quantile: self._above(limit, found) for quantile, limit in self.asked.slow_above_ms.items()}
        timed = self._durations.samples(found)
        others |= {
            quantile_name(quantile): None if bad is None or timed is None else (timed, bad)
            for quantile, bad in slow.items()
            if quantile != HIGHEST
        }
        return Counts(
            requests,
            rounded(found.get(f"{self.role}_errors")),
            timed if HIGHEST in slow else 0,
            slow.get(HIGHEST, 0),
            0 if self.asked.limit_ms is None else self._above(self.asked.limit_ms, found),
            others,
        )

    @property
    def _durations(self) -> Bands:
        return Bands(self.role, lambda_series(self.alias, "Duration", self.version), self.asked.limits)

    def _above(self, limit: float, found: Found) -> int | None:
        return self._durations.above(_told(limit), found)

    def _values(self, number: int, metric: CustomMetric) -> Bands | None:
        """Of a metric of values; None where it is not known which of them are bad."""
        above = self.asked.above.get(metric.name)
        prefix, series = f"{self.role}_metric{number}", metric.series.of(self.alias, self.version)
        return None if above is None else Bands(prefix, series, (_told(above),))

    def _metric_queries(self, number: int, metric: CustomMetric) -> Iterator[Query]:
        prefix = f"{self.role}_metric{number}"
        if metric.above is not None:
            values = self._values(number, metric)
            yield from values.queries() if values else ()
            return
        yield Query(f"{prefix}_bad", metric.series.of(self.alias, self.version), "Sum")
        if metric.total:
            yield Query(f"{prefix}_total", metric.total.of(self.alias, self.version), "Sum")

    def _trials(self, number: int, metric: CustomMetric, requests: int, found: Found) -> Trials:
        prefix = f"{self.role}_metric{number}"
        if metric.above is not None:
            values = self._values(number, metric)
            of = values.samples(found) if values else None
            bad = values.above(values.limits[0], found) if values and of else 0
        else:
            of = requests if metric.total is None else rounded(found.get(f"{prefix}_total"))
            bad = rounded(found.get(f"{prefix}_bad"))
        if bad is None and metric.sparse:
            bad = 0
        if not of:
            return 0, 0
        return None if bad is None else (of, max(0, min(bad, of)))


def rollout_queries(stable: VersionQueries, candidate: VersionQueries) -> list[Query]:
    """Everything that a look asks of CloudWatch. Throttled requests reach neither version: they are the alias's."""
    throttled = Query("throttled", lambda_series(stable.alias, "Throttles"), "Sum")
    return [*stable.queries(), *candidate.queries(), throttled]


def day_queries(alias: Alias, stable: str, metrics: Iterable[CustomMetric]) -> list[Query]:
    """Everything that is asked of the day before: of the alias, and of the stable version what the user counts."""
    asked = {"requests": ("Invocations", "Sum"), "errors": ("Errors", "Sum"), "timed": ("Duration", "SampleCount")}
    asked |= {quantile: ("Duration", quantile) for quantile in QUANTILES} | {"throttled": ("Throttles", "Sum")}
    return [
        *(Query(name, lambda_series(alias, metric), statistic) for name, (metric, statistic) in asked.items()),
        Query("short", lambda_series(alias, "Invocations"), "Sum", period_seconds=SHORT_SECONDS),
        Query("minute", lambda_series(alias, "Invocations"), "Sum", period_seconds=60),
        Query("minute_bad", lambda_series(alias, "Errors"), "Sum", period_seconds=60),
        *(query for number, metric in enumerate(metrics) for query in _day_queries(number, metric, stable, alias)),
    ]


def _day_queries(number: int, metric: CustomMetric, stable: str, alias: Alias) -> list[Query]:
    series, prefix = metric.series.of(alias, stable), f"metric{number}"
    if metric.above is not None:
        statistics = {"total": "SampleCount", "above": metric.above}
        return [Query(f"{prefix}_{name}", series, statistic) for name, statistic in statistics.items()]
    total = metric.total.of(alias, stable) if metric.total else lambda_series(alias, "Invocations", stable)
    reported = total if metric.total else series
    return [
        Query(f"{prefix}_bad", series, "Sum"),
        Query(f"{prefix}_total", total, "Sum"),
        Query(f"{prefix}_reports", reported, "SampleCount"),
    ]


def lambda_series(alias: Alias, metric: str, version: str | None = None) -> Series:
    """One of Lambda's own metrics, of the alias or of one version behind it."""
    executed = (("ExecutedVersion", version),) if version else ()
    return Series("AWS/Lambda", metric, (("FunctionName", alias.function_name), ("Resource", str(alias)), *executed))


def _told(limit: float) -> float:
    """A limit as it is asked for."""
    return round(limit, _decimals(limit))


def _decimals(limit: float) -> int:
    return _DECIMALS - min(0, math.floor(math.log10(limit)) + 1) if limit > 0 else _DECIMALS


def rounded(value: float | None) -> int | None:
    """A count as a whole number."""
    return None if value is None else round(value)
