"""The plan: what it says of its steps, and that every Tidegate can read it."""

import json
from dataclasses import replace

from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.health import AlarmRule, HealthPolicy
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import MetricBaseline, TrafficBaseline
from tidegate.analysis.metric import TOLERATED_ERRORS, CustomMetric, Series
from tidegate.hooks.hook import Hook, Hooks
from tidegate.planning.forecast import StepForecast
from tidegate.planning.plan import Plan
from tidegate.planning.strategy import COMPARISON, Approval, Step, all_at_once

SERIES = Series("Shop", "OrdersFailed", (("version", "{version}"),))
ORDERS = CustomMetric("orders failed", TOLERATED_ERRORS, SERIES, SERIES, sparse=True, proves=False)


def test_a_step_back_compares_for_five_minutes_at_least(plan):
    short = replace(plan, steps=(Step(10, 0), Step(100, 900)))
    assert [short.again_seconds(number) for number in (0, 1)] == [300, 900]


def test_an_all_at_once_rollout_steps_back_to_a_weight_that_compares(plan):
    assert (plan.first_step, plan.step_at(plan.first_step).weight_percent) == (0, 10)
    at_once = replace(plan, steps=all_at_once())
    assert (at_once.first_step, at_once.step_at(at_once.first_step)) == (-1, COMPARISON)


def test_a_look_at_executions_asks_cloudwatch_for_the_users_metrics_alone(plan):
    asked = [
        replace(plan, durable=durable, health=HealthPolicy(judge=Judge(metrics=metrics).with_quantiles({})))
        for durable, metrics in ((False, ()), (True, ()), (True, (ORDERS,)))
    ]
    assert [each.metrics_per_look for each in asked] == [5, 0, 9]


def test_a_plan_survives_the_journey_through_json(plan):
    memory = CustomMetric("memory", Tolerance(1.5, 0.01), SERIES, above="p99", new=True)
    lower = {"p50": Tolerance(1.12, 0.01)}
    judge = Judge(errors=Tolerance(1.5, 0.01), slow=None, slow_above=lower, metrics=(ORDERS, memory), durable=True)
    rich = Plan(
        **{
            **{name: getattr(plan, name) for name in Plan.__dataclass_fields__},
            "alarms": (AlarmRule("errors", "ignore_until_ok"),),
            "health": HealthPolicy(max_error_percent=1.5, judge=judge),
            "baseline": TrafficBaseline(
                1000, 1, 0.7, 250.0, p50_ms=80.0, metrics=(MetricBaseline("memory", 900, 0, 71.5),)
            ),
            "expectations": (
                StepForecast(10, 50, 12.5, {"memory": None, "orders failed": 4.5}),
                StepForecast(100, 500, None),
            ),
            "durable": True,
            "warnings": ("nothing is compared",),
            "version": "7",
            "steps": (Step(10, 60), Step(100, 60, Approval(3600, "continue"))),
            "hooks": Hooks(each_step=Hook("look:live", 30)),
        }
    )
    assert Plan.from_json(json.loads(json.dumps(rich.to_json()))) == rich


def test_a_guard_reads_the_plan_of_an_older_tidegate_and_of_a_newer_one(plan):
    older = {
        key: value for key, value in plan.to_json().items() if key not in ("hooks", "profile", "hold_poll_seconds")
    }
    for step in older["steps"]:
        del step["approval"]
    assert Plan.from_json({**older, "unheard_of": 1}) == plan
    assert Plan.from_json(newer(older)) == plan


def newer(value):
    """A document in which every object says something that nobody here has heard of."""
    if isinstance(value, dict):
        return {**{key: newer(inner) for key, inner in value.items()}, "unheard_of": 1}
    return [newer(inner) for inner in value] if isinstance(value, list) else value
