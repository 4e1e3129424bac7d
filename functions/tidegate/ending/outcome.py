"""How a rollout can end, and all that is said of each outcome: to the state machine, to machines and to people."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from tidegate.frozen import frozen

Tone = Literal["good", "bad", "plain"]


class Outcome(StrEnum):
    """How a rollout ended.

    The last two are never stored: whoever sees an execution stopped says so until somebody has recorded what became of
    its rollout.
    """

    PROMOTED = "promoted"
    UNCHANGED = "unchanged"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    ROLLBACK_FAILED = "rollback_failed"
    STOPPED_AND_RESTORED = "stopped_and_restored"
    STOPPED = "stopped"

    @property
    def is_success(self) -> bool:
        """Whether the state machine ends with a success."""
        return self in {Outcome.PROMOTED, Outcome.UNCHANGED}

    @property
    def is_clean(self) -> bool:
        """Whether the alias is where it should be, by the state machine's own word."""
        return self.is_success or self in {Outcome.ROLLED_BACK, Outcome.REJECTED, Outcome.INTERRUPTED}

    @property
    def error(self) -> str | None:
        """The name of the state machine's Fail state, and of its error; None where there is none."""
        return _SAID[self].error

    @property
    def event(self) -> str:
        """The name of the event that tells of it."""
        return _SAID[self].event

    @property
    def headline(self) -> str:
        """What a notice to people says happened; "" where nobody needs one."""
        return _SAID[self].headline

    @property
    def label(self) -> str:
        """As a title: `rolled_back` is "Rolled back"."""
        return self.replace("_", " ").capitalize()

    @property
    def sentence(self) -> str:
        """What it leaves behind, with room for `{stable}` and `{candidate}`."""
        return _SAID[self].sentence

    @property
    def tone(self) -> Tone:
        """How it reads: as a success, as something to look into, or as neither."""
        return _SAID[self].tone

    @property
    def needs_a_person(self) -> bool:
        """Whether it may have left the alias split."""
        return self in {Outcome.ROLLBACK_FAILED, Outcome.STOPPED}

    @property
    def candidate_percent(self) -> float | None:
        """The candidate's share of the traffic afterwards; None where that depends."""
        return _SAID[self].candidate_percent

    @classmethod
    def of_error(cls, name: str | None) -> Outcome | None:
        """The outcome whose Fail state has that error; None where it is no error of the state machine's own."""
        return next((outcome for outcome in cls if name and outcome.error == name), None)

    @classmethod
    def of_success(cls, said: object) -> Outcome | None:
        """The outcome that a successful execution says in its output; None where it says none."""
        return next((outcome for outcome in cls if outcome.is_success and outcome == said), None)


@frozen
class _Said:
    """What is said of one outcome; see the properties of `Outcome`."""

    sentence: str
    event: str = ""
    error: str | None = None
    headline: str = ""
    tone: Tone = "bad"
    candidate_percent: float | None = None


_SAID = {
    Outcome.PROMOTED: _Said(
        "Version {candidate} serves all traffic.",
        event="RolloutPromoted",
        headline="promoted",
        tone="good",
        candidate_percent=100.0,
    ),
    Outcome.UNCHANGED: _Said(
        "Nothing new to roll out: version {stable} serves on.",
        event="RolloutUnchanged",
        tone="plain",
        candidate_percent=0.0,
    ),
    Outcome.ROLLED_BACK: _Said(
        "Version {stable} serves all traffic again.",
        event="RolloutRolledBack",
        error="RolledBack",
        headline="rolled back",
        candidate_percent=0.0,
    ),
    Outcome.REJECTED: _Said(
        "Traffic never moved.",
        event="RolloutRejected",
        error="Rejected",
        headline="rejected, no traffic moved",
        candidate_percent=0.0,
    ),
    Outcome.INTERRUPTED: _Said(
        "Somebody else moved or deleted the alias; what they did stays.",
        event="RolloutInterrupted",
        error="Interrupted",
        headline="interrupted, look at the alias",
    ),
    Outcome.ROLLBACK_FAILED: _Said(
        "The alias needs a person.",
        event="RollbackFailed",
        error="RollbackFailed",
        headline="NOT restored, act now",
    ),
    Outcome.STOPPED_AND_RESTORED: _Said("Version {stable} serves all traffic again.", candidate_percent=0.0),
    Outcome.STOPPED: _Said("The alias needs a person."),
}


@frozen
class Ending:
    """How a rollout ended, and why. `proven` is whether a promotion rests on proof, None where nothing was promoted;
    `proven_by` on which, as in a `Decision`.

    `convicts`: the candidate is to be remembered as bad. `recorded`: the history says so already, so that nobody needs
    to write it.
    """

    outcome: Outcome
    cause: str
    proven: bool | None = None
    convicts: bool = False
    recorded: bool = False
    proven_by: tuple[str, ...] = ()

    @property
    def keeps_lock(self) -> bool:
        """Whether the alias stays locked, because a person must put it right."""
        return self.outcome is Outcome.ROLLBACK_FAILED
