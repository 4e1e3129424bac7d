"""Metrics of the user's own in a request: each mistake is said with what to do."""

import pytest

from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.metric import TOLERATED_SLOW, Series
from tidegate.errors import RequestInvalid
from tidegate.request.rollout_request import RolloutRequest

HERE = {"region": "us-east-1", "account": "123456789012"}
BAD = {"namespace": "Shop", "metric": "OrdersFailed", "dimensions": {"service": "checkout", "version": "{version}"}}
ORDERS = {"name": "orders failed", "bad": BAD}
MEMORY = {"name": "memory", "value": {**BAD, "metric": "memory_utilization"}, "above": "p99"}


def judge(*metrics, **more):
    document = {"function_name": "checkout", "alias_name": "live", "health": {"judge": {"metrics": metrics, **more}}}
    document["health"]["judge"]["metrics"] = list(metrics)
    return RolloutRequest.parse(document, **HERE).health.policy().judge


def refused(*metrics, **more):
    with pytest.raises(RequestInvalid) as caught:
        judge(*metrics, **more)
    return str(caught.value)


def test_a_count_of_what_is_bad_is_held_against_the_versions_invocations():
    (metric,) = judge(ORDERS).metrics
    assert metric.series == Series("Shop", "OrdersFailed", (("service", "checkout"), ("version", "{version}")))
    assert (metric.name, metric.total, metric.above, metric.tolerance) == (
        "orders failed",
        None,
        None,
        Tolerance(1.2, 0.001),
    )


def test_what_is_tolerated_may_be_said():
    (metric,) = judge({**ORDERS, "max_ratio": 2, "max_increase_percent": 0.5}).metrics
    assert metric.tolerance == Tolerance(2, 0.005)


def test_values_above_a_percentile_are_tolerated_as_slow_requests_are():
    (metric,) = judge(MEMORY).metrics
    assert (metric.above, metric.tolerance) == ("p99", TOLERATED_SLOW["p99"])
    (metric,) = judge({**MEMORY, "above": "p50"}).metrics
    assert metric.tolerance == TOLERATED_SLOW["p50"]
    (metric,) = judge({**MEMORY, "above": "p99.9"}).metrics
    assert metric.tolerance == Tolerance(1.25, pytest.approx(0.0002))


def test_a_preset_stands_for_a_metric_that_aws_publishes_by_version():
    (metric,) = judge("url_5xx").metrics
    dimensions = (("FunctionName", "{function}"), ("Resource", "{function}:{alias}"), ("ExecutedVersion", "{version}"))
    assert metric.series == Series("AWS/Lambda", "Url5xxCount", dimensions)
    assert metric.total == Series("AWS/Lambda", "UrlRequestCount", dimensions)
    assert metric.sparse


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"name": "x", "bad": {**BAD, "dimensions": {"service": "checkout"}}}, "use an alarm on it"),
        (
            {"name": "x", "bad": BAD, "total": {**BAD, "dimensions": {}}},
            "health.judge.metrics[0].total.dimensions: has no",
        ),
        ({"name": "x", "bad": {**BAD, "dimensions": {"v": "{verison}"}}}, "{verison} is not filled in: use {version}"),
        ({"name": "x"}, "give either bad, which is counted, or value with above"),
        ({"name": "x", "bad": BAD, "value": BAD, "above": "p99"}, "give either bad"),
        ({"name": "x", "value": BAD}, "value and above go together"),
        ({"name": "x", "bad": BAD, "above": "p99"}, "above goes with value, not with bad"),
        ({**MEMORY, "above": 99}, 'must be a percentile in quotes, such as "p99"'),
        ({"name": "x", "bad": {**BAD, "dimensions": [{"Name": "v", "Value": "1"}]}}, 'an object such as {"service": '),
        ({"name": "x", "bad": {**BAD, "dimensions": {"v": "${version}"}}}, "write {version} without $"),
        ("url_5XX", "in quotes (did you mean url_5xx?)"),
        ({**ORDERS, "name": "slow p99"}, "slow p99 is what the judge itself calls a metric"),
        ({**MEMORY, "total": BAD}, "total goes with bad"),
        ({**MEMORY, "above": "p40"}, "'p40' is no percentile from p50 to p99.99"),
        ({**MEMORY, "above": "99"}, "no percentile"),
        ({**ORDERS, "sparse": True}, "sparse goes with bad and total"),
        ({**ORDERS, "name": "slow p50"}, "slow p50 is what the judge itself calls a metric"),
        ({**ORDERS, "name": "two\nlines"}, "must be one line of text"),
        ({**ORDERS, "name": " x"}, "must be one line of text"),
        ({**ORDERS, "name": ""}, "must not be empty"),
        ({**ORDERS, "max_ratio": 0.5}, "must be at least 1"),
        ({**ORDERS, "totals": BAD}, "unknown key (did you mean total?)"),
        ({"name": "x", "bad": {**BAD, "dimension": {}}}, "unknown key (did you mean dimensions?)"),
        ("url_4xx", "must be an object, or one of durable_failures, url_5xx in quotes"),
        ({**ORDERS, "name": "durable_failures"}, "durable_failures is counted by events"),
        (7, "must be an object, or one of"),
    ],
)
def test_each_mistake_is_said_with_what_to_do(metric, said):
    assert said in refused(metric)


def test_names_are_given_once_and_there_are_ten_at_most():
    assert "named more than once: orders failed" in refused(ORDERS, ORDERS)
    assert "may have 10 entries at most" in refused(*({**ORDERS, "name": f"m{number}"} for number in range(11)))


def test_a_metric_alone_is_something_to_judge():
    assert "nothing is left to judge" in refused(errors=False, slow=False)
    assert [*judge(ORDERS, errors=False, slow=False).judged()] == ["orders failed"]


def test_all_mistakes_are_told_at_once():
    wrong = refused({"name": "x"}, {**ORDERS, "sparse": True})
    assert wrong.startswith("2 problems")


def test_slow_is_told_by_three_quantiles_unless_the_request_says_which():
    assert list(judge().quantiles) == ["p50", "p90", "p99"]
    assert list(judge(slow={"quantiles": ["p99"]}).quantiles) == ["p99"]
    assert list(judge(slow={"quantiles": ["p99", "p50"]}).quantiles) == ["p50", "p99"]


def test_what_is_said_of_slow_holds_for_each_quantile():
    quantiles = judge(slow={"max_ratio": 3}).quantiles
    assert {one.max_ratio for one in quantiles.values()} == {3}
    assert quantiles["p50"].max_increase == TOLERATED_SLOW["p50"].max_increase


@pytest.mark.parametrize(
    ("quantiles", "said"), [([], "must not be empty"), (["p95"], "must be"), (["p50", "p50"], "more than once")]
)
def test_no_other_quantile_is_taken(quantiles, said):
    assert said in refused(slow={"quantiles": quantiles})


def test_metrics_that_are_not_of_the_judges_are_told_where_they_belong():
    document = {"function_name": "checkout", "alias_name": "live", "health": {"metrics": [ORDERS]}}
    assert RolloutRequest.problems(document) == ["health.metrics: unknown key (did you mean health.judge.metrics?)"]
    document = {"function_name": "checkout", "alias_name": "live", "judge": {"errors": False}}
    assert RolloutRequest.problems(document) == ["judge: unknown key (did you mean health.judge?)"]
