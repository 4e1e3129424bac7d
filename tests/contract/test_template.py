"""The template's contract: described parameters, roles as small as their handlers, nothing public."""

import json
import re
from pathlib import Path

import pytest

from telemetry import count
from tests.contract.artifacts import FUNCTIONS, RESOURCES, ROOT, TEMPLATE

SOURCE = (ROOT / "template.yaml").read_text()


def statements(properties):
    for policy in properties["Policies"]:
        yield from policy["Statement"]


def actions(statement):
    listed = statement["Action"]
    return listed if isinstance(listed, list) else [listed]


def test_every_parameter_is_described_and_constrained():
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert "AllowedPattern" in parameter or "AllowedValues" in parameter, name


def test_the_functions_that_may_be_touched_have_no_default():
    assert "Default" not in TEMPLATE["Parameters"]["FunctionNamePattern"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_names_its_resources_or_says_why_it_cannot(name):
    for statement in statements(FUNCTIONS[name]):
        assert statement["Effect"] in ("Allow", "Deny")
        assert not any("*" in action for action in actions(statement)), (name, statement["Sid"])


def test_every_star_has_its_reason_beside_it():
    lines = SOURCE.splitlines()
    stars = [number for number, line in enumerate(lines) if re.search(r'Resource: "\*"', line)]
    assert stars
    assert all(lines[number - 1].strip().startswith("#") for number in stars)


MOVERS = {
    "PlanRolloutFunction",
    "ShiftTrafficFunction",
    "PromoteFunction",
    "RollBackFunction",
    "GuardExecutionFunction",
}


def test_only_who_must_move_an_alias_may():
    may = {
        name
        for name in FUNCTIONS
        if any("lambda:UpdateAlias" in actions(statement) for statement in statements(FUNCTIONS[name]))
    }
    assert may == MOVERS


def test_only_verify_candidate_may_run_customers_code_and_never_latest():
    may = {name: list(statements(FUNCTIONS[name])) for name in FUNCTIONS}
    invoking = {name for name, found in may.items() if any("lambda:InvokeFunction" in actions(s) for s in found)}
    assert invoking == {"VerifyCandidateFunction"}
    (deny,) = (s for s in may["VerifyCandidateFunction"] if s["Effect"] == "Deny")
    assert deny["Resource"]["Sub"].endswith("function:*:$LATEST")


def test_nothing_may_be_deleted_but_the_books_own_items():
    deletions = {
        action for name in FUNCTIONS for s in statements(FUNCTIONS[name]) for action in actions(s) if "Delete" in action
    }
    assert deletions == {"dynamodb:DeleteItem"}


def test_what_is_kept_is_encrypted_recoverable_and_expires():
    table = RESOURCES["RolloutTable"]["Properties"]
    assert table["SSESpecification"]["SSEEnabled"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert RESOURCES["DeadLetters"]["Properties"]["SqsManagedSseEnabled"]
    groups = [r for r in RESOURCES.values() if r["Type"] == "AWS::Logs::LogGroup"]
    assert groups
    assert all("RetentionInDays" in group["Properties"] for group in groups)


def test_tidegates_own_alarms_tell_the_topic():
    alarms = [r["Properties"] for r in RESOURCES.values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    assert len(alarms) == 2
    assert all(alarm["AlarmActions"]["If"][0] == "Notifies" for alarm in alarms)


def test_the_alarm_on_a_failed_rollback_watches_the_metric_that_is_sent(capsys, monkeypatch):
    service = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", service)
    count("Rollouts", outcome="rollback_failed")
    sent = json.loads(capsys.readouterr().out)
    alarm = RESOURCES["RollbackFailedAlarm"]["Properties"]
    (metric,) = sent["_aws"]["CloudWatchMetrics"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (metric["Namespace"], metric["Metrics"][0]["Name"])
    (names,) = metric["Dimensions"]
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {name: sent[name] for name in names}


def test_an_upgrade_does_not_change_a_running_rollout():
    assert TEMPLATE["Globals"]["Function"]["AutoPublishAlias"]
    assert all(properties["AutoPublishAliasAllProperties"] for properties in FUNCTIONS.values())


def test_handlers_run_on_the_runtime_that_is_built_and_traced():
    common = TEMPLATE["Globals"]["Function"]
    assert (common["Runtime"], common["Architectures"], common["Tracing"]) == ("python3.13", ["arm64"], "Active")
    assert common["CodeUri"] == "functions/"


def test_the_deploy_defaults_name_no_account():
    defaults = Path(ROOT / "samconfig.toml").read_text()
    assert not re.search(r"\d{12}|profile|s3_bucket|region *=", defaults.split("[default", 1)[1])
