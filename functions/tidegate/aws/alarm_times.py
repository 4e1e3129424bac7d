"""How soon an alarm can speak of what has just changed, from its settings as DescribeAlarms shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from tidegate.analysis.measurement import UNKNOWN_TIMES, AlarmTimes
from tidegate.planning.pace import SETTLE_SECONDS

Described = Mapping[str, Any]
Describe = Callable[[Collection[str]], Mapping[str, Described]]

#: Composite alarms of composite alarms are followed so deep, and so many children are asked about in all.
_MOST_LEVELS, _MOST_CHILDREN = 5, 1_000

_QUERY = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_GROUPED_QUERY = re.compile(r"\s*SELECT\b.*\bGROUP\s+BY\b", re.IGNORECASE | re.DOTALL)

_NAME, _STATE = r'(?:"(?:\\.|[^"\\])*"|[^\s(),"]+)', r"(?:ALARM|OK|INSUFFICIENT_DATA)"
#: API reference, PutCompositeAlarm, AlarmRule: ALARM("a"); since November 2025 also AT_LEAST(2, ALARM, (a, b)), with a
#: share such as 60% and with NOT ALARM (aws/aws-cdk#37692).
_REFERENCE = re.compile(
    rf"\b{_STATE}\s*\(\s*(?P<one>{_NAME})\s*\)"
    rf"|\bAT_LEAST\s*\(\s*\d+\s*%?\s*,\s*(?:NOT\s+)?{_STATE}\s*,"
    rf"\s*\(\s*(?P<several>{_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*\)",
    re.IGNORECASE,
)
_LOGIC = re.compile(r"(?:[\s()]|\b(?:AND|OR|NOT|TRUE|FALSE)\b)*", re.IGNORECASE)
_ARN = re.compile(r"arn:[^:]*:cloudwatch:[^:]*:[^:]*:alarm:")


def of_all(alarms: Mapping[str, Described], describe: Describe) -> dict[str, AlarmTimes]:
    """The times of every alarm, by name; composite ones are as slow as their slowest child, which `describe` reads.

    Nothing is known of a composite alarm where it is not of a child, or its rule is not understood, or it is in a
    circle.
    """
    known = {**_below(alarms, describe), **alarms}
    composite = {name: children(alarm["AlarmRule"]) for name, alarm in known.items() if "AlarmRule" in alarm}
    times = {name: of_metric(alarm) for name, alarm in known.items() if name not in composite}
    for _ in range(_MOST_LEVELS):
        for name, below in composite.items():
            if below and below <= times.keys():
                times[name] = _slowest([times[child] for child in below])
    return {name: times.get(name, UNKNOWN_TIMES) for name in alarms}


def of_metric(alarm: Described) -> AlarmTimes:
    """The times of an alarm on a metric, on metric math, or on an anomaly detection band; of others nothing is known.

    It fires once DatapointsToAlarm periods breach, by default EvaluationPeriods of them. Where its window is aligned to
    the clock, its next period may have to begin first (API reference, EvaluationWindow).
    """
    periods, datapoints = list(_periods(alarm)), alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods")
    if not periods or not datapoints or any(map(_QUERY.match, _expressions(alarm))):
        return UNKNOWN_TIMES
    waits = "WallClockWindow" in alarm.get("EvaluationWindow", {})
    needs = max(periods) * (datapoints + waits) + SETTLE_SECONDS
    return AlarmTimes(needs)


def has_contributors(alarm: Described) -> bool:
    """Whether many time series share the alarm, which stays in ALARM while one of them recovers and another begins.

    A Metrics Insights query with GROUP BY has them, and a PromQL query (API reference, AlarmPromQLCriteria).
    """
    return "EvaluationCriteria" in alarm or any(map(_GROUPED_QUERY.match, _expressions(alarm)))


def children(rule: str) -> frozenset[str]:
    """The names of the alarms in a composite alarm's rule; none where the rule is not understood."""
    if not _LOGIC.fullmatch(_REFERENCE.sub("TRUE", rule)):
        return frozenset()
    named = " ".join(match["one"] or match["several"] for match in _REFERENCE.finditer(rule))
    return frozenset(map(_plain, re.findall(_NAME, named)))


def _plain(name: str) -> str:
    """A name as DescribeAlarms knows it: without quotes, and of an ARN the last part."""
    unquoted = re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name
    return _ARN.sub("", unquoted, count=1)


def _below(alarms: Mapping[str, Described], describe: Describe) -> dict[str, Described]:
    """The children of composite alarms, and theirs, as far as they are followed; a call for a hundred of a level."""
    found: dict[str, Described] = {}
    asked, level = set(alarms), alarms
    for _ in range(_MOST_LEVELS):
        rules = [alarm["AlarmRule"] for alarm in level.values() if "AlarmRule" in alarm]
        names = frozenset[str]().union(*map(children, rules)) - asked
        if not names or len(asked | names) - len(alarms) > _MOST_CHILDREN:
            break
        asked |= names
        level = describe(sorted(names))
        found |= level
    return found


def _slowest(times: list[AlarmTimes]) -> AlarmTimes:
    needs = [each.needs_seconds for each in times]
    known = [seconds for seconds in needs if seconds is not None]
    return AlarmTimes(max(known) if len(known) == len(needs) else None)


def _periods(alarm: Described) -> Iterator[int]:
    """Every period that the alarm looks at, in seconds."""
    for one in (alarm, *_metrics(alarm)):
        if period := one.get("Period") or one.get("MetricStat", {}).get("Period"):
            yield period


def _expressions(alarm: Described) -> Iterator[str]:
    return (metric["Expression"] for metric in _metrics(alarm) if metric.get("Expression"))


def _metrics(alarm: Described) -> list[Described]:
    return alarm.get("Metrics") or []
