"""Versions: what is told of them, publishing exactly what was read, and one invocation of the exact version."""

import json
from dataclasses import asdict, replace
from typing import get_args

import pytest

from sandbox.aws.boundary import AwsError
from sandbox.aws.settings import Setting
from sandbox.aws.stack import archive
from tidegate.alias import Alias
from tidegate.aws import versions
from tidegate.errors import (
    AwsRefused,
    AwsUnavailable,
    CodeChanged,
    FunctionNotFound,
    FunctionNotPublishable,
    FunctionUpdating,
    PermissionDenied,
    VersionNotFound,
)
from tidegate.hooks.smoke_test import SmokeTest
from tidegate.planning.difference import UNKNOWN, Difference, differences
from tidegate.version import Provisioning

LIVE = Alias("checkout", "live")

SECRET = "s3cr3t-of-the-customer"  # noqa: S105 - what must not leak


def fault(call, error, **more):
    return {"faults": [{"call": f"lambda.{call}", "error": error, **more}]}


def publish(latest):
    return versions.publish("checkout", latest, "by a rollout")


@pytest.fixture
def deploy(somebody):
    """Somebody deploys other code to $LATEST."""
    return lambda content: somebody("lambda.update_function_code", FunctionName="checkout", ZipFile=archive(content))


@pytest.fixture
def configure(somebody):
    """Somebody changes the configuration of $LATEST."""
    return lambda **changes: somebody("lambda.update_function_configuration", FunctionName="checkout", **changes)


# Reading.


def test_a_version_is_read_with_what_a_rollout_judges(inhabit, somebody):
    inhabit()
    queue = "arn:aws:sqs:us-east-1:123456789012:dead"
    somebody("lambda.update_function_configuration", FunctionName="checkout", DeadLetterConfig={"TargetArn": queue})
    number = somebody("lambda.publish_version", FunctionName="checkout")["Version"]
    found = versions.read("checkout", number)
    assert (found.function_name, found.number) == ("checkout", "2")
    assert (found.state, found.last_update_status) == ("Active", "Successful")
    assert found.role == "arn:aws:iam::123456789012:role/checkout-role"
    assert found.dead_letter_arn == queue
    assert versions.read("checkout", "1").dead_letter_arn is None
    assert found.can_serve


def test_a_version_that_is_not_ready_says_why(inhabit):
    inhabit(candidate={"state": "Pending", "active_after_seconds": 90})
    found = versions.read("checkout", publish(versions.read_latest("checkout")))
    assert (found.state, found.state_reason) == ("Pending", "Creating: The function is being created.")
    assert not found.can_serve


def test_a_failed_update_of_latest_says_why(inhabit):
    world = inhabit(publish={"last_update_status": "Failed"})
    reason = {"LastUpdateStatusReasonCode": "ImageDeleted", "LastUpdateStatusReason": "The image was deleted."}
    world.boundary.correct("lambda.GetFunctionConfiguration", lambda _, proceed: {**proceed(), **reason})
    found = versions.read_latest("checkout")
    assert (found.number, found.last_update_status) == ("$LATEST", "Failed")
    assert found.last_update_reason == "ImageDeleted: The image was deleted."


def test_a_function_older_than_the_state_fields_is_settled(inhabit):
    world = inhabit()
    fields = ("State", "LastUpdateStatus", "RevisionId")
    world.boundary.correct(
        "lambda.GetFunctionConfiguration",
        lambda _, proceed: {name: value for name, value in proceed().items() if name not in fields},
    )
    found = versions.read("checkout", "1")
    assert (found.state, found.last_update_status, found.can_serve) == ("Active", "Successful", True)


@pytest.mark.parametrize(("status", "can_serve"), [("Off", False), ("On", True)])
def test_a_version_with_snap_start_serves_once_its_snapshot_is_there(inhabit, status, can_serve):
    world = inhabit()
    snap_start = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": status}}
    world.boundary.correct("lambda.GetFunctionConfiguration", lambda _, proceed: {**proceed(), **snap_start})
    assert versions.read("checkout", "1").can_serve is can_serve


