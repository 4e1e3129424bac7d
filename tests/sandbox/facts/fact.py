"""A fact that was recorded of AWS, and how the sandbox is asked for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.lambda_records import FUNCTION_ARN
from tests.aws.lambda_account import CHECKOUT

ARN = FUNCTION_ARN + CHECKOUT
INVALID, MALFORMED, MISSING = (
    (400, "InvalidParameterValueException"),
    (400, "ValidationException"),
    (404, "ResourceNotFoundException"),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """`seen(…)` is what the sandbox answers to the recorded calls, `expected` what AWS did."""

    id: str
    what: str
    source: str
    seen: Callable[[Any], Any]
    expected: Any


def refused(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Status, code and text of a refusal."""
    with pytest.raises(ClientError) as caught:
        call()
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def body(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what HTTP adds to it."""
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def of(answer: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(answer.get(key) for key in keys)
