"""Aliases: what each call was answered where `live` is on version 1 of two."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from tests.aws.lambda_account import CHECKOUT, weights
from tests.sandbox.facts.fact import ARN, INVALID, MALFORMED, MISSING, Fact, body, of, refused
from tests.sandbox.facts.versions import REVISIONS, STALE, Lambda, version

#: A client that leaves it to AWS to say what is wrong.
UNCHECKED = Config(parameter_validation=False)


def alias(account: Lambda, name: str = "other", version: str = "1", **more: Any) -> dict[str, Any]:
    made = account.sdk.create_alias(FunctionName=CHECKOUT, Name=name, FunctionVersion=version, **more)
    return body(made)


def routed(account: Lambda, own: str = "1", name: str = "other", **versions: float) -> Any:
    """How CreateAlias refuses a version and weights."""
    return refused(lambda: alias(account, name, own, RoutingConfig=weights(**versions)))


def unchecked(weight: float, additional: str = "2") -> Any:
    """How CreateAlias refuses a weight that the SDK would not even send."""
    credentials = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
    sdk: Any = boto3.client("lambda", region_name="us-east-1", config=UNCHECKED, **credentials)
    routing = {"AdditionalVersionWeights": {additional: weight}}
    return refused(
        lambda: sdk.create_alias(FunctionName=CHECKOUT, Name="other", FunctionVersion="1", RoutingConfig=routing)
    )


def seen_as_written(account: Lambda) -> Any:
    """GetAlias right after CreateAlias, with weights and without, and after UpdateAlias."""
    made = [alias(account, "a", RoutingConfig=weights(v2=0.2)), alias(account, "b")]
    seen = [body(account.sdk.get_alias(FunctionName=CHECKOUT, Name=name)) for name in ("a", "b")]
    written = body(account.update(RoutingConfig=weights()))
    return seen == made, body(account.seen()) == written


def written_without_a_change(account: Lambda) -> Any:
    before, after = body(account.seen()), body(account.update())
    same = {**before, "RevisionId": ""} == {**after, "RevisionId": ""}
    return same, before["RevisionId"] != after["RevisionId"], body(account.seen()) == after


def by_alias(account: Lambda) -> Any:
    configuration = version(account, "live")
    whole = account.sdk.get_function(FunctionName=CHECKOUT, Qualifier="live")["Configuration"]
    keys = ("FunctionArn", "Version")
    return (
        of(configuration, *keys),
        of(whole, *keys),
        configuration["RevisionId"] == version(account, "1")["RevisionId"],
    )


def failed(account: Lambda) -> Any:
    account.rules.set_version_state(CHECKOUT, "1", "Failed", None)
    return [refused(write)[:2] for write in (account.update, lambda: alias(account))]


LIFECYCLE = "LS lambda_ test_alias_lifecycle, 25-11-2025"
ROUTING = "LS lambda_ test_notfound_and_invalid_routingconfigs, 25-11-2025"


def malformed(value: str, constraint: str) -> tuple[int, str, str]:
    at = f"Value '{{{value}}}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: {constraint}"
    return (*MALFORMED, f"1 validation error detected: {at}")


RANGE = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value"
    " greater than or equal to 0.0, Member must not be null]"
)
KEYS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length"
    " greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
)

ALIASES = [
    Fact(
        "L11",
        "CreateAlias with weights shows them",
        LIFECYCLE,
        lambda account: {**alias(account, RoutingConfig=weights(v2=0.2), Description="custom"), "RevisionId": ""},
        {
            "AliasArn": f"{ARN}:other",
            "Description": "custom",
            "FunctionVersion": "1",
            "Name": "other",
            "RevisionId": "",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
        },
    ),
    Fact(
        "L12",
        "without weights or a description there is no RoutingConfig, and an empty description",
        LIFECYCLE,
        lambda account: {**alias(account), "RevisionId": ""},
        {"AliasArn": f"{ARN}:other", "Description": "", "FunctionVersion": "1", "Name": "other", "RevisionId": ""},
    ),
    Fact("L13", "GetAlias right after a write shows what was written", LIFECYCLE, seen_as_written, (True, True)),
    Fact(
        "L14",
        "UpdateAlias with empty weights drops RoutingConfig",
        LIFECYCLE,
        lambda account: (
            "RoutingConfig" in account.update(RoutingConfig=weights(v2=0.2)),
            "RoutingConfig" in account.update(RoutingConfig=weights()),
        ),
        (True, False),
    ),
    Fact(
        "L15",
        "UpdateAlias that changes nothing gives a new RevisionId, which GetAlias shows at once",
        LIFECYCLE,
        written_without_a_change,
        (True, True, True),
    ),
    Fact(
        "L16",
        "UpdateAlias with a wrong RevisionId",
        REVISIONS,
        lambda account: refused(lambda: account.update(RevisionId="wrong")),
        STALE,
    ),
    Fact(
        "L17",
        "GetAlias of none",
        ROUTING,
        lambda account: refused(lambda: account.sdk.get_alias(FunctionName=CHECKOUT, Name="non-existent")),
        (*MISSING, f"Cannot find alias arn: {ARN}:non-existent"),
    ),
    Fact(
        "L18",
        "UpdateAlias of none",
        "LS lambda_ test_non_existent_alias_update, 25-11-2025",
        lambda account: refused(lambda: account.sdk.update_alias(FunctionName=CHECKOUT, Name="non-existent")),
        (*MISSING, f"Alias not found: {ARN}:non-existent"),
    ),
    Fact(
        "L20",
        "two additional versions",
        ROUTING,
        lambda account: (account.publish("three"), routed(account, v2=0.5, v3=0.5))[1],
        (*INVALID, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
    ),
    Fact("L21", "a weight above 1", ROUTING, lambda account: routed(account, v2=2), malformed("2=2.0", RANGE)),
    Fact("L22", "a weight below 0", ROUTING, lambda _: unchecked(-1), malformed("2=-1.0", RANGE)),
    Fact(
        "L23",
        "the alias's own version as the additional one",
        ROUTING,
        lambda account: routed(account, v1=0.5),
        (*INVALID, "Invalid function version 1. Function version 1 is already included in routing configuration."),
    ),
    Fact(
        "L24",
        "a version that does not exist",
        ROUTING,
        lambda account: routed(account, "10"),
        (*MISSING, f"Function not found: {ARN}:10"),
    ),
    Fact(
        "L25",
        "an additional version that does not exist",
        ROUTING,
        lambda account: routed(account, v10=0.5),
        (*MISSING, f"Function not found: {ARN}:10"),
    ),
    Fact(
        "L26",
        "$LATEST with weights",
        ROUTING,
        lambda account: routed(account, "$LATEST", v1=0.5),
        (*INVALID, "$LATEST is not supported for an alias pointing to more than 1 version"),
    ),
    Fact(
        "L27",
        "$LATEST as the additional version",
        ROUTING,
        lambda _: unchecked(0.5, "$LATEST"),
        malformed("$LATEST=0.5", KEYS),
    ),
    Fact(
        "L28",
        "$LATEST alone is an alias's version",
        ROUTING,
        lambda account: of(alias(account, version="$LATEST"), "FunctionVersion", "RoutingConfig"),
        ("$LATEST", None),
    ),
    Fact(
        "L29",
        "an alias of a function that does not exist",
        ROUTING,
        lambda account: refused(
            lambda: account.sdk.create_alias(FunctionName=f"{CHECKOUT}-unknown", Name="other", FunctionVersion="1")
        ),
        (*MISSING, f"Function not found: {ARN}-unknown:1"),
    ),
    Fact(
        "L30",
        "CreateAlias with empty weights has no RoutingConfig",
        ROUTING,
        lambda account: of(alias(account, RoutingConfig=weights()), "FunctionVersion", "RoutingConfig"),
        ("1", None),
    ),
    Fact(
        "L31",
        "an alias's name is no number; a date is a name",
        "LS lambda_ test_alias_naming, 25-11-2025",
        lambda account: (alias(account, "2024-01-02")["Name"], routed(account, name="2024")),
        (
            "2024-01-02",
            (
                *MALFORMED,
                (
                    "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must"
                    " satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
                ),
            ),
        ),
    ),
    Fact(
        "L32",
        "GetFunction and GetFunctionConfiguration by alias show the alias's ARN, and the version's RevisionId",
        LIFECYCLE,
        by_alias,
        ((f"{ARN}:live", "1"), (f"{ARN}:live", "1"), True),
    ),
    Fact(
        "L33",
        "CreateAlias of one that is there",
        ROUTING,
        lambda account: routed(account, name="live"),
        (409, "ResourceConflictException", f"Alias already exists: {ARN}:live"),
    ),
    Fact(
        "R1",
        "an alias on a version in State Failed is refused (reported, not recorded; the text is not known)",
        "hashicorp/terraform-provider-aws#49904, 2026-09",
        failed,
        [(409, "ResourceConflictException")] * 2,
    ),
]
