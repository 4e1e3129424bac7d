"""Decisions: what a poll saw becomes wait, advance, promote or roll back."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.analysis import limits
from tidegate.analysis.check import Check, Finding, alarm_check
from tidegate.analysis.comparison import Comparison
from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.health import AlarmRule, HealthPolicy
from tidegate.analysis.improvement import Improvement
from tidegate.analysis.judge import Evidence
from tidegate.analysis.last_step import LastStepCheck
from tidegate.analysis.measurement import AlarmReading, AlarmTimes, Counts, Shift
from tidegate.analysis.metric import Judged, Kind
from tidegate.control import item_size
from tidegate.control.commands import Controls, GivenCommand
from tidegate.control.decision import bake_seconds, decide
from tidegate.control.observation import Observation
from tidegate.control.progress import Decision, Progress, Standing
from tidegate.planning.strategy import COMPARISON, Step, all_at_once

SERVED = Counts(1000, 0, 0)
SETTLED = 300.0 + 120
#: An alarm of one minute.
SOON = AlarmTimes(180)
FINISH = GivenCommand("1", "finish", "ana", "enough", 5.0)
PAUSE = GivenCommand("2", "pause", "bo", "lunch", 6.0)
FAILED = Judged("errors", Tolerance(1.2, 0.001), 0.5, Kind.FAILED)
SLOW = Judged("slow", Tolerance(1.25, 0.002), 0.5, Kind.SLOW)
#: Of a candidate that fails 1 % beside a stable version that fails 20 %.
FIXED = {
    "improved": Improvement(better=True, fix=True),
    "candidate": 1000,
    "candidate_bad": 10,
    "stable": 9000,
    "stable_bad": 1800,
    "recent": (10, 1000, 1800, 9000),
}
TRIPPED = LastStepCheck(FAILED, 1000, 50, 5, expected_at_most=0.01, wealth=9.0, peak=9.0, needed=2.3)


def check(finding):
    return Check("errors", 1.0, 1.0, "%", finding, of=100, convicts=finding is Finding.HARMFUL)


def asked(reading, times=SOON, last_weight_seconds=math.inf):
    rule = AlarmRule(reading.name, times=times)
    return alarm_check(reading, rule, first_shift_at=0.0, last_weight_seconds=last_weight_seconds)


def at_step(step, weight=10.0, extended=0, **more):
    return Progress(step, weight, "r2", 0.0, 0.0, (Shift(0.0, weight),), extended_seconds=extended, **more)


def look_at(plan, *findings, step=2, now=SETTLED, in_step=SERVED, in_rollout=None, extended=0, comparison=None, **more):
    progress = at_step(step, plan.step_at(step).weight_percent, extended, **more)
    checks = tuple(map(check, findings))
    observed = Observation(now, checks, comparison or Comparison(), in_step, in_rollout or in_step, seen_until=now)
    return decide(plan, progress, observed)


def evidence(**found):
    nothing = dict.fromkeys(Evidence.__dataclass_fields__, 0)
    usual = {"metric": FAILED, "convicted_at": None, "quiet": True, "improved": Improvement()}
    return Evidence(**{**nothing, **usual, **found})


def test_harm_rolls_back_at_once_and_remembers_the_version(plan):
    decided = look_at(plan, Finding.HEALTHY, Finding.HARMFUL, step=0, now=10.0)
    assert (decided.decision.action, decided.decision.convicts) == ("roll_back", True)


def test_a_bake_waits_for_the_next_look_or_its_own_end(plan):
    assert look_at(plan, Finding.HEALTHY, step=0, now=10.0).decision.wait_seconds == 60
    assert look_at(plan, Finding.HEALTHY, step=0, now=279.5).decision.wait_seconds == 21


@pytest.mark.parametrize("finding", [Finding.HEALTHY, Finding.UNKNOWN, Finding.IGNORED])
def test_a_step_before_the_last_ends_with_its_bake_unless_harm_is_suspected(plan, finding):
    assert look_at(plan, finding, step=0).decision.action == "advance"


def test_a_suspect_step_holds_and_then_rolls_back(plan):
    held = look_at(plan, Finding.SUSPECT, step=0)
    assert (held.decision.action, held.progress.extended_seconds) == ("wait", 60)
    given_up = look_at(plan, Finding.SUSPECT, step=0, extended=600)
    assert (given_up.decision.action, given_up.decision.convicts) == ("roll_back", False)


def test_proof_promotes(plan):
    decided = look_at(plan, Finding.HEALTHY)
    assert (decided.decision.action, decided.decision.proven) == ("promote", True)


def test_a_promotion_names_what_proves_it_and_nothing_that_does_not(plan):
    alarms = [asked(AlarmReading("calm", "OK")), asked(AlarmReading("odd", "ALARM", recovered=False))]
    limited = limits.checks(replace(plan.health, max_error_percent=5.0, max_duration_p99_ms=900.0), SERVED, SERVED)
    judged = Check("slow compared", 0.5, 1.2, "%", Finding.HEALTHY, of=900, sentence="no worse", covers="slow")
    observed = Observation(SETTLED, (*alarms, *limited, judged), Comparison(), SERVED, SERVED, seen_until=SETTLED)
    decision = decide(plan, at_step(2, 100.0), observed).decision
    assert decision.proven_by == ("slow", "max_error_percent", "max_duration_p99_ms", "calm")
    assert decision.reason == "every gate that could speak is healthy: no worse; alarm odd is ALARM"


def test_names_without_end_do_not_fill_the_record(plan):
    alarms = tuple(asked(AlarmReading(f"{number:03}{'é' * 252}", "OK")) for number in range(100))
    observed = Observation(SETTLED, alarms, Comparison(), SERVED, SERVED, seen_until=SETTLED)
    names = decide(plan, at_step(2, 100.0), observed).decision.proven_by
    assert names == tuple(alarm.name for alarm in alarms[: len(names)])
    assert 0 < len(json.dumps(names)) <= item_size.MAX_PROVEN_BYTES + 2


@pytest.mark.parametrize("finding", [Finding.UNKNOWN, Finding.IGNORED])
def test_what_is_not_proven_is_proven_by_nothing(plan, finding):
    decision = look_at(plan, finding, extended=600).decision
    assert (decision.action, decision.proven, decision.proven_by) == ("promote", False, ())


def test_what_earlier_steps_served_is_no_proof_of_the_last_one(plan):
    assert look_at(plan, Finding.HEALTHY, in_step=Counts(), in_rollout=SERVED).decision.action == "wait"


def test_harm_that_is_not_the_candidates_convicts_nobody(plan):
    gone = asked(AlarmReading("a", None))
    early = asked(AlarmReading("a", "ALARM", -150.0))
    fired = asked(AlarmReading("a", "ALARM", 250.0, fired_at=250.0))
    for harm, convicts in ((gone, False), (early, False), (fired, True)):
        decided = decide(plan, at_step(0), Observation(10.0, (harm,)))
        assert (decided.decision.action, decided.decision.convicts) == ("roll_back", convicts)


def test_without_any_gate_a_promotion_is_not_proven(plan):
    decided = look_at(plan)
    assert (decided.decision.action, decided.decision.proven) == ("promote", False)


def test_too_few_requests_extend_the_last_bake_and_then_roll_back_with_advice(plan):
    nobody = Counts()
    assert look_at(plan, in_step=nobody).decision.action == "wait"
    decided = look_at(plan, in_step=nobody, extended=600)
    assert (decided.decision.action, decided.decision.convicts) == ("roll_back", False)
    assert "health.when_inconclusive" in decided.decision.reason


def test_an_unknown_gate_promotes_unproven_after_the_extension_where_the_candidate_served(plan):
    assert look_at(plan, Finding.UNKNOWN).decision.action == "wait"
    decided = look_at(plan, Finding.UNKNOWN, extended=600)
    assert (decided.decision.action, decided.decision.proven) == ("promote", False)


def test_where_nothing_can_be_proven_the_request_may_insist(plan):
    insisting = replace(plan, health=HealthPolicy(when_inconclusive="roll_back"))
    assert look_at(insisting).decision.action == "roll_back"


@pytest.mark.parametrize(("policy", "action"), [("promote", "promote"), ("roll_back", "roll_back")])
def test_the_request_says_what_inconclusive_means(plan, policy, action):
    plan = replace(plan, health=HealthPolicy(when_inconclusive=policy))
    decided = look_at(plan, Finding.UNKNOWN, in_step=Counts(), extended=600)
    assert (decided.decision.action, decided.decision.proven) == (action, False)


def test_suspicion_is_never_promoted(plan):
    plan = replace(plan, health=HealthPolicy(when_inconclusive="promote"))
    assert look_at(plan, Finding.SUSPECT, extended=600).decision.action == "roll_back"


def test_the_last_verdict_waits_until_the_last_minutes_have_arrived(plan):
    waiting = look_at(plan, Finding.HEALTHY, now=301.0)
    assert (waiting.decision.action, waiting.progress.extended_seconds) == ("wait", 0)
    assert look_at(plan, Finding.HEALTHY, now=419.0).decision.wait_seconds == 1
    assert look_at(plan, Finding.HEALTHY, now=SETTLED).decision.action == "promote"


def test_metrics_that_stay_behind_are_waited_for_and_never_taken_for_health(plan):
    behind = Observation(SETTLED, (check(Finding.HEALTHY),), Comparison(), SERVED, SERVED, seen_until=240.0)
    waiting = decide(plan, at_step(2, 100.0), behind)
    assert (waiting.decision.action, waiting.progress.extended_seconds) == ("wait", 60)
    assert "missing" in waiting.decision.reason
    unproven = decide(plan, at_step(2, 100.0, extended=600), behind)
    assert (unproven.decision.action, unproven.decision.proven) == ("promote", False)


def test_both_versions_failing_holds_a_step_but_does_not_roll_back(plan):
    burst = Comparison((evidence(burst=True),))
    held = look_at(plan, Finding.UNKNOWN, step=0, comparison=burst)
    assert (held.decision.action, held.progress.extended_seconds) == ("wait", 60)
    assert look_at(plan, Finding.UNKNOWN, step=0, comparison=burst, extended=600).decision.action == "advance"


def test_a_bake_ends_early_only_where_that_is_asked_for_and_never_the_last_one(plan):
    cleared = Comparison((evidence(step_cleared=True),))
    assert not replace(cleared, unjudged=True).step_cleared, "nobody knows what is slow"
    proves_nothing = evidence(metric=replace(FAILED, proves=False))
    assert replace(cleared, evidence=(*cleared.evidence, proves_nothing)).step_cleared
    assert not replace(cleared, evidence=(proves_nothing,)).step_cleared
    early = replace(plan, health=HealthPolicy(advance_early=True, min_bake_seconds=120))
    assert look_at(early, step=0, now=130.0, comparison=cleared).decision.action == "advance"
    assert look_at(early, step=0, now=110.0, comparison=cleared).decision.action == "wait"
    assert look_at(early, Finding.SUSPECT, step=0, now=130.0, comparison=cleared).decision.action == "wait"
    assert look_at(early, step=2, now=130.0, comparison=cleared).decision.action == "wait"
    assert look_at(plan, step=0, now=130.0, comparison=cleared).decision.action == "wait"
    fixed = Comparison((evidence(**FIXED, step_cleared=True), evidence(metric=SLOW)), unjudged=True)
    decided = look_at(early, Finding.UNKNOWN, step=0, now=130.0, comparison=fixed).decision
    assert (decided.action, decided.reason) == ("advance", f"10 % is cleared early: {fixed.better}")
    slower = replace(fixed, evidence=(fixed.evidence[0], evidence(metric=SLOW, quiet=False)))
    assert look_at(early, step=0, now=130.0, comparison=slower).decision.action == "wait"


def test_a_guard_that_trips_steps_back_to_compare_twice_and_then_rolls_back(plan):
    tripped = Comparison(last_step=(TRIPPED,), alone=True)
    first = look_at(plan, Finding.UNKNOWN, now=200.0, comparison=tripped)
    assert (first.decision.action, first.progress.step_backs, first.progress.last_baked_seconds) == (
        "step_back",
        1,
        200.0,
    )
    assert first.next_step(plan) == 0
    second = look_at(plan, Finding.UNKNOWN, now=200.0, comparison=tripped, step_backs=1)
    assert second.decision.action == "step_back"
    third = look_at(plan, Finding.UNKNOWN, now=200.0, comparison=tripped, step_backs=2)
    assert (third.decision.action, third.decision.convicts) == ("roll_back", False)
    assert "after 2 steps back" in third.decision.reason


def test_who_wanted_to_finish_had_not_seen_the_harm(plan):
    finishing = look_at(plan, Finding.HEALTHY, step=0, now=10.0, finish=FINISH)
    assert (finishing.decision.action, finishing.decision.proven) == ("promote", False)
    assert finishing.decision.reason.startswith("finished by ana (enough)")
    harmed = look_at(plan, Finding.HARMFUL, step=0, now=10.0, finish=FINISH)
    assert (harmed.decision.action, harmed.decision.convicts) == ("roll_back", True)


def test_what_had_no_traffic_yet_is_not_finished(plan):
    held = replace(at_step(-1, 0.0, finish=FINISH), shifts=())
    assert decide(plan, held, Observation(10.0, ())).decision.action == "advance"


def test_who_wanted_to_finish_or_had_approved_had_not_seen_the_step_back(plan):
    tripped = Comparison(last_step=(TRIPPED,), alone=True)
    said = {"finish": FINISH, "approved": len(plan.steps), "approval_step": len(plan.steps)}
    back = look_at(plan, Finding.UNKNOWN, now=200.0, comparison=tripped, **said)
    assert back.decision.action == "step_back"
    assert (back.progress.finish, back.progress.approval_step, back.progress.approved) == (
        None,
        None,
        len(plan.steps) - 1,
    )
    once = look_at(plan, Finding.UNKNOWN, now=200.0, comparison=tripped, approved=0)
    assert once.progress.approved == 0, "what was approved of the weights on the way stays so"


def test_to_finish_lasts_until_a_pause_or_another_weight():
    finishing = at_step(1).with_commands(Controls(1, pending=FINISH), now=5.0)
    assert (finishing.finish, finishing.last_applied_command) == (FINISH, "1")
    assert finishing.with_commands(Controls(1, pending=FINISH), now=9.0) == finishing, "a look later"
    assert finishing.with_commands(Controls(2, pause=PAUSE), now=9.0).finish is None
    assert Progress.after_shift(finishing, 2, 100.0, "r3", 60.0).finish is None


def test_an_order_is_for_the_weight_or_the_gate_at_which_it_was_said():
    baking = at_step(1, approval_step=None)
    advance = GivenCommand("3", "advance", "ana", "-", 5.0, step=1)
    assert baking.with_commands(Controls(1, pending=advance), now=7.0).bake_ended_at == 7.0
    assert baking.with_commands(Controls(1, pending=replace(advance, step=0)), now=7.0).bake_ended_at is None
    approve = GivenCommand("4", "approve", "ana", "-", 5.0, approval_step=2)
    waiting = at_step(1, approval_step=2)
    approved = waiting.with_commands(Controls(1, pending=approve), now=7.0)
    assert (approved.approval_step, approved.approved) == (None, 2)
    late = Controls(1, pending=replace(approve, approval_step=1))
    earlier = at_step(1, approval_step=3, approved=2).with_commands(late, now=7.0)
    assert (earlier.approval_step, earlier.approved) == (3, 2)


def test_a_conviction_goes_before_a_step_back(plan):
    tripped = Comparison(last_step=(TRIPPED,), alone=True)
    assert look_at(plan, Finding.HARMFUL, comparison=tripped).decision.action == "roll_back"


def test_what_stepped_back_goes_up_again_only_once_it_is_cleared(plan):
    hinted = Comparison((evidence(hinted=True),))
    assert look_at(plan, Finding.UNKNOWN, step=0, comparison=hinted).decision.action == "advance"
    waiting = look_at(plan, Finding.UNKNOWN, step=0, now=3000.0, comparison=hinted, step_backs=1)
    assert (waiting.decision.action, waiting.progress.extended_seconds) == ("wait", 60)
    given_up = look_at(plan, Finding.UNKNOWN, step=0, now=3000.0, comparison=hinted, step_backs=1, extended=600)
    assert (given_up.decision.action, given_up.decision.convicts) == ("roll_back", False)
    assert given_up.decision.reason.startswith("stepped back, and not cleared")
    assert look_at(plan, Finding.UNKNOWN, step=0, now=3000.0, step_backs=1).decision.action == "advance"


def test_a_fix_that_stepped_back_has_been_cleared_by_the_comparison(plan):
    """At 100 % it looked worse than the day before, and beside the stable version it fails less."""
    for found, action in (({}, "roll_back"), (FIXED, "promote")):
        last = Comparison((evidence(**found),), alone=True)
        decided = look_at(plan, Finding.UNKNOWN, extended=600, comparison=last, step_backs=1).decision
        assert (decided.action, decided.proven) == (action, False)


def test_a_bake_says_that_the_candidate_is_better_while_it_waits(plan):
    fixed = Comparison((evidence(**FIXED),), stable="version 3")
    reason = look_at(plan, Finding.UNKNOWN, step=0, now=10.0, comparison=fixed).decision.reason
    assert reason.endswith(" more; better than version 3: 1 % of 1,000 against 20 % of 9,000 requests failed")


def test_after_a_step_back_no_weight_bakes_longer_than_the_comparison_needs(plan):
    days = replace(plan, steps=(Step(10, 86_400), Step(50, 60), Step(100, 86_400)))
    again = {step: bake_seconds(days, at_step(step, step_backs=1, last_baked_seconds=80_000.0)) for step in range(3)}
    assert again == {0: 1800, 1: 60, 2: 6400}
    assert bake_seconds(days, at_step(2)) == 86_400
    at_once = replace(plan, steps=all_at_once())
    assert bake_seconds(at_once, at_step(-1, step_backs=1)) == COMPARISON.bake_seconds


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a plan is a value
@given(
    findings=st.lists(st.sampled_from(Finding)),
    step=st.integers(0, 2),
    now=st.floats(0, 2000),
    requests=st.integers(0, 50),
    extended=st.integers(0, 600),
)
def test_nothing_is_promoted_as_proven_without_a_healthy_gate_and_none_that_is_not(
    plan, findings, step, now, requests, extended
):
    decided = look_at(plan, *findings, step=step, now=now, in_step=Counts(requests, 0, 0), extended=extended)
    if decided.decision.proven:
        assert decided.decision.action == "promote"
        assert Finding.HEALTHY in findings
        assert not {Finding.UNKNOWN, Finding.SUSPECT, Finding.HARMFUL} & set(findings)
        assert requests >= plan.health.minimum_invocations
    if Finding.HARMFUL in findings:
        assert decided.decision.action == "roll_back"
    assert (decided.decision.action == "wait") == (decided.decision.wait_seconds >= 1)
    assert decided.progress.extended_seconds <= plan.health.max_extension_seconds


@pytest.mark.parametrize(
    ("reading", "finding"),
    [
        (AlarmReading("a", "OK", 5.0), Finding.HEALTHY),
        (AlarmReading("a", "ALARM", 500.0), Finding.HARMFUL),
        (AlarmReading("a", "ALARM", 5.0), Finding.HARMFUL),
        (AlarmReading("a", "INSUFFICIENT_DATA", 5.0), Finding.UNKNOWN),
        (AlarmReading("a", None), Finding.HARMFUL),
        (AlarmReading("a", "OK", 5.0, broken=True), Finding.HARMFUL),
        (AlarmReading("a", "OK", 500.0, fired_at=450.0), Finding.HARMFUL),
        (AlarmReading("a", "OK", 5.0, stale=True), Finding.UNKNOWN),
        (AlarmReading("a", "ALARM", 5.0, stale=True), Finding.HARMFUL),
    ],
)
def test_an_alarm_speaks_of_harm_when_it_fires_fired_is_gone_or_is_broken(reading, finding):
    assert asked(reading).finding is finding


def test_an_alarm_that_has_fired_ever_since_before_the_rollout_is_ignored():
    assert asked(AlarmReading("a", "ALARM", 5.0, recovered=False)).finding is Finding.IGNORED
    assert asked(AlarmReading("a", "ALARM", 500.0)).finding is Finding.HARMFUL


@pytest.mark.parametrize(
    ("needs", "at_last_weight", "finding", "says"),
    [
        (180, 179.9, Finding.UNSEEN, "alarm a is OK, and could not have fired yet: it needs 3 min at 100 %"),
        (180, 180.0, Finding.HEALTHY, "alarm a is OK"),
        (1020, 540.0, Finding.UNSEEN, "alarm a is OK, and could not have fired yet: it needs 17 min at 100 %"),
        (None, 1e9, Finding.UNSEEN, "alarm a is OK, and nobody knows how long it needs to fire"),
    ],
)
def test_an_alarm_that_had_no_time_to_fire_is_no_healthy_gate(needs, at_last_weight, finding, says):
    check = asked(AlarmReading("a", "OK", 5.0), AlarmTimes(needs), at_last_weight)
    assert (check.finding, str(check), check.convicts) == (finding, says, False)


@pytest.mark.parametrize(("fired_at", "convicts"), [(59.9, False), (60.0, True)])
@pytest.mark.parametrize("state", ["ALARM", "OK"])
def test_an_alarm_that_fires_before_it_can_have_seen_the_candidate_rolls_back_and_convicts_nobody(
    fired_at, convicts, state
):
    check = asked(AlarmReading("a", state, 400.0, fired_at=fired_at), AlarmTimes(1020))
    assert (check.finding, check.convicts) == (Finding.HARMFUL, convicts)


def observe_alarm(plan, progress, reading, now):
    rule = AlarmRule("a", times=AlarmTimes(180))
    return Observation.of(replace(plan, alarms=(rule,)), progress, (), [reading], now).checks


def test_only_the_time_at_the_last_weight_counts(plan):
    plan, well = replace(plan, health=HealthPolicy(judge=None)), AlarmReading("a", "OK", 5.0)
    for step, now, finding in ((1, 900.0, Finding.UNSEEN), (2, 179.0, Finding.UNSEEN), (2, 180.0, Finding.HEALTHY)):
        (check,) = observe_alarm(plan, at_step(step), well, now)
        assert check.finding is finding


def test_an_alarm_that_fires_before_any_traffic_convicts_nobody(plan):
    plan = replace(plan, health=HealthPolicy(judge=None))
    (check,) = observe_alarm(plan, Progress.before_traffic("r1", 0.0), AlarmReading("a", "ALARM", 90.0, 90.0), 100.0)
    assert (check.finding, check.convicts) == (Finding.HARMFUL, False)


def test_without_a_judge_an_alarm_that_cannot_have_fired_is_waited_for_and_then_nothing_is_proven(plan):
    waiting = look_at(plan, Finding.HEALTHY, Finding.UNSEEN)
    assert (waiting.decision.action, waiting.progress.extended_seconds) == ("wait", 60)
    decided = look_at(plan, Finding.HEALTHY, Finding.UNSEEN, extended=600)
    assert (decided.decision.action, decided.decision.proven) == ("promote", False)
    wary = replace(plan, health=HealthPolicy(when_inconclusive="roll_back"))
    assert look_at(wary, Finding.UNSEEN, extended=600).decision.action == "roll_back"


def test_where_the_judge_proves_no_alarm_is_waited_for_and_the_reason_says_which_is_not_counted(plan):
    clear = evidence(minutes=9, stable=900, candidate=900, settled_minutes=9, recent=(0, 1, 0, 1))
    comparison = Comparison((clear,))
    assert [one.finding for one in comparison.checks()] == [Finding.HEALTHY]
    unseen = asked(AlarmReading("a", "OK", 5.0), AlarmTimes(1020), 420.0)
    observed = Observation(SETTLED, (*comparison.checks(), unseen), comparison, SERVED, SERVED, seen_until=SETTLED)
    decided = decide(plan, at_step(2, 100.0), observed).decision
    assert (decided.action, decided.proven) == ("promote", True)
    assert decided.reason.startswith("every gate that could speak is healthy: no worse than the stable version: 0 %")
    assert decided.reason.endswith("; alarm a is OK, and could not have fired yet: it needs 17 min at 100 %")


def test_progress_survives_the_journey_through_json():
    progress = at_step(1, step_backs=1).seeing({"a": AlarmReading("a", "OK", 5.0)}, now=7.0)
    progress = Progress.after_shift(progress, 2, 100.0, "r3", 60.0)
    assert [shift.weight_percent for shift in progress.shifts] == [10.0, 100.0]
    assert Progress.from_json(progress.to_json()) == progress
    standing = Standing(progress, Decision("promote", "every gate is healthy", proven=True, proven_by=("errors",)))
    assert Standing.from_json(json.loads(json.dumps(standing.to_json()))) == standing


def test_a_decision_of_before_is_proven_by_nothing_that_it_names():
    before = Decision("promote", "every gate is healthy", proven=True).to_json()
    del before["proven_by"]
    assert Decision.from_json(before).proven_by == ()


def test_a_rollout_stands_nowhere_before_its_first_shift():
    assert Standing.found({"plan": {}}) is None
    assert Standing.found({"progress": None, "decision": Decision("promote", "the alias is new").to_json()}) is None
