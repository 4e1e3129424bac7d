"""docs/metrics.md keeps its word: its code emits what its requests name, and what it quotes is what is said."""

import json
import re
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sandbox.aws.embedded_metrics import EmbeddedMetrics
from sandbox.scenario import shipped
from sandbox.story import play
from tests.contract.artifacts import ROOT
from tidegate.alias import Alias
from tidegate.analysis.metric import TOLERATED_SLOW, Series
from tidegate.cli.app import app
from tidegate.request.rollout_request import RolloutRequest

PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for kind, text in BLOCKS if kind == "python"]
DOCUMENTS = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
OWN_METRIC = json.loads((ROOT / "events/own_metric.json").read_text(encoding="utf-8"))
RECORD = {"messageId": "1", "body": "parcel", "eventSource": "aws:sqs", "eventSourceARN": "arn:of:a:queue"}


def judged(*metrics):
    document = {"function_name": "checkout", "alias_name": "live", "health": {"judge": {"metrics": list(metrics)}}}
    return RolloutRequest.parse(document, region="us-east-1", account="123456789012").health.policy().judge.metrics


def asked():
    """Every metric of the page, by name."""
    metrics = [document for document in DOCUMENTS if "bad" in document]
    for document in DOCUMENTS:
        metrics += document.get("health", {}).get("judge", {}).get("metrics", [])
    return {metric.name: metric for metric in judged(*metrics)}


def ship(record):
    if record.body == "lost":
        raise ValueError(record.body)


#: What each piece of code is given, what of that is bad, and the metric that it is for.
EMITTED = [
    ("orders failed", {"respond": lambda event, _: event}, [{"statusCode": 200}, {"statusCode": 502}], [0, 1], None),
    (
        "parcels failed",
        {"ship": ship},
        [
            {"Records": [RECORD, {**RECORD, "messageId": "2", "body": "lost"}]},
            {"Records": [{**RECORD, "body": "lost"}]},
            {"Records": [RECORD]},
        ],
        [1, 1, 0],
        [2, 1, 1],
    ),
    ("carts for nothing", {"price": lambda event: event}, [{"total_cents": 0}, {"total_cents": 500}], [1, 0], None),
]


@pytest.mark.parametrize(
    ("text", "name", "yours", "events", "bad", "total"), [(t, *e) for t, e in zip(EXAMPLES, EMITTED, strict=True)]
)
def test_code_of_the_page_emits_what_its_request_names(text, name, yours, events, bad, total, monkeypatch, capsys):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "7")
    namespace = dict(yours)
    exec(text, namespace)  # noqa: S102 - the page's own code
    for event in events:
        namespace["handler"](event, SimpleNamespace())
    put = []
    EmbeddedMetrics(capsys.readouterr().out.splitlines(), put.append).catch_up(0, 0)
    found = {}
    for request in put:
        for datum in request["MetricData"]:
            dimensions = frozenset((one["Name"], one["Value"]) for one in datum["Dimensions"])
            found.setdefault((request["Namespace"], datum["MetricName"], dimensions), []).extend(datum["Values"])

    def values(series: Series):
        of = series.of(Alias("checkout", "live"), "7")
        return found[of.namespace, of.metric, frozenset(of.dimensions)]

    metric = asked()[name]
    assert values(metric.series) == bad
    assert metric.total is None if total is None else values(metric.total) == total


def test_the_first_request_of_the_page_ships():
    assert DOCUMENTS[0] == OWN_METRIC


def test_the_preset_is_short_for_what_the_page_says():
    assert judged("url_5xx") == (asked()["url_5xx"],)


def test_what_a_rollout_says_is_what_the_page_quotes(monkeypatch):
    cause, planned = (text.strip() for kind, text in BLOCKS if kind == "text")
    assert play(OWN_METRIC, shipped()["orders_fail"]).cause == cause
    monkeypatch.chdir(ROOT)
    plan = CliRunner().invoke(app, ["plan", "--sandbox", "--scenario", "orders_fail", "events/own_metric.json"])
    assert planned in plan.stdout


def test_the_tolerances_of_slow_are_those_of_the_table():
    rows = re.findall(r"^\| (p\d\d) \| .*? \| ([\d.]+) times, and ([\d.]+) ", PAGE, re.MULTILINE)
    told = {quantile: (float(ratio), float(points)) for quantile, ratio, points in rows}
    assert told == {name: (one.max_ratio, round(100 * one.max_increase, 6)) for name, one in TOLERATED_SLOW.items()}
