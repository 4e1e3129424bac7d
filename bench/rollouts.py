"""What a rollout takes: history events, calls, state transitions, dollars and time, by the plan and in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.row import Row
from sandbox.aws.eventbridge import DELIVERY_SECONDS
from sandbox.aws.stack import ACCOUNT_ID, REGION
from sandbox.scenario import Scenario, shipped
from sandbox.story import Story, play
from tidegate.analysis.measurement import TrafficBaseline
from tidegate.control.pressure import MAX_STRAIN
from tidegate.duration import format_duration
from tidegate.planning.pace import HISTORY_BUDGET, MIN_POLL_SECONDS, Pace, history_events, pace
from tidegate.planning.plan import Plan
from tidegate.request.rollout_request import RolloutRequest
from tidegate.views import cost

Request = Mapping[str, Any]

ROOT: Final = Path(__file__).parents[1]
_DAY: Final = 86_400
_SMALLEST: Final[Request] = {"function_name": "checkout", "alias_name": "live"}
CANONICAL: Final = "canonical: the smallest request"
DAY: Final = "24 hours at 10 %"
THIRTY_MINUTES: Final[Request] = {
    **_SMALLEST,
    "steps": [{"weight": weight, "bake_seconds": 600} for weight in (10, 50, 100)],
}


def _steps(*steps: Mapping[str, Any]) -> Request:
    return {**_SMALLEST, "steps": [*steps, {"weight": 100, "bake_seconds": 600}]}


#: A day before in which all that a judge asks for was seen.
TRAFFIC: Final = TrafficBaseline(864_000, 864, 600.0, p50_ms=80.0, p90_ms=195.0, p99_ms=400.0)


def _gate(seconds: int) -> Mapping[str, Any]:
    return {"weight": 50, "bake_seconds": 300, "approval": {"timeout_seconds": seconds}}


REQUESTS: Final[Mapping[str, Request]] = {
    CANONICAL: _SMALLEST,
    DAY: _steps({"weight": 10, "bake_seconds": _DAY}),
    "30 days at 10 %": _steps({"weight": 10, "bake_seconds": 30 * _DAY}),
    "14 daily steps": _steps(*({"weight": 7 * number, "bake_seconds": _DAY} for number in range(1, 14))),
    "a gate of 24 hours": _steps({"weight": 10, "bake_seconds": 300}, _gate(_DAY)),
    "a gate of 30 days": _steps({"weight": 10, "bake_seconds": 300}, _gate(30 * _DAY)),
}
#: A poll of an alias without alarms has three; each hundred alarms, every three minutes, and each 500 metrics are one
#: more.
CALLS_PER_POLL: Final = 4
#: The sweeper asks every minute, whether there is a rollout or not; the guards ask once a rollout.
_SWEEPER: Final = frozenset({"dynamodb.Query", "stepfunctions.DescribeExecution"})

#: What AWS takes a second of a region (service quotas of Lambda and CloudWatch), and how often a rollout asks beside
#: its looks: for its plan, before its first weight, or before its promotion.
CALLS_A_SECOND: Final = {
    "lambda.GetAlias": (15, 2),
    "cloudwatch.DescribeAlarms": (9, 2),
    "cloudwatch.GetMetricData": (50, 1),
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan's worst case in history events, and its cost: if all goes well, and at most."""

    pace: Pace
    history_events: int
    well: cost.Cost
    at_most: cost.Cost


def planned(request: Request) -> Planned:
    """By the plan alone, as PlanRollout makes it: with every retry, extension, hold and step back there can be."""
    asked = RolloutRequest.parse(dict(request), region=REGION, account=ACCOUNT_ID)
    steps, health, hooks = asked.chosen_steps(), asked.health.policy(), asked.hooks.hooks()
    paced = pace(steps, health, hooks, asked.max_pause_seconds)
    plan = Plan(
        rollout_id="planned",
        execution_arn="",
        region=REGION,
        function_name=asked.function_name,
        alias_name=asked.alias_name,
        started_at=0.0,
        stable="1",
        revision_id="",
        steps=steps,
        health=health,
        hooks=hooks,
        restore_command="",
        baseline=TRAFFIC,
        **asdict(paced),
    )
    events = history_events(steps, health, paced, hooks)
    return Planned(paced, events, cost.of_plan(plan), cost.at_most(plan))


