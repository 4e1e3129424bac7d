"""CloudWatch alarms, metric and composite, as the rollout's guards."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tidegate.analysis.measurement import AlarmReading
from tidegate.aws import alarm_times, sdk

_NAMES_PER_CALL = 100


def read(
    names: Iterable[str],
    *,
    since: float | None = None,
    seen: Mapping[str, float] | None = None,
    ignored_since: Mapping[str, float] | None = None,
    timed: bool = False,
) -> dict[str, AlarmReading]:
    """Every alarm's reading by name; an alarm that CloudWatch does not know has the state None.

    An alarm that fired and recovered between two polls shows only in its history, which is read where its
    last transition is after `since` and not yet among `seen`. Those in `ignored_since` fired at that moment
    already: their history says whether they have been OK in between. `timed`: also how soon each can speak, for which
    the children of composite ones are described. Moments are seconds since the epoch.
    """
    wanted = list(names)
    found = _describe(wanted)
    readings = {name: _reading(name, found.get(name), since, seen or {}) for name in wanted}
    for name, moment in (ignored_since or {}).items():
        if readings[name].state == "ALARM":
            moved = (readings[name].transitioned_at or 0.0) >= moment
            readings[name] = replace(readings[name], recovered=moved and "OK" in _transitions(name, moment))
    times = alarm_times.of_all(found, _describe) if timed else {}
    return readings | {name: replace(readings[name], times=times[name]) for name in times}


def _describe(names: Collection[str]) -> dict[str, dict[str, Any]]:
    """The alarms of these names as CloudWatch describes them; one that it does not know is left out."""
    wanted, found = list(names), dict[str, dict[str, Any]]()
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
    return found


def _alarm_types() -> list[str]:
    # The runtime's SDK may be older than a type, or newer than this code.
    known = sdk.client("cloudwatch").meta.service_model.shape_for("AlarmType").enum
    return [kind for kind in ("MetricAlarm", "CompositeAlarm", "LogAlarm") if kind in known]


def _reading(name: str, alarm: dict[str, Any] | None, since: float | None, seen: Mapping[str, float]) -> AlarmReading:
    if alarm is None:
        return AlarmReading(name, None)
    moved = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    transitioned_at = moved.timestamp() if moved else None
    moved_since = since is not None and transitioned_at is not None and transitioned_at >= since
    fired_at, settled = transitioned_at if moved_since and alarm["StateValue"] == "ALARM" else None, True
    if since is not None and moved_since and fired_at is None and seen.get(name) != transitioned_at:
        transitions = _transitions(name, since)
        fired_at, settled = transitions.get("ALARM"), alarm["StateValue"] in transitions
    evaluation = alarm.get("EvaluationState")
    return AlarmReading(
        name,
        alarm["StateValue"],
        transitioned_at,
        fired_at,
        broken=evaluation == "EVALUATION_ERROR",
        stale=evaluation == "EVALUATION_FAILURE",
        settled=settled,
        has_contributors=alarm_times.has_contributors(alarm),
    )


def _transitions(name: str, since: float) -> dict[str, float]:
    """The states that the alarm has gone into, each with the last moment, in seconds since the epoch."""
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
        entered = [
            (item["Timestamp"].timestamp(), _new_state(item))
            for page in pages
            for item in page.get("AlarmHistoryItems", [])
        ]
        return {state: at for at, state in sorted(entered)}


def _new_state(item: Mapping[str, Any]) -> str:
    state: str = json.loads(item["HistoryData"])["newState"]["stateValue"]
    return state
