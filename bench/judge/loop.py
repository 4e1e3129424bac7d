"""The closed loop: a drawn rollout, and the real control logic that moves its weight.

Plan, Observation and `decide` are those of CheckHealth, the next weight is that of ShiftTraffic; only AWS is left out.
What a look decides is the weight from then on, and so the counts that are drawn.

**Looks that need not be taken.** A look that only waits changes nothing but when the next one comes. When the looks of
a bake come is asked of `decide` itself, with all that is seen, but without the judge; then the last of them is taken
first. What has convicted, tripped or startled once does so at every later look: a last look that finds none of it
proves that no earlier one would have, and otherwise halving finds the first that acts. That holds where a row of the
judge's is one minute, seen whole, and before the weight was ever lowered: elsewhere every look is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import numpy as np

from bench.judge.drawing import MINUTE_SECONDS, Drawing, coarser, day_before, half, requests, shares
from bench.judge.scenarios import Scenario
from tidegate.analysis.measurement import Minute, Shift, TrafficBaseline
from tidegate.analysis.rows import ROW_REQUESTS
from tidegate.control.decision import bake_seconds, decide
from tidegate.control.looks import first_look
from tidegate.control.observation import Observation
from tidegate.control.progress import Decision, Progress, Standing
from tidegate.planning.pace import pace
from tidegate.planning.plan import Plan
from tidegate.planning.strategy import Step
from tidegate.request.health import HealthRequest
from tidegate.routing import ALL_PERCENT

#: CloudWatch is one to three minutes late: a minute is seen so many seconds after its end, as in the sandbox.
LATE_SECONDS: Final = 90
#: Or half of it as soon as a conviction may rest on it, and all of it where an acquittal may.
HALF_LATE_SECONDS, WHOLE_LATE_SECONDS = 60, 120
#: A miss hurts requests, all of them from the promotion on, until somebody notices: minutes since the start.
NOTICED_AT: Final = 60
#: Traffic of which every minute has a row of its own.
_DENSE_RPM: Final = 5 * ROW_REQUESTS
#: How `aws.metrics.read_rollout` reads: by the minute for two days, then all but the last day by the quarter hour.
_DAY_SECONDS: Final = 86_400
_BY_THE_MINUTE_SECONDS: Final = 2 * _DAY_SECONDS
#: So much of what was seen says whether a minute is missing.
_RECENT_MINUTES: Final = 10
_WAITS: Final = {"bake", "wait", "hold"}
#: What a look decides where no earlier one had any reason to act.
_GOES_ON: Final = {"wait", "advance", "promote"}
_ENDS: Final = {"promote", "roll_back"}


@dataclass(frozen=True, slots=True)
class Course:
    """What is rolled out in a drawing: the plan's steps, the traffic, and whether metrics come by halves."""

    steps: tuple[Step, ...]
    rpm: int
    error_rate: float
    halves: bool = False

    @property
    def minutes(self) -> int:
        """How long it bakes, all steps together."""
        return math.ceil(sum(step.bake_seconds for step in self.steps) / MINUTE_SECONDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rollout ended. `minute` is when it was rolled back, since its start; None where it was promoted.

    `why` is "convicted", or how the decision's reason begins. `actions` are all that moved the weight.
    """

    minute: float | None
    why: str
    proven: bool
    hurt: float
    actions: tuple[str, ...]
    looks: int


def plan_of(course: Course, scenario: Scenario, baseline: TrafficBaseline) -> Plan:
    """The plan that PlanRollout would make of a request with these steps, and of that day before."""
    health = HealthRequest.model_validate({"judge": scenario.judge}).policy()
    paced = pace(course.steps, health)
    return Plan(
        rollout_id="drawn",
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:drawn",
        region="us-east-1",
        function_name="checkout",
        alias_name="live",
        started_at=0.0,
        stable="1",
        revision_id="",
        steps=course.steps,
        restore_command="",
        health=health,
        baseline=baseline,
        **asdict(paced),
    )


def roll_out(course: Course, scenario: Scenario, rng: np.random.Generator) -> Outcome:
    """Draw one rollout and let it end. It begins at any second of a minute."""
    plan = plan_of(course, scenario, day_before(rng, course.error_rate, course.rpm, scenario.noise))
    longest = max(plan.longest_seconds // MINUTE_SECONDS, NOTICED_AT) + 2
    world = scenario.world(rng, longest, course.error_rate, course.minutes)
    drawing = Drawing(rng, world, requests(rng, world, course.rpm))
    begins = float(rng.uniform(0, MINUTE_SECONDS))
    return _Loop(plan, course, drawing, begins).run()


@dataclass(slots=True)
class _Loop:
    """One rollout under way. Times are seconds; a minute of the drawing begins at each multiple of 60."""

    plan: Plan
    course: Course
    drawing: Drawing
    begins: float
    looks: int = 0
    actions: list[str] = field(default_factory=list)
    halves: dict[float, Minute] = field(default_factory=dict)
    unjudged: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.unjudged = replace(self.plan, health=replace(self.plan.health, judge=None))

    def run(self) -> Outcome:
        """Shift and look until it is promoted or rolled back."""
        now, standing = self.begins, self._shifted(None, self.begins)
        while True:
            now, standing = self._next(now, standing)
            action = standing.decision.action
            if action in _ENDS:
                return self._ended(now, standing)
            if action not in _WAITS:
                self.actions.append(action)
                standing = self._shifted(standing, now)

    def _shifted(self, standing: Standing | None, now: float) -> Standing:
        """What ShiftTraffic makes of a decision."""
        plan, before = self.plan, standing.progress if standing else None
        number = standing.next_step(plan) if standing else 0
        weight_percent = standing.next_weight_percent(plan) if standing else plan.steps[0].weight_percent
        self.drawing.forget(now)
        progress, wait_seconds = first_look(plan, Progress.after_shift(before, number, weight_percent, "", now))
        return Standing(progress, Decision("bake", "", wait_seconds))

    def _next(self, now: float, standing: Standing) -> tuple[float, Standing]:
        """The next look that does more than wait, or the next one of all, and what it decides."""
        looks = self._looks_ahead(now, standing)
        if len(looks) == 1 or not self._may_leap:
            return looks[0][0], self._look(*looks[0])
        last = self._look(*looks[-1])
        if last.decision.action in _GOES_ON:
            return looks[-1][0], last
        return self._first_to_act(looks, last)

    @property
    def _may_leap(self) -> bool:
        """Whether a look finds all that an earlier one would have: nothing but advances yet, and rows of a minute."""
        whole = not self.course.halves and self.course.rpm >= _DENSE_RPM
        return whole and set(self.actions) <= {"advance"}

    def _looks_ahead(self, now: float, standing: Standing) -> list[tuple[float, Progress]]:
        """When it will look, up to the first look that may do more than wait without the judge, and its progress then.

        No more than a day ahead: what is older is read more coarsely.
        """
        looks: list[tuple[float, Progress]] = []
        until = now + _DAY_SECONDS
        self._draw_ahead(
            min(until, standing.progress.shifted_at + bake_seconds(self.plan, standing.progress)), standing
        )
        while True:
            now += standing.decision.wait_seconds
            looks.append((now, standing.progress))
            before, standing = standing, decide(self.plan, standing.progress, self._unjudged(now, standing.progress))
            extends = standing.progress.extended_seconds > before.progress.extended_seconds
            if standing.decision.action != "wait" or extends or now + standing.decision.wait_seconds > until:
                return looks

    def _draw_ahead(self, until: float, standing: Standing) -> None:
        """Many minutes at once are drawn in little more time than one of them."""
        self._seen(min(until, MINUTE_SECONDS * len(self.drawing.requests)), standing.progress)

    def _unjudged(self, now: float, progress: Progress) -> Observation:
        return Observation.of(self.unjudged, progress, self._seen(now, progress)[-_RECENT_MINUTES:], (), now)

    def _first_to_act(self, looks: Sequence[tuple[float, Progress]], last: Standing) -> tuple[float, Standing]:
        low, high, found = 0, len(looks) - 1, last
        while low < high:
            middle = (low + high) // 2
            looked = self._look(*looks[middle])
            if looked.decision.action == "wait":
                low = middle + 1
            else:
                high, found = middle, looked
        return looks[high][0], found

    def _look(self, now: float, progress: Progress) -> Standing:
        """What CheckHealth decides then."""
        self.looks += 1
        return decide(self.plan, progress, Observation.of(self.plan, progress, self._seen(now, progress), (), now))

    def _seen(self, now: float, progress: Progress) -> Sequence[Minute]:
        """The minutes that CloudWatch knows of by then, from that of the first shift on; none without any request."""
        late = HALF_LATE_SECONDS if self.course.halves else LATE_SECONDS
        minutes = self.drawing.until(max(0, math.floor((now - late) / MINUTE_SECONDS)), progress.shifts)
        if self.course.halves:
            minutes = [self._halved(minute, now) for minute in minutes]
        if now - progress.first_shift_at > _BY_THE_MINUTE_SECONDS:
            minutes = coarser(minutes, max(progress.shifted_at, now - _DAY_SECONDS))
        return [minute for minute in minutes if minute.stable.requests or minute.candidate.requests]

    def _halved(self, minute: Minute, now: float) -> Minute:
        if minute.end + WHOLE_LATE_SECONDS <= now:
            return minute
        if minute.at not in self.halves:
            self.halves[minute.at] = half(self.drawing.hidden, minute)
        return self.halves[minute.at]

    def _ended(self, now: float, standing: Standing) -> Outcome:
        decision = standing.decision
        promoted = decision.action == "promote"
        return Outcome(
            minute=None if promoted else (now - self.begins) / MINUTE_SECONDS,
            why="convicted" if decision.convicts else decision.reason.partition(":")[0],
            proven=decision.proven,
            hurt=self._hurt(standing.progress.shifts, now, promoted=promoted),
            actions=tuple(self.actions),
            looks=self.looks,
        )

    def _hurt(self, shifts: Sequence[Shift], ended: float, *, promoted: bool) -> float:
        """The requests that the candidate hurts until traffic is restored, or until somebody notices."""
        minutes = max(NOTICED_AT, math.ceil(ended / MINUTE_SECONDS)) if promoted else math.ceil(ended / MINUTE_SECONDS)
        weights = (*shifts, Shift(ended, ALL_PERCENT if promoted else 0.0))
        served = self.drawing.requests[:minutes] * shares(weights, 0, minutes)
        return float((served * self.drawing.world.excess[:minutes]).sum())
