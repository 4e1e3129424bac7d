"""tidegate plan: a dry run, with everything that can be said before anything moves."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tidegate.duration import format_duration
from tidegate.planning.alarm_watch import NO_ALARM_TO_BAKE_FOR
from tidegate.planning.plan import Plan
from tidegate.views import cost, plan_view

REQUEST = {"function_name": "checkout", "alias_name": "live"}
GATED = [
    {"weight": 10, "bake_seconds": 300},
    {"weight": 100, "bake_seconds": 300, "approval": {"timeout_seconds": 3600, "on_timeout": "continue"}},
]


def test_a_plan_says_steps_times_cost_what_is_seen_and_what_differs(say, live):
    with live(at_second=None) as world:
        done = say("plan", "-", given=REQUEST)
        assert world.executions == {}
        assert world.routing == ("1", {})
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "checkout:live on version 1; candidate: a new version of $LATEST" in said
    assert "10 % +00:00 5 min 8" in said
    assert "failures above" in said
    assert "takes about 17 min if all goes well" in said
    assert "costs about $0.00" in said
    assert "code sha256" in said


def test_a_plan_of_little_traffic_warns_of_blind_steps(say, live):
    with live(at_second=None, requests_per_minute=3):
        done = say("plan", "-", given=REQUEST)
    assert "nothing: too few requests" in done.stdout
    assert "warning: " in done.stdout


def test_where_a_metric_alone_is_judged_its_name_says_what_the_steps_see(say, live):
    series = {"namespace": "Shop", "metric": "OrdersFailed", "dimensions": {"version": "{version}"}}
    judge = {"errors": False, "slow": False, "metrics": [{"name": "orders failed", "bad": series}]}
    counted = {"namespace": "Shop", "name": "OrdersFailed", "counts": "answered_errors", "version_dimension": "version"}
    with live(at_second=None, metrics=[counted]):
        said = " ".join(say("plan", "-", given={**REQUEST, "health": {"judge": judge}}).stdout.split())
    assert "orders failed above " in said
    assert "more orders failed than version 1 had before" in said


def test_approvals_and_alarms_are_told_beside_the_steps(say, live):
    with live(at_second=None, alarms=[{"name": "checkout-errors"}]):
        done = say("plan", "-", given={**REQUEST, "steps": GATED, "alarms": ["checkout-errors"]})
    said = " ".join(done.stdout.split())
    assert "100 % approved +05:00" in said
    assert "step 2 waits for an approval; without one it goes on after 1 h" in said
    assert "alarms: checkout-errors" in said


def test_an_alarm_that_needs_longer_than_the_last_step_is_watched_is_warned_of_with_its_time(say, live):
    slow = {"name": "orders-failed", "period_seconds": 300, "evaluation_periods": 3}
    request = {**REQUEST, "strategy": "Canary10Percent5Minutes", "alarms": ["orders-failed", "either"]}
    with live(at_second=None, alarms=[slow, {"name": "either", "rule": "ALARM(orders-failed)"}]):
        warned = " ".join(say("plan", "-", given=request).stdout.split())
        baked = say("plan", "-", "--json", given={**request, "health": {"bake_for_alarms": True}})
    assert "warning: alarm orders-failed needs 17 min, alarm either needs 17 min at 100 % before it can" in warned
    assert "is watched for 2 min" in warned
    plan = json.loads(baked.stdout)["plan"]
    assert [step["bake_seconds"] for step in plan["steps"]] == [300, 1020]
    assert [text for text in plan["warnings"] if "alarm" in text] == []


def test_a_bake_for_alarms_that_are_not_there_is_warned_of(say):
    done = say("plan", "--sandbox", "--json", "-", given={**REQUEST, "health": {"bake_for_alarms": True}})
    plan = json.loads(done.stdout)["plan"]
    assert plan["warnings"] == [NO_ALARM_TO_BAKE_FOR]
    assert [step["bake_seconds"] for step in plan["steps"]] == [300, 300, 300]


def test_as_json_the_plan_is_one_object_with_its_cost(say, live):
    with live(at_second=None):
        done = say("plan", "-", "--json", given=REQUEST)
    answer = json.loads(done.stdout)
    assert answer.keys() == {"plan", "differences", "cost"}
    assert 0 < answer["cost"]["dollars"] < answer["cost"]["dollars_at_most"] < 1
    assert answer["plan"]["stable"] == "1"


def test_how_long_it_takes_at_most_and_costs_is_what_the_plan_allows(say, live):
    """On every way up a step that could not be seen and the promotion may wait for a person: six days of people's time,
    and none of the rollout's own.
    """
    held = {**REQUEST, "health": {"when_inconclusive": "hold"}, "max_pause_seconds": 0}
    with live(at_second=None):
        answer = json.loads(say("plan", "-", "--json", given=held).stdout)
        said = " ".join(say("plan", "-", given=held).stdout.split())
    plan = Plan.from_json(answer["plan"])
    assert (plan.max_step_backs, plan.approval_seconds) == (2, 6 * plan.health.max_hold_seconds)
    assert (
        f"takes about 17 min if all goes well, {format_duration(plan.watched_seconds)} at most, and 6 d more where"
        in said
    )
    assert plan.watched_seconds == plan.longest_seconds - 6 * 86_400 < 2 * 3600
    watched = plan.watched_seconds // plan.poll_seconds + plan.sooner_looks * len(plan.steps)
    held_looks = 6 * 86_400 // plan.hold_poll_seconds
    assert cost.at_most(plan).invocations == pytest.approx(watched + held_looks + 2 * plan.max_flinches, abs=30)
    assert f"{cost.price(answer['cost']['dollars_at_most'])} at most" in said


@pytest.mark.parametrize(
    ("request_", "code", "why"),
    [
        ({**REQUEST, "strategi": 1, "steps": []}, 2, ["strategi", "steps"]),
        ({**REQUEST, "version": "9"}, 1, ["VersionNotFound", "9"]),
        ({**REQUEST, "alias_name": "other"}, 1, ["AliasNotFound", "create_alias"]),
        ({**REQUEST, "profile": "prod"}, 1, ["ProfileNotFound", "/tidegate/profiles/prod", "store it there"]),
        ([], 2, ["object"]),
    ],
)
def test_a_refusal_lists_everything_wrong_and_its_exit_code_tells_which_kind(say, live, request_, code, why):
    with live(at_second=None):
        done = say("plan", "-", given=request_)
        as_json = say("plan", "-", "--json", given=request_)
    assert done.exit_code == as_json.exit_code == code
    assert done.stdout == ""
    assert all(word in done.stderr for word in why), done.stderr
    assert json.loads(as_json.stdout)["exit_code"] == code


def test_a_running_rollout_is_a_refusal_that_names_it(say, live):
    with live():
        done = say("plan", "-", given=REQUEST)
    assert done.exit_code == 1
    assert "story-1" in done.stderr


def test_it_plans_on_this_machine_too(say):
    done = say("plan", "--sandbox", "--scenario", "little_traffic", "-", given=REQUEST)
    assert done.exit_code == 0, done.output
    assert "checkout:live on version 1" in done.stdout


OWN = {"namespace": "Shop", "metric": "OrdersFailed", "dimensions": {"service": "checkout", "version": "{version}"}}


def test_a_plan_names_what_is_judged_and_from_where_on(say):
    judged = {"errors": False, "slow": False, "metrics": [{"name": "rejected orders", "bad": OWN}]}
    asked = {**REQUEST, "health": {"judge": judged}}
    said = " ".join(say("plan", "--sandbox", "--scenario", "orders_fail", "-", given=asked).stdout.split())
    assert "300 rejected orders above 2.6 %" in said
    assert "more rejected orders than version 1 had before" in said
    assert (
        "judges rejected orders: 0 % of version 1's 862,800 requests in the day before; 10 % sees above 2.6 %" in said
    )
    assert "slow" not in said


def test_a_plan_says_what_slow_and_high_are_in_the_users_own_units(say, live):
    told = {
        "namespace": "Shop",
        "name": "Memory",
        "version_dimension": "version",
        "dimensions": {"service": "checkout"},
    }
    usual = {"median": 40, "p99": 60}
    memory = {"name": "memory", "value": {**OWN, "metric": "Memory"}, "above": "p99"}
    with live(at_second=None, metrics=[{**told, "values": {"stable": usual, "candidate": usual}}]):
        asked = {**REQUEST, "health": {"judge": {"metrics": [memory]}}}
        said = " ".join(say("plan", "-", given=asked).stdout.split())
    assert "judges slow: above 80 ms (p50), 194 ms (p90), 392 ms (p99)" in said
    assert (
        "judges memory: values above 59.7 (p99 of version 1's 862,800 values of the day before); 10 % sees it" in said
    )


def test_an_unknown_key_suggests_the_one_that_was_meant_in_a_request_and_in_a_scenario(say, live, tmp_path):
    with live(at_second=None):
        done = say("plan", "-", given={**REQUEST, "health": {"max_error_percentage": 1}})
    assert done.exit_code == 2
    assert "health.max_error_percentage: unknown key (did you mean max_error_percent?)" in done.stderr

    scenario = {
        "candidat": {},
        "stable": {"error": 0.1, "duration_ms": {"mediam": 80}},
        "alarms": [{"name": "a", "treshold": 1}, {"name": "b", "rule": "TRUE", "treshold": 1}],
        "timeline": [{"at_second": 1, "do": "stop_execution", "comand": "pause"}],
        "faults": [{"handler": "promote", "error": "crash", "time": 2}],
        "alias": {"exist": False},
    }
    (tmp_path / "world.json").write_text(json.dumps(scenario))
    done = say("plan", "--sandbox", "--scenario", "world.json", "-", given=REQUEST)
    assert done.exit_code == 2
    heading, *told = done.stderr.splitlines()
    assert heading == "tidegate: the scenario has 8 problems:"
    assert sorted(line.removeprefix("  world.json: ") for line in told) == [
        "alarms[0].treshold: unknown key (did you mean threshold?)",
        "alarms[1].treshold: unknown key",
        "alias.exist: unknown key (did you mean exists?)",
        "candidat: unknown key (did you mean candidate?)",
        "faults[0].time: unknown key (did you mean times?)",
        "stable.duration_ms.mediam: unknown key (did you mean median?)",
        "stable.error: unknown key (did you mean error_rate?)",
        "timeline[0].comand: unknown key",
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"strategy": "Canary10Percent5Minutes"},
        {"strategy": "Linear10PercentEvery1Minute"},
        {"strategy": "AllAtOnce"},
        {"strategy": "AllAtOnce", "health": {"judge": False, "max_error_percent": 5}},
    ],
)
def test_a_rollout_takes_about_as_long_as_its_plan_says(request_):
    with World(Scenario.of({}), {**REQUEST, **request_}) as world:
        end = world.follow(world.start())
        records = client("dynamodb").scan(TableName=world.table_name)["Items"]
    (document,) = (json.loads(record["document"]["S"]) for record in records if "document" in record)
    assert end.at - STARTED_AT == pytest.approx(plan_view.well_seconds(Plan.from_json(document["plan"])), rel=0.1)
