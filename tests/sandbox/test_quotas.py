"""A scenario's quotas: what an account's APIs take a second, and what they say beyond it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.boundary import caller
from sandbox.aws.clock import Clock
from sandbox.aws.quotas import Quota, Quotas
from sandbox.aws.stack import client
from sandbox.scenario import Scenario, ScenarioInvalid
from sandbox.scenario_quotas import bucket
from sandbox.world import World

REQUEST = {"function_name": "checkout", "alias_name": "live"}
ALIAS = {"FunctionName": "checkout", "Name": "live"}


def taken(quotas: Quotas, call: str, attempts: int) -> int:
    return sum(quotas.take(call) for _ in range(attempts))


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    """Step Functions Developer Guide, "Quotas related to API action throttling": bucket size and refill rate."""
    clock = Clock(datetime(2026, 1, 1, tzinfo=UTC))
    quotas = Quotas(clock, {"stepfunctions.DescribeExecution": Quota(15, 300)})
    call = "stepfunctions.DescribeExecution"
    assert taken(quotas, call, 400) == 300
    clock.sleep(2)
    assert taken(quotas, call, 400) == 30
    clock.sleep(3600)
    assert taken(quotas, call, 400) == 300
    assert taken(quotas, "stepfunctions.StartExecution", 400) == 400


@pytest.mark.parametrize(
    ("said", "rate", "burst"), [(15, 15, 15), (0.9, 0.9, 1), ({"rate": 15, "burst": 300}, 15, 300), ({"rate": 3}, 3, 3)]
)
def test_a_quota_is_a_number_or_a_rate_with_its_burst(said: object, rate: float, burst: float) -> None:
    assert bucket(Scenario.of({"quotas": {"lambda": said}}).quotas["lambda"]) == Quota(rate, burst)


def test_a_quota_of_the_control_plane_is_none_of_invocations() -> None:
    """Lambda Developer Guide, "Lambda quotas": Invoke, GetFunction and GetPolicy have quotas of their own, and a call
    for which a scenario has one takes nothing of its service's.
    """
    quotas = Quotas(Clock(datetime(2026, 1, 1, tzinfo=UTC)), {"lambda": Quota(1, 2), "lambda.GetAlias": Quota(1, 3)})
    for call in ("lambda.Invoke", "lambda.GetFunction", "lambda.GetPolicy"):
        assert taken(quotas, call, 10) == 10
    assert taken(quotas, "lambda.GetAlias", 10) == 3
    assert taken(quotas, "lambda.UpdateAlias", 1) + taken(quotas, "lambda.PublishVersion", 9) == 2


def test_beyond_its_quota_a_handler_is_throttled_and_its_retries_count() -> None:
    refused: list[ClientError] = []
    with World(Scenario.of({"quotas": {"lambda": 0.01, "cloudwatch.DescribeAlarms": 0.01}}), REQUEST) as world:

        def ask() -> None:
            caller.set("check_health")
            for call in (
                lambda: client("lambda").get_alias(**ALIAS),
                lambda: client("cloudwatch").describe_alarms(),
            ):
                call()
                with pytest.raises(ClientError) as raised:
                    call()
                refused.append(raised.value)

        actor = world.clock.spawn(ask, "check_health")
        world.clock.run(actor.finished.is_set)
        client("lambda").get_alias(**ALIAS)  # nobody's of ours
        assert [each.response["Error"]["Code"] for each in refused] == ["TooManyRequestsException", "Throttling"]
        assert refused[0].response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert (
            world.boundary.calls["lambda.GetAlias"] == world.boundary.throttled["check_health", "lambda.GetAlias"] + 1
        )
        assert set(world.boundary.throttled) == {
            ("check_health", "lambda.GetAlias"),
            ("check_health", "cloudwatch.DescribeAlarms"),
        }


def test_a_quota_of_nothing_that_there_is_is_refused() -> None:
    with pytest.raises(ScenarioInvalid) as raised:
        Scenario.of(
            {"quotas": {"lamda": 1, "lambda.GetAliases": 2, "*": 3, "lambda.GetAlias": {"rate": 0, "burst": 0}}}
        )
    assert raised.value.reasons == [
        "quotas.*: must be a service such as lambda, or a call such as lambda.UpdateAlias",
        "quotas.lambda.GetAlias.rate: must be more than 0",
        "quotas.lambda.GetAlias.burst: must be at least 1",
        "quotas.lamda: there is no service 'lamda': names are botocore's, such as lambda.UpdateAlias",
        "quotas.lambda.GetAliases: lambda has no call 'GetAliases': names are botocore's",
    ]
