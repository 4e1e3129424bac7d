"""Decisions of a rollout that is held: for an approval, by a pause, for proof, or because nothing can be seen."""

from dataclasses import replace

import pytest

from tests.unit.control.test_decision import PAUSE, SETTLED, TRIPPED, at_step, evidence, look_at
from tidegate.analysis.check import Finding
from tidegate.analysis.comparison import Comparison
from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.measurement import Counts
from tidegate.analysis.sight import Sight
from tidegate.control.decision import decide
from tidegate.control.observation import Observation
from tidegate.control.progress import Progress
from tidegate.planning.strategy import Approval, Step

HOUR = 3600
STEPS = (Step(10, 300), Step(50, 300, Approval(HOUR)), Step(100, 300, Approval(HOUR, "continue")))
LATER = 1000.0


@pytest.fixture
def approved_plan(plan):
    """50 % waits for an approval and goes back without it, 100 % goes on without it."""
    return replace(plan, steps=STEPS, hold_poll_seconds=90)


def said(standing):
    return standing.decision.action, standing.decision.reason


def test_the_end_of_a_bake_opens_the_approval_of_the_next_step(approved_plan):
    opened = look_at(approved_plan, Finding.HEALTHY, step=0, now=LATER)
    assert said(opened) == ("hold", "50 % waits for approval, and rolls back in 1 h without it")
    assert (opened.progress.approval_step, opened.progress.held_since) == (1, LATER)
    assert opened.decision.wait_seconds == 90
    assert said(look_at(approved_plan, Finding.HEALTHY, step=0, now=LATER, approved=1))[0] == "advance"


def test_an_approval_that_waits_is_waited_for_to_the_second(approved_plan):
    waiting = {"approval_step": 1, "held_since": LATER}
    nearly = look_at(approved_plan, Finding.UNKNOWN, step=0, now=LATER + HOUR - 29.5, **waiting)
    assert (nearly.decision.action, nearly.decision.wait_seconds) == ("hold", 30)
    over = look_at(approved_plan, Finding.HEALTHY, step=0, now=LATER + HOUR, **waiting)
    assert said(over) == ("roll_back", "nobody approved 50 % within 1 h")
    assert not over.decision.convicts


def test_where_the_request_goes_on_without_an_approval_it_does(approved_plan):
    waiting = {"approval_step": 2, "held_since": LATER}
    held = look_at(approved_plan, Finding.HEALTHY, step=1, now=LATER + 60, **waiting)
    assert said(held) == ("hold", "100 % waits for approval, and goes on in 59 min without it")
    on = look_at(approved_plan, Finding.HEALTHY, step=1, now=LATER + HOUR, **waiting)
    assert (on.decision.action, on.progress.approval_step, on.progress.approved) == ("advance", None, 2)


def test_while_an_approval_waits_harm_is_seen_and_a_look_that_sees_nothing_ends_nothing(approved_plan):
    waiting = {"approval_step": 1, "held_since": LATER}
    assert look_at(approved_plan, Finding.HARMFUL, step=0, now=LATER + 60, **waiting).decision.action == "roll_back"
    progress = at_step(0, **waiting)
    assert decide(approved_plan, progress, Observation(LATER + 60, sight=Sight("denied"))).decision.action == "hold"


def test_a_pause_lasts_as_long_as_the_plan_allows_and_then_goes_back(plan):
    pausable = replace(plan, max_pause_seconds=HOUR)
    paused = look_at(pausable, Finding.HEALTHY, step=0, pause=PAUSE)
    assert said(paused) == ("hold", "paused by bo (lunch); rolls back in 1 h unless resumed")
    assert paused.progress.paused_seconds == paused.decision.wait_seconds == 60
    last = look_at(pausable, Finding.HEALTHY, step=0, pause=PAUSE, paused_seconds=HOUR - 7)
    assert (last.decision.wait_seconds, last.progress.paused_seconds) == (7, HOUR)
    over = look_at(pausable, Finding.HEALTHY, step=0, pause=PAUSE, paused_seconds=HOUR)
    assert said(over) == ("roll_back", "paused by bo (lunch), and not resumed within 1 h (max_pause_seconds)")


