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

from sandbox.aws.faults import CallFault
from sandbox.aws.lambda_records import FUNCTION_ARN
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


def test_a_write_that_changes_nothing_gives_another_revision_and_keeps_the_description(account: Account) -> None:
    """Recorded facts, L15: GetAlias shows it at once."""
    account.alias(v2=0.25)
    described = account.update(Description="build 7")
    again = account.update()
    assert again["RevisionId"] != described["RevisionId"]
    assert again == {**described, "RevisionId": again["RevisionId"], "ResponseMetadata": again["ResponseMetadata"]}
    seen = account.seen()
    assert (seen["RevisionId"], seen["Description"]) == (again["RevisionId"], "build 7")


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
    assert account.refused(RoutingConfig=weights(v2=weight)) == ("ValidationException", 400)


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


def test_version_that_is_gone_is_nowhere_and_its_number_is_not_given_again(account: Account) -> None:
    """Developer guide, "Manage Lambda function versions": a version's number is never used twice."""
    for content in ("one", "two", "three"):
        account.publish(content)
    account.sdk.delete_function(FunctionName=CHECKOUT, Qualifier="3")
    gone = {"FunctionName": CHECKOUT, "Qualifier": "3"}
    missing = ("ResourceNotFoundException", 404)
    for call in (account.sdk.get_function, account.sdk.get_function_configuration, account.sdk.delete_function):
        assert refusal(lambda call=call: call(**gone)) == missing
    listed = account.sdk.list_versions_by_function(FunctionName=CHECKOUT)["Versions"]
    assert [each["Version"] for each in listed] == ["$LATEST", "1", "2"]
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == "4"


def test_function_goes_with_its_versions_and_aliases(account: Account) -> None:
    """DeleteFunction without a Qualifier."""
    account.alias(v2=0.25)
    heard: list[Any] = []
    account.rules.on_alias_change(lambda function, alias: heard.append(account.rules.routing(function, alias)))
    account.sdk.delete_function(FunctionName=CHECKOUT)
    assert heard == [("1", {"2": 0.25}), None]
    missing = ("ResourceNotFoundException", 404)
    assert refusal(lambda: account.sdk.get_alias(FunctionName=CHECKOUT, Name="live")) == missing
    assert refusal(lambda: account.sdk.get_function_configuration(FunctionName=CHECKOUT)) == missing
    assert refusal(lambda: account.sdk.invoke(FunctionName=CHECKOUT, Qualifier="live")) == missing
    assert account.refused(FunctionVersion="2") == missing


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
    """PublishVersion: no version is published where code and configuration have not changed since the last one.

    The description that a version was given is its own (recorded facts, L7).
    """
    first = account.publish("one")
    assert account.sdk.publish_version(FunctionName=CHECKOUT, Description="build 7")["Version"] == first
    account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("one"))
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == first
    account.sdk.update_function_configuration(FunctionName=CHECKOUT, MemorySize=256)
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == "2"


def test_another_description_of_latest_is_published(account: Account) -> None:
    """Recorded facts, L9: a change of $LATEST's Description alone makes a new version."""
    first = account.publish("one")
    account.sdk.update_function_configuration(FunctionName=CHECKOUT, Description="other words")
    second = account.sdk.publish_version(FunctionName=CHECKOUT, Description="build 7")
    assert (first, second["Version"]) == ("1", "2")
    assert account.sdk.publish_version(FunctionName=CHECKOUT)["Version"] == "2"


def test_publishing_gives_latest_another_revision(account: Account) -> None:
    """Recorded facts, L3: a publish whose answer was lost is refused when it is repeated."""
    account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("one"))
    before = account.sdk.get_function_configuration(FunctionName=CHECKOUT)["RevisionId"]
    publish = account.sdk.publish_version
    published = publish(FunctionName=CHECKOUT, RevisionId=before)["RevisionId"]
    after = account.sdk.get_function_configuration(FunctionName=CHECKOUT)["RevisionId"]
    assert len({before, published, after}) == 3
    assert refusal(lambda: publish(FunctionName=CHECKOUT, RevisionId=before)) == ("PreconditionFailedException", 412)
    assert publish(FunctionName=CHECKOUT, RevisionId=after)["Version"] == "1"
    assert account.sdk.get_function_configuration(FunctionName=CHECKOUT)["RevisionId"] == after, "nothing was published"


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
    updating = account.sdk.update_function_code(FunctionName=CHECKOUT, ZipFile=code("one"))["RevisionId"]
    fresh = account.sdk.get_function(FunctionName=CHECKOUT)["Configuration"]["RevisionId"]
    assert len({stale, updating, fresh}) == 3, "once it is done it has another one (recorded facts, L8)"
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


# Idle versions: developer guide, "Lambda function states".


