"""One configured client per service, and AWS's refusals in this project's words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from tidegate.aws.patience import HASTY_ATTEMPTS, THROTTLED, TOO_MANY_REQUESTS, keep_to_it
from tidegate.errors import AwsRefused, AwsThrottled, AwsUnavailable, FunctionUpdating, PermissionDenied

#: The clients repeat nothing by themselves: `patience` does, for all calls of an invocation together.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 1},
    user_agent_extra="tidegate",
)
#: How often a call is made at most that gets no answer. The state machine retries too, and waits longer: a handler
#: gives up well before its own time is over.
_ATTEMPTS = 4

#: Untyped on purpose: adapters take what they need out of a response at once, and nothing else sees one.
_new_client: Callable[..., Any] = boto3.client
_making = threading.Lock()

_NOT_READY = frozenset(
    {
        "TransactionConflictException",
        "TransactionInProgressException",
        "SnapStartNotReadyException",
        # An idle function, which this call has woken (boto/boto3#3788).
        "CodeArtifactUserPendingException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "KMSAccessDeniedException"})
#: DynamoDB's code for a transaction that did nothing.
CANCELLED = "TransactionCanceledException"
_SERVER_ERROR = 500
_REQUEST_TIMEOUT = 408


@lru_cache
def client(service: str) -> Any:
    """The cached client of a service, made on first use: a cold start pays only for what it needs.

    Threads may share it, but not make it at once (Boto3 guide, "Clients", "Multithreading").
    """
    with _making:
        return keep_to_it(_new_client(service, config=_CONFIG), _ATTEMPTS)


@lru_cache
def hasty_client(service: str) -> Any:
    """A client that gives up at once: for what must not take the time of what matters."""
    config = Config(connect_timeout=1, read_timeout=2)
    return keep_to_it(_new_client(service, config=_CONFIG.merge(config)), HASTY_ATTEMPTS)


@lru_cache
def slow_client(service: str, read_timeout_seconds: int) -> Any:
    """A client that waits so long for an answer, and asks again as the others do where it is refused one."""
    config = Config(read_timeout=read_timeout_seconds)
    return keep_to_it(_new_client(service, config=_CONFIG.merge(config)), _ATTEMPTS)


@lru_cache
def patient_client(service: str, read_timeout_seconds: int) -> Any:
    """A client that waits so long for an answer and never asks twice: for calls with effects of their own."""
    config = Config(connect_timeout=3, read_timeout=read_timeout_seconds)
    return _new_client(service, config=_CONFIG.merge(config))


def cancellation_reasons(error: AwsRefused) -> list[str]:
    """Why DynamoDB cancelled a transaction: one code per action, in order; "None" for one that was not the reason."""
    cause = error.__cause__
    reasons = cause.response.get("CancellationReasons", []) if isinstance(cause, ClientError) else []
    return [reason.get("Code", "None") for reason in reasons]


@contextmanager
def refusals(doing: str) -> Iterator[None]:
    """Translate botocore's exceptions, once; `doing` begins the message ("update alias checkout:live").

    Codes are compared as text, since an older SDK knows a newer error only as a plain ClientError.

    Raises:
        AwsThrottled: too many requests just now.
        AwsUnavailable: not ready, 5xx, or no answer.
        FunctionUpdating: Lambda's ResourceConflictException (409), which the SDK does not retry.
        PermissionDenied: the role may not.
        AwsRefused: anything else, with AWS's code.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = f"could not {doing}: {code}: {error.response['Error'].get('Message', '')}"
        if code in _DENIED:
            raise PermissionDenied(message) from error
        if code == "ResourceConflictException":
            raise FunctionUpdating(message) from error
        if code in THROTTLED or status == TOO_MANY_REQUESTS:
            raise AwsThrottled(message) from error
        if code in _NOT_READY or status == _REQUEST_TIMEOUT or status >= _SERVER_ERROR:
            raise AwsUnavailable(message) from error
        raise AwsRefused(message, code) from error
    except (HTTPClientError, NoConnection) as error:
        raise AwsUnavailable(f"could not {doing}: no answer from AWS ({type(error).__name__})") from error
    except BotoCoreError as error:
        raise AwsRefused(f"could not {doing}: {error}", type(error).__name__) from error
