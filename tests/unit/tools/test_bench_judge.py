"""The judge's peers: they say what their authors' tests, a hand, or a full enumeration say."""

import contextlib
import copy
import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judge import cases, rules, score
from bench.judge.cases import CasesUnusable
from bench.judge.rules import Table
from bench.judge.score import Outcome

QUIET = {"n": 90, "errors": 0, "slow": 0}
SILENT = {"n": None, "errors": None, "slow": None}


def counts(n, errors=0, slow=0):
    return {"n": n, "errors": errors, "slow": slow}


def recorded(candidates, stables=None, label="bad", onset=0, weights=None, id_="a"):
    """A case as a file has it; every minute is complete two minutes after its start."""
    stables = stables or [QUIET] * len(candidates)
    weights = weights or [0.1] * len(candidates)
    return {
        "id": id_,
        "name": id_,
        "minutes": [
            {"t": t, "w": w, "seen_at": t + 2, "b": dict(b), "c": dict(c)}
            for t, (w, b, c) in enumerate(zip(weights, stables, candidates, strict=True))
        ],
        "truth": {"label": label, "onset": onset, "expected_excess": [10.0] * len(candidates)},
    }


def case(*args, **kwargs):
    (found,) = cases.from_json({"cases": [recorded(*args, **kwargs)]})
    return found


def rollback(rule, *args, view=cases.settled, **kwargs):
    found = rules.replay(rules.RULES[rule], case(*args, **kwargs), view)
    return found.verdict, found.minute


# --- Alarms and thresholds --------------------------------------------------------------------------------------------


def test_two_minutes_in_a_row_with_an_error_of_either_version_set_off_the_codedeploy_alarm():
    error, none = counts(10, 1), counts(10)
    assert rollback("codedeploy", [error, none, error, none] * 3) == ("pass", None)
    assert rollback("codedeploy", [none, error, error, none, none, none]) == ("fail", 5)
    assert rollback("codedeploy", [none] * 6, [QUIET, *[counts(90, 1)] * 5]) == ("fail", 5)


def test_an_alarm_that_sees_minutes_as_they_come_is_a_minute_earlier():
    assert rollback("codedeploy", [counts(10, 1)] * 6) == ("fail", 4)
    assert rollback("codedeploy", [counts(10, 1)] * 6, view=cases.visible) == ("fail", 3)


def test_the_rate_alarm_wants_one_percent_of_the_alias_in_two_minutes_of_three():
    under, at = counts(10, 0), counts(10, 1)
    assert rollback("error_rate_alarm", [at, under, under] * 4) == ("pass", None)
    assert rollback("error_rate_alarm", [under, at, under, at, under, under, under]) == ("fail", 6)
    assert rollback("error_rate_alarm", [counts(9, 0)] * 7, [counts(91, 1)] * 7) == ("fail", 4)


def test_the_rate_alarm_has_a_twin_on_slow_requests_at_more_than_three_percent():
    assert rollback("error_rate_alarm", [counts(10, 0, 3)] * 7) == ("pass", None)
    assert rollback("error_rate_alarm", [counts(10, 0, 4)] * 7) == ("fail", 4)


def test_flagger_counts_failed_checks_wherever_they_are_and_takes_silence_for_failure():
    bad, good = counts(10, 1), counts(10)
    assert rollback("flagger", [bad, good] * 4 + [good] * 3) == ("pass", None)
    assert rollback("flagger", [bad, good] * 4 + [bad, good, good]) == ("fail", 11)
    assert rollback("flagger", [SILENT] * 10) == ("fail", 7)


def test_argo_fails_at_the_fourth_failed_measurement_and_cannot_measure_silence():
    bad, good = counts(10, 1), counts(10)
    assert rollback("argo", [bad] * 3 + [good] * 5) == ("pass", None)
    assert rollback("argo", [bad] * 3 + [good, counts(100, 0, 4), good, good]) == ("fail", 7)
    assert rollback("argo", [SILENT] * 10) == ("pass", None)


