"""The judge in whole rollouts: what it convicts, what it leaves alone, and what it says."""

import json

import pytest

from sandbox.aws.boundary import caller
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World

OUTAGE = {"from_second": 300, "to_second": 420, "error_rate": 0.3}
ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}


def visits(story, state):
    return story.states.count(state)


def test_a_candidate_failing_one_request_in_twenty_is_rolled_back_by_the_judge_alone(tell):
    story = tell(candidate={"error_rate": 0.05})
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert story.virtual_seconds <= 360
    assert "candidate fails" in story.cause
    assert "worse than tolerated with p " in story.cause


def test_a_candidate_that_is_slow_more_often_is_rolled_back(tell):
    story = tell(candidate={"duration_ms": {"median": 200, "p99": 900}})
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert "candidate is slow in" in story.cause


@pytest.mark.parametrize(("seed", "from_second"), [(0, 60), (1, 300), (2, 540), (0, 660)])
def test_a_shared_outage_does_not_roll_back(tell, seed, from_second):
    outage = {"from_second": from_second, "to_second": from_second + 120, "error_rate": 0.3}
    story = tell(seed=seed, shared_outage=outage)
    assert (story.outcome, story.alias, story.proven) == ("promoted", ON_CANDIDATE, True)


def test_an_outage_at_the_last_weight_steps_back_to_compare_and_then_promotes(tell):
    story = tell(shared_outage={**OUTAGE, "from_second": 660, "to_second": 780})
    assert (story.outcome, visits(story, "StepBack"), visits(story, "ShiftTraffic")) == ("promoted", 1, 6)


def test_harm_that_begins_at_the_last_weight_steps_back_and_is_convicted_there(tell):
    story = tell(candidate={"error_rate_by_minute": [0] * 11 + [0.4]})
    assert (story.error, story.alias, visits(story, "StepBack")) == ("RolledBack", ON_STABLE, 1)
    assert "worse than tolerated" in story.cause


def test_a_minute_of_great_harm_lowers_the_weight_until_the_next_ones_convict(tell):
    story = tell(requests_per_minute=10_000, candidate={"error_rate": 0.33})
    assert (story.error, story.alias, visits(story, "Flinch")) == ("RolledBack", ON_STABLE, 1)
    assert story.traffic["failed_by_candidate"] < 1100


def test_a_blip_of_one_minute_lowers_the_weight_and_is_let_go(tell):
    blip = [0, 0, 0, 0.2] + [0] * 60
    story = tell(requests_per_minute=10_000, candidate={"error_rate_by_minute": blip})
    assert (story.outcome, story.alias, visits(story, "Flinch")) == ("promoted", ON_CANDIDATE, 1)
    assert visits(story, "ShiftTraffic") == 5


def test_an_all_at_once_rollout_steps_back_to_a_weight_that_compares(tell):
    request = {"strategy": "AllAtOnce"}
    story = tell(request, candidate={"error_rate": 0.4})
    assert (story.error, story.alias, visits(story, "StepBack")) == ("RolledBack", ON_STABLE, 1)
    assert "worse than tolerated" in story.cause


def test_a_rollout_steps_back_twice_and_then_rolls_back(tell):
    """It fails only where nobody is left to compare it with: at weight 100, for a few minutes each time."""
    tops = [*range(10, 16), *range(25, 35), *range(36, 60)]
    story = tell(
        {"steps": [{"weight": 50, "bake_seconds": 600}, {"weight": 100, "bake_seconds": 900}]},
        candidate={"error_rate_by_minute": [0.4 if minute in tops else 0 for minute in range(60)]},
    )
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert visits(story, "StepBack") <= 2


def test_five_requests_an_hour_are_never_proof(tell):
    story = tell({"health": {"when_inconclusive": "promote"}}, requests_per_minute=5 / 60)
    assert (story.outcome, story.proven) == ("promoted", False)


def test_equal_versions_take_their_fifteen_minutes_and_at_most_the_extension(tell):
    story = tell()
    assert (story.outcome, story.proven) == ("promoted", True)
    assert 900 <= story.virtual_seconds <= 900 + 600 + 120


def test_a_cleared_candidate_advances_early_where_that_is_asked_for(tell):
    steps = [
        {"weight": 10, "bake_seconds": 1200},
        {"weight": 50, "bake_seconds": 1200},
        {"weight": 100, "bake_seconds": 300},
    ]
    health = {"advance_early": True, "min_bake_seconds": 420}
    story = tell({"steps": steps, "health": health}, requests_per_minute=6000)
    assert (story.outcome, story.proven) == ("promoted", True)
    assert 2 * 420 + 300 < story.virtual_seconds < 2 * 1200 + 300 - 500


def test_turned_off_it_says_nothing(tell):
    story = tell({"health": {"judge": False}}, candidate={"error_rate": 0.05})
    assert (story.outcome, story.proven) == ("promoted", False)


def test_late_metrics_are_waited_for(tell):
    """Each step until something of it is seen: what is as late as a bake is long takes the extension thrice."""
    story = tell({"health": {"max_extension_seconds": 900}}, metric_delay_seconds=400)
    assert (story.outcome, story.proven) == ("promoted", True)
    assert story.virtual_seconds > 900 + 300


def test_a_throttled_or_lost_answer_of_cloudwatch_is_asked_again(tell):
    story = tell(faults=[{"call": "cloudwatch.GetMetricData", "error": "Throttling", "times": 3, "skip": 3}])
    assert story.outcome == "promoted"


