"""Executions as trials: only what has ended, and only where both versions' have."""

import pytest

from tidegate.analysis.durable import Executions, StartMinute, overtaken, total, unsettled
from tidegate.analysis.measurement import Counts, Shift, TrafficBaseline
from tidegate.analysis.sight import Sight


def test_a_stopped_execution_is_no_trial_and_not_unended():
    executions = Executions(started=10, succeeded=6, bad=1, stopped=3)
    assert (executions.trials, executions.unended) == (7, 0)


def test_an_end_before_its_start_leaves_nothing_unended():
    assert Executions(started=0, bad=1).unended == 0


@pytest.mark.parametrize(
    ("executions", "settled"),
    [
        (Executions(), True),
        (Executions(100, 99), True),
        (Executions(100, 98), False),
        (Executions(99, 98), False),
        (Executions(200, 190, 5, 3), True),
    ],
)
def test_a_version_is_settled_where_as_good_as_all_have_ended(executions, settled):
    assert executions.settled is settled


@pytest.mark.parametrize("late", ["stable", "candidate"])
def test_while_either_version_runs_on_the_minute_says_nothing(late):
    """Whichever fails fast would look worse than one that succeeds slowly."""
    ended, running = Executions(100, bad=100), Executions(100, succeeded=50)
    minute = StartMinute(0, **{"stable": ended, "candidate": ended, late: running}).measured
    for counts in (minute.stable, minute.candidate):
        assert counts.requests == 100
        assert not counts.complete


def test_a_settled_minute_has_its_trials_and_its_bad_ends():
    minute = StartMinute(60, Executions(900, 890, 5, 5), Executions(100, 97, 3)).measured
    assert (minute.at, minute.stable, minute.candidate) == (60, Counts(895, 5), Counts(100, 3))


def test_where_one_version_starts_nothing_there_is_no_traffic_of_it():
    assert StartMinute(60, Executions(9, 8)).measured.candidate == Counts()


RUNNING = Executions(20, succeeded=12)
STEP = [Shift(0, 10.0), Shift(100, 50.0)]


def test_a_step_of_which_nothing_has_settled_is_not_seen():
    found = [StartMinute(120, Executions(80, 79), RUNNING), StartMinute(180, Executions(80, 79), RUNNING)]
    assert unsettled(found, STEP).reason == (
        "16 of 40 executions that started on the candidate have not ended, and 2 of 160 on the stable version"
    )
    assert not unsettled([*found, StartMinute(240, Executions(80, 80), Executions(20, bad=20))], STEP).reason


def test_what_settled_at_another_weight_says_nothing_of_this_step():
    before = StartMinute(60, Executions(80, 80), Executions(20, 20))
    assert unsettled([before, StartMinute(120, Executions(80), RUNNING)], STEP).reason
    assert not unsettled([before, StartMinute(120, Executions(80), RUNNING)], STEP[:1]).reason


def test_a_few_executions_are_waited_for_in_silence():
    assert not unsettled([StartMinute(120, Executions(90), Executions(9))], STEP).reason
    assert not unsettled([], STEP).reason


def test_a_minute_of_which_all_were_stopped_says_nothing():
    found = [StartMinute(120, Executions(80, 80), Executions(20, stopped=20))]
    assert unsettled(found, STEP).reason.startswith("0 of 20 executions")


def test_all_of_both_versions_are_summed():
    found = [StartMinute(at, Executions(9, 9), Executions(1)) for at in (0, 60)]
    assert total(found) == (Executions(18, 18), Executions(2))


@pytest.mark.parametrize(
    ("candidates", "unended"),
    [
        ([(20, 20), (20, 19), (20, 20)], 1),
        ([(20, 20), (20, 20), (20, 19)], 0),
        ([(20, 19), (20, 15), (20, 20), (20, 12)], 6),
        ([(20, 19), (200, 200), (20, 20)], 0),
        ([(200, 198), (20, 20)], 0),
        ([], 0),
    ],
)
def test_what_goes_on_while_later_executions_have_ended_is_overdue(candidates, unended):
    minutes = [
        StartMinute(60.0 * number, Executions(80, 80), Executions(started, succeeded))
        for number, (started, succeeded) in enumerate(candidates)
    ]
    assert overtaken(minutes) == unended


def test_executions_that_take_long_on_both_versions_hide_nothing_of_the_candidate_alone():
    """Whether they hide harm decides whether a rollout goes back for it, or goes on unproven."""
    both = [StartMinute(120, Executions(90), Executions(20))]
    assert unsettled(both, STEP).shared
    mine = [StartMinute(120, Executions(90, 88), Executions(20))]
    assert not unsettled(mine, STEP).shared
    assert Sight.of([], STEP, 600, TrafficBaseline(), unsettled(mine, STEP)).hides_harm
    assert not Sight.of([], STEP, 600, TrafficBaseline(), unsettled(both, STEP)).hides_harm
