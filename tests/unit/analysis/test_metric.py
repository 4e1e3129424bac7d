"""The metrics that are judged: their names, their share of the error budgets, and where they are found."""

import json
import math
from dataclasses import asdict

import pytest

from tidegate.alias import Alias
from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.judge import Judge
from tidegate.analysis.metric import TOLERATED_ERRORS, TOLERATED_SLOW, CustomMetric, Series, share_above

FAILED = Series("Shop", "OrdersFailed", (("service", "checkout"), ("version", "{version}")))
ORDERS = CustomMetric("orders failed", TOLERATED_ERRORS, FAILED)
LOWER = {"p50": TOLERATED_SLOW["p50"], "p90": TOLERATED_SLOW["p90"]}


def test_errors_slow_and_each_metric_of_the_users_have_an_equal_share_of_the_budgets():
    judged = Judge(metrics=(ORDERS,)).judged()
    assert {name: one.budget for name, one in judged.items()} == dict.fromkeys(
        ("errors", "slow", "orders failed"), 1 / 3
    )


@pytest.mark.parametrize("judge", [Judge(slow_above=LOWER, metrics=(ORDERS,)), Judge(errors=None, slow_above=LOWER)])
def test_all_shares_together_are_the_whole(judge):
    assert math.isclose(sum(one.budget for one in judge.judged().values()), 1)


def test_slow_has_one_share_however_many_quantiles_tell_it():
    judged = Judge(slow_above=LOWER).judged()
    assert {name: one.budget for name, one in judged.items()} == {
        "errors": 0.5,
        "slow p50": 0.125,
        "slow p90": 0.125,
        "slow": 0.25,
    }


def test_of_slow_only_the_highest_quantile_proves():
    assert [one.name for one in Judge(slow_above=LOWER).judged().values() if one.proves] == ["errors", "slow"]
    alone = Judge(slow=None, slow_above=LOWER).judged()
    assert [one.name for one in alone.values() if one.proves] == ["errors", "slow p90"]


def test_what_is_above_a_percentile_is_a_share_by_definition_and_warms_up():
    memory = CustomMetric("memory", TOLERATED_SLOW["p99"], FAILED, above="p99.9")
    judged = Judge(metrics=(memory, ORDERS)).judged()
    assert judged["memory"].usual_share == share_above("p99.9") == 0.001
    assert (judged["memory"].warm_up_seconds, judged["orders failed"].warm_up_seconds) == (120, 0)


def test_placeholders_are_filled_in_wherever_they_stand_in_a_value():
    series = Series("N", "M", (("Resource", "{function}:{alias}"), ("v", "v{version}-{version}")))
    assert series.of(Alias("checkout", "live"), "7").dimensions == (("Resource", "checkout:live"), ("v", "v7-7"))


def test_a_judge_is_read_as_it_was_stored():
    judge = Judge(
        errors=Tolerance(1.5, 0.01),
        slow_above=LOWER,
        metrics=(ORDERS, CustomMetric("memory", TOLERATED_ERRORS, FAILED, above="p90", new=True, proves=False)),
    )
    assert Judge.from_json(json.loads(json.dumps(asdict(judge)))) == judge


def test_a_judge_of_before_the_lower_quantiles_is_read():
    then = {"errors": None, "slow": {"max_ratio": 2.0, "max_increase": 0.1}, "false_rollback": 0.02}
    assert Judge.from_json(then) == Judge(errors=None, slow=Tolerance(2.0, 0.1), false_rollback=0.02)
