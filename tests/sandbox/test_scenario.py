"""The scenario file: what may stand in it, what is filled in, and that every reason against it is given at once."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import TypeAdapter

from sandbox.cloudformation import Declared
from sandbox.scenario import SHIPPED, CallFault, MetricAlarm, Scenario, ScenarioInvalid, find, shipped
from sandbox.scenario_traffic import Duration
from sandbox.scenario_words import FORMS
from sandbox.target import OWN_TARGET
from sandbox.timeline import Command, StopExecution
from tidegate.control.commands import KINDS


def reasons(raw: object) -> list[str]:
    with pytest.raises(ScenarioInvalid) as refused:
        Scenario.of(raw)
    return refused.value.reasons


def test_empty_scenario_has_the_documented_defaults() -> None:
    scenario = Scenario.of({})

    assert scenario.requests_per_minute == 600
    assert scenario.stable.error_rate == 0.001
    assert scenario.stable.duration_ms == Duration(median=80, p99=400)
    assert scenario.candidate == scenario.stable
    assert scenario.metric_delay_seconds == 90
    assert (scenario.alias.exists, scenario.alias.function_version, scenario.alias.weights) == (True, "1", {})
    assert (scenario.alarms, scenario.timeline, scenario.faults, scenario.replay) == ((), (), (), ())


def test_the_documented_example_is_accepted() -> None:
    Scenario.from_json(
        """{
  "description": "one line",
  "requests_per_minute": 900,
  "stable":    {"error_rate": 0.002, "duration_ms": {"median": 70, "p99": 300}},
  "candidate": {"error_rate": 0.05,  "duration_ms": {"median": 90, "p99": 500},
                "error_rate_by_minute": [0, 0, 0.01, 0.02], "cold_start_ms": 900, "cold_starts": 20,
                "role": "other-role", "state": "Pending", "active_after_seconds": 90},
  "publish": {"unchanged": false, "last_update_status": "Failed"},
  "alias": {"exists": true, "function_version": "1", "weights": {"7": 0.2}, "provisioned_concurrency": 5},
  "shared_outage": {"from_second": 300, "to_second": 420, "error_rate": 0.3},
  "replay": [{"t": 0, "b": {"n": 90, "errors": 1, "slow": 0}, "c": {"n": 10, "errors": 0, "slow": 0}}],
  "metric_delay_seconds": 90,
  "alarms": [{"name": "checkout-errors", "metric": "Errors", "statistic": "Sum", "threshold": 5,
              "period_seconds": 60, "evaluation_periods": 1, "on": "alias", "state": "OK",
              "treat_missing_data": "missing"},
             {"name": "any", "rule": "ALARM(\\"checkout-errors\\")"}],
  "timeline": [{"at_second": 200, "do": "stop_execution"},
               {"at_second": 250, "do": "set_alarm", "name": "checkout-errors", "state": "ALARM"},
               {"at_second": 260, "do": "update_alias", "function_version": "1", "weights": {"3": 0.2}},
               {"at_second": 300, "do": "command", "command": "pause"},
               {"at_second": 301, "do": "start_execution", "request": {}}],
  "faults": [{"call": "lambda.UpdateAlias", "error": "TooManyRequestsException", "times": 3, "skip": 1},
             {"call": "lambda.UpdateAlias", "error": "lost_response"},
             {"call": "lambda.UpdateAlias", "error": "held", "seconds": 20},
             {"call": "lambda.PublishVersion", "error": "crash_after"},
             {"handler": "check_health", "error": "timeout"},
             {"call": "dynamodb.*", "error": "InternalServerError", "times": "always"},
             {"event": "execution", "error": "late", "seconds": 30}]
}"""
    )


def test_candidate_is_as_stable_where_it_says_nothing_else() -> None:
    scenario = Scenario.of(
        {
            "stable": {"error_rate": 0.01, "duration_ms": {"median": 20, "p99": 90}},
            "candidate": {"duration_ms": {"median": 30}},
        }
    )

    assert scenario.candidate.error_rate == 0.01
    assert scenario.candidate.duration_ms == Duration(median=30, p99=90)


def test_a_plain_error_rate_outweighs_the_other_version_s_list() -> None:
    scenario = Scenario.of({"stable": {"error_rate_by_minute": [0.1, 0.2]}, "candidate": {"error_rate": 0.3}})

    assert scenario.candidate.error_rate_by_minute is None


def test_an_alarm_fires_above_five_errors_a_minute_unless_told() -> None:
    (alarm,) = Scenario.of({"alarms": [{"name": "checkout-errors"}]}).alarms

    assert isinstance(alarm, MetricAlarm)
    assert (alarm.metric, alarm.statistic, alarm.threshold) == ("Errors", "Sum", 5)
    assert (alarm.period_seconds, alarm.evaluation_periods) == (60, 1)
    assert (alarm.on, alarm.state, alarm.treat_missing_data) == ("alias", "OK", "missing")


@pytest.mark.parametrize("rate", [0, 0.5, 2.25, 600])
def test_requests_per_minute_may_be_a_fraction(rate: float) -> None:
    assert Scenario.of({"requests_per_minute": rate}).requests_per_minute == rate


@pytest.mark.parametrize("rate", [-0.5, 1_000_000.5, "0.5", None])
def test_requests_per_minute_that_cannot_be_are_refused(rate: object) -> None:
    assert reasons({"requests_per_minute": rate})[0].startswith("requests_per_minute: ")


def test_faults_count_from_the_first_attempt_and_strike_once_unless_told() -> None:
    scenario = Scenario.of({"faults": [{"call": "dynamodb.*", "error": "InternalServerError"}]})

    assert scenario.faults == (CallFault(call="dynamodb.*", error="InternalServerError", times=1, skip=0),)


def test_versions_that_the_alias_or_the_timeline_names_are_known_beforehand() -> None:
    scenario = Scenario.of(
        {
            "alias": {"weights": {"7": 0.2}},
            "timeline": [{"at_second": 1, "do": "update_alias", "function_version": "9"}],
        }
    )

    assert scenario.highest_version_named == 9
    assert Scenario.of({"alias": {"function_version": "$LATEST"}}).highest_version_named == 1


def test_every_reason_is_given_at_once() -> None:
    found = reasons(
        {
            "requests_per_minut": 600,
            "stable": {"error_rate": 1.5, "eror_rate": 0},
            "candidate": {"duration_ms": {"median": 500, "p99": 100}},
            "alarms": [{"name": "a", "metric": "Errors", "threshold": "5"}, {"name": "a", "rule": "TRUE"}],
            "timeline": [
                {"at_second": -1, "do": "stop_execution"},
                {"at_second": 1, "do": "stop"},
                {"at_second": 1, "do": "set_alarm", "name": "b", "state": "ALARM"},
                {"at_second": 1, "do": "update_alias"},
            ],
            "faults": [{"call": "lambda.UpdateAlias", "error": "held"}, {"error": "lost"}],
            "replay": [{"t": 0, "b": {"n": 1, "errors": 2}, "c": {"n": 0}}],
        }
    )

    for place in (
        "requests_per_minut: unknown key",
        "stable.error_rate: ",
        "stable.eror_rate: unknown key",
        "candidate.duration_ms: p99 is below the median",
        "alarms[0].threshold: ",
        "alarms: 'a' is there twice",
        "timeline[0].at_second: ",
        "timeline[1]: do is one of",
        "timeline[2].name: no alarm is called 'b'",
        "timeline[3]: update_alias gives neither",
        "faults[0]: held needs seconds",
        "faults[1]: a fault has exactly one of",
        "replay[0].b: more errors",
    ):
        assert any(reason.startswith(place) for reason in found), (place, found)
    assert len(found) == 13


@pytest.mark.parametrize("raw", [[], "good_release", 3, None])
def test_what_is_no_object_is_refused(raw: object) -> None:
    assert reasons(raw)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ScenarioInvalid, match="not JSON"):
        Scenario.from_json("{")


@pytest.mark.parametrize(
    "alias", [{"weights": {"1": 0.1}}, {"function_version": "$LATEST", "weights": {"2": 0.1}}, {"weights": {"2": 2}}]
)
def test_an_alias_that_lambda_would_refuse_is_refused(alias: dict[str, object]) -> None:
    assert reasons({"alias": alias})


def test_actions_are_told_apart_by_what_they_do() -> None:
    scenario = Scenario.of({"timeline": [{"at_second": 200, "do": "stop_execution"}]})

    assert scenario.timeline == (StopExecution(at_second=200, do="stop_execution"),)


def test_versions_that_are_named_are_published_beforehand() -> None:
    scenario = Scenario.of({"versions": {"1": {"state": "Inactive"}, "7": {"state": "Failed"}}})

    assert scenario.highest_version_named == 7
    assert scenario.versions["7"].state == "Failed"


@pytest.mark.parametrize("versions", [{"0": {"state": "Active"}}, {"1": {"state": "Idle"}}])
def test_a_version_has_a_number_and_one_of_lambda_s_states(versions: dict[str, object]) -> None:
    assert len(reasons({"versions": versions})) == 1


@pytest.mark.parametrize("error", ["held", "slow", "stale"])
def test_a_fault_that_takes_time_says_how_much(error: str) -> None:
    assert reasons({"faults": [{"call": "lambda.GetAlias", "error": error}]}) == [f"faults[0]: {error} needs seconds"]


@pytest.mark.parametrize("call", ["lambda.UpdateAlias", "cloudwatch.*", "dynamodb.PutItem"])
def test_only_reads_that_are_remembered_can_be_stale(call: str) -> None:
    (reason,) = reasons({"faults": [{"call": call, "error": "stale", "seconds": 10}]})
    assert reason.startswith(f"faults[0]: no answer to {call} can be stale: those to dynamodb.GetItem, ")


@pytest.mark.parametrize("call", ["*", "lambda.*", "dynamodb.Query", "*.Get*"])
def test_a_wildcard_makes_stale_what_can_be(call: str) -> None:
    assert Scenario.of({"faults": [{"call": call, "error": "stale", "seconds": 10}]})


@pytest.mark.parametrize(
    "action",
    [
        {"do": "describe_alias"},
        {"do": "describe_alias", "description": 7},
        {"do": "delete_version"},
        {"do": "delete_version", "version": "$LATEST"},
        {"do": "delete_alias", "name": "live"},
        {"do": "redrive", "name": "story-1"},
    ],
)
def test_an_action_has_what_it_needs_and_no_more(action: dict[str, object]) -> None:
    assert len(reasons({"timeline": [{"at_second": 1, **action}]})) == 1


def test_yaml_is_for_requests_alone(tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text("candidate: {error_rate: 0.1}")
    with pytest.raises(ScenarioInvalid, match="a scenario must be JSON; only a request may be YAML"):
        find(tmp_path / "world.yaml")


def test_shipped_scenarios_say_in_one_line_what_happens() -> None:
    scenarios = shipped()

    assert len(scenarios) >= 12
    assert all(scenario.description and "\n" not in scenario.description for scenario in scenarios.values())


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_scenarios_are_plain_json(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8"))["description"]


def test_functions_beside_the_target_have_defaults_and_one_name_each() -> None:
    (function,) = Scenario.of({"functions": [{"name": "check"}]}).functions

    assert (function.answer, function.answers, function.error, function.duration_ms) == (None, (), None, 100)
    assert reasons({"functions": [{"name": "check"}, {"name": "check", "wait": 1}]}) == [
        "functions[1].wait: unknown key",
        "functions: 'check' is there twice",
    ]
    assert len(reasons({"functions": [{"name": "check:live"}]})) == 1


def test_a_fault_of_a_call_that_does_not_exist_is_refused() -> None:
    faults = [{"call": "lambda.UpdateAlia", "error": "ServiceException"}, {"call": "lamda.Invoke", "error": "held"}]
    with pytest.raises(ScenarioInvalid) as caught:
        Scenario.of({"faults": faults})
    assert "faults[0].call: lambda has no call 'UpdateAlia'" in str(caught.value)
    assert "faults[1].call: there is no service 'lamda'" in str(caught.value)


STUMBLED = (
    r"is not YAML: it has an escape (\x, \u or \U) that is no character, a %YAML line of no version, or a date that is"
    " none"
)


@pytest.fixture
def usual_depth() -> Iterator[None]:
    """How deeply Python recurses of itself: the reader of JSONata allows itself ten times as much."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("usual_depth")
