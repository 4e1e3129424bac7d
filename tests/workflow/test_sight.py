"""What could not be seen is never proven: metrics that do not come, requests that hang, callers that are throttled."""

import pytest

ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
HANGS = {"hang": {"share": 0.3, "seconds": 900}}
CANARY = {"strategy": "Canary10Percent5Minutes"}


def shifts(story):
    return story.events.count("WeightShifted")


def throttles(share):
    return {"throttles": {"from_second": 2, "to_second": 36_000, "share": share}}


# Blind.


def test_the_first_weight_is_held_while_nothing_is_seen_of_it(tell):
    """f02: CloudWatch may be ten to twenty minutes late; four thousand requests were lost once."""
    story = tell(metric_delay_seconds=1200, candidate={"error_rate": 0.49})
    assert (story.outcome, story.alias, shifts(story)) == ("rolled_back", ON_STABLE, 1)
    assert story.traffic["failed_by_candidate"] <= 700
    assert "nothing could be seen: no request of either version is counted" in story.cause


def test_a_blind_step_is_never_harm_of_the_candidate(tell):
    story = tell(metric_delay_seconds=1200, timeline=[{"at_second": 1000, "do": "start_execution"}])
    assert story.outcome == "rolled_back"
    assert story.events[-1] != "RolloutRejected", "the version is not known to be bad"


@pytest.mark.parametrize(
    ("policy", "outcome", "weights"), [("roll_back", "rolled_back", 1), ("promote", "promoted", 3)]
)
def test_after_the_extension_the_policy_decides(tell, policy, outcome, weights):
    health = {"when_inconclusive": policy, "max_extension_seconds": 120}
    story = tell({"health": health}, metric_delay_seconds=7200)
    assert (story.outcome, shifts(story), bool(story.proven)) == (outcome, weights, False)


def test_who_is_asked_may_let_a_step_go_on_that_nobody_saw_and_is_asked_once(tell):
    health = {"when_inconclusive": "hold", "max_extension_seconds": 60, "max_hold_seconds": 3600}
    approved = [{"at_second": at, "do": "command", "command": "approve"} for at in (600, 1800)]
    story = tell({"health": health}, metric_delay_seconds=7200, timeline=approved)
    assert (story.outcome, story.proven, shifts(story)) == ("promoted", False, 3)
    assert story.events.count("ApprovalNeeded") == 2, "for the step, and for the promotion"


def test_nobody_who_is_asked_and_does_not_answer_goes_on(tell):
    health = {"when_inconclusive": "hold", "max_extension_seconds": 60, "max_hold_seconds": 600}
    story = tell({"health": health}, metric_delay_seconds=7200)
    assert (story.outcome, shifts(story)) == ("rolled_back", 1)
    assert story.cause == "nobody approved 50 % although it could not be seen within 10 min"


def test_a_question_that_nobody_answered_falls_away_once_metrics_come(tell):
    health = {"when_inconclusive": "hold", "max_extension_seconds": 60, "max_hold_seconds": 3600}
    story = tell({"health": health}, metric_delay_seconds=500)
    assert (story.outcome, story.events.count("ApprovalNeeded") >= 1, shifts(story)) == ("promoted", True, 3)


def test_who_approves_a_step_that_may_go_on_without_has_not_been_asked_what_nobody_saw(tell):
    approval = {"timeout_seconds": 60, "on_timeout": "continue"}
    steps = [{"weight": 10, "bake_seconds": 60}, {"weight": 50, "bake_seconds": 60, "approval": approval}]
    health = {"when_inconclusive": "hold", "max_extension_seconds": 60, "max_hold_seconds": 600}
    story = tell(
        {"steps": [*steps, {"weight": 100, "bake_seconds": 60}], "health": health},
        metric_delay_seconds=7200,
        candidate={"error_rate": 0.5},
    )
    assert (story.outcome, shifts(story)) == ("rolled_back", 1)


def test_a_cloudwatch_that_is_throttled_is_no_harm(tell):
    story = tell(faults=[{"call": "cloudwatch.GetMetricData", "error": "Throttling", "times": "always", "skip": 1}])
    assert (story.outcome, shifts(story)) == ("rolled_back", 1)
    assert "nothing could be seen: could not read the alias's metrics" in story.cause


@pytest.mark.parametrize("request_", [{"strategy": "Linear10PercentEvery1Minute"}, {"health": {"judge": False}}])
def test_no_metric_can_be_there_in_the_first_minutes_and_that_costs_no_extension(tell, request_):
    health = {"max_extension_seconds": 0, **request_.get("health", {})}
    assert tell({**request_, "health": health}).outcome == "promoted"


def test_limits_without_the_judge_are_as_blind(tell):
    health = {"judge": False, "max_error_percent": 5}
    story = tell({"health": health}, metric_delay_seconds=1200, candidate={"error_rate": 0.49})
    assert (story.outcome, shifts(story)) == ("rolled_back", 1)


