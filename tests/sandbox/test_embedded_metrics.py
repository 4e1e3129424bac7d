"""What handlers print in the embedded metric format is what CloudWatch then has."""

import json

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
