"""The target of a rollout: the function and the alias that a request names, set up as the scenario says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sandbox import scenario as scenarios
from sandbox.aws.lambda_records import FUNCTION_ARN
from sandbox.aws.lambda_rules import LambdaRules
from sandbox.aws.settings import MADE
from sandbox.aws.stack import ACCOUNT_ID, REGION, STACK_NAME, archive, client
from sandbox.scenario_traffic import Version

_FUNCTION = re.compile(rf"(?:.*:function:)?(?P<name>(?!{STACK_NAME}-)[a-zA-Z0-9_-]{{1,64}})(?::.*)?")
_ALIAS = re.compile(r"(?!\d+$)[a-zA-Z0-9_-]{1,128}")
_HERE = f"{REGION}:{ACCOUNT_ID}"
_SOURCES = {
    "sqs": f"arn:aws:sqs:{_HERE}:orders",
    "kinesis": f"arn:aws:kinesis:{_HERE}:stream/orders",
    "dynamodb": f"arn:aws:dynamodb:{_HERE}:table/orders/stream/2026-01-01T00:00:00.000",
}


@dataclass(frozen=True, slots=True)
class Target:
    """The function and the alias whose traffic a rollout moves."""

    function_name: str
    alias_name: str

    @classmethod
    def named_by(cls, request: object, profiles: Mapping[str, Any] | None = None) -> Target:
        """The target that a request names, or its profile; what names no legal name is the own `checkout:live`."""
        said = _said(request, profiles or {})
        # The stack's own functions exist already, so they are not made once more.
        function = _FUNCTION.fullmatch(str(said.get("function_name", "")))
        alias = _ALIAS.fullmatch(str(said.get("alias_name", "")))
        return cls(
            function["name"] if function else OWN_TARGET.function_name, alias[0] if alias else OWN_TARGET.alias_name
        )

    def __str__(self) -> str:
        return f"{self.function_name}:{self.alias_name}"


def _said(request: object, profiles: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a request says, and where it says nothing its profile."""
    if not isinstance(request, dict):
        return {}
    profile = profiles.get(str(request.get("profile", "")).partition(":")[0])
    return {**profile, **request} if isinstance(profile, dict) else request


OWN_TARGET = Target("checkout", "live")


def create_target(target: Target, scenario: scenarios.Scenario, rules: LambdaRules) -> None:
    """The function, its published versions, a change in $LATEST, and its alias, as the scenario says."""
    name, published = target.function_name, scenario.highest_version_named
    _create_versions(name, scenario, rules)
    _give_role(name, scenario.alias.function_version, scenario.stable, rules)
    if scenario.publish.new_code:
        client("lambda").update_function_code(FunctionName=name, ZipFile=archive("candidate"))
    for setting in scenario.publish.changed:
        rules.change_setting(name, setting)
    if scenario.publish.new_code or scenario.publish.changed:
        _give_role(name, str(published + 1), scenario.candidate, rules)
        _give_state(name, str(published + 1), scenario.candidate, rules)
    if scenario.alias.exists:
        _create_alias(target, scenario.alias, rules)
        _create_event_source(target, scenario.function.event_source)
    # Only now: Lambda makes no alias on a version that is Failed.
    _give_state(name, scenario.alias.function_version, scenario.stable, rules)
    for number, named in scenario.versions.items():
        if not named.from_second:
            rules.set_version_state(name, number, named.state, None)
    if scenario.publish.last_update_status:
        rules.set_last_update_status(name, scenario.publish.last_update_status)


def _create_versions(name: str, scenario: scenarios.Scenario, rules: LambdaRules) -> None:
    rules.set_package_type(name, scenario.function.package_type)
    create_function(name)
    if settings := _settings(scenario):
        rules.give_settings(name, settings)
    for version in range(1, scenario.highest_version_named + 1):
        if version > 1:
            client("lambda").update_function_code(FunctionName=name, ZipFile=archive(f"version {version}"))
        client("lambda").publish_version(FunctionName=name)


def _settings(scenario: scenarios.Scenario) -> dict[str, Any]:
    """What the function shows beside what every other one does."""
    made = {word: getattr(scenario.function, word) for word in MADE}
    settings = {name: value for word in MADE if made[word] for name, value in MADE[word].items()}
    return settings | ({"Timeout": scenario.timeout_seconds} if scenario.timeout_seconds else {})


