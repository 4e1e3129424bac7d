"""Provisioned concurrency: what each call was answered where `live` is on version 1 of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.aws.provisioned_concurrency import PROVISIONING_SECONDS
from tests.aws.lambda_account import CHECKOUT
from tests.sandbox.facts.fact import ARN, INVALID, MISSING, Fact, body, of, refused
from tests.sandbox.facts.versions import Lambda


def provisioned(account: Lambda, call: str, qualifier: str = "live", function: str = CHECKOUT) -> Any:
    more = {"ProvisionedConcurrentExecutions": 1} if call == "put" else {}
    method = getattr(account.sdk, f"{call}_provisioned_concurrency_config")
    return body(method(FunctionName=function, Qualifier=qualifier, **more))


def figures(found: dict[str, Any]) -> tuple[Any, ...]:
    """Status, requested, allocated, available, reason."""
    kinds = (f"{kind}ProvisionedConcurrentExecutions" for kind in ("Requested", "Allocated", "Available"))
    return of(found, "Status", *kinds, "StatusReason")


def unprovisioned(call: str, qualifier: str) -> Callable[[Lambda], Any]:
    return lambda account: refused(lambda: provisioned(account, call, qualifier))


def each_call(qualifier: str) -> Callable[[Lambda], Any]:
    calls = [unprovisioned(call, qualifier) for call in ("get", "put", "delete")]
    return lambda account: {call(account) for call in calls}


def moved(account: Lambda) -> Any:
    account.rules.provisioned_concurrency.give(CHECKOUT, "live", 1)
    answer = account.update(FunctionVersion="2")
    return of(answer, "FunctionVersion", "RoutingConfig"), figures(provisioned(account, "get"))


def never_initialised(account: Lambda) -> Any:
    account.rules.provisioned_concurrency.set_initialisation(CHECKOUT, lambda _: False)
    seen = [figures(provisioned(account, "put", "1")), figures(provisioned(account, "get", "1"))]
    account.clock.sleep(PROVISIONING_SECONDS)
    return [*seen, figures(provisioned(account, "get", "1"))]


def put_twice(first: str, second: str) -> Callable[[Lambda], Any]:
    return lambda account: (provisioned(account, "put", first), refused(lambda: provisioned(account, "put", second)))[1]


EXCEPTIONS = "LS lambda_ test_provisioned_concurrency_exceptions, 25-11-2025"
LIFECYCLE = "LS lambda_ test_lambda_provisioned_lifecycle, 25-11-2025"
MOVES = "LS lambda_ test_lambda_provisioned_concurrency_moves_with_alias, 21-03-2023"
NO_ALIAS = (*MISSING, f"Cannot find alias arn: {ARN}:noalias")
NO_VERSION = (*MISSING, f"Function not found: {ARN}:10")
NOTHING = (
    404,
    "ProvisionedConcurrencyConfigNotFoundException",
    "No Provisioned Concurrency Config found for this function",
)
NOT_PUBLISHED = (*INVALID, "The function resource provided must be an alias or a published version.")

PROVISIONING = [
    Fact("P1", "GetProvisionedConcurrencyConfig of none", EXCEPTIONS, unprovisioned("get", "1"), NOTHING),
    Fact("P2", "get, put and delete of an alias that is none", EXCEPTIONS, each_call("noalias"), {NO_ALIAS}),
    Fact("P3", "get, put and delete of a version that is none", EXCEPTIONS, each_call("10"), {NO_VERSION}),
    Fact("P4", "get of $LATEST", EXCEPTIONS, unprovisioned("get", "$LATEST"), NOT_PUBLISHED),
    Fact("P5", "delete of $LATEST", EXCEPTIONS, unprovisioned("delete", "$LATEST"), NOT_PUBLISHED),
    Fact(
        "P6",
        "put on $LATEST",
        EXCEPTIONS,
        unprovisioned("put", "$LATEST"),
        (*INVALID, "Provisioned Concurrency Configs cannot be applied to unpublished function versions."),
    ),
    Fact(
        "P7",
        "to delete none is a success",
        EXCEPTIONS,
        lambda account: provisioned(account, "delete", "1"),
        {},
    ),
    Fact(
        "P8",
        "PutProvisionedConcurrencyConfig begins with nothing allocated",
        LIFECYCLE,
        lambda account: figures(provisioned(account, "put", "1")),
        ("IN_PROGRESS", 1, 0, 0, None),
    ),
    Fact(
        "P9",
        "what is deleted is gone",
        LIFECYCLE,
        lambda account: (
            provisioned(account, "put", "1"),
            provisioned(account, "delete", "1"),
            refused(lambda: provisioned(account, "get", "1")),
        )[2],
        NOTHING,
    ),
    Fact(
        "P10",
        "UpdateAlias that moves a provisioned alias is answered without RoutingConfig",
        MOVES,
        lambda account: moved(account)[0],
        ("2", None),
    ),
    Fact(
        "P11",
        "right after, the environments of the version before count (how long it takes, 6 to 8 minutes, is a comment)",
        MOVES,
        lambda account: moved(account)[1],
        ("IN_PROGRESS", 1, 1, 1, None),
    ),
    Fact(
        "P12",
        "an alias on a version that has its own",
        LIFECYCLE,
        put_twice("1", "live"),
        (
            409,
            "ResourceConflictException",
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        ),
    ),
    Fact(
        "P13",
        "a version whose alias has it",
        LIFECYCLE,
        put_twice("live", "1"),
        (409, "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias"),
    ),
    Fact(
        "P14",
        "a version that cannot initialise ends FAILED",
        "LS lambda_ test_provisioned_concurrency_init_failure, 17-02-2026",
        never_initialised,
        [("IN_PROGRESS", 1, 0, 0, None)] * 2 + [("FAILED", 1, 0, 0, "FUNCTION_ERROR_INIT_FAILURE")],
    ),
]
