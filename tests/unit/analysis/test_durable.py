"""Executions as trials: only what has ended, and only where both versions' have."""

import pytest

from tidegate.analysis.durable import Executions, StartMinute, total
from tidegate.analysis.measurement import Counts


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


def test_what_began_long_ago_is_summed_for_both_versions():
    found = [StartMinute(at, Executions(9, 9), Executions(1)) for at in (0, 60, 120)]
    assert total(found, before=120) == (Executions(18, 18), Executions(2))
