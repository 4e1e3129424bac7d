"""What a rollout costs, from its plan: an estimate in dollars, to the order of a cent.

List prices of us-east-1, without any free tier, as quoted in 2025 and 2026; each constant names the page that has the
price of today. Other regions differ. Logs and traces are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tidegate.control.item_size import MAX_VERDICTS
from tidegate.planning.pace import MIN_POLL_SECONDS, pause_polls
from tidegate.planning.plan import Plan

#: https://aws.amazon.com/step-functions/pricing/: standard workflows, $0.025 per 1,000 state transitions.
DOLLARS_PER_TRANSITION: Final = 0.025 / 1_000
#: https://aws.amazon.com/lambda/pricing/: $0.20 per million requests, and arm64 by the GB-second.
DOLLARS_PER_INVOCATION: Final = 0.20 / 1_000_000
DOLLARS_PER_GB_SECOND: Final = 0.0000133334
#: https://aws.amazon.com/dynamodb/pricing/on-demand/: $0.625 per million write request units of 1 KB.
DOLLARS_PER_WRITE_UNIT: Final = 0.625 / 1_000_000
#: https://aws.amazon.com/cloudwatch/pricing/: GetMetricData, $0.01 per 1,000 metrics requested.
DOLLARS_PER_METRIC: Final = 0.01 / 1_000

#: PlanRollout, PublishVersion, VerifyCandidate, Promote, and the Choices and the end beside them.
_FIXED_TRANSITIONS: Final = 10
_FIXED_INVOCATIONS: Final = 4
#: Bake, CheckHealth and its Choice; ShiftTraffic and the Choice of a hook.
_TRANSITIONS_PER_LOOK: Final = 3
_TRANSITIONS_PER_STEP: Final = 2
#: Where each minute is looked at anyway, so many looks of a step come sooner in the mean: CloudWatch has a minute one
#: to two minutes after it (docs/decisions/0025-when-to-look.md has the figures).
_SOONER_IN_THE_MEAN: Final = 3
#: Functions of 256 MB that wait for AWS most of the time.
_GB_SECONDS_PER_INVOCATION: Final = 0.25 * 0.5
#: Lock, plan, candidate, promotion; and the history item, written in a transaction, which counts twice.
_FIXED_WRITE_UNITS: Final = 40
#: DynamoDB counts the whole item at each update: the plan, and every verdict that was kept before.
_PLAN_KB: Final = 3
_VERDICT_KB: Final = 1.5


@dataclass(frozen=True, slots=True)
class Cost:
    """What is paid for, and `dollars` for all of it."""

    state_transitions: int
    invocations: int
    gb_seconds: float
    write_units: int
    metrics: int

    @property
    def metric_dollars(self) -> float:
        """What GetMetricData alone costs."""
        return self.metrics * DOLLARS_PER_METRIC

    @property
    def dollars(self) -> float:
        """The sum."""
        return (
            self.state_transitions * DOLLARS_PER_TRANSITION
            + self.invocations * DOLLARS_PER_INVOCATION
            + self.gb_seconds * DOLLARS_PER_GB_SECOND
            + self.write_units * DOLLARS_PER_WRITE_UNIT
            + self.metric_dollars
        )


def of_plan(plan: Plan) -> Cost:
    """Where all goes well: each step once, no extension, nobody waited for."""
    return _cost(plan, len(plan.steps), sum(looks(plan, step.bake_seconds) for step in plan.steps))


def at_most(plan: Plan) -> Cost:
    """Where everything takes as long as it may: steps back, extension, approvals and pauses."""
    shifts = len(plan.steps) * (plan.max_step_backs + 1) + 2 * plan.max_flinches
    watched = health_checks(plan.watched_seconds, plan.poll_seconds) + plan.sooner_looks * len(plan.steps)
    waiting = math.ceil(plan.approval_seconds / plan.hold_poll_seconds)
    paused = pause_polls(plan.max_pause_seconds, plan.poll_seconds)
    return _cost(plan, shifts, shifts + watched + waiting + paused)


def looks(plan: Plan, bake_seconds: int) -> int:
    """How many looks a step has if all goes well, the sooner ones as there are of them in the mean."""
    each_minute = plan.poll_seconds <= MIN_POLL_SECONDS
    sooner = min(plan.sooner_looks, _SOONER_IN_THE_MEAN if each_minute else plan.sooner_looks, bake_seconds // 60)
    return health_checks(bake_seconds, plan.poll_seconds) + sooner


def health_checks(bake_seconds: float, poll_seconds: float) -> int:
    """How often a bake is looked at: at its end even if it is empty."""
    return max(1, math.ceil(bake_seconds / poll_seconds))


def _cost(plan: Plan, shifts: int, looked: int) -> Cost:
    invocations = _FIXED_INVOCATIONS + shifts + looked
    growing = min(looked, MAX_VERDICTS)
    item_kb = _PLAN_KB * looked + _VERDICT_KB * (growing * growing / 2 + (looked - growing) * MAX_VERDICTS)
    return Cost(
        state_transitions=_FIXED_TRANSITIONS + _TRANSITIONS_PER_STEP * shifts + _TRANSITIONS_PER_LOOK * looked,
        invocations=invocations,
        gb_seconds=invocations * _GB_SECONDS_PER_INVOCATION,
        write_units=_FIXED_WRITE_UNITS + _PLAN_KB * shifts + math.ceil(item_kb),
        metrics=plan.metrics_of_history + plan.metrics_per_look * looked,
    )


def price(dollars: float) -> str:
    """Dollars for reading: two digits are more than an estimate knows."""
    return f"${dollars:.2f}" if dollars >= 1 else f"${float(f'{dollars:.2g}'):.4g}"
