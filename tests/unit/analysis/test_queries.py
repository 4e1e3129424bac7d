"""What a look asks of CloudWatch, and what its answers say: what is not there is unknown, and never zero."""

import pytest

from tidegate.alias import Alias
from tidegate.analysis.measurement import Counts
from tidegate.analysis.metric import TOLERATED_ERRORS, CustomMetric, Series
from tidegate.analysis.queries import Asked, Bands, VersionQueries, day_queries, rollout_queries

LIVE = Alias("checkout", "live")
QUANTILES = {"p50": 80.0, "p90": 200.0, "p99": 400.0}
FAILED = Series("Shop", "OrdersFailed", (("version", "{version}"),))
PLACED = Series("Shop", "OrdersPlaced", (("version", "{version}"),))
ORDERS = CustomMetric("orders failed", TOLERATED_ERRORS, FAILED)
OF_PLACED = CustomMetric("orders failed", TOLERATED_ERRORS, FAILED, PLACED)
SPARSE = CustomMetric("orders failed", TOLERATED_ERRORS, FAILED, PLACED, sparse=True)
MEMORY = CustomMetric("memory", TOLERATED_ERRORS, FAILED, above="p99")


def version(asked, role="candidate"):
    return VersionQueries(role, LIVE, "2", asked)


def orders(metric, requests=10, above=None, **found):
    """The trials of one metric in a minute of so many requests."""
    named = {f"candidate_metric0_{name}": value for name, value in found.items()}
    asked = Asked({}, metrics=(metric,), above={} if above is None else {metric.name: above})
    invoked = {"candidate_requests": requests, "candidate_errors": 0} if requests else {}
    return version(asked).counts({**invoked, **named}).trials(metric.name)


def test_three_quantiles_are_four_bands():
    statistics = [query.statistic for query in version(Asked(QUANTILES)).queries()]
    bands = ["TC(:80.000)", "TC(80.000:200.000)", "TC(200.000:400.000)", "TC(400.000:)"]
    assert statistics == ["Sum", "Sum", "SampleCount", *bands]


def test_a_limit_of_the_users_is_one_edge_more():
    assert len(version(Asked(QUANTILES, 1000.0)).queries()) == len(version(Asked(QUANTILES)).queries()) + 1
    assert version(Asked({"p99": 400.0}, 400.0)).queries() == version(Asked({"p99": 400.0})).queries()


def test_each_quantile_counts_all_that_lies_above_it():
    found = {"requests": 100, "errors": 1, "timed": 100, "band0": 40, "band1": 42, "band2": 11, "band3": 7}
    counts = version(Asked(QUANTILES)).counts({f"candidate_{name}": value for name, value in found.items()})
    assert counts == Counts(100, 1, 100, 7, 0, {"slow p50": (100, 60), "slow p90": (100, 18)})


@pytest.mark.parametrize(
    ("timed", "found", "above"),
    [
        (100, {0: 40, 1: 42, 2: 11, 3: 7}, (60, 18, 7)),
        (100, {0: 40, 1: 42, 2: 11}, (60, 18, 7)),
        (100, {1: 42, 2: 11, 3: 7}, (60, 18, 7)),
        (100, {0: 100}, (0, 0, 0)),
        (100, {3: 100}, (100, 100, 100)),
        (100, {0: 60, 2: 40}, (40, 40, 0)),
        (100, {0: 40}, (60, None, None)),
        (100, {3: 7}, (None, None, 7)),
        (100, {}, (None, None, None)),
        (None, {0: 40, 1: 42, 2: 11, 3: 7}, (60, 18, 7)),
        (None, {0: 40, 1: 42, 2: 11}, (None, None, None)),
    ],
)
def test_what_a_band_without_a_datapoint_holds_follows_from_the_others_or_is_unknown(timed, found, above):
    """The CloudWatch user guide does not say whether a trimmed count of none is a datapoint."""
    bands = Bands("x", FAILED, tuple(QUANTILES.values()))
    answers = {f"x_band{number}": value for number, value in found.items()} | ({"x_timed": timed} if timed else {})
    assert tuple(bands.above(limit, answers) for limit in QUANTILES.values()) == above


def test_a_metric_is_a_part_of_the_requests_where_no_total_is_named():
    assert orders(ORDERS, bad=3) == (10, 3)
    assert orders(ORDERS, bad=30) == (10, 10)
    assert orders(ORDERS, bad=-1) == (10, 0)
    assert orders(ORDERS, requests=0, bad=3) == (0, 0)


def test_a_metric_without_a_datapoint_beside_requests_is_unknown():
    assert orders(ORDERS) is None


def test_a_total_of_its_own_counts_what_could_have_been_bad():
    assert orders(OF_PLACED, bad=3, total=50) == (50, 3)
    assert orders(OF_PLACED, total=50) is None
    assert orders(OF_PLACED, bad=3) == (0, 0)


def test_a_sparse_metric_counts_none_where_its_total_is_there():
    assert orders(SPARSE, total=50) == (50, 0)
    assert orders(SPARSE) == (0, 0)


def test_values_are_bad_above_what_was_found_before():
    assert orders(MEMORY, above=70.0, timed=20, band0=15, band1=5) == (20, 5)
    assert orders(MEMORY, above=70.0, timed=20) is None
    assert orders(MEMORY, above=70.0) == (0, 0)
    assert orders(MEMORY) == (0, 0)


@pytest.mark.parametrize(
    ("above", "edge"),
    [(0.0, "0.000"), (512.25, "512.250"), (0.5, "0.500"), (0.0123, "0.0123"), (0.000_004_56, "0.00000456")],
)
def test_where_bad_begins_is_told_to_three_digits_however_small_it_is(above, edge):
    asked = version(Asked({}, metrics=(MEMORY,), above={MEMORY.name: above}))
    assert [query.statistic for query in asked.queries()][-2:] == [f"TC(:{edge})", f"TC({edge}:)"]
    assert orders(MEMORY, above=above, timed=20, band0=15, band1=5) == (20, 5)


def test_values_of_which_nothing_is_known_are_not_asked_for():
    nothing = Asked({}, metrics=(MEMORY,))
    assert [query.statistic for query in version(nothing).queries()] == ["Sum", "Sum"]


def test_ten_metrics_stay_far_below_what_one_call_takes():
    """API reference, GetMetricData: 500 queries a call, each with an Id of its own."""
    many = tuple(CustomMetric(f"m{number}", TOLERATED_ERRORS, FAILED, PLACED) for number in range(10))
    asked = Asked(QUANTILES, 1000.0, many)
    for queries in (rollout_queries(version(asked, "stable"), version(asked)), day_queries(LIVE, "1", many)):
        idents = [query.ident for query in queries]
        assert len(set(idents)) == len(idents) < 100