@pytest.mark.parametrize(
    ("kind", "template", "why"),
    [
        ("json", "{", "is not JSON: line 1, column 2: a key in double quotes is missing"),
        ("json", '{"a": NaN}', "cannot be used: NaN is no number"),
        ("json", "[" * 100_000, "is nested too deeply"),
        ("yaml", "a: 1\n b: 2", "is not YAML: line 2, column 3: it cannot be read from there on"),
        ("yaml", "a: \x07", "is not YAML: it has a character that no text should have"),
        ("yaml", "a: *b", "is not YAML: line 1, column 4: it cannot be read from there on"),
        ("yaml", "[" * 2_000 + "]" * 2_000, "is nested too deeply"),
        ("yaml", "a: !Sub [", "is not YAML: line 1, column 10: it cannot be read from there on"),
        ("json", '{"Resources": []}', "declares no AWS::Lambda::Alias"),
        ("yaml", r'a: "\UFFFFFFFF"', STUMBLED),
        ("yaml", r'a: "\U00110000"', STUMBLED),
        ("yaml", "a: 2026-99-99", STUMBLED),
    ],
)
def test_a_stacks_template_that_cannot_be_read_is_told_in_plain_words(kind: str, template: str, why: str) -> None:
    scenario = Scenario.of({"stack": {"format": kind, "template": template}})
    with pytest.raises(ScenarioInvalid) as refused:
        Declared.by(scenario, OWN_TARGET)
    assert refused.value.reasons == [f"stack.template: {why}"]


def patterns(schema: Any) -> set[str]:
    """Every pattern of a JSON Schema, of keys and of values."""
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = {schema["pattern"]} if isinstance(schema, dict) and isinstance(schema.get("pattern"), str) else set()
    keys = set(schema.get("patternProperties", ())) if isinstance(schema, dict) else set()
    return own.union(keys, *map(patterns, inner))


def test_what_a_text_must_look_like_is_said_in_words() -> None:
    assert patterns(TypeAdapter(Scenario).json_schema()) == FORMS.keys()
    with pytest.raises(ScenarioInvalid) as refused:
        Scenario.of({"versions": {"x": {"state": "Failed"}}, "alarms": [{"name": "a\nb"}], "c\nd": 1})
    assert refused.value.reasons == [
        'versions.x: must be the number of a version in quotes, from "1" to "999"',
        "alarms[0].name: must not be empty, and must have no control character",
        "c\\nd: unknown key",
    ]


def test_the_timeline_knows_every_command() -> None:
    assert get_args(get_type_hints(Command)["command"]) == tuple(KINDS)
