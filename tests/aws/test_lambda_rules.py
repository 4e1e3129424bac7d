"""What moto's Lambda lacks: one test per rule of AWS that the sandbox restores, seen through a real SDK client.

Sources are the Lambda API reference and developer guide, named in each test.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.lambda_records import FUNCTION_ARN
from tests.aws.lambda_account import CHECKOUT, OTHER_ROLE, Account, code, opened_account, refusal, weights


@pytest.fixture
def account() -> Iterator[Account]:
    with opened_account() as account:
        yield account


# Aliases: API reference, UpdateAlias and AliasRoutingConfiguration.


def test_revision_id_changes_with_every_write_to_the_alias(account: Account) -> None:
    """UpdateAlias, RevisionId; a write that changes nothing is a write too."""
    revisions = [account.alias()["RevisionId"], account.update(Description="x")["RevisionId"]]
    revisions += [account.update(FunctionVersion="1")["RevisionId"], account.update()["RevisionId"]]
    assert len(set(revisions)) == len(revisions)
    assert account.seen()["RevisionId"] == revisions[-1]
    listed = account.sdk.list_aliases(FunctionName=CHECKOUT)["Aliases"]
    assert [alias["RevisionId"] for alias in listed] == [revisions[-1]]


def test_stale_revision_id_is_refused_and_changes_nothing(account: Account) -> None:
    """UpdateAlias, RevisionId and PreconditionFailedException."""
    stale = account.alias()["RevisionId"]
    fresh = account.update(RoutingConfig=weights(v2=0.1), RevisionId=stale)["RevisionId"]
    assert account.refused(RoutingConfig=weights(v2=0.5), RevisionId=stale) == ("PreconditionFailedException", 412)
    assert account.seen()["RoutingConfig"] == weights(v2=0.1)
    assert account.update(RoutingConfig=weights(v2=0.5), RevisionId=fresh)["RoutingConfig"] == weights(v2=0.5)


def test_update_alias_is_partial(account: Account) -> None:
    """UpdateAlias: all parameters but the names are optional, and what is absent stays as it is."""
    account.alias(v2=0.25)
    assert account.update(Description="x")["RoutingConfig"] == weights(v2=0.25)
    assert account.seen()["RoutingConfig"] == weights(v2=0.25)
    account.publish("three")
    assert account.update(FunctionVersion="3")["RoutingConfig"] == weights(v2=0.25)


@pytest.mark.parametrize("cleared", [{"AdditionalVersionWeights": {}}, {}])
def test_empty_routing_config_clears_the_weights(account: Account, cleared: dict[str, Any]) -> None:
    """Developer guide, "Implement Lambda canary deployments using a weighted alias", its AWS CLI example."""
    account.alias(v2=0.25)
    restored = account.update(FunctionVersion="1", RoutingConfig=cleared)
    assert "RoutingConfig" not in restored
    assert "RoutingConfig" not in account.seen()


def test_version_cannot_be_the_aliass_own_and_additional(account: Account) -> None:
    """Reported verbatim in serverless/serverless#7250."""
    account.alias(v2=0.25)
    with pytest.raises(ClientError, match="Function version 2 is already included in routing configuration"):
        account.update(FunctionVersion="2")
    assert account.update(FunctionVersion="2", RoutingConfig=weights())["FunctionVersion"] == "2"


def test_alias_takes_one_additional_version(account: Account) -> None:
    """Developer guide, weighted aliases: an alias points to at most two versions."""
    account.alias()
    account.publish("three")
    assert account.refused(RoutingConfig=weights(v2=0.1, v3=0.1)) == ("InvalidParameterValueException", 400)


@pytest.mark.parametrize("weight", [1.5, 1.0001])
def test_weight_is_at_most_one(account: Account, weight: float) -> None:
    """API model of Lambda, shape Weight: 0.0 to 1.0. The SDK itself checks the minimum alone."""
    account.alias()
    assert account.refused(RoutingConfig=weights(v2=weight)) == ("InvalidParameterValueException", 400)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weight_of_nothing_and_of_everything_are_legal(account: Account, weight: float) -> None:
    """API model of Lambda, shape Weight: both ends are included."""
    account.alias()
    assert account.update(RoutingConfig=weights(v2=weight))["RoutingConfig"] == weights(v2=weight)


def test_weighted_version_exists(account: Account) -> None:
    """UpdateAlias, ResourceNotFoundException."""
    account.alias()
    assert account.refused(RoutingConfig=weights(v9=0.1)) == ("ResourceNotFoundException", 404)
    assert account.refused(FunctionVersion="9") == ("ResourceNotFoundException", 404)


def test_latest_shares_no_alias(account: Account) -> None:
    """Developer guide, weighted aliases: both versions are published, $LATEST is neither of them."""
    account.alias()
    assert account.refused(FunctionVersion="$LATEST", RoutingConfig=weights(v2=0.1))[0] == (
        "InvalidParameterValueException"
    )
    assert account.update(FunctionVersion="$LATEST")["FunctionVersion"] == "$LATEST"


