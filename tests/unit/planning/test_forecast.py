"""A forecast says before any traffic moves what a canary will see, and what would see more."""

import json
import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis import judge as judging
from tidegate.analysis.e_process import Tally
from tidegate.analysis.judge import Judge
from tidegate.analysis.measurement import MetricBaseline, TrafficBaseline
from tidegate.analysis.metric import TOLERATED_ERRORS, TOLERATED_SLOW, CustomMetric, Series, foremost
from tidegate.analysis.row import Row
from tidegate.planning.forecast import NO_BASELINE, Forecast, bad_of, forecast
from tidegate.planning.strategy import DEFAULT_STEPS, Step, all_at_once, canary, exponential, linear
from tidegate.request.rollout_request import RolloutRequest

SLOW_ONLY = Judge(errors=None)


def day(requests_per_minute, failing=0.001):
    requests = round(1440 * requests_per_minute)
    return TrafficBaseline(requests, round(requests * failing), requests_per_minute, p99_ms=80.0)


def harm(step, baseline, judge=None):
    return forecast((step, Step(100, 0)), baseline, judge or Judge()).steps[0].smallest_harm_percent


def warning(steps, baseline, judge=None):
    (sentence,) = forecast(steps, baseline, judge or Judge()).warnings
    return sentence


def pasted(sentence):
    """The steps of a warning's proposal, as a request accepts them."""
    document = json.loads("{" + re.search(r'"steps": \[.*?\]', sentence).group() + "}")
    names = {"function_name": "checkout", "alias_name": "live"}
    return RolloutRequest.parse({**names, **document}, region="eu-west-1", account="1").chosen_steps()