def _idle(account: Account) -> None:
    account.boundary.serve("lambda.Invoke", lambda _: {"StatusCode": 200})
    account.alias()
    account.rules.set_version_state(CHECKOUT, "1", "Inactive", None)


def _state(account: Account, qualifier: str = "1") -> tuple[str, str | None]:
    shown = account.sdk.get_function_configuration(FunctionName=CHECKOUT, Qualifier=qualifier)
    return shown["State"], shown.get("StateReasonCode")


@pytest.mark.parametrize("qualifier", ["1", "live"])
def test_invocation_of_an_idle_version_fails_and_wakes_it(account: Account, qualifier: str) -> None:
    """Code, status and text: reported in boto/boto3#3788 and
    aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws#801. Codes of states: API model,
    StateReasonCode.
    """
    _idle(account)
    assert _state(account) == ("Inactive", "Idle")
    account.clock.sleep(3600)
    assert _state(account) == ("Inactive", "Idle"), "nobody asked for it"

    def invoke() -> Any:
        return account.sdk.invoke(FunctionName=CHECKOUT, Qualifier=qualifier)

    assert refusal(invoke) == ("CodeArtifactUserPendingException", 409)
    assert _state(account) == ("Pending", "Restoring")
    account.clock.sleep(59)
    assert refusal(invoke) == ("CodeArtifactUserPendingException", 409)
    account.clock.sleep(1)
    assert _state(account) == ("Active", None)
    assert invoke()["StatusCode"] == 200


def test_other_versions_serve_while_one_is_idle(account: Account) -> None:
    """States are a version's own."""
    _idle(account)
    assert account.sdk.invoke(FunctionName=CHECKOUT, Qualifier="2")["StatusCode"] == 200
    assert account.sdk.invoke(FunctionName=CHECKOUT)["StatusCode"] == 200


def test_pending_version_and_one_that_is_gone_are_not_invoked(account: Account) -> None:
    """Developer guide, "Lambda function states": any invocation fails while a function is Pending."""
    _idle(account)
    third = account.publish("three")
    account.sdk.delete_function(FunctionName=CHECKOUT, Qualifier=third)
    account.rules.set_version_state(CHECKOUT, "2", "Pending", None)
    for qualifier, expected in (("2", ("ResourceConflictException", 409)), ("3", ("ResourceNotFoundException", 404))):
        invoke = {"FunctionName": f"{FUNCTION_ARN}{CHECKOUT}:{qualifier}"}
        assert refusal(lambda invoke=invoke: account.sdk.invoke(**invoke)) == expected


# What was there before, for reads that lag.


def test_alias_is_remembered_as_it_was() -> None:
    """Not a rule of AWS: what a stale GetAlias rests on. Times are exact, to the write."""
    with opened_account(CallFault("lambda.GetAlias", "stale", "always", seconds=10)) as account:
        start = account.clock.now()

        def seen(after: float) -> Any:
            account.clock.sleep(start + after - account.clock.now() - account.call_seconds)
            return account.as_handler(account.seen)

        absent = seen(5)
        assert absent.response["Error"]["Code"] == "ResourceNotFoundException"
        created = account.alias(v2=0.1)
        account.clock.sleep(5)
        updated = account.update(Description="build 7", RoutingConfig=weights())
        account.clock.sleep(5)
        account.sdk.delete_alias(FunctionName=CHECKOUT, Name="live")

        for after, written in ((15.1, created), (19.9, created), (20, updated), (24.9, updated)):
            shown = seen(after)
            assert {**shown, "ResponseMetadata": None} == {**written, "ResponseMetadata": None}
        assert seen(25).response["Error"]["Code"] == "ResourceNotFoundException"


def test_configuration_is_remembered_as_it_was() -> None:
    """Not a rule of AWS: what a stale GetFunctionConfiguration rests on; a state is that of then too."""
    with opened_account(CallFault("lambda.GetFunctionConfiguration", "stale", "always", seconds=10)) as account:
        account.rules.set_version_state(CHECKOUT, "1", "Pending", 5)

        def seen(**qualifier: str) -> Any:
            return account.as_handler(
                lambda: account.sdk.get_function_configuration(FunctionName=CHECKOUT, **qualifier)
            )

        revision = account.sdk.get_function_configuration(FunctionName=CHECKOUT)["RevisionId"]
        account.clock.sleep(10)
        account.alias()
        assert seen()["RevisionId"] == revision
        assert seen(Qualifier="1").response["Error"]["Code"] == "ResourceNotFoundException"
        account.clock.sleep(10)
        assert [seen(Qualifier=each)["State"] for each in ("1", "live")] == ["Pending", "Pending"]
        account.clock.sleep(5)
        assert (seen(Qualifier="live")["Version"], seen(Qualifier="1")["State"]) == ("1", "Active")