def test_weighted_versions_share_the_execution_role(account: Account) -> None:
    """Developer guide, weighted aliases: both versions have the same execution role."""
    account.alias()
    third = account.publish("three", Role=OTHER_ROLE)
    assert account.refused(RoutingConfig=weights(v3=0.1)) == ("InvalidParameterValueException", 400)
    account.rules.set_role(CHECKOUT, "2", OTHER_ROLE)
    assert account.refused(RoutingConfig=weights(v2=0.1)) == ("InvalidParameterValueException", 400)
    assert account.sdk.get_function_configuration(FunctionName=CHECKOUT, Qualifier="2")["Role"] == OTHER_ROLE
    assert account.update(FunctionVersion=third, RoutingConfig=weights(v2=0.1))["FunctionVersion"] == third


def test_weighted_versions_share_the_dead_letter_queue(account: Account) -> None:
    """Developer guide, weighted aliases: the same dead-letter queue configuration, or none."""
    account.alias()
    queue = {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:failed"}
    account.publish("three", DeadLetterConfig=queue)
    assert account.refused(RoutingConfig=weights(v3=0.1)) == ("InvalidParameterValueException", 400)
    shown = [account.sdk.get_function_configuration(FunctionName=CHECKOUT, Qualifier=each) for each in ("2", "3")]
    assert [each.get("DeadLetterConfig") for each in shown] == [None, queue]


def test_create_alias_keeps_the_same_rules(account: Account) -> None:
    """CreateAlias takes the same RoutingConfig, and ResourceConflictException where the alias exists."""
    account.alias()
    for alias, routing, expected in (
        ("live", weights(), ("ResourceConflictException", 409)),
        ("other", weights(v1=0.1), ("InvalidParameterValueException", 400)),
        ("other", weights(v9=0.1), ("ResourceNotFoundException", 404)),
    ):
        create = {"FunctionName": CHECKOUT, "Name": alias, "FunctionVersion": "1", "RoutingConfig": routing}
        assert refusal(lambda create=create: account.sdk.create_alias(**create)) == expected


def test_version_that_an_alias_names_cannot_be_deleted(account: Account) -> None:
    """DeleteFunction: a version that an alias references cannot be deleted; its weights count."""
    account.alias(v2=0.1)
    for version in ("1", "2"):
        delete = {"FunctionName": CHECKOUT, "Qualifier": version}
        assert refusal(lambda delete=delete: account.sdk.delete_function(**delete)) == (
            "ResourceConflictException",
            409,
        )
    account.update(RoutingConfig=weights())
    account.sdk.delete_function(FunctionName=CHECKOUT, Qualifier="2")
    assert account.refused(RoutingConfig=weights(v2=0.1)) == ("ResourceNotFoundException", 404)


def test_listeners_hear_of_a_write_before_and_after_it(account: Account) -> None:
    """Not a rule of AWS but what traffic rests on: it is served up to the write under the routing before it."""
    account.alias()
    heard: list[Any] = []
    account.rules.on_alias_change(lambda function, alias: heard.append(account.rules.routing(function, alias)))
    account.update(RoutingConfig=weights(v2=0.1))
    account.sdk.delete_alias(FunctionName=CHECKOUT, Name="live")
    assert heard == [("1", {}), ("1", {"2": 0.1}), ("1", {"2": 0.1}), None]


@pytest.mark.parametrize("name", ["checkout", f"{FUNCTION_ARN}checkout"])
def test_function_may_be_named_by_arn(account: Account, name: str) -> None:
    """API reference, FunctionName: a name or an ARN; the rules hold for both. (Partial ARNs are beyond moto.)"""
    account.alias()
    written = account.sdk.update_alias(FunctionName=name, Name="live", RoutingConfig=weights(v2=0.1))
    assert account.seen()["RevisionId"] == written["RevisionId"]
    stale = {"FunctionName": name, "Name": "live", "RevisionId": "stale"}
    assert refusal(lambda: account.sdk.update_alias(**stale)) == ("PreconditionFailedException", 412)


# Versions: API reference, PublishVersion.


def test_publishing_the_unchanged_returns_the_last_version(account: Account) -> None:
    """PublishVersion: no version is published where code and configuration have not changed since the last one."""
    first = account.publish("one")
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == first
    account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("one"))
    account.sdk.update_function_configuration(FunctionName=CHECKOUT, Description="other words")
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == first
    account.sdk.update_function_configuration(FunctionName=CHECKOUT, MemorySize=256)
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == "2"


