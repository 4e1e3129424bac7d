"""Versions: what may be published, returned to, waited for, and paired on one alias."""

import base64
from dataclasses import replace

import pytest

from tidegate.errors import (
    CodeChanged,
    FunctionNotPublishable,
    FunctionUpdating,
    StableUnusable,
    VersionPending,
    VersionsIncompatible,
    VersionUnusable,
)
from tidegate.version import Version

READY = Version(
    function_name="checkout",
    number="2",
    state="Active",
    state_reason="",
    last_update_status="Successful",
    last_update_reason="",
    code_sha256="abc=",
    revision_id="r",
    role="arn:aws:iam::123456789012:role/checkout",
    dead_letter_arn=None,
    snap_start_pending=False,
)


def test_a_ready_version_passes_everything():
    READY.require_publishable("abc=")
    READY.require_ready("eu-west-1")
    READY.require_stable("eu-west-1")
    READY.require_compatible(READY)


@pytest.mark.parametrize("state", ["Pending", "Deactivated", "ActiveNonInvocable", "SomethingNew"])
def test_a_state_that_cannot_serve_is_waited_for_and_never_trusted(state):
    with pytest.raises(VersionPending):
        replace(READY, state=state).require_ready("eu-west-1")
    with pytest.raises(StableUnusable):
        replace(READY, state=state).require_stable("eu-west-1")


WAKE = "aws lambda invoke --region eu-west-1 --function-name checkout --qualifier 2 "
WAIT = "aws lambda wait published-version-active --region eu-west-1 --function-name checkout --qualifier 2"


def test_an_idle_version_is_refused_with_the_commands_that_wake_it():
    idle = replace(READY, state="Inactive", state_reason="Idle: The function is idle.")
    for refused, check in ((StableUnusable, idle.require_stable), (VersionUnusable, idle.require_ready)):
        with pytest.raises(refused, match=r"is Inactive \(Idle.*Invoke it once .*wait until it is Active") as error:
            check("eu-west-1")
        assert WAKE in str(error.value)
        assert WAIT in str(error.value)
        assert "point the alias" not in str(error.value)


def test_an_idle_candidate_that_will_be_invoked_before_any_traffic_may_go_on():
    replace(READY, state="Inactive").require_ready("eu-west-1", tried=True)
    for state, refused in (("Pending", VersionPending), ("Failed", VersionUnusable)):
        with pytest.raises(refused):
            replace(READY, state=state).require_ready("eu-west-1", tried=True)


def test_a_stable_version_that_is_on_its_way_is_to_be_waited_for():
    for pending in (replace(READY, state="Pending"), replace(READY, snap_start_pending=True)):
        with pytest.raises(StableUnusable, match="wait until it is Active") as error:
            pending.require_stable("eu-west-1")
        assert WAIT in str(error.value)
        assert WAKE not in str(error.value)
    with pytest.raises(StableUnusable, match="point the alias to a version that can serve first"):
        replace(READY, state="Failed").require_stable("eu-west-1")


def test_a_failed_version_is_not_waited_for():
    with pytest.raises(VersionUnusable, match="Failed \\(ImageDeleted\\)"):
        replace(READY, state="Failed", state_reason="ImageDeleted").require_ready("eu-west-1")


def test_a_snapstart_version_is_ready_once_its_snapshot_is():
    with pytest.raises(VersionPending, match="SnapStart"):
        replace(READY, snap_start_pending=True).require_ready("eu-west-1")


def test_publishing_waits_for_an_update_and_refuses_after_a_failed_one():
    with pytest.raises(FunctionUpdating):
        replace(READY, last_update_status="InProgress").require_publishable(None)
    with pytest.raises(FunctionUpdating):
        replace(READY, state="Pending").require_publishable(None)
    with pytest.raises(FunctionNotPublishable, match="would ship the code before it"):
        replace(READY, last_update_status="Failed").require_publishable(None)


def test_other_code_than_expected_is_refused_with_both_hashes():
    with pytest.raises(CodeChanged, match=r"abc=.*xyz="):
        READY.require_publishable("xyz=")


DIGEST = "bc1b05fa5eb6db9887aa9f8ee22d3dc9b970fab6c965e9e5e52f8f1ea478f0ab"
IN_BASE64 = base64.b64encode(bytes.fromhex(DIGEST)).decode()


@pytest.mark.parametrize("told", [DIGEST, IN_BASE64])
@pytest.mark.parametrize("expected", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}", IN_BASE64])
def test_one_hash_is_the_same_however_it_is_written(told, expected):
    version = replace(READY, code_sha256=told)
    version.require_code(expected)
    with pytest.raises(CodeChanged):
        replace(version, code_sha256=told.swapcase() if told.endswith("=") else "0" * 64).require_code(expected)


def test_versions_with_another_role_or_dead_letter_queue_cannot_share_an_alias():
    other = replace(READY, number="3", role="arn:other", dead_letter_arn="arn:queue")
    with pytest.raises(
        VersionsIncompatible, match=r"role arn:other .* and dead-letter queue arn:queue instead of none"
    ):
        other.require_compatible(READY)
