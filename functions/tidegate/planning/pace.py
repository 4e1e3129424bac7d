"""How often a rollout looks, so that the longest course of its plan fits one execution's history."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace

from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.sight import ARRIVED_SECONDS
from tidegate.duration import format_duration
from tidegate.errors import PlanTooLong
from tidegate.frozen import frozen
from tidegate.hooks.hook import MAX_HOOK_SECONDS, NO_HOOKS, Hooks
from tidegate.planning.strategy import COMPARISON, Step
from tidegate.routing import ALL_PERCENT

#: Metrics arrive by the minute, so looking more often shows little more.
MIN_POLL_SECONDS = 60
#: A rollout that looks less often than this is not watched.
MAX_POLL_SECONDS = 3600
#: Below the state machine's own TimeoutSeconds, so that a plan never runs into it.
MAX_TOTAL_SECONDS = 40 * 24 * 3600
#: The last verdict waits until the last step's minutes have arrived: CloudWatch is one to three minutes late.
SETTLE_SECONDS = 120
#: How long Promote may wait for provisioned concurrency: 80 retries, up to half a minute apart, twenty minutes in the
#: mean. AWS was seen to take six to eight. PlanRollout waits as long, before it plans, for what somebody has begun.
PROVISIONING_SECONDS = 80 * 30
UNSEEN_HOLD_SECONDS = 24 * 3600
#: How often a rollout steps back from the last weight to compare both versions again.
MAX_STEP_BACKS = 2
#: So many looks for each step may come sooner than the others, most of them in its first minutes: one to be where a
#: minute may first be judged, and four of a quarter minute, in which that minute comes.
SOONER_LOOKS = 5
#: They are for rollouts that look no more seldom for it than by so much.
SOONER_LENGTHENS = 1.1

#: How often the weight is lowered because one minute looks like great harm, and for how long at least: then the first
#: whole minute at that weight may be judged, where metrics are no more than a minute late.
MAX_FLINCHES, FLINCH_SECONDS = 2, 180
#: How often AWS may throttle a move forward, with a look each time before the next try, at a stretched pace: for a
#: quarter of an hour or so.
MAX_LATE_MOVES = 5

#: The longer a rollout is paused, the more seldom it looks whether it still is: after so many parts of the time so far.
PAUSE_PARTS = 20
MAX_PAUSE_POLL_SECONDS = 1800

#: Step Functions ends an execution at 25,000 history events (Step Functions Developer Guide, "Quotas").
HISTORY_BUDGET = 15_000
#: PlanRollout with 80 retries while provisioned concurrency is not ready (3 events each), PublishVersion with 180 while
#: a version is Pending, VerifyCandidate with 45 while it wakes an idle one, Promote with 80 while provisioned
#: concurrency moves, RollBack with all its retries. The same retries serve where AWS throttles. And five late moves:
#: each is the move (5), the Choice after it (2), Bake (2), and a look with its Choice (7).
FIXED_EVENTS = 1_465
#: ShiftTraffic with all its retries, StepBack before it, and the Choice after it.
EVENTS_PER_STEP = 20
#: RunHook with all its retries, and the Choice after it.
EVENTS_PER_HOOK = 21
EVENTS_PER_STEP_BACK = 2
#: ShiftTraffic down and up again, and Flinch before it.
EVENTS_PER_FLINCH = 2 * EVENTS_PER_STEP + 2
#: Wait 2, Choice 2, Task 5, and one retry of the Task (3, and a spare one).
EVENTS_PER_POLL = 13


@frozen
class Pace:
    """How often to look at a plan, and how long it may take, in seconds."""

    poll_seconds: int
    extension_poll_seconds: int
    hold_poll_seconds: int
    longest_seconds: int
    max_step_backs: int
    max_pause_seconds: int
    max_flinches: int = 0
    sooner_looks: int = 0

    def is_about(self, other: Pace) -> bool:
        """Whether its looks, beside the sooner ones, are about as frequent as the other's."""
        intervals = (
            (self.poll_seconds, other.poll_seconds),
            (self.extension_poll_seconds, other.extension_poll_seconds),
            (self.hold_poll_seconds, other.hold_poll_seconds),
        )
        return all(mine <= its * (SOONER_LENGTHENS if its > MIN_POLL_SECONDS else 1) for mine, its in intervals)


