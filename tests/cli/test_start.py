"""tidegate start and watch: from StartExecution to the last line, which says why it ended."""

import json
from pathlib import Path

import pytest

from tests.brief import BRIEF

REQUEST = {"function_name": "checkout", "alias_name": "live"}
BAD = {"candidate": {"error_rate": 0.5}}


def test_start_says_which_execution_it_started_and_how_to_follow_it(say, live):
    with live(at_second=None) as world:
        done = say("start", "-", "--name", "release-7", given=REQUEST)
        assert world.clock.idle() is False
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].endswith(":release-7")
    assert "tidegate watch checkout:live" in done.stdout


def test_start_as_json_names_the_rollout(say, live):
    with live(at_second=None):
        done = say("start", "-", "--name", "release-7", "--json", given=REQUEST)
    assert json.loads(done.stdout)["rollout_id"] == "release-7"


def test_a_watched_good_release_exits_with_0(say, live):
    with live(at_second=None) as world:
        done = say("start", "--watch", "-", given=BRIEF)
        assert world.routing == ("2", {})
    assert done.exit_code == 0, done.output
    assert "10 % of the traffic to version 2" in done.stdout
    assert "100 % of the traffic to version 2" in done.stdout
    assert "Promoted. Version 2 serves all traffic." in done.stdout.splitlines()[-1]


def test_a_watched_bad_release_exits_with_1_and_the_last_line_says_why(say, live):
    with live(at_second=None, **BAD) as world:
        done = say("start", "--watch", "-", given=REQUEST)
        assert world.routing == ("1", {})
    assert done.exit_code == 1
    *_, ended, why = done.stdout.splitlines()
    assert "Rolled back. Version 1 serves all traffic again." in ended
    assert "candidate fails" in why


def test_a_refused_rollout_exits_with_1_and_says_why(say, live):
    with live(at_second=None):
        done = say("start", "--watch", "-", given={**REQUEST, "alarms": ["no-such"]})
    assert done.exit_code == 1
    assert "Rejected. Traffic never moved." in done.stdout
    assert "no-such" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("words", [["start", "--watch"], ["start", "--sandbox"], ["plan"], ["plan", "--sandbox"]])
def test_what_cannot_be_understood_is_told_line_by_line_before_anything_is_asked_or_played(say, words):
    done = say(*words, "-", given={**REQUEST, "strategi": 1, "force": "perhaps"})
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "tidegate: standard input has 2 problems:",
        "  force: must be true or false (got 'perhaps')",
        "  strategi: unknown key (did you mean strategy?)",
    ]


def test_a_rollout_whose_target_is_its_profiles_is_followed_too(say, live):
    with live(at_second=None, profiles={"prod": BRIEF}, request={"profile": "prod"}):
        done = say("start", "--watch", "-", given={"profile": "prod"})
    assert done.exit_code == 0, done.output
    assert "Promoted." in done.stdout


def test_a_watched_rollout_as_json_is_one_object_at_the_end(say, live):
    with live(at_second=None, **BAD):
        done = say("start", "--watch", "--json", "-", given=REQUEST)
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["target"], told["outcome"], told["stable"], told["candidate"]) == (
        "checkout:live",
        "rolled_back",
        "1",
        "2",
    )
    assert told["verdicts"][-1]["decision"] == "roll_back"


def test_watch_joins_a_rollout_that_runs(say, live):
    with live(at_second=100, request=BRIEF):
        done = say("watch", "checkout:live")
    assert done.exit_code == 0, done.output
    assert "100 % of the traffic to version 2" in done.stdout
    assert "Promoted." in done.stdout.splitlines()[-1]


def test_watch_redraws_on_a_terminal_and_says_the_end_below(say, live, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with live(at_second=60, **BAD):
        done = say("watch", "checkout:live")
    assert done.exit_code == 1
    assert "next look in" in done.stdout
    assert "━" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "checkout:live: Rolled back. Version 1 serves all traffic again. candidate fails" in last


def test_watch_sees_a_stopped_rollout_to_the_end_of_its_guard(say, live):
    with live(timeline=[{"at_second": 200, "do": "stop_execution"}]) as world:
        done = say("watch", "checkout:live")
        assert world.routing == ("1", {})
    assert done.exit_code == 1
    assert "Version 1 serves all traffic again." in done.stdout


def test_watch_without_a_rollout_says_so_and_exits_with_3(say, live):
    with live(at_second=None):
        done = say("watch", "checkout:live")
    assert done.exit_code == 3
    assert "no rollout of checkout:live runs now" in done.stderr


def test_a_name_that_is_taken_or_none_is_refused(say, live):
    with live(at_second=None):
        say("start", "-", "--name", "release-7", given=REQUEST)
        taken = say("start", "-", "--name", "release-7", given={**REQUEST, "force": True})
        unusable = say("start", "-", "--name", "release 7", given=REQUEST)
    assert (taken.exit_code, unusable.exit_code) == (3, 2)
    assert "choose another --name" in taken.stderr
    assert "--name" in unusable.stderr


@pytest.mark.parametrize(
    ("words", "given", "why"),
    [
        (["start", "no-such.json"], None, "no-such.json cannot be read: No such file"),
        (["start", "-"], "{not json", "standard input is not JSON"),
        (["plan", "."], None, ". is a folder"),
        (["plan", ""], None, "'' is a folder"),
        (["start", "-", "--scenario", "fails_half"], "{}", "--scenario is for --sandbox"),
        (["start", "--sandbox", "--scenario", "no-such", "-"], REQUEST, "no-such"),
        (["start", "--sandbox", "--name", "", "-"], REQUEST, "--name '' cannot be an execution's"),
        (["start", "--sandbox", "--name", "a b", "-"], REQUEST, "1 to 80 letters, digits, - and _"),
        (["start", "--name", "x" * 81, "-"], REQUEST, "cannot be an execution's"),
        (["plan", "--sandbox", "-"], {"function_name": "checkout"}, "alias_name: is required"),
        (["watch", "checkout"], None, "write function:alias"),
        (["status", "checkout:7"], None, "write function:alias"),
    ],
)
def test_what_cannot_be_used_exits_with_2_and_a_sentence(say, words, given, why):
    done = say(*words, given=given)
    assert done.exit_code == 2
    assert why in done.stderr
    assert "Traceback" not in done.output


# On this machine.


def test_a_bad_release_on_this_machine_is_told_like_one_on_aws(say):
    words = ("start", "--sandbox", "--scenario", "fails_half", "--seed", "3", "-")
    watched = say(*words, "--watch", given=REQUEST)
    quiet = say(*words, given=REQUEST)
    as_json = say(*words, "--json", given=REQUEST)
    assert (watched.exit_code, quiet.exit_code, as_json.exit_code) == (1, 1, 1)
    assert "10 % of the traffic to version 2" in watched.stdout
    assert "candidate fails" in watched.stdout.splitlines()[-1]
    assert quiet.stdout.startswith("checkout:live: Rolled back. Version 1 serves all traffic again.")
    assert json.loads(as_json.stdout)["outcome"] == "rolled_back"


def test_what_people_said_is_told_on_this_machine_too(say):
    gate = (Path(__file__).parents[2] / "events/approval_gate.json").read_text()
    done = say("start", "--sandbox", "--scenario", "approved", "--watch", "-", given=gate)
    assert "10:00  approve by ana: the numbers look fine" in done.stdout.splitlines()


def test_a_scenario_that_is_nowhere_is_no_errno(say):
    done = say("start", "--sandbox", "--scenario", "nothere", "-", given=REQUEST)
    assert "nothere is neither a file nor a scenario that ships" in done.stderr