def test_the_books_keep_the_evidence_and_the_warnings():
    request = {"function_name": "checkout", "alias_name": "live"}
    with World(Scenario.of({"candidate": {"error_rate": 0.9}, "requests_per_minute": 20}), request) as world:
        world.follow(world.start())
        world.settle()
        items = client("dynamodb").scan(TableName=world.table_name)["Items"]
    (item,) = [item for item in items if item["record"]["S"].startswith("history#")]
    document = json.loads(item["document"]["S"])
    last = document["verdicts"][-1]
    assert {one["metric"]: one["state"] for one in last["evidence"]}["errors"] == "harmful"
    assert item["cause"]["S"] == last["reason"]
    assert document["plan"]["expectations"][0]["candidate_requests"] == 10
    assert any("sees only failures above" in warning for warning in document["plan"]["warnings"])


# What a review once found.


def test_a_long_extension_does_not_make_the_judge_slower(tell):
    story = tell({"health": {"max_extension_seconds": 604_800}}, candidate={"error_rate": 1})
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)
    assert story.virtual_seconds < 300


def test_a_last_weight_that_nobody_has_seen_is_not_proven(tell):
    """Canary presets give the last weight no bake: its first whole minute is waited for all the same."""
    steps = [{"weight": 50, "bake_seconds": 654}, {"weight": 100, "bake_seconds": 0}]
    fails = {"error_rate_by_minute": [0] * 11 + [1]}
    story = tell({"steps": steps}, candidate=fails, metric_delay_seconds=45)
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


def test_an_outage_that_ends_in_the_minute_of_a_step_back_convicts_nobody(tell):
    steps = [{"weight": 10, "bake_seconds": 300}, {"weight": 100, "bake_seconds": 900}]
    story = tell({"steps": steps}, shared_outage={"from_second": 500, "to_second": 647, "error_rate": 0.8})
    assert (story.outcome, story.traffic["failed_by_candidate"]) == ("promoted", 0)


def test_harm_after_an_outage_is_not_hidden_by_it(tell):
    """The second way up saw an outage; that is no licence to fail as often at the last weight."""
    story = tell(
        shared_outage={"from_second": 660, "to_second": 1140, "error_rate": 0.3},
        candidate={"error_rate_by_minute": [0] * 28 + [0.3]},
    )
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


def test_a_moment_without_cloudwatch_is_no_reason_to_roll_back(tell):
    story = tell(faults=[{"call": "cloudwatch.GetMetricData", "error": "InternalServiceFault", "skip": 3, "times": 20}])
    assert (story.outcome, story.proven) == ("promoted", True)


def test_a_judge_that_can_judge_nothing_proves_nothing(tell):
    only_slow = {"health": {"judge": {"errors": False}}, "alarms": ["quiet"]}
    story = tell(
        only_slow,
        requests_per_minute=0,
        alarms=[{"name": "quiet", "treat_missing_data": "notBreaching"}],
    )
    assert not story.proven


@pytest.mark.parametrize("seed", [1, 3])
def test_what_stepped_back_and_was_never_cleared_is_not_promoted(tell, seed):
    """Ten times the errors, at once and all at once: the guard trips, and five minutes at 10 % acquit nobody."""
    story = tell({"strategy": "AllAtOnce"}, seed=seed, candidate={"error_rate": 0.01})
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


def test_ten_times_the_errors_at_the_last_weight_are_seen_after_a_clean_ramp(tell):
    story = tell(candidate={"error_rate_by_minute": [0.001] * 11 + [0.01]})
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


def test_without_any_gate_the_plan_says_so():
    request = {"function_name": "checkout", "alias_name": "live", "health": {"judge": False}}
    with World(Scenario.of({}), request) as world:
        world.follow(world.start())
        items = client("dynamodb").scan(TableName=world.table_name)["Items"]
    plans = [json.loads(item["document"]["S"])["plan"] for item in items if "document" in item]
    assert ["nothing can speak against" in warning for plan in plans for warning in plan["warnings"]] == [True]


def test_what_cannot_be_called_slow_is_never_proven():
    """No traffic in the day before, so no p99: the judge compares failures, and nobody knows what is slow."""
    request = {"function_name": "checkout", "alias_name": "live", "health": {"when_inconclusive": "roll_back"}}
    slow = {"requests_per_minute": 600, "candidate": {"duration_ms": {"median": 3000, "p99": 9000}}}
    with World(Scenario.of(slow), request) as world:
        world.boundary.correct("cloudwatch.GetMetricData", nothing_of_the_day_before)
        end = world.follow(world.start())
        assert (end.error, world.routing) == ("RolledBack", ("1", {}))
        assert "is not known, so nothing can be called slow" in end.cause


def nothing_of_the_day_before(_params, proceed):
    response = proceed()
    if caller.get() == "plan_rollout":
        for result in response["MetricDataResults"]:
            result |= {"Timestamps": [], "Values": []}
    return response


@pytest.mark.parametrize(
    ("policy", "ends", "says"),
    [("hold", "nobody approved the promotion", "rolled_back"), ("extend", "unproven", "promoted")],
)
def test_an_alarm_that_is_ignored_and_never_recovers_proves_nothing(tell, policy, ends, says):
    firing = {"name": "errors", "state": "ALARM", "metric": "Throttles", "treat_missing_data": "ignore"}
    request = {
        "steps": [{"weight": 50, "bake_seconds": 120}, {"weight": 100, "bake_seconds": 120}],
        "alarms": [{"name": "errors", "if_already_firing": "ignore_until_ok"}],
        "health": {"judge": False, "when_inconclusive": policy, "max_hold_seconds": 600},
    }
    story = tell(request, alarms=[firing])
    assert (story.outcome, story.proven or False) == (says, False)
    assert ends in (story.cause or "unproven")