def pace(
    steps: tuple[Step, ...],
    health: HealthPolicy,
    hooks: Hooks = NO_HOOKS,
    max_pause_seconds: int = 0,
    *,
    provisioned: bool = False,
) -> Pace:
    """How often to look, so that the worst case fits the history budget: extension, holds, steps back and retries too.

    Where flinches do not fit, none is made; where two steps back do not, fewer; where the pause does not, there is
    none, and steps back instead. An alias with provisioned concurrency takes its time to be promoted.
    Sooner looks at each step's first minutes are what is given up first.

    Raises:
        PlanTooLong: no interval up to `MAX_POLL_SECONDS` fits, or the plan outlasts the execution.
    """
    wanted = (MAX_STEP_BACKS, MAX_FLINCHES) if health.judge else (0, 0)
    for step_backs, flinches, pause_seconds in _concessions(*wanted, max_pause_seconds):
        course = _Course.of(steps, health, hooks, pause_seconds, step_backs, flinches, provisioned=provisioned)
        if found := course.pace():
            return _with_sooner_looks(course, found, health)
    plainest = _Course.of(steps, health, hooks, 0, 0, 0, provisioned=provisioned)
    if plainest.seconds > MAX_TOTAL_SECONDS:
        raise PlanTooLong(
            f"the plan may take {format_duration(plainest.seconds - MAX_TOTAL_SECONDS)} more than a rollout may, which"
            f" is {format_duration(MAX_TOTAL_SECONDS)}: shorten the bakes, the approvals or max_extension_seconds"
        )
    fewest = plainest.events(MAX_POLL_SECONDS, MAX_POLL_SECONDS, MAX_POLL_SECONDS)
    raise PlanTooLong(
        f"{len(steps):,} steps over {format_duration(plainest.seconds)} need {fewest:,} history events even with one"
        f" look every {format_duration(MAX_POLL_SECONDS)}, and the budget is {HISTORY_BUDGET:,}: use fewer steps"
    )


def history_events(steps: tuple[Step, ...], health: HealthPolicy, pace: Pace, hooks: Hooks = NO_HOOKS) -> int:
    """The most history events the plan can use at that pace, retries included."""
    course = _Course.of(steps, health, hooks, pace.max_pause_seconds, pace.max_step_backs, pace.max_flinches)
    course = replace(course, sooner_looks=pace.sooner_looks)
    return course.events(pace.poll_seconds, pace.extension_poll_seconds, pace.hold_poll_seconds)


def approvals_seconds(steps: tuple[Step, ...], health: HealthPolicy, step_backs: int) -> tuple[int, ...]:
    """How long each approval may be waited for; where a person promotes what is not proven, for that, too.

    A step back ends such a wait, and the next ascent may have its own.
    """
    steps_seconds = [step.approval.timeout_seconds for step in steps if step.approval]
    # Once on each way up for a step that could not be seen, and once for the promotion.
    climb = [unseen_hold_seconds(health), health.max_hold_seconds] if health.when_inconclusive == "hold" else []
    holds = climb * (step_backs + 1)
    return (*steps_seconds, *holds)


def unseen_hold_seconds(health: HealthPolicy) -> int:
    """How long a person is waited for who may let a step go on that could not be seen: a day at most."""
    return min(health.max_hold_seconds, UNSEEN_HOLD_SECONDS)


