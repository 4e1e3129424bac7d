"""The fixed plan of one rollout: what it will do, how long it may take, how often it looks.

The plan is made, logged and stored at the start; nobody computes "the next weight" later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from rollout.errors import PlanTooLong
from rollout.strategy import Step

AlarmPolicy = Literal["reject", "ignore_until_ok"]
InconclusivePolicy = Literal["extend", "promote", "roll_back"]

#: Metrics arrive by the minute, so looking more often shows little more.
POLL_SECONDS = 60
#: A rollout that looks less often than this is not watched.
MAX_POLL_SECONDS = 3600
#: Below the state machine's own TimeoutSeconds, so that a plan never runs into it.
MAX_TOTAL_SECONDS = 40 * 24 * 3600

#: Step Functions ends an execution at 25,000 history events (Step Functions Developer Guide, "Quotas").
HISTORY_BUDGET = 15_000
#: PlanRollout, PublishVersion with 180 retries while a version is Pending (3 events each), VerifyCandidate,
#: Promote, RollBack with all its retries.
FIXED_EVENTS = 800
#: ShiftTraffic with all its retries.
EVENTS_PER_STEP = 17
#: Wait 2, Choice 2, Task 5, and one retry of the Task (3, and a spare one).
EVENTS_PER_POLL = 13


@dataclass(frozen=True, slots=True)
class AlarmGate:
    """An alarm that guards the rollout, and what to do where it fires already at the start."""

    name: str
    if_already_firing: AlarmPolicy = "reject"


@dataclass(frozen=True, slots=True)
class HealthGate:
    """The user's own limits for the candidate, and what to do where there is too little traffic to tell."""

    max_error_percent: float | None = None
    max_duration_p99_ms: float | None = None
    minimum_invocations: int = 10
    when_inconclusive: InconclusivePolicy = "extend"
    max_extension_seconds: int = 600


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about one rollout that does not change while it runs. Times are seconds since the epoch."""

    rollout_id: str
    execution_arn: str
    region: str
    function_name: str
    alias_name: str
    started_at: float
    stable: str
    revision_id: str
    steps: tuple[Step, ...]
    poll_seconds: int
    longest_seconds: int
    restore_command: str
    alarms: tuple[AlarmGate, ...] = ()
    health: HealthGate = HealthGate()
    version: str | None = None
    expected_code_sha256: str | None = None
    description: str | None = None
    force: bool = False

    @property
    def target(self) -> str:
        """The alias as the ledger and CloudWatch's `Resource` dimension name it: `function:alias`."""
        return f"{self.function_name}:{self.alias_name}"

    def about(self, candidate: str | None, **more: Any) -> dict[str, Any]:
        """What every event says of this rollout."""
        return {
            "execution_arn": self.execution_arn,
            "function_name": self.function_name,
            "alias_name": self.alias_name,
            "from_version": self.stable,
            "to_version": candidate,
            **more,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The plan of `to_json`."""
        fields = dict(document)
        fields["steps"] = tuple(Step(**step) for step in document["steps"])
        fields["alarms"] = tuple(AlarmGate(**alarm) for alarm in document["alarms"])
        fields["health"] = HealthGate(**document["health"])
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; holds nothing that the target function keeps secret."""
        return asdict(self)


def longest_seconds(steps: tuple[Step, ...], max_extension_seconds: int) -> int:
    """The longest the rollout may take once traffic moves, in seconds."""
    return sum(step.bake_seconds for step in steps) + max_extension_seconds


def history_events(steps: tuple[Step, ...], max_extension_seconds: int, poll_seconds: int) -> int:
    """The most history events the plan can use, retries included."""
    bakes = sum(math.ceil(step.bake_seconds / poll_seconds) + 1 for step in steps)
    polls = bakes + math.ceil(max_extension_seconds / poll_seconds)
    return FIXED_EVENTS + EVENTS_PER_STEP * len(steps) + EVENTS_PER_POLL * polls


def choose_poll_seconds(steps: tuple[Step, ...], max_extension_seconds: int) -> int:
    """How often to look, in seconds, so that the worst case fits the history budget.

    Raises:
        PlanTooLong: no interval up to `MAX_POLL_SECONDS` fits, or the plan outlasts the execution.
    """
    total = longest_seconds(steps, max_extension_seconds)
    if total > MAX_TOTAL_SECONDS:
        raise PlanTooLong(
            f"the plan may take {total:,} seconds, and a rollout may take {MAX_TOTAL_SECONDS:,}"
            " (40 days): shorten the bakes or max_extension_seconds"
        )
    # Rounding up costs at most one poll per step and one for the extension.
    spare = HISTORY_BUDGET - FIXED_EVENTS - len(steps) * EVENTS_PER_STEP
    polls = spare // EVENTS_PER_POLL - 2 * len(steps) - 1
    needed = math.ceil(total / polls) if polls > 0 else MAX_POLL_SECONDS + 1
    if needed > MAX_POLL_SECONDS:
        events = history_events(steps, max_extension_seconds, MAX_POLL_SECONDS)
        raise PlanTooLong(
            f"{len(steps):,} steps over {total:,} seconds need {events:,} history events even with one look"
            f" every {MAX_POLL_SECONDS} seconds, and the budget is {HISTORY_BUDGET:,}: use fewer steps"
        )
    return max(POLL_SECONDS, needed)
