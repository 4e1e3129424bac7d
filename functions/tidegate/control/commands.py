"""What people want of a running rollout: their commands, as the lock keeps them, and which of them counts when.

`pause` lasts until `resume`. Of `approve`, `advance` and `finish` the next look applies the newest, once. `abort` and
`reject` restore the stable version at once, so no look needs to apply them. `revert` is for a promotion that is over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

from tidegate.alias import Alias
from tidegate.frozen import frozen
from tidegate.printable import one_line, printable
from tidegate.stored import known_fields


@frozen
class Kind:
    """What a command is: who gave it has `past` it; `does` is its help; the lock keeps it as `kept_as`, where the next
    look is to apply it, and forgets what it `ends`.
    """

    past: str
    does: str
    kept_as: str | None = None
    ends: str | None = None


KINDS = {
    "pause": Kind("paused", "Keep the weight as it is, judge and alarms on duty, until resume.", "pause", "pending"),
    "resume": Kind("resumed", "Go on after a pause.", ends="pause"),
    "approve": Kind("approved", "Let a rollout go on that waits for an approval.", "pending"),
    "reject": Kind("rejected", "Refuse the approval: the stable version is restored."),
    "advance": Kind("advanced", "Skip the rest of this bake.", "pending"),
    "finish": Kind("finished", "Promote the candidate now, unless there is harm.", "pending", "pause"),
    "abort": Kind("aborted", "Restore the stable version, at once."),
    "revert": Kind("reverted", "Take the last promotion back: return to the version before it."),
}
RESTORING = ("abort", "reject")

_MAX_NAME_CHARACTERS = 300
_TARGET_KEYS = ("function_name", "alias_name")
_KEYS = frozenset({"command", *_TARGET_KEYS, "author", "reason", "rollout_id"})


@frozen
class GivenCommand:
    """A command that was accepted, and when (seconds since the epoch). `id` tells it from all others.

    `approval_step` is the step whose approval it is about, and `step` the one that was set when it was said.
    """

    id: str
    command: str
    author: str
    reason: str
    at: float
    approval_step: int | None = None
    step: int | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The command of `to_json`."""
        return cls.of(json.loads(text))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The command of `dataclasses.asdict`."""
        return cls(**known_fields(cls, document))

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def __str__(self) -> str:
        return f"{KINDS[self.command].past} by {self.author} ({self.reason})"


@frozen
class Controls:
    """The commands that a lock holds: `count` so far, the pause that lasts, and the one that is to be applied."""

    count: int = 0
    pause: GivenCommand | None = None
    pending: GivenCommand | None = None


NO_CONTROLS = Controls()


@frozen
class Command:
    """A command as it was sent. `rollout_id` binds it to one rollout; None: whichever runs."""

    command: str
    function_name: str
    alias_name: str
    author: str
    reason: str
    rollout_id: str | None = None

    @classmethod
    def parse(cls, document: object) -> Self:
        """From any JSON value.

        Raises:
            ValueError: it is no command; the message lists everything wrong.
        """
        if not isinstance(document, Mapping):
            raise ValueError("the command must be an object such as " + _EXAMPLE)  # noqa: TRY004 - bad input
        wrong = [f"{one_line(key)[:80]}: unknown key" for key in sorted(map(str, document.keys() - _KEYS))]
        if document.get("command") not in tuple(KINDS):
            wrong.append(f"command: must be one of {', '.join(KINDS)}")
        named = (*_TARGET_KEYS, *["rollout_id"] * (document.get("rollout_id") is not None))
        wrong += [f"{key}: {why}" for key in named if (why := _fault(document.get(key), steers=False))]
        wrong += [f"{key}: {why}" for key in ("author", "reason") if (why := _fault(document.get(key)))]
        if wrong:
            count = "1 problem" if len(wrong) == 1 else f"{len(wrong)} problems"
            raise ValueError(f"{count} in the command: {'; '.join(wrong)}. It looks like {_EXAMPLE}")
        shown = {key: printable(document[key]) for key in ("author", "reason")}
        return cls(**{**document, **shown})

    @property
    def alias(self) -> Alias:
        """Whose rollout it is for."""
        return Alias(self.function_name, self.alias_name)

    @property
    def target(self) -> str:
        """The alias as text: `function:alias`."""
        return str(self.alias)

    def answer(self, rollout_id: str | None, message: str, *, accepted: bool = False) -> dict[str, Any]:
        """What its sender is told, as JSON."""
        return {
            "accepted": accepted,
            "command": self.command,
            **self.alias.names,
            "rollout_id": rollout_id,
            "message": message,
        }

    def given(self, at: float, approval_step: int | None = None, step: int | None = None) -> GivenCommand:
        """This command as it is given at that moment."""
        return GivenCommand(f"{at:.6f}-{self.command}", self.command, self.author, self.reason, at, approval_step, step)


_EXAMPLE = json.dumps(
    {
        "command": "pause",
        "function_name": "checkout",
        "alias_name": "live",
        "author": "ana@example.com",
        "reason": "looking into a graph",
    }
)


def _fault(value: object, *, steers: bool = True) -> str | None:
    """What is wrong with a text. One that `steers` may have characters that are shown as escapes, as people's words may
    that are written from right to left.
    """
    if not isinstance(value, str) or not value.strip():
        return "must be a text that is not empty"
    if len(value) > _MAX_NAME_CHARACTERS or "\n" in value:
        return f"must be one line of at most {_MAX_NAME_CHARACTERS} characters"
    return None if steers or printable(value) == value else "must not have characters that steer a terminal"


@frozen
class Situation:
    """Where a running rollout stands, for whoever commands it. `approval_step` is the step that waits for approval."""

    traffic_shifted: bool
    promoting: bool
    restoring: str | None
    paused: GivenCommand | None
    approval_step: int | None
    pausable: bool
    finishing: GivenCommand | None = None


def refusal(command: str, now: Situation) -> str | None:
    """Why a command can do nothing now, as a sentence; None where it can. To restore may be asked for again."""
    if now.restoring:
        return None if command in RESTORING else f"the stable version is being restored: {now.restoring}"
    if command == "revert":
        return "it is still running: abort takes it back"
    if now.promoting and command not in RESTORING:
        return "it is being promoted just now: revert takes that back once it is done"
    if command == "pause":
        return _no_pause(now)
    if command == "resume" and now.paused is None:
        return "it is not paused"
    if now.finishing is not None and command in {"approve", "advance"}:
        return f"it is being promoted: {now.finishing}"
    if command in {"approve", "reject"} and now.approval_step is None:
        return f"nothing waits for an approval now{_INSTEAD[command]}"
    if command == "advance":
        return _no_advance(now)
    if command == "finish" and not now.traffic_shifted:
        return "the candidate has had no traffic yet, so there is nothing to finish"
    return None


_INSTEAD = {"approve": "; advance ends a bake, finish promotes", "reject": "; abort restores the stable version"}


def _no_pause(now: Situation) -> str | None:
    if now.paused is not None:
        return f"it is {now.paused} already"
    return None if now.pausable else "its plan has no room for a pause (max_pause_seconds), or makes an alias"


def _no_advance(now: Situation) -> str | None:
    if now.paused is not None:
        return f"it is {now.paused}: resume first"
    if now.approval_step is not None:
        return "it waits for an approval: approve or reject"
    return None if now.traffic_shifted else "the candidate has had no traffic yet, so no bake can be ended"
