"""An account in which only CloudWatch is served, for the tests of its metrics and of its alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.boundary import Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.cloudwatch import CloudWatch
from sandbox.aws.faults import Faults
from sandbox.aws.stack import client

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Account:
    """An account with no metrics and no alarms; datapoints arrive `delay_seconds` after the end of their minute."""

    clock: Clock
    cloudwatch: CloudWatch
    sdk: Any
    events: list[dict[str, Any]] = field(default_factory=list)

    def put(self, minute: int, values: Sequence[float], counts: Sequence[int] | None = None, **dimensions: str) -> None:
        """Samples of the metric `Errors` in a minute since the start."""
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        datum = {"MetricName": "Errors", "Dimensions": named, "Timestamp": START + timedelta(minutes=minute)}
        datum |= {"Values": list(values), "Counts": list(counts or [1] * len(values))}
        self.sdk.put_metric_data(Namespace="Shop", MetricData=[datum])

    def alarm(self, name: str = "errors", **settings: Any) -> None:
        """An alarm on `Errors` above 5 in one minute."""
        usual = {
            "AlarmName": name,
            "Namespace": "Shop",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        self.sdk.put_metric_alarm(**{**usual, **settings})

    def composite(self, name: str, rule: str) -> None:
        self.sdk.put_composite_alarm(AlarmName=name, AlarmRule=rule)

    def set(self, state: str, name: str = "errors") -> None:
        self.sdk.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by hand")

    def state(self, name: str = "errors") -> str:
        kinds = ["MetricAlarm", "CompositeAlarm"]
        found = self.sdk.describe_alarms(AlarmNames=[name], AlarmTypes=kinds)
        ((alarm,),) = (found.get(kind, ()) for kind in ("MetricAlarms", "CompositeAlarms") if found.get(kind))
        return str(alarm["StateValue"])

    def at(self, second: float) -> None:
        """Let time pass up to a second since the start, evaluating alarms on the way."""
        self.clock.sleep(START.timestamp() + second - self.clock.now())

    def query(self, stat: str = "Sum", period: int = 60, minutes: tuple[float, float] = (0, 60), **rest: Any) -> Any:
        """The one result of GetMetricData over minutes since the start."""
        metric = {"Namespace": "Shop", "MetricName": "Errors", "Dimensions": rest.pop("dimensions", [])}
        wanted = {"Id": "m", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat, **rest.pop("of", {})}}
        start, end = (START + timedelta(minutes=minute) for minute in minutes)
        answer = self.sdk.get_metric_data(MetricDataQueries=[wanted], StartTime=start, EndTime=end, **rest)
        return answer["MetricDataResults"][0]

    def values(self, stat: str = "Sum", **rest: Any) -> list[float]:
        return list(self.query(stat, ScanBy="TimestampAscending", **rest)["Values"])


@contextmanager
def account_with(delay_seconds: float) -> Iterator[Account]:
    events: list[dict[str, Any]] = []
    # As in a world, the session outlives the account: loading the services' models anew takes longer than most tests.
    with mock_aws(config={"core": {"reset_boto3_session": False}}), Clock(START) as clock:
        boundary = Boundary(clock, Faults([]))
        cloudwatch = CloudWatch(clock, delay_seconds, events.append)
        cloudwatch.serve(boundary)
        cloudwatch.start(clock.now())
        with boundary.installed():
            yield Account(clock, cloudwatch, client("cloudwatch"), events)


def refusal(call: Any) -> str:
    """The code of the error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])
