"""How an execution of the state machine ended, by its own word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, Self

from tidegate.ending.outcome import Outcome
from tidegate.frozen import frozen
from tidegate.json_text import as_object, parsed
from tidegate.moment import moment


@frozen
class ExecutionEnd:
    """How an execution ended; `ended_at` in seconds since the epoch, long ago where nobody knows.

    `error` and `cause` are those of a Fail state. Whoever stops an execution may give it any error, so of another end
    there is only a cause, which says so. `output` is that of a success.
    """

    status: Literal["succeeded", "failed", "gone"]
    error: str = ""
    cause: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)
    ended_at: float = 0.0

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self | None:
        """From DescribeExecution, or from EventBridge's detail; None unless it has ended."""
        status, ended_at = document["status"], moment(document.get("stopDate"))
        if status == "SUCCEEDED":
            return cls("succeeded", output=as_object(parsed(document.get("output"))), ended_at=ended_at)
        if status not in {"FAILED", "TIMED_OUT", "ABORTED"}:
            return None
        error, cause = str(document.get("error") or ""), str(document.get("cause") or "")
        if status == "FAILED" and Outcome.of_error(error):
            return cls("failed", error, cause or f"execution FAILED: {error}", ended_at=ended_at)
        said = f"execution {status}: {error} {cause}".rstrip(": ")
        return cls("failed", error if status == "FAILED" else "", said, ended_at=ended_at)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended by its own word; None where no end state of ours was reached."""
        if self.status == "succeeded":
            return Outcome.of_success(self.output.get("outcome"))
        return Outcome.of_error(self.error)

    @property
    def proven(self) -> bool | None:
        """Whether a success rests on proof; None where it does not say."""
        proven = self.output.get("proven")
        return proven if isinstance(proven, bool) else None

    @property
    def proven_by(self) -> tuple[str, ...]:
        """On what proof; nothing where it does not say."""
        names = self.output.get("proven_by")
        return tuple(map(str, names)) if isinstance(names, list) else ()

    @property
    def ended_cleanly(self) -> bool:
        """Whether the alias was where it should be when it ended: whatever happened to it since is not its business."""
        return self.status == "succeeded" or (self.outcome is not None and self.outcome.is_clean)
