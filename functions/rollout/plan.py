"""The fixed plan of one rollout: what it will do, how long it may take, how often it looks.

The plan is made, logged and stored at the start; nobody computes "the next weight" later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from rollout.errors import PlanTooLong
from rollout.forecast import StepForecast
from rollout.judge import Judge, Tolerance
from rollout.observation import History
from rollout.strategy import ALL_PERCENT, Step

AlarmPolicy = Literal["reject", "ignore_until_ok"]
InconclusivePolicy = Literal["extend", "promote", "roll_back"]

#: Metrics arrive by the minute, so looking more often shows little more.
POLL_SECONDS = 60
#: A rollout that looks less often than this is not watched.
MAX_POLL_SECONDS = 3600
#: Below the state machine's own TimeoutSeconds, so that a plan never runs into it.
MAX_TOTAL_SECONDS = 40 * 24 * 3600
#: The last verdict waits until the last step's minutes have arrived: CloudWatch is one to three minutes late.
SETTLE_SECONDS = 120

#: How often a rollout steps back from the last weight to compare both versions again.
MAX_STEP_BACKS = 2
#: After a step back no weight bakes longer than this: it was seen before, and the comparison needs minutes.
AGAIN_SECONDS = 1800
#: Where an all-at-once rollout steps back to: nothing of it was ever compared.
COMPARISON = Step(10, 300)

#: Step Functions ends an execution at 25,000 history events (Step Functions Developer Guide, "Quotas").
HISTORY_BUDGET = 15_000
#: PlanRollout, PublishVersion with 180 retries while a version is Pending (3 events each), VerifyCandidate,
#: Promote with 120 while its provisioned concurrency is, RollBack with all its retries.
FIXED_EVENTS = 1_200
#: ShiftTraffic with all its retries, and StepBack before it.
EVENTS_PER_STEP = 17
EVENTS_PER_STEP_BACK = 2
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
    judge: Judge | None = field(default_factory=Judge)
    advance_early: bool = False
    min_bake_seconds: int = 300

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The gate of `dataclasses.asdict`."""
        judge = document["judge"]
        if judge is not None:
            tolerances = {name: judge[name] and Tolerance(**judge[name]) for name in ("errors", "slow")}
            judge = Judge(**{**judge, **tolerances})
        return cls(**{**document, "judge": judge})


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
    extension_poll_seconds: int
    longest_seconds: int
    max_step_backs: int
    restore_command: str
    alarms: tuple[AlarmGate, ...] = ()
    health: HealthGate = HealthGate()
    version: str | None = None
    expected_code_sha256: str | None = None
    description: str | None = None
    force: bool = False
    provisioned: bool = False
    history: History = field(default_factory=History)
    expectations: tuple[StepForecast, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The alias as the ledger and CloudWatch's `Resource` dimension name it: `function:alias`."""
        return f"{self.function_name}:{self.alias_name}"

    @property
    def slow_above_ms(self) -> float | None:
        """What the judge calls slow: above the stable version's p99 before the rollout; None where it does not ask."""
        judge = self.health.judge
        return self.history.p99_ms if judge and judge.slow else None

    @property
    def first_step(self) -> int:
        """Where traffic returns to at a step back: the first step, or before it where that one compares nothing."""
        return 0 if self.steps[0].weight_percent < ALL_PERCENT else -1

    def step_at(self, number: int) -> Step:
        """The step of that number; -1 is the comparison that an all-at-once rollout steps back to."""
        return COMPARISON if number < 0 else self.steps[number]

    def is_last(self, number: int) -> bool:
        """Whether that step is the last one."""
        return number == len(self.steps) - 1

    def again_seconds(self, number: int) -> int:
        """How long that step bakes after a step back; the first one long enough to compare."""
        return _again_seconds(self.step_at(number), first=number == self.first_step)

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
        fields["health"] = HealthGate.from_json(document["health"])
        fields["history"] = History.from_json(document["history"])
        fields["expectations"] = tuple(StepForecast(**expected) for expected in document["expectations"])
        fields["warnings"] = tuple(document["warnings"])
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; holds nothing that the target function keeps secret."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look at a plan, and how long it may take, in seconds."""

    poll_seconds: int
    extension_poll_seconds: int
    longest_seconds: int
    max_step_backs: int


def pace(steps: tuple[Step, ...], health: HealthGate) -> Pace:
    """How often to look, so that the worst case fits the history budget: extension, steps back and retries included.

    Where two steps back do not fit, fewer are made.

    Raises:
        PlanTooLong: no interval up to `MAX_POLL_SECONDS` fits, or the plan outlasts the execution.
    """
    wanted = MAX_STEP_BACKS if health.judge else 0
    for step_backs in range(wanted, 0, -1):
        try:
            return _pace(steps, health.max_extension_seconds, step_backs)
        except PlanTooLong:
            continue
    return _pace(steps, health.max_extension_seconds, 0)


def _pace(steps: tuple[Step, ...], max_extension_seconds: int, step_backs: int) -> Pace:
    climbs = _climbs(steps, step_backs)
    bakes = sum(bake for climb in climbs for bake in climb) + SETTLE_SECONDS * len(climbs)
    total = bakes + max_extension_seconds
    if total > MAX_TOTAL_SECONDS:
        raise PlanTooLong(
            f"the plan may take {total:,} seconds, and a rollout may take {MAX_TOTAL_SECONDS:,}"
            " (40 days): shorten the bakes or max_extension_seconds"
        )
    shifts = sum(len(climb) for climb in climbs)
    spare = HISTORY_BUDGET - FIXED_EVENTS - shifts * EVENTS_PER_STEP - step_backs * EVENTS_PER_STEP_BACK
    # Rounding up costs at most one poll per bake and one while the last minutes settle. The bakes come first: harm is
    # to be found early, and an extension may be long.
    extension_polls = math.ceil(max_extension_seconds / MAX_POLL_SECONDS)
    polls = spare // EVENTS_PER_POLL - 2 * shifts - len(climbs) - extension_polls
    needed = max(POLL_SECONDS, math.ceil(bakes / polls)) if polls > 0 else MAX_POLL_SECONDS + 1
    if needed > MAX_POLL_SECONDS:
        events = history_events(steps, max_extension_seconds, MAX_POLL_SECONDS, MAX_POLL_SECONDS, step_backs)
        raise PlanTooLong(
            f"{len(steps):,} steps over {total:,} seconds need {events:,} history events even with one look"
            f" every {MAX_POLL_SECONDS} seconds, and the budget is {HISTORY_BUDGET:,}: use fewer steps"
        )
    left = max(1, polls - math.ceil(bakes / needed) + extension_polls)
    extension_poll = min(MAX_POLL_SECONDS, max(needed, math.ceil(max_extension_seconds / left)))
    return Pace(needed, extension_poll, total, step_backs)


def history_events(
    steps: tuple[Step, ...],
    max_extension_seconds: int,
    poll_seconds: int,
    extension_poll_seconds: int,
    step_backs: int = 0,
) -> int:
    """The most history events the plan can use, retries included."""
    climbs = _climbs(steps, step_backs)
    bakes = sum(math.ceil(bake / poll_seconds) + 1 for climb in climbs for bake in climb)
    settling = len(climbs) * math.ceil(SETTLE_SECONDS / poll_seconds)
    polls = bakes + settling + math.ceil(max_extension_seconds / extension_poll_seconds)
    shifts = sum(len(climb) for climb in climbs)
    return FIXED_EVENTS + EVENTS_PER_STEP * shifts + EVENTS_PER_STEP_BACK * step_backs + EVENTS_PER_POLL * polls


def _climbs(steps: tuple[Step, ...], step_backs: int) -> list[list[int]]:
    """Every bake of the longest course, in seconds: the first ascent, and one more after each step back."""
    again = [_again_seconds(step, first=number == 0) for number, step in enumerate(steps)]
    if steps[0].weight_percent == ALL_PERCENT:
        again = [COMPARISON.bake_seconds, *(_again_seconds(step, first=False) for step in steps)]
    return [[step.bake_seconds for step in steps], *([again] * step_backs)]


def _again_seconds(step: Step, *, first: bool) -> int:
    return max(COMPARISON.bake_seconds if first else 0, min(step.bake_seconds, AGAIN_SECONDS))
