"""Decisions: what a poll saw becomes wait, advance, promote or roll back."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout.decision import Check, Finding, Progress, alarm_check, decide
from rollout.observation import AlarmReading, Counts
from rollout.plan import AlarmGate, HealthGate

SERVED = Counts(1000, 0, 0)


def check(finding):
    return Check("errors", 1.0, 1.0, "%", finding, of=100, convicts=finding is Finding.HARMFUL)


def at_step(step, weight=10.0, extended=0):
    return Progress(step, weight, "r2", first_shift_at=0.0, shifted_at=0.0, extended_seconds=extended)


def decision(plan, *findings, step=2, now=300.0, in_step=SERVED, in_rollout=None, extended=0):
    progress = at_step(step, plan.steps[step].weight_percent, extended)
    return decide(plan, progress, tuple(map(check, findings)), in_step, in_rollout or in_step, now)


def test_harm_rolls_back_at_once_and_remembers_the_version(plan):
    decided = decision(plan, Finding.HEALTHY, Finding.HARMFUL, step=0, now=10.0)
    assert (decided.action, decided.convicts) == ("roll_back", True)


def test_a_bake_waits_for_the_next_look_or_its_own_end(plan):
    assert decision(plan, Finding.HEALTHY, step=0, now=10.0).wait_seconds == 60
    assert decision(plan, Finding.HEALTHY, step=0, now=279.5).wait_seconds == 21


@pytest.mark.parametrize("finding", [Finding.HEALTHY, Finding.UNKNOWN, Finding.IGNORED])
def test_a_step_before_the_last_ends_with_its_bake_unless_harm_is_suspected(plan, finding):
    assert decision(plan, finding, step=0).action == "advance"


def test_a_suspect_step_holds_and_then_rolls_back(plan):
    held = decision(plan, Finding.SUSPECT, step=0)
    assert (held.action, held.progress.extended_seconds) == ("wait", 60)
    given_up = decision(plan, Finding.SUSPECT, step=0, extended=600)
    assert (given_up.action, given_up.convicts) == ("roll_back", False)


def test_proof_promotes(plan):
    decided = decision(plan, Finding.HEALTHY)
    assert (decided.action, decided.proven) == ("promote", True)


def test_what_earlier_steps_served_is_no_proof_of_the_last_one(plan):
    assert decision(plan, Finding.HEALTHY, in_step=Counts(), in_rollout=SERVED).action == "wait"


def test_harm_that_is_not_the_candidates_convicts_nobody(plan):
    gone = alarm_check(AlarmGate("a"), AlarmReading("a", None))
    early = alarm_check(AlarmGate("a"), AlarmReading("a", "ALARM", 150.0))
    fired = alarm_check(AlarmGate("a"), AlarmReading("a", "ALARM", 250.0, fired_since_shift=True))
    for harm, convicts in ((gone, False), (early, False), (fired, True)):
        decided = decide(plan, at_step(0), (harm,), SERVED, SERVED, 10.0)
        assert (decided.action, decided.convicts) == ("roll_back", convicts)


def test_without_any_gate_a_promotion_is_not_proven(plan):
    decided = decision(plan)
    assert (decided.action, decided.proven) == ("promote", False)


def test_too_few_requests_extend_the_last_bake_and_then_roll_back_with_advice(plan):
    nobody = Counts()
    assert decision(plan, in_step=nobody).action == "wait"
    decided = decision(plan, in_step=nobody, extended=600)
    assert (decided.action, decided.convicts) == ("roll_back", False)
    assert "health.when_inconclusive" in decided.reason


def test_an_unknown_gate_promotes_unproven_after_the_extension_where_the_candidate_served(plan):
    assert decision(plan, Finding.UNKNOWN).action == "wait"
    decided = decision(plan, Finding.UNKNOWN, extended=600)
    assert (decided.action, decided.proven) == ("promote", False)


def test_where_nothing_can_be_proven_the_request_may_insist(plan):
    insisting = replace(plan, health=HealthGate(when_inconclusive="roll_back"))
    assert decision(insisting).action == "roll_back"


@pytest.mark.parametrize(("policy", "action"), [("promote", "promote"), ("roll_back", "roll_back")])
def test_the_request_says_what_inconclusive_means(plan, policy, action):
    plan = replace(plan, health=HealthGate(when_inconclusive=policy))
    decided = decision(plan, Finding.UNKNOWN, in_step=Counts(), extended=600)
    assert (decided.action, decided.proven) == (action, False)


def test_suspicion_is_never_promoted(plan):
    plan = replace(plan, health=HealthGate(when_inconclusive="promote"))
    assert decision(plan, Finding.SUSPECT, extended=600).action == "roll_back"


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
    decided = decision(plan, *findings, step=step, now=now, in_step=Counts(requests, 0, 0), extended=extended)
    if decided.proven:
        assert decided.action == "promote"
        assert Finding.HEALTHY in findings
        assert not {Finding.UNKNOWN, Finding.SUSPECT, Finding.HARMFUL} & set(findings)
        assert requests >= plan.health.minimum_invocations
    if Finding.HARMFUL in findings:
        assert decided.action == "roll_back"
    assert (decided.action == "wait") == (decided.wait_seconds >= 1)
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
        (AlarmReading("a", "OK", 500.0, fired_since_shift=True), Finding.HARMFUL),
        (AlarmReading("a", "OK", 5.0, stale=True), Finding.UNKNOWN),
        (AlarmReading("a", "ALARM", 5.0, stale=True), Finding.HARMFUL),
    ],
)
def test_an_alarm_speaks_of_harm_when_it_fires_fired_is_gone_or_is_broken(reading, finding):
    assert alarm_check(AlarmGate("a"), reading).finding is finding


def test_an_alarm_that_has_fired_ever_since_before_the_rollout_is_ignored():
    gate = AlarmGate("a", "ignore_until_ok")
    assert alarm_check(gate, AlarmReading("a", "ALARM", 5.0, recovered=False)).finding is Finding.IGNORED
    assert alarm_check(gate, AlarmReading("a", "ALARM", 500.0)).finding is Finding.HARMFUL


def test_progress_survives_the_journey_through_json():
    progress = at_step(1).seeing({"a": AlarmReading("a", "OK", 5.0)})
    assert Progress.from_json({**progress.to_json(), "action": "wait"}) == progress
