"""Versions: what may be published, returned to, waited for, and paired on one alias."""

from dataclasses import replace

import pytest

from rollout.errors import (
    CodeChanged,
    FunctionNotPublishable,
    FunctionUpdating,
    StableUnusable,
    VersionPending,
    VersionsIncompatible,
    VersionUnusable,
)
from rollout.version import Version

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
    READY.require_ready()
    READY.require_stable()
    READY.require_compatible(READY)


@pytest.mark.parametrize("state", ["Pending", "Inactive", "Deactivated", "ActiveNonInvocable", "SomethingNew"])
def test_a_state_that_cannot_serve_is_waited_for_and_never_trusted(state):
    with pytest.raises(VersionPending):
        replace(READY, state=state).require_ready()
    with pytest.raises(StableUnusable):
        replace(READY, state=state).require_stable()


def test_a_failed_version_is_not_waited_for():
    with pytest.raises(VersionUnusable, match="Failed \\(ImageDeleted\\)"):
        replace(READY, state="Failed", state_reason="ImageDeleted").require_ready()


def test_a_snapstart_version_is_ready_once_its_snapshot_is():
    with pytest.raises(VersionPending, match="SnapStart"):
        replace(READY, snap_start_pending=True).require_ready()


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


def test_versions_with_another_role_or_dead_letter_queue_cannot_share_an_alias():
    other = replace(READY, number="3", role="arn:other", dead_letter_arn="arn:queue")
    with pytest.raises(
        VersionsIncompatible, match=r"role arn:other .* and dead-letter queue arn:queue instead of none"
    ):
        other.require_compatible(READY)
