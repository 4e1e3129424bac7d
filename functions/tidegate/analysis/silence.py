"""Metrics of the user's own that have fallen silent: what nobody counts any more is unknown, and never healthy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import CustomMetric
from tidegate.frozen import frozen

#: A metric is silent where so many of the candidate's trials were to be expected since its last datapoint.
FEWEST_EXPECTED: Final = 10.0
#: What an application reports of itself comes as late as all metrics, and a minute with its next: after so long it is
#: missing.
ARRIVED_SECONDS: Final = 180
#: So many minutes say whether the stable version still spoke when it last served.
LAST_MINUTES: Final = 3


@frozen
class Silence:
    """A metric of which nothing came, although so many were `expected` of the candidate.

    `shared`: the stable version has said nothing in the same minutes either, so it is no doing of the candidate's.
    """

    metric: str
    expected: float
    shared: bool

    def __str__(self) -> str:
        whom = "either version" if self.shared else "the candidate"
        return f"{self.metric} is silent: no datapoint of {whom} where about {self.expected:,.0f} were to be expected"


def silences(
    metrics: Iterable[CustomMetric],
    minutes: Sequence[Minute],
    shifts: Sequence[Shift],
    now: float,
    baseline: TrafficBaseline,
) -> Iterator[Silence]:
    """Each metric that was known before the rollout and has fallen silent at the present weight.

    What is to be expected goes by the candidate's requests, and by how many of the metric's come with each of the
    stable version's.
    """
    step = [minute for minute in minutes if minute.at >= shifts[-1].at and minute.end + ARRIVED_SECONDS <= now]
    for metric in metrics:
        if not metric.proves or not baseline.of(metric.name).trials:
            continue
        since = _since_last(metric, step)
        expected = _with_each(metric, minutes, baseline) * sum(minute.candidate.requests for minute in since)
        if expected >= FEWEST_EXPECTED:
            yield Silence(metric.name, expected, _is_shared(metric, since, minutes))


def _with_each(metric: CustomMetric, minutes: Sequence[Minute], baseline: TrafficBaseline) -> float:
    """How often something is reported with a request of the stable version: in the day before, or since where nobody
    had counted requests then, as of a durable function's executions.

    One report may count many, such as a batch's items: so reports are what chance divides, and not what they count.
    """
    if baseline.requests:
        return min(1.0, baseline.of(metric.name).reports / baseline.requests)
    if metric.total is None and metric.above is None:
        return 1.0
    requests = sum(minute.stable.requests for minute in minutes)
    return sum((minute.stable.trials(metric.name) or (0, 0))[0] for minute in minutes) / max(1, requests)


def _is_shared(metric: CustomMetric, since: Sequence[Minute], minutes: Sequence[Minute]) -> bool:
    """Whether the stable version has said nothing meanwhile; where it serves nothing, nothing when it last served."""
    served = [minute for minute in since if minute.stable.requests]
    last = [minute for minute in minutes if minute.stable.requests][-LAST_MINUTES:]
    return not any(_speaks(metric, minute.stable) for minute in served or last)


def _since_last(metric: CustomMetric, minutes: Sequence[Minute]) -> Sequence[Minute]:
    """The minutes after the last one in which it spoke of the candidate."""
    spoke = [number for number, minute in enumerate(minutes) if _speaks(metric, minute.candidate)]
    return minutes[spoke[-1] + 1 :] if spoke else minutes


def _speaks(metric: CustomMetric, counts: Counts) -> bool:
    trials = counts.trials(metric.name)
    return bool(trials and trials[0])