def test_publishing_honours_code_sha256(account: Account) -> None:
    """PublishVersion, CodeSha256: only if the hash of $LATEST matches."""
    right, wrong = (base64.b64encode(hashlib.sha256(code(each)).digest()).decode() for each in ("one", "two"))
    account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("one"))
    assert refusal(lambda: account.sdk.publish_version(FunctionName=CHECKOUT, CodeSha256=wrong)) == (
        "InvalidParameterValueException",
        400,
    )
    assert account.sdk.publish_version(FunctionName=CHECKOUT, CodeSha256=right)["CodeSha256"] == right


def test_publishing_honours_the_revision_of_latest(account: Account) -> None:
    """PublishVersion, RevisionId and PreconditionFailedException; the revision changes with every update."""
    stale = account.sdk.get_function_configuration(FunctionName=CHECKOUT)["RevisionId"]
    fresh = account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("one"))["RevisionId"]
    assert account.sdk.get_function(FunctionName=CHECKOUT)["Configuration"]["RevisionId"] == fresh
    publish = account.sdk.publish_version
    assert refusal(lambda: publish(FunctionName=CHECKOUT, RevisionId=stale)) == ("PreconditionFailedException", 412)
    published = publish(FunctionName=CHECKOUT, RevisionId=fresh)
    assert published["Version"] == "1"
    assert published["RevisionId"] not in {stale, fresh}


def test_publishing_during_an_update_is_a_conflict(account: Account) -> None:
    """Developer guide, "Lambda function states": publishing fails while an update is in progress."""
    account.rules.set_last_update_status(CHECKOUT, "InProgress")
    publish = account.sdk.publish_version
    assert refusal(lambda: publish(FunctionName=CHECKOUT)) == ("ResourceConflictException", 409)
    assert account.sdk.get_function_configuration(FunctionName=CHECKOUT)["LastUpdateStatus"] == "InProgress"
    account.rules.set_last_update_status(CHECKOUT, "Successful")
    assert publish(FunctionName=CHECKOUT)["Version"] == "1"


def test_publishing_a_pending_function_is_a_conflict(account: Account) -> None:
    """Developer guide, "Lambda function states": publishing fails while the function is Pending."""
    account.rules.set_version_state(CHECKOUT, "$LATEST", "Pending", 30)
    publish = account.sdk.publish_version
    assert refusal(lambda: publish(FunctionName=CHECKOUT)) == ("ResourceConflictException", 409)
    account.clock.sleep(30)
    assert publish(FunctionName=CHECKOUT)["Version"] == "1"


def test_after_a_failed_update_the_previous_code_is_published(account: Account) -> None:
    """Developer guide, "Lambda function states": after Failed the previous code and configuration remain."""
    first = account.publish("one")
    account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("two"))
    account.rules.set_last_update_status(CHECKOUT, "Failed")
    assert account.sdk.get_function_configuration(FunctionName=CHECKOUT)["LastUpdateStatus"] == "Failed"
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == first


def test_version_is_pending_until_it_can_serve(account: Account) -> None:
    """Developer guide, "Lambda function states"; the state of a version is read by its number, not at $LATEST."""
    account.rules.set_version_state(CHECKOUT, "1", "Pending", 90)
    account.clock.sleep(60)
    account.publish("one")

    def state(**qualifier: str) -> str:
        return str(account.sdk.get_function_configuration(FunctionName=CHECKOUT, **qualifier)["State"])

    assert state(Qualifier="1") == "Pending"
    assert state() == "Active"
    listed = account.sdk.list_versions_by_function(FunctionName=CHECKOUT)["Versions"]
    assert {each["Version"]: each["State"] for each in listed} == {"$LATEST": "Active", "1": "Pending"}
    account.clock.sleep(89)
    assert state(Qualifier="1") == "Pending"
    account.clock.sleep(1)
    assert state(Qualifier="1") == "Active"


def test_state_that_never_becomes_active_stays(account: Account) -> None:
    """API model of Lambda, shape State: Failed, Inactive and others do not end by themselves."""
    account.rules.set_version_state(CHECKOUT, "1", "Failed", None)
    account.publish("one")
    account.clock.sleep(3600)
    assert account.sdk.get_function(FunctionName=CHECKOUT, Qualifier="1")["Configuration"]["State"] == "Failed"


def test_snap_start_is_on_for_active_published_versions_only(account: Account) -> None:
    """Developer guide, "Activating and managing Lambda SnapStart": snapshots are of published versions."""
    account.rules.set_version_state(CHECKOUT, "1", "Pending", 60)
    account.publish("one", SnapStart={"ApplyOn": "PublishedVersions"})

    def optimization(qualifier: str) -> str:
        shown = account.sdk.get_function_configuration(FunctionName=CHECKOUT, Qualifier=qualifier)
        return str(shown["SnapStart"]["OptimizationStatus"])

    assert [optimization(each) for each in ("$LATEST", "1")] == ["Off", "Off"]
    account.clock.sleep(60)
    assert [optimization(each) for each in ("$LATEST", "1")] == ["Off", "On"]
