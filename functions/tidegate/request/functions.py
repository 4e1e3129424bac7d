"""The user's own functions in a request: what is invoked to try a candidate, and hooks that are asked."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from tidegate.hooks import expression
from tidegate.hooks.expression import ExpressionInvalid
from tidegate.hooks.hook import MAX_HOOK_SECONDS, Hook, Hooks
from tidegate.request.part import Or, Part, named, violation

FUNCTION_ARN = re.compile(
    r"arn:(?P<partition>[^:]+):lambda:(?P<region>[^:]+):(?P<account>[^:]+):function:(?P<name>[^:]+)(?::(?P<qualifier>.+))?"
)
_HOOK = re.compile(
    r"(?:arn:(?P<partition>[^:]+):lambda:(?P<region>[^:]+):(?P<account>[^:]+):function:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,64}(?::(?:\$LATEST|[a-zA-Z0-9_-]{1,128}))?)"
)
#: What an ARN says of where it is.
_PLACE = ("partition", "region", "account")


class SmokeTest(Part):
    """One invocation of the exact candidate version, before it gets traffic."""

    payload: Any = Field(None, description="What the candidate is invoked with: any JSON.")
    expect: str | None = Field(
        None,
        max_length=500,
        description="JMESPath over the response's payload; the test passes where the result is true.",
    )
    max_duration_ms: int = Field(10_000, ge=1, le=300_000, description="The longest the invocation may take.")

    @field_validator("expect")
    @classmethod
    def _is_jmespath(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                expression.require_valid(value)
            except ExpressionInvalid as error:
                raise violation(str(error)) from error
        return value


class HookRequest(Part):
    """A function that is told of the rollout, and must answer {"status": "Succeeded"}."""

    function_name: str = Field(description="The function's name, name:qualifier, or ARN, in this account and region.")
    timeout_seconds: int = Field(60, ge=1, le=MAX_HOOK_SECONDS, description="How long it may take, in seconds.")

    @field_validator("function_name")
    @classmethod
    def _is_function(cls, value: str, info: ValidationInfo) -> str:
        """The name, with its qualifier, of a function in this account and region; without one it is $LATEST."""
        found = _HOOK.fullmatch(value)
        if found is None:
            raise violation(f"{value[:80]!r} is neither a function's name nor its ARN")
        if found["name"] != value and not require_here(found, info):
            # Of another place it may be, so it is not taken for the function of that name here.
            return value
        # Tidegate's roles deny whatever is called $LATEST, lest they run a target's; unqualified means the same.
        return found["name"].removesuffix(":$LATEST")


HookFunction = Annotated[
    HookRequest,
    BeforeValidator(lambda value: named(value, "function_name", "a function's name")),
    Or(type="string", minLength=1),
]


class HooksRequest(Part):
    """Functions of yours that have a word in the rollout; one that fails, or does not answer in time, ends it."""

    before_traffic: HookFunction | None = Field(None, description="Asked before the candidate gets any traffic.")
    each_step: HookFunction | None = Field(None, description="Asked at each weight, as soon as it is set.")
    after_traffic: HookFunction | None = Field(None, description="Asked at 100 %, before the candidate is promoted.")

    def hooks(self) -> Hooks:
        """These hooks as the plan keeps them."""
        asked = {moment: getattr(self, moment) for moment in type(self).model_fields}
        return Hooks(**{key: one and Hook(one.function_name, one.timeout_seconds) for key, one in asked.items()})


def bare(function_name: str) -> str | None:
    """The function that a hook asks; None where an ARN names one of whatever place."""
    return None if FUNCTION_ARN.fullmatch(function_name) else function_name.partition(":")[0]


def require_here(found: re.Match[str], info: ValidationInfo) -> bool:
    """Refuse an ARN of another place than Tidegate's; whether its place is known at all."""
    here = info.context or {}
    if elsewhere := [key for key in _PLACE if key in here and found[key] not in (None, here[key])]:
        there = " and ".join(f"{key} {found[key][:40]}" for key in elsewhere)
        raise violation(f"is in {there}, and this Tidegate serves {' and '.join(here[key] for key in elsewhere)}")
    return bool(here)