def test_a_bad_day_before_is_no_excuse_for_today(tell):
    steps = [{"weight": 10, "bake_seconds": 120}, {"weight": 100, "bake_seconds": 1200}]
    story = tell(
        {"steps": steps}, requests_per_minute=100, day_before={"error_rate": 0.05}, candidate={"error_rate": 0.03}
    )
    assert not story.proven


def test_short_steps_wait_for_the_first_sight_and_for_no_more(tell):
    story = tell({"strategy": "Linear10PercentEvery1Minute"})
    assert (story.outcome, story.proven) == ("promoted", True)
    assert story.virtual_seconds < 1200


@pytest.mark.parametrize("rate", [5 / 60, 0])
def test_where_few_requests_are_to_be_expected_the_ramp_goes_on_and_proves_nothing(tell, rate):
    story = tell({"health": {"minimum_invocations": 1}}, requests_per_minute=rate)
    assert shifts(story) == 3
    assert not story.proven


def test_a_job_that_runs_once_an_hour_is_no_blindness(tell):
    hourly = {"every_seconds": 3600, "first_second": 0, "seconds": 60, "requests_per_minute": 6000}
    story = tell(requests_per_minute=0, bursts=hourly)
    assert (story.outcome, story.proven, shifts(story)) == ("promoted", False, 3)


def test_a_first_release_has_nobody_to_expect_requests_by(tell):
    story = tell({"create_alias": True, "smoke_tests": [{}]}, alias={"exists": False})
    assert story.outcome == "promoted"


# Missing.


def test_a_candidate_whose_requests_all_hang_is_held_at_its_first_weight(tell):
    story = tell(candidate={"hang": {"share": 1, "seconds": 900}})
    assert (story.outcome, story.alias, shifts(story)) == ("rolled_back", ON_STABLE, 1)
    assert "the stable version's requests are counted, and none of the candidate's" in story.cause


@pytest.mark.parametrize("request_", [{}, CANARY, {"strategy": "AllAtOnce"}], ids=["default", "canary", "all at once"])
def test_a_candidate_of_which_some_requests_hang_is_never_proven(tell, request_):
    story = tell(request_, candidate=HANGS)
    assert not story.proven


def test_requests_that_are_missing_hold_the_step_and_are_said(tell):
    steps = [{"weight": 25, "bake_seconds": 300}, {"weight": 100, "bake_seconds": 60}]
    story = tell({"steps": steps}, requests_per_minute=1200, candidate=HANGS)
    assert (story.outcome, shifts(story)) == ("rolled_back", 1)
    assert "were expected by its weight: the rest may still be running" in story.cause


def test_a_long_time_out_costs_a_good_release_nothing_where_the_ramp_could_tell(tell):
    story = tell(function={"timeout_seconds": 900})
    assert (story.outcome, story.proven) == ("promoted", True)
    assert story.virtual_seconds == tell().virtual_seconds


def test_where_no_ramp_could_tell_a_long_time_out_leaves_the_promotion_unproven(tell):
    """And no bake is lengthened for it."""
    story = tell({"strategy": "AllAtOnce"}, function={"timeout_seconds": 900})
    assert (story.outcome, story.proven) == ("promoted", False)
    assert story.virtual_seconds == tell({"strategy": "AllAtOnce"}).virtual_seconds


# Throttled.


@pytest.mark.parametrize("share", [0.003, 0.3])
def test_throttles_since_the_shift_hold_and_are_never_proven(tell, share):
    """f03: moving traffic needs environments of both versions at once."""
    story = tell(**throttles(share))
    assert (story.outcome, story.proven, story.alias) == ("promoted", False, ON_CANDIDATE)
    assert story.virtual_seconds >= 1024 + 600
    asked_to_be_sure = tell({"health": {"when_inconclusive": "roll_back"}}, **throttles(share))
    assert asked_to_be_sure.outcome == "rolled_back"
    assert "requests were throttled since the shift, 0 % before" in asked_to_be_sure.cause


# Today's traffic.


def test_a_quiet_day_before_makes_nobody_blind_to_todays_traffic(tell):
    story = tell(requests_per_minute=480, day_before={"requests_per_minute": 9.9}, candidate={"error_rate": 0.48})
    assert story.outcome == "rolled_back"
    assert story.virtual_seconds <= 4 * 60 + 5
    assert "in the same 2 minutes" in story.cause


def test_a_stable_version_that_always_failed_mutes_nobody_for_a_quarter_of_an_hour(tell):
    """Without a day before, a failing stable version was taken for a shared outage for fifteen minutes."""
    story = tell(day_before={"requests_per_minute": 0}, stable={"error_rate": 0.22}, candidate={"error_rate": 0.8})
    assert story.outcome == "rolled_back"
    assert story.virtual_seconds < 500