def pause_wait_seconds(paused_seconds: int, poll_seconds: int) -> int:
    """How long until the next look at a rollout that has been paused for so long in all."""
    return max(poll_seconds, min(MAX_PAUSE_POLL_SECONDS, paused_seconds // PAUSE_PARTS))


def pause_polls(pause_seconds: int, poll_seconds: int) -> int:
    """How often a rollout looks that is paused for so long in all."""
    polls = paused = 0
    while paused < pause_seconds:
        paused += pause_wait_seconds(paused, poll_seconds)
        polls += 1
    return polls


def _concessions(step_backs: int, flinches: int, pause_seconds: int) -> Iterator[tuple[int, int, int]]:
    """Steps back, flinches and pause, from all that is wanted down to none."""
    if flinches:
        yield step_backs, flinches, pause_seconds
    yield step_backs, 0, pause_seconds
    if step_backs > 1:
        yield step_backs - 1, 0, pause_seconds
    for fewer in range(step_backs, -1, -1):
        yield fewer, 0, 0


@frozen
class _Course:
    """The longest course of a plan: every bake of every ascent, and all that may be waited for beside, in seconds."""

    climbs: list[list[int]]
    extension_seconds: int
    approval_seconds: tuple[int, ...]
    pause_seconds: int
    step_backs: int
    flinches: int
    hooks: int
    promotion_seconds: int
    sooner_looks: int = 0

    @classmethod
    def of(
        cls,
        steps: tuple[Step, ...],
        health: HealthPolicy,
        hooks: Hooks,
        pause_seconds: int,
        step_backs: int,
        flinches: int,
        *,
        provisioned: bool = False,
    ) -> _Course:
        climbs = _climbs(steps, step_backs)
        approvals = approvals_seconds(steps, health, step_backs)
        shifts = sum(map(len, climbs)) + flinches
        # The last hook is asked again where the look after its yes does not promote: once for each ascent, say.
        asked = (shifts if hooks.each_step else 0) + 2 * (step_backs + 1) * bool(hooks.after_traffic)
        promotion = PROVISIONING_SECONDS if provisioned else 0
        extension = health.max_extension_seconds
        return cls(climbs, extension, approvals, pause_seconds, step_backs, flinches, asked, promotion)

    @property
    def bakes(self) -> int:
        first_sight = max(0, ARRIVED_SECONDS - self.climbs[0][0]) if len(self.climbs[0]) > 1 else 0
        again = self.flinches * (FLINCH_SECONDS + COMPARISON.bake_seconds)
        return (
            sum(bake for climb in self.climbs for bake in climb)
            + SETTLE_SECONDS * len(self.climbs)
            + again
            + first_sight
        )

    @property
    def seconds(self) -> int:
        waited = self.extension_seconds + sum(self.approval_seconds) + self.pause_seconds + self.promotion_seconds
        return self.bakes + waited + self.hooks * MAX_HOOK_SECONDS

    @property
    def fixed_events(self) -> int:
        """History events of everything but polls."""
        shifts = EVENTS_PER_STEP * sum(map(len, self.climbs)) + EVENTS_PER_STEP_BACK * self.step_backs
        return FIXED_EVENTS + shifts + EVENTS_PER_FLINCH * self.flinches + EVENTS_PER_HOOK * self.hooks

    def events(self, poll_seconds: int, extension_poll_seconds: int, hold_poll_seconds: int) -> int:
        """The most history events at those intervals, retries included."""
        bakes = sum(math.ceil(bake / poll_seconds) + 1 for climb in self.climbs for bake in climb)
        settling = len(self.climbs) * math.ceil(SETTLE_SECONDS / poll_seconds) + math.ceil(
            ARRIVED_SECONDS / poll_seconds
        )
        again = [FLINCH_SECONDS, COMPARISON.bake_seconds] * self.flinches
        bakes += sum(math.ceil(seconds / poll_seconds) + 1 for seconds in again)
        extension = math.ceil(self.extension_seconds / extension_poll_seconds)
        approvals = sum(math.ceil(seconds / hold_poll_seconds) + 1 for seconds in self.approval_seconds)
        # After a step back there are none but those that are left: its steps have been looked at before.
        sooner = self.sooner_looks * len(self.climbs[0])
        polls = bakes + settling + extension + approvals + pause_polls(self.pause_seconds, poll_seconds) + sooner
        return self.fixed_events + EVENTS_PER_POLL * polls

    def fits(self, poll_seconds: int, extension_poll_seconds: int, hold_poll_seconds: int) -> bool:
        return self.events(poll_seconds, extension_poll_seconds, hold_poll_seconds) <= HISTORY_BUDGET

    def pace(self) -> Pace | None:
        """The shortest intervals that fit; None where none do.

        The bakes come first, and an extension that is brief beside them: harm is to be found early. Where the bakes
        alone would take most of the room, people are waited for as often as minutes are judged. Of what is left, the
        shorter of extension and approvals takes first.
        """
        seldom = MAX_POLL_SECONDS
        brief = 10 * self.extension_seconds <= self.bakes
        poll = _shortest(lambda seconds: self.fits(seconds, seconds if brief else seldom, seldom))
        if poll is None or self.seconds > MAX_TOTAL_SECONDS:
            return None
        if self.approval_seconds and 2 * EVENTS_PER_POLL * self.bakes > (HISTORY_BUDGET - self.fixed_events) * poll:
            poll = _shortest(lambda seconds: self.fits(seconds, seconds if brief else seldom, seconds)) or poll
        if self.extension_seconds <= sum(self.approval_seconds):
            extension = _shortest(lambda seconds: self.fits(poll, seconds, seldom), least=poll) or seldom
            hold = _shortest(lambda seconds: self.fits(poll, extension, seconds)) or seldom
        else:
            hold = _shortest(lambda seconds: self.fits(poll, seldom, seconds)) or seldom
            extension = _shortest(lambda seconds: self.fits(poll, seconds, hold), least=poll) or seldom
        return Pace(
            poll,
            extension,
            hold,
            self.seconds,
            self.step_backs,
            self.pause_seconds,
            self.flinches,
            self.sooner_looks,
        )


def _with_sooner_looks(course: _Course, bare: Pace, health: HealthPolicy) -> Pace:
    """The same with sooner looks, where there is anything to await, and looks stay about as frequent all the same."""
    counts = health.judge or health.max_error_percent is not None or health.max_duration_p99_ms is not None
    wanted = (replace(course, sooner_looks=looks).pace() for looks in range(SOONER_LOOKS * bool(counts), 0, -1))
    return next((found for found in wanted if found and found.is_about(bare)), bare)


def _shortest(fits: Callable[[int], bool], least: int = MIN_POLL_SECONDS) -> int | None:
    """The shortest interval that fits, in whole seconds; the longer it is, the fewer looks there are."""
    intervals = range(least, MAX_POLL_SECONDS + 1)
    found = bisect_left(intervals, True, key=fits)
    return intervals[found] if found < len(intervals) else None


def _climbs(steps: tuple[Step, ...], step_backs: int) -> list[list[int]]:
    """Every bake of the longest course, in seconds: the first ascent, and one more after each step back."""
    again = [step.again_seconds(first=number == 0) for number, step in enumerate(steps)]
    if steps[0].weight_percent == ALL_PERCENT:
        again = [COMPARISON.bake_seconds, *(step.again_seconds(first=False) for step in steps)]
    return [[step.bake_seconds for step in steps], *([again] * step_backs)]
