"""What a `Stat` computes from a datapoint's samples: CloudWatch user guide, "CloudWatch statistics definitions"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: What a datapoint was aggregated from: `{value: how many}`.
Samples = Mapping[float, int]
Statistic = Callable[[Samples], float | None]


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