def test_environment_variables_stay_with_aws(inhabit, configure):
    """GetFunctionConfiguration returns them, and whatever a handler returns stands in the execution's history."""
    world = inhabit()
    configure(Environment={"Variables": {"TOKEN": SECRET}})
    answers = []
    world.boundary.listen(lambda call: answers.append(json.dumps(call.response, default=str)))
    latest = versions.read_latest("checkout")
    published = versions.read("checkout", publish(latest))
    assert SECRET in answers[0]
    for version in (latest, published):
        assert SECRET not in json.dumps(asdict(version)) + repr(version)


def test_a_missing_version_is_told_by_its_number(inhabit):
    inhabit()
    with pytest.raises(VersionNotFound, match="function checkout has no version 9"):
        versions.read("checkout", "9")


def test_a_missing_function_is_told_with_the_region_that_was_searched(inhabit):
    inhabit()
    with pytest.raises(FunctionNotFound, match="no function basket in us-east-1"):
        versions.read_latest("basket")


def test_a_function_that_may_not_be_read_is_no_missing_function(inhabit):
    inhabit(**fault("GetFunctionConfiguration", "AccessDeniedException"))
    with pytest.raises(PermissionDenied):
        versions.read_latest("checkout")


# Publishing.


def test_publishing_freezes_what_was_read(inhabit, somebody):
    inhabit()
    latest = versions.read_latest("checkout")
    assert publish(latest) == "2"
    assert versions.read("checkout", "2").code_sha256 == latest.code_sha256
    described = somebody("lambda.get_function_configuration", FunctionName="checkout", Qualifier="2")
    assert described["Description"] == "by a rollout"


def test_publishing_twice_gives_the_same_version(inhabit):
    inhabit()
    assert [publish(versions.read_latest("checkout")) for _ in range(2)] == ["2", "2"]


def test_publishing_where_nothing_changed_gives_the_version_that_serves(inhabit):
    inhabit(publish={"unchanged": True})
    assert publish(versions.read_latest("checkout")) == "1"


