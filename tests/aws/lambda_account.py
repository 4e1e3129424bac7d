"""An account in which only Lambda is served, for the tests of its rules."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.boundary import Boundary, caller
from sandbox.aws.clock import Clock
from sandbox.aws.faults import CallFault, Faults
from sandbox.aws.lambda_rules import LambdaRules
from sandbox.aws.stack import client

CHECKOUT = "checkout"
ROLE, OTHER_ROLE = "arn:aws:iam::123456789012:role/serving", "arn:aws:iam::123456789012:role/other"


def code(content: str) -> bytes:
    """A deployment package that differs where its content does."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(zipfile.ZipInfo("handler.py"), content)
    return package.getvalue()


@dataclass(frozen=True, slots=True)
class Account:
    """An account with the function `checkout`, nothing published yet."""

    clock: Clock
    boundary: Boundary
    rules: LambdaRules
    sdk: Any
    #: How long a handler's call takes before it reaches AWS.
    call_seconds: float = 0.05

    def publish(self, content: str, **configuration: Any) -> str:
        """Change $LATEST and publish it; the new version."""
        if configuration:
            self.sdk.update_function_configuration(FunctionName=CHECKOUT, **configuration)
        self.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code(content))
        return str(self.sdk.publish_version(FunctionName=CHECKOUT)["Version"])

    def alias(self, **weights: float) -> dict[str, Any]:
        """The alias `live` on version 1 of two; `v2=0.1` gives version 2 a weight."""
        for content in ("one", "two"):
            self.publish(content)
        routing = {"AdditionalVersionWeights": {name[1:]: weight for name, weight in weights.items()}}
        return dict(
            self.sdk.create_alias(FunctionName=CHECKOUT, Name="live", FunctionVersion="1", RoutingConfig=routing)
        )

    def update(self, **changes: Any) -> dict[str, Any]:
        return dict(self.sdk.update_alias(FunctionName=CHECKOUT, Name="live", **changes))

    def seen(self) -> dict[str, Any]:
        return dict(self.sdk.get_alias(FunctionName=CHECKOUT, Name="live"))

    def as_handler(self, action: Callable[[], Any]) -> Any:
        """What a handler is answered, or with what it is refused: its calls are struck by faults."""
        before = caller.set("check_health")
        try:
            return action()
        except ClientError as error:
            return error
        finally:
            caller.reset(before)

    def refused(self, **changes: Any) -> tuple[str, int]:
        return refusal(lambda: self.update(**changes))


def weights(**versions: float) -> dict[str, Any]:
    """A RoutingConfig: `weights(v2=0.1)`."""
    return {"AdditionalVersionWeights": {name[1:]: weight for name, weight in versions.items()}}


def refusal(call: Any) -> tuple[str, int]:
    """The code and the HTTP status with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@contextmanager
def opened_account(*faults: CallFault) -> Iterator[Account]:
    # As in a world, the session outlives the account: loading the services' models anew takes longer than most tests.
    config: Any = {"core": {"reset_boto3_session": False}, "lambda": {"use_docker": False}}
    with mock_aws(config=config), Clock(datetime(2026, 1, 5, 12, tzinfo=UTC)) as clock:
        boundary = Boundary(clock, Faults(faults))
        rules = LambdaRules(boundary, clock)
        with boundary.installed():
            for role in (ROLE, OTHER_ROLE):
                client("iam").create_role(RoleName=role.rpartition("/")[2], AssumeRolePolicyDocument="{}")
            sdk = client("lambda")
            sdk.create_function(
                FunctionName=CHECKOUT,
                Role=ROLE,
                Runtime="python3.13",
                Handler="handler.handler",
                Code={"ZipFile": code("zero")},
            )
            yield Account(clock, boundary, rules, sdk)