def convicts(step, requests_per_minute, stable_rate, candidate_rate, draw):
    """Whether the judge convicts in one drawn bake: which version serves a request, and whether it fails, is chance."""
    rows = []
    for _ in range(step.bake_seconds // 60):
        candidate = sum(draw.random() < step.weight_percent / 100 for _ in range(requests_per_minute))
        stable = requests_per_minute - candidate
        failed = sum(draw.random() < stable_rate for _ in range(stable))
        rows.append(
            Row(Tally(stable, candidate, failed, sum(draw.random() < candidate_rate for _ in range(candidate))))
        )
    return judging.examine("errors", rows, Judge()).convicted_at is not None


@pytest.mark.parametrize(("requests_per_minute", "bakes"), [(40, 200), (600, 100), (6000, 40)])
def test_the_judge_convicts_the_smallest_harm_as_often_as_forecast(requests_per_minute, bakes):
    """The forecast is a formula; the judge it speaks of pools bets, shares them anew and corrects for dispersion.

    Measured by a script with the judge's own code (Poisson traffic, random routing, stable rates of 0, 0.1 and 1 %; 400
    bakes each of up to 5 minutes, 100 of an hour) as the share convicted at the smallest harm, which should be 95 %:

    | requests a minute | 10 %, 2-3 min | 10 %, 5 min | 50 %, 2-5 min | 10 %, 1 h | 50 %, 1 h |
    |-------------------|---------------|-------------|---------------|-----------|-----------|
    | 40                | 96-97 %       | 94-99 %     | 98-100 %      | 98-100 %  | 99-100 %  |
    | 600               | 94-99 %       | 95-97 %     | 98-99 %       | 99-100 %  | 98-100 %  |
    | 6000              | 94-100 %      | 96-97 %     | 97-100 %      | 97 %      | 100 %     |

    The steps of one rollout together (default, or linear by the minute): 93-100 %. Slow requests, up to half an hour:
    97-99 %. One minute, a catastrophe: 99 %. At 2 and 8 requests a minute: 90-100 %. Below that it promises too much:
    83 % at one request in two minutes.
    """
    step = Step(10, 300)
    smallest = harm(step, day(requests_per_minute)) / 100
    draw = random.Random(1)  # noqa: S311 - a seeded draw: the same bakes each time
    convicted = sum(convicts(step, requests_per_minute, 0.001, smallest, draw) for _ in range(bakes))
    assert convicted / bakes == pytest.approx(0.95, abs=0.05)


def test_every_step_is_forecast_and_nothing_is_compared_at_100_percent():
    found = forecast(DEFAULT_STEPS, day(600), Judge())
    assert [step.weight_percent for step in found.steps] == [10, 50, 100]
    assert [step.candidate_requests for step in found.steps] == [300, 1500, 3000]
    first, second, last = (step.smallest_harm_percent for step in found.steps)
    assert first == pytest.approx(3.95, abs=0.05)
    assert second < first
    assert last is None
    assert not found.warnings


@pytest.mark.parametrize("judge", [Judge(), SLOW_ONLY])
def test_more_requests_and_a_better_stable_version_show_smaller_harm(judge):
    by_traffic = [harm(Step(10, 300), day(rate), judge) for rate in (60, 600, 6000)]
    by_bake = [harm(Step(10, seconds), day(60), judge) for seconds in (300, 900, 3600, 4 * 3600)]
    for harms in (by_traffic, by_bake):
        assert sorted(harms, reverse=True) == harms
    by_rate = [harm(Step(10, 300), day(600, failing)) for failing in (0, 0.001, 0.01, 0.1)]
    assert sorted(by_rate) == by_rate


def test_one_minute_shows_only_a_catastrophe():
    assert harm(Step(10, 60), day(6000)) > 50
    assert harm(Step(10, 180), day(6000)) < 2


def test_one_minute_of_few_requests_or_against_a_failing_stable_version_shows_nothing():
    assert harm(Step(10, 60), day(200)) is None
    assert harm(Step(10, 60), day(6000, failing=0.2)) is None


def test_minutes_that_are_judged_together_are_one_row():
    assert harm(Step(50, 300), day(1.9)) is None
    assert harm(Step(50, 300), day(10)) < harm(Step(50, 300), day(9.9))


def test_slow_requests_do_not_count_while_the_candidate_warms_up():
    assert harm(Step(50, 120), day(6000), SLOW_ONLY) is None
    assert harm(Step(50, 300), day(6000), SLOW_ONLY) < 5


def test_a_blind_canary_is_warned_of_with_a_bake_that_sees():
    sentence = warning(canary(10, 300), day(40))
    assert sentence == (
        'At 40 requests a minute, 10 % for 5 min sees only failures above 45 %: use "steps":'
        ' [{"weight": 10, "bake_seconds": 1800}, {"weight": 100, "bake_seconds": 0}],'
        " where the first step sees failures above 8.8 %"
    )
    assert not forecast(pasted(sentence), day(40), Judge()).warnings
    assert forecast((Step(10, 1500), Step(100, 0)), day(40), Judge()).warnings


def test_the_warning_is_about_the_step_that_sees_most_and_keeps_the_weights():
    sentence = warning(DEFAULT_STEPS, day(40))
    assert sentence.startswith("At 40 requests a minute, even 50 % for 5 min sees only failures above 21 %: use")
    assert pasted(sentence) == (Step(10, 1800), *DEFAULT_STEPS[1:])


def test_where_a_day_is_too_short_a_larger_first_weight_is_proposed():
    sentence = warning(exponential(2, 300), day(1))
    assert sentence.startswith("At 1 request a minute, even 64 % for 5 min sees no failures at all: use")
    first, *later = pasted(sentence)
    assert first.weight_percent == 25
    assert first.bake_seconds <= 24 * 3600
    assert [step.weight_percent for step in later] == [32, 64, 100]


@pytest.mark.parametrize("steps", [DEFAULT_STEPS, all_at_once()])
def test_too_little_traffic_is_said_with_what_decides_instead(steps):
    sentence = warning(steps, day(0.1))
    assert sentence.endswith(
        "this alias has too little traffic to compare versions,"
        " so alarms, smoke tests, a longer last bake and health.when_inconclusive decide"
    )


def test_only_too_little_traffic_is_a_reason_to_wait_longer_for_a_fix():
    """Beside a stable version that fails no harm is seen, and that the candidate fails less is."""
    broken = day(600, failing=0.95)
    assert harm(DEFAULT_STEPS[1], broken) is None
    assert not forecast(DEFAULT_STEPS, broken, Judge()).warnings
    assert pasted(warning(all_at_once(), broken)) == DEFAULT_STEPS
    assert "the stable version itself is too bad" in warning(DEFAULT_STEPS, day(0.5, failing=0.95))


def test_a_rate_that_the_stable_version_has_itself_is_no_blindness():
    assert harm(DEFAULT_STEPS[1], day(600, failing=0.2)) > 30
    assert not forecast(DEFAULT_STEPS, day(600, failing=0.2), Judge()).warnings


def test_short_steps_are_judged_together():
    steps = linear(10, 60)
    assert harm(steps[8], day(600)) > 50
    assert not forecast(steps, day(600), Judge()).warnings
    assert warning(steps[:1] + steps[-1:], day(600))


def test_a_proposal_of_many_steps_is_cut_short():
    assert pasted(warning(linear(1, 60), day(8))) == (Step(25, 4500), Step(50, 300), Step(100, 300))


def test_slow_requests_are_forecast_where_only_they_are_judged():
    sentence = warning(canary(10, 300), day(40), SLOW_ONLY)
    assert "sees only slow requests above 86 %" in sentence
    assert not forecast(pasted(sentence), day(40), SLOW_ONLY).warnings


@pytest.mark.parametrize("quantile", ["p50", "p90"])
def test_a_lower_quantile_is_forecast_where_only_it_is_judged(quantile):
    assert harm(Step(10, 900), day(600), SLOW_ONLY.with_quantiles({quantile: Judge().errors})) is not None


def test_where_nothing_is_judged_nothing_is_forecast():
    assert forecast(DEFAULT_STEPS, day(600), Judge(errors=None, slow=None)) == Forecast((), ())


def test_all_at_once_compares_nothing():
    sentence = warning(all_at_once(), day(600))
    assert sentence.startswith("nothing is compared: at 100 % there is no stable traffic; use")
    assert pasted(sentence) == DEFAULT_STEPS
    assert not forecast(pasted(warning(all_at_once(), day(40))), day(40), Judge()).warnings


@pytest.mark.parametrize(
    "baseline", [TrafficBaseline(), TrafficBaseline(requests=3, errors=0, requests_per_minute=0.0)]
)
def test_without_traffic_nothing_can_be_said(baseline):
    found = forecast(DEFAULT_STEPS, baseline, Judge())
    assert found.warnings == (NO_BASELINE,)
    assert {(step.candidate_requests, step.smallest_harm_percent) for step in found.steps} == {(0, None)}
    assert forecast(all_at_once(), baseline, Judge()).warnings[1:] == (NO_BASELINE,)


@given(
    weight=st.floats(0.01, 99.99),
    bake_seconds=st.integers(0, 30 * 24 * 3600),
    requests_per_minute=st.floats(0, 1e6),
    failing=st.floats(0, 1),
    judge=st.sampled_from([Judge(), SLOW_ONLY, Judge(false_rollback=1e-6, slow=None)]),
)
def test_any_step_has_a_forecast(weight, bake_seconds, requests_per_minute, failing, judge):
    steps = (Step(weight, bake_seconds), Step(100, 0))
    found = forecast(steps, day(requests_per_minute, failing), judge)
    smallest = found.steps[0].smallest_harm_percent
    assert smallest is None or 0 < smallest <= 100
    assert len(found.warnings) <= 1


ORDERS = CustomMetric("orders failed", TOLERATED_ERRORS, Series("Shop", "OrdersFailed", (("version", "{version}"),)))
MEDIAN = {"p50": TOLERATED_SLOW["p50"]}


@pytest.mark.parametrize(
    ("judge", "what"),
    [
        (Judge(metrics=(ORDERS,)), "failures"),
        (Judge(durable=True), "failed executions"),
        (SLOW_ONLY, "slow requests"),
        (SLOW_ONLY.with_quantiles(MEDIAN), "slow requests"),
        (Judge(errors=None, metrics=(ORDERS,)).with_quantiles({}), "orders failed"),
    ],
)
def test_whatever_alone_is_judged_is_what_the_steps_are_said_to_see(judge, what):
    traffic = TrafficBaseline(864_000, 864, 600.0, 400.0, p50_ms=80.0, metrics=(MetricBaseline(ORDERS.name, 860_000),))
    metric = foremost(judge.judged())
    assert metric
    assert bad_of(metric) == what
    assert all(step.smallest_harm_percent for step in forecast(DEFAULT_STEPS, traffic, judge).steps[:-1])


@pytest.mark.parametrize(
    ("above", "said"),
    [(None, "it is compared only in minutes in which both versions have it"), ("p99", "it is not judged")],
)
def test_what_a_new_metric_can_do_is_said(above, said):
    unseen = replace(ORDERS, above=above, new=True, proves=False)
    assert said in warning(DEFAULT_STEPS, day(600), Judge(metrics=(unseen,)))