def test_publishing_whose_response_was_lost_gives_the_version_that_was_made(inhabit, somebody):
    inhabit(**fault("PublishVersion", "lost_response"))
    assert publish(versions.read_latest("checkout")) == "2"
    listed = somebody("lambda.list_versions_by_function", FunctionName="checkout")["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]


def test_code_deployed_after_reading_is_not_published(inhabit, deploy, somebody):
    inhabit()
    latest = versions.read_latest("checkout")
    deploy("somebody else's")
    with pytest.raises(CodeChanged, match=r"\$LATEST of checkout changed while it was published"):
        publish(latest)
    assert len(somebody("lambda.list_versions_by_function", FunctionName="checkout")["Versions"]) == 2


def test_a_configuration_changed_after_reading_is_not_published(inhabit, configure):
    """The code is the same, so only RevisionId tells."""
    inhabit()
    latest = versions.read_latest("checkout")
    configure(MemorySize=512)
    assert versions.read_latest("checkout").code_sha256 == latest.code_sha256
    with pytest.raises(CodeChanged):
        publish(latest)


def test_code_that_is_not_what_was_read_is_not_published(inhabit):
    inhabit()
    latest = replace(versions.read_latest("checkout"), code_sha256="A" * 43 + "=")
    with pytest.raises(CodeChanged, match="is different from current CodeSHA256"):
        publish(latest)


def test_publishing_waits_for_an_update_that_is_on_its_way(inhabit):
    inhabit(publish={"last_update_status": "InProgress"})
    with pytest.raises(FunctionUpdating, match="publish function checkout"):
        publish(versions.read_latest("checkout"))


@pytest.mark.parametrize(
    "code", ["CodeStorageExceededException", "FunctionVersionsPerCapacityProviderLimitExceededException"]
)
def test_no_room_for_another_version_says_what_to_do(inhabit, code):
    inhabit(**fault("PublishVersion", code))
    with pytest.raises(FunctionNotPublishable, match=f"{code}.*delete versions that nothing uses"):
        publish(versions.read_latest("checkout"))


def test_any_other_refusal_of_publishing_keeps_its_code(inhabit):
    inhabit(**fault("PublishVersion", "ResourceNotFoundException"))
    with pytest.raises(AwsRefused) as refused:
        publish(versions.read_latest("checkout"))
    assert refused.value.code == "ResourceNotFoundException"


# Provisioned concurrency.


@pytest.mark.parametrize(("alias", "expected"), [({}, None), ({"provisioned_concurrency": 5}, Provisioning("READY"))])
def test_provisioned_concurrency_is_seen_on_the_alias(inhabit, alias, expected):
    inhabit(alias=alias)
    assert versions.read_provisioning(LIVE) == expected


def test_provisioned_concurrency_that_cannot_be_read_is_not_none(inhabit):
    inhabit(**fault("GetProvisionedConcurrencyConfig", "AccessDeniedException"))
    with pytest.raises(PermissionDenied):
        versions.read_provisioning(LIVE)


# Invoking.


def test_the_exact_version_is_invoked_with_the_payload(inhabit):
    world = inhabit()
    received = []

    def echo(qualifier, payload):
        received.append((qualifier, json.loads(payload)))
        world.clock.sleep(0.25)
        return b'{"ok": true}', None

    world.runtime.route("checkout", echo)
    answer = versions.invoke("checkout", "1", SmokeTest(payload={"order": 1}))
    assert received == [("1", {"order": 1})]
    assert (answer.payload, answer.function_error) == (b'{"ok": true}', None)
    assert answer.duration_ms == pytest.approx(300)  # a quarter of a second, and the way there


def test_a_version_that_fails_is_an_answer(inhabit):
    world = inhabit()
    world.runtime.route("checkout", lambda *_: (b'{"errorType": "KeyError"}', "Unhandled"))
    answer = versions.invoke("checkout", "1", SmokeTest())
    assert (answer.payload, answer.function_error) == (b'{"errorType": "KeyError"}', "Unhandled")


def test_a_version_that_does_not_answer_in_time_was_invoked_only_once(inhabit):
    world = inhabit(**fault("Invoke", "lost_response", times="always"))
    invoked = []
    world.runtime.route("checkout", lambda *_: (b"", invoked.append(1)))
    began = world.clock.now()
    answer = versions.invoke("checkout", "1", SmokeTest(max_duration_ms=2500))
    assert (len(invoked), world.boundary.calls["lambda.Invoke"]) == (1, 1)
    assert (answer.payload, answer.function_error) == (b"", None)
    assert 2500 < answer.duration_ms == pytest.approx((world.clock.now() - began) * 1000, abs=100)


@pytest.mark.parametrize(
    "error",
    [
        *("TooManyRequestsException", "ServiceException", "ResourceNotReadyException", "EC2ThrottledException"),
        *("SnapStartNotReadyException", "CodeArtifactUserPendingException"),
    ],
)
def test_a_version_that_lambda_did_not_run_is_tried_again_later_and_not_at_once(inhabit, error):
    world = inhabit(**fault("Invoke", error, times="always"))
    with pytest.raises(AwsUnavailable, match=f"invoke checkout:1: {error}"):
        versions.invoke("checkout", "1", SmokeTest())
    assert world.boundary.calls["lambda.Invoke"] == 1


def test_an_invocation_that_lambda_refuses_is_no_answer(inhabit):
    world = inhabit()

    def refuse(_params, _proceed):
        raise AwsError("AccessDeniedException", "not authorized to perform: lambda:InvokeFunction", 403)

    world.boundary.correct("lambda.Invoke", refuse)
    with pytest.raises(PermissionDenied, match="lambda:InvokeFunction"):
        versions.invoke("checkout", "1", SmokeTest())


# What makes a version.


def test_a_configuration_holds_what_makes_the_version(inhabit, configure):
    inhabit()
    configure(MemorySize=256, Timeout=30)
    latest, first = versions.read_configuration("checkout", "$LATEST"), versions.read_configuration("checkout", "1")
    latest, first = latest.settings, first.settings
    assert (latest["memory"], latest["timeout"], latest["handler"]) == (256, 30, "app.handler")
    assert (first["memory"], first["timeout"], first["runtime"]) == (128, 3, "python3.13")
    assert first["role"] == "arn:aws:iam::123456789012:role/checkout-role"
    assert latest["code_sha256"] != first["code_sha256"]


#: Scenarios name settings as Lambda does; these are told by another name.
TOLD_AS = {
    "Architectures": "architectures",
    "DeadLetterConfig": "dead_letter",
    "Environment": "environment variable CHANGED",
    "EphemeralStorage": "ephemeral_storage",
    "Handler": "handler",
    "Layers": "layers",
    "MemorySize": "memory",
    "Runtime": "runtime",
    "SnapStart": "snap_start",
    "Timeout": "timeout",
}


@pytest.mark.parametrize("setting", get_args(Setting))
def test_any_setting_that_differs_is_told(inhabit, setting):
    package = {"function": {"package_type": "Image"}} if setting == "ImageConfig" else {}
    inhabit(publish={"changed": [setting], "code": False}, **package)
    stable, latest = (versions.read_configuration("checkout", number) for number in ("1", "$LATEST"))
    (found,) = differences(stable, latest)
    assert found.what == TOLD_AS.get(setting, setting)
    assert found.stable != found.candidate
    assert publish(versions.read_latest("checkout")) == "2"
    (given,) = differences(latest, versions.read_configuration("checkout", "2"))
    assert given.what == "Description", "the one that the rollout has given to its version"


def test_what_says_nothing_of_how_a_version_is_made_is_no_difference(inhabit):
    world = inhabit(publish={"unchanged": True})
    volatile = {
        **dict.fromkeys(("ConfigSha256", "LastUpdateStatusReason", "StateReasonCode", "SigningJobArn")),
        "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"},
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False},
    }
    world.boundary.correct(
        "lambda.GetFunctionConfiguration",
        lambda params, proceed: (
            {**proceed(), "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}}
            if "Qualifier" in params
            else {**proceed(), **volatile, "LastModified": "now", "RevisionId": "new"}
        ),
    )
    first, latest = (versions.read_configuration("checkout", number) for number in ("1", "$LATEST"))
    assert differences(first, latest) == ()


@pytest.mark.parametrize(
    ("setting", "told_as"), [("Environment", "environment"), ("ImageConfigResponse", "ImageConfig")]
)
def test_a_setting_that_lambda_cannot_read_is_unknown(inhabit, setting, told_as):
    """Environment.Error: the key is out of Lambda's or the caller's reach (API reference, EnvironmentResponse)."""
    world = inhabit(publish={"unchanged": True})
    error = {setting: {"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms:Decrypt"}}}
    world.boundary.correct("lambda.GetFunctionConfiguration", lambda _, proceed: {**proceed(), **error})
    first, latest = (versions.read_configuration("checkout", number) for number in ("1", "$LATEST"))
    assert differences(first, latest) == (Difference(told_as, UNKNOWN, UNKNOWN),)


