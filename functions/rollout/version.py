"""A published version, or $LATEST, as far as a rollout cares; and what must hold of it."""

from __future__ import annotations

from dataclasses import dataclass

from rollout.errors import (
    CodeChanged,
    FunctionNotPublishable,
    FunctionUpdating,
    StableUnusable,
    VersionPending,
    VersionsIncompatible,
    VersionUnusable,
)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """An alias's provisioned concurrency: READY, IN_PROGRESS or FAILED, and why."""

    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One version's configuration. `number` is "$LATEST" for the unpublished one; states are Lambda's own words.

    `configuration_sha256` is a digest of all that makes a version, but for its code: what its environment holds, too.
    """

    function_name: str
    number: str
    state: str
    state_reason: str
    last_update_status: str
    last_update_reason: str
    code_sha256: str
    revision_id: str
    role: str
    dead_letter_arn: str | None
    snap_start_pending: bool
    configuration_sha256: str = ""

    def is_same_as(self, other: Version) -> bool:
        """Whether publishing it gives the same code and configuration, whatever was written to it meanwhile."""
        return (self.code_sha256, self.configuration_sha256) == (other.code_sha256, other.configuration_sha256)

    @property
    def can_serve(self) -> bool:
        """Whether Lambda would invoke it right away; a state unknown here counts as no."""
        return self.state == "Active" and not self.snap_start_pending

    def require_stable(self) -> None:
        """Refuse a version that could not take the traffic back.

        Raises:
            StableUnusable: it could not serve now.
        """
        if not self.can_serve:
            raise StableUnusable(
                f"version {self.number} of {self.function_name}, which a rollback would return to, is {self._state()}:"
                " point the alias to a version that can serve first"
            )

    def require_publishable(self, expected_code_sha256: str | None) -> None:
        """Refuse to publish $LATEST while it is not what the user thinks it is.

        After a failed update the previous code stays, and publishing would ship that (Lambda Developer Guide,
        "Lambda function states").

        Raises:
            FunctionUpdating: an update is in progress.
            FunctionNotPublishable: the last update failed.
            CodeChanged: the code is not the expected one.
        """
        if self.last_update_status == "Failed":
            raise FunctionNotPublishable(
                f"the last update of {self.function_name} failed ({self.last_update_reason}), so publishing would ship"
                " the code before it: deploy again"
            )
        if self.last_update_status != "Successful" or self.state == "Pending":
            raise FunctionUpdating(f"{self.function_name} is still being updated")
        self.require_code(expected_code_sha256)

    def require_code(self, expected_code_sha256: str | None) -> None:
        """Refuse other code than expected, where something is.

        Raises:
            CodeChanged: the code is not the expected one.
        """
        if expected_code_sha256 not in (None, self.code_sha256):
            raise CodeChanged(
                f"{self.number} of {self.function_name} has CodeSha256 {self.code_sha256}, and"
                f" {expected_code_sha256} is expected: deploy that build, or leave expected_code_sha256 out"
            )

    def require_ready(self) -> None:
        """Wait for a candidate that cannot serve yet.

        Raises:
            VersionPending: it may still become Active.
            VersionUnusable: it will not.
        """
        if self.state in ("Failed", "Deleting"):
            raise VersionUnusable(f"version {self.number} of {self.function_name} is {self._state()}")
        if not self.can_serve:
            raise VersionPending(f"version {self.number} of {self.function_name} is {self._state()}")

    def require_compatible(self, stable: Version) -> None:
        """Refuse a pair that one alias cannot hold: both need the same role and the same dead-letter queue.

        Source: Lambda Developer Guide, "Lambda alias routing configuration".

        Raises:
            VersionsIncompatible: naming every difference.
        """
        differences = [
            f"{what} {theirs or 'none'} instead of {ours or 'none'}"
            for what, ours, theirs in (
                ("execution role", stable.role, self.role),
                ("dead-letter queue", stable.dead_letter_arn, self.dead_letter_arn),
            )
            if ours != theirs
        ]
        if differences:
            raise VersionsIncompatible(
                f"an alias cannot weigh version {self.number} against version {stable.number} of {self.function_name}:"
                f" it has {' and '.join(differences)}. Deploy that change on its own, and move the alias by hand"
            )

    def _state(self) -> str:
        state = "waiting for its SnapStart snapshot" if self.state == "Active" else self.state
        return f"{state} ({self.state_reason})" if self.state_reason else state
