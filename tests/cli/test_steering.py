"""Every command on a running rollout, through the command line."""

import json

import pytest

from tests.brief import BRIEF

GATED = [
    {"weight": 10, "bake_seconds": 120},
    {"weight": 100, "bake_seconds": 300, "approval": {"timeout_seconds": 86_400}},
]


def settled(world):
    world.follow(next(iter(world.executions)))
    return world.routing


@pytest.mark.parametrize(
    ("word", "accepted", "routing"),
    [
        ("pause", True, None),
        ("resume", False, None),
        ("approve", False, None),
        ("reject", False, None),
        ("advance", True, ("2", {})),
        ("finish", True, ("2", {})),
        ("abort", True, ("1", {})),
        ("revert", False, None),
    ],
)
def test_a_command_at_a_running_rollout(say, live, word, accepted, routing):
    with live(at_second=30, request=BRIEF) as world:
        done = say(word, "checkout:live", "--reason", "a look at a graph")
        assert done.exit_code == (0 if accepted else 3), done.output
        if routing:
            assert settled(world) == routing
    said = done.stdout if accepted else done.stderr
    assert said.strip()
    assert ("a look at a graph" in said) is accepted


@pytest.mark.parametrize(("word", "routing"), [("approve", ("2", {})), ("reject", ("1", {}))])
def test_an_approval_is_given_or_refused(say, live, word, routing):
    with live(at_second=400, request={"steps": GATED}) as world:
        done = say(word, "checkout:live", "--json")
        assert done.exit_code == 0, done.output
        assert settled(world) == routing
    assert json.loads(done.stdout)["accepted"] is True


def test_the_author_is_whoever_asks_unless_another_one_is_named(say, live):
    with live(at_second=30, request=BRIEF) as world:
        own = say("pause", "checkout:live")
        other = say("resume", "checkout:live", "--author", "ana@example.com", "--reason", "seen enough")
        assert settled(world) == ("2", {})
        spoken = json.loads(say("history", "checkout:live", "--json").stdout)["rollouts"][0]
    assert "paused by arn:aws:sts::123456789012:" in own.stdout
    assert "(no reason given)" in own.stdout
    assert "resumed by ana@example.com (seen enough)" in other.stdout
    assert spoken["outcome"] == "promoted"


def test_a_command_may_be_for_one_rollout_only(say, live):
    with live():
        done = say("abort", "checkout:live", "--rollout", "yesterday", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["accepted"] is False


def test_a_promotion_is_taken_back_and_both_are_told(say, live):
    with live(at_second=500, request=BRIEF) as world:
        assert world.routing == ("2", {})
        done = say("revert", "checkout:live", "--author", "ana", "--reason", "wrong prices")
        assert done.exit_code == 0, done.output
        assert world.routing == ("1", {})
        again = say("revert", "checkout:live")
        told = say("history", "checkout:live")
    assert "version 1 serves all traffic again" in done.stdout
    assert again.exit_code == 3
    assert "since then reverted by ana (wrong prices)" in " ".join(told.stdout.split())
