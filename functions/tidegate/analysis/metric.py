"""The metrics that are judged: errors and slow requests as Lambda counts them, and what the user counts beside."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Self

from tidegate.alias import Alias
from tidegate.analysis.e_process import Tolerance
from tidegate.frozen import frozen
from tidegate.stored import known_fields

ERRORS: Final = "errors"
#: Executions of a durable function that failed or ran out of time: they stand for errors there.
DURABLE: Final = "durable_failures"
#: Slower than the stable version's p99 of the day before.
SLOW: Final = "slow"
#: The quantiles of that day that slow can mean, the lowest first; the highest is `SLOW` itself.
QUANTILES: Final = ("p50", "p90", "p99")
HIGHEST: Final = QUANTILES[-1]
#: The share of slow's error budgets that each of them has, where all three are judged: what hurts only the slowest
#: requests has no other witness than p99.
_BUDGETS: Final = {"p50": 0.25, "p90": 0.25, "p99": 0.5}
#: What is tolerated unless the request says otherwise.
TOLERATED_ERRORS: Final = Tolerance(1.2, 0.001)
#: Half of all requests are slower than the median, so their share cannot grow by much: its ratio is narrower.
TOLERATED_SLOW: Final = {"p50": Tolerance(1.12, 0.01), "p90": Tolerance(1.2, 0.005), "p99": Tolerance(1.25, 0.002)}
#: What stands in a dimension for the version that is asked about, its function, and the alias that is rolled out.
VERSION, FUNCTION, ALIAS = "{version}", "{function}", "{alias}"
PLACEHOLDERS: Final = (VERSION, FUNCTION, ALIAS)
#: Lambda's Duration leaves a cold start out, but not what a version loads at its first requests: after each increase of
#: the weight what is measured in this minute and the next does not count, unless the request says for how long.
WARM_UP_SECONDS: Final = 120


class Kind(Enum):
    """What a bad request is, which decides the words for it."""

    FAILED = "failed"
    EXECUTED = "executed"
    SLOW = "slow"
    COUNTED = "counted"
    MEASURED = "measured"

    @property
    def is_failure(self) -> bool:
        """Whether what failed is what was asked of the function itself: requests, or executions of a durable one."""
        return self in {Kind.FAILED, Kind.EXECUTED}


@frozen
class Series:
    """A metric of CloudWatch by its dimensions, (name, value) each; placeholders in a value are filled in by `of`."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]

    def of(self, alias: Alias, version: str) -> Series:
        """The same of one version behind an alias."""
        filled = {VERSION: version, FUNCTION: alias.function_name, ALIAS: alias.name}

        def fill(value: str) -> str:
            for placeholder, text in filled.items():
                value = value.replace(placeholder, text)
            return value

        return Series(self.namespace, self.metric, tuple((name, fill(value)) for name, value in self.dimensions))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The series of `dataclasses.asdict`."""
        return cls(document["namespace"], document["metric"], tuple((n, v) for n, v in document["dimensions"]))


@frozen
class CustomMetric:
    """A metric of the user's own, judged as errors are.

    Without `above`, `series` counts what is bad, by its Sum. With `above`, a percentile such as "p99", `series` holds
    values, and bad is what lies above that percentile of the stable version's values in the day before. `total` counts
    what could have been bad; None: the version's requests, or the values themselves. `sparse`: where something is in
    `total`, no datapoint of what is bad means that nothing was. `new`: nothing may be known of it; then it may speak
    against the candidate, and proves nothing (`proves`).
    """

    name: str
    tolerance: Tolerance
    series: Series
    total: Series | None = None
    above: str | None = None
    sparse: bool = False
    new: bool = False
    proves: bool = True

    def judged(self, budget: float) -> Judged:
        """It, with that share of the error budgets."""
        if self.above is None:
            return Judged(self.name, self.tolerance, budget, Kind.COUNTED, proves=self.proves)
        share = share_above(self.above)
        return Judged(self.name, self.tolerance, budget, Kind.MEASURED, share, self.proves, WARM_UP_SECONDS)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The metric of `dataclasses.asdict`."""
        total = document.get("total")
        return cls(
            **{
                **known_fields(cls, document),
                "tolerance": Tolerance(**known_fields(Tolerance, document["tolerance"])),
                "series": Series.from_json(document["series"]),
                "total": total and Series.from_json(total),
            }
        )


@frozen
class Judged:
    """One metric as the judge weighs it: `budget` is its share of both error budgets.

    `usual_share` is the stable version's share of bad requests where that is one by definition. What does not prove may
    convict, and a promotion does not wait for it. For `warm_up_seconds` after an increase of the weight its requests do
    not count.
    """

    name: str
    tolerance: Tolerance
    budget: float
    kind: Kind
    usual_share: float | None = None
    proves: bool = True
    warm_up_seconds: int = 0


def foremost(judged: Mapping[str, Judged]) -> Judged | None:
    """What a plan's steps are told by: failures, else slow by its highest quantile, else the first of the user's own.

    None where nothing is judged.
    """
    metrics = list(judged.values())
    failing = [one for one in metrics if one.kind.is_failure]
    slow = [one for one in metrics if one.kind is Kind.SLOW]
    return next(iter([*failing, *reversed(slow), *metrics]), None)


def quantile_name(quantile: str) -> str:
    """What slow is called by a quantile: "slow p50", and plainly "slow" by the highest."""
    return SLOW if quantile == HIGHEST else f"{SLOW} {quantile}"


def slow_metrics(tolerances: Mapping[str, Tolerance], budget: float, warm_up_seconds: int) -> list[Judged]:
    """Slow by each of these quantiles; together they have that share of the error budgets.

    Only the highest one proves: a lower quantile sees what makes many requests a little slower, and clearing a
    candidate of that takes more requests than a rollout of little traffic has.
    """
    together, highest = sum(_BUDGETS[quantile] for quantile in tolerances), max(tolerances, default="")
    return [
        Judged(
            quantile_name(quantile),
            tolerance,
            budget * _BUDGETS[quantile] / together,
            Kind.SLOW,
            share_above(quantile),
            proves=quantile == highest,
            warm_up_seconds=warm_up_seconds,
        )
        for quantile, tolerance in tolerances.items()
    ]


def tolerated_above(percentile: str) -> Tolerance:
    """What is tolerated of values above a percentile: of what is rarer than above a p99, as small a part of it."""
    usual = TOLERATED_SLOW[HIGHEST]
    rarer = share_above(percentile) / share_above(HIGHEST)
    return TOLERATED_SLOW.get(percentile, Tolerance(usual.max_ratio, usual.max_increase * min(1.0, rarer)))


def share_above(percentile: str) -> float:
    """The share of values above a percentile such as "p99"."""
    return round(1 - float(percentile[1:]) / 100, 6)