@pytest.mark.parametrize("rule", ["flagger", "argo"])
def test_exactly_one_percent_is_within_the_candidates_limit(rule):
    assert rollback(rule, [counts(100, 1)] * 20) == ("pass", None)


# --- Kayenta ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "control", "expected"),
    [
        pytest.param([0, 1, 2, 1, 0, 0], [0] * 6, "pass", id="kayenta #426, sparse errors"),
        pytest.param([100] * 7 + [1] * 3, [1] * 10, "pass", id="spinnaker #6278, 7 minutes of 10 at 100 times"),
        pytest.param([100] * 8 + [1] * 2, [1] * 10, "high", id="spinnaker #6278, 8 minutes of 10"),
        pytest.param([1, 2, 3], [3, 1, 2], "pass", id="the same values"),
        pytest.param([5, 5], [5, 5, 5], "pass", id="one constant"),
        pytest.param([6] * 10, [5] * 10, "high", id="two constants"),
        pytest.param([5] * 10, [6] * 10, "pass", id="lower is no harm"),
        pytest.param([], [1], "no data", id="no experiment"),
        pytest.param([1], [], "no data", id="no control"),
        pytest.param([2], [1], "error", id="nothing to compute a variance from"),
    ],
)
def test_kayentas_classification(experiment, control, expected):
    assert rules.classify(experiment, control) == expected


def test_kayentas_interval_is_that_of_its_unit_test():
    assert rules.shift([10, 20, 30, 40], [1, 2, 3, 4], 0.95) == rules.Shift(lower=6, estimate=22.5, upper=39)


def test_kayentas_interval_in_the_issue_reaches_down_to_no_difference():
    found = rules.shift([100] * 7 + [1] * 3, [1] * 10, rules.KAYENTA_CONFIDENCE)
    assert (found.lower, found.estimate) == (0, 99)


def _z(experiment, control, moved):
    """The corrected z of the rank sum, by ranks, as MannWhitney.scala has it."""
    values = [a - moved for a in experiment] + list(control)
    rank = {v: sum(o < v for o in values) + (values.count(v) + 1) / 2 for v in values}
    m, n = len(experiment), len(control)
    dz = sum(rank[v] for v in values[:m]) - m * (m + 1) / 2 - m * n / 2
    ties = sum(values.count(v) ** 3 - values.count(v) for v in set(values))
    sigma = math.sqrt(m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1))))
    return (dz - (0.5 if dz > 0 else -0.5 if dz < 0 else 0)) / sigma


values = st.lists(st.integers(0, 12), min_size=3, max_size=9)


@given(values, values)
def test_the_bounds_are_where_the_rank_sum_crosses_the_quantiles(experiment, control):
    found = rules.shift(experiment, control, 0.98)
    quantile = 2.3263478740408408
    differences = [a - b for a, b in itertools.product(experiment, control)]
    assert _z(experiment, control, found.lower + 0.5) <= quantile
    assert found.lower == min(differences) or _z(experiment, control, found.lower - 0.5) > quantile
    assert _z(experiment, control, found.upper - 0.5) > -quantile
    assert found.upper == max(differences) or _z(experiment, control, found.upper + 0.5) <= -quantile


def test_kayenta_speaks_at_the_end_of_each_step_of_that_step_alone():
    steps = [0.1] * 10 + [0.5] * 12
    assert rollback("kayenta", [counts(10, 5)] * 22, weights=steps) == ("fail", 10)
    late = [counts(10)] * 10 + [counts(10, 5)] * 12
    assert rollback("kayenta", late, weights=steps) == ("fail", 22)


def test_kayenta_fails_a_step_that_has_no_control():
    alone = [QUIET] * 10 + [SILENT] * 10
    steps = [0.5] * 10 + [1.0] * 10
    assert rollback("kayenta", [counts(10)] * 20, alone, weights=steps) == ("fail", 20)


# --- Fisher and the safe test -----------------------------------------------------------------------------------------


