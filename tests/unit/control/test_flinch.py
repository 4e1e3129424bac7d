"""A flinch: less is put at stake at the first great harm, until the next minutes decide."""

from dataclasses import replace

import pytest

from tidegate.analysis.comparison import Comparison
from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.improvement import NONE
from tidegate.analysis.judge import Evidence
from tidegate.analysis.measurement import Counts, Shift
from tidegate.analysis.metric import Judged, Kind
from tidegate.analysis.sight import Sight
from tidegate.control.commands import GivenCommand
from tidegate.control.decision import bake_seconds, decide
from tidegate.control.observation import Observation
from tidegate.control.progress import Progress
from tidegate.planning.strategy import lowered_percent

FAILED = Judged("errors", Tolerance(1.2, 0.001), 0.5, Kind.FAILED)
SERVED = Counts(1000, 0, 0)
FINISH = GivenCommand("1", "finish", "ana", "enough", 5.0)
PAUSE = GivenCommand("2", "pause", "bo", "lunch", 6.0)


def seeing(**found):
    nothing = dict.fromkeys(Evidence.__dataclass_fields__, 0)
    counts = {"minutes": 1, "stable": 9000, "candidate": 1000, "stable_bad": 9, "candidate_bad": 200}
    usual = {"metric": FAILED, "convicted_at": None, "quiet": True, "calm": True, "recent": (200, 1000, 9, 9000)}
    usual["improved"] = NONE
    return Comparison((Evidence(**{**nothing, **usual, **counts, **found}),))


STARTLED, CALM = seeing(startles=True, calm=False, quiet=False), seeing()


@pytest.fixture
def bold(plan):
    return replace(plan, max_flinches=2)


def at(weight, step=0, **more):
    return Progress(step, weight, "r2", 0.0, 0.0, (Shift(0.0, weight),), **more)


def look(plan, progress, comparison, now=100.0, blind=""):
    sight = replace(Sight(), blind=blind) if blind else Sight()
    standing = decide(plan, progress, Observation(now, (), comparison, SERVED, SERVED, seen_until=now, sight=sight))
    return standing, standing.decision.action


def flinched(plan, progress):
    """The progress once a flinch's weight is set, at second 100."""
    standing, action = look(plan, progress, STARTLED)
    assert action == "flinch"
    weight = standing.next_weight_percent(plan)
    return Progress.after_shift(standing.progress, standing.next_step(plan), weight, "r3", 100.0)


@pytest.mark.parametrize(("weight", "lowered"), [(100, 10), (50, 5), (12.5, 1.25), (10, 1), (5, 1), (1, 1), (0.5, 0.5)])
def test_it_lowers_to_a_tenth_but_to_no_less_than_one_percent(weight, lowered):
    assert lowered_percent(weight) == lowered


def test_one_minute_of_great_harm_lowers_the_weight_of_the_same_step(bold):
    standing, action = look(bold, at(50.0, step=1), STARTLED)
    assert (action, standing.next_step(bold), standing.next_weight_percent(bold)) == ("flinch", 1, 5)
    assert "down to 5 % to see whether it lasts: candidate fails 20 % of 1,000" in standing.decision.reason
    assert not standing.decision.convicts


def test_there_is_nothing_to_lower_at_one_percent(bold):
    assert look(bold, at(1.0), STARTLED)[1] == "wait"


def test_it_flinches_only_so_often(bold):
    assert look(bold, at(10.0, flinches=2), STARTLED)[1] == "wait"
    assert look(replace(bold, max_flinches=0), at(10.0), STARTLED)[1] == "wait"


def test_it_goes_back_up_once_nothing_since_speaks_against_the_candidate(bold):
    low = flinched(bold, at(10.0))
    assert (low.step, low.weight_percent, low.flinched, low.flinches) == (0, 1.0, True, 1)
    assert look(bold, low, CALM, now=200.0)[1] == "wait"
    standing, action = look(bold, low, CALM, now=290.0)
    assert (action, standing.next_step(bold), standing.next_weight_percent(bold)) == ("advance", 0, 10)
    up = Progress.after_shift(standing.progress, 0, 10.0, "r4", 290.0)
    assert (up.flinched, up.flinches, up.baked_seconds) == (False, 1, 100.0)


def test_what_was_baked_before_counts_and_enough_is_left_to_compare_once_more(bold):
    assert bake_seconds(bold, at(10.0, baked_seconds=100.0)) == 300
    longer = replace(bold, steps=(replace(bold.steps[0], bake_seconds=3600), *bold.steps[1:]))
    assert bake_seconds(longer, at(10.0, baked_seconds=1000.0)) == 2600
    following = Progress.after_shift(at(10.0, baked_seconds=100.0), 1, 50.0, "r5", 400.0)
    assert following.baked_seconds == 0


@pytest.mark.parametrize(
    ("doubt", "ends"),
    [
        (seeing(calm=False), "advance"),
        (seeing(calm=False, hinted=True), "roll_back"),
        (seeing(suspected=True), "roll_back"),
        (seeing(burst=True), "roll_back"),
    ],
)
def test_a_doubt_keeps_it_low_and_in_the_end_rolls_back_unless_chance_makes_as_much(bold, doubt, ends):
    low = flinched(bold, at(10.0))
    standing, action = look(bold, low, doubt, now=300.0)
    assert (action, standing.progress.extended_seconds) == ("wait", 60)
    assert look(bold, replace(low, extended_seconds=600), doubt, now=300.0)[1] == ends


def test_what_could_not_be_seen_since_keeps_it_low(bold):
    low = flinched(bold, at(10.0))
    assert look(bold, low, CALM, now=300.0, blind="no datapoint")[1] == "wait"
    assert look(bold, replace(low, extended_seconds=600), CALM, now=300.0, blind="no datapoint")[1] == "roll_back"


def test_it_stays_low_until_a_minute_since_can_be_judged(bold):
    low = flinched(bold, at(10.0))
    standing, action = look(bold, low, replace(CALM, learnt=False), now=300.0)
    assert (action, "no minute since can be judged yet" in standing.decision.reason) == ("wait", True)
    assert look(bold, replace(low, extended_seconds=600), replace(CALM, learnt=False), now=300.0)[1] == "advance"


def test_a_pause_keeps_nobody_from_flinching_and_holds_the_way_back_up(bold):
    low = flinched(bold, at(10.0, pause=PAUSE))
    assert look(replace(bold, max_pause_seconds=3600), low, CALM, now=300.0)[1] == "hold"


def test_who_approved_or_finished_had_not_seen_it(bold):
    low = flinched(bold, at(10.0, approval_step=1, approved=1, finish=FINISH))
    assert (low.approval_step, low.approved, low.finish) == (1, 0, None)


def test_somebody_may_end_the_wait_and_not_the_doubt(bold):
    low = replace(flinched(bold, at(10.0)), bake_ended_at=110.0)
    assert look(bold, low, CALM, now=120.0)[1] == "advance"
    assert look(bold, low, seeing(calm=False), now=120.0)[1] == "wait"


def test_to_finish_is_a_person_s_word_on_a_flinch_too(bold):
    assert look(bold, replace(flinched(bold, at(10.0)), finish=FINISH), CALM, now=120.0)[1] == "promote"
