"""How long an alarm needs, from what DescribeAlarms shows of every kind of alarm."""

import pytest

from tidegate.analysis.measurement import AlarmTimes
from tidegate.aws import alarm_times

UNKNOWN = AlarmTimes()


def metric(period, evaluated=1, **more):
    return {"MetricName": "Errors", "Period": period, "EvaluationPeriods": evaluated, **more}


def math(*metrics, evaluated=1, **more):
    return {"EvaluationPeriods": evaluated, "Metrics": list(metrics), **more}


def stat(name, period):
    return {"Id": name, "MetricStat": {"Metric": {}, "Period": period, "Stat": "Sum"}, "ReturnData": False}


def of(expression, **more):
    return {"Id": "e", "Expression": expression, **more}


GROUPED = 'SELECT SUM(Errors)\n FROM SCHEMA("AWS/Lambda", FunctionName) group  by FunctionName'
KINDS = {
    "one minute": (metric(60), AlarmTimes(180)),
    "three times five minutes": (metric(300, 3), AlarmTimes(1020)),
    "two of three": (metric(300, 3, DatapointsToAlarm=2), AlarmTimes(720)),
    "high resolution": (metric(10, 3), AlarmTimes(150)),
    "a day": (metric(86_400), AlarmTimes(86_520)),
    "metric math: its longest period": (
        math(stat("a", 60), stat("b", 300), of("a / b"), evaluated=3, DatapointsToAlarm=2),
        AlarmTimes(720),
    ),
    "an expression with a period of its own": (math(of("TIME_SERIES(1)", Period=120)), AlarmTimes(240)),
    "an anomaly detection band": (
        math(stat("m1", 300), of("ANOMALY_DETECTION_BAND(m1, 2)"), evaluated=2, ThresholdMetricId="e"),
        AlarmTimes(720),
    ),
    "aligned to the clock": (metric(3600, EvaluationWindow={"WallClockWindow": {}}), AlarmTimes(7320)),
    "sliding": (metric(3600, EvaluationWindow={"SlidingWindow": {}}), AlarmTimes(3720)),
    "Metrics Insights": (math(of("SELECT MAX(Errors) FROM Lambda", Period=60)), UNKNOWN),
    "Metrics Insights with groups": (math(of(GROUPED, Period=60)), UNKNOWN),
    "metric math over a query": (math(of("select MAX(Errors) FROM Lambda", Period=60), of("e * 2")), UNKNOWN),
    "PromQL": ({"EvaluationCriteria": {"PromQLCriteria": {"Query": "up"}}, "EvaluationInterval": 60}, UNKNOWN),
    "a log alarm": ({"QueryResultsToEvaluate": 3, "QueryResultsToAlarm": 2}, UNKNOWN),
    "no period": (math(of("a + b")), UNKNOWN),
    "no number of periods": ({"MetricName": "Errors", "Period": 60}, UNKNOWN),
}


@pytest.mark.parametrize(("alarm", "times"), KINDS.values(), ids=KINDS)
def test_what_every_kind_of_alarm_needs(alarm, times):
    assert alarm_times.of_metric(alarm) == times


@pytest.mark.parametrize(
    ("kind", "shared"), [("Metrics Insights with groups", True), ("PromQL", True), ("Metrics Insights", False)]
)
def test_an_alarm_of_many_series_is_known_by_its_query(kind, shared):
    assert alarm_times.has_contributors(KINDS[kind][0]) is shared
    assert not alarm_times.has_contributors(metric(60))
    assert not alarm_times.has_contributors({"AlarmRule": "ALARM(a)"})


ARN = "arn:aws-us-gov:cloudwatch:us-gov-west-1:123456789012:alarm:"


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("ALARM(a)", {"a"}),
        ('ALARM("a") OR (OK("b") AND NOT INSUFFICIENT_DATA ( "c" ))', {"a", "b", "c"}),
        ('alarm("a") or not Ok(b)', {"a", "b"}),
        (f'ALARM("{ARN}a: b") AND TRUE', {"a: b"}),
        (f"ALARM({ARN}a)", {"a"}),
        ('ALARM("checkout/5xx (prod), é ALARM(x)")', {"checkout/5xx (prod), é ALARM(x)"}),
        (r'ALARM("say \"no\" \\")', {'say "no" \\'}),
        ('AT_LEAST(2, ALARM, (a, "b c", d)) OR ALARM(e)', {"a", "b c", "d", "e"}),
        (f"AT_LEAST(60%, NOT OK, ({ARN}a, {ARN}b))", {"a", "b"}),
        ("FALSE", set()),
        ("MOST_OF(ALARM(a), ALARM(b))", set()),
        ("ALARM(a) XOR ALARM(b)", set()),
        ("ALARM(a b)", set()),
        ("", set()),
    ],
)
def test_the_children_of_a_rule_none_where_it_is_not_understood(rule, names):
    assert alarm_times.children(rule) == names


def times_of(watched, account):
    """The times of one alarm of an account, and how often that was asked."""
    calls = []

    def describe(names):
        calls.append(names)
        return {name: account[name] for name in names if name in account}

    return alarm_times.of_all({watched: account[watched]}, describe)[watched], len(calls)


def chain(levels):
    above = {f"c{number}": {"AlarmRule": f"ALARM(c{number + 1})"} for number in range(levels)}
    return {**above, f"c{levels}": metric(300, 3)}


def test_nested_composites_are_followed_within_a_bound():
    assert times_of("c0", chain(5)) == (AlarmTimes(1020), 5)
    assert times_of("c0", chain(6)) == (UNKNOWN, 5)


def test_a_circle_a_lost_child_and_an_unknown_kind_have_no_times():
    circle = {"a": {"AlarmRule": "ALARM(b) OR ALARM(m)"}, "b": {"AlarmRule": "ALARM(a)"}, "m": metric(60)}
    assert times_of("a", circle)[0] == UNKNOWN
    assert times_of("a", {"a": {"AlarmRule": "ALARM(a)"}})[0] == UNKNOWN
    assert times_of("a", {"a": {"AlarmRule": "ALARM(m) OR ALARM(lost)"}, "m": metric(60)})[0] == UNKNOWN
    assert times_of("a", {"a": {"AlarmRule": "ALARM(m) OR ALARM(q)"}, "m": metric(60), "q": {}})[0] == UNKNOWN


def test_children_that_two_share_are_asked_about_once_and_too_many_never():
    shared = {"a": {"AlarmRule": "ALARM(b) OR ALARM(c)"}, "b": {"AlarmRule": "ALARM(m)"}, "c": {"AlarmRule": "OK(m)"}}
    assert times_of("a", {**shared, "m": metric(60, 2)}) == (AlarmTimes(240), 2)
    crowd = [f"m{number}" for number in range(1_001)]
    rule = " OR ".join(f"ALARM({name})" for name in crowd)
    assert times_of("a", {"a": {"AlarmRule": rule}, **dict.fromkeys(crowd, metric(60))}) == (UNKNOWN, 0)
