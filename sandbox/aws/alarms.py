"""CloudWatch alarms: states, evaluation, history, and the event on every transition.

Rules from the CloudWatch user guide ("Using Amazon CloudWatch alarms", "Configuring how CloudWatch alarms treat
missing data", "Alarm events and EventBridge") and from the API reference of the operations that are served here.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import NAMESPACE_URL, uuid5

from botocore.utils import parse_to_aware_datetime

from sandbox.aws.alarm_actions import actions
from sandbox.aws.alarm_rule import ALARM_ARN, STATES, AlarmRule
from sandbox.aws.boundary import AwsError, Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.shapes import Comparison, MissingDataTreatment

NAMES_PER_CALL: Final = 100
KINDS: Final = {"MetricAlarm": "MetricAlarms", "CompositeAlarm": "CompositeAlarms", "LogAlarm": "LogAlarms"}
COMPARISONS: Final[Mapping[Comparison, tuple[str, Callable[[float, float], bool]]]] = {
    "GreaterThanThreshold": ("greater than", operator.gt),
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", operator.ge),
    "LessThanThreshold": ("less than", operator.lt),
    "LessThanOrEqualToThreshold": ("less than or equal to", operator.le),
}

T = TypeVar("T")
Values = Callable[[Mapping[str, Any], float, float], list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class State:
    """An alarm's state, why, and since when (epoch seconds). `data` is StateReasonData, as JSON text."""

    value: str
    reason: str
    data: str
    updated_at: float
    transitioned_at: float

    def event(self) -> dict[str, str]:
        """This state as it stands in an alarm's event."""
        detail = {"value": self.value, "reason": self.reason, "timestamp": _iso(self.updated_at)}
        return {**detail, "reasonData": self.data} if self.data else detail


@dataclass(slots=True)
class Alarm:
    """One alarm: `settings` are the parameters that it was put with, `rule` is its composite rule where it has one, and
    `movers` are the children that have entered another state since it was last evaluated.
    """

    kind: str
    settings: dict[str, Any]
    configured_at: float
    state: State
    rule: AlarmRule | None = None
    stale: bool = True
    movers: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.settings["AlarmName"])

    def described(self) -> dict[str, Any]:
        """This alarm as DescribeAlarms shows it."""
        shown = {key: value for key, value in self.settings.items() if key != "Tags"}
        shown |= {key: shown.get(key, []) for key in ("OKActions", "AlarmActions", "InsufficientDataActions")}
        if self.kind == "MetricAlarm":
            shown |= {"Dimensions": shown.get("Dimensions", [])}
        return {
            "ActionsEnabled": True,
            **shown,
            "AlarmArn": ALARM_ARN + self.name,
            "AlarmConfigurationUpdatedTimestamp": datetime.fromtimestamp(self.configured_at, UTC),
            "StateValue": self.state.value,
            "StateReason": self.state.reason,
            **({"StateReasonData": self.state.data} if self.state.data else {}),
            "StateUpdatedTimestamp": datetime.fromtimestamp(self.state.updated_at, UTC),
            "StateTransitionedTimestamp": datetime.fromtimestamp(self.state.transitioned_at, UTC),
        }

    def configuration(self) -> dict[str, Any]:
        """This alarm's configuration as it stands in its event."""
        description = {"description": self.settings["AlarmDescription"]} if "AlarmDescription" in self.settings else {}
        if self.kind == "CompositeAlarm":
            return {"alarmRule": self.settings["AlarmRule"], **description}
        if "MetricName" not in self.settings:
            return description
        stat = _metric_stat(self.settings)
        metric = {
            "namespace": stat["Metric"]["Namespace"],
            "name": stat["Metric"]["MetricName"],
            "dimensions": {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]},
        }
        query = {
            "id": str(uuid5(NAMESPACE_URL, ALARM_ARN + self.name)),
            "metricStat": {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]},
            "returnData": True,
        }
        return {"metrics": [query], **description}


