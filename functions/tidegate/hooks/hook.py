"""A function of the user's that has a word in the rollout: what it is told, and what it may answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from tidegate.duration import format_duration
from tidegate.frozen import frozen
from tidegate.hooks.smoke_test import Answer, excerpt
from tidegate.json_text import parsed
from tidegate.printable import printable
from tidegate.stored import known_fields

Moment = Literal["before_traffic", "each_step", "after_traffic"]

_ANSWER = '{"status": "Succeeded"} or {"status": "Failed", "reason": "…"}'
_MAX_REASON_CHARACTERS = 300
#: More is not read: an answer is a word, not a report.
MAX_ANSWER_BYTES = 16_384
#: The longest that one may take.
MAX_HOOK_SECONDS = 840


@frozen
class Hook:
    """A Lambda function, by name or `name:qualifier`, and how many seconds it may take."""

    function_name: str
    timeout_seconds: int = 60


@frozen
class Hooks:
    """Which function is asked when; None where nobody is."""

    before_traffic: Hook | None = None
    each_step: Hook | None = None
    after_traffic: Hook | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The hooks of `dataclasses.asdict`."""
        return cls(
            **{
                moment: hook and Hook(**known_fields(Hook, hook))
                for moment, hook in known_fields(cls, document).items()
            }
        )

    def at(self, moment: Moment) -> Hook | None:
        """The hook of that moment."""
        found: Hook | None = getattr(self, moment)
        return found

    def names(self) -> tuple[str, ...]:
        """Every function that is asked, once."""
        hooks = (self.before_traffic, self.each_step, self.after_traffic)
        return tuple(dict.fromkeys(hook.function_name for hook in hooks if hook))


NO_HOOKS = Hooks()


def failure(hook: Hook, answer: Answer) -> str | None:
    """Why the answer is no success, as the end of a sentence, or None where it is one.

    Nothing but {"status": "Succeeded"} is: what a hook leaves unsaid is unknown, and unknown is not healthy.
    """
    if answer.function_error is not None:
        return f"failed with {answer.function_error}: {excerpt(answer.payload)}"
    if answer.duration_ms > hook.timeout_seconds * 1000:
        return f"did not answer within {format_duration(hook.timeout_seconds)}"
    document = parsed(answer.payload[:MAX_ANSWER_BYTES])
    status = document.get("status") if isinstance(document, dict) else None
    if status == "Succeeded":
        return None
    if status == "Failed" and isinstance(document, dict):
        return f"says no: {_one_line(document.get('reason') or 'it gives no reason')}"
    return f"answered {excerpt(answer.payload) or 'nothing'}, where {_ANSWER} is expected"


def _one_line(reason: object) -> str:
    """A reason may be any JSON, and is shown beside words of ours."""
    return printable(" ".join(str(reason).split()))[:_MAX_REASON_CHARACTERS]