def test_fishers_p_value_of_the_lady_tasting_tea():
    assert rules.fisher_p_value(Table(1, 4, 3, 4)) == pytest.approx(17 / 70)
    assert rules.fisher_p_value(Table(3, 4, 1, 4)) == pytest.approx(69 / 70)


tables = st.tuples(st.integers(0, 40), st.integers(0, 40)).flatmap(
    lambda sizes: st.builds(
        Table, st.integers(0, sizes[0]), st.just(sizes[0]), st.integers(0, sizes[1]), st.just(sizes[1])
    )
)


@given(tables)
def test_fishers_p_value_counts_the_ways(table):
    drawn = table.stable_bad + table.candidate_bad
    ways = [math.comb(table.candidate, k) * math.comb(table.stable, drawn - k) for k in range(drawn + 1)]
    expected = sum(ways[table.candidate_bad :]) / math.comb(table.stable + table.candidate, drawn)
    assert rules.fisher_p_value(table) == pytest.approx(expected, abs=1e-10)


def test_fisher_copes_with_large_tables():
    assert rules.fisher_p_value(Table(30_000, 10**8, 30_000, 10**8)) == pytest.approx(0.5, abs=0.01)
    assert rules.fisher_p_value(Table(0, 10**8, 10**6, 10**8)) == 0


def test_fisher_rolls_back_at_the_first_poll_below_five_percent():
    assert rollback("fisher", [counts(10, 1)] * 8) == ("fail", 4)
    assert rollback("fisher", [counts(10, 0, 1)] * 8) == ("fail", 4)
    assert rollback("fisher", [counts(10)] * 8, [counts(90, 9)] * 8) == ("pass", None)


def _probability(bad, n, p):
    return math.comb(n, bad) * p**bad * (1 - p) ** (n - bad)


