"""The user's own functions that have a word in a rollout: whether they are there, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import HTTPClientError

from tidegate.aws import invocation, sdk
from tidegate.errors import AwsRefused, AwsUnavailable, PermissionDenied
from tidegate.hooks.hook import MAX_ANSWER_BYTES, Hook
from tidegate.hooks.smoke_test import Answer


def faults(names: Iterable[str]) -> tuple[str, ...]:
    """Why functions, each a name or `name:qualifier`, cannot be asked: one part of a sentence for each that cannot."""
    found = ((name, _fault(name)) for name in names)
    return tuple(f"{name} {fault}" for name, fault in found if fault)


def _fault(name: str) -> str | None:
    function_name, _, qualifier = name.partition(":")
    qualified = {"Qualifier": qualifier} if qualifier else {}
    try:
        with sdk.refusals(f"read the configuration of the hook {name}"):
            sdk.client("lambda").get_function_configuration(FunctionName=function_name, **qualified)
    except PermissionDenied:
        return "is not among the functions that HookFunctionNamePattern of Tidegate's stack allows"
    except AwsRefused as error:
        if error.code == "ResourceNotFoundException":
            return "does not exist in this account and region"
        raise
    return None


def invoke(hook: Hook, document: dict[str, Any]) -> Answer:
    """Tell the hook, once, and wait for its answer as long as it may take.

    A connection that breaks once the request was sent is an answer too, and no success: the hook may have run.

    Raises:
        AwsUnavailable: Lambda did not run the function (throttled, not ready, not reached).
    """
    function_name, _, qualifier = hook.function_name.partition(":")
    try:
        return invocation.once(function_name, qualifier, document, hook.timeout_seconds, max_bytes=MAX_ANSWER_BYTES)
    except AwsUnavailable as error:
        # botocore's ConnectionError, of another family, means that nothing was sent.
        if isinstance(error.__cause__, HTTPClientError):
            return Answer(b"the connection broke", type(error.__cause__).__name__, 0.0)
        raise
