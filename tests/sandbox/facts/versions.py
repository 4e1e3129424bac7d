"""Versions: what each call was answered where nothing is published yet."""

from __future__ import annotations

from typing import Any

from tests.aws import lambda_account as functions
from tests.aws.lambda_account import CHECKOUT
from tests.sandbox.facts.fact import Fact, body, of, refused

Lambda = functions.Account
STALE = (
    412,
    "PreconditionFailedException",
    (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve"
        " the latest Revision Id"
    ),
)


def latest(account: Lambda) -> dict[str, Any]:
    return body(account.sdk.get_function_configuration(FunctionName=CHECKOUT))


def version(account: Lambda, number: str) -> dict[str, Any]:
    return body(account.sdk.get_function_configuration(FunctionName=CHECKOUT, Qualifier=number))


def publish(account: Lambda, **params: Any) -> dict[str, Any]:
    return body(account.sdk.publish_version(FunctionName=CHECKOUT, **params))


def describe(account: Lambda, text: str) -> dict[str, Any]:
    """$LATEST gets another description."""
    return body(account.sdk.update_function_configuration(FunctionName=CHECKOUT, Description=text))


def wrong_hash(account: Lambda) -> Any:
    status, code, text = refused(lambda: publish(account, CodeSha256="somenonexistentsha256"))
    return status, code, text.replace(latest(account)["CodeSha256"], "HASH")


def revisions_around_a_publish(account: Lambda) -> Any:
    describe(account, "one")
    before, published, after = latest(account), publish(account), latest(account)
    again = publish(account)
    seen = [each["RevisionId"] for each in (before, published, after)]
    return len(set(seen)), again["RevisionId"] == published["RevisionId"], latest(account) == after


def revision_of_a_version(account: Lambda) -> Any:
    published = publish(account, Description="first")
    before = version(account, "1")["RevisionId"]
    describe(account, "another")
    return before == published["RevisionId"] == version(account, "1")["RevisionId"]


def published_twice(account: Lambda, *keys: str) -> Any:
    first = publish(account, Description="first")
    return of(first, *keys) == of(publish(account, Description="second"), *keys)


def described_anew(account: Lambda) -> Any:
    first = publish(account)["Version"]
    describe(account, "Second version :))")
    return first, of(publish(account), "Version", "Description"), publish(account)["Version"]


def listed(account: Lambda) -> Any:
    publish(account)
    found = account.sdk.list_versions_by_function(FunctionName=CHECKOUT)["Versions"]
    return [sorted(key for key in each if key.startswith(("State", "LastUpdate"))) for each in found]


UPDATE = ("State", "LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode")
LIFECYCLE = "LS lambda_ test_version_lifecycle, 25-11-2025"
REVISIONS = "LS lambda_ test_function_revisions_version_and_alias, 25-11-2025"

VERSIONS = [
    Fact(
        "L1",
        "PublishVersion with a wrong RevisionId",
        "LS lambda_ test_publish_with_wrong_revisionid, 30-09-2022; " + REVISIONS,
        lambda account: refused(lambda: publish(account, RevisionId="wrong")),
        STALE,
    ),
    Fact(
        "L2",
        "PublishVersion with a wrong CodeSha256",
        "LS lambda_ test_publish_with_wrong_sha256, 25-11-2025",
        wrong_hash,
        (
            400,
            "InvalidParameterValueException",
            (
                "CodeSHA256 (somenonexistentsha256) is different from current CodeSHA256 in $LATEST (HASH). Please try"
                " again with the CodeSHA256 in $LATEST."
            ),
        ),
    ),
    Fact(
        "L3",
        "PublishVersion gives $LATEST another RevisionId; one that publishes nothing does not",
        REVISIONS + "; test_publish_version_on_create",
        revisions_around_a_publish,
        (3, True, True),
    ),
    Fact("L4", "a version's RevisionId is its own, and stays", LIFECYCLE, revision_of_a_version, True),
    Fact(
        "L5",
        "a version is Active as soon as it is published",
        LIFECYCLE,
        lambda account: of(publish(account), "State", "LastUpdateStatus"),
        ("Active", "Successful"),
    ),
    Fact(
        "L6",
        "to publish what is unchanged returns the last version",
        LIFECYCLE,
        lambda account: published_twice(account, "Version", "RevisionId"),
        True,
    ),
    Fact(
        "L7",
        "and that with the description that it was given",
        LIFECYCLE,
        lambda account: published_twice(account, "Description"),
        True,
    ),
    Fact(
        "L8",
        "an update of $LATEST is answered InProgress, and has another RevisionId once it is done",
        LIFECYCLE,
        lambda account: (
            of(updating := describe(account, "First version :)"), *UPDATE),
            of(latest(account), *UPDATE),
            updating["RevisionId"] == latest(account)["RevisionId"],
        ),
        (
            ("Active", "InProgress", "The function is being created.", "Creating"),
            ("Active", "Successful", None, None),
            False,
        ),
    ),
    Fact(
        "L9",
        "another description of $LATEST alone makes a new version",
        LIFECYCLE,
        described_anew,
        ("1", ("2", "Second version :))"), "2"),
    ),
    Fact("L34", "ListVersionsByFunction shows no state", LIFECYCLE, listed, [[], []]),
]