def test_neither_a_pause_nor_an_approval_is_passed_by_ending_a_bake_early(plan, approved_plan):
    early = {"health": HealthPolicy(advance_early=True, min_bake_seconds=120)}
    cleared = {"step": 0, "now": 130.0, "comparison": Comparison((evidence(step_cleared=True),))}
    assert look_at(replace(plan, **early), **cleared).decision.action == "advance"
    assert look_at(replace(plan, **early), **cleared, pause=PAUSE).decision.action == "wait"
    assert look_at(replace(approved_plan, **early), **cleared).decision.action == "wait"


def test_what_cannot_be_seen_holds_for_the_extension_and_then_goes_back(plan):
    blind = Observation(LATER, sight=Sight("GetMetricData was denied"))
    held = decide(plan, at_step(0), blind)
    assert said(held) == (
        "wait",
        "bakes on for proof, 10 min at most (nothing could be seen: GetMetricData was denied)",
    )
    over = decide(plan, at_step(0, extended=600), blind)
    assert said(over) == (
        "roll_back",
        "still not seen at the end of the extension: nothing could be seen: GetMetricData was denied",
    )
    assert not over.decision.convicts


def test_what_stepped_back_and_is_not_cleared_goes_back_after_the_extension(plan):
    hinted = Comparison((evidence(hinted=True),))
    over = look_at(plan, Finding.UNKNOWN, step=0, now=3000.0, comparison=hinted, step_backs=1, extended=600)
    assert over.decision.action == "roll_back"
    assert over.decision.reason.startswith("stepped back, and not cleared: ")


def test_where_nothing_is_proven_a_person_may_be_asked(plan):
    asking = replace(plan, health=HealthPolicy(when_inconclusive="hold", max_hold_seconds=HOUR))
    promotion = len(plan.steps)
    held = look_at(asking, Finding.UNKNOWN, extended=600)
    assert (held.decision.action, held.progress.approval_step) == ("hold", promotion)
    assert held.decision.reason.startswith("the promotion waits for approval, and rolls back in 1 h without it (")
    over = look_at(asking, Finding.UNKNOWN, extended=600, approval_step=promotion, held_since=SETTLED - HOUR)
    assert said(over) == ("roll_back", "nobody approved the promotion within 1 h")
    yes = look_at(asking, Finding.UNKNOWN, extended=600, approved=promotion)
    assert yes.decision.reason.startswith("unproven, and approved: 1,000 requests seen (")
    assert (yes.decision.action, yes.decision.proven) == ("promote", False)


def test_a_sign_of_harm_is_not_promoted_for_want_of_proof(plan):
    hinted = Comparison((evidence(hinted=True),))
    over = look_at(plan, Finding.UNKNOWN, comparison=hinted, extended=600)
    assert over.decision.action == "roll_back"
    assert over.decision.reason.startswith("unproven, with a sign of harm: ")
    stepped = look_at(plan, Finding.UNKNOWN, now=9000.0, extended=600, step_backs=1)
    assert "it stepped back 1 times, and nothing cleared it since" in stepped.decision.reason


def test_what_only_ignored_alarms_could_tell_is_inconclusive(plan):
    few = look_at(plan, Finding.IGNORED, in_rollout=Counts(), in_step=Counts(1000, 0, 0))
    assert few.decision.action == "roll_back"
    assert "nothing could tell but what is ignored since before the rollout" in few.decision.reason


def test_a_plan_that_may_not_step_back_rolls_back_where_the_last_weight_looks_worse(plan):
    tripped = Comparison(last_step=(TRIPPED,), alone=True)
    back = look_at(replace(plan, max_step_backs=0), Finding.UNKNOWN, now=200.0, comparison=tripped)
    assert said(back)[0] == "roll_back"
    assert back.decision.reason.startswith("worse than before at the last weight: ")


def test_before_any_traffic_an_approval_is_waited_for_and_then_the_first_weight_is_set(plan):
    first = replace(plan, steps=(Step(10, 300, Approval(HOUR)), Step(100, 300)))
    waiting = Progress.before_traffic("r1", LATER, 0)
    assert decide(first, waiting, Observation(LATER + 5)).decision.action == "hold"
    approved = replace(waiting, approval_step=None, approved=0)
    assert said(decide(first, approved, Observation(LATER + 5))) == ("advance", "the first weight may be set")


def test_what_waits_before_any_traffic_says_for_what_and_since_when():
    waiting = Progress.before_traffic("r1", LATER, 0)
    assert (waiting.approval_step, waiting.held_since, waiting.shifts, waiting.step) == (0, LATER, (), -1)