def test_a_configuration_tells_that_a_variable_changed_and_never_its_value(inhabit, configure):
    inhabit()
    configure(Environment={"Variables": {"TOKEN": SECRET, "SAME": "same"}})
    before = versions.read_configuration("checkout", "$LATEST")
    configure(Environment={"Variables": {"TOKEN": SECRET + "!", "SAME": "same"}})
    after = versions.read_configuration("checkout", "$LATEST")
    assert [difference.what for difference in differences(before, after)] == ["environment variable TOKEN"]
    assert SECRET not in json.dumps(asdict(before))


def test_a_configuration_older_than_the_newer_fields_is_read(inhabit):
    world = inhabit()
    newer = {"PackageType", "Architectures", "EphemeralStorage", "SnapStart", "Environment", "Runtime", "Handler"}
    world.boundary.correct(
        "lambda.GetFunctionConfiguration",
        lambda _, proceed: {key: value for key, value in proceed().items() if key not in newer},
    )
    found = versions.read_configuration("checkout", "1")
    told = found.settings
    assert (told["package_type"], told["architectures"], told["ephemeral_storage"]) == ("Zip", ["x86_64"], 512)
    assert (told["snap_start"], found.environment, found.unknown) == ("None", {}, ())
    assert not {"runtime", "handler"} & set(told)


def test_what_state_a_version_is_in_is_no_setting_and_no_layers_are_none(inhabit):
    """GetFunctionConfiguration answers `Layers` of a function that has had some with an empty list (API reference)."""
    world = inhabit()
    world.boundary.correct(
        "lambda.GetFunctionConfiguration", lambda _params, proceed: {**proceed(), "State": "Active", "Layers": []}
    )
    assert not {"State", "Layers", "layers"} & versions.read_configuration("checkout", "$LATEST").settings.keys()


def test_provisioned_concurrency_that_may_not_be_read_is_not_taken_for_none(inhabit):
    inhabit(**fault("GetProvisionedConcurrencyConfig", "InvalidParameterValueException", times="always"))
    with pytest.raises(AwsRefused):
        versions.read_provisioning(LIVE)
