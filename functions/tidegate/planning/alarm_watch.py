"""Whether a plan gives its alarms the time that they need before they can speak of the candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import AlarmReading
from tidegate.duration import format_duration
from tidegate.planning.pace import SETTLE_SECONDS
from tidegate.planning.strategy import Step

NO_ALARM_TO_BAKE_FOR = (
    "health.bake_for_alarms lengthens no bake, since no alarm is set: name them in alarms, or leave it out"
)
#: A warning travels with the plan: of very many alarms it names the slowest.
_MOST_NAMED = 10


def timed(rules: tuple[AlarmRule, ...], readings: Mapping[str, AlarmReading]) -> tuple[AlarmRule, ...]:
    """The rules with their alarms' times."""
    return tuple(replace(rule, times=readings[rule.name].times) for rule in rules)


def baked_for_alarms(steps: tuple[Step, ...], rules: tuple[AlarmRule, ...]) -> tuple[Step, ...]:
    """The steps, the last of which bakes at least for as long as the slowest alarm needs."""
    *before, last = steps
    slowest = max((rule.times.needs_seconds or 0 for rule in rules), default=0)
    return (*before, replace(last, bake_seconds=max(last.bake_seconds, slowest)))


def alarm_warnings(rules: tuple[AlarmRule, ...], last: Step, *, bakes_for_them: bool = False) -> Iterator[str]:
    """A sentence on the alarms that need longer than the last step is watched, and one on those of unknown kinds.

    `bakes_for_them` is whether the request wants the last step baked for its alarms: where it names none, that is said.
    """
    if bakes_for_them and not rules:
        yield NO_ALARM_TO_BAKE_FOR
    watched = last.bake_seconds + SETTLE_SECONDS
    needs = [(rule.times.needs_seconds or 0, rule.name) for rule in rules]
    if late := sorted([one for one in needs if one[0] > watched], key=lambda one: -one[0]):
        named = [f"alarm {name} needs {format_duration(seconds)}" for seconds, name in late]
        yield (
            f"{_listed(named)} at {last.weight_percent:g} % before it can fire, and that weight is watched for"
            f" {format_duration(watched)}. Until an alarm could have fired, its OK proves nothing: bake the last step"
            " longer, or set health.bake_for_alarms"
        )
    if unknown := [f"alarm {rule.name}" for rule in rules if rule.times.needs_seconds is None]:
        yield f"it is not known how long {_listed(unknown)} needs to fire, so its OK proves nothing"


def _listed(texts: list[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
