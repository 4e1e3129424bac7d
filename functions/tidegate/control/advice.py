"""What would have had a candidate promoted that went back for want of proof."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.analysis import limits
from tidegate.analysis.health import HealthPolicy
from tidegate.control.observation import Observation

_UNPROVEN = "set health.when_inconclusive to promote"


def advice(health: HealthPolicy, observed: Observation, short: set[str], *, time_helps: bool, may_hang: bool) -> str:
    """What an author can change, as one clause: what helps in this case, and the policy that needs no proof.

    Args:
        health: the request's policy, whose keys are named.
        observed: the last look.
        short: the gates that have yet to speak, by what they cover: "" of an alarm.
        time_helps: more of the same would have been proof.
        may_hang: requests that hang could not have been missed.
    """
    ways = ", ".join(_ways(health, observed, short, time_helps=time_helps, may_hang=may_hang))
    return f"{ways}, or {_UNPROVEN}" if ways else _UNPROVEN


def _ways(
    health: HealthPolicy, observed: Observation, short: set[str], *, time_helps: bool, may_hang: bool
) -> Iterator[str]:
    counted = observed.in_step.requests
    if counted < health.minimum_invocations:
        yield "send traffic"
        # Limits are healthy from so many requests on, and so many are promoted without proof; the judge needs its own.
        if counted and (health.when_inconclusive == "extend" or short <= limits.KEYS):
            yield "lower health.minimum_invocations"
    if time_helps:
        yield "bake longer"
        yield "raise health.max_extension_seconds"
    elif may_hang:
        yield "bake longer below 100 %"
        yield "lower the function's time-out"
    if observed.comparison.unjudged or short == {"slow"}:
        yield "set health.judge.slow to false"
    if observed.sight.throttled.new:
        yield "give the function more concurrency"
