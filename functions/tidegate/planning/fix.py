"""A rollout from a stable version that fails: said in its plan, with what that means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tidegate.analysis.health import AlarmRule, HealthPolicy
from tidegate.analysis.improvement import FIX
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.analysis.sentences import figure
from tidegate.duration import format_duration

#: A stable version that fails so often is broken: twice what makes a burst of any alias, and a candidate that fails
#: one request in a hundred is clearly a fix of it.
BROKEN_SHARE: Final = 0.05


def is_fix(baseline: TrafficBaseline) -> bool:
    """Whether the stable version fails so often, of late or all day, that a release is rather a fix of it."""
    return max(_shares(baseline)) >= BROKEN_SHARE


def warnings(
    stable: str, baseline: TrafficBaseline, health: HealthPolicy, alarms: Sequence[AlarmRule]
) -> Iterator[str]:
    """What it means that the stable version fails; nothing where it does not, or its failures are not judged."""
    if health.judge is None or health.judge.errors is None or not is_fix(baseline):
        return
    hour, day = _shares(baseline)
    when = "hour" if hour >= day else "24 hours"
    yield (
        f"version {stable} failed {figure(100 * max(hour, day))} % of its requests in the last {when}, so this release"
        f" is judged as a fix: one that fails clearly less ({FIX.max_ratio:g} times as seldom) need not be perfect."
        f" {_limit(health)}{_sooner(health)}"
    )
    ignored = ", ".join(rule.name for rule in alarms if rule.if_already_firing == "ignore_until_ok")
    if ignored:
        yield (
            f"an alarm of the alias counts what version {stable} fails for as long as it serves: once {ignored} has"
            " been OK, if only for a minute, it rolls back as any other; leave it out if it may fire again on the way"
        )


def _shares(baseline: TrafficBaseline) -> tuple[float, float]:
    """What failed in the last hour, and in the day, as shares."""
    hour = baseline.hour_errors / baseline.hour_requests if baseline.hour_requests else 0.0
    return hour, baseline.errors / baseline.requests if baseline.requests else 0.0


def _limit(health: HealthPolicy) -> str:
    limit = health.max_error_percent
    return "" if limit is None else f"max_error_percent ({limit:g}) is ignored while more of the stable version fails. "


def _sooner(health: HealthPolicy) -> str:
    least = f"once min_bake_seconds ({format_duration(health.min_bake_seconds)}) are over"
    if health.advance_early:
        return f"Each weight ends {least}, if it is clearly better by then (advance_early)"
    return f'How soon it gets more is the steps\' choice: with "advance_early": true a weight ends {least}'
