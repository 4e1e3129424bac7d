"""What handlers print in the embedded metric format is what CloudWatch then has.

Source: CloudWatch user guide, "Specification: Embedded metric format"; each test names the part that it is about.
"""

import json

import pytest

from sandbox.aws.embedded_metrics import EmbeddedMetrics

#: The specification's own shape: two sets of dimensions, one metric with a list of values.
EVENT = {
    "_aws": {
        "Timestamp": 1767614400000,
        "CloudWatchMetrics": [
            {
                "Namespace": "Shop",
                "Dimensions": [["service"], ["service", "outcome"]],
                "Metrics": [{"Name": "Rollouts", "Unit": "Count"}, {"Name": "Seconds", "Unit": "Seconds"}],
            }
        ],
    },
    "service": "tidegate",
    "outcome": "promoted",
    "Rollouts": [1.0, 2.0],
    "Seconds": 7,
}


def put_by(*lines):
    """The parameters of PutMetricData that log lines come to."""
    put = []
    EmbeddedMetrics(lines, put.append).catch_up(0, 0)
    return put


def event(directives=None, timestamp=1767614400000, **members):
    """The event above with other directives or root members; a directive's own keys replace those of the first one."""
    first = EVENT["_aws"]["CloudWatchMetrics"][0]
    metadata = {"Timestamp": timestamp, "CloudWatchMetrics": [{**first, **each} for each in directives or [{}]]}
    return json.dumps({**EVENT, "_aws": metadata, **members})


def test_a_line_is_a_datapoint_for_each_set_of_dimensions():
    put = []
    EmbeddedMetrics(["hello", json.dumps(EVENT)], put.append).catch_up(0, 0)
    (request,) = put
    assert request["Namespace"] == "Shop"
    found = {
        (datum["MetricName"], tuple(one["Value"] for one in datum["Dimensions"])): datum["Values"]
        for datum in request["MetricData"]
    }
    assert found == {
        ("Rollouts", ("tidegate",)): [1.0, 2.0],
        ("Rollouts", ("tidegate", "promoted")): [1.0, 2.0],
        ("Seconds", ("tidegate",)): [7],
        ("Seconds", ("tidegate", "promoted")): [7],
    }
    assert {datum["Timestamp"] for datum in request["MetricData"]} == {1767614400}


def test_a_line_is_read_once():
    lines, put = [json.dumps(EVENT)], []
    printed = EmbeddedMetrics(lines, put.append)
    printed.catch_up(0, 0)
    printed.catch_up(0, 0)
    lines.append(json.dumps(EVENT))
    printed.catch_up(0, 0)
    assert len(put) == 2


def test_each_directive_has_a_namespace_metrics_and_dimensions_of_its_own():
    """MetricDirective object: CloudWatchMetrics is an array of them."""
    directives = [{"Metrics": [{"Name": "Seconds"}]}, {"Namespace": "Store", "Dimensions": [["outcome"]]}]
    first, second = put_by(event(directives))
    assert (first["Namespace"], second["Namespace"]) == ("Shop", "Store")
    assert {datum["MetricName"] for datum in first["MetricData"]} == {"Seconds"}
    assert [datum["Dimensions"] for datum in second["MetricData"]] == 2 * [[{"Name": "outcome", "Value": "promoted"}]]


def test_a_set_of_dimensions_may_be_empty():
    """DimensionSet array: it MAY be empty; the metric then has no dimension."""
    (request,) = put_by(event([{"Dimensions": [[]]}]))
    assert [datum["Dimensions"] for datum in request["MetricData"]] == [[], []]


def test_a_list_of_no_values_is_no_datapoint():
    (request,) = put_by(event(Rollouts=[]))
    assert {datum["MetricName"] for datum in request["MetricData"]} == {"Seconds"}


def test_what_the_specification_does_not_name_is_ignored():
    """Document structure: members that are not recognised MUST be ignored; the root node MAY have any others."""
    metrics = [{"Name": "Seconds", "Unit": "Seconds", "StorageResolution": 1, "Colour": "red"}]
    (request,) = put_by(event([{"Metrics": metrics, "Colour": "red"}], anything={"nested": [None]}))
    assert [datum["Values"] for datum in request["MetricData"]] == [[7], [7]]


def test_as_much_as_the_specification_allows():
    """MetricDefinition: 100 at most; DimensionSet: 30 keys at most; Target members: 100 values at most."""
    dimensions = {f"dimension{number}": "x" * 1024 for number in range(30)}
    metrics = {f"metric{number}": [number] * 100 for number in range(100)}
    directive = {"Dimensions": [[*dimensions]], "Metrics": [{"Name": name} for name in metrics]}
    (request,) = put_by(event([directive], **dimensions, **metrics))
    assert len(request["MetricData"]) == 100
    assert all(len(datum["Dimensions"]) == 30 and len(datum["Values"]) == 100 for datum in request["MetricData"])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[INFO] " + event(), id="Root node: no additional data at the beginning"),
        pytest.param(event() + " done", id="Root node: nor at the end"),
        pytest.param(f"[{event()}]", id="Root node: an object"),
        pytest.param('{"_aws": "Timestamp"}', id="Metadata object: an object"),
        pytest.param('{"_aws": {"Timestamp": 1}}', id="Metadata object: with CloudWatchMetrics"),
        pytest.param(event(timestamp="now"), id="Metadata object: Timestamp is a number"),
        pytest.param(event([{"Namespace": None}]), id="MetricDirective: Namespace is a string"),
        pytest.param(event([{"Dimensions": []}]), id="JSON schema: one set of dimensions at least"),
        pytest.param(event([{"Dimensions": [["colour"]]}]), id="Root node: all target members, of dimensions"),
        pytest.param(event([{"Metrics": [{"Name": "Hours"}]}]), id="Root node: all target members, of metrics"),
        pytest.param(event([{"Metrics": [{}]}]), id="MetricDefinition: Name"),
        pytest.param(event([{"Metrics": 101 * [{"Name": "Seconds"}]}]), id="MetricDirective: 100 metrics at most"),
        pytest.param(
            event([{"Dimensions": [[f"d{n}" for n in range(31)]]}], **{f"d{n}": "x" for n in range(31)}),
            id="DimensionSet: 30 keys at most",
        ),
        pytest.param(event(outcome=7), id="Target members: a dimension is a string"),
        pytest.param(event(outcome="x" * 1025), id="Dimension: 1,024 characters at most"),
        pytest.param(event(Seconds="7"), id="Target members: a metric is a number"),
        pytest.param(event(Seconds=True), id="Target members: true is none"),
        pytest.param(event(Seconds=float("nan")), id="JSON knows no NaN"),
        pytest.param(event(Seconds=2**361), id="MetricDatum: within 2^360"),
        pytest.param(event(Rollouts=[1, None]), id="Target members: nor is null"),
        pytest.param(event(Rollouts=[1] * 101), id="Target members: 100 values at most"),
        pytest.param(event([{"Metrics": [{"Name": "A.a"}]}], A={"a": 1}), id="Target members: not nested"),
    ],
)
def test_what_breaks_a_rule_is_no_metric_at_all(line):
    assert put_by("before", line, event()) == put_by(event())
