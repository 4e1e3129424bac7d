"""A published version, or $LATEST, as far as a rollout cares; and what must hold of it."""

from __future__ import annotations

import base64
import re

from tidegate.errors import (
    CodeChanged,
    FunctionNotPublishable,
    FunctionUpdating,
    StableUnusable,
    VersionFailed,
    VersionPending,
    VersionsIncompatible,
    VersionUnusable,
)
from tidegate.frozen import frozen

#: Lambda tells the hash of a zip in base64, and that of an image as its digest: 64 hexadecimal digits.
CODE_SHA256_PATTERN = r"^(?:[A-Za-z0-9+/]{43}=|(?:sha256:)?[A-Fa-f0-9]{64})$"

#: States that end by themselves.
_ON_ITS_WAY = frozenset({"Pending", "Active"})


@frozen
class Provisioning:
    """An alias's provisioned concurrency: READY, IN_PROGRESS or FAILED, and why."""

    status: str
    reason: str = ""


@frozen
class Version:
    """One version's configuration. `number` is "$LATEST" for the unpublished one; states are Lambda's own words.

    `configuration_sha256` is a digest of all that makes a version, but for its code: what its environment holds, too.
    `timeout_seconds` is for how long a request of it may run; where it is `durable`, what that starts goes on after it.
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
    timeout_seconds: int | None = None
    durable: bool = False

    def is_same_as(self, other: Version) -> bool:
        """Whether publishing it gives the same code and configuration, whatever was written to it meanwhile."""
        return (self.code_sha256, self.configuration_sha256) == (other.code_sha256, other.configuration_sha256)

    @property
    def can_serve(self) -> bool:
        """Whether Lambda would invoke it right away; a state unknown here counts as no."""
        return self.state == "Active" and not self.snap_start_pending

    @property
    def is_idle(self) -> bool:
        """Whether Lambda has taken its resources away, for want of calls: the next one fails, and brings them back."""
        return self.state == "Inactive"

    def require_stable(self, region: str) -> None:
        """Refuse a version that could not take the traffic back.

        Raises:
            StableUnusable: it could not serve now, and what to do.
        """
        if self.can_serve:
            return
        cure = "point the alias to a version that can serve first"
        if self.is_idle:
            cure = self._how_to_wake(region)
        elif self.state in _ON_ITS_WAY:
            cure = f"wait until it is Active ({self._wait_command(region)}), and start again"
        raise StableUnusable(
            f"version {self.number} of {self.function_name}, which a rollback would return to, is {self._state()}:"
            f" {cure}"
        )

    def _how_to_wake(self, region: str) -> str:
        """What a person does about an idle version: nobody else invokes what may have effects.

        Source: Lambda Developer Guide, "Lambda function states".
        """
        return (
            "Lambda took its resources away for want of calls, and gives them back after the next one, which fails."
            f" Invoke it once (aws lambda invoke --region {region} --function-name {self.function_name}"
            f" --qualifier {self.number} /dev/null), wait until it is Active ({self._wait_command(region)}), and start"
            " again"
        )

    def _wait_command(self, region: str) -> str:
        return (
            f"aws lambda wait published-version-active --region {region} --function-name {self.function_name}"
            f" --qualifier {self.number}"
        )

    def require_not_failed(self, doing: str) -> None:
        """Refuse a version on which Lambda puts no alias; `doing` is what was asked of the alias.

        Raises:
            VersionFailed: the version is Failed.
        """
        if self.state == "Failed":
            raise VersionFailed(
                f"could not {doing}: version {self.number} of {self.function_name} is {self._state()}, and Lambda puts"
                " no alias on a Failed version: mend what made it fail, or run update-alias with the number of a"
                " version that is Active"
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
        if expected_code_sha256 is not None and _digest(expected_code_sha256) != _digest(self.code_sha256):
            raise CodeChanged(
                f"{self.number} of {self.function_name} has CodeSha256 {self.code_sha256}, and"
                f" {expected_code_sha256} is expected: deploy that build, or leave expected_code_sha256 out"
            )

    def require_ready(self, region: str, *, tried: bool = False) -> None:
        """Wait for a candidate that cannot serve yet.

        `tried`: the user's own smoke tests invoke it, or a hook is asked, before any traffic, which wakes an idle one.

        Raises:
            VersionPending: it may still become Active.
            VersionUnusable: it will not, or not before somebody invokes it; and what to do.
        """
        if self.state in ("Failed", "Deleting"):
            raise VersionUnusable(f"version {self.number} of {self.function_name} is {self._state()}")
        if self.is_idle:
            if tried:
                return
            raise VersionUnusable(
                f"version {self.number} of {self.function_name} is {self._state()}: {self._how_to_wake(region)};"
                " or give the request a smoke test, which wakes it and is waited for"
            )
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


def _digest(code_sha256: str) -> bytes:
    """The hash itself, however it is written; what is in neither form is as it stands."""
    text = code_sha256.removeprefix("sha256:")
    if not re.fullmatch(CODE_SHA256_PATTERN, code_sha256):
        return text.encode()
    return base64.b64decode(text) if text.endswith("=") else bytes.fromhex(text)
