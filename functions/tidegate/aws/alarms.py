"""CloudWatch alarms, metric and composite, as the rollout's guards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tidegate.analysis.measurement import AlarmReading
from tidegate.aws import sdk

_NAMES_PER_CALL = 100


def read(
    names: Iterable[str],
    *,
    since: float | None = None,
    seen: Mapping[str, float] | None = None,
    ignored_since: Mapping[str, float] | None = None,
) -> dict[str, AlarmReading]:
    """Every alarm's reading by name; an alarm that CloudWatch does not know has the state None.

    An alarm that fired and recovered between two polls shows only in its history, which is read where its
    last transition is after `since` and not yet among `seen`. Those in `ignored_since` fired at that moment
    already: their history says whether they have been OK in between. Times are seconds since the epoch.
    """
    wanted = list(names)
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), _NAMES_PER_CALL):
        with sdk.refusals("describe the rollout's alarms"):
            # Without AlarmTypes only metric alarms are returned (API reference, DescribeAlarms).
            response = sdk.client("cloudwatch").describe_alarms(
                AlarmNames=wanted[start : start + _NAMES_PER_CALL],
                AlarmTypes=_alarm_types(),
                MaxRecords=_NAMES_PER_CALL,
            )
        for kind in ("MetricAlarms", "CompositeAlarms", "LogAlarms"):
            found |= {alarm["AlarmName"]: alarm for alarm in response.get(kind, [])}
    readings = {name: _reading(name, found.get(name), since, seen or {}) for name in wanted}
    for name, moment in (ignored_since or {}).items():
        if readings[name].state == "ALARM":
            moved = (readings[name].transitioned_at or 0.0) >= moment
            readings[name] = replace(readings[name], recovered=moved and "OK" in _transitions(name, moment))
    return readings


def _alarm_types() -> list[str]:
    # The runtime's SDK may be older than a type, or newer than this code.
    known = sdk.client("cloudwatch").meta.service_model.shape_for("AlarmType").enum
    return [kind for kind in ("MetricAlarm", "CompositeAlarm", "LogAlarm") if kind in known]


def _reading(name: str, alarm: dict[str, Any] | None, since: float | None, seen: Mapping[str, float]) -> AlarmReading:
    if alarm is None:
        return AlarmReading(name, None)
    moved = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    transitioned_at = moved.timestamp() if moved else None
    fired, settled = False, True
    if since is not None and transitioned_at is not None and transitioned_at >= since:
        fired = alarm["StateValue"] == "ALARM"
        if not fired and seen.get(name) != transitioned_at:
            transitions = _transitions(name, since)
            fired = "ALARM" in transitions
            settled = alarm["StateValue"] in transitions
    evaluation = alarm.get("EvaluationState")
    return AlarmReading(
        name,
        alarm["StateValue"],
        transitioned_at,
        fired,
        broken=evaluation == "EVALUATION_ERROR",
        stale=evaluation == "EVALUATION_FAILURE",
        settled=settled,
    )


def _transitions(name: str, since: float) -> set[str]:
    """The states that the alarm has gone into."""
    with sdk.refusals(f"read the history of alarm {name}"):
        pages = (
            sdk.client("cloudwatch")
            .get_paginator("describe_alarm_history")
            .paginate(
                AlarmName=name,
                AlarmTypes=_alarm_types(),
                HistoryItemType="StateUpdate",
                StartDate=datetime.fromtimestamp(since, UTC),
            )
        )
        return {_new_state(item) for page in pages for item in page.get("AlarmHistoryItems", [])}


def _new_state(item: Mapping[str, Any]) -> str:
    state: str = json.loads(item["HistoryData"])["newState"]["stateValue"]
    return state