def create_function(name: str, *, publish: bool = False) -> None:
    """A function with a role of its own; with its version 1, where that is to be published."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    role = client("iam").create_role(
        RoleName=f"{name[:59]}-role",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]
    client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Arn"],
        Handler="app.handler",
        Code={"ZipFile": archive("version 1")},
        Publish=publish,
    )


def _give_role(name: str, number: str, version: Version, rules: LambdaRules) -> None:
    if version.role:
        role = version.role if version.role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT_ID}:role/{version.role}"
        rules.set_role(name, number, role)


def _give_state(name: str, number: str, version: Version, rules: LambdaRules) -> None:
    if version.state:
        rules.set_version_state(name, number, version.state, version.active_after_seconds)


def _create_alias(target: Target, alias: scenarios.Alias, rules: LambdaRules) -> None:
    client("lambda").create_alias(
        FunctionName=target.function_name,
        Name=target.alias_name,
        FunctionVersion=alias.function_version,
        RoutingConfig={"AdditionalVersionWeights": dict(alias.weights)},
    )
    if alias.provisioning_seconds is not None:
        rules.provisioned_concurrency.take(alias.provisioning_seconds)
    if alias.provisioned_concurrency:
        rules.provisioned_concurrency.give(target.function_name, target.alias_name, alias.provisioned_concurrency)


def _create_event_source(target: Target, source: scenarios.EventSource | None) -> None:
    if source:
        client("lambda").create_event_source_mapping(
            EventSourceArn=_SOURCES[source.type],
            FunctionName=f"{FUNCTION_ARN}{target}",
            FunctionResponseTypes=["ReportBatchItemFailures"] if source.partial_batch_responses else [],
        )


def store_profiles(profiles: Mapping[str, Any]) -> None:
    """The profiles, as somebody has stored them before the rollout."""
    for name, profile in profiles.items():
        text = profile if isinstance(profile, str) else json.dumps(profile)
        client("ssm").put_parameter(Name=f"/tidegate/profiles/{name}", Type="String", Value=text)


def candidate_of(scenario: scenarios.Scenario, request: object) -> str:
    """The version that a rollout of the request brings: the one that it adopts, or the next one to be published."""
    adopted = _said(request, scenario.profiles).get("version")
    return adopted if isinstance(adopted, str) and adopted.isdecimal() else str(scenario.highest_version_named + 1)


def create_alarms(target: Target, alarms: Sequence[scenarios.Alarm], candidate: str) -> None:
    """The alarms that watch the target, each in the state that the scenario gives it; `candidate` is a version.

    Raises:
        ScenarioInvalid: CloudWatch refuses one.
    """
    for number, alarm in enumerate(alarms):
        try:
            _put(alarm, target, candidate)
        except ClientError as error:
            raise scenarios.ScenarioInvalid([f"alarms.{number}: {error.response['Error']['Message']}"]) from error
    for alarm in alarms:
        set_alarm(alarm.name, alarm.state)


def _put(alarm: scenarios.Alarm, target: Target, candidate: str) -> None:
    if isinstance(alarm, scenarios.CompositeAlarm):
        client("cloudwatch").put_composite_alarm(AlarmName=alarm.name, AlarmRule=alarm.rule)
    else:
        client("cloudwatch").put_metric_alarm(**_metric_alarm(alarm, target, candidate))


def set_alarm(name: str, state: str) -> None:
    """Put an alarm into a state, until its next evaluation says otherwise."""
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="The scenario says so.")


_PLAIN_STATISTICS = frozenset({"Sum", "Average", "Minimum", "Maximum", "SampleCount"})


def _metric_alarm(alarm: scenarios.MetricAlarm, target: Target, candidate: str) -> dict[str, Any]:
    """PutMetricAlarm's parameters."""
    dimensions = {"FunctionName": target.function_name}
    if alarm.on != "function":
        dimensions["Resource"] = str(target)
    if alarm.on == "candidate":
        dimensions["ExecutedVersion"] = candidate
    statistic = "Statistic" if alarm.statistic in _PLAIN_STATISTICS else "ExtendedStatistic"
    several = {"DatapointsToAlarm": alarm.datapoints_to_alarm} if alarm.datapoints_to_alarm else {}
    return {
        "AlarmName": alarm.name,
        "Namespace": "AWS/Lambda",
        "MetricName": alarm.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        statistic: alarm.statistic,
        "Period": alarm.period_seconds,
        "EvaluationPeriods": alarm.evaluation_periods,
        **several,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.treat_missing_data,
    }