class Alarms:
    """Every alarm of the account. `values` reads a metric as `CloudWatch.values` does."""

    def __init__(
        self,
        clock: Clock,
        values: Values,
        metric_delay_seconds: float,
        on_change: Callable[[dict[str, Any]], None],
    ) -> None:
        self._clock = clock
        self._values = values
        self._delay_seconds = metric_delay_seconds
        self._on_change = on_change
        self._alarms: dict[str, Alarm] = {}
        self._history: list[dict[str, Any]] = []

    def serve(self, boundary: Boundary) -> None:
        """Answer the alarms' calls in moto's place."""
        boundary.serve("cloudwatch.PutMetricAlarm", self.put_metric_alarm)
        boundary.serve("cloudwatch.PutCompositeAlarm", self.put_composite_alarm)
        boundary.serve("cloudwatch.DeleteAlarms", self.delete_alarms)
        boundary.serve("cloudwatch.DescribeAlarms", self.describe_alarms)
        boundary.serve("cloudwatch.DescribeAlarmHistory", self.describe_alarm_history)
        boundary.serve("cloudwatch.SetAlarmState", self.set_alarm_state)

    def put_metric_alarm(self, params: dict[str, Any]) -> dict[str, Any]:
        """PutMetricAlarm. A new alarm starts in INSUFFICIENT_DATA, an existing one keeps its state."""
        comparison = params.get("ComparisonOperator")
        if comparison not in COMPARISONS and "MetricName" in params:
            raise AwsError("ValidationError", f"The ComparisonOperator {comparison} is not simulated.")
        if params.get("DatapointsToAlarm", 1) > params["EvaluationPeriods"]:
            raise AwsError("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
        if "MetricName" in params:
            self._refuse_unless_readable(params)
        self._put("MetricAlarm", params, None)
        return {}

    def _refuse_unless_readable(self, params: dict[str, Any]) -> None:
        if not {"Statistic", "ExtendedStatistic"} & params.keys():
            raise AwsError("ValidationError", "Exactly one of Statistic and ExtendedStatistic must be specified.")
        try:
            self._values(_metric_stat(params), 0, 0)
        except ValueError as error:
            raise AwsError("ValidationError", str(error)) from error

    def put_composite_alarm(self, params: dict[str, Any]) -> dict[str, Any]:
        """PutCompositeAlarm. Its rule may name existing alarms only, by name or by ARN."""
        try:
            rule = AlarmRule.parse(params["AlarmRule"])
        except ValueError as error:
            raise AwsError("ValidationError", f"AlarmRule must not contain syntax errors: {error}") from error
        for name in rule.children:
            if name not in self._alarms:
                raise AwsError("ValidationError", f"Could not save the composite alarm as alarm {name} does not exist.")
        self._put("CompositeAlarm", params, rule)
        return {}

    def _put(self, kind: str, params: dict[str, Any], rule: AlarmRule | None) -> None:
        now, known = self._clock.now(), self._alarms.get(params["AlarmName"])
        unchecked = State("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation", "", now, now)
        alarm = Alarm(kind, dict(params), now, known.state if known else unchecked, rule)
        self._alarms[alarm.name] = alarm
        verb, data = ("updated", "Update") if known else ("created", "Create")
        self._note(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', {"version": "1.0", "type": data})

    def delete_alarms(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteAlarms: all of the named alarms or, where one does not exist, none."""
        for name in params["AlarmNames"]:
            if name not in self._alarms:
                raise AwsError("ResourceNotFound", f"Alarm {name} does not exist.", status=404)
        for name in params["AlarmNames"]:
            del self._alarms[name]
        return {}

    def describe_alarms(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeAlarms. Metric alarms only unless AlarmTypes says otherwise; names that do not exist are absent, and
        the lists of both kinds are there, also where they are empty (recorded facts, C1).
        """
        names = params.get("AlarmNames", ())
        if len(names) > NAMES_PER_CALL:
            raise AwsError(
                "ValidationError",
                "1 validation error detected: Value at 'alarmNames' failed to satisfy constraint: "
                f"Member must have length less than or equal to {NAMES_PER_CALL}",
            )
        if names and "AlarmNamePrefix" in params:
            raise AwsError("InvalidParameterCombination", "AlarmNames and AlarmNamePrefix exclude each other.")
        kinds = _kinds(params)
        wanted = [
            alarm
            for name, alarm in sorted(self._alarms.items())
            if alarm.kind in kinds
            and (not names or name in names)
            and name.startswith(params.get("AlarmNamePrefix", ""))
            and alarm.state.value == params.get("StateValue", alarm.state.value)
        ]
        page, token = _page(wanted, params, default=50)
        answer: dict[str, Any] = {"MetricAlarms": [], "CompositeAlarms": [], **token}
        for alarm in page:
            answer.setdefault(KINDS[alarm.kind], []).append(alarm.described())
        return answer

    def describe_alarm_history(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeAlarmHistory, newest first unless asked otherwise; metric alarms only unless AlarmTypes is given."""
        kinds = _kinds(params)
        start, end = (_moment(params.get(key)) for key in ("StartDate", "EndDate"))
        items = [
            item
            for item in self._history
            if item["AlarmType"] in kinds
            and item["AlarmName"] == params.get("AlarmName", item["AlarmName"])
            and item["HistoryItemType"] == params.get("HistoryItemType", item["HistoryItemType"])
            and (start is None or item["Timestamp"] >= start)
            and (end is None or item["Timestamp"] <= end)
        ]
        if params.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            items.reverse()
        page, token = _page(items, params, default=100)
        return {"AlarmHistoryItems": page, **token}

    def set_alarm_state(self, params: dict[str, Any]) -> dict[str, Any]:
        """SetAlarmState, which the next evaluation may take back."""
        alarm = self._alarms.get(params["AlarmName"])
        if alarm is None:
            raise AwsError("ResourceNotFound", "", status=404)
        if params["StateValue"] not in STATES:
            raise AwsError(
                "ValidationError",
                f"1 validation error detected: Value '{params['StateValue']}' at 'stateValue' failed to satisfy"
                " constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]",
            )
        self._enter(alarm, params["StateValue"], params["StateReason"], params.get("StateReasonData", ""))
        self._evaluate_composites()
        return {}

    def evaluate(self) -> None:
        """Evaluate every alarm as of now: metric alarms by their datapoints, composite ones where a child moved."""
        for alarm in [each for each in self._alarms.values() if each.rule is None]:
            self._evaluate_metric(alarm)
        self._evaluate_composites()

    def _evaluate_metric(self, alarm: Alarm) -> None:
        if "MetricName" not in alarm.settings:
            return
        settings, period = alarm.settings, int(alarm.settings["Period"])
        needed = settings["EvaluationPeriods"]
        # CloudWatch retrieves more periods than it needs; how many is not documented beyond an example with two. At
        # least as many are needed as the metric's usual delay hides, or no Lambda alarm would ever see a datapoint.
        spare = max(2, math.ceil((60 + self._delay_seconds) / period) - 1)
        now = int(self._clock.now()) // 60 * 60
        begins = [now - period * back for back in range(needed + spare, 0, -1)]
        found = dict(self._values(_metric_stat(alarm.settings), begins[0], now))
        words, breaches = COMPARISONS[settings["ComparisonOperator"]]
        points = [breaches(found[at], settings["Threshold"]) if at in found else None for at in begins]
        to_alarm = settings.get("DatapointsToAlarm", needed)
        value = evaluated(points, needed, to_alarm, settings.get("TreatMissingData", "missing"), alarm.state.value)
        if value != alarm.state.value:
            recent = {at: found[at] for at in begins if at in found}
            recent = dict(list(recent.items())[-needed:])
            reason = _reason(settings, value, list(recent.values()), words)
            self._enter(alarm, value, reason, self._reason_data(alarm, recent, begins[-needed:]))

    def _reason_data(self, alarm: Alarm, recent: Mapping[int, float], missing: Sequence[int]) -> str:
        """StateReasonData (recorded facts, C7b). Where there was no datapoint, it has no `startDate`, and the periods
        that are `missing` were evaluated.
        """
        stat, now = _metric_stat(alarm.settings), self._clock.now()
        start = {"startDate": _iso(min(recent))} if recent else {}
        unit = {"unit": stat["Unit"]} if "Unit" in stat else {}
        samples = dict(self._values({**stat, "Stat": "SampleCount"}, min(recent or missing), now)) if recent else {}
        evaluated = [
            {"timestamp": _iso(at), "sampleCount": float(samples[at]), "value": value} for at, value in recent.items()
        ]
        return json.dumps(
            {
                "version": "1.0",
                "queryDate": _iso(now),
                **start,
                **unit,
                "statistic": stat["Stat"],
                "period": stat["Period"],
                "recentDatapoints": list(recent.values()),
                "threshold": float(alarm.settings["Threshold"]),
                "evaluatedDatapoints": evaluated or [{"timestamp": _iso(at)} for at in missing],
            }
        )

    def _evaluate_composites(self) -> None:
        """Bring composite alarms in line with their children, and then those that watch these."""
        while stale := [alarm for alarm in self._alarms.values() if alarm.rule and alarm.stale]:
            for alarm in stale:
                alarm.stale = False
                if alarm.rule:
                    self._evaluate_composite(alarm, alarm.rule)

    def _evaluate_composite(self, alarm: Alarm, rule: AlarmRule) -> None:
        children = {name: self._alarms[name].state for name in sorted(rule.children) if name in self._alarms}
        holds = rule.holds({name: state.value for name, state in children.items()}.get)
        movers, alarm.movers = alarm.movers or children.keys(), set()
        value = "ALARM" if holds else "OK"
        if value == alarm.state.value:
            return
        triggers = [
            {"arn": ALARM_ARN + name, "state": {"value": state.value, "timestamp": _iso(state.updated_at)}}
            for name, state in children.items()
            if name in movers
        ]
        reason = f"{alarm.settings['AlarmRule']} is {'true' if holds else 'false'}"
        self._enter(alarm, value, reason, json.dumps({"triggeringAlarms": triggers}))

    def _enter(self, alarm: Alarm, value: str, reason: str, reason_data: str) -> None:
        """Put the alarm into a state. A transition leaves history, makes composites stale, is an event, and acts."""
        now, previous = self._clock.now(), alarm.state
        moved = value != previous.value
        alarm.state = State(value, reason, reason_data, now, now if moved else previous.transitioned_at)
        if not moved:
            return
        data = {"version": "1.0", "oldState": _history_state(previous), "newState": _history_state(alarm.state)}
        self._note(alarm, "StateUpdate", f"Alarm updated from {previous.value} to {value}", data)
        for other in self._alarms.values():
            if other.rule is not None and alarm.name in other.rule.children:
                other.stale = True
                other.movers.add(alarm.name)
        detail = {"alarmName": alarm.name, "state": alarm.state.event(), "previousState": previous.event()}
        self._on_change({**detail, "configuration": alarm.configuration()})
        for action in actions(alarm.described(), previous.value):
            act = partial(action.perform, partial(self._note_action, alarm, action.arn))
            self._clock.spawn(act, f"action of {alarm.name}", background=True)

    def _note_action(self, alarm: Alarm, arn: str, summary: str, state: str) -> None:
        self._note(alarm, "Action", summary, {"actionState": state, "notificationResource": arn})

    def _note(self, alarm: Alarm, kind: str, summary: str, data: dict[str, Any]) -> None:
        self._history.append(
            {
                "AlarmName": alarm.name,
                "AlarmType": alarm.kind,
                "Timestamp": datetime.fromtimestamp(self._clock.now(), UTC),
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps(data),
            }
        )


def _metric_stat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a metric alarm watches, as an API MetricStat."""
    metric = {key: settings[key] for key in ("Namespace", "MetricName")}
    stat = {
        "Metric": {**metric, "Dimensions": settings.get("Dimensions", [])},
        "Period": settings["Period"],
        "Stat": settings.get("ExtendedStatistic") or settings["Statistic"],
    }
    return {**stat, "Unit": settings["Unit"]} if "Unit" in settings else stat


def _reason(settings: Mapping[str, Any], value: str, recent: list[float], words: str) -> str:
    """Why a metric alarm is in a state, in CloudWatch's manner."""
    needed, threshold = settings["EvaluationPeriods"], float(settings["Threshold"])
    if value == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {needed} datapoints were unknown."
    if not recent:
        treatment = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(settings["TreatMissingData"])
        treated = f"{needed} missing datapoints were treated as [{treatment}]"
        return f"Threshold Crossed: no datapoints were received for {needed} periods and {treated}."
    negation = "" if value == "ALARM" else "not "
    least = f"minimum {settings.get('DatapointsToAlarm', needed)} datapoints for ALARM"
    return (
        f"Threshold Crossed: the last datapoints {recent} were {negation}{words} the threshold ({threshold}) ({least})."
    )


def evaluated(
    points: Sequence[bool | None], needed: int, to_alarm: int, treatment: MissingDataTreatment, current: str
) -> str:
    """The state that datapoints mean: True breaches, None is missing, oldest first, over the evaluation range.

    User guide, "Configuring how CloudWatch alarms treat missing data", its two tables. The most recent real points
    count, up to `needed`; what is then short is filled in by the treatment. A lone old breach with nothing good after
    it is the "premature alarm state": ALARM without `to_alarm` points.
    """
    real = [point for point in points if point is not None][-needed:]
    breaching, filled = sum(real), needed - len(real)
    if breaching >= to_alarm or (treatment == "breaching" and breaching + filled >= to_alarm):
        return "ALARM"
    if not filled or treatment in ("breaching", "notBreaching"):
        return "OK"
    if not real:
        return current if treatment == "ignore" else "INSUFFICIENT_DATA"
    if breaching == len(real):
        age_of_oldest = len(points) - points.index(True)
        if treatment == "ignore":
            return current
        return "ALARM" if age_of_oldest >= to_alarm else "OK"
    return "OK"


def _kinds(params: Mapping[str, Any]) -> list[str]:
    kinds: list[str] = params.get("AlarmTypes") or ["MetricAlarm"]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise AwsError("ValidationError", f"1 validation error detected: {unknown} at 'alarmTypes' is not an AlarmType")
    return kinds


def _page(items: Sequence[T], params: Mapping[str, Any], default: int) -> tuple[Sequence[T], dict[str, str]]:
    """A page of a listing, and its NextToken where more follows."""
    begin = int(params.get("NextToken", 0))
    end = begin + params.get("MaxRecords", default)
    return items[begin:end], {"NextToken": str(end)} if end < len(items) else {}


def _moment(value: Any) -> datetime | None:
    return None if value is None else parse_to_aware_datetime(value)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _history_state(state: State) -> dict[str, Any]:
    shown: dict[str, Any] = {"stateValue": state.value, "stateReason": state.reason}
    return {**shown, "stateReasonData": json.loads(state.data)} if state.data else shown
