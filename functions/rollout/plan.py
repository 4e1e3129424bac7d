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
from rollout.hook import NO_HOOKS, Hooks
from rollout.judge import Judge, Tolerance
from rollout.observation import History
from rollout.strategy import ALL_PERCENT, Approval, Step

AlarmPolicy = Literal["reject", "ignore_until_ok"]
InconclusivePolicy = Literal["extend", "promote", "roll_back", "hold"]

#: Metrics arrive by the minute, so looking more often shows little more.
POLL_SECONDS = 60
#: A rollout that looks less often than this is not watched.
MAX_POLL_SECONDS = 3600
#: The longest that a hook may take.
MAX_HOOK_SECONDS = 840
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

#: The longer a rollout is paused, the more seldom it looks whether it still is: after so many parts of the time so far.
PAUSE_PARTS = 20
MAX_PAUSE_POLL_SECONDS = 1800

#: Step Functions ends an execution at 25,000 history events (Step Functions Developer Guide, "Quotas").
HISTORY_BUDGET = 15_000
#: PlanRollout with 40 retries while provisioned concurrency is not ready (3 events each), PublishVersion with 180 while
#: a version is Pending, VerifyCandidate, Promote with 120 while provisioned concurrency moves, RollBack with all its
#: retries.
FIXED_EVENTS = 1_330
#: ShiftTraffic with all its retries, StepBack before it, and the Choice after it.
EVENTS_PER_STEP = 20
#: RunHook with all its retries, and the Choice after it.
EVENTS_PER_HOOK = 21
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
    max_hold_seconds: int = 86_400
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
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        return cls(**{**known, "judge": judge})


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
    hold_poll_seconds: int = POLL_SECONDS
    max_pause_seconds: int = 0
    alarms: tuple[AlarmGate, ...] = ()
    health: HealthGate = HealthGate()
    version: str | None = None
    expected_code_sha256: str | None = None
    description: str | None = None
    force: bool = False
    provisioned: bool = False
    profile: str | None = None
    hooks: Hooks = NO_HOOKS
    creates_alias: bool = False
    revert_window_seconds: int = 86_400
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

    def approval_of(self, number: int) -> Approval | None:
        """Who must approve before that step is set; the one after the last is to promote what is not proven."""
        if number == len(self.steps):
            return Approval(self.health.max_hold_seconds)
        return self.steps[number].approval

    @property
    def watched_seconds(self) -> int:
        """The longest that the rollout may take while nobody holds it."""
        gates = [step.approval.timeout_seconds for step in self.steps if step.approval]
        if self.health.when_inconclusive == "hold":
            gates += [self.health.max_hold_seconds] * (self.max_step_backs + 1)
        return self.longest_seconds - sum(gates) - self.max_pause_seconds

    def again_seconds(self, number: int) -> int:
        """How long that step bakes after a step back; the first one long enough to compare."""
        return _again_seconds(self.step_at(number), first=number == self.first_step)

    def about(self, candidate: str | None, **more: Any) -> dict[str, Any]:
        """What every event says of this rollout."""
        return {
            "execution_arn": self.execution_arn,
            "function_name": self.function_name,
            "alias_name": self.alias_name,
            "from_version": self.stable or None,
            "to_version": candidate,
            **more,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The plan of `to_json`, also of an earlier or later Tidegate: guards are newer than what still runs."""
        fields = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        fields["steps"] = tuple(Step.from_json(step) for step in document["steps"])
        fields["alarms"] = tuple(AlarmGate(**alarm) for alarm in document["alarms"])
        fields["health"] = HealthGate.from_json(document["health"])
        fields["hooks"] = Hooks.from_json(document.get("hooks", {}))
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
    hold_poll_seconds: int
    longest_seconds: int
    max_step_backs: int
    max_pause_seconds: int


@dataclass(frozen=True, slots=True)
class _Course:
    """The longest course of a plan: every bake of every ascent, and all that may be waited for beside, in seconds."""

    climbs: list[list[int]]
    extension_seconds: int
    gate_seconds: tuple[int, ...]
    pause_seconds: int
    step_backs: int
    hooks: int

    @classmethod
    def of(
        cls, steps: tuple[Step, ...], health: HealthGate, hooks: Hooks, pause_seconds: int, step_backs: int
    ) -> _Course:
        climbs = _climbs(steps, step_backs)
        gates = [step.approval.timeout_seconds for step in steps if step.approval]
        if health.when_inconclusive == "hold":
            # A step back ends such a hold, and the next ascent may have its own.
            gates += [health.max_hold_seconds] * (step_backs + 1)
        shifts = sum(map(len, climbs))
        asked = (shifts if hooks.each_step else 0) + bool(hooks.after_traffic)
        return cls(climbs, health.max_extension_seconds, tuple(gates), pause_seconds, step_backs, asked)

    @property
    def shifts(self) -> int:
        return sum(map(len, self.climbs))

    @property
    def bakes(self) -> int:
        return sum(bake for climb in self.climbs for bake in climb) + SETTLE_SECONDS * len(self.climbs)

    @property
    def seconds(self) -> int:
        hooks = self.hooks * MAX_HOOK_SECONDS
        return self.bakes + self.extension_seconds + sum(self.gate_seconds) + self.pause_seconds + hooks

    @property
    def fixed_events(self) -> int:
        """History events of everything but polls."""
        shifts = EVENTS_PER_STEP * self.shifts + EVENTS_PER_STEP_BACK * self.step_backs
        return FIXED_EVENTS + shifts + EVENTS_PER_HOOK * self.hooks

    def events(self, pace: Pace) -> int:
        """The most history events at that pace, retries included."""
        bakes = sum(math.ceil(bake / pace.poll_seconds) + 1 for climb in self.climbs for bake in climb)
        settling = len(self.climbs) * math.ceil(SETTLE_SECONDS / pace.poll_seconds)
        extension = math.ceil(self.extension_seconds / pace.extension_poll_seconds)
        gates = sum(math.ceil(gate / pace.hold_poll_seconds) + 1 for gate in self.gate_seconds)
        polls = bakes + settling + extension + gates + _pause_polls(self.pause_seconds, pace.poll_seconds)
        return self.fixed_events + EVENTS_PER_POLL * polls


def pace(steps: tuple[Step, ...], health: HealthGate, hooks: Hooks = NO_HOOKS, max_pause_seconds: int = 0) -> Pace:
    """How often to look, so that the worst case fits the history budget: extension, holds, steps back and retries too.

    Where two steps back do not fit, fewer are made; where the pause does not, there is none, and steps back instead.

    Raises:
        PlanTooLong: no interval up to `MAX_POLL_SECONDS` fits, or the plan outlasts the execution.
    """
    most = MAX_STEP_BACKS if health.judge else 0
    paused = [(step_backs, max_pause_seconds) for step_backs in range(most, max(most - 2, -1), -1)]
    for step_backs, pause_seconds in (*paused, *((step_backs, 0) for step_backs in range(most, 0, -1))):
        try:
            return _pace(_Course.of(steps, health, hooks, pause_seconds, step_backs), len(steps))
        except PlanTooLong:
            continue
    return _pace(_Course.of(steps, health, hooks, 0, 0), len(steps))


def _pace(course: _Course, steps: int) -> Pace:
    if course.seconds > MAX_TOTAL_SECONDS:
        raise PlanTooLong(
            f"the plan may take {course.seconds:,} seconds, and a rollout may take {MAX_TOTAL_SECONDS:,}"
            " (40 days): shorten the bakes, the approvals or max_extension_seconds"
        )
    # Rounding up costs at most one poll per bake and one while the last minutes settle. The bakes come first: harm is
    # to be found early, and an extension or a gate may be long.
    gates = sum(course.gate_seconds)
    seldom = math.ceil(course.extension_seconds / MAX_POLL_SECONDS) + math.ceil(gates / MAX_POLL_SECONDS)
    paused = _pause_polls(course.pause_seconds, POLL_SECONDS)
    polls = (HISTORY_BUDGET - course.fixed_events) // EVENTS_PER_POLL - 2 * course.shifts - len(course.climbs)
    polls -= seldom + paused + 2 * len(course.gate_seconds)
    needed = max(POLL_SECONDS, math.ceil(course.bakes / polls)) if polls > 0 else MAX_POLL_SECONDS + 1
    if gates and polls > 0 and 2 * math.ceil(course.bakes / needed) > polls:
        # Both are long: people are waited for as often as minutes are judged.
        needed = max(needed, min(MAX_POLL_SECONDS, math.ceil((course.bakes + gates) / polls)))
    if needed > MAX_POLL_SECONDS:
        rarest = Pace(MAX_POLL_SECONDS, MAX_POLL_SECONDS, MAX_POLL_SECONDS, 0, course.step_backs, course.pause_seconds)
        raise PlanTooLong(
            f"{steps:,} steps over {course.seconds:,} seconds need {course.events(rarest):,} history events even with"
            f" one look every {MAX_POLL_SECONDS} seconds, and the budget is {HISTORY_BUDGET:,}: use fewer steps"
        )
    left = max(1, polls - math.ceil(course.bakes / needed) + seldom)
    for_gates = math.ceil(gates / MAX_POLL_SECONDS)
    extension = _interval(course.extension_seconds, max(1, left - for_gates), needed)
    left -= math.ceil(course.extension_seconds / extension)
    hold = _interval(gates, max(1, left), POLL_SECONDS)
    return Pace(needed, extension, hold, course.seconds, course.step_backs, course.pause_seconds)


def _interval(seconds: int, polls: int, least: int) -> int:
    return min(MAX_POLL_SECONDS, max(least, math.ceil(seconds / polls)))


def pause_wait_seconds(paused_seconds: int, poll_seconds: int) -> int:
    """How long until the next look at a rollout that has been paused for so long in all."""
    return max(poll_seconds, min(MAX_PAUSE_POLL_SECONDS, paused_seconds // PAUSE_PARTS))


def _pause_polls(pause_seconds: int, poll_seconds: int) -> int:
    polls = paused = 0
    while paused < pause_seconds:
        paused += pause_wait_seconds(paused, poll_seconds)
        polls += 1
    return polls


def history_events(steps: tuple[Step, ...], health: HealthGate, pace: Pace, hooks: Hooks = NO_HOOKS) -> int:
    """The most history events the plan can use at that pace, retries included."""
    return _Course.of(steps, health, hooks, pace.max_pause_seconds, pace.max_step_backs).events(pace)


def _climbs(steps: tuple[Step, ...], step_backs: int) -> list[list[int]]:
    """Every bake of the longest course, in seconds: the first ascent, and one more after each step back."""
    again = [_again_seconds(step, first=number == 0) for number, step in enumerate(steps)]
    if steps[0].weight_percent == ALL_PERCENT:
        again = [COMPARISON.bake_seconds, *(_again_seconds(step, first=False) for step in steps)]
    return [[step.bake_seconds for step in steps], *([again] * step_backs)]


def _again_seconds(step: Step, *, first: bool) -> int:
    return max(COMPARISON.bake_seconds if first else 0, min(step.bake_seconds, AGAIN_SECONDS))