def rows(repeats: int, say: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Every figure of a rollout; what is timed is the median of so many."""
    return [
        *planned_rows(),
        *_measured_rows(say),
        *_ceiling_rows(say),
        _reaction_row(say),
        *_wall_rows(repeats, say),
    ]


def planned_rows() -> Iterator[Row]:
    """Two rows for each request, by its plan alone."""
    for name, request in REQUESTS.items():
        plan = planned(request)
        looks = f"looks every {format_duration(plan.pace.poll_seconds)}"
        if plan.pace.hold_poll_seconds != plan.pace.poll_seconds and "gate" in name:
            looks += f", every {format_duration(plan.pace.hold_poll_seconds)} at the gate"
        yield Row(
            f"history events, {name}",
            f"{plan.history_events:,} at most",
            f"{HISTORY_BUDGET:,}",
            plan.history_events <= HISTORY_BUDGET,
            f"by the plan, every retry included; {looks}",
        )
        yield Row(
            f"state transitions and dollars, {name}",
            f"{plan.well.state_transitions:,} and {cost.price(plan.well.dollars)}",
            note=f"by the plan, nobody waited for; at most {plan.at_most.state_transitions:,}"
            f" and {cost.price(plan.at_most.dollars)}",
        )


def _measured_rows(say: Callable[[str], None]) -> Iterator[Row]:
    stories = {}
    for name in (CANONICAL, DAY):
        say(f"sandbox: {name}")
        stories[name] = _promoted(REQUESTS[name])
        story = stories[name]
        calls, looks = sum(story.api_calls.values()), _looks(story)
        yield Row(
            f"measured, {name}",
            f"{story.history_events:,} history events, {len(story.states):,} state transitions",
            note=f"{looks:,} looks, {calls:,} API calls with the sweeper's,"
            f" {story.virtual_seconds:,.0f} virtual seconds",
        )
    short, long = stories[CANONICAL], stories[DAY]
    more = _looks(long) - _looks(short)
    calls_of = {
        name: (count - short.api_calls.get(name, 0)) / more
        for name, count in long.api_calls.items()
        if name not in _SWEEPER
    }
    found = {name: each for name, each in sorted(calls_of.items()) if each > 0.01}  # noqa: PLR2004 - once a rollout
    each = sum(found.values())
    yield Row(
        "API calls per poll",
        f"{each:.2f}",
        str(CALLS_PER_POLL),
        each <= CALLS_PER_POLL,
        "more calls per more looks, 24 hours against canonical, no alarms (they are 0.4 calls more): "
        + ", ".join(f"{name} {count:.2f}" for name, count in found.items()),
    )


def _ceiling_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """How many rollouts can run at once before their looks alone take a whole quota."""
    say("sandbox: canonical, with an alarm")
    alarm = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}
    story = _promoted({**_SMALLEST, "alarms": ["errors"]}, Scenario.of({"alarms": [alarm]}))
    calls, a_minute = sum(story.api_calls.values()), _looks(story) / story.virtual_seconds * MIN_POLL_SECONDS
    yield Row("API calls, canonical with an alarm", f"{calls:,}", note="with the sweeper's; without an alarm: above")
    for name, (a_second, once) in CALLS_A_SECOND.items():
        each = (story.api_calls[name] - once) / _looks(story)
        at_once = a_second * MIN_POLL_SECONDS / (each * a_minute)
        # Stretched, each look asks for everything.
        stretched = a_second * MIN_POLL_SECONDS * 2**MAX_STRAIN
        yield Row(
            f"rollouts at once, by {name}",
            f"{at_once:,.0f}",
            note=f"{a_second} calls a second of the whole region, {each:.2f} a look,"
            f" {a_minute:.2f} looks a minute; {stretched:,}"
            f" where looks are throttled, and stretch to one in {format_duration(MIN_POLL_SECONDS * 2**MAX_STRAIN)}",
        )


def _reaction_row(say: Callable[[str], None]) -> Row:
    say("sandbox: an alarm fires")
    request = json.loads((ROOT / "events/canary_with_alarm.json").read_text(encoding="utf-8"))
    story = play(request, shipped()["alarm_fires"])
    if story.seconds_from_alarm_to_restored is None or story.outcome != "rolled_back":
        raise Unexpected(f"the alarm's rollout ended {story.outcome}: {story.cause}")
    return Row(
        "from alarm to restored",
        f"{story.seconds_from_alarm_to_restored:g} virtual seconds",
        note=f"by guard_alarm, on the event, which EventBridge delivers after {DELIVERY_SECONDS:g} s here",
    )


def _wall_rows(repeats: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Interleaved, so that what else this machine does hits both."""
    short, long = [], []
    for number in range(repeats):
        say(f"sandbox: thirty minutes, {number + 1} of {repeats}")
        short.append(_promoted(_SMALLEST).wall_seconds)
        long.append(_promoted(THIRTY_MINUTES).wall_seconds)
    yield Row(
        "thirty minutes in the sandbox",
        f"{median(long):.1f} s on the wall",
        note=f"median of {repeats}; {median(long) / median(short):.2f} times the canonical one's {median(short):.1f} s",
    )


class Unexpected(Exception):
    """A rollout ended otherwise than the figure needs."""


def _promoted(request: Request, scenario: Scenario | None = None) -> Story:
    story = play(request, scenario or Scenario())
    if story.outcome != "promoted":
        raise Unexpected(f"a harmless rollout ended {story.outcome}: {story.cause}")
    return story


def _looks(story: Story) -> int:
    return sum(state == "CheckHealth" for state in story.states)
