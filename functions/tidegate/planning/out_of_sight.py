"""What a rollout will not be able to see, however it goes: said in its plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.analysis.sight import could_tell
from tidegate.duration import format_duration
from tidegate.planning.pace import SETTLE_SECONDS
from tidegate.planning.strategy import Step
from tidegate.routing import ALL_PERCENT

SLOW_UNJUDGED = (
    "slow requests cannot be judged: how long served requests took in the day before is not known, so no promotion is"
    ' proven; set "health": {"judge": {"slow": false}} to have it proven by errors alone'
)

DURABLE = (
    "A durable function: what is judged is how its executions end, counted in the minute in which each started."
    " Durations are not judged. A step whose executions have not ended is unknown."
)
DURABLE_UNJUDGED = (
    "A durable function: its executions are not judged, since errors is false, but metrics of yours alone; durations"
    " are not judged either"
)
REPLAYS_COUNTED = "{} is counted against invocations, replays included: give a total"
UNTIMED = "max_duration_p99_ms is not asked: nobody times the executions of a durable function"


def warnings(
    steps: Sequence[Step],
    baseline: TrafficBaseline,
    health: HealthPolicy,
    timeout_seconds: int | None,
    *,
    durable: bool = False,
) -> Iterator[str]:
    """A sentence for everything that will not be seen, or may not, from the day before.

    `timeout_seconds` is the function's own; None where nobody knows it. Of a `durable` one it says nothing: a request
    is a part of an execution.
    """
    if durable:
        yield from _of_durable(health)
        return
    quantiles = health.judge.quantiles if health.judge else {}
    if quantiles and not any(map(baseline.slow_above_ms, quantiles)):
        yield SLOW_UNJUDGED
    asked = [
        # The minute in which a weight is set is at two.
        (baseline.requests_per_minute * max(0, step.bake_seconds - 60) / 60, step.weight_percent / 100)
        for step in steps
        if step.weight_percent < ALL_PERCENT
    ]
    expected, variance = sum(n * weight for n, weight in asked), sum(n * weight * (1 - weight) for n, weight in asked)
    hangs = bool(timeout_seconds and timeout_seconds > SETTLE_SECONDS)
    if hangs and not could_tell(expected, variance):
        unknown = asked and not baseline.requests
        few = "where these steps compare too few requests" if unknown else "these steps compare too few requests"
        then = "a promotion" if unknown else "so a promotion"
        yield (
            f"a request may run for {format_duration(timeout_seconds or 0)} (the function's time-out), and is counted"
            f" once it has ended: {few} to tell whether any hang, {then} will be unproven; bake longer at a lower"
            " weight, or lower the time-out"
        )


def _of_durable(health: HealthPolicy) -> Iterator[str]:
    """What is judged of a durable function, and what its replays make wrong."""
    if health.judge:
        yield DURABLE if health.judge.errors else DURABLE_UNJUDGED
        counted = (one for one in health.judge.metrics if one.total is None and one.above is None)
        yield from (REPLAYS_COUNTED.format(one.name) for one in counted)
    if health.max_duration_p99_ms is not None:
        yield UNTIMED
