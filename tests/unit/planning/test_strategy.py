"""Strategies: whatever the way of writing them, the steps rise to 100 %."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.planning import strategy
from tidegate.planning.strategy import Step

seconds = st.integers(1, 86_400)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Canary10Percent5Minutes", {"type": "canary", "weight": 10.0, "interval_seconds": 300}),
        ("Canary25Percent90Minutes", {"type": "canary", "weight": 25.0, "interval_seconds": 5400}),
        ("Linear10PercentEvery1Minute", {"type": "linear", "increment": 10.0, "interval_seconds": 60}),
        ("Linear20PercentEvery3Minutes", {"type": "linear", "increment": 20.0, "interval_seconds": 180}),
        (
            "CodeDeployDefault.LambdaLinear10PercentEvery2Minutes",
            {"type": "linear", "increment": 10.0, "interval_seconds": 120},
        ),
        ("AllAtOnce", {"type": "all_at_once"}),
    ],
)
def test_a_codedeploy_name_means_what_codedeploy_means(name, expected):
    assert strategy.parse_name(name) == expected


@pytest.mark.parametrize(
    "name", ["Canary10Percent", "canary10percent5minutes", "Linear10Percent5Minutes", "", "AllAtOnce "]
)
def test_other_names_are_no_strategy(name):
    assert strategy.parse_name(name) is None


@given(st.from_regex(strategy.NAME_PATTERN, fullmatch=True))
def test_the_schema_pattern_and_the_parser_agree(name):
    assert strategy.parse_name(name) is not None


@given(st.text())
def test_what_the_schema_refuses_the_parser_refuses(name):
    assert (strategy.parse_name(name) is not None) == (re.fullmatch(strategy.NAME_PATTERN, name) is not None)


def test_the_named_examples_of_the_documentation():
    assert strategy.canary(10, 300) == (Step(10, 300), Step(100, 0))
    assert [step.weight_percent for step in strategy.linear(20, 180)] == [20, 40, 60, 80, 100]
    assert [step.weight_percent for step in strategy.exponential(2, 120)] == [2, 4, 8, 16, 32, 64, 100]
    assert strategy.all_at_once() == (Step(100, 0),)
    assert sum(step.bake_seconds for step in strategy.DEFAULT_STEPS) == 900


def rises_to_all(steps):
    weights = [step.weight_percent for step in steps]
    assert weights[-1] == 100
    assert all(later > earlier for earlier, later in pairwise(weights))
    assert all(0 < weight <= 100 and round(weight, 2) == weight for weight in weights)


@given(st.decimals("0.01", 100, places=2), seconds)
def test_linear_rises_to_all(increment, interval):
    rises_to_all(strategy.linear(float(increment), interval))


@given(st.floats(1.1, 100), seconds)
def test_exponential_rises_to_all(factor, interval):
    rises_to_all(strategy.exponential(factor, interval))


@given(st.decimals("0.01", "99.99", places=2), seconds)
def test_canary_rises_to_all(weight, interval):
    rises_to_all(strategy.canary(float(weight), interval))
