"""tidegate status, list, history and report: what runs, what has run, and a page about it."""

import json

from tests.brief import BRIEF

GATED = [
    {"weight": 10, "bake_seconds": 120},
    {"weight": 100, "bake_seconds": 300, "approval": {"timeout_seconds": 86_400}},
]


def test_status_of_a_running_rollout_says_where_it_is_and_when_the_next_look_is(say, live):
    with live(at_second=200):
        done = say("status", "checkout:live")
        as_json = json.loads(say("status", "checkout:live", "--json").stdout)
    assert done.exit_code == 0, done.output
    assert "checkout:live on version 1: 10 % for 5 min" in done.stdout
    assert "10 % of the traffic to version 2" in done.stdout
    assert "next look in" in done.stdout.splitlines()[-1]
    assert (as_json["outcome"], as_json["weight_percent"], as_json["rollout_id"]) == (None, 10, "story-1")
    assert 0 < as_json["next_at"] - as_json["now"] <= 60
    assert sum(minute["candidate"]["requests"] for minute in as_json["minutes"]) > 50


def test_status_in_the_first_second_has_no_plan_yet_and_is_no_error(say, live):
    with live(at_second=0.13):
        done = say("status", "checkout:live", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["steps"] == []


def test_status_says_who_is_waited_for(say, live):
    with live(at_second=400, request={"steps": GATED}):
        gated = say("status", "checkout:live")
        listed = say("list")
        say("pause", "checkout:live", "--author", "ana", "--reason", "looking")
        paused = say("status", "checkout:live", "--json")
    assert "waits for approval of 100 % since 2026-01-05 12:0" in gated.stdout
    assert "tidegate approve checkout:live, or reject" in gated.stdout
    assert "waits for approval of 100 %" in " ".join(listed.stdout.split())
    assert json.loads(paused.stdout)["holding"].startswith("paused by ana (looking) since 2026-01-05 12:06")


def test_status_of_a_finished_rollout_exits_as_it_ended(say, live):
    with live(at_second=500, request=BRIEF):
        good = say("status", "checkout:live")
    with live(at_second=500, candidate={"error_rate": 0.5}):
        bad = say("status", "checkout:live")
        as_json = json.loads(say("status", "checkout:live", "--json").stdout)
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "Promoted. Version 2 serves all traffic." in good.stdout.splitlines()[-1]
    assert "candidate fails" in bad.stdout.splitlines()[-1]
    assert (as_json["outcome"], as_json["weight_percent"]) == ("rolled_back", 0)


def test_list_shows_every_running_rollout(say, live):
    with live(at_second=200):
        done = say("list")
        as_json = json.loads(say("list", "--json").stdout)
    assert done.exit_code == 0, done.output
    assert "checkout:live" in done.stdout
    assert "1 → 2" in done.stdout
    assert [rollout["target"] for rollout in as_json["rollouts"]] == ["checkout:live"]


def test_list_of_nothing_is_no_error(say, live):
    with live(at_second=None):
        assert say("list").stdout == "no rollout runs now\n"
        assert json.loads(say("list", "--json").stdout) == {"rollouts": []}


def test_history_is_newest_first_with_every_reason(say, live):
    again = {"at_second": 500, "do": "start_execution", "request": {"function_name": "checkout", "alias_name": "live"}}
    with live(at_second=600, timeline=[again], candidate={"error_rate": 0.5}):
        done = say("history", "checkout:live")
        as_json = json.loads(say("history", "checkout:live", "--json").stdout)
        newest = json.loads(say("history", "checkout:live", "--json", "--limit", "1").stdout)
    assert done.exit_code == 0, done.output
    assert [rollout["rollout_id"] for rollout in as_json["rollouts"]] == ["story-2", "story-1"]
    assert [rollout["outcome"] for rollout in as_json["rollouts"]] == ["rejected", "rolled_back"]
    assert len(newest["rollouts"]) == 1
    assert "Rolled back" in done.stdout
    assert "candidate fails" in " ".join(done.stdout.split())


def test_a_report_is_a_page_about_the_rollout(say, live, tmp_path):
    with live(at_second=500, candidate={"error_rate": 0.5}):
        done = say("report", "checkout:live")
        named = say("report", "checkout:live", "--rollout", "story-1", "--out", "page.html", "--json")
        other = say("report", "checkout:live", "--rollout", "story-9")
        nowhere = say("report", "checkout:live", "--out", "no/such/folder.html")
        nameless = say("report", "checkout:live", "--out", "a\0b")
    assert done.stdout == "wrote tidegate-checkout-live-story-1.html\n"
    assert json.loads(named.stdout) == {"report": "page.html", "rollout_id": "story-1", "outcome": "rolled_back"}
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "candidate fails" in page
    assert page == (tmp_path / "tidegate-checkout-live-story-1.html").read_text(encoding="utf-8")
    assert (other.exit_code, nowhere.exit_code) == (3, 2)
    assert "story-9" in other.stderr
    assert (nameless.exit_code, nameless.stderr) == (2, "tidegate: a\\u0000b cannot be a file's name\n")


def test_nothing_known_exits_with_3(say, live):
    with live(at_second=None):
        answers = [say(word, "checkout:live") for word in ("status", "history", "report")]
    assert [answer.exit_code for answer in answers] == [3, 3, 3]
    assert all("is known" in answer.stderr for answer in answers)