@pytest.mark.parametrize("sizes", [((2, 3), (3, 2)), ((4, 1), (1, 4)), ((3, 3), (5, 2))])
@pytest.mark.parametrize("stable", [0.0, 0.05, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("no_worse_by", [0.0, 0.04, 0.25])
def test_the_safe_tests_value_is_one_at_most_on_average_while_the_candidate_is_no_worse(sizes, stable, no_worse_by):
    candidate = max(0.0, stable - no_worse_by)
    mean = 0.0
    for outcome in itertools.product(*(range(n + 1) for block in sizes for n in block)):
        blocks = [Table(outcome[2 * i], nb, outcome[2 * i + 1], nc) for i, (nb, nc) in enumerate(sizes)]
        chance = math.prod(
            _probability(block.stable_bad, block.stable, stable)
            * _probability(block.candidate_bad, block.candidate, candidate)
            for block in blocks
        )
        mean += chance * math.exp(rules.safe_log_e_values(blocks)[-1])
    assert mean <= 1 + 1e-9


def test_the_safe_test_bets_nothing_in_the_first_block_and_then_what_it_learnt():
    first, second = Table(0, 10, 5, 10), Table(0, 10, 10, 10)
    stable, candidate = 0.18 / 10.36, 5.18 / 10.36
    both = (stable + candidate) / 2
    expected = 10 * math.log(candidate / both) + 10 * math.log((1 - stable) / (1 - both))
    assert rules.safe_log_e_values([first, second]) == pytest.approx([0, expected])


def test_the_safe_test_finds_harm_of_either_metric():
    assert rollback("turner_ly_grunwald", [counts(10, 10)] * 8) == ("fail", 4)
    assert rollback("turner_ly_grunwald", [counts(10, 0, 10)] * 8) == ("fail", 4)
    assert rollback("turner_ly_grunwald", [counts(10)] * 8) == ("pass", None)


maybe = st.none() | st.integers(0, 50)
any_counts = st.fixed_dictionaries({"n": maybe, "errors": maybe, "slow": maybe})


@given(st.lists(st.tuples(any_counts, any_counts, st.sampled_from([0.0, 0.1, 1.0])), max_size=12))
def test_every_rule_says_something_whatever_is_missing(minutes):
    stables, candidates, weights = zip(*minutes, strict=True) if minutes else ((), (), ())
    odd = case(candidates, stables, weights=weights)
    for view in (cases.settled, cases.visible):
        for by_case in rules.replay_all([odd], view).values():
            verdict, minute = by_case["a"].verdict, by_case["a"].minute
            assert (verdict == "fail") == (minute is not None)


# --- Scores -----------------------------------------------------------------------------------------------------------


def three_cases():
    found = [
        recorded([QUIET] * 8, label="good", id_="g"),
        recorded([QUIET] * 8, onset=2, id_="b1"),
        recorded([QUIET] * 8, onset=None, id_="b2"),
    ]
    return cases.from_json({"cases": found})


def test_a_case_brings_its_day_before_its_judge_and_what_an_oracle_hurts():
    document = recorded([QUIET] * 2, id_="a") | {
        "history": {"requests": 1440, "errors": 24, "requests_per_minute": 1.0, "p99_known": False},
        "judge": {"slow": {"warm_up_seconds": 720}},
        "regime": "JIT",
    }
    document["truth"] = {**document["truth"], "oracle2_hurt": 4.0}
    (case,) = cases.from_json({"cases": [document]})
    assert case.history == cases.History(1440, 24, 1.0, p99_known=False)
    assert (case.judge.slow.warm_up_seconds, case.regime, case.truth.oracle2_hurt) == (720, "JIT", 4.0)


def test_a_judge_that_no_request_could_have_is_a_problem_of_the_file():
    document = recorded([QUIET], id_="a") | {"judge": {"slow": {"warm_up": 720}}, "history": {"requests": -1}}
    with pytest.raises(cases.CasesUnusable) as caught:
        cases.from_json({"cases": [document]})
    said = str(caught.value)
    assert "case a: judge.slow.warm_up" in said
    assert "case a: history.requests" in said


def test_regimes_are_scored_beside_the_oracle():
    document = {"cases": []}
    for number, regime in enumerate(("outage", "outage", "leak")):
        case = recorded([QUIET] * 4, onset=0, id_=f"c{number}") | {"regime": regime}
        case["truth"] = {**case["truth"], "expected_excess": [10.0] * 4, "oracle2_hurt": 20.0}
        document["cases"].append(case)
    found = cases.from_json(document)
    scored = score.regimes(found, {"c0": Outcome("fail", 2), "c1": Outcome("fail", 4), "c2": Outcome("pass")})
    assert {name: (one.requests_hurt, one.oracle2_hurt, one.ratio) for name, one in scored.items()} == {
        "outage": (60, 40.0, 1.5),
        "leak": (40, 20.0, 2.0),
    }
    assert "leak" in score.table_of_regimes(scored)


def test_a_score_counts_false_rollbacks_misses_minutes_and_harm():
    outcomes = {"g": Outcome("inconclusive"), "b1": Outcome("fail", 7), "b2": Outcome("pass")}
    assert score.score(three_cases(), outcomes).to_json() == {
        "good": 1,
        "false_rollbacks": 0,
        "bad": 2,
        "misses": 1,
        "median_minutes": 5.0,
        "requests_hurt": 150,
        "oracle2_hurt": None,
        "ratio": None,
        "verdicts": {"g": ["inconclusive", None], "b1": ["fail", 7], "b2": ["pass", None]},
    }


def test_a_rule_that_catches_nothing_has_no_median():
    outcomes = {"g": Outcome("fail", 1), "b1": Outcome("pass"), "b2": Outcome("inconclusive")}
    found = score.score(three_cases(), outcomes)
    assert (found.false_rollbacks, found.misses, found.median_minutes, found.requests_hurt) == (1, 2, None, 160)


def test_harm_that_only_the_end_sees_is_caught_and_all_done():
    outcomes = {"g": Outcome("pass"), "b1": Outcome("fail"), "b2": Outcome("fail", 3)}
    found = score.score(three_cases(), outcomes)
    assert (found.misses, found.median_minutes, found.requests_hurt) == (0, 3.0, 110)


def test_no_cases_are_scored_as_nothing():
    found = score.score((), {})
    assert (found.good, found.bad, found.median_minutes, found.requests_hurt) == (0, 0, None, 0)


def test_the_table_is_aligned_text():
    outcomes = {
        "rule": {"g": Outcome("pass"), "b1": Outcome("fail", 7), "b2": Outcome("fail", 4)},
        "never": dict.fromkeys(("g", "b1", "b2"), Outcome("pass")),
    }
    assert score.table(score.scores(three_cases(), outcomes)).splitlines() == [
        "rule   false rollbacks  misses  median minutes  requests hurt",
        "rule            0 of 1  0 of 2             4.5            110",
        "never           0 of 1  2 of 2               –            160",
    ]


# --- Files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_read(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"schema": "…", "cases": [recorded([QUIET, SILENT], weights=[0.5, 1.0])]}))
    (found,) = cases.read(path)
    assert found.minutes[1].candidate == cases.NO_DATAPOINTS
    assert [(step.weight, step.start, step.end) for step in found.steps] == [(0.5, 0, 1), (1.0, 1, 2)]


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "cases.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CasesUnusable, match="not readable JSON"):
        cases.read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CasesUnusable, match="not readable JSON"):
        cases.read(tmp_path / "none.json")


@pytest.mark.parametrize("document", [None, [], 3, {}, {"cases": None}, {"cases": [None]}, {"cases": [{}]}])
def test_what_is_no_list_of_cases_is_refused(document):
    with pytest.raises(CasesUnusable):
        cases.from_json(document)


def test_every_problem_is_listed():
    first = recorded([QUIET] * 2)
    second = copy.deepcopy(first)
    del first["minutes"][0]["b"], first["minutes"][1]["c"]["errors"], first["truth"]["onset"]
    first["minutes"][0]["w"] = 10
    second["minutes"][1] |= {"t": 0, "seen_at": None, "c": counts(-1, True)}
    second["truth"] = {"label": "ugly", "expected_excess": [math.nan]}
    with pytest.raises(CasesUnusable) as refused:
        cases.from_json({"cases": [first, second, recorded([QUIET], id_="c") | {"truth": {"label": "bad"}}]})
    assert refused.value.problems == (
        "case a: minutes[0].w is 10, not a fraction from 0 to 1",
        "case a: minutes[0] has no b",
        "case a: minutes[1].c has no errors",
        "case a: truth has no onset",
        "case a: minutes[1].seen_at is None, not a whole number from 0",
        "case a: minutes[1].c.n is -1, not a whole number from 0, or null",
        "case a: minutes[1].c.errors is True, not a whole number from 0, or null",
        "case a: the minutes' t do not rise",
        'case a: truth.label is \'ugly\', not "good" or "bad"',
        "case c: truth has no onset",
        "case c: truth has no expected_excess",
        "the id 'a' is given twice",
    )
    assert all(problem in str(refused.value) for problem in refused.value.problems)


def test_harm_must_be_told_for_every_minute():
    short = recorded([QUIET] * 3)
    short["truth"]["expected_excess"].pop()
    with pytest.raises(CasesUnusable, match="speaks of 2 minutes, the case has 3"):
        cases.from_json({"cases": [short]})


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "t", "b", "n", "label"]), inner),
    max_leaves=6,
)


@given(any_json, st.sampled_from(["id", "minutes", "truth", "t", "w", "seen_at", "b", "c", "n", "label", "onset"]))
def test_nothing_but_its_own_error_comes_out_of_reading(value, key):
    document = {"cases": [recorded([QUIET, QUIET])]}
    found = document["cases"][0]
    for record in (found, found["truth"], found["minutes"][0], found["minutes"][0]["c"]):
        if key in record:
            record[key] = value
    with contextlib.suppress(CasesUnusable):
        cases.from_json(document)
